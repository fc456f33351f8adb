"""What Hunter writes is of use: whole addresses, numbers that can be dialled, amounts with their currency."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from hunter_orchestration.dynamics.values import _phone
from hunter_orchestration.store.tables.companies import contacts
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration_tests.dynamics.world import World, add_companies, domain_of, email_hash

DOMAIN = domain_of(1)
PERSON = email_hash(f"ayse.1@{DOMAIN}")
DEAL = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("written", "phone"),
    [
        ("+90 (532) 555-01 01", "+90 (532) 555-01 01"),
        ("0090 532 555 0101", "+90 532 555 0101"),
        ("tel: 0532/555.01.01 x12", "0532/555.01.01 x12"),
        ("Ask for Max", ""),
        ("---", ""),
        ("dahili", ""),
    ],
)
def test_a_phone_has_digits_or_is_none(written: str, phone: str) -> None:
    assert _phone(written) == phone


def test_an_address_that_does_not_fit_is_never_cut(world: World) -> None:
    add_companies(world.store, [1])
    long = f"{'a' * 60}@{'b' * 50}.example"
    with world.store.write() as connection:
        connection.execute(update(contacts).values(email=long))
    counts = world.push().counts
    assert (counts["created"], counts["rejected"]) == (3, 1)
    person = world.record("contact", PERSON)
    assert (person["error_code"], person["fix"]) == ("text_too_long", "text_too_long")
    assert person["error"] == "contact.emailaddress1 takes 100 characters, and Hunter's value has more."
    assert "emailaddress1" not in world.sales.row("lead", DOMAIN)


def test_an_amount_whose_currency_nobody_knows_is_not_sent_as_one_of_the_organisations_own(world: World) -> None:
    add_companies(world.store, [1])
    with world.store.write() as connection:
        connection.execute(update(referrals).values(currency=None))
    assert world.push().counts["created"] == 4
    assert "estimatedvalue" not in world.sales.row("opportunity", DEAL)
    with world.store.write() as connection:
        connection.execute(update(referrals).values(currency="EUR"))
    world.due(DOMAIN)
    world.push()
    assert world.sales.row("opportunity", DEAL)["estimatedvalue"] == 38000
    world.settles()
