"""Pushing against the organisation: nothing twice, nothing over a person's typing, nothing shown that isn't there."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hunter_orchestration.dynamics.mapping import load_mapping
from hunter_orchestration.store import crm
from hunter_orchestration_tests.dynamics.world import (
    World,
    add_companies,
    change_company,
    change_score,
    domain_of,
    email_hash,
    referral_of,
)


def test_a_company_becomes_account_contact_lead_and_opportunity_that_know_each_other(both: World) -> None:
    (domain,) = add_companies(both.store, [1])
    result = both.push()
    assert result.counts["created"] == 4
    account, lead = both.sales.row("account", domain), both.sales.row("lead", domain)
    contact = both.sales.row("contact", email_hash(f"ayse.1@{domain}"))
    opportunity = both.sales.row("opportunity", referral_of(1))
    assert contact["_parentcustomerid_value"] == account["accountid"]
    assert lead["_parentaccountid_value"] == account["accountid"]
    assert lead["_parentcontactid_value"] == contact["contactid"]
    assert opportunity["_customerid_value"] == account["accountid"]
    assert opportunity["_originatingleadid_value"] == lead["leadid"]
    assert opportunity["estimatedvalue"] == 38000
    assert (opportunity["salesstage"], opportunity["closeprobability"]) == (1, 40)
    assert lead["hnt_prioritycategory"] == 816940001
    assert lead["hnt_priorityscore"] == 570
    assert "Competitive Takeover" in lead["description"]
    both.check()


def test_a_second_push_writes_and_asks_nothing(both: World) -> None:
    add_companies(both.store, range(5))
    both.push()
    both.writes()
    both.box.reset_counters()
    assert both.push().counts["picked"] == 0
    assert both.box.counters().get("dataverse", 0) == 0
    both.settles()


def test_a_repush_of_unchanged_companies_writes_nothing(world: World) -> None:
    domains = add_companies(world.store, range(5))
    world.push()
    world.writes()
    world.due(*domains)
    assert world.push().counts["unchanged"] == 20
    assert world.writes() == {}


def test_only_changed_fields_travel(world: World) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    change_company(world.store, domain, city="Ankara")
    plan = world.push(dry_run=True).facts["plan"]
    changed = {p["table"]: p["fields"] for p in plan if p["operation"] == "update"}
    assert changed == {
        "account": {"address1_city": ["İzmir", "Ankara"]},
        "lead": {"address1_city": ["İzmir", "Ankara"]},
    }
    result = world.push()
    assert (result.counts["updated"], result.counts["unchanged"]) == (2, 2)
    assert result.facts["plan_differences"]["count"] == 0
    assert world.sales.row("account", domain)["address1_city"] == "Ankara"


def test_an_edit_to_every_field_of_the_crm_survives_ten_syncs(world: World) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    keys = {"account": domain, "contact": email_hash(f"ayse.1@{domain}"), "lead": domain, "opportunity": referral_of(1)}
    mapping = load_mapping(None).mapping
    edited = 0
    for table, key in keys.items():
        for name, field in mapping.tables[table].fields.items():  # type: ignore[index]
            value = _typed(name, field.transform)
            if field.rule == "crm-wins-unless-empty" and value is not None:
                world.sales.edit(table, key, **{name: value})
                edited += 1
    assert edited > 30
    for number in range(10):
        change_company(world.store, domain, name=f"Yeni Ad {number}", city=f"Şehir {number}", phone=f"+90 212 {number}")
        change_score(world.store, domain, score=40 + 5 * number, commercial_heat=("LOW", "HIGH")[number % 2])
        if number % 3 == 0:
            world.pull()
        world.push()
        world.check(fresh=False)
    world.settles()
    assert world.sales.row("lead", domain)["hnt_finalscore"] == 85


def _typed(name: str, transform: str) -> object:
    if transform in ("clip", "phone", "country", "url"):
        return f"typed {name}"[:20]
    chosen = {"leadqualitycode": 3, "leadsourcecode": 7, "salesstage": 3, "closeprobability": 99}
    chosen |= {"opportunityratingcode": 3, "estimatedvalue": 1234.5, "estimatedclosedate": "2027-01-31"}
    return chosen.get(name)


def test_an_empty_field_is_filled_and_our_own_value_follows_its_source(world: World) -> None:
    (domain,) = add_companies(world.store, [1], phone=None)
    world.push()
    change_company(world.store, domain, phone="0090 232 555 1111", city="Bursa")
    world.push()
    row = world.sales.row("account", domain)
    assert (row["telephone1"], row["address1_city"]) == ("+90 232 555 1111", "Bursa")


def test_a_company_without_a_score_or_without_prospects_is_skipped_with_the_reason(world: World) -> None:
    add_companies(world.store, [1], priority="P6", score=0, referral=False)
    result = world.push()
    assert result.counts["skipped"] == 1
    assert world.record("lead", domain_of(1))["error_code"] == "priority"
    world.settles()


@pytest.mark.parametrize(
    ("score", "category", "stage"),
    [
        (39, "marketplace", None),
        (40, "marketplace", 0),
        (60, "marketplace", 1),
        (80, "marketplace", 2),
        (5, "co_sell", 0),
    ],
)
def test_the_score_decides_the_stage_and_co_sell_always_has_one(
    world: World, score: int, category: str, stage: int | None
) -> None:
    add_companies(world.store, [1], score=score, category=category)
    world.push()
    found = world.sales.keyed("opportunity")
    assert [row["salesstage"] for row in found.values()] == ([] if stage is None else [stage])


def test_a_person_of_two_companies_is_one_contact(world: World) -> None:
    from sqlalchemy import insert

    from hunter_orchestration.store.tables.companies import contacts
    from hunter_orchestration_tests.dynamics.world import NOW

    first, second = add_companies(world.store, [1, 2])
    address = f"ayse.1@{first}"
    with world.store.write() as connection:
        connection.execute(
            insert(contacts).values(company_domain=second, email_hash=email_hash(address), email=address,
                                    source="import", first_seen_at=NOW, changed_at=NOW)
        )  # fmt: skip
    assert world.push().counts["created"] == 8
    world.settles()


def test_text_is_cut_to_the_organisations_length_and_never_in_half_a_character(world: World) -> None:
    (domain,) = add_companies(world.store, [1], name="İ" * 90 + "😀" * 60)
    world.push()
    lead = world.sales.row("lead", domain)
    assert len(lead["companyname"].encode("utf-16-le")) // 2 <= 100
    assert lead["companyname"].endswith("…")
    world.settles()


def test_no_audit_no_push(world: World) -> None:
    """The audit can't be written: nothing leaves the house."""
    add_companies(world.store, range(2))
    with world.store.write() as connection:
        connection.execute(
            text("CREATE TRIGGER shut BEFORE INSERT ON crm_audit BEGIN SELECT RAISE(ABORT, 'full'); END")
        )
    with pytest.raises(DBAPIError, match="full"):
        world.push()
    assert world.sales.keyed("account") == {}
    with world.store.write() as connection:
        connection.execute(text("DROP TRIGGER shut"))
    assert world.push().counts["created"] == 8
    world.settles()


def test_the_plan_of_a_dry_run_is_what_the_real_run_does(world: World) -> None:
    add_companies(world.store, range(3))
    world.sales.enter("account", name="Acme", websiteurl=f"https://{domain_of(1)}")
    planned = world.push(dry_run=True)
    assert world.writes() == {"account": {"create": 1}}
    with world.store.read() as connection:
        assert crm.state_counts(connection) == {}
    operations = [p["operation"] for p in planned.facts["plan"]]
    result = world.push()
    assert operations.count("create") == result.counts["created"] == 11
    assert operations.count("adopt") == result.counts["adopted"] == 1
    assert result.facts["plan_differences"]["count"] == 0
