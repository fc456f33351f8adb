"""The figures above the list are what the tables hold, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hunter_orchestration.store import Connection, Store, page_figures
from hunter_orchestration_tests.web import seeding
from hunter_orchestration_tests.web.seeding import NOW, lead, put


@pytest.fixture
def worked_on(store: Store) -> Store:
    """Six referrals on their way, and what Dynamics said to some."""
    with store.write() as connection:
        for number, values in enumerate(
            [
                {"status": "New"},
                {"status": "Active", "accepted_at": NOW},
                {"status": "Active"},
                {"status": "Closed", "substatus": "Won", "accepted_at": NOW, "is_open": False},
                {"status": "Closed", "substatus": "Expired", "is_open": False},
            ]
        ):
            seeding.referral(connection, f"r{number}", "a.example" if number else None, **values)
        seeding.referral(connection, "lost", None, status="Closed", substatus="Lost", is_open=False)
        for number, (state, referral) in enumerate(
            [("synced", "r1"), ("synced", "r1"), ("synced", "r3"), ("synced", None), ("rejected", "r2")]
        ):
            seeding.crm_record(
                connection, "a.example", state, "opportunity", external_id=f"x{number}", referral_id=referral
            )
        seeding.crm_record(connection, "b.example", "conflict")
    return store


def test_the_funnel_counts_each_referral_once_a_stage(worked_on: Store) -> None:
    with worked_on.read() as connection:
        assert dict(page_figures.funnel(connection)) == {
            "referrals": 6,
            "linked": 4,
            "accepted": 3,
            "pushed": 2,
            "won": 1,
        }


def test_the_numbers_beside_the_rooms(worked_on: Store) -> None:
    put(worked_on, [lead("a.example"), lead("c.example")])
    with worked_on.read() as connection:
        counts = page_figures.counts(connection)
    assert counts == {
        "leads": 2,
        "referrals": 3,
        "needs_domain": 1,
        "imports": 0,
        "quarantine": 0,
        "rejects": 1,
        "conflicts": 1,
        "deleted_in_crm": 0,
        "differences": 0,
    }


def test_new_ones_of_the_best_priorities_are_counted_since_a_time(store: Store) -> None:
    old = NOW - timedelta(days=30)
    put(store, [lead(f"new{number}.example", priority=f"P{number}") for number in range(1, 5)])
    put(store, [lead(f"old{number}.example", priority="P1", first_seen_at=old) for number in range(3)])

    def asked(connection: Connection, *priorities: str) -> int:
        return page_figures.new_of_priorities(connection, priorities, NOW - timedelta(days=7))

    with store.read() as connection:
        assert asked(connection, "P1", "P2") == 2
        assert asked(connection, "P1") == 1
        assert page_figures.new_of_priorities(connection, ["P1", "P2"], old) == 5


def test_what_grows_with_the_work_is_counted_in_indexes_alone(sqlite_store: Store) -> None:
    asked: list[str] = []
    with sqlite_store.read() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.set_trace_callback(asked.append)
        page_figures.funnel(connection)
        page_figures.open_value(connection, "co_sell")
        raw.set_trace_callback(None)
        plans = [
            row[3]
            for statement in asked
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
        ]
    read = [step for step in plans if "referrals" in step or "crm_records" in step]
    assert len(read) >= 4
    assert [step for step in read if "INDEX" not in step] == []
    assert any("ix_referrals_open" in step for step in read)
