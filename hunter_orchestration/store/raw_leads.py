"""Payloads as they came: one row per distinct payload of a record, and which of them still have to be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from hunter_orchestration.store.tables.ingestion import raw_leads
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.upsert import change, upsert
from hunter_orchestration.store.work import Window

_READ = (
    raw_leads.c.id,
    raw_leads.c.source,
    raw_leads.c.external_id,
    raw_leads.c.payload,
    raw_leads.c.source_updated_at,
    raw_leads.c.import_id,
    raw_leads.c.received_at,
    raw_leads.c.seen_at,
    raw_leads.c.processed_at,
)


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload to keep. ``hash`` is the SHA-256 of its canonical form, hex."""

    external_id: str
    hash: str
    body: Any
    updated_at: datetime | None


@dataclass(slots=True)
class Stored:
    """What ``keep`` did with a page: how many rows were new or back again, how many known, and what moved.

    ``moved_from`` is the oldest earlier stamp among the records that changed during this pass: such a record may have
    left a place on a page that was read already.
    """

    stored: int = 0
    unchanged: int = 0
    moved: int = 0
    moved_from: datetime | None = None


@dataclass(slots=True)
class _Newest:
    """The newest version of a record that is known so far."""

    hash: str
    updated_at: datetime | None
    seen_at: datetime


def _order(updated_at: datetime | None, seen_at: datetime) -> tuple[float, datetime]:
    return (updated_at.timestamp() if updated_at else float("-inf")), seen_at


def keep(
    connection: Connection,
    source: str,
    payloads: Sequence[Payload],
    *,
    now: datetime,
    pass_started: datetime,
    changing_since: datetime | None = None,
    listed_from: datetime | None = None,
    import_id: int | None = None,
) -> Stored:
    """Keep a page of payloads, each once, with one look-up for the whole page.

    A payload known already is left alone, unless it came back after another one of the same stamp (A, B, A): then it
    is the newest again and waits to be read again. An older payload than the newest is kept but never takes its place;
    the reading stage decides by the source's stamp.

    Args:
        pass_started: when the caller's pass over the source began, on the clock of ``now``.
        changing_since: the same moment on the source's clock: a stamp from then on is a change under way.
        listed_from: where the list begins; a record that stood before it has left no place in it.
        import_id: the file they come from.
    """
    result = Stored()
    known, newest = _known(connection, source, {payload.external_id for payload in payloads})
    fresh: dict[tuple[str, str], dict[str, Any]] = {}
    again: dict[tuple[str, str], datetime] = {}
    for payload in payloads:
        identity = (payload.external_id, payload.hash)
        latest = newest.get(payload.external_id)
        if latest and latest.hash == payload.hash:
            result.unchanged += 1
            continue
        older = latest is not None and _stamp(payload.updated_at) < _stamp(latest.updated_at)
        seen_at = now if latest is None or latest.seen_at < now else latest.seen_at + timedelta(microseconds=1)
        if identity in known and older:
            result.unchanged += 1
            continue
        result.stored += 1
        if identity in known:
            if identity in fresh:
                fresh[identity]["seen_at"] = seen_at
            else:
                again[identity] = seen_at
        else:
            known.add(identity)
            fresh[identity] = {
                "source": source,
                "external_id": payload.external_id,
                "payload_hash": payload.hash,
                "payload": payload.body,
                "source_updated_at": payload.updated_at,
                "import_id": import_id,
                "received_at": now,
                "seen_at": seen_at,
                "processed_at": None,
                "outcome": None,
                "reader_version": None,
            }
        if (
            latest is not None
            and latest.updated_at is not None
            and (
                latest.seen_at >= pass_started
                or (
                    changing_since is not None
                    and _stamp(payload.updated_at) >= changing_since.timestamp()
                    and (listed_from is None or latest.updated_at >= listed_from)
                )
            )
        ):
            result.moved += 1
            result.moved_from = min(result.moved_from or latest.updated_at, latest.updated_at)
        if not older:
            newest[payload.external_id] = _Newest(payload.hash, payload.updated_at, seen_at)
    upsert(connection, raw_leads, list(fresh.values()), key=("source", "external_id", "payload_hash"), update=())
    _revive(connection, source, again)
    return result


