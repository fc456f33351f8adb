"""The counts of the leads agree with the leads, whichever version of the schema they came in with."""

from __future__ import annotations

import random
from collections import Counter

from alembic import command
from sqlalchemy import func, select

from hunter_orchestration.store import Store, migrate
from hunter_orchestration.store.tables.leads import COUNTED, KEPT_BY, lead_counts, leads
from hunter_orchestration_tests.web.seeding import put, random_lead


def _true(store: Store) -> Counter[tuple[object, ...]]:
    columns = [leads.c[name] if name not in COUNTED else func.coalesce(leads.c[name], "") for name in KEPT_BY]
    with store.read() as connection:
        return Counter(tuple(row) for row in connection.execute(select(*columns)))


def _kept(store: Store) -> Counter[tuple[object, ...]]:
    found: Counter[tuple[object, ...]] = Counter()
    with store.read() as connection:
        for *values, number in connection.execute(select(*(lead_counts.c[name] for name in (*KEPT_BY, "leads")))):
            found[tuple(values)] += number
    return found


def test_leads_that_were_there_before_an_upgrade_are_counted_by_it_and_after_it(store: Store) -> None:
    chance = random.Random(3)
    put(store, [random_lead(number, chance) for number in range(120)])
    command.downgrade(migrate._config(store), "0002")
    put(store, [random_lead(number, chance) for number in range(120, 150)])
    migrate.upgrade(store)
    assert _kept(store) == _true(store)
    with store.write() as connection:
        moved = leads.update().where(leads.c.score > 50)
        connection.execute(moved.values(score=leads.c.score - 1, complete=False, provider="Zoho"))
        connection.execute(leads.delete().where(leads.c.country == "TR"))
    put(store, [random_lead(number, chance) for number in range(150, 160)])
    assert +_kept(store) == _true(store)
    assert _true(store).total() > 60


def test_a_lead_whose_values_stay_is_not_counted_again(store: Store) -> None:
    put(store, [random_lead(number, random.Random(4)) for number in range(30)])
    before = _kept(store)
    with store.write() as connection:
        connection.execute(leads.update().values(name="Başka Ad"))
    assert +_kept(store) == +before
