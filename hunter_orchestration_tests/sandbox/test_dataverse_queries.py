"""Queries, paging and change tracking."""

from __future__ import annotations

import pytest

from hunter_orchestration_tests.sandbox.dataverse_box import Box


@pytest.fixture
def box(dataverse: Box) -> Box:
    return dataverse


def leads(box: Box, count: int = 5) -> list[str]:
    """Leads ``S 0`` … with cities, scores and websites that differ."""
    return [
        box.create(
            "leads",
            {
                "subject": f"S {n}",
                "lastname": "O'Hara" if n == 1 else f"L{n}",
                "emailaddress1": f"a@d{n}.example",
                "hnt_externalid": f"d{n}.example",
                "hnt_finalscore": n * 10,
                "address1_city": None if n == 0 else ["İzmir", "Ankara"][n % 2],
            },
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("subject eq 's 3'", [3]),
        ("subject ne 'S 3'", [0, 1, 2, 4]),
        ("lastname eq 'O''Hara'", [1]),
        ("hnt_finalscore gt 20", [3, 4]),
        ("hnt_finalscore ge 20 and hnt_finalscore lt 40", [2, 3]),
        ("hnt_finalscore le 0 or hnt_finalscore eq 40", [0, 4]),
        ("not (hnt_finalscore le 30)", [4]),
        ("address1_city eq null", [0]),
        ("address1_city ne null", [1, 2, 3, 4]),
        ("contains(emailaddress1,'D2')", [2]),
        ("startswith(subject,'s ') and endswith(emailaddress1,'4.example')", [4]),
        ("emailaddress1 eq 'A@D1.example' or emailaddress1 eq 'a@d3.example'", [1, 3]),
        ("(hnt_externalid eq 'd1.example' or hnt_externalid eq 'd2.example') and statecode eq 0", [1, 2]),
        ("Microsoft.Dynamics.CRM.In(PropertyName='hnt_externalid',PropertyValues=['d0.example','d4.example'])", [0, 4]),
        ("statecode eq 1", []),
        ("createdon gt 2020-01-01", [0, 1, 2, 3, 4]),
        ("createdon lt 2020-01-01T00:00:00Z", []),
        ("subject eq @who&@who='S 2'", [2]),
    ],
)
def test_filters_answer_with_the_rows_they_mean(box: Box, text: str, wanted: list[int]) -> None:
    leads(box)
    found = box.get(f"leads?$select=subject&$filter={text}")["value"]
    assert [row["subject"] for row in found] == [f"S {n}" for n in wanted]


def test_a_filter_by_lookup_or_id_finds_the_row(box: Box) -> None:
    account = box.create("accounts", {"name": "A", "websiteurl": "https://a.example"})
    lead = box.create("leads", {"subject": "x", "parentaccountid@odata.bind": f"/accounts({account})"})
    for text in (
        f"_parentaccountid_value eq {account}",
        f"parentaccountid/accountid eq {account}",
        "parentaccountid/name eq 'A'",
        f"leadid eq {lead}",
    ):
        assert [row["leadid"] for row in box.get(f"leads?$select=subject&$filter={text}")["value"]] == [lead]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Subject eq 'x'", "0x0"),
        ("subject = 'x'", "0x80060888"),
        ("subject eq 5", "0x80060888"),
        ("subject eq 'x' and", "0x80060888"),
        ("(subject eq 'x'", "0x80060888"),
        ("subject eq @x", "0x80060888"),
        ("hnt_finalscore eq 'ten'", "0x80060888"),
    ],
)
def test_a_filter_that_is_none_is_refused(box: Box, text: str, code: str) -> None:
    assert box.refused("GET", f"leads?$filter={text}")[:2] == (400, code)


def test_order_top_count_and_expand(box: Box) -> None:
    account = box.create("accounts", {"name": "A"})
    leads(box)
    box.create("leads", {"subject": "child", "parentaccountid@odata.bind": f"/accounts({account})"})
    ordered = box.get("leads?$select=subject&$orderby=address1_city desc,hnt_finalscore&$top=3&$count=true")
    assert [row["subject"] for row in ordered["value"]] == ["S 2", "S 4", "S 1"]
    assert ordered["@odata.count"] == 6
    assert "@odata.nextLink" not in ordered
    child = box.get("leads?$select=subject&$filter=subject eq 'child'&$expand=parentaccountid($select=name)")
    assert child["value"][0]["parentaccountid"]["name"] == "A"
    parent = box.get(f"accounts({account})?$select=name&$expand=lead_parent_account($select=subject)")
    assert [row["subject"] for row in parent["lead_parent_account"]] == ["child"]


def test_the_count_of_a_set_starts_with_a_byte_order_mark(box: Box) -> None:
    leads(box, 3)
    assert box.send("GET", "leads/$count").content == b"\xef\xbb\xbf3"


