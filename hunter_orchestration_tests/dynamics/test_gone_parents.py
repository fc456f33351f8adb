"""Somebody deletes a record in the CRM: what refers to it goes on, or says what it waits for."""

from __future__ import annotations

from hunter_orchestration.dynamics import decisions
from hunter_orchestration.store.tables.companies import contacts
from hunter_orchestration_tests.dynamics.world import NOW, World, add_companies, change_score, domain_of, email_hash

DOMAIN = domain_of(1)
PERSON = email_hash(f"ayse.1@{DOMAIN}")
NEW = email_hash(f"new@{DOMAIN}")
DEAL = "00000000-0000-4000-8000-000000000001"


def add_person(world: World) -> None:
    """The company's second contact."""
    person = {
        "company_domain": DOMAIN,
        "email_hash": NEW,
        "email": f"new@{DOMAIN}",
        "last_name": "Kaya",
        "source": "api",
        "first_seen_at": NOW,
        "changed_at": NOW,
    }
    with world.store.write() as connection:
        connection.execute(contacts.insert(), [person])


def test_people_and_leads_of_a_deleted_account_are_pushed_without_it(world: World) -> None:
    add_companies(world.store, [1])
    world.push()
    world.sales.delete("account", DOMAIN)
    world.pull()
    add_person(world)
    change_score(world.store, DOMAIN, score=75)
    counts = world.push().counts
    assert (counts["created"], counts["updated"], counts["deleted_in_crm"]) == (1, 1, 1)
    assert world.sales.row("lead", DOMAIN)["hnt_finalscore"] == 75
    assert "_parentcustomerid_value" not in world.sales.row("contact", NEW)
    deal = world.record("opportunity", DEAL)
    assert (deal["state"], deal["error_code"]) == ("deferred", "parent_missing")
    assert deal["error"] == f"It needs the account {DOMAIN}, which somebody deleted in the CRM."
    decisions.recreate(world.store, "account", DOMAIN, actor="elif")
    world.retry_now()
    world.push()
    account = world.sales.id_of("account", DOMAIN)
    assert world.sales.row("contact", NEW)["_parentcustomerid_value"] == account
    assert world.record("opportunity", DEAL)["state"] == "synced"
    world.settles()


def test_a_reference_to_what_was_deleted_a_moment_ago_says_so_and_heals(world: World) -> None:
    add_companies(world.store, [1])
    world.push()
    world.sales.delete("account", DOMAIN)
    add_person(world)
    world.due(DOMAIN)
    assert world.push().counts["deferred"] == 1
    person = world.record("contact", NEW)
    assert person["error_code"] == "parent_missing"
    assert person["error"].startswith("Something it refers to is not in the CRM any more: Entity 'account' With Id")
    world.pull()
    world.retry_now()
    world.due(DOMAIN)
    world.push()
    assert world.record("contact", NEW)["state"] == "synced"


def test_qualifying_counts_on_nothing_that_was_deleted(world: World) -> None:
    add_companies(world.store, [1])
    world.push()
    for table, key in (("opportunity", DEAL), ("account", DOMAIN)):
        world.sales.delete(table, key)
    world.pull()
    with world.client() as client:
        decisions.qualify(world.store, world.settings, DOMAIN, actor="elif", client=client)
    lead = world.sales.id_of("lead", DOMAIN)
    for table in ("account", "opportunity"):
        (made,) = [row for row in world.sales.rows(table) if row.get("_originatingleadid_value") == lead]
    assert made["_customerid_value"] == next(
        row["accountid"] for row in world.sales.rows("account") if row.get("_originatingleadid_value") == lead
    )


def test_a_reason_of_any_length_closes_an_opportunity(world: World) -> None:
    add_companies(world.store, [1])
    world.push()
    reason = "Rakip kazandı:\n" + "çok ucuz, " * 40
    with world.client() as client:
        decisions.close_opportunity(
            world.store, world.settings, DEAL, won=False, actor="elif", reason=reason, client=client
        )
    assert world.record("opportunity", DEAL)["crm_state"] == "lost"
