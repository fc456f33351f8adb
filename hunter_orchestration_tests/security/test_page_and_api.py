"""What a stranger, a hostile page or hostile data may try against the page and the API. One test an attack."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
import python_calamine
from starlette.testclient import TestClient

from hunter_orchestration.settings import Settings, SettingsError
from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.leads import leads as leads_table
from hunter_orchestration.web.app import create_app
from hunter_orchestration.web.exports import safe
from hunter_orchestration.web.guard import JSON_LIMIT, UPLOAD_LIMIT
from hunter_orchestration_tests.web.conftest import ClientFactory
from hunter_orchestration_tests.web.engine import Engine
from hunter_orchestration_tests.web.seeding import lead, put

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =cmd|' /C calc'!A0", "＝1+1", "＋1", "－1", "＠x"]
PLACES = ["/", "/api/v1/leads", "/api/v1/none", "/api/v1/leads?limit=0", "/static/app.js", "/static/none.js",
          "/healthz/live", "/api/docs", "/api/openapi.json", "/favicon.svg"]  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_names_that_are_formulas_are_text_in_csv_and_xlsx(
    client_for: ClientFactory, sqlite_store: Store, name: str
) -> None:
    put(sqlite_store, [lead("a.example", name)])
    client = client_for(sqlite_store)
    for language, separator in (("tr", ";"), ("en", ",")):
        text = client.get(f"/api/v1/leads/export.csv?columns=name&lang={language}").content.decode("utf-8-sig")
        cell = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))[1][0]
        assert cell == f"'{name}"
    book = client.get("/api/v1/leads/export.xlsx?columns=name").content
    sheet = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0)
    assert sheet.to_python()[1][0].strip() == name.strip()


def test_harmless_names_stay_as_they_are() -> None:
    for name in ("Ege İnşaat", "3M", "a=b", "", " ", "O'Neil", "(x)"):
        assert safe(name) == name


@pytest.mark.parametrize("path", PLACES)
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-request-id"]
    is_document = headers["content-type"].startswith("text/html")
    for name, value in (("cross-origin-opener-policy", "same-origin"), ("permissions-policy", "camera=()")):
        assert headers.get(name, "").startswith(value) == is_document, name
    if path.startswith("/api/v1"):
        assert headers["cache-control"] == "no-store"


def test_a_crash_is_answered_with_headers_and_without_its_reason(
    client_for: ClientFactory, sqlite_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_for(sqlite_store)
    with sqlite_store.write() as connection:
        leads_table.drop(connection)
    with caplog.at_level(logging.CRITICAL):
        answer = client.get("/api/v1/leads")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body = answer.json()
    assert body["code"] == "internal"
    assert body["request_id"] == answer.headers["x-request-id"]
    for leaked in ("Traceback", "sqlite", "SELECT", "leads_", ".py", str(sqlite_store.url.database)):
        assert leaked not in answer.text


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"}, "{}"),
        ({"Sec-Fetch-Site": "same-site", "Content-Type": "application/json"}, "{}"),
        ({"Origin": "https://evil.example", "Content-Type": "application/json"}, "{}"),
        ({"Origin": "null", "Content-Type": "application/json"}, "{}"),
        ({"Origin": "http://127.0.0.1:9999", "Content-Type": "application/json"}, "{}"),
        ({"Origin": "http://127.0.0.1:8000.evil.example", "Content-Type": "application/json"}, "{}"),
        ({"Content-Type": "text/plain"}, "{}"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "a=b"),
        ({"Content-Type": "text/plain; charset=utf-8"}, '{"a": 1}'),
    ],
)
def test_requests_of_other_sites_are_refused(
    client: TestClient, engine: Engine, headers: dict[str, str], body: str
) -> None:
    answer = client.post("/api/v1/referrals/sync", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert engine.launched == []


def test_our_own_page_and_programs_may_act(client: TestClient) -> None:
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/referrals/sync", json={}, headers=own).status_code == 202
    assert client.post("/api/v1/referrals/sync", json={}).status_code == 202
    assert client.post("/api/v1/referrals/sync").status_code == 202


def test_no_get_changes_anything(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    for path in ("/api/v1/referrals/sync", "/api/v1/dynamics/bulk-sync", "/api/v1/dynamics/rejects/retry"):
        assert "get" not in document["paths"][path]
        assert client.get(path).status_code in (404, 405)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "", "[::2]"])
def test_other_host_names_are_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/api/v1/leads", "/static/app.js"):
        answer = client.get(path, headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (400, "wrong_host")


def test_our_own_host_names_are_answered(client: TestClient) -> None:
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"):
        assert client.get("/healthz/live", headers={"Host": host}).status_code == 200


def test_cross_origin_reading_is_never_allowed(client: TestClient) -> None:
    answer = client.get("/api/v1/leads", headers={"Origin": "https://evil.example"})
    assert not any(name.startswith("access-control") for name in answer.headers)
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = client.options("/api/v1/leads", headers=asked)
    assert not any(name.startswith("access-control") for name in preflight.headers)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "hunter.example"])
def test_it_refuses_to_be_reachable_without_sign_in(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="HUNTER_AUTH_CLIENT_ID"):
        create_app(Settings(api_host=host, database_url=f"sqlite:///{tmp_path / 'a.db'}"))


ATTACKS = [
    "'",
    '"',
    "%",
    "_",
    "\\",
    "'; DROP TABLE leads; --",
    "1) OR (1=1",
    "(SELECT 1)",
    "x\x00y",
    "../../etc/passwd",
]
ATTACKS += ["$where", "{{7*7}}", "a" * 300, "*", "NEAR(a b)", 'a" OR "b', "search_text:x", "-a", "^a", "İ" * 100]


@pytest.mark.parametrize("attack", ATTACKS)
def test_search_and_filters_take_everything_as_text(client_for: ClientFactory, store: Store, attack: str) -> None:
    put(store, [lead("a.example", "Alfa"), lead("b.example", "Beta")])
    client = client_for(store)
    for name in ("q", "provider", "country", "gateway", "dynamics_state", "referral_category"):
        answer = client.get("/api/v1/leads", params={name: attack})
        assert answer.status_code in (200, 422), (name, answer.text)
        if answer.status_code == 200:
            assert answer.json()["total"] == 0 or name == "q"
    for name in ("sort", "order", "cursor", "limit"):
        assert client.get("/api/v1/leads", params={name: attack}).status_code in (400, 422)
    assert client.get("/api/v1/referrals", params={"q": attack}).status_code in (200, 422)
    assert client.get("/api/v1/syncs", params={"kind": attack}).status_code in (200, 422)
    assert client.get("/api/v1/leads").json()["total"] == 2


@pytest.mark.parametrize("attack", ["'", "%00", "..%2f..%2fetc%2fpasswd", "a" * 5000, "%F0%9F%98%80.example", "-.-"])
def test_odd_paths_find_nothing(client: TestClient, attack: str) -> None:
    for prefix in ("/api/v1/leads/", "/api/v1/referrals/", "/api/v1/dynamics/status/"):
        assert client.get(prefix + attack).status_code in (404, 422)


@pytest.mark.parametrize("domain", ["localhost", "127.0.0.1", "[::1]", "169.254.169.254", "0x7f.1", "10.0.0.1"])
def test_addresses_are_never_taken_as_leads(client: TestClient, engine: Engine, domain: str) -> None:
    answer = client.post("/api/v1/leads", json={"domain": domain})
    assert answer.status_code == 422
    assert engine.launched == []


def test_bodies_are_bounded(client: TestClient) -> None:
    started = time.perf_counter()
    large = json.dumps({"domains": ["a.example"], "x": "y" * (JSON_LIMIT + 1)})
    answer = client.post("/api/v1/dynamics/bulk-sync", content=large, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    def endless() -> Any:
        for _ in range(JSON_LIMIT // 1000 + 10):
            yield b" " * 1000

    streamed = client.post("/api/v1/views", content=endless(), headers={"Content-Type": "application/json"})
    assert streamed.status_code == 413
    claimed = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(UPLOAD_LIMIT + 1)}
    assert client.post("/api/v1/imports", content=b"", headers=claimed).status_code == 413
    deep = "[" * 100_000 + "]" * 100_000
    answer = client.post("/api/v1/views", content=deep, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert client.get("/api/v1/leads?limit=1000000000").status_code == 422
    assert client.get("/api/v1/leads", params={"cursor": "A" * 5000}).status_code == 422
    assert time.perf_counter() - started < 60


def test_unknown_and_read_only_fields_are_refused(client: TestClient) -> None:
    for method, path, body in (
        ("POST", "/api/v1/views", {"name": "a", "query": "", "owner": "somebody else"}),
        ("POST", "/api/v1/views", {"name": "a", "query": "", "id": 1}),
        ("PATCH", "/api/v1/leads/a.example", {"score": 100}),
        ("PATCH", "/api/v1/leads/a.example", {"domain": "b.example"}),
        ("POST", "/api/v1/leads", {"domain": "a.example", "priority": "P1"}),
        ("POST", "/api/v1/referrals/sync", {"role": "admin"}),
        ("POST", "/api/v1/dynamics/sync/a.example", {"dry_run": False, "force": True}),
    ):
        answer = client.request(method, path, json=body)
        assert answer.status_code == 422, (path, answer.text)


def test_hurried_syncs_and_exports_are_told_when_to_come_again(client: TestClient) -> None:
    answers = [client.post("/api/v1/referrals/sync", json={}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [202] * 10 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    exports = [client.get("/api/v1/leads/export.csv") for _ in range(7)]
    assert [answer.status_code for answer in exports] == [200] * 6 + [429]
    assert exports[-1].json()["code"] == "too_many_requests"


def test_hostile_text_is_only_ever_json(client_for: ClientFactory, sqlite_store: Store) -> None:
    name = '<script>alert(1)</script>\u202e"><img src=x onerror=alert(1)>'
    put(sqlite_store, [lead("a.example", name)])
    answer = client_for(sqlite_store).get("/api/v1/leads")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["items"][0]["name"] == name
    error = client_for(sqlite_store).get("/api/v1/leads/<script>alert(1)<%2Fscript>")
    assert error.headers["content-type"] == "application/problem+json"


def test_the_form_webhook_takes_only_what_is_signed(client_for: ClientFactory, sqlite_store: Store) -> None:
    off = client_for(sqlite_store).post("/api/v1/webhooks/leads", json={"domain": "yapi.example"})
    assert off.status_code == 404
    client = client_for(sqlite_store, import_webhook_secret="canary-secret")
    body = json.dumps({"domain": "yapi-insaat.com.tr", "company": "Yapı"}).encode()
    good = hmac.new(b"canary-secret", body, hashlib.sha256).hexdigest()

    def post(content: bytes, signature: str | None) -> Any:
        headers = {"Content-Type": "application/json", "Origin": "https://forms.example"}
        if signature is not None:
            headers["X-Hunter-Signature"] = signature
        return client.post("/api/v1/webhooks/leads", content=content, headers=headers)

    assert post(body, None).status_code == 401
    assert post(body, "0" * 64).status_code == 401
    assert post(body + b" ", good).status_code == 401
    assert post(body, f"sha256={good}").status_code == 202
    assert post(body, good).status_code == 202
    large = b" " * 70_000
    assert post(large, hmac.new(b"canary-secret", large, hashlib.sha256).hexdigest()).status_code == 413
    odd = b'{"domain": "a.example", "score": 1}'
    assert post(odd, hmac.new(b"canary-secret", odd, hashlib.sha256).hexdigest()).status_code == 422


def test_partner_center_events_without_its_signature_are_refused(client: TestClient, engine: Engine) -> None:
    event = {"EventName": "referral-updated", "ResourceUri": "https://evil.example/x"}
    for headers in ({}, {"Authorization": "Signature abc", "x-ms-certificate-url": "https://evil.example/c.cer"}):
        assert client.post("/api/v1/webhooks/partner-center", json=event, headers=headers).status_code == 401
    assert client.post("/api/v1/webhooks/partner-center", content=b"x" * 70_000).status_code == 413
    assert engine.launched == []


def test_no_secret_is_ever_answered(client_for: ClientFactory, sqlite_store: Store) -> None:
    canary = "canary-7f3a"
    client = client_for(
        sqlite_store,
        client_secret=canary,
        refresh_token=canary,
        token_cache_key=canary,
        auth_client_secret=canary,
        import_webhook_secret=canary,
    )
    for path in ("/api/v1/status", "/api/openapi.json", "/api/docs", "/healthz/ready", "/api/v1/leads?x=1", "/"):
        assert canary not in client.get(path).text
