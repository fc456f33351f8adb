"""Many rows at once mean the same on both databases, to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.ingestion import raw_leads
from hunter_orchestration.store.tables.referrals import referral_history
from hunter_orchestration.store.upsert import append, change, upsert

AT = datetime(2026, 11, 1, 8, 0, 0, 123456, tzinfo=UTC)
KEY = ("source", "external_id", "payload_hash")


def raw(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "source": "api",
        "external_id": str(number),
        "payload_hash": "0" * 64,
        "payload": {"text": "Iğdır \U0001f680", "list": [1, 2.5, None, True], "nothing": None},
        "source_updated_at": None,
        "received_at": AT,
        "seen_at": AT,
        "outcome": None,
    } | changes


def rows_of(store: Store) -> dict[str, dict[str, Any]]:
    with store.read() as connection:
        return {row["external_id"]: dict(row) for row in connection.execute(select(raw_leads)).mappings()}


def test_what_is_written_is_read_again_to_the_last_digit(store: Store) -> None:
    amounts = [Decimal("123456789012345.1234"), Decimal("-0.0001"), Decimal(0), None]
    rows = [
        {
            "referral_id": f"r{number}",
            "at": AT + timedelta(microseconds=number),
            "status": "a\\b'c\"d",
            "substatus": "",
            "deal_value": amount,
            "currency": None if amount is None else "TRY",
            "recorded_at": AT,
        }
        for number, amount in enumerate(amounts)
    ]
    with store.write() as connection:
        append(connection, referral_history, rows)
        append(connection, referral_history, [])
        upsert(connection, raw_leads, [raw(1), raw(2, payload="text", source_updated_at=AT)], key=KEY)
    with store.read() as connection:
        query = select(*(referral_history.c[name] for name in rows[0])).order_by(referral_history.c.at)
        assert [dict(row) for row in connection.execute(query).mappings()] == rows
    kept = rows_of(store)
    assert {name: kept["1"][name] for name in raw(1)} == raw(1)
    assert (kept["2"]["payload"], kept["2"]["source_updated_at"]) == ("text", AT)


def test_a_known_key_is_overwritten_in_the_named_columns_alone(store: Store) -> None:
    later = AT + timedelta(days=1)
    with store.write() as connection:
        upsert(connection, raw_leads, [raw(1), raw(2)], key=KEY)
        upsert(connection, raw_leads, [raw(2, seen_at=later, outcome="x"), raw(3)], key=KEY, update=("seen_at",))
        upsert(connection, raw_leads, [raw(1, seen_at=later)], key=KEY, update=())
    kept = rows_of(store)
    assert {key: (row["seen_at"], row["outcome"]) for key, row in kept.items()} == {
        "1": (AT, None),
        "2": (later, None),
        "3": (AT, None),
    }


def test_rows_that_stand_otherwise_than_they_were_read_are_left_alone(store: Store) -> None:
    later = AT + timedelta(days=1)
    with store.write() as connection:
        upsert(connection, raw_leads, [raw(number, outcome="old") for number in range(4)], key=KEY)
    ids = {key: row["id"] for key, row in rows_of(store).items()}
    read = [
        {"id": ids["0"], "seen_at": AT, "outcome": "a"},
        {"id": ids["1"], "seen_at": later, "outcome": "b"},
        {"id": ids["2"], "seen_at": AT, "outcome": None},
    ]
    with store.write() as connection:
        change(connection, raw_leads, read, where=("id", "seen_at"), values={"processed_at": later})
        change(connection, raw_leads, [], where=("id",))
    assert {key: (row["outcome"], row["processed_at"]) for key, row in rows_of(store).items()} == {
        "0": ("a", later),
        "1": ("old", None),
        "2": (None, later),
        "3": ("old", None),
    }


def test_a_column_can_be_compared_and_emptied_at_once(store: Store) -> None:
    with store.write() as connection:
        upsert(connection, raw_leads, [raw(1, source_updated_at=AT), raw(2, source_updated_at=AT)], key=KEY)
        named = [{"external_id": "1", "source_updated_at": AT}, {"external_id": "2", "source_updated_at": None}]
        change(
            connection, raw_leads, named, where=("external_id", "source_updated_at"), values={"source_updated_at": None}
        )
    kept = rows_of(store)
    assert [kept[key]["source_updated_at"] for key in ("1", "2")] == [None, AT]
