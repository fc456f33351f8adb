"""What people do in the CRM comes back: by changes, by a full read when the token expired, and by comparison."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from hunter_orchestration.store import lead_details
from hunter_orchestration.store.page_state import differences
from hunter_orchestration.store.tables.crm import crm_audit
from hunter_orchestration_tests.dynamics.world import World, add_companies, change_score, domain_of, referral_of


def test_edits_owners_wins_merges_and_deletions_come_back(both: World) -> None:
    domains = add_companies(both.store, range(4))
    both.push()
    assert both.pull().facts["full_read"]["account"] is True
    owner = both.sales.row("account", domains[0])["_ownerid_value"]
    people = both.box.call("GET", "/dataverse/tables/systemuser/rows")["rows"]
    other = next(p for p in people if p["systemuserid"] != owner)
    both.sales.edit("account", domains[0], telephone1="0232 typed")
    both.sales.call("POST", f"/tables/account/rows/{domains[1]}/owner", {"owner": other["systemuserid"]})
    both.sales.call("POST", f"/opportunities/{both.sales.id_of('opportunity', referral_of(0))}/win")
    both.sales.call("POST", f"/opportunities/{both.sales.id_of('opportunity', referral_of(1))}/lose")
    both.sales.call("POST", f"/leads/{domains[2]}/disqualify")
    both.sales.delete("lead", domains[3])
    both.sales.merge("account", domains[2], domains[3])
    result = both.pull()
    assert result.facts["full_read"]["account"] is False
    found = {n: result.counts[n] for n in ("won", "lost", "disqualified", "deleted", "merged")}
    assert found == {"won": 1, "lost": 1, "disqualified": 1, "deleted": 1, "merged": 1}
    assert both.record("account", domains[0])["observed"]["telephone1"] == "0232 typed"
    assert both.record("account", domains[1])["crm_owner"] == other["fullname"]
    assert both.record("opportunity", referral_of(0))["crm_state"] == "won"
    assert both.record("lead", domains[3])["state"] == "deleted_in_crm"
    with both.store.read() as connection:
        assert lead_details.lead(connection, domains[3])["dynamics_state"] == "deleted_in_crm"  # type: ignore[index]
        details = connection.execute(select(crm_audit.c.detail).where(crm_audit.c.actor == "crm")).scalars().all()
    assert "merged in the CRM" in details
    both.settles()


def test_wins_come_back_though_the_names_of_owners_may_not_be_read(world: World) -> None:
    domains = add_companies(world.store, [0])
    world.push()
    refused = {"error": {"code": "0x80040220", "message": "Principal user is missing prvReadUser privilege."}}
    world.box.fault("dataverse", "status", times=None, status=403, path="systemusers[?]|teams[?]", body=refused)
    world.pull()
    world.sales.call("POST", f"/opportunities/{world.sales.id_of('opportunity', referral_of(0))}/win")
    world.sales.edit("account", domains[0], telephone1="0232 typed")
    counts = world.pull().counts
    assert (counts["won"], counts["edited"]) == (1, 1)
    assert world.record("account", domains[0])["crm_owner"] is None
    world.settles()


def test_an_edit_to_a_field_of_hunters_is_set_right_by_the_next_push(world: World) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    world.sales.edit("lead", domain, hnt_finalscore=3, subject="Typed")
    world.pull()
    assert world.push().counts["updated"] == 1
    row = world.sales.row("lead", domain)
    assert (row["hnt_finalscore"], row["subject"]) == (70, "Typed")
    world.settles()


def test_an_expired_token_falls_back_to_a_full_read_with_set_difference(both: World) -> None:
    domains = add_companies(both.store, range(4))
    both.push()
    both.pull()
    both.sales.delete("opportunity", referral_of(0))
    both.sales.edit("account", domains[1], telephone1="typed")
    both.sales.call("POST", "/change-tracking/expire")
    result = both.pull()
    assert result.facts["full_read"] == {"account": True, "contact": True, "lead": True, "opportunity": True}
    assert (result.counts["deleted"], result.counts["edited"]) == (1, 1)
    assert both.pull().facts["full_read"]["lead"] is False
    both.settles()


def test_many_pages_of_changes_are_read_to_the_end(world: World) -> None:
    add_companies(world.store, range(30))
    world.push()
    world.box.configure("dataverse", page_size=7)
    assert world.pull().counts["read"] >= 120
    for number in range(30):
        world.sales.edit("account", domain_of(number), telephone1=f"typed {number}")
    assert world.pull().counts["edited"] == 30
    world.settles()


def test_a_text_cut_in_the_middle_of_an_emoji_costs_no_other_row(world: World) -> None:
    domains = add_companies(world.store, range(2))
    world.push()
    world.pull()
    standing = world.sales.row("account", domains[0])
    root = f"{world.settings.dynamics_url}/api/data/v9.2/"
    row = {"@odata.etag": 'W/"9000001"', "accountid": standing["accountid"], "statecode": 0, "name": "Yeni ad HALF"}
    page = json.dumps({"value": [row], "@odata.deltaLink": f"{root}accounts?$deltatoken=9"})
    body = page.replace("HALF", r"\ud83d")
    world.box.fault("dataverse", "status", times=1, status=200, method="GET", path="accounts[?].*deltatoken", body=body)
    assert world.pull().counts["edited"] == 1
    assert world.record("account", domains[0])["observed"]["name"] == "Yeni ad \ufffd"


def test_a_token_before_the_last_page_ends_nothing(world: World) -> None:
    domains = add_companies(world.store, range(3))
    world.push()
    root = f"{world.settings.dynamics_url}/api/data/v9.2/"
    first = {
        "value": [],
        "@odata.deltaLink": f"{root}accounts?$select=name&$deltatoken=1",
        "@odata.nextLink": f"{root}accounts?$select=accountid,statecode,hnt_externalid",
    }
    world.box.fault("dataverse", "status", times=1, status=200, method="GET", path="accounts[?]", body=first)
    assert world.pull().counts["deleted"] == 0
    assert world.record("account", domains[0])["state"] == "synced"


@pytest.mark.parametrize("form", ["{id}", "accounts({id})", "https://contoso.crm4.dynamics.com/x/accounts({id})"])
def test_a_deleted_row_is_known_by_its_guid_however_it_is_addressed(world: World, form: str) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    world.pull()
    row_id = world.record("account", domain)["crm_id"]
    root = f"{world.settings.dynamics_url}/api/data/v9.2/"
    gone = {"@odata.context": f"{root}$metadata#accounts/$deletedEntity", "id": form.format(id=row_id.upper())}
    page = {"value": [gone | {"reason": "deleted"}], "@odata.deltaLink": f"{root}accounts?$deltatoken=9"}
    world.box.fault("dataverse", "status", times=1, status=200, method="GET", path="accounts[?].*deltatoken", body=page)
    assert world.pull().counts["deleted"] == 1
    assert world.record("account", domain)["state"] == "deleted_in_crm"


def test_a_pull_that_fails_half_way_keeps_its_old_token(world: World) -> None:
    from hunter_orchestration.dynamics.refusals import UnreachableError

    domains = add_companies(world.store, range(3))
    world.push()
    world.pull()
    world.sales.edit("contact", world.sales.rows("contact")[-1]["hnt_externalid"], jobtitle="typed")
    world.box.fault("dataverse", "status", times=None, status=503, path="contacts")
    with pytest.raises(UnreachableError):
        world.pull()
    world.box.clear()
    assert world.pull().counts["edited"] == 1
    assert domains


def test_what_is_claimed_and_what_is_found_are_compared_both_ways_and_mended(both: World) -> None:
    domains = add_companies(both.store, range(4))
    both.push()
    assert both.reconcile().facts["accuracy"] == 1.0
    both.sales.delete("opportunity", referral_of(0))
    both.sales.edit("lead", domains[1], hnt_finalscore=1)
    both.sales.enter("account", name="Stray", hnt_externalid="stray.example")
    result = both.reconcile()
    kinds = sorted(d["kind"] for d in result.facts["differences"])
    assert kinds == ["field", "missing", "unexpected"]
    assert result.facts["accuracy"] == round(14 / 16, 6)
    with both.store.read() as connection:
        assert len(differences(connection, 10)) == 3
    both.reconcile()
    with both.store.read() as connection:
        assert len(differences(connection, 10)) == 3, "the same differences are not listed twice"
    assert both.reconcile(mend=True).counts["mended"] == 3
    both.push()
    assert both.sales.row("lead", domains[1])["hnt_finalscore"] == 70
    both.sales.delete("account", "stray.example")
    assert both.reconcile().counts["differences"] == 0
    both.settles()


def test_an_organisation_that_forgot_our_rows_is_told_apart_from_one_we_do_not_know(world: World) -> None:
    """A lost ledger finds its records again by key, without a second row of any."""
    add_companies(world.store, range(3))
    world.push()
    with world.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM crm_records")
        connection.exec_driver_sql("DELETE FROM crm_audit")
    world.due(*(domain_of(i) for i in range(3)))
    world.writes()
    assert world.push().counts["unchanged"] == 12
    assert world.writes() == {}
    change_score(world.store, domain_of(1), score=90)
    world.push()
    assert world.sales.row("lead", domain_of(1))["hnt_finalscore"] == 90
