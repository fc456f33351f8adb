"""What the page keeps for people: saved views, sessions, bulk actions, requests that must not run twice, and lists
of what the engine did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select, update

from hunter_orchestration.store.tables.crm import crm_differences
from hunter_orchestration.store.tables.ingestion import quarantine
from hunter_orchestration.store.tables.operations import (
    bulk_actions,
    idempotency_keys,
    saved_views,
    sync_runs,
    web_sessions,
)
from hunter_orchestration.store.upsert import insert
from hunter_orchestration.store.work import utc_now

OPEN_STATES = ("queued", "running")
"""States of a bulk action that is not over."""


# Saved views


def views(connection: Connection, owner: str) -> Sequence[RowMapping]:
    """Somebody's saved views, by name."""
    query = select(saved_views).where(saved_views.c.owner == owner).order_by(saved_views.c.name).limit(200)
    return connection.execute(query).mappings().all()


def save_view(connection: Connection, owner: str, name: str, query: str) -> RowMapping:
    """Add a view, or change the one of that name."""
    statement = insert(connection, saved_views).values(owner=owner, name=name, query=query, created_at=utc_now())
    statement = statement.on_conflict_do_update(index_elements=["owner", "name"], set_={"query": query})
    return connection.execute(statement.returning(*saved_views.c)).mappings().one()


def change_view(connection: Connection, owner: str, view_id: int, name: str, query: str) -> RowMapping | None:
    """Rename or change a view; ``None`` when it is not the owner's."""
    statement = (
        update(saved_views)
        .where(saved_views.c.id == view_id, saved_views.c.owner == owner)
        .values(name=name, query=query)
        .returning(*saved_views.c)
    )
    return connection.execute(statement).mappings().first()


def view_named(connection: Connection, owner: str, name: str) -> RowMapping | None:
    """A view by its name."""
    query = select(saved_views).where(saved_views.c.owner == owner, saved_views.c.name == name)
    return connection.execute(query).mappings().first()


def delete_view(connection: Connection, owner: str, view_id: int) -> bool:
    """Drop a view; whether there was one."""
    return (
        connection.execute(
            delete(saved_views).where(saved_views.c.id == view_id, saved_views.c.owner == owner)
        ).rowcount
        == 1
    )


# Sessions


def open_session(connection: Connection, values: Mapping[str, Any]) -> None:
    """Store a session under the SHA-256 of the cookie's value: a copy of the table signs nobody in."""
    connection.execute(insert(connection, web_sessions).values(**values))


def session(connection: Connection, id_hash: str) -> RowMapping | None:
    """A session by the hash of its id."""
    return connection.execute(select(web_sessions).where(web_sessions.c.id_hash == id_hash)).mappings().first()


def touch_session(connection: Connection, id_hash: str, now: datetime) -> None:
    """Note that the session is in use."""
    connection.execute(update(web_sessions).where(web_sessions.c.id_hash == id_hash).values(seen_at=now))


def end_session(connection: Connection, id_hash: str) -> None:
    """Forget a session."""
    connection.execute(delete(web_sessions).where(web_sessions.c.id_hash == id_hash))


def prune_sessions(connection: Connection, opened_before: datetime, seen_before: datetime) -> int:
    """Forget sessions that are over."""
    return connection.execute(
        delete(web_sessions).where((web_sessions.c.opened_at < opened_before) | (web_sessions.c.seen_at < seen_before))
    ).rowcount


# Requests that must not run twice


def claim_key(connection: Connection, key: str, actor: str, request_hash: str) -> RowMapping | None:
    """Reserve an idempotency key; ``None`` when it is ours now, else the row of the request that had it first."""
    statement = insert(connection, idempotency_keys).values(
        key=key, actor=actor, request_hash=request_hash, status=0, body={}, at=utc_now()
    )
    if connection.execute(statement.on_conflict_do_nothing(index_elements=["key", "actor"])).rowcount == 1:
        return None
    query = select(idempotency_keys).where(idempotency_keys.c.key == key, idempotency_keys.c.actor == actor)
    return connection.execute(query).mappings().one()


def answer_key(connection: Connection, key: str, actor: str, status: int, body: Any) -> None:
    """Keep the answer for a repeat."""
    connection.execute(
        update(idempotency_keys)
        .where(idempotency_keys.c.key == key, idempotency_keys.c.actor == actor)
        .values(status=status, body=body)
    )


def free_key(connection: Connection, key: str, actor: str) -> None:
    """Let a request that failed be tried again under its key."""
    connection.execute(delete(idempotency_keys).where(idempotency_keys.c.key == key, idempotency_keys.c.actor == actor))


