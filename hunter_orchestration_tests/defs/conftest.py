"""A sandbox of its own for the tests that run the chain, and settings that point at it."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox

NAMES = {
    "authority": "HUNTER_AUTHORITY_URL",
    "partner_center": "HUNTER_PARTNER_CENTER_URL",
    "dynamics": "HUNTER_DYNAMICS_URL",
    "dns": "HUNTER_DNS_SERVERS",
    "rdap": "HUNTER_RDAP_URL",
    "tenant": "HUNTER_TENANT_ID",
    "client_id": "HUNTER_CLIENT_ID",
    "client_secret": "HUNTER_CLIENT_SECRET",
}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster that keeps nothing, where a test needs no more."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def box() -> Iterator[RunningSandbox]:
    with running_sandbox(companies=30) as running:
        running.call("POST", "/dataverse/prepare", {})
        yield running


@pytest.fixture
def connected(box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> RunningSandbox:
    """This process talks to the sandbox, as the demo does."""
    for name, variable in NAMES.items():
        monkeypatch.setenv(variable, box.addresses[name])
    monkeypatch.setenv("HUNTER_DEMO", "true")
    monkeypatch.setenv("HUNTER_PARTNER_CENTER_ENABLED", "true")
    monkeypatch.setenv("HUNTER_DYNAMICS_ENABLED", "true")
    return box
