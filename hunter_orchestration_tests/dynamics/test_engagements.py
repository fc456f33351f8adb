"""A shared deal comes as several referrals of one engagement (contract section 3); the CRM's pipeline holds it once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration_tests.dynamics.world import World, add_companies, domain_of, referral_of

ENGAGEMENT = "bc5280f1-5b07-4b54-9c6b-2a4c2b2f4d10"
DOMAIN = domain_of(1)
OURS, THEIRS, ANOTHER = referral_of(1), referral_of(101), referral_of(102)

Sides = Callable[..., None]


@pytest.fixture
def sides(world: World) -> Sides:
    """Adds referrals of the company: a changed copy of its own one each."""
    add_companies(world.store, [1])

    def add(*changes: dict[str, Any]) -> None:
        with world.store.write() as connection:
            row = dict(connection.execute(select(referrals).where(referrals.c.id == OURS)).mappings().one())
            connection.execute(insert(referrals), [{**row, **changed} for changed in changes])
        world.due(DOMAIN)

    with world.store.write() as connection:
        connection.execute(update(referrals).values(engagement_id=ENGAGEMENT, organization_id="c4b965db"))
    return add


def test_our_side_of_a_deal_is_its_opportunity_and_microsofts_is_not_another(world: World, sides: Sides) -> None:
    theirs = {"id": THEIRS, "organization_id": "msft", "status": "Active"}
    sides(theirs, {"id": ANOTHER, "engagement_id": None})
    assert world.push().counts["created"] == 5
    assert set(world.sales.keyed("opportunity")) == {OURS, ANOTHER}
    world.settles()


def test_the_side_that_is_in_the_crm_stays_the_one(world: World, sides: Sides) -> None:
    with world.store.write() as connection:
        connection.execute(update(referrals).values(organization_id="msft"))
    world.push()
    assert set(world.sales.keyed("opportunity")) == {OURS}
    sides({"id": THEIRS, "organization_id": "c4b965db"})
    assert world.push().counts["created"] == 0
    assert set(world.sales.keyed("opportunity")) == {OURS}
    world.settles()


def test_a_side_that_was_only_announced_gives_way_to_the_better_one(world: World, sides: Sides) -> None:
    with world.store.write() as connection:
        connection.execute(update(referrals).values(organization_id="msft", status="New"))
    world.box.fault("dataverse", "status", times=None, status=503, path="accounts|opportunities")
    world.push()
    assert not world.record("opportunity", OURS)["crm_id"]
    sides({"id": THEIRS, "organization_id": "c4b965db", "status": "Active"})
    world.box.clear()
    world.retry_now()
    world.push()
    assert set(world.sales.keyed("opportunity")) == {THEIRS}
    assert world.states() == {"synced": 4}
    world.settles()
