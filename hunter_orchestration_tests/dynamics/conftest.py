"""One sandbox a test process, a fresh organisation a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.store import Store
from hunter_orchestration_tests.dynamics.world import World, world_in


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """Entra ID and Dataverse on loopback, in a process of their own."""
    with running_sandbox(companies=1) as box:
        yield box


@pytest.fixture
def world(sqlite_store: Store, sandbox: RunningSandbox) -> World:
    """A store on SQLite and a prepared organisation with every strict switch on."""
    return world_in(sqlite_store, sandbox)


@pytest.fixture
def both(store: Store, sandbox: RunningSandbox) -> World:
    """The same on SQLite and on PostgreSQL."""
    return world_in(store, sandbox)