def _stamp(value: datetime | None) -> float:
    return value.timestamp() if value else float("-inf")


def _known(
    connection: Connection, source: str, external_ids: set[str]
) -> tuple[set[tuple[str, str]], dict[str, _Newest]]:
    known: set[tuple[str, str]] = set()
    newest: dict[str, _Newest] = {}
    query = select(
        raw_leads.c.external_id, raw_leads.c.payload_hash, raw_leads.c.source_updated_at, raw_leads.c.seen_at
    ).where(raw_leads.c.source == source, raw_leads.c.external_id.in_(sorted(external_ids)))
    for external_id, payload_hash, updated_at, seen_at in connection.execute(query):
        known.add((external_id, payload_hash))
        best = newest.get(external_id)
        if best is None or _order(best.updated_at, best.seen_at) < _order(updated_at, seen_at):
            newest[external_id] = _Newest(payload_hash, updated_at, seen_at)
    return known, newest


def _revive(connection: Connection, source: str, again: dict[tuple[str, str], datetime]) -> None:
    rows = [{"external_id": key[0], "payload_hash": key[1], "seen_at": seen_at} for key, seen_at in again.items()]
    waiting = {"processed_at": None, "outcome": None}
    named = [{"source": source, **row} for row in rows]
    change(connection, raw_leads, named, where=("source", "external_id", "payload_hash"), values=waiting)


def pending(
    connection: Connection, source: str, *, window: Window | None, after_id: int, limit: int
) -> list[dict[str, Any]]:
    """Rows the next stage still has to read, by id; with a window those whose stamp lies in it or is missing."""
    query = select(*_READ).where(
        raw_leads.c.source == source, raw_leads.c.processed_at.is_(None), raw_leads.c.id > after_id
    )
    if window is not None:
        stamp = raw_leads.c.source_updated_at
        query = query.where(stamp.is_(None) | ((stamp >= window.start) & (stamp < window.end)))
    return [dict(row) for row in connection.execute(query.order_by(raw_leads.c.id).limit(limit)).mappings()]


def has_pending(connection: Connection, source: str) -> bool:
    """Whether anything waits to be read."""
    query = select(raw_leads.c.id).where(raw_leads.c.source == source, raw_leads.c.processed_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def read_before(
    connection: Connection, window: Window, moment: datetime, *, after: tuple[datetime, str] | None, limit: int
) -> list[dict[str, Any]]:
    """Payloads that referrals of the window were read from before a moment, by (updated_at, referral id)."""
    query = (
        select(*_READ, referrals.c.updated_at.label("referral_updated_at"))
        .join(referrals, referrals.c.raw_lead_id == raw_leads.c.id)
        .where(referrals.c.updated_at >= window.start, referrals.c.updated_at < window.end)
        .where(raw_leads.c.processed_at < moment)
    )
    if after is not None:
        stamp, referral_id = after
        query = query.where(
            (referrals.c.updated_at > stamp) | ((referrals.c.updated_at == stamp) & (referrals.c.id > referral_id))
        )
    query = query.order_by(referrals.c.updated_at, referrals.c.id).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def mark_read(
    connection: Connection, rows: Iterable[tuple[int, datetime]], outcome: str, *, reader_version: int, now: datetime
) -> None:
    """Mark payloads as read. ``rows`` are (id, seen_at as read): one that came back meanwhile stays waiting."""
    read = [{"id": row_id, "seen_at": seen_at} for row_id, seen_at in rows]
    marks = {"processed_at": now, "outcome": outcome, "reader_version": reader_version}
    change(connection, raw_leads, read, where=("id", "seen_at"), values=marks)


def knows(connection: Connection, source: str, external_id: str, updated_at: datetime) -> bool:
    """Whether this record is stored with this stamp."""
    query = select(raw_leads.c.id).where(
        raw_leads.c.source == source,
        raw_leads.c.external_id == external_id,
        raw_leads.c.source_updated_at == updated_at,
    )
    return connection.execute(query.limit(1)).first() is not None
