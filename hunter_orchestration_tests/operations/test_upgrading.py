"""``hunter db upgrade`` on a database that holds leads: all of it is there, counted and found."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Table, inspect, select, text
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

from hunter_orchestration.cli import app
from hunter_orchestration.commands import operations
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import _config, current_version, newest_version, upgrade
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.scores import score_history, scores
from hunter_orchestration_tests.web.seeding import lead, random_lead

_LEADS = 300
_COUNTED = ("priority", "provider", "country", "score", "complete")


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    if not any(group.name == "db" for group in app.registered_groups):
        operations.register(app)


def _insert(store: Store, rows: list[dict[str, Any]], table: Table = leads) -> None:
    there = {column["name"] for column in inspect(store.engine).get_columns(table.name)}
    with store.write() as connection:
        connection.execute(table.insert(), [{name: row[name] for name in row if name in there} for row in rows])


def _counts(store: Store, source: str, rows: str) -> dict[str, list[tuple[str, int]]]:
    with store.read() as connection:
        return {
            name: sorted(
                (str(value or ""), int(count))
                for value, count in connection.execute(text(f"SELECT {name}, {rows} FROM {source} GROUP BY {name}"))
                if count
            )
            for name in _COUNTED
        }


def _found(store: Store, word: str) -> int:
    query = (
        "SELECT count(*) FROM leads WHERE search_text LIKE '%' || :word || '%'"
        if store.dialect == "postgresql"
        else "SELECT count(*) FROM leads_search WHERE search_text MATCH '\"' || :word || '\"'"
    )
    with store.read() as connection:
        return int(connection.execute(text(query), {"word": word}).scalar_one())


def test_a_store_of_the_first_schema_is_upgraded_with_what_it_holds(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(7)
    store = Store(store_url)
    command.upgrade(_config(store), "0001")
    assert current_version(store) == "0001"
    _insert(store, [random_lead(number, chance) for number in range(_LEADS)])
    monkeypatch.setenv("HUNTER_DATABASE_URL", store_url)
    for _twice in range(2):
        done = CliRunner().invoke(app, ["db", "upgrade"])
        assert done.exit_code == 0, done.output
    assert current_version(store) == newest_version()
    assert _counts(store, "lead_counts", "sum(leads)") == _counts(store, "leads", "count(*)")
    _insert(store, [lead("sonra-gelen.example", "Sonradan Gelen Kıymet")])
    with store.write() as connection:
        connection.execute(text("DELETE FROM leads WHERE priority = 'P1'"))
    counted = _counts(store, "lead_counts", "sum(leads)")
    assert counted == _counts(store, "leads", "count(*)")
    assert "P1" not in dict(counted["priority"])
    assert _found(store, "sonra-gelen") == 1
    with store.read() as connection:
        some = connection.execute(text("SELECT domain FROM leads WHERE domain LIKE 'd%' LIMIT 1")).scalar_one()
    assert _found(store, str(some)) == 1
    store.close()


_DAYS = [datetime(2026, 11, day, 9, 30, tzinfo=UTC) for day in range(1, 8)]
_HISTORIES: dict[str, tuple[list[tuple[int, str]], int]] = {
    "moved-inside.example": ([(0, "P1"), (2, "P1"), (5, "P1")], 0),
    "came-once.example": ([(0, "P3"), (2, "P1"), (5, "P1")], 2),
    "came-back.example": ([(0, "P1"), (1, "P3"), (3, "P1"), (5, "P1")], 3),
    "at-one-time.example": ([(1, "P3"), (1, "P1"), (5, "P1")], 1),
    "later-written-first.example": ([(5, "P1"), (3, "P1"), (1, "P4")], 3),
    "none-kept.example": ([], 5),
    "kept-of-another-alone.example": ([(1, "P2")], 5),
}
"""Company, its history as day and priority in the order written, and the day since when it is P1; day 5 is its last
change."""


def _score(domain: str) -> dict[str, Any]:
    return {
        "domain": domain, "rules_version": "1", "input_hash": "x", "inputs": {}, "provider": "Local", "score": 20,
        "complete": True, "segment": "Migration", "technical_heat": "Warm", "commercial_segment": "GREENFIELD",
        "commercial_heat": "HIGH", "priority": "P1", "priority_label": "", "breakdown": [{"rule": "spf"}],
        "scored_at": _DAYS[6], "changed_at": _DAYS[5],
    }  # fmt: skip


def _shape(store: Store) -> list[Any]:
    """Columns, keys and indexes of the tables that the migration touches."""
    found = inspect(store.engine)
    return [
        (
            [(one["name"], str(one["type"]), one["nullable"], one.get("comment")) for one in found.get_columns(table)],
            found.get_pk_constraint(table),
            found.get_indexes(table),
        )
        for table in ("scores", "watermarks", "leases", "sync_runs")
    ]


def test_since_when_a_lead_has_its_priority_is_read_from_its_history(store_url: str) -> None:
    store = Store(store_url)
    command.upgrade(_config(store), "0004")
    before = _shape(store)
    _insert(store, [_score(domain) for domain in _HISTORIES], scores)
    lines = [
        {"domain": domain, "at": _DAYS[day], "score": 20, "priority": priority, "rules_version": "1"}
        for domain, (steps, _since) in _HISTORIES.items()
        for day, priority in steps
    ]
    _insert(store, lines, score_history)
    for _there_and_back in range(2):
        upgrade(store)
        with store.read() as connection:
            kept = {row["domain"]: dict(row) for row in connection.execute(select(scores)).mappings()}
        assert {domain: row["priority_since"] for domain, row in kept.items()} == {
            domain: _DAYS[since] for domain, (_steps, since) in _HISTORIES.items()
        }
        for domain, row in kept.items():
            assert {name: value for name, value in row.items() if name != "priority_since"} == _score(domain)
        with pytest.raises(IntegrityError):
            _insert(store, [_score("without.example")], scores)
        command.downgrade(_config(store), "0004")
        assert _shape(store) == before
    store.close()
