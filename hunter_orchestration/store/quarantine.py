"""What could not be understood: whole, with the reason, until the code or the payload changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update

from hunter_orchestration.store.tables.ingestion import quarantine, raw_leads
from hunter_orchestration.store.upsert import insert


def put(connection: Connection, rows: Sequence[Mapping[str, Any]], *, reader_version: int, now: datetime) -> None:
    """Quarantine payloads, one entry a record.

    Args:
        rows: source, external_id, raw_lead_id, reason, detail, payload; no two of one record.
    """
    if not rows:
        return
    statement = insert(connection, quarantine)
    fresh = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["source", "external_id"],
        set_={
            "raw_lead_id": fresh.raw_lead_id,
            "reason": fresh.reason,
            "detail": fresh.detail,
            "payload": fresh.payload,
            "reader_version": fresh.reader_version,
            "state": "open",
            "attempts": quarantine.c.attempts + 1,
            "last_at": fresh.last_at,
        },
    )
    connection.execute(
        statement,
        [dict(row, reader_version=reader_version, state="open", attempts=1, first_at=now, last_at=now) for row in rows],
    )


def known(connection: Connection, source: str, external_ids: Sequence[str]) -> set[str]:
    """Those of the records that have an entry which is still open."""
    query = select(quarantine.c.external_id).where(
        quarantine.c.source == source, quarantine.c.external_id.in_(list(external_ids)), quarantine.c.state == "open"
    )
    return set(connection.execute(query).scalars())


def resolve(connection: Connection, source: str, external_ids: Sequence[str], *, now: datetime) -> int:
    """Close the entries of records that were understood after all; returns how many."""
    if not external_ids:
        return 0
    done = connection.execute(
        update(quarantine)
        .where(
            quarantine.c.source == source,
            quarantine.c.external_id.in_(list(external_ids)),
            quarantine.c.state == "open",
        )
        .values(state="resolved", last_at=now)
    )
    return int(done.rowcount)


def reopen_older(connection: Connection, source: str, reader_version: int) -> int:
    """Let payloads that an older version could not understand be read again; returns how many."""
    waiting = select(quarantine.c.raw_lead_id).where(
        quarantine.c.source == source,
        quarantine.c.state == "open",
        quarantine.c.reader_version != reader_version,
        quarantine.c.raw_lead_id.is_not(None),
    )
    return _requeue(connection, waiting)


def retry(connection: Connection, ids: Sequence[int] | None = None) -> int:
    """Let open entries be read again by the next read, all of them or those given; returns how many."""
    waiting = select(quarantine.c.raw_lead_id).where(
        quarantine.c.state == "open", quarantine.c.raw_lead_id.is_not(None)
    )
    if ids is not None:
        waiting = waiting.where(quarantine.c.id.in_(list(ids)))
    return _requeue(connection, waiting)


def _requeue(connection: Connection, raw_lead_ids: Any) -> int:
    done = connection.execute(
        update(raw_leads)
        .where(raw_leads.c.id.in_(raw_lead_ids), raw_leads.c.processed_at.is_not(None))
        .values(processed_at=None, outcome=None)
    )
    return int(done.rowcount)


def nameless(
    connection: Connection, source: str, reader_version: int | None, *, after_id: int, limit: int
) -> list[dict[str, Any]]:
    """Open entries of payloads without an identity; with a version only those that another version judged."""
    query = select(quarantine).where(
        quarantine.c.source == source,
        quarantine.c.state == "open",
        quarantine.c.raw_lead_id.is_(None),
        quarantine.c.id > after_id,
    )
    if reader_version is not None:
        query = query.where(quarantine.c.reader_version != reader_version)
    return [dict(row) for row in connection.execute(query.order_by(quarantine.c.id).limit(limit)).mappings()]


def listed(
    connection: Connection, *, state: str | None = "open", after_id: int = 0, limit: int = 100
) -> Sequence[RowMapping]:
    """Entries by id, without payloads."""
    query = select(*(column for column in quarantine.columns if column.name != "payload")).where(
        quarantine.c.id > after_id
    )
    if state is not None:
        query = query.where(quarantine.c.state == state)
    return connection.execute(query.order_by(quarantine.c.id).limit(limit)).mappings().all()


def count_open(connection: Connection) -> int:
    """How many entries wait for a person or a newer version."""
    query = select(func.count()).select_from(quarantine).where(quarantine.c.state == "open")
    return int(connection.execute(query).scalar_one())


def one(connection: Connection, entry_id: int) -> dict[str, Any] | None:
    """An entry with its payload, wherever that is kept, or ``None``."""
    query = (
        select(quarantine, raw_leads.c.payload.label("raw_payload"))
        .select_from(quarantine.outerjoin(raw_leads, raw_leads.c.id == quarantine.c.raw_lead_id))
        .where(quarantine.c.id == entry_id)
    )
    found = connection.execute(query).mappings().first()
    if found is None:
        return None
    entry = dict(found)
    raw = entry.pop("raw_payload")
    entry["payload"] = entry["payload"] if entry["payload"] is not None else raw
    return entry
