"""What a database says of a statement it refuses reaches logs and Dagster's page: never with the people in its rows."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.companies import contacts
from hunter_orchestration.store.tables.ingestion import raw_leads
from hunter_orchestration.store.upsert import append, change, upsert

AT = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
ADDRESS = "zeynep.karaca@acme-gizli.example"
PERSON = ("zeynep", "karaca", "5550199", "acme-gizli")


def raw(**changes: Any) -> dict[str, Any]:
    return {
        "source": "api",
        "external_id": "acme-gizli.example#1",
        "payload_hash": "0" * 64,
        "payload": {"email": ADDRESS, "last_name": "Karaca", "phone": "+90 532 5550199"},
        "source_updated_at": None,
        "received_at": AT,
        "seen_at": AT,
        "outcome": None,
    } | changes


def twice(connection: Connection) -> None:
    append(connection, raw_leads, [raw(), raw()])


def without_a_needed_value(connection: Connection) -> None:
    upsert(connection, raw_leads, [raw(received_at=None)], key=("source", "external_id", "payload_hash"))


def changed_to_nothing(connection: Connection) -> None:
    append(connection, raw_leads, [raw()])
    rows = [{"external_id": raw()["external_id"], "received_at": None}]
    change(connection, raw_leads, rows, where=("external_id",), values={"outcome": ADDRESS})


def a_person_twice(connection: Connection) -> None:
    person = {
        "company_domain": "acme-gizli.example",
        "email_hash": "0" * 64,
        "email": ADDRESS,
        "last_name": "Karaca",
        "source": "api",
        "first_seen_at": AT,
        "changed_at": AT,
    }
    append(connection, contacts, [person, person])


def of_the_wrong_type(connection: Connection) -> None:
    # SQLite takes text for a number; it refuses what calls itself JSON and is none.
    wrong = {"name": f'Zeynep "Karaca" {ADDRESS}'}
    asked = "cast(:name as integer)" if connection.dialect.name == "postgresql" else "json_extract(:name, '$.a')"
    connection.execute(text(f"select {asked}"), wrong).all()


@pytest.mark.parametrize(
    "refused",
    [twice, without_a_needed_value, changed_to_nothing, a_person_twice, of_the_wrong_type],
)
def test_a_refused_statement_says_what_was_wrong_and_nobodys_data(
    store: Store, refused: Callable[[Connection], None]
) -> None:
    with pytest.raises(DBAPIError) as failure, store.write() as connection:
        refused(connection)
    told = "".join(traceback.format_exception(failure.value)).casefold()
    assert not [word for word in PERSON if word in told]
    assert any(word in told for word in ("constraint", "invalid input syntax", "malformed json"))
