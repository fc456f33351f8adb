"""The referrals list: grammar, windows, paging, scope, faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration_tests.sandbox.conftest import REFERRALS, Caller

_OWN = json.loads((Path(__file__).parent / "referral.schema.json").read_text())
_CONTRACT = Path(__file__).parents[2].parent / "shared/contracts/partner-center.schema.json"


def _schemas() -> list[dict[str, object]]:
    """The rules kept here, and the whole contract where it lies beside the repository."""
    schemas = [_OWN]
    if _CONTRACT.exists():
        document = json.loads(_CONTRACT.read_text())
        schemas.append({"$ref": "#/$defs/Referral", "$defs": document["$defs"]})
    return schemas


@pytest.mark.slow
def test_every_referral_fits_the_contract(caller: Caller) -> None:
    rows = [row for page in caller.pages() for row in page]
    assert len(rows) > 300
    for schema in _schemas():
        validator = Draft202012Validator(schema)
        for row in rows:
            validator.validate(row)


def test_paging_gives_every_referral_once(box: RunningSandbox, caller: Caller) -> None:
    for size in (25, 100):
        box.configure("partner_center", page_size=size)
        pages = caller.pages(orderby="updatedDateTime asc")
        ids = [row["id"] for page in pages for row in page]
        assert all(len(page) == size for page in pages[:-1])
        assert sorted(map(str, ids)) == sorted(fact["id"] for fact in box.referrals())
        stamps = [str(row["updatedDateTime"])[:19] for page in pages for row in page]
        assert stamps == sorted(stamps)


def test_a_window_holds_what_changed_in_it_and_nothing_else(box: RunningSandbox, caller: Caller) -> None:
    changed = box.change_referral(box.referrals()[3]["id"], {"statusReason": "seen"})
    stamp = changed["updatedDateTime"]
    from_it = caller.get(filter=f"updatedDateTime ge {stamp}").json()["value"]
    assert [row["id"] for row in from_it] == [changed["id"]]
    assert caller.get(filter=f"updatedDateTime gt {stamp}").json()["value"] == []
    exactly = caller.get(filter=f"updatedDateTime ge {stamp} and updatedDateTime le {stamp}").json()["value"]
    assert [row["id"] for row in exactly] == [changed["id"]]
    assert changed["id"] not in {r["id"] for page in caller.pages(filter=f"updatedDateTime lt {stamp}") for r in page}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("status eq 'New'", lambda r: r["status"] == "New"),
        ("status ne 'New' and type eq 'Shared'", lambda r: r["status"] != "New" and r["type"] == "Shared"),
        (
            "(status eq 'Closed' and substatus eq 'Won') or qualification eq 'Direct'",
            lambda r: r["substatus"] == "Won" or r["qualification"] == "Direct",
        ),
        ("customerProfile/address/country eq 'TR'", lambda r: r["customerProfile"]["address"]["country"] == "TR"),
        ("details/dealValue ge 95000", lambda r: (r["details"]["dealValue"] or 0) >= 95000),
        (
            "team/any(t:t/email eq 'dunya.gezgin@hunter-partner.example')",
            lambda r: any(m["email"] == "dunya.gezgin@hunter-partner.example" for m in r.get("team") or []),
        ),
        (
            "email eq 'dunya.gezgin@hunter-partner.example'",
            lambda r: any(m["email"] == "dunya.gezgin@hunter-partner.example" for m in r.get("team") or []),
        ),
    ],
)
def test_filters_select_what_they_say(caller: Caller, text: str, holds: object) -> None:
    everything = [row for page in caller.pages() for row in page]
    found = {row["id"] for page in caller.pages(filter=text) for row in page}
    assert found == {row["id"] for row in everything if holds(row)}  # type: ignore[operator]
    assert found


@pytest.mark.parametrize(("literals", "answers"), [("both", [200, 200]), ("bare", [200, 400]), ("quoted", [400, 200])])
def test_times_are_taken_bare_or_quoted_as_the_setting_says(
    box: RunningSandbox, caller: Caller, literals: str, answers: list[int]
) -> None:
    box.configure("partner_center", date_literals=literals)
    forms = ["updatedDateTime ge 2025-01-01T00:00:00Z", "updatedDateTime ge '2025-01-01T00:00:00Z'"]
    assert [caller.get(filter=form, top="1").status_code for form in forms] == answers


def test_an_engagement_is_found_by_its_id_quoted_or_not(box: RunningSandbox, caller: Caller) -> None:
    pair = next(fact for fact in box.referrals() if fact["kind"] == "microsoft_side")
    for literal in (f"'{pair['engagementId']}'", pair["engagementId"]):
        rows = caller.get(filter=f"engagementId eq {literal}").json()["value"]
        assert len(rows) == 2
        assert pair["id"] in {row["id"] for row in rows}


@pytest.mark.parametrize(
    "query",
    [
        {"$filter": "website eq 'x'"},
        {"$filter": "status eq"},
        {"$filter": "contains(name,'x')"},
        {"$filter": "status eq 'New' extra"},
        {"$filter": "updatedDateTime ge 'yesterday'"},
        {"$orderby": "name"},
        {"$orderby": "updatedDateTime asc, createdDateTime desc"},
        {"$select": "id,website"},
        {"$top": "-1"},
        {"$skip": "5"},
        {"$count": "true"},
        {"pageSize": "5"},
        {"$skiptoken": "made-up"},
    ],
)
def test_what_the_contract_does_not_know_is_refused(caller: Caller, query: dict[str, str]) -> None:
    answer = caller.session.get(caller.url, params=query, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalidRequest"


def test_own_parameters_on_a_next_link_are_refused(caller: Caller) -> None:
    link = caller.get().json()["@odata.nextLink"]
    assert caller.session.get(link + "&$top=5", timeout=30).status_code == 400


def test_select_and_top_are_kept_over_pages(box: RunningSandbox, caller: Caller) -> None:
    box.configure("partner_center", page_size=25)
    pages = caller.pages(select="id,status", top="60", orderby="createdDateTime desc")
    assert [len(page) for page in pages] == [25, 25, 10]
    assert all(set(row) == {"id", "status"} for page in pages for row in page)


def test_next_links_come_in_every_documented_shape(box: RunningSandbox, caller: Caller) -> None:
    assert caller.get().json()["@odata.nextLink"].startswith(box.partner_center + REFERRALS + "?$skiptoken=")
    box.configure("partner_center", next_link="docs")
    docs = caller.get().json()["@odata.nextLink"]
    assert docs.startswith(box.partner_center + "/v1.0/referrals?$skiptoken=")
    assert len(caller.session.get(docs, timeout=30).json()["value"]) == 100
    box.configure("partner_center", next_link="foreign")
    assert "attacker.example" in caller.get().json()["@odata.nextLink"]


def test_the_count_comes_in_every_documented_shape(box: RunningSandbox, caller: Caller) -> None:
    total = len(box.referrals())
    for form, expected in (("page", 100), ("one", 1), ("total", total), ("absent", None)):
        box.configure("partner_center", count=form)
        assert caller.get().json().get("@odata.count") == expected


def test_the_user_role_sees_only_rows_whose_team_names_it(caller: Caller, user_caller: Caller) -> None:
    mail = "dunya.gezgin@hunter-partner.example"
    everything = [row for page in caller.pages() for row in page]
    own = {r["id"] for r in everything if any(m["email"] == mail for m in r.get("team") or [])}  # type: ignore[attr-defined]
    seen = {row["id"] for page in user_caller.pages() for row in page}
    assert seen == own
    assert 0 < len(seen) < len(everything)
    hidden = next(r["id"] for r in everything if r["id"] not in own)
    assert user_caller.get(f"/{hidden}").status_code == 404


def test_tokens_for_other_doors_are_refused(box: RunningSandbox, caller: Caller) -> None:
    caller.session.headers["Authorization"] = ""
    assert caller.get().status_code == 401
    form = {"grant_type": "client_credentials", "client_id": box.client_id, "client_secret": box.client_secret}
    token_url = f"{box.authority}/{box.tenant}/oauth2/v2.0/token"
    for scope, status in ((box.dynamics, 401), ("https://api.partner.microsoft.com", 403)):
        token = caller.session.post(token_url, data={**form, "scope": scope + "/.default"}, timeout=30).json()
        caller.session.headers["Authorization"] = f"Bearer {token['access_token']}"
        assert caller.get().status_code == status
    box.configure("partner_center", app_only=True)
    assert caller.get().status_code == 200


def test_a_token_lives_an_hour_on_the_sandbox_clock(box: RunningSandbox, caller: Caller) -> None:
    box.advance(3500)
    assert caller.get(top="1").status_code == 200
    box.advance(200)
    assert caller.get(top="1").status_code == 401


def test_headers_carry_the_request_ids(caller: Caller) -> None:
    answer = caller.session.get(caller.url, headers={"client-request-id": "abc"}, timeout=30)
    assert answer.headers["client-request-id"] == "abc"
    assert answer.headers["request-id"]


def test_list_faults_break_paging_as_told(box: RunningSandbox, caller: Caller) -> None:
    def page(link: str | None = None) -> dict[str, object]:
        answer = caller.session.get(link, timeout=30) if link else caller.get(orderby="updatedDateTime asc")
        body: dict[str, object] = answer.json()
        return body

    def ids(body: dict[str, object]) -> list[str]:
        return [row["id"] for row in body["value"]]  # type: ignore[attr-defined]

    first = page()
    box.fault("partner_center", "loop")
    again = page(str(first["@odata.nextLink"]))
    assert again["@odata.nextLink"] == first["@odata.nextLink"] or ids(page(str(again["@odata.nextLink"]))) == ids(
        again
    )
    box.fault("partner_center", "repeat_page")
    assert ids(page(str(first["@odata.nextLink"]))) == ids(first)
    box.fault("partner_center", "duplicate_row")
    assert ids(page(str(first["@odata.nextLink"])))[0] == ids(first)[-1]
    box.fault("partner_center", "empty_page")
    empty = page(str(first["@odata.nextLink"]))
    assert empty["value"] == []
    assert len(ids(page(str(empty["@odata.nextLink"])))) == 100
    box.fault("partner_center", "inject", rows=[{"id": 5, "status": ["?"]}])
    assert page()["value"][-1] == {"id": 5, "status": ["?"]}  # type: ignore[index]
    box.configure("partner_center", empty=True)
    assert page()["value"] == []
    assert "@odata.nextLink" not in page()


def test_a_burst_shares_one_stamp(box: RunningSandbox, caller: Caller) -> None:
    stamp = box.burst(120)
    pages = caller.pages(filter=f"updatedDateTime ge {stamp}", orderby="updatedDateTime asc")
    assert [len(page) for page in pages] == [100, 20]
    assert {row["updatedDateTime"] for page in pages for row in page} == {stamp}


def test_rows_that_move_between_pages_are_found_at_the_end(box: RunningSandbox, caller: Caller) -> None:
    box.configure("partner_center", page_size=25)
    box.fault("partner_center", "move_rows", times=3, count=4)
    seen = {row["id"] for page in caller.pages(orderby="updatedDateTime asc") for row in page}
    assert seen == {fact["id"] for fact in box.referrals()}
