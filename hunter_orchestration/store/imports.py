"""Imported files: their state, what was rejected of them, and the records they brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select, update

from hunter_orchestration.store.tables.ingestion import import_rejects, imports, raw_leads
from hunter_orchestration.store.upsert import insert, upsert


def add(connection: Connection, row: Mapping[str, Any]) -> int:
    """Record a file that waits; returns its id."""
    return int(connection.execute(insert(connection, imports).values(**row).returning(imports.c.id)).scalar_one())


def one(connection: Connection, import_id: int) -> RowMapping | None:
    """An imported file."""
    return connection.execute(select(imports).where(imports.c.id == import_id)).mappings().first()


def listed(connection: Connection, *, before: int | None = None, limit: int = 50) -> Sequence[RowMapping]:
    """Imports, newest first."""
    query = select(imports).order_by(imports.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(imports.c.id < before)
    return connection.execute(query).mappings().all()


def change(connection: Connection, import_id: int, states: Sequence[str], **values: Any) -> bool:
    """Update an import when it is in one of the states; returns whether it was."""
    done = connection.execute(
        update(imports).where(imports.c.id == import_id, imports.c.state.in_(list(states))).values(**values)
    )
    return done.rowcount == 1


def state(connection: Connection, import_id: int) -> str | None:
    """Where an import stands."""
    return connection.execute(select(imports.c.state).where(imports.c.id == import_id)).scalar_one_or_none()


def clear_rejects(connection: Connection, import_id: int) -> None:
    """Forget what an earlier try of an import rejected."""
    connection.execute(delete(import_rejects).where(import_rejects.c.import_id == import_id))


def add_rejects(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep rejected rows: import_id, line, reason, detail, row."""
    upsert(connection, import_rejects, rows, key=("import_id", "line"))


def rejects(connection: Connection, import_id: int, *, after_line: int = 0, limit: int = 100) -> Sequence[RowMapping]:
    """Rejected rows in the order of the file."""
    query = (
        select(import_rejects)
        .where(import_rejects.c.import_id == import_id, import_rejects.c.line > after_line)
        .order_by(import_rejects.c.line)
        .limit(limit)
    )
    return connection.execute(query).mappings().all()


def rejects_total(connection: Connection, import_id: int) -> int:
    """How many rows of a file were rejected."""
    query = select(func.count()).where(import_rejects.c.import_id == import_id)
    return int(connection.execute(query).scalar_one())


def record(connection: Connection, source: str, external_id: str, payload_hash: str) -> RowMapping | None:
    """A record by its identity."""
    query = select(raw_leads).where(
        raw_leads.c.source == source,
        raw_leads.c.external_id == external_id,
        raw_leads.c.payload_hash == payload_hash,
    )
    return connection.execute(query).mappings().first()
