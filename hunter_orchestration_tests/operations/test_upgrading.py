"""``hunter db upgrade`` on a database of the first schema that holds leads: all of it is there, counted and found."""

from __future__ import annotations

import random

import pytest
from alembic import command
from sqlalchemy import inspect, text
from typer.testing import CliRunner

from hunter_orchestration.cli import app
from hunter_orchestration.commands import operations
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import _config, current_version, newest_version
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration_tests.web.seeding import lead, random_lead

_LEADS = 300
_COUNTED = ("priority", "provider", "country", "score", "complete")


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    if not any(group.name == "db" for group in app.registered_groups):
        operations.register(app)


def _insert(store: Store, rows: list[dict[str, object]]) -> None:
    there = {column["name"] for column in inspect(store.engine).get_columns("leads")}
    with store.write() as connection:
        connection.execute(leads.insert(), [{name: row[name] for name in row if name in there} for row in rows])


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
