"""Signing in with Entra ID, played by the sandbox over real HTTP: sessions, roles and what must not work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from starlette.testclient import TestClient

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.operations import web_sessions
from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web.routes.auth import local_path, role_of
from hunter_orchestration_tests.web.conftest import ClientFactory
from hunter_orchestration_tests.web.seeding import lead, put


@pytest.fixture(scope="module")
def entra() -> Iterator[RunningSandbox]:
    with running_sandbox(companies=20, seed=1) as box:
        yield box


@pytest.fixture
def signing(client_for: ClientFactory, sqlite_store: Store, entra: RunningSandbox) -> Any:
    """Makes a client of a server that signs people in."""
    entra.reset()
    entra.configure("entra", consent="auto")
    put(sqlite_store, [lead("a.example")])

    def make(**settings: Any) -> TestClient:
        return client_for(
            sqlite_store,
            authority_url=entra.authority,
            tenant_id=entra.tenant,
            auth_client_id=entra.client_id,
            auth_client_secret=entra.client_secret,
            **settings,
        )

    return make


def _authorize(address: str) -> str:
    """What the browser does at Entra ID: where it is sent back to, as a path on our server."""
    answer = requests.get(address, allow_redirects=False, timeout=10)
    assert answer.status_code in (302, 303), answer.text
    parts = urlsplit(answer.headers["location"])
    return f"{parts.path}?{parts.query}"


def _sign_in(client: TestClient, entra: RunningSandbox, role: str, path: str = "/leads/a.example") -> Any:
    entra.configure("entra", page_role=role)
    begun = client.get(f"/auth/login?next={path}", follow_redirects=False)
    assert begun.status_code == 303
    return client.get(_authorize(begun.headers["location"]), follow_redirects=False)


def test_signing_in_brings_people_where_they_wanted_to_go(signing: Any, entra: RunningSandbox) -> None:
    client = signing()
    answer = client.get("/api/v1/leads")
    assert (answer.status_code, answer.json()["code"]) == (401, "signed_out")
    begun = client.get("/auth/login?next=/leads/a.example", follow_redirects=False)
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    back = _sign_in(client, entra, "seller")
    assert (back.status_code, back.headers["location"]) == (303, "/leads/a.example")
    cookie = next(
        value for name, value in back.headers.multi_items() if name == "set-cookie" and value.startswith("hunter=")
    )
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    status = client.get("/api/v1/status").json()
    assert status["user"]["role"] == "seller"
    assert status["user"]["signed_in"] is True
    assert client.get("/api/v1/leads").status_code == 200


def test_over_https_the_cookie_is_bound_to_the_host(signing: Any, entra: RunningSandbox) -> None:
    client = signing(public_url="https://hunter.example", api_host="127.0.0.1")
    back = _sign_in(client, entra, "viewer")
    cookie = next(
        value for name, value in back.headers.multi_items() if name == "set-cookie" and "__Host-hunter=" in value
    )
    for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie
    assert back.headers["strict-transport-security"]


def test_a_session_gets_a_new_id_at_each_sign_in_and_is_stored_as_a_hash_only(
    signing: Any, entra: RunningSandbox, sqlite_store: Store
) -> None:
    client = signing()
    client.cookies.set("hunter", "chosen-by-an-attacker", domain="127.0.0.1", path="/")
    _sign_in(client, entra, "viewer")
    first = client.cookies.get("hunter")
    assert first != "chosen-by-an-attacker"
    _sign_in(client, entra, "viewer")
    second = client.cookies.get("hunter")
    assert first != second
    with sqlite_store.read() as connection:
        stored = [row.id_hash for row in connection.execute(web_sessions.select())]
    assert len(stored) == 1
    assert second not in stored
    client.cookies.set("hunter", first, domain="127.0.0.1", path="/")
    assert client.get("/api/v1/leads").status_code == 401


def test_logging_out_ends_the_session_on_this_side(signing: Any, entra: RunningSandbox) -> None:
    client = signing()
    _sign_in(client, entra, "admin")
    kept = client.cookies.get("hunter")
    assert client.post("/auth/logout", json={}).status_code == 204
    client.cookies.set("hunter", kept, domain="127.0.0.1", path="/")
    assert client.get("/api/v1/leads").status_code == 401


@pytest.mark.parametrize(("column", "age"), [("seen_at", timedelta(minutes=61)), ("opened_at", timedelta(hours=10.1))])
def test_idle_and_old_sessions_end(
    signing: Any, entra: RunningSandbox, sqlite_store: Store, column: str, age: timedelta
) -> None:
    client = signing()
    _sign_in(client, entra, "viewer")
    with sqlite_store.write() as connection:
        connection.execute(web_sessions.update().values({column: utc_now() - age}))
    assert client.get("/api/v1/leads").status_code == 401
    with sqlite_store.read() as connection:
        assert connection.execute(web_sessions.select()).first() is None


READS = ["/api/v1/leads", "/api/v1/leads/summary", "/api/v1/leads/facets", "/api/v1/referrals", "/api/v1/status",
         "/api/v1/syncs", "/api/v1/bulk", "/api/v1/quarantine", "/api/v1/views", "/api/v1/dynamics/rejects",
         "/api/v1/imports", "/api/v1/leads/a.example/score", "/api/v1/dynamics/status/a.example"]  # fmt: skip
ACTS = [("GET", "/api/v1/leads/export.csv"), ("GET", "/api/v1/leads/export.xlsx"), ("POST", "/api/v1/referrals/sync"),
        ("POST", "/api/v1/leads/a.example/rescan"), ("POST", "/api/v1/dynamics/sync/a.example"),
        ("POST", "/api/v1/dynamics/bulk-sync"), ("PATCH", "/api/v1/leads/a.example"),
        ("POST", "/api/v1/quarantine/retry"), ("POST", "/api/v1/imports/1/start"),
        ("POST", "/api/v1/merges/1/undo")]  # fmt: skip
MENDS = [
    ("GET", "/api/v1/quarantine/1"),
    ("POST", "/api/v1/dynamics/differences/mend"),
]


def test_every_route_but_the_public_ones_needs_a_session(signing: Any) -> None:
    client = signing()
    public = {"/healthz/live", "/healthz/ready", "/api/v1/webhooks/partner-center", "/api/v1/webhooks/leads"}
    for path, operations in client.get("/api/openapi.json").json()["paths"].items():
        if path in public:
            continue
        for method in operations:
            filled = path.replace("{domain}", "a.example").replace("{what}", "pull")
            for name in ("referral_id", "run_id", "view_id", "bulk_id", "import_id", "quarantine_id", "merge_id"):
                filled = filled.replace(f"{{{name}}}", "1")
            answer = client.request(method, filled, json=None if method == "get" else {})
            assert answer.status_code == 401, (method, path, answer.status_code)


@pytest.mark.parametrize("role", ["viewer", "seller", "admin"])
def test_roles_are_enforced_on_lists_items_exports_and_actions(signing: Any, entra: RunningSandbox, role: str) -> None:
    client = signing()
    _sign_in(client, entra, role)
    for path in READS:
        assert client.get(path).status_code in (200, 404), path
    for method, path in ACTS:
        answer = client.request(method, path, json=None if method == "GET" else {})
        assert (answer.status_code == 403) == (role == "viewer"), (path, answer.text)
    for method, path in MENDS:
        answer = client.request(method, path, json=None if method == "GET" else {})
        assert (answer.status_code == 403) == (role != "admin"), (path, answer.text)


def test_somebody_without_a_role_is_not_let_in(signing: Any, entra: RunningSandbox) -> None:
    client = signing()
    answer = _sign_in(client, entra, "guest")
    assert (answer.status_code, answer.json()["code"]) == (403, "no_role")
    assert client.get("/api/v1/leads").status_code == 401


def test_an_answer_that_was_not_asked_for_signs_nobody_in(signing: Any, entra: RunningSandbox) -> None:
    client = signing()
    begun = client.get("/auth/login", follow_redirects=False)
    entra.configure("entra", page_role="admin")
    path = _authorize(begun.headers["location"])
    forged = path.replace("state=", "state=x")
    assert client.get(forged, follow_redirects=False).status_code == 400
    assert client.get(path, follow_redirects=False).status_code == 400
    other = signing()
    other_path = _authorize(other.get("/auth/login", follow_redirects=False).headers["location"])
    client.get("/auth/login", follow_redirects=False)
    assert client.get(other_path, follow_redirects=False).status_code == 400
    assert client.get("/auth/callback?code=x&state=y", follow_redirects=False).status_code == 400


@pytest.mark.parametrize("text", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)",
                                  "/\r\nSet-Cookie: a=b", "", "leads"])  # fmt: skip
def test_sign_in_never_leads_to_another_site(text: str) -> None:
    assert local_path(text) == "/"


def test_local_paths_are_kept() -> None:
    assert local_path("/leads?priority=P1&q=a%20b") == "/leads?priority=P1&q=a%20b"


def test_the_greatest_role_of_a_token_counts() -> None:
    assert role_of({"roles": ["Hunter.Viewer", "Hunter.Admin"]}) == "admin"
    assert role_of({"roles": ["seller"]}) == "seller"
    assert role_of({"roles": ["Administrator", "notadmin"]}) is None
    assert role_of({}) is None
