"""Webhooks: registration, signed delivery to a real receiver, proof by the product's own verifier."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from hunter_orchestration.partner_center.webhooks import EventRefusedError, WebhookVerifier
from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration.settings import Settings


class _Receiver(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.events: list[tuple[bytes, dict[str, str]]] = []
        self.refuse = 0
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"

    def wait(self, count: int) -> list[tuple[bytes, dict[str, str]]]:
        until = time.monotonic() + 20
        while len(self.events) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.events) >= count
        return self.events


class _Handler(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refuse > 0
        if refused:
            self.server.refuse -= 1
        else:
            self.server.events.append((body, dict(self.headers)))
        self.send_response(503 if refused else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    with _Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _register(box: RunningSandbox, address: str, in_header: bool = True) -> requests.Response:
    token = box.access_token(scope="https://api.partnercenter.microsoft.com/.default")
    body = {
        "WebhookUrl": address,
        "WebhookEvents": ["referral-created", "referral-updated", "related-referral-updated"],
        "signatureTokenToMsSignatureHeader": in_header,
    }
    url = box.partner_center + "/webhooks/v1/registration"
    return requests.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)


@pytest.mark.parametrize("in_header", [True, False])
def test_events_reach_the_receiver_and_prove_themselves(
    box: RunningSandbox, receiver: _Receiver, tmp_path: Path, in_header: bool
) -> None:
    assert _register(box, receiver.url, in_header).json()["SubscriberId"]
    added = box.add_referral(kind="qualified_new")
    box.change_referral(added["id"])
    events = receiver.wait(2)
    root = tmp_path / "root.pem"
    root.write_bytes(requests.get(box.control + "/webhooks/root.pem", timeout=30).content)
    host = box.authority.removeprefix("http://")
    verifier = WebhookVerifier(Settings(webhook_certificate_hosts=[host], webhook_root_certificate=root))
    proven = [verifier.verify(body, headers) for body, headers in events]
    assert [event.name for event in proven] == ["referral-created", "referral-updated"]
    assert {event.referral_id for event in proven} == {added["id"]}
    body, headers = events[0]
    with pytest.raises(EventRefusedError):
        verifier.verify(body.replace(b"created", b"updated"), headers)


@pytest.mark.slow
def test_a_refused_event_is_tried_again(box: RunningSandbox, receiver: _Receiver) -> None:
    _register(box, receiver.url)
    receiver.refuse = 1
    box.add_referral(kind="qualified_new")
    receiver.wait(1)
    until = time.monotonic() + 10
    while not box.call("GET", "/webhooks")["deliveries"] and time.monotonic() < until:
        time.sleep(0.01)
    assert box.call("GET", "/webhooks")["deliveries"][0]["attempts"] == 2


def test_registration_wants_its_own_token_and_a_valid_body(box: RunningSandbox) -> None:
    url = box.partner_center + "/webhooks/v1/registration"
    wrong = {"Authorization": f"Bearer {box.access_token()}"}
    assert requests.get(url, headers=wrong, timeout=30).status_code == 401
    assert _register(box, "ftp://elsewhere.example").status_code == 400
    assert _register(box, "https://hooks.example").status_code == 200
    assert _register(box, "https://hooks.example").status_code == 409
