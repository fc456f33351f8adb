"""One sandbox a test file, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration_tests.faults import chain


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """Partner Center, Entra ID, Dynamics and DNS on loopback, in a process of their own."""
    with running_sandbox(companies=12) as started:
        yield started


@pytest.fixture
def box(sandbox: RunningSandbox) -> RunningSandbox:
    """The sandbox as new, with a prepared organisation."""
    sandbox.reset()
    sandbox.call("POST", "/dataverse/reset", {"prepared": True})
    sandbox.call("DELETE", "/dataverse/counters")
    return sandbox


@pytest.fixture
def settings(box: RunningSandbox, store: Store) -> Settings:
    """Settings of a chain from the sandbox into the store and back."""
    return chain.settings_of(box, store)
