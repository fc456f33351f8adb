"""Partner Center's events at the page's server: proven, they start a sync within the request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from fastapi.testclient import TestClient

from hunter_orchestration.store import Store
from hunter_orchestration_tests.partner_center.service import Service, serving
from hunter_orchestration_tests.partner_center.signing import Signer, event, headers, issue, named, publish
from hunter_orchestration_tests.web.conftest import ClientFactory
from hunter_orchestration_tests.web.engine import Engine

PATH = "/api/v1/webhooks/partner-center"


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        yield running


@pytest.fixture
def signer(service: Service, tmp_path: Path) -> Signer:
    root = issue(named("Microsoft Corporation", "Root"), None, authority=True)
    (tmp_path / "roots.pem").write_bytes(root.certificate.public_bytes(serialization.Encoding.PEM))
    signer = issue(named("Microsoft Corporation", "Events"), root, authority=False)
    publish(service, signer)
    return signer


@pytest.fixture
def receiver(
    client_for: ClientFactory, sqlite_store: Store, service: Service, signer: Signer, tmp_path: Path
) -> TestClient:
    return client_for(
        sqlite_store,
        webhook_root_certificate=tmp_path / "roots.pem",
        webhook_certificate_hosts=[service.url.removeprefix("http://")],
    )


def test_a_signed_event_starts_one_sync_and_a_replay_none(
    receiver: TestClient, engine: Engine, service: Service, signer: Signer
) -> None:
    body = event()
    given = headers(service, signer, body)
    first = receiver.post(PATH, content=body, headers=given)
    assert (first.status_code, first.json()) == (200, {"received": True, "replay": False})
    (run,) = engine.runs.values()
    assert run["tags"]
    again = receiver.post(PATH, content=body, headers=given)
    assert again.json() == {"received": True, "replay": True}
    other = event(EventName="referral-created")
    joined = receiver.post(PATH, content=other, headers=headers(service, signer, other))
    assert joined.json() == {"received": True, "replay": False}
    assert len(engine.runs) == 1


def test_an_event_that_was_altered_on_its_way_starts_nothing(
    receiver: TestClient, engine: Engine, service: Service, signer: Signer
) -> None:
    body = event()
    answer = receiver.post(PATH, content=body.replace(b"updated", b"created"), headers=headers(service, signer, body))
    assert answer.status_code == 401
    assert engine.runs == {}
