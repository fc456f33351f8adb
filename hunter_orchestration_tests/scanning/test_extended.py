"""The extended set on both databases: stored by kind, in its own lane, unknown where a server does not answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import whoisit
from sqlalchemy import select, update

from hunter_orchestration.scanning import extended, lookup_services, stage
from hunter_orchestration.store import Store, lead_details, scans
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.leads import leads as leads_table
from hunter_orchestration.store.work import StageResult, utc_now
from hunter_orchestration_tests.scanning.dns_server import serving
from hunter_orchestration_tests.scanning.test_stage import GOOGLE, MICROSOFT, company, given_companies, settings_for

TENANT = "11111111-2222-3333-4444-555555555555"


class _Services(BaseHTTPRequestHandler):
    """OpenID discovery and RDAP as Microsoft and registries answer them."""

    def do_GET(self) -> None:
        if self.path.startswith("/a.example/v2.0/"):
            issuer = f"https://login.microsoftonline.com/{TENANT}/v2.0"
            self._send(200, {"issuer": issuer, "tenant_region_scope": "EU"})
        elif "/v2.0/" in self.path:
            self._send(400, {"error": "invalid_tenant", "error_description": "AADSTS90002"})
        elif self.path == "/rdap/domain/a.example":
            expires = (utc_now() + timedelta(days=10)).isoformat()
            vcard = ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Kayıt A.Ş."]]]
            self._send(
                200,
                {
                    "events": [{"eventAction": "expiration", "eventDate": expires}],
                    "entities": [{"roles": ["registrar"], "vcardArray": vcard}],
                    "nameservers": [{"ldhName": "NS1.A.EXAMPLE."}],
                },
            )
        elif self.path == "/rdap/domain/b.example":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/")
            self.end_headers()
        else:
            self._send(404, {})

    def _send(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def services() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Services)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_extended_set_is_stored_by_kind_and_a_tenant_counts_where_mail_agrees(store: Store) -> None:
    given_companies(store, "a.example", "b.example")
    records = {
        "a.example": [*GOOGLE, 'TXT "MS=ms12345678"'],
        "b.example": GOOGLE,
        "_mta-sts.a.example": ['TXT "v=STSv1; id=1"'],
    }
    with serving(records=records) as server, services() as base:
        settings = settings_for(server, authority_url=base, rdap_url=f"{base}/rdap")
        result = stage.run(store, settings, extended=True)
        assert result.counts["extended"] == 2
        again = stage.run(store, settings, domains=["a.example"], force=True, extended=True)
        assert again.counts["extended_fresh"] == 1
    with store.read() as connection:
        a, b = (
            scans.details_of(connection, ["a.example"])["a.example"],
            scans.details_of(connection, ["b.example"])["b.example"],
        )
        row = lead_details.scan(connection, "a.example")
        changes = [change["new"] for change in lead_details.changes(connection, "a.example")]
    assert (a["tenant"]["state"], a["tenant"]["facts"]["tenant_id"]) == ("found", TENANT)
    assert (a["tenant"]["facts"]["region"], a["tenant"]["facts"]["sign_in"]) == ("EU", "unknown")
    assert b["tenant"]["state"] == "absent"
    assert (a["registration"]["facts"]["registrar"], a["registration"]["facts"]["name_servers"]) == (
        "Kayıt A.Ş.",
        ["ns1.a.example"],
    )
    assert b["registration"]["state"] == "unknown"
    assert (a["mail_transport"]["facts"]["mta_sts"], b["mail_transport"]["state"]) == ("found", "absent")
    assert a["network"]["state"] == "not_configured"
    assert row is not None
    assert (row["tenant_id"], row["tenant_agrees"], row["provider"]) == (TENANT, True, "Google")
    assert any(text.startswith("expires ") for text in changes)


def test_the_slow_lane_takes_the_best_leads_that_lack_their_details_a_share_a_day(store: Store) -> None:
    given_companies(store, "a.example", "b.example", "gone.example")
    with serving(records={"a.example": GOOGLE, "b.example": MICROSOFT}) as server, services() as base:
        settings = settings_for(server, authority_url=base, rdap_url=f"{base}/rdap", scan_details_daily=1)
        stage.run(store, settings)
        with store.write() as connection:
            connection.execute(update(leads_table).where(leads_table.c.domain == "b.example").values(priority="P1"))
        days = []
        for _ in range(3):
            result = StageResult()
            extended.run_due(store, settings, result)
            days.append(result.counts)
    with store.read() as connection:
        assert scans.details_of(connection, ["b.example"])["b.example"]["tenant"]["state"] == "absent"
        assert scans.details_of(connection, ["gone.example"])["gone.example"] == {}
        assert scans.details_due(connection, utc_now() + timedelta(days=8), 10) == ["b.example", "a.example"]
    done = {"picked": 1, "extended_fresh": 0, "extended": 1}
    assert days == [done, done, {"picked": 0}]


def test_behind_a_gateway_a_tenant_is_the_second_tell_of_microsoft_365(store: Store) -> None:
    """A verification alone outlives a move; together with a tenant it places the mailboxes, and stays so."""
    given_companies(store, "a.example", "b.example")
    behind = ["MX 10 eu-smtp-inbound-1.mimecast.com.", 'TXT "MS=ms12345678"']
    with serving(records={"a.example": behind, "b.example": behind}) as server, services() as base:
        settings = settings_for(server, authority_url=base, rdap_url=f"{base}/rdap")
        stage.run(store, settings)
        with store.read() as connection:
            before = scans.currents(connection, ["a.example", "b.example"])
        with store.write() as connection:
            connection.execute(update(companies).values(score_due_at=None))
        stage.run(store, settings, domains=["a.example", "b.example"], force=True, extended=True)
        with store.read() as connection:
            after = scans.currents(connection, ["a.example", "b.example"], findings=True)
            (change,) = [row for row in lead_details.changes(connection, "a.example") if row["kind"] == "provider"]
            shown = dict(connection.execute(select(leads_table.c.domain, leads_table.c.provider)).tuples().all())
        stage.run(store, settings, domains=["a.example"], force=True)
        with store.read() as connection:
            again = lead_details.scan(connection, "a.example")
            moves = [row for row in lead_details.changes(connection, "a.example") if row["kind"] == "provider"]
    assert {row["provider"] for row in before.values()} == {"Unknown"}
    assert (after["a.example"]["provider"], after["b.example"]["provider"]) == ("M365", "Unknown")
    assert after["a.example"]["findings"]["provider_evidence"] == ["tenant", "txt"]
    assert (change["kind"], change["old"], change["new"]) == ("provider", "Unknown", "M365")
    assert (shown["a.example"], company(store, "a.example")["score_due_at"] is not None) == ("M365", True)
    assert again is not None
    assert (again["provider"], len(moves)) == ("M365", 1)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{", "no answer in time"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_100_000, "an answer too large"),
        (b"", "the server can't be reached"),
    ],
)
def test_a_server_that_drips_floods_or_hangs_up_is_unknown_in_words(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, reason: str
) -> None:
    monkeypatch.setattr(lookup_services, "_SECONDS", 0.5)
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(sent)
            while sent.endswith(b"{") and not stop.wait(0.05):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            found = lookup_services.registration(f"http://127.0.0.1:{listener.getsockname()[1]}", "firma.example")
        finally:
            stop.set()
            thread.join()
    assert found == {"state": "unknown", "facts": {"reason": reason}}


def test_a_list_of_rdap_servers_that_can_not_be_fetched_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def hang_up(listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if connection.recv(4096) == b"stop":
                    return
                tried.append(1)

    # A proxy that lets nobody through stands for a network without a way to IANA.
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        thread = threading.Thread(target=hang_up, args=(proxy,))
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for name in ("https_proxy", "NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(lookup_services, "_bootstrap", lookup_services._Bootstrap())
        whoisit.clear_bootstrapping()
        try:
            found = [lookup_services.registration("", "a.com")]
            first = len(tried)
            found += [lookup_services.registration("", f"{name}.com") for name in "bc"]
        finally:
            with socket.create_connection(proxy.getsockname()) as end:
                end.sendall(b"stop")
            thread.join()
    assert {item["facts"]["reason"] for item in found} == {"IANA's list of RDAP servers can't be fetched"}
    assert 0 < first == len(tried)


def test_turkish_registrations_are_unknown_without_a_server_of_our_own() -> None:
    from hunter_orchestration.scanning.lookup_services import registration

    found = registration("", "firma.com.tr")
    assert (found["state"], found["facts"]["reason"]) == ("unknown", "no RDAP service for this top-level domain")
