"""Service protection limits, and the control API through which people of the CRM act."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from hunter_orchestration.sandbox.dataverse.standalone import running
from hunter_orchestration_tests.sandbox.dataverse_box import Box


@pytest.fixture
def box(dataverse: Box) -> Box:
    return dataverse


PATH = "/tables/lead/rows"


def test_too_many_requests_in_the_window_are_told_to_wait(box: Box) -> None:
    box.settings["limit_requests"] = 3
    for _ in range(3):
        box.get("WhoAmI")
    response = box.send("GET", "WhoAmI")
    assert (response.status_code, response.json()["error"]["code"]) == (429, "0x80072322")
    first = int(response.headers["Retry-After"])
    box.running.clock.advance(1)
    again = int(box.send("GET", "WhoAmI").headers["Retry-After"])
    assert again > first
    counted = box.control("GET", "/counters")
    assert counted["limits_broken"] == {"0x80072322": 2}
    assert counted["requests_sent_while_told_to_wait"] == 1
    box.running.clock.advance(301)
    box.get("WhoAmI")
    box.running.clock.advance(-302)


def test_callers_are_counted_apart(box: Box) -> None:
    box.settings["limit_requests"] = 1
    box.get("WhoAmI")
    assert box.send("GET", "WhoAmI").status_code == 429
    assert box.send("GET", "WhoAmI", Authorization="Bearer another").status_code == 200


def test_a_bulk_message_counts_once_but_costs_time_for_every_row(box: Box) -> None:
    box.settings.update(limit_requests=2, limit_execution_ms=500, execution_ms_per_row=10)
    rows = {f"d{n}.example": {"subject": "x"} for n in range(60)}
    assert box.upsert_many("leads", "lead", rows).status_code == 204
    response = box.send("GET", "WhoAmI")
    assert (response.status_code, response.json()["error"]["code"]) == (429, "0x80072321")


def test_a_batch_costs_time_for_every_row(box: Box) -> None:
    box.settings.update(limit_execution_ms=500, execution_ms_per_row=10)
    one = (
        "--b\nContent-Type: application/http\n\nPATCH /api/data/v9.2/leads(hnt_externalid='a') HTTP/1.1\n"
        'Content-Type: application/json\n\n{"subject":"x"}\n'
    )
    assert box.batch(one * 60 + "--b--\n").status_code == 200
    assert box.send("GET", "WhoAmI").json()["error"]["code"] == "0x80072321"


def test_requests_at_the_same_time_are_throttled_by_number_or_by_their_time(box: Box) -> None:
    for switch, code in (("limit_concurrency", "0x80072326"), ("throttle_when_parallel", "0x80072321")):
        box.app.limits.reset()
        box.settings.update(limit_concurrency=52, throttle_when_parallel=0, latency_ms=150)
        box.settings[switch] = 2
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: Box(box.running).send("GET", "WhoAmI"), range(6)))
        refused = [a for a in answers if a.status_code == 429]
        assert len(refused) == 4
        assert {a.json()["error"]["code"] for a in refused} == {code}
        assert box.control("GET", "/counters")["highest_concurrency"] == 2


def test_a_retry_after_can_be_anything(box: Box) -> None:
    box.settings.update(limit_requests=0, retry_after="Wed, 21 Oct 2099 07:28:00 GMT")
    assert box.send("GET", "WhoAmI").headers["Retry-After"].endswith("GMT")


def test_a_salesperson_sees_edits_and_enters_rows(box: Box) -> None:
    box.send("PATCH", "leads(hnt_externalid='a.example')", {"subject": "ours"})
    box.control("PATCH", f"{PATH}/a.example", {"subject": "theirs"})
    row = box.get("leads(hnt_externalid='a.example')")
    assert row["subject"] == "theirs"
    assert row["_modifiedby_value"] != box.get("WhoAmI")["UserId"]
    entered = box.control("POST", PATH, [{"subject": "one"}, {"subject": "two"}])
    assert box.control("GET", f"{PATH}?limit=2&offset=1")["rows"][0]["leadid"] == entered[0]
    assert box.control("GET", f"{PATH}?external_id=a.example")["count"] == 1
    assert box.control("DELETE", f"{PATH}/{entered[0]}") == {"done": True}


def test_a_salesperson_wins_loses_qualifies_assigns_merges_and_reopens(box: Box) -> None:
    leads = box.control("POST", PATH, [{"subject": "a", "companyname": "A"}, {"subject": "b"}, {"subject": "c"}])
    deals = box.control("POST", "/tables/opportunity/rows", [{"name": "a"}, {"name": "b"}])
    box.control("POST", f"/opportunities/{deals[0]}/win")
    box.control("POST", f"/opportunities/{deals[1]}/lose")
    assert [box.get(f"opportunities({d})")["statecode"] for d in deals] == [1, 2]
    box.control("POST", f"/tables/opportunity/rows/{deals[1]}/reopen")
    assert box.get(f"opportunities({deals[1]})")["statecode"] == 0
    assert len(box.control("POST", f"/leads/{leads[0]}/qualify", {"opportunity": False})["value"]) == 2
    team = box.get("teams?$select=name")["value"][0]["teamid"]
    box.control("POST", f"{PATH}/{leads[1]}/owner", {"owner": team})
    assert box.get(f"leads({leads[1]})")["_ownerid_value"] == team
    box.control("POST", f"{PATH}/{leads[2]}/merge", {"into": leads[1]})
    assert box.get(f"leads({leads[2]})")["_masterid_value"] == leads[1]
    box.control("POST", f"/leads/{leads[1]}/disqualify")
    assert box.get(f"leads({leads[1]})")["statecode"] == 2


def test_an_administrator_changes_columns_and_keys_under_our_feet(box: Box) -> None:
    box.control("PATCH", "/tables/lead/columns/companyname", {"max_length": 5})
    assert box.refused("POST", "leads", {"companyname": "123456"})[1] == "0x80044331"
    box.control("DELETE", "/tables/lead/columns/leadsourcecode/options/8")
    assert box.refused("POST", "leads", {"leadsourcecode": 8})[1] == "0x8004431A"
    box.control("POST", "/tables/lead/columns", {"schema_name": "new_Region", "required": "ApplicationRequired"})
    status, code, message = box.refused("POST", "leads", {"subject": "x"})
    assert (status, code) == (400, "0x80040265")
    assert "new_region" in message
    box.control("DELETE", "/tables/lead/columns/new_region")
    box.control("DELETE", "/tables/lead/keys")
    assert box.refused("PATCH", "leads(hnt_externalid='a')", {"subject": "x"})[0] == 400


def test_a_plug_in_refuses_the_rows_a_test_names(box: Box) -> None:
    box.settings["refuse_rows"] = [{"table": "lead", "column": "companyname", "value": "Bad", "message": "No."}]
    rows = {f"d{n}.example": {"companyname": "Bad" if n == 7 else "Good"} for n in range(10)}
    refused = box.upsert_many("leads", "lead", rows)
    assert refused.json()["error"] == {"code": "0x80040265", "message": "No."}
    del rows["d7.example"]
    assert box.upsert_many("leads", "lead", rows).status_code == 204


def test_counters_tell_requests_and_writes(box: Box) -> None:
    box.control("DELETE", "/counters")
    box.upsert_many("leads", "lead", {"a.example": {"subject": "x"}, "b.example": {"subject": "x"}})
    box.send("PATCH", "leads(hnt_externalid='a.example')", {"subject": "y"})
    counted = box.control("GET", "/counters")
    assert counted["requests"] == 2
    assert counted["writes"] == {"lead": {"create": 2, "update": 1}}
    assert counted["rows"]["lead"] == 2


def test_the_crm_knows_some_companies_before_we_come() -> None:
    class Known:
        def __init__(self, number: int) -> None:
            self.name, self.domain = f"Company {number}", f"c{number}.example"

    class Small:
        companies = tuple(Known(n) for n in range(100))

    with running(prepared=True, world=Small()) as running_box:
        box = Box(running_box)
        accounts = [a["name"] for a in box.get("accounts?$select=name")["value"]]
        assert accounts == ["Company 0", "Company 25", "Company 25"]
        assert box.get("contacts?$select=emailaddress1")["value"][0]["emailaddress1"] == "info@c0.example"
        assert [lead["companyname"] for lead in box.get("leads?$select=companyname")["value"]] == ["Company 50"]
        assert box.control("GET", "/counters")["writes"] == {}
