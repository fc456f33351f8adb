"""What sources say of companies: referrals due for a decision, records of other sources, and whom each counts for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select, tuple_, update

from hunter_orchestration.store.tables.companies import company_mentions
from hunter_orchestration.store.tables.ingestion import raw_leads
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.upsert import change, chunks, upsert
from hunter_orchestration.store.work import Window

_CHUNK = 1000
PARTNER_CENTER = "partnercenter"
RECORD_SOURCES = ("import", "api", "webhook")
"""Where records of companies come from besides Partner Center: files, the API, signed forms."""

_DECIDED = ("domain", "domain_source", "domain_rejected", "company_domain", "linked_by")
_TO_DECIDE = (
    referrals.c.id,
    referrals.c.company_due_at,
    referrals.c.updated_at,
    referrals.c.contacts,
    referrals.c.candidates,
    *(referrals.c[name] for name in _DECIDED),
)
_EVIDENCE = tuple(
    referrals.c[name]
    for name in (
        "id",
        "engagement_id",
        "domain",
        "company_domain",
        "company_name",
        "company_size",
        "country",
        "city",
        "address",
        "contacts",
        "consent",
        "tenant_id",
        "category",
        "is_open",
        "deal_value",
        "currency",
        "created_at",
        "updated_at",
    )
)


def due_referrals(
    connection: Connection, after: tuple[datetime, str] | None, until: datetime, limit: int = _CHUNK
) -> Sequence[RowMapping]:
    """Referrals the companies stage has to look at, longest due first; ``after``: last pair of the page before."""
    query = select(*_TO_DECIDE).where(referrals.c.company_due_at <= until)
    if after is not None:
        query = query.where(tuple_(referrals.c.company_due_at, referrals.c.id) > after)
    return _locked(connection, query.order_by(referrals.c.company_due_at, referrals.c.id).limit(limit))


def referrals_in(
    connection: Connection, window: Window, after: tuple[datetime, str] | None, limit: int = _CHUNK
) -> Sequence[RowMapping]:
    """Referrals that last changed in a window, oldest first, due or not."""
    query = select(*_TO_DECIDE).where(referrals.c.updated_at >= window.start, referrals.c.updated_at < window.end)
    if after is not None:
        query = query.where(tuple_(referrals.c.updated_at, referrals.c.id) > after)
    return _locked(connection, query.order_by(referrals.c.updated_at, referrals.c.id).limit(limit))


def referrals_by_id(connection: Connection, ids: Sequence[str]) -> Sequence[RowMapping]:
    """The same columns for referrals a person decides about."""
    return _locked(connection, select(*_TO_DECIDE).where(referrals.c.id.in_(list(ids))).order_by(referrals.c.id))


def _locked(connection: Connection, query: Any) -> Sequence[RowMapping]:
    return connection.execute(query.with_for_update()).mappings().all()


def decide(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> None:
    """Write which company referrals belong to. Rows hold ``id`` and the five decided columns."""
    named = [{name: row[name] for name in ("id", *_DECIDED)} for row in rows]
    change(connection, referrals, named, where=("id",))


def decided_differs(row: Mapping[Any, Any], decision: Mapping[str, Any]) -> bool:
    """Whether a decision is another than the one stored."""
    return any(row[name] != decision[name] for name in _DECIDED)


def clear_due(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> None:
    """Clear the stamps exactly as they were read, so that a change in between stays due."""
    read = [
        {"id": row["id"], "company_due_at": row["company_due_at"]} for row in rows if row["company_due_at"] is not None
    ]
    change(connection, referrals, read, where=("id", "company_due_at"), values={"company_due_at": None})


def referrals_of(connection: Connection, domains: Iterable[str]) -> Sequence[RowMapping]:
    """What referrals say of these companies, the leading one of each first: open before closed, newest first."""
    found: list[RowMapping] = []
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        query = select(*_EVIDENCE).where(referrals.c.company_domain.in_(chunk))
        found += connection.execute(query).mappings().all()
    found.sort(key=lambda row: row["id"])
    found.sort(key=lambda row: (row["is_open"], row["updated_at"]), reverse=True)
    return found


def counted_for(connection: Connection, domains: Iterable[str]) -> Sequence[RowMapping]:
    """Referrals that count for these companies, with what a decision about them needs."""
    found: list[RowMapping] = []
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        found += _locked(connection, select(*_TO_DECIDE).where(referrals.c.company_domain.in_(chunk)))
    return found


def unlinked(
    connection: Connection, limit: int = 100, after: tuple[datetime, str] | None = None
) -> Sequence[RowMapping]:
    """Referrals that need a domain, last changed first."""
    query = select(referrals).where(referrals.c.company_domain.is_(None))
    if after is not None:
        query = query.where(tuple_(referrals.c.updated_at, referrals.c.id) < after)
    query = query.order_by(referrals.c.updated_at.desc(), referrals.c.id.desc()).limit(limit)
    return connection.execute(query).mappings().all()


def waiting_records(connection: Connection, source: str, after_id: int, limit: int = _CHUNK) -> Sequence[RowMapping]:
    """Records of one source besides Partner Center that were not read yet, in the order they came."""
    query = select(raw_leads).where(
        raw_leads.c.source == source, raw_leads.c.processed_at.is_(None), raw_leads.c.id > after_id
    )
    return connection.execute(query.order_by(raw_leads.c.id).limit(limit)).mappings().all()


def records_in(connection: Connection, window: Window, after_id: int, limit: int = _CHUNK) -> Sequence[RowMapping]:
    """Records of all other sources that were received in a window, read before or not."""
    query = select(raw_leads).where(
        raw_leads.c.source.in_(RECORD_SOURCES),
        raw_leads.c.id > after_id,
        raw_leads.c.seen_at >= window.start,
        raw_leads.c.seen_at < window.end,
    )
    return connection.execute(query.order_by(raw_leads.c.id).limit(limit)).mappings().all()


def mentions(connection: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], RowMapping]:
    """What is stored of these records, by source and external id."""
    found: dict[tuple[str, str], RowMapping] = {}
    for chunk in chunks(dict.fromkeys(keys), 400):
        query = select(company_mentions).where(
            tuple_(company_mentions.c.source, company_mentions.c.external_id).in_(chunk)
        )
        found.update({(row["source"], row["external_id"]): row for row in connection.execute(query).mappings()})
    return found


def mentions_of(connection: Connection, domains: Iterable[str]) -> Sequence[RowMapping]:
    """What records of other sources say of these companies, newest first."""
    found: list[RowMapping] = []
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        query = select(company_mentions).where(company_mentions.c.company_domain.in_(chunk))
        found += connection.execute(query).mappings().all()
    found.sort(key=lambda row: (row["source"], row["external_id"]))
    found.sort(key=lambda row: row["last_at"], reverse=True)
    return found


def save_mentions(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> None:
    """Insert or overwrite records of other sources."""
    upsert(connection, company_mentions, rows, key=("source", "external_id"))


def move_mentions(connection: Connection, moves: Mapping[str, str]) -> None:
    """Let records that name a domain count for a company: ``moves`` maps domains to companies."""
    if moves:
        connection.execute(
            update(company_mentions)
            .where(company_mentions.c.domain == bindparam("named"))
            .values(company_domain=bindparam("company")),
            [{"named": domain, "company": company} for domain, company in moves.items()],
        )


def mark_records(
    connection: Connection, rows: Sequence[tuple[int, datetime, str]], *, reader_version: int, now: datetime
) -> None:
    """Mark records as read. Rows are (id, seen_at as read, outcome): one that came back meanwhile stays waiting."""
    read = [{"id": row_id, "seen_at": seen, "outcome": outcome} for row_id, seen, outcome in rows]
    marks = {"processed_at": now, "reader_version": reader_version}
    change(connection, raw_leads, read, where=("id", "seen_at"), values=marks)
