"""Consent travels as the customer gave it: a no is written, a yes or silence writes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from hunter_orchestration_tests.dynamics.world import World, add_companies, change_consent, domain_of, email_hash

FLAGS = ("donotemail", "donotphone", "donotbulkemail")
PERSON = email_hash(f"ayse.1@{domain_of(1)}")


def flags(world: World, table: str, key: str) -> list[Any]:
    row = world.sales.row(table, key)
    return [row.get(name) or False for name in FLAGS]


@pytest.mark.parametrize("consent", [None, {}, {"contact": True}, {"share_info": False}])
def test_consent_that_was_not_refused_marks_nobody(world: World, consent: Any) -> None:
    add_companies(world.store, [1])
    change_consent(world.store, domain_of(1), consent)
    (entry,) = (p for p in world.push(dry_run=True).facts["plan"] if p["table"] == "contact")
    assert not set(FLAGS) & set(entry["fields"])
    world.push()
    assert flags(world, "contact", PERSON) == [False] * 3


def test_a_no_is_written_to_the_contact_and_the_lead_and_taken_back_when_it_becomes_a_yes(world: World) -> None:
    add_companies(world.store, [1])
    change_consent(world.store, domain_of(1), {"contact": False})
    world.push()
    assert flags(world, "contact", PERSON) == flags(world, "lead", domain_of(1)) == [True] * 3
    assert "Ayşe" not in world.sales.row("lead", domain_of(1))["description"], "nobody is told to call who said no"
    world.settles()
    change_consent(world.store, domain_of(1), {"contact": True})
    assert world.push().counts["updated"] == 2
    assert flags(world, "contact", PERSON) == flags(world, "lead", domain_of(1)) == [False] * 3
    world.settles()


def test_a_no_reaches_a_contact_that_sales_had_already(world: World) -> None:
    add_companies(world.store, [1])
    world.sales.enter("contact", lastname="Yılmaz", emailaddress1=f"ayse.1@{domain_of(1)}", donotemail=False)
    change_consent(world.store, domain_of(1), {"contact": False})
    assert world.push().counts["adopted"] == 1
    assert flags(world, "contact", PERSON) == [True] * 3


def test_what_sales_forbade_stays_forbidden_whatever_the_referral_says(world: World) -> None:
    add_companies(world.store, [1])
    world.push()
    world.sales.edit("contact", PERSON, donotphone=True)
    world.pull()
    change_consent(world.store, domain_of(1), {"contact": True})
    world.push()
    assert flags(world, "contact", PERSON) == [False, True, False]
    world.settles()
