"""One lead whole, and what people do: sync, push, bulk actions, views."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from hunter_orchestration.store import Store, leads
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.crm import crm_differences
from hunter_orchestration.store.tables.operations import events, sync_runs
from hunter_orchestration_tests.web import seeding
from hunter_orchestration_tests.web.conftest import ClientFactory
from hunter_orchestration_tests.web.engine import Engine

DOMAIN = "egeinsaat.example"
REFERRAL = "0e3ab2f5-0000-4000-8000-000000000001"


@pytest.fixture
def furnished(store: Store) -> Store:
    """A store with one company that has everything."""
    with store.write() as connection:
        seeding.company(connection, DOMAIN)
        seeding.scored(connection, DOMAIN)
        seeding.contact(connection, DOMAIN, "ayse@egeinsaat.example")
        seeding.referral(connection, REFERRAL, DOMAIN)
        connection.execute(companies.update().values(leading_referral_id=REFERRAL, referral_count=1))
        seeding.crm_record(connection, DOMAIN, "conflict", error="Two accounts", candidates=[{"crm_id": "x"}])
        leads.refresh(connection, [DOMAIN])
    return store


def test_a_lead_is_told_whole(client_for: ClientFactory, furnished: Store) -> None:
    answer = client_for(furnished, dynamics_url="https://org.crm4.dynamics.com").get(f"/api/v1/leads/{DOMAIN}").json()
    assert answer["lead"]["referral_category"] == "co_sell"
    assert answer["lead"]["deal_value"] == 38000.5
    assert answer["company"]["sources"]["import"]["first"] == "2026-11-01T00:00:00Z"
    assert answer["contacts"][0]["email"] == "ayse@egeinsaat.example"
    assert answer["contacts"][0]["refuses_contact"] is False
    assert answer["score"]["breakdown"][0]["points"] == 50
    assert answer["referrals"][0]["history"][0]["status"] == "New"
    assert answer["referrals"][0]["contact"]["name"] == "Ayşe Yılmaz"
    assert answer["dynamics"]["state"] == "conflict"
    record = answer["dynamics"]["records"][0]
    assert record["link"].startswith(
        "https://org.crm4.dynamics.com/main.aspx?pagetype=entityrecord&etn=account&id=8c6a"
    )
    assert answer["dynamics"]["history"][0]["fields"] == {"name": ["Ege", "Ege İnşaat"]}


def test_a_domain_is_found_however_it_is_written(client_for: ClientFactory, furnished: Store) -> None:
    client = client_for(furnished)
    for spelling in (DOMAIN.upper(), f"www.{DOMAIN}", f" {DOMAIN} "):
        assert client.get(f"/api/v1/leads/{spelling}").json()["lead"]["domain"] == DOMAIN


def test_a_merged_domain_gives_the_one_it_was_merged_into(client_for: ClientFactory, furnished: Store) -> None:
    with furnished.write() as connection:
        seeding.company(connection, "old.example", merged_into=DOMAIN)
    answer = client_for(furnished).get("/api/v1/leads/old.example").json()
    assert (answer["lead"]["domain"], answer["merged_from"]) == (DOMAIN, "old.example")


def test_a_lead_without_a_score_says_so(client_for: ClientFactory, store: Store) -> None:
    with store.write() as connection:
        seeding.company(connection, DOMAIN)
    client = client_for(store)
    assert client.get(f"/api/v1/leads/{DOMAIN}/score").json()["code"] == "no_score"
    assert client.get(f"/api/v1/leads/{DOMAIN}").json()["score"] is None
    assert client.get("/api/v1/leads/none.example/score").json()["code"] == "not_found"


def test_the_summary_tells_what_needs_somebody_today(client_for: ClientFactory, furnished: Store) -> None:
    from hunter_orchestration.store.work import utc_now

    with furnished.write() as connection:
        now = utc_now()
        seeding.referral(
            connection, REFERRAL[:-1] + "2", None, expires_at=now + timedelta(days=1), substatus="Received"
        )
        connection.execute(sync_runs.insert().values(kind="raw_leads", state="failed", started_at=now, finished_at=now))
    answer = client_for(furnished).get("/api/v1/leads/summary").json()
    assert answer["total"] == 1
    assert answer["expiring"]["soon"] == 1
    assert answer["open_co_sell"] == [{"currency": "EUR", "value": 76001.0, "count": 2}]
    assert answer["crm_decisions"] == {"rejected": 0, "conflict": 1, "deleted_in_crm": 0, "total": 1}
    assert answer["by_priority"] == [{"value": "P2", "count": 1}]
    assert answer["score_histogram"][7] == {"from": 70, "to": 79, "count": 1}
    assert answer["syncs"][-1]["failed"] == 1
    assert answer["counts"]["needs_domain"] == 1
    assert [stage["stage"] for stage in answer["funnel"]] == ["referrals", "linked", "accepted", "pushed", "won"]


def test_two_sides_of_one_engagement_are_one_deal(client_for: ClientFactory, store: Store) -> None:
    with store.write() as connection:
        seeding.referral(connection, "a", None, engagement_id="e", deal_value=10)
        later = seeding.NOW + timedelta(hours=1)
        seeding.referral(connection, "b", None, engagement_id="e", deal_value=12, updated_at=later)
        seeding.referral(connection, "c", None, deal_value=5)
    answer = client_for(store).get("/api/v1/leads/summary").json()
    assert answer["open_co_sell"] == [{"currency": "EUR", "value": 17.0, "count": 2}]


def test_the_inbox_understands_turkish_letters(client_for: ClientFactory, store: Store) -> None:
    with store.write() as connection:
        seeding.referral(connection, "a", None, company_name="IŞIK Çelik %50_İndirim", name="Göç")
        seeding.referral(connection, "b", None, company_name="Asik Ticaret", name="Move")
    client = client_for(store)

    def found(q: str) -> list[str]:
        return [one["id"] for one in client.get("/api/v1/referrals", params={"q": q}).json()["items"]]

    for word in ("ışık", "ISIK", "isik celik", "ÇELİK", "%50_", "goc", "GÖÇ"):
        assert found(word) == ["a"], word
    assert found("asik") == ["b"]
    assert found("%51") == found("a_ik") == found("esik") == []


def test_the_inbox_filters_pages_and_tells_days_left(client_for: ClientFactory, store: Store) -> None:
    with store.write() as connection:
        for number in range(7):
            seeding.referral(
                connection,
                f"0e3ab2f5-0000-4000-8000-00000000000{number}",
                None if number % 2 else DOMAIN,
                updated_at=seeding.NOW + timedelta(minutes=number),
                deal_value=None if number == 3 else number,
                company_name="Işık İnşaat" if number == 4 else "Ege",
            )
    client = client_for(store)
    unlinked = client.get("/api/v1/referrals?link=needs_domain&limit=2").json()
    more = client.get(f"/api/v1/referrals?link=needs_domain&limit=2&cursor={unlinked['next']}").json()
    assert [row["id"][-1] for row in unlinked["items"] + more["items"]] == ["5", "3", "1"]
    assert (unlinked["total"], more["next"]) == (3, None)
    assert [row["id"][-1] for row in client.get("/api/v1/referrals?q=ışık insaat").json()["items"]] == ["4"]
    by_value = []
    cursor = ""
    while True:
        page = client.get(f"/api/v1/referrals?sort=deal_value&order=asc&limit=3{cursor}").json()
        by_value += [row["deal_value"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert by_value == [0, 1, 2, 4, 5, 6, None]
    one = client.get("/api/v1/referrals/0E3AB2F5-0000-4000-8000-000000000000").json()
    assert one["history"][0]["status"] == "New"
    assert one["allowed_actions"] == []


def test_sync_now_starts_a_run_and_a_second_click_joins_it(client: TestClient, engine: Engine) -> None:
    first = client.post("/api/v1/referrals/sync", json={})
    second = client.post("/api/v1/referrals/sync", json={})
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["run"]["id"] == second.json()["run"]["id"]
    assert (first.json()["joined"], second.json()["joined"]) == (False, True)
    assert len(engine.launched) == 1
    tags = {tag["key"]: tag["value"] for tag in engine.launched[0]["executionMetadata"]["tags"]}
    assert tags["requested_by"] == "local"
    assert tags["hunter/tick"] == "1"
    assert tags["dagster/asset_partition_range_start"] == tags["dagster/asset_partition_range_end"]
    assert engine.launched[0]["selector"]["repositoryLocationName"] == "hunter"
    engine.finish(first.json()["run"]["id"])
    assert client.get(f"/api/v1/runs/{first.json()['run']['id']}").json()["state"] == "succeeded"
    assert client.post("/api/v1/referrals/sync", json={}).json()["joined"] is False


def test_without_dagster_actions_say_so_and_lists_still_answer(client: TestClient, engine: Engine) -> None:
    engine.close()
    answer = client.post("/api/v1/referrals/sync", json={})
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_down")
    assert answer.json()["fix"]
    assert client.get("/api/v1/leads").status_code == 200
    status = client.get("/api/v1/status").json()
    assert status["health"]["level"] == "problem"
    assert status["health"]["codes"][0]["code"] == "engine_down"


def test_runs_tell_their_stages_and_can_be_cancelled(client: TestClient, engine: Engine, sqlite_store: Store) -> None:
    run_id = client.post("/api/v1/referrals/sync", json={}).json()["run"]["id"]
    with sqlite_store.write() as connection:
        connection.execute(
            sync_runs.insert().values(
                kind="raw_leads", run_id=run_id, state="failed", started_at=seeding.NOW, error="Sign in again."
            )
        )
    run = client.get(f"/api/v1/runs/{run_id}").json()
    assert run["stages"][0]["kind"] == "raw_leads"
    assert run["error"] == "Sign in again."
    assert client.get("/api/v1/runs?limit=1").json()["items"][0]["id"] == run_id
    assert client.post(f"/api/v1/runs/{run_id}/cancel", json={}).json()["run"]["state"] == "cancelled"
    assert engine.terminated == [run_id]
    assert client.get("/api/v1/runs/00000000-0000-4000-8000-000000000000").status_code == 404
    assert client.get("/api/v1/syncs?kind=raw_leads").json()["items"][0]["error"] == "Sign in again."


def test_a_push_names_the_domain_and_needs_the_flag(
    client_for: ClientFactory, furnished: Store, engine: Engine
) -> None:
    refused = client_for(furnished).post(f"/api/v1/dynamics/sync/{DOMAIN}", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "flag_off")
    client = client_for(furnished, dynamics_enabled=True)
    assert client.post(f"/api/v1/dynamics/sync/{DOMAIN}", json={}).status_code == 202
    assert engine.launched[-1]["runConfigData"] == {
        "ops": {"dynamics_records": {"config": {"domains": [DOMAIN], "dry_run": False}}}
    }
    assert client.post("/api/v1/dynamics/sync/none.example", json={}).status_code == 404
    assert client.post(f"/api/v1/leads/{DOMAIN}/rescan", json={}).status_code == 202
    assert engine.launched[-1]["runConfigData"]["ops"]["domain_scans"]["config"] == {
        "domains": [DOMAIN], "force": True, "extended": True,
    }  # fmt: skip


def test_an_idempotency_key_acts_once(client_for: ClientFactory, furnished: Store, engine: Engine) -> None:
    client = client_for(furnished, dynamics_enabled=True)
    key = {"Idempotency-Key": str(uuid4())}
    first = client.post(f"/api/v1/dynamics/sync/{DOMAIN}", json={"dry_run": False}, headers=key)
    again = client.post(f"/api/v1/dynamics/sync/{DOMAIN}", json={"dry_run": False}, headers=key)
    assert first.json() == again.json()
    assert again.status_code == 202
    assert again.headers["idempotency-replayed"] == "true"
    assert len(engine.launched) == 1
    other = client.post(f"/api/v1/leads/{DOMAIN}/rescan", json={}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


def test_a_failed_action_frees_its_idempotency_key(client_for: ClientFactory, furnished: Store, engine: Engine) -> None:
    client = client_for(furnished, dynamics_enabled=True)
    key = {"Idempotency-Key": str(uuid4())}
    engine.close()
    assert client.post(f"/api/v1/dynamics/sync/{DOMAIN}", json={}, headers=key).status_code == 503
    assert client.post(f"/api/v1/dynamics/sync/{DOMAIN}", json={}, headers=key).json()["code"] == "engine_down"


def _until(client: TestClient, bulk_id: int, state: str) -> dict[str, Any]:
    for _ in range(200):
        found: dict[str, Any] = client.get(f"/api/v1/bulk/{bulk_id}").json()
        if found["state"] == state:
            return found
        time.sleep(0.05)
    raise AssertionError(f"the action is {found['state']}, not {state}")


@pytest.mark.slow
def test_a_bulk_action_over_a_filter_reports_done_and_failed(
    client_for: ClientFactory, store: Store, engine: Engine
) -> None:
    with store.write() as connection:
        for number in range(5):
            seeding.company(connection, f"a{number}.example")
        seeding.crm_record(connection, "a3.example", "rejected")
    client = client_for(store, dynamics_enabled=True)
    body = {"filter": {"q": "a", "country": "TR"}}
    answer = client.post("/api/v1/dynamics/bulk-sync", json=body)
    assert answer.status_code == 202
    assert answer.json()["counts"]["total"] == 5
    _until(client, answer.json()["id"], "running")
    engine.finish(client.get(f"/api/v1/bulk/{answer.json()['id']}").json()["run_id"])
    done = _until(client, answer.json()["id"], "done")
    assert done["counts"] == {"total": 5, "done": 4, "failed": 1, "left": 0}
    assert client.get("/api/v1/bulk").json()["items"][0]["id"] == done["id"]
    with store.read() as connection:
        told = [row.body["state"] for row in connection.execute(events.select()) if row.kind == "bulk_progress"]
    assert told == ["queued", "running", "running", "done"]


@pytest.mark.slow
def test_a_bulk_action_can_be_cancelled_and_ends_its_run(
    client_for: ClientFactory, furnished: Store, engine: Engine
) -> None:
    client = client_for(furnished, dynamics_enabled=True)
    bulk_id = client.post("/api/v1/dynamics/bulk-sync", json={"domains": [DOMAIN]}).json()["id"]
    run_id = _until(client, bulk_id, "running")["run_id"]
    assert client.post(f"/api/v1/bulk/{bulk_id}/cancel", json={}).json()["state"] == "cancelled"
    for _ in range(100):
        if engine.terminated:
            break
        time.sleep(0.05)
    assert engine.terminated == [run_id]
    assert client.get(f"/api/v1/bulk/{bulk_id}").json()["state"] == "cancelled"


def test_a_bulk_action_goes_on_after_a_restart(client_for: ClientFactory, furnished: Store, engine: Engine) -> None:
    from hunter_orchestration.store import page_state

    with furnished.write() as connection:
        bulk_id = page_state.add_bulk(connection, "rescan", "local", [DOMAIN], None)
    client = client_for(furnished)
    _until(client, bulk_id, "running")
    assert engine.launched[0]["runConfigData"]["ops"]["domain_scans"]["config"]["domains"] == [DOMAIN]


@pytest.mark.parametrize(
    "body",
    [{}, {"domains": ["a.example"], "filter": {}}, {"domains": []}, {"domains": ["unknown.example"]},
     {"filter": {"nope": 1}}, {"filter": {"q": "matches nothing"}}],
)  # fmt: skip
def test_a_bulk_action_over_nothing_or_the_unknown_is_refused(
    client_for: ClientFactory, sqlite_store: Store, body: dict[str, Any]
) -> None:
    client = client_for(sqlite_store, dynamics_enabled=True)
    assert client.post("/api/v1/dynamics/bulk-sync", json=body).status_code == 422


def test_conflicts_rejects_and_differences_are_listed(client_for: ClientFactory, furnished: Store) -> None:
    client = client_for(furnished, dynamics_enabled=True)
    conflicts = client.get("/api/v1/dynamics/conflicts").json()
    assert conflicts["total"] == 1
    assert conflicts["items"][0]["candidates"] == [{"crm_id": "x"}]
    assert conflicts["items"][0]["name"] == "Ege İnşaat ve Proje A.Ş."
    assert client.get("/api/v1/dynamics/rejects").json() == {"items": [], "total": 0, "next": None}
    assert client.get("/api/v1/dynamics/differences").json()["total"] == 0
    assert client.post("/api/v1/dynamics/rejects/retry", json={}).json() == {"count": 0, "run": None}


def test_what_dynamics_holds_otherwise_and_what_was_tried_name_the_domain_as_people_read_it(
    client_for: ClientFactory, store: Store
) -> None:
    domain, shown = "xn--irket-idb.example", "şirket.example"
    row = {"found_at": seeding.NOW, "table_name": "account", "kind": "field", "field": "name"}
    with store.write() as connection:
        seeding.company(connection, domain)
        seeding.crm_record(connection, domain, "rejected", error="no")
        connection.execute(
            crm_differences.insert(),
            [
                {**row, "external_id": domain, "company_domain": domain, "claimed": "Şirket", "found": "Sirket"},
                {**row, "external_id": "gone.example", "company_domain": None, "claimed": None, "found": "Gone"},
            ],
        )
    client = client_for(store, dynamics_enabled=True)
    found = client.get("/api/v1/dynamics/differences").json()
    assert found["total"] == 2
    assert [(item["domain"], item["domain_shown"]) for item in found["items"]] == [(None, None), (domain, shown)]
    assert (found["items"][1]["table"], found["items"][1]["claimed"]) == ("account", "Şirket")
    for listed in ("rejects", "audit"):
        (item,) = client.get(f"/api/v1/dynamics/{listed}").json()["items"]
        assert (item["domain"], item["domain_shown"], item["table"]) == (domain, shown, "account")


def test_each_candidate_of_a_conflict_can_be_looked_at_in_dynamics(client_for: ClientFactory, furnished: Store) -> None:
    client = client_for(furnished, dynamics_enabled=True, dynamics_url="https://contoso.crm4.dynamics.example")
    (candidate,) = client.get("/api/v1/dynamics/conflicts").json()["items"][0]["candidates"]
    assert candidate["link"].startswith("https://contoso.crm4.dynamics.example/main.aspx?")
    assert candidate["link"].endswith("etn=account&id=x")


def test_saved_views_belong_to_their_owner_and_keep_their_names_apart(client: TestClient) -> None:
    first = client.post("/api/v1/views", json={"name": "Benim P1'lerim", "query": "priority=P1"})
    assert first.status_code == 201
    other = client.post("/api/v1/views", json={"name": "Other", "query": ""}).json()
    again = client.post("/api/v1/views", json={"name": "Benim P1'lerim", "query": "priority=P1,P2"}).json()
    assert again["id"] == first.json()["id"]
    assert [view["name"] for view in client.get("/api/v1/views").json()["items"]] == ["Benim P1'lerim", "Other"]
    taken = client.put(f"/api/v1/views/{other['id']}", json={"name": "Benim P1'lerim", "query": ""})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    assert client.put(f"/api/v1/views/{other['id']}", json={"name": "Mine", "query": "q=a"}).json()["query"] == "q=a"
    assert client.delete(f"/api/v1/views/{other['id']}").status_code == 204
    assert client.delete(f"/api/v1/views/{other['id']}").status_code == 404


def test_the_page_is_served_by_version_and_kept_for_ever(client: TestClient, page: Path) -> None:
    index = client.get("/leads/egeinsaat.example", headers={"Accept": "text/html"})
    version = index.text.split("/static/")[1].split("/")[0]
    assert index.headers["cache-control"] == "no-cache"
    script = client.get(f"/static/{version}/app.js")
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-encoding"] == "gzip"
    assert client.get(f"/static/{version}/lib/part.js").text == (page / "lib" / "part.js").read_text()
    assert client.get("/static/app.js").headers["cache-control"] == "no-cache"
    assert client.get("/", headers={"If-None-Match": index.headers["etag"]}).status_code == 304
    assert client.get("/favicon.svg").headers["content-type"] == "image/svg+xml"
    assert client.get("/static/%2e%2e/conftest.py").status_code == 404
    assert client.get(f"/static/{version}/missing.js").json()["code"] == "not_found"


def test_health_is_told_for_machines(client_for: ClientFactory, tmp_path: Path, sqlite_store: Store) -> None:
    client = client_for(sqlite_store)
    assert client.get("/healthz/live").json() == {"status": "alive"}
    assert client.get("/healthz/ready").status_code == 200
    empty = Store(f"sqlite:///{tmp_path / 'empty.db'}")
    answer = client_for(empty).get("/healthz/ready")
    assert (answer.status_code, answer.json()["reason"]) == (503, "The database needs hunter db upgrade.")
    empty.close()


def test_the_status_tells_who_asks_and_what_is_on(client_for: ClientFactory, sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        connection.execute(
            sync_runs.insert().values(
                kind="raw_leads", state="succeeded", started_at=seeding.NOW, finished_at=seeding.NOW
            )
        )
    client = client_for(sqlite_store, demo=True, environment="development", client_secret="canary-4711")
    answer = client.get("/api/v1/status")
    body = answer.json()
    assert body["mode"] == "demo"
    assert body["user"] == {
        "name": "local", "role": "admin", "signed_in": False, "can": {"act": True, "export": True, "admin": True}
    }  # fmt: skip
    assert body["partner_center"]["interval_seconds"] == 30
    assert [code["code"] for code in body["health"]["codes"]] == ["synced", "dynamics_off"]
    assert "canary-4711" not in answer.text
    assert "HUNTER_CLIENT_SECRET" not in answer.text