def test_formatted_values_come_with_annotations(box: Box) -> None:
    lead = box.create("leads", {"subject": "x", "leadsourcecode": 8, "revenue": 1234.5})
    annotated = box.get(f"leads({lead})?$select=leadsourcecode,revenue", Prefer='odata.include-annotations="*"')
    assert annotated["leadsourcecode@OData.Community.Display.V1.FormattedValue"] == "Web"
    assert annotated["revenue@OData.Community.Display.V1.FormattedValue"] == "1,234.50"
    assert "_transactioncurrencyid_value" in annotated


@pytest.mark.parametrize("order", ["", "&$orderby=hnt_finalscore desc"])
def test_pages_hold_every_row_once(box: Box, order: str) -> None:
    wanted = leads(box, 11)
    asked = {"Prefer": "odata.maxpagesize=4"}
    page = box.get(f"leads?$select=subject{order}&$filter=contains(subject,'S')", **asked)
    found = [row["leadid"] for row in page["value"]]
    sizes = [len(page["value"])]
    while "@odata.nextLink" in page:
        page = box.get(page["@odata.nextLink"], **asked)
        found += [row["leadid"] for row in page["value"]]
        sizes.append(len(page["value"]))
    assert sizes == [4, 4, 3]
    assert sorted(found) == sorted(wanted)


def test_top_gives_way_to_the_page_size(box: Box) -> None:
    leads(box)
    page = box.get("leads?$select=subject&$top=1", Prefer="odata.maxpagesize=2")
    assert len(page["value"]) == 2
    assert "@odata.nextLink" in page


def test_a_page_is_never_larger_than_the_organisation_allows(box: Box) -> None:
    leads(box)
    box.settings["page_size"] = 3
    assert len(box.get("leads?$select=subject", Prefer="odata.maxpagesize=5000")["value"]) == 3


def test_changes_and_deletions_come_once_in_pages(box: Box) -> None:
    ids = leads(box, 7)
    tracked = {"Prefer": "odata.track-changes,odata.maxpagesize=3"}
    page = box.get("leads?$select=subject", **tracked)
    rows = [row["leadid"] for row in page["value"]]
    while "@odata.nextLink" in page:
        assert "@odata.deltaLink" not in page
        page = box.get(page["@odata.nextLink"], **tracked)
        rows += [row["leadid"] for row in page["value"]]
    assert sorted(rows) == sorted(ids)
    box.send("PATCH", f"leads({ids[2]})", {"subject": "changed"})
    box.send("DELETE", f"leads({ids[3]})")
    short_lived = box.create("leads", {"subject": "short-lived"})
    box.send("DELETE", f"leads({short_lived})")
    delta = box.get(page["@odata.deltaLink"])
    assert delta["@odata.context"].endswith("/$delta")
    changed = [row["subject"] for row in delta["value"] if "subject" in row]
    gone = [row["id"] for row in delta["value"] if row.get("reason") == "deleted"]
    assert changed == ["changed"]
    assert gone == [ids[3], short_lived]
    assert box.get(delta["@odata.deltaLink"])["value"] == []


def test_what_was_rolled_back_is_no_change(box: Box) -> None:
    delta = box.get("leads?$select=subject", Prefer="odata.track-changes")["@odata.deltaLink"]
    box.upsert_many("leads", "lead", {"a.example": {"subject": "x"}, "b.example": {"subject": "x" * 301}})
    assert box.get(delta)["value"] == []


@pytest.mark.parametrize("option", ["$filter=statecode eq 0", "$orderby=subject", "$top=3", "$expand=parentaccountid"])
def test_change_tracking_takes_no_other_options(box: Box, option: str) -> None:
    refused = box.refused("GET", f"leads?{option}", Prefer="odata.track-changes")
    name = option.partition("=")[0]
    expected = f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.'
    assert refused == (400, "0x80060888", expected)


def test_a_delta_token_expires_after_its_days_or_on_demand(box: Box) -> None:
    link = box.get("leads?$select=subject", Prefer="odata.track-changes")["@odata.deltaLink"]
    box.running.clock.advance(8 * 86_400)
    assert box.refused("GET", link)[:2] == (400, "0x80044352")
    box.running.clock.advance(-8 * 86_400)
    box.get(link)
    box.control("POST", "/change-tracking/expire")
    assert box.refused("GET", link)[:2] == (400, "0x80044352")
    fresh = box.get("leads?$select=subject", Prefer="odata.track-changes")["@odata.deltaLink"]
    assert box.get(fresh)["value"] == []


def test_a_table_without_change_tracking_says_so(box: Box) -> None:
    box.control("PATCH", "/tables/lead", {"change_tracking": False})
    assert box.refused("GET", "leads?$select=subject", Prefer="odata.track-changes")[0] == 400