# Bulk actions


def add_bulk(
    connection: Connection, action: str, requested_by: str, domains: Sequence[str], wanted: Mapping[str, Any] | None
) -> int:
    """Queue an action over many leads; returns its id."""
    statement = insert(connection, bulk_actions).values(
        action=action,
        state="queued",
        requested_by=requested_by,
        domains=list(domains),
        filter=wanted,
        counts={"total": len(domains), "done": 0, "failed": 0},
        created_at=utc_now(),
    )
    return int(connection.execute(statement.returning(bulk_actions.c.id)).scalar_one())


_SHOWN = [column for column in bulk_actions.c if column.name != "domains"]


def bulk(connection: Connection, bulk_id: int) -> RowMapping | None:
    """An action without its list of domains."""
    return connection.execute(select(*_SHOWN).where(bulk_actions.c.id == bulk_id)).mappings().first()


def bulk_domains(connection: Connection, bulk_id: int) -> list[str]:
    """The domains of an action."""
    found = connection.execute(select(bulk_actions.c.domains).where(bulk_actions.c.id == bulk_id)).scalar_one_or_none()
    return list(found or ())


def bulks(connection: Connection, limit: int = 20) -> Sequence[RowMapping]:
    """The latest actions, newest first."""
    query = select(*_SHOWN).order_by(bulk_actions.c.created_at.desc(), bulk_actions.c.id.desc()).limit(limit)
    return connection.execute(query).mappings().all()


def open_bulks(connection: Connection) -> Sequence[RowMapping]:
    """Actions that are not over, oldest first."""
    query = select(*_SHOWN).where(bulk_actions.c.state.in_(OPEN_STATES)).order_by(bulk_actions.c.id).limit(100)
    return connection.execute(query).mappings().all()


def change_bulk(connection: Connection, bulk_id: int, *, only_open: bool = True, **values: Any) -> bool:
    """Set columns of an action; an action that is over stays as it is. Whether a row changed."""
    statement = update(bulk_actions).where(bulk_actions.c.id == bulk_id).values(**values)
    if only_open:
        statement = statement.where(bulk_actions.c.state.in_(OPEN_STATES))
    return connection.execute(statement).rowcount == 1


# What the engine did


def syncs(
    connection: Connection, kind: str | None, limit: int, before: tuple[datetime, int] | None = None
) -> Sequence[RowMapping]:
    """Recorded runs of stages, newest first; ``before`` is (started_at, id) of the last row of the page before."""
    query = select(sync_runs).order_by(sync_runs.c.started_at.desc(), sync_runs.c.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(sync_runs.c.kind == kind)
    if before is not None:
        started_at, row_id = before
        query = query.where(
            (sync_runs.c.started_at < started_at) | ((sync_runs.c.started_at == started_at) & (sync_runs.c.id < row_id))
        )
    return connection.execute(query).mappings().all()


def stages_of(connection: Connection, run_ids: Sequence[str]) -> Sequence[RowMapping]:
    """Recorded stages of Dagster runs, oldest first."""
    query = select(sync_runs).where(sync_runs.c.run_id.in_(list(run_ids)))
    return connection.execute(query.order_by(sync_runs.c.id).limit(2000)).mappings().all()


def quarantined(
    connection: Connection, state: str | None, limit: int, before: tuple[datetime, int] | None = None
) -> Sequence[RowMapping]:
    """Quarantine entries without payloads, last seen first."""
    query = select(*(column for column in quarantine.c if column.name != "payload"))
    if state is not None:
        query = query.where(quarantine.c.state == state)
    if before is not None:
        at, row_id = before
        query = query.where((quarantine.c.last_at < at) | ((quarantine.c.last_at == at) & (quarantine.c.id < row_id)))
    query = query.order_by(quarantine.c.last_at.desc(), quarantine.c.id.desc()).limit(limit)
    return connection.execute(query).mappings().all()


def quarantine_total(connection: Connection, state: str | None) -> int:
    """How many entries are in a state."""
    query = select(func.count()).select_from(quarantine)
    if state is not None:
        query = query.where(quarantine.c.state == state)
    return int(connection.execute(query).scalar_one())


def differences(connection: Connection, limit: int, before: int | None = None) -> Sequence[RowMapping]:
    """Differences between the ledger and the CRM that are not mended, newest first."""
    query = select(crm_differences).where(crm_differences.c.mended_at.is_(None))
    if before is not None:
        query = query.where(crm_differences.c.id < before)
    return connection.execute(query.order_by(crm_differences.c.id.desc()).limit(limit)).mappings().all()
