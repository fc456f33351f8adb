"""Arguing with a score, the briefing, and what people decide about leads, referrals and files."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from hunter_orchestration.scoring import rules as rules_module
from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.operations import events
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scores import scores
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.web import seeding
from hunter_orchestration_tests.web.conftest import ClientFactory
from hunter_orchestration_tests.web.engine import Engine

DOMAIN = "egeinsaat.com.tr"
OTHER = "marmarayapi.com.tr"
REFERRAL = "0e3ab2f5-0000-4000-8000-000000000001"


@pytest.fixture
def furnished(store: Store) -> Store:
    """A scored company, another one, and a referral that belongs to none."""
    with store.write() as connection:
        seeding.company(connection, DOMAIN)
        seeding.scored(connection, DOMAIN)
        seeding.company(connection, OTHER, "Marmara Yapı Ltd.")
        seeding.referral(connection, REFERRAL, None, company_name="Marmara Yapı Limited")
    return store


def test_what_if_scores_with_other_inputs_and_stores_nothing(client_for: ClientFactory, furnished: Store) -> None:
    client = client_for(furnished)
    answer = client.post(f"/api/v1/leads/{DOMAIN}/what-if", json={"dmarc": "reject"}).json()
    assert answer["then"]["score"] - answer["now"]["score"] == answer["difference"]
    assert answer["difference"] > 0
    assert client.get(f"/api/v1/leads/{DOMAIN}/score").json()["score"] == 75
    unknown = client.post(f"/api/v1/leads/{DOMAIN}/what-if", json={"provider": None, "mx": None}).json()
    assert [point["rule"] for point in unknown["then"]["breakdown"] if point["state"] == "unknown"] == [
        "mx",
        "provider",
    ]
    assert client.post(f"/api/v1/leads/{DOMAIN}/what-if", json={"dmarc": "perhaps"}).status_code == 422
    assert client.post(f"/api/v1/leads/{OTHER}/what-if", json={}).json()["code"] == "no_score"


def test_the_moves_are_told_in_both_languages(client_for: ClientFactory, furnished: Store) -> None:
    moves = client_for(furnished).get(f"/api/v1/leads/{DOMAIN}/moves").json()["items"]
    assert moves
    assert set(moves[0]["text"]) == {"en", "tr"}


def _get(client: TestClient, rest: str = "") -> Any:
    return client.get(f"/api/v1/leads/{DOMAIN}{rest}")


def test_a_file_that_breaks_while_hunter_runs_leaves_the_page_as_it_was(
    client_for: ClientFactory, furnished: Store, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"{name}.yaml" for name in ("rules", "briefing", "offers")}
    for path in files.values():
        path.write_bytes((Path(rules_module.__file__).parent / path.name).read_bytes())
    client = client_for(furnished, **{f"{name}_file": path for name, path in files.items()})
    asked = ("", "/score", "/moves", "/briefing")
    before = [_get(client, rest).json() for rest in asked]
    for path in files.values():
        path.write_text("version: [\n")
    assert [_get(client, rest).json() for rest in asked] == before
    assert _get(client, "/briefing.pdf").status_code == 200


def test_a_lead_is_shown_though_the_rules_file_never_was_right(
    client_for: ClientFactory, furnished: Store, tmp_path: Path
) -> None:
    broken = tmp_path / "rules.yaml"
    broken.write_text("version: 7\n")
    client = client_for(furnished, rules_file=broken)
    score = _get(client).json()["score"]
    assert (score["score"], score["reach"]) == (75, None)
    assert score["breakdown"][0]["points"] == 50
    refused = _get(client, "/moves").json()
    assert f"{broken}:1: version: text is expected, in quotation marks" in refused["detail"]


@pytest.mark.parametrize("lang", ["tr", "en"])
def test_a_briefing_is_text_and_paper(client_for: ClientFactory, furnished: Store, lang: str) -> None:
    client = client_for(furnished)
    answer = client.get(f"/api/v1/leads/{DOMAIN}/briefing?lang={lang}")
    assert answer.status_code == 200
    assert answer.json()["briefing"]["opening"]
    assert answer.json()["briefing"]["script"]
    paper = client.get(f"/api/v1/leads/{DOMAIN}/briefing.pdf?lang={lang}")
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.content.startswith(b"%PDF-")
    assert client.get(f"/api/v1/leads/{DOMAIN}/briefing?lang=de").status_code == 422


def test_a_briefing_counts_from_when_the_lead_got_its_category(client_for: ClientFactory, furnished: Store) -> None:
    with furnished.write() as connection:
        connection.execute(update(scores).values(changed_at=utc_now(), priority_since=utc_now() - timedelta(weeks=3)))
    told = client_for(furnished).get(f"/api/v1/leads/{DOMAIN}/briefing").json()["briefing"]
    assert told["urgency"].startswith("Overdue: the first call was due by ")


def test_a_lead_is_added_by_hand_and_starts_a_run(client: TestClient, engine: Engine) -> None:
    body = {"email": "info@yenifirma.com.tr", "company": "Yeni Firma", "country": "TR"}
    answer = client.post("/api/v1/leads", json=body)
    assert answer.status_code == 202
    assert answer.json()["domain"] == "yenifirma.com.tr"
    assert answer.json()["run"]["job"] == "sync_referrals"
    assert client.get("/api/v1/leads/yenifirma.com.tr").json()["company"]["name"] == "Yeni Firma"
    again = client.post("/api/v1/leads", json=body)
    assert again.json()["raw_lead_id"] == answer.json()["raw_lead_id"]
    assert client.get("/api/v1/leads").json()["total"] == 1


def test_a_lead_is_kept_while_dagster_is_away(client: TestClient, engine: Engine) -> None:
    engine.close()
    answer = client.post("/api/v1/leads", json={"domain": "yenifirma.com.tr"})
    assert (answer.status_code, answer.json()["run"]) == (202, None)
    assert client.get("/api/v1/leads/yenifirma.com.tr").status_code == 200


@pytest.mark.parametrize("body", [{}, {"company": "No domain"}, {"email": "a@gmail.com"}, {"domain": "com.tr"}])
def test_a_lead_without_a_company_domain_is_refused_with_the_reason(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/api/v1/leads", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_a_correction_by_hand_is_shown_and_can_be_taken_back(client_for: ClientFactory, furnished: Store) -> None:
    client = client_for(furnished)
    edited = client.patch(f"/api/v1/leads/{DOMAIN}", json={"name": "Ege Yapı", "phone": "+90 212 000 00 00"})
    assert edited.status_code == 200
    assert edited.json()["lead"]["name"] == "Ege Yapı"
    assert "name" in edited.json()["company"]["edited"]
    assert client.get("/api/v1/leads?q=ege yapi").json()["total"] == 1
    back = client.patch(f"/api/v1/leads/{DOMAIN}", json={"name": None}).json()
    assert "name" not in (back["company"]["edited"] or {})
    assert client.patch(f"/api/v1/leads/{DOMAIN}", json={}).status_code == 422


def test_two_companies_are_merged_and_parted_again(client_for: ClientFactory, furnished: Store) -> None:
    client = client_for(furnished)
    merged = client.post(f"/api/v1/leads/{OTHER}/merge", json={"into": DOMAIN})
    assert merged.status_code == 200
    assert client.get(f"/api/v1/leads/{OTHER}").json()["merged_from"] == OTHER
    assert client.get("/api/v1/leads").json()["total"] == 1
    (told,) = client.get(f"/api/v1/leads/{DOMAIN}").json()["merges"]
    assert (told["id"], told["loser"], bool(told["at"])) == (merged.json()["merge_id"], OTHER, True)
    assert client.post(f"/api/v1/merges/{merged.json()['merge_id']}/undo", json={}).status_code == 200
    assert client.get(f"/api/v1/leads/{DOMAIN}").json()["merges"] == []
    assert client.get(f"/api/v1/leads/{OTHER}").json()["merged_from"] is None
    assert client.post(f"/api/v1/leads/{OTHER}/merge", json={"into": OTHER}).status_code == 422


def test_a_referral_is_linked_by_a_suggestion_and_unlinked(client_for: ClientFactory, furnished: Store) -> None:
    client = client_for(furnished)
    best = client.get(f"/api/v1/referrals/{REFERRAL}/suggestions").json()["items"][0]
    assert best["domain"] == OTHER
    linked = client.post(f"/api/v1/referrals/{REFERRAL}/link", json={"domain": best["domain"]})
    assert linked.json()["company_domain"] == OTHER
    assert linked.json()["linked_by"] == "local"
    assert client.post(f"/api/v1/referrals/{REFERRAL}/unlink", json={}).json()["company_domain"] is None
    made = client.post(f"/api/v1/referrals/{REFERRAL}/create-lead", json={"domain": "www.marmaragrup.com.tr"})
    assert made.json()["company_domain"] == "marmaragrup.com.tr"
    with furnished.read() as connection:
        assert "leads_changed" in {row.kind for row in connection.execute(events.select())}
    assert client.post("/api/v1/referrals/none/link", json={"domain": OTHER}).status_code == 404
    assert client.post(f"/api/v1/referrals/{REFERRAL}/link", json={"domain": "none.com.tr"}).status_code in (404, 409)


def test_write_back_is_off_unless_switched_on_and_only_allows_what_the_state_allows(
    client_for: ClientFactory, furnished: Store
) -> None:
    body = {"action": "accept"}
    off = client_for(furnished).post(f"/api/v1/referrals/{REFERRAL}/actions", json=body)
    assert (off.status_code, off.json()["code"]) == (409, "flag_off")
    client = client_for(furnished, partner_center_write_back=True)
    allowed = client.get(f"/api/v1/referrals/{REFERRAL}").json()["allowed_actions"]
    assert "accept" in allowed
    assert "win" not in allowed
    won = client.post(f"/api/v1/referrals/{REFERRAL}/actions", json={"action": "win"})
    assert (won.status_code, won.json()["code"]) == (409, "not_allowed_now")


def test_a_win_may_correct_the_value_and_nothing_else_does(client_for: ClientFactory, furnished: Store) -> None:
    with furnished.write() as connection:
        connection.execute(referrals.update().where(referrals.c.id == REFERRAL).values(status="Active"))
    client = client_for(furnished, partner_center_write_back=True)
    told = client.post(f"/api/v1/referrals/{REFERRAL}/actions", json={"action": "win", "deal_value": 1250.5})
    # Understood and allowed; it is the sign-in that is missing here.
    assert (told.status_code, told.json()["code"]) == (409, "refused")
    assert "signed in to Partner Center" in told.json()["detail"]
    for wrong in ({"action": "lose", "deal_value": 1}, {"action": "win", "deal_value": -1}):
        assert client.post(f"/api/v1/referrals/{REFERRAL}/actions", json=wrong).status_code == 422


def test_a_file_is_uploaded_looked_at_and_started(client_for: ClientFactory, store: Store, engine: Engine) -> None:
    client = client_for(store)
    file = io.BytesIO("Firma;Web sitesi;E-posta\nEge İnşaat;egeinsaat.com.tr;info@egeinsaat.com.tr\n".encode())
    answer = client.post("/api/v1/imports", files={"file": ("liste.csv", file, "text/csv")})
    assert answer.status_code == 201
    body = answer.json()
    assert body["state"] == "uploaded"
    assert body["preview"]["headings"] == ["Firma", "Web sitesi", "E-posta"]
    assert body["preview"]["columns"]["company"] == "Firma"
    assert client.get(f"/api/v1/imports/{body['id']}/preview").json()["rows"][0][0] == "Ege İnşaat"
    started = client.post(f"/api/v1/imports/{body['id']}/start", json={"columns": body["preview"]["columns"]})
    assert started.status_code == 202
    assert engine.launched[-1]["runConfigData"] == {"ops": {"import_file": {"config": {"import_id": body["id"]}}}}
    assert started.json()["import"]["id"] == body["id"]
    assert client.get("/api/v1/imports").json()["items"][0]["id"] == body["id"]
    assert client.get(f"/api/v1/imports/{body['id']}/rejects").json()["total"] == 0
    assert client.get(f"/api/v1/imports/{body['id']}/rejects.csv").status_code == 200
    assert client.get("/api/v1/imports/999").status_code == 404


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, b"PK\x03\x04broken"])
def test_a_file_that_is_no_table_is_refused(client: TestClient, content: bytes) -> None:
    answer = client.post("/api/v1/imports", files={"file": ("x.csv", io.BytesIO(content), "text/csv")})
    assert answer.status_code in (409, 422)
    assert answer.json()["detail"]


def test_a_dry_run_without_dynamics_says_what_is_off(client_for: ClientFactory, furnished: Store) -> None:
    answer = client_for(furnished).post(f"/api/v1/dynamics/sync/{DOMAIN}", json={"dry_run": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "flag_off")
