"""A plug-in of the organisation that rewrites what Hunter writes: told once, not fought at every push."""

from __future__ import annotations

from typing import Any

import pytest

from hunter_orchestration.dynamics.mapping import FieldMapping
from hunter_orchestration.dynamics.plan import plan_existing
from hunter_orchestration.store import crm
from hunter_orchestration_tests.dynamics.world import World, add_companies, change_company, change_score, domain_of

LEAD = domain_of(1)
WORDS = "The CRM changes what Hunter writes in hnt_provider."


def upper_case(world: World, *pairs: tuple[str, str]) -> None:
    rules = [{"table": "lead", "column": "hnt_provider", "value": sent, "to": made} for sent, made in pairs]
    world.box.configure("dataverse", rewrite_rows=rules)


def attempts(world: World, outcome: str) -> list[dict[str, Any]]:
    with world.store.read() as connection:
        entries = crm.audit_entries(connection, domain=LEAD)
    return [dict(e) for e in entries if e["table_name"] == "lead" and e["outcome"] == outcome]


def test_a_value_that_the_crm_rewrites_is_written_once_and_told(both: World) -> None:
    upper_case(both, ("Google", "GOOGLE"))
    add_companies(both.store, [1])
    first = both.push()
    assert first.counts["created"] == 4
    (surprise,) = first.facts["plan_differences"]["sample"]
    assert (surprise["outcome"], surprise["fields"]) == ("altered_in_crm", {"hnt_provider": ["Google", "GOOGLE"]})
    record = both.record("lead", LEAD)
    assert (record["state"], record["error_code"], record["error"]) == ("synced", "altered_in_crm", WORDS)
    assert attempts(both, "confirmed")[-1]["detail"] == WORDS
    for _ in range(3):
        both.pull()
        both.due(LEAD)
        both.writes()
        assert both.push().counts["unchanged"] == 4
        assert both.writes() == {}
    assert both.record("lead", LEAD)["error"] == WORDS
    (lead,) = (p for p in both.push(dry_run=True, domains=[LEAD]).facts["plan"] if p["table"] == "lead")
    assert lead["operation"] == "unchanged"
    assert (lead["rewritten"], lead["kept"]) == (["hnt_provider"], {"hnt_provider": ["GOOGLE", "Google"]})
    both.settles()


def test_another_value_is_tried_and_what_arrives_as_sent_ends_the_telling(world: World) -> None:
    upper_case(world, ("Google", "GOOGLE"))
    add_companies(world.store, [1])
    world.push()
    change_score(world.store, LEAD, provider="Yandex")
    assert world.push().counts["updated"] == 1
    assert world.sales.row("lead", LEAD)["hnt_provider"] == "Yandex"
    assert world.record("lead", LEAD)["error"] is None
    change_score(world.store, LEAD, provider="Google")
    world.push()
    assert world.record("lead", LEAD)["error"] == WORDS
    world.settles()


def test_other_fields_of_the_record_go_on_being_written(world: World) -> None:
    upper_case(world, ("Google", "GOOGLE"))
    add_companies(world.store, [1])
    world.push()
    change_score(world.store, LEAD, score=95)
    assert world.push().counts["updated"] == 2, "the lead, and the stage of its opportunity"
    row = world.sales.row("lead", LEAD)
    assert (row["hnt_finalscore"], row["hnt_provider"]) == (95, "GOOGLE")
    assert set(attempts(world, "sent")[-1]["fields"]) >= {"hnt_finalscore"}
    assert "hnt_provider" not in attempts(world, "sent")[-1]["fields"]
    assert world.record("lead", LEAD)["error"] == WORDS
    world.settles()


def test_a_person_who_changes_a_field_of_hunters_after_the_plug_in_is_overruled_once(world: World) -> None:
    upper_case(world, ("Google", "GOOGLE"))
    add_companies(world.store, [1])
    world.push()
    world.sales.edit("lead", LEAD, hnt_provider="Somebody")
    world.pull()
    assert world.push().counts["updated"] == 1
    assert world.sales.row("lead", LEAD)["hnt_provider"] == "GOOGLE"
    world.settles()


def test_a_workflow_that_comes_later_is_fought_three_times_and_no_more(world: World) -> None:
    """The read-back still shows what was sent; minutes later it is another value."""
    add_companies(world.store, [1])
    world.push()
    for _ in range(3):
        world.sales.edit("lead", LEAD, hnt_provider="GOOGLE")
        world.pull()
        assert world.push().counts["updated"] == 1
        assert world.sales.row("lead", LEAD)["hnt_provider"] == "Google"
    world.sales.edit("lead", LEAD, hnt_provider="GOOGLE")
    world.pull()
    assert world.push().counts["picked"] == 0, "nothing is due any more"
    world.due(LEAD)
    assert world.push().counts["unchanged"] == 4
    assert world.sales.row("lead", LEAD)["hnt_provider"] == "GOOGLE"
    assert world.record("lead", LEAD)["error"] == WORDS
    change_score(world.store, LEAD, provider="Yandex")
    world.push()
    assert world.sales.row("lead", LEAD)["hnt_provider"] == "Yandex"
    assert world.record("lead", LEAD)["error"] is None
    world.settles()


def test_another_value_each_time_is_a_persons_and_is_overruled_each_time(world: World) -> None:
    add_companies(world.store, [1])
    world.push()
    for number in range(5):
        world.sales.edit("lead", LEAD, hnt_provider=f"typed {number}")
        world.pull()
        assert world.push().counts["updated"] == 1
    assert world.sales.row("lead", LEAD)["hnt_provider"] == "Google"
    world.settles()


def test_a_field_of_the_crm_that_a_plug_in_rewrites_still_follows_hunter(world: World) -> None:
    """The rewritten value is nobody's typing."""
    world.box.configure(
        "dataverse", rewrite_rows=[{"table": "account", "column": "address1_city", "value": "İzmir", "to": "IZMIR"}]
    )
    add_companies(world.store, [1])
    world.push()
    change_company(world.store, LEAD, city="Ankara")
    world.push()
    assert world.sales.row("account", LEAD)["address1_city"] == "Ankara"
    world.settles()


@pytest.mark.parametrize(
    ("ours", "theirs", "written"),
    [("a", "A", False), ("b", "A", True), ("a", "typed", False), ("a", None, True)],
)
@pytest.mark.parametrize("rule", ["crm-wins-unless-empty"])
def test_the_plan_knows_a_rewritten_value_from_a_typed_one(ours: str, theirs: Any, written: bool, rule: Any) -> None:
    fields = {"city": FieldMapping(source=["company.city"], rule=rule)}
    plan = plan_existing("account", fields, {"city": ours}, {}, {"city": theirs}, altered={"city": ["a", "A"]})
    assert bool(plan.changes) is written
    assert bool(plan.rewritten) is (theirs == "A" and not written)
