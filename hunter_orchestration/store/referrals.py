"""Referrals as they stand and what changed on each: what ingestion writes, what the page and the commands read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from hunter_orchestration.store.tables.ingestion import raw_leads
from hunter_orchestration.store.tables.operations import idempotency_keys
from hunter_orchestration.store.tables.referrals import referral_actions, referral_history, referrals
from hunter_orchestration.store.upsert import append, insert, upsert
from hunter_orchestration.store.work import Window, utc_now

_OTHERS = frozenset({"id", "domain", "domain_source", "domain_rejected", "company_domain", "linked_by"})
"""Columns reading a payload never overwrites: the key, and what the companies stage and people decide."""

_WRITTEN = [column.name for column in referrals.columns if column.name not in _OTHERS]


def standing(connection: Connection, ids: Sequence[str]) -> dict[str, RowMapping]:
    """How these referrals stand, by id: what decides whether a payload is newer and whether history changed.

    ``raw_seen_at`` is the stamp of the payload they were read from, empty when that was pruned.
    """
    query = (
        select(
            referrals.c.id,
            referrals.c.raw_lead_id,
            referrals.c.updated_at,
            referrals.c.status,
            referrals.c.substatus,
            referrals.c.deal_value,
            referrals.c.currency,
            raw_leads.c.seen_at.label("raw_seen_at"),
        )
        .select_from(referrals.outerjoin(raw_leads, raw_leads.c.id == referrals.c.raw_lead_id))
        .where(referrals.c.id.in_(list(ids)))
    )
    return {row["id"]: row for row in connection.execute(query).mappings()}


def save(connection: Connection, rows: Sequence[Mapping[str, Any]], history: Sequence[Mapping[str, Any]]) -> None:
    """Insert or overwrite referrals by id, and append to their history, in the caller's transaction."""
    upsert(connection, referrals, rows, key=("id",), update=_WRITTEN)
    append(connection, referral_history, history)


def count_changed_in(connection: Connection, start: datetime | None, end: datetime | None) -> int:
    """How many referrals we hold whose stamp lies in a span."""
    query = select(func.count()).select_from(referrals)
    if start is not None:
        query = query.where(referrals.c.updated_at >= start)
    if end is not None:
        query = query.where(referrals.c.updated_at < end)
    return int(connection.execute(query).scalar_one())


def one(connection: Connection, referral_id: str) -> RowMapping | None:
    """A referral by id, or ``None``."""
    return connection.execute(select(referrals).where(referrals.c.id == referral_id)).mappings().first()


def listed(
    connection: Connection,
    *,
    status: str | None = None,
    category: str | None = None,
    window: Window | None = None,
    company_domain: str | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 100,
) -> Sequence[RowMapping]:
    """Referrals, last changed first; ``before`` is the (updated_at, id) of the last row of the page before."""
    query = select(referrals)
    if status is not None:
        query = query.where(referrals.c.status == status)
    if category is not None:
        query = query.where(referrals.c.category == category)
    if company_domain is not None:
        query = query.where(referrals.c.company_domain == company_domain)
    if window is not None:
        query = query.where(referrals.c.updated_at >= window.start, referrals.c.updated_at < window.end)
    if before is not None:
        stamp, referral_id = before
        query = query.where(
            (referrals.c.updated_at < stamp) | ((referrals.c.updated_at == stamp) & (referrals.c.id < referral_id))
        )
    query = query.order_by(referrals.c.updated_at.desc(), referrals.c.id.desc()).limit(limit)
    return connection.execute(query).mappings().all()


def of_engagement(connection: Connection, engagement_id: str) -> Sequence[RowMapping]:
    """The referrals that share an engagement, oldest first."""
    query = select(referrals).where(referrals.c.engagement_id == engagement_id)
    return connection.execute(query.order_by(referrals.c.created_at, referrals.c.id)).mappings().all()


def expiring(connection: Connection, now: datetime, days: int = 3, limit: int = 100) -> Sequence[RowMapping]:
    """New referrals that will be lost to silence within so many days, the most urgent first; overdue ones included."""
    query = select(referrals).where(referrals.c.status == "New", referrals.c.expires_at <= now + timedelta(days=days))
    return connection.execute(query.order_by(referrals.c.expires_at, referrals.c.id).limit(limit)).mappings().all()


def record_action(
    connection: Connection, referral_id: str, action: str, requested_by: str, state: str, detail: str | None
) -> None:
    """Append what somebody did to a referral in Partner Center. ``state`` is done or refused."""
    connection.execute(
        insert(connection, referral_actions).values(
            referral_id=referral_id,
            action=action,
            requested_by=requested_by,
            at=utc_now(),
            state=state,
            detail=detail,
        )
    )


def first_sight(connection: Connection, mark: str, actor: str) -> bool:
    """Note a signed event by its mark; false when it was noted before. Marks are pruned with idempotency keys."""
    statement = (
        insert(connection, idempotency_keys)
        .values(key=mark, actor=actor, request_hash=mark, status=202, body={}, at=utc_now())
        .on_conflict_do_nothing(index_elements=["key", "actor"])
    )
    return int(connection.execute(statement).rowcount) == 1
