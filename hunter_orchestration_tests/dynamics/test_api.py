"""What a person decides and reads over the API, against the organisation itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from hunter_orchestration.store import runs
from hunter_orchestration.web.app import create_app
from hunter_orchestration_tests.dynamics.world import World, add_companies, domain_of

REFERRAL = "00000000-0000-4000-8000-{:012d}"
API = "/api/v1/dynamics"


@pytest.fixture
def api(world: World, tmp_path: Path) -> Iterator[TestClient]:
    (tmp_path / "index.html").write_text("<!doctype html>")
    app = create_app(world.settings, store=world.store, page=tmp_path)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


def test_a_dry_run_tells_what_would_be_written_and_what_stays(world: World, api: TestClient) -> None:
    add_companies(world.store, [1])
    world.push()
    world.sales.edit("account", domain_of(1), telephone1="+90 212 555 0199")
    world.pull()
    world.writes()
    plan = api.post(f"{API}/sync/{domain_of(1)}", json={"dry_run": True}).json()["plan"]
    assert {p["operation"] for p in plan} == {"unchanged"}
    assert plan[0]["kept"] == {"telephone1": ["+90 212 555 0199", "+90 232 555 0001"]}
    assert world.writes() == {}


def test_a_person_qualifies_a_lead_and_ends_its_opportunity(world: World, api: TestClient) -> None:
    add_companies(world.store, [1, 2])
    world.push()
    assert api.post(f"{API}/leads/{domain_of(1)}/qualify").json()["crm_state"] == "qualified"
    assert world.sales.row("lead", domain_of(1))["statecode"] == 1
    ended = api.post(f"{API}/opportunities/{REFERRAL.format(1)}/close", json={"won": True, "reason": "Signed"})
    assert ended.json()["crm_state"] == "won"
    assert (
        api.post(f"{API}/opportunities/{REFERRAL.format(2)}/close", json={"won": False}).json()["crm_state"] == "lost"
    )
    refused = api.post(f"{API}/opportunities/{REFERRAL.format(1)}/close", json={"won": False})
    assert refused.status_code in (409, 422)
    assert "closed in the CRM" in refused.json()["detail"]
    assert api.post(f"{API}/opportunities/none/close", json={"won": True}).status_code == 404
    world.settles()


def test_a_person_merges_two_accounts_and_asks_for_a_deleted_record_again(world: World, api: TestClient) -> None:
    add_companies(world.store, [1, 2])
    world.push()
    merged = api.post(f"{API}/accounts/{domain_of(2)}/merge", json={"into": domain_of(1)}).json()
    assert (merged["state"], merged["error_code"]) == ("skipped", "merged_in_crm")
    world.sales.delete("lead", domain_of(1))
    world.pull()
    assert [r["fix"] for r in api.get(f"{API}/rejects").json()["items"]] == ["recreate_on_demand"]
    again = api.post(f"{API}/records/recreate", json={"table": "lead", "external_id": domain_of(1)})
    assert again.json()["state"] == "pending"
    assert world.push().counts["created"] == 1
    twice = api.post(f"{API}/records/recreate", json={"table": "lead", "external_id": domain_of(1)})
    assert twice.status_code in (409, 422)


def test_the_audit_of_all_companies_is_read_by_pages_and_taken_away_whole(world: World, api: TestClient) -> None:
    add_companies(world.store, range(3))
    world.push()
    found, cursor = [], None
    while True:
        page = api.get(f"{API}/audit", params={"limit": 5, **({"cursor": cursor} if cursor else {})}).json()
        found += page["items"]
        if (cursor := page["next"]) is None:
            break
    assert len(found) == len({e["id"] for e in found}) == 24
    assert [e["id"] for e in found] == sorted((e["id"] for e in found), reverse=True)
    assert {e["domain"] for e in found} == {domain_of(n) for n in range(3)}
    chosen = api.get(f"{API}/audit", params={"domain": domain_of(1), "table": "lead", "outcome": "sent"}).json()[
        "items"
    ]
    assert [(e["domain"], e["run_id"], e["operation"]) for e in chosen] == [(domain_of(1), "run-1", "create")]
    assert chosen[0]["fields"]["companyname"] == [None, "Şirket 1 A.Ş."]
    taken = api.get(f"{API}/audit.jsonl", params={"outcome": "confirmed"})
    lines = [json.loads(line) for line in taken.text.splitlines()]
    assert taken.headers["content-type"].startswith("application/x-ndjson")
    assert [e["id"] for e in lines] == sorted(e["id"] for e in found if e["outcome"] == "confirmed")
    assert api.get(f"{API}/audit", params={"outcome": "lost"}).status_code == 422
    assert api.get(f"{API}/audit", params={"since": "2999-01-01T00:00:00Z"}).json()["items"] == []


def test_a_decision_waits_for_the_run_that_works(world: World, api: TestClient) -> None:
    add_companies(world.store, [1])
    world.push()
    token = runs.acquire_lease(world.store, "dynamics", "run-7")
    answer = api.post(f"{API}/leads/{domain_of(1)}/qualify")
    runs.release_lease(world.store, "dynamics", token)
    assert answer.status_code == 409
    assert "run-7" in answer.json()["detail"]
