"""Pushes that the organisation refuses, loses or answers badly: one bad row costs one row, nothing is written twice."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from hunter_orchestration.store.tables.crm import crm_audit
from hunter_orchestration_tests.dynamics.world import (
    World,
    add_companies,
    change_company,
    domain_of,
    world_in,
)


@pytest.mark.slow
def test_one_bad_row_in_a_thousand_costs_one_row(sqlite_store, sandbox) -> None:  # type: ignore[no-untyped-def]
    world = world_in(sqlite_store, sandbox, dynamics_batch_size=1000)
    add_companies(world.store, range(1000), referral=False)
    world.box.configure(
        "dataverse",
        refuse_rows=[{"table": "account", "column": "name", "value": "Şirket 7 A.Ş.", "message": "Blocked by sales."}],
    )
    result = world.push()
    assert (result.counts["rejected"], result.counts["created"]) == (1, 2999)
    record = world.record("account", domain_of(7))
    assert (record["state"], record["error_code"], record["fix"]) == ("rejected", "0x80040265", "plugin_refused")
    assert record["error"] == "Blocked by sales."
    world.pull()
    world.check()


def test_a_rejected_row_is_tried_again_when_its_data_changed_or_on_demand(world: World) -> None:
    from hunter_orchestration.dynamics import decisions

    (domain,) = add_companies(world.store, [1], referral=False)
    world.box.configure("dataverse", refuse_rows=[{"table": "account", "column": "name", "message": "No."}])
    world.push()
    world.due(domain)
    world.box.reset_counters()
    world.push()
    with world.store.read() as connection:
        attempts = connection.execute(select(crm_audit).where(crm_audit.c.outcome == "sent")).mappings().all()
    assert sum(a["table_name"] == "account" for a in attempts) == 1
    world.box.clear("dataverse")
    assert decisions.retry(world.store, actor="elif") == 1
    assert world.push().counts["created"] == 1
    world.settles()


def test_a_forbidden_field_rejects_the_row_with_its_name_and_the_run_goes_on(world: World) -> None:
    add_companies(world.store, range(3))
    world.box.configure("dataverse", forbidden_columns={"lead": ["leadqualitycode"]})
    result = world.push()
    assert (result.counts["rejected"], result.counts["created"]) == (3, 9)
    record = world.record("lead", domain_of(0))
    assert record["fix"] == "field_forbidden"
    assert "leadqualitycode" in record["error"]
    world.check()


def test_a_lost_answer_is_looked_up_by_key_and_marked_recovered(both: World) -> None:
    add_companies(both.store, range(5))
    both.box.fault("dataverse", "drop_after_commit", times=1, path="accounts/Microsoft")
    result = both.push()
    assert (result.counts["recovered"], result.counts["created"]) == (5, 15)
    assert len(both.sales.keyed("account")) == 5
    with both.store.read() as connection:
        outcomes = connection.execute(select(crm_audit.c.outcome).where(crm_audit.c.table_name == "account")).scalars()
        assert sorted(outcomes) == ["recovered"] * 5 + ["sent"] * 5 + ["unknown"] * 5
    both.settles()


def test_a_lost_answer_to_an_update_is_recovered_too(world: World) -> None:
    domains = add_companies(world.store, range(3))
    world.push()
    for domain in domains:
        change_company(world.store, domain, city="Ankara")
    world.box.fault("dataverse", "drop_after_commit", times=1, path=r"\$batch")
    result = world.push()
    assert result.counts["recovered"] == 3
    assert world.sales.row("account", domains[0])["address1_city"] == "Ankara"
    change_company(world.store, domains[0], city="Muğla")
    world.push()
    assert world.sales.row("account", domains[0])["address1_city"] == "Muğla", "what arrived is ours to change"
    world.settles()


@pytest.mark.parametrize("kind", ["reset", "half_body", "invalid_json", "html", "truncated_gzip"])
def test_an_answer_that_is_none_never_counts_as_one(world: World, kind: str) -> None:
    add_companies(world.store, range(3))
    world.box.fault("dataverse", kind, times=2, after=4)
    result = world.push()
    good = result.counts["created"] + result.counts["recovered"]
    assert good == 12
    world.settles()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failing_organisation_is_asked_again_a_bounded_number_of_times(world: World, status: int) -> None:
    from hunter_orchestration.dynamics.refusals import UnreachableError

    add_companies(world.store, range(2))
    world.box.fault("dataverse", "status", times=None, after=4, status=status)
    world.box.reset_counters()
    with pytest.raises(UnreachableError):
        world.push()
    assert world.box.counters()["dataverse"] < 20
    assert world.states().get("synced", 0) == 0
    world.check(fresh=False)
    world.settles()
    assert world.states() == {"synced": 8}


@pytest.mark.parametrize("kind", ["batch_part_missing", "batch_parts_reversed"])
def test_a_part_of_a_batch_that_is_missing_or_misplaced_is_no_success(world: World, kind: str) -> None:
    domains = add_companies(world.store, range(4))
    world.push()
    for number, domain in enumerate(domains):
        change_company(world.store, domain, city=f"City {number}")
    world.box.fault("dataverse", kind, times=1, index=1)
    result = world.push()
    assert result.counts["updated"] + result.counts["recovered"] == 8
    for number, domain in enumerate(domains):
        assert world.sales.row("account", domain)["address1_city"] == f"City {number}"
    world.settles()


def test_a_row_that_changed_since_it_was_read_is_read_again_and_the_rules_apply_again(world: World) -> None:
    (domain,) = add_companies(world.store, [1])
    world.push()
    world.sales.edit("account", domain, telephone1="0232 999 typed")
    change_company(world.store, domain, phone="+90 1", city="Ankara")
    result = world.push()
    assert result.counts["updated"] >= 1
    row = world.sales.row("account", domain)
    assert (row["telephone1"], row["address1_city"]) == ("0232 999 typed", "Ankara")
    world.settles()
