"""Queries over scans: what is due, what is current, what changed, and appending what a scan found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, or_, select, text, update

from hunter_orchestration.store import upsert
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.scans import domain_details, scan_changes, scans
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import Window

_CHUNK = 500
_WRITERS_LOCK = 0x68756E75
_SUMMARY = [column for column in scans.c if column.name != "findings"]
_DUE = (companies.c.domain, companies.c.scan_due_at)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return (companies.c.scan_due_at <= now) & companies.c.merged_into.is_(None)


def _lies_in(window: Window) -> ColumnElement[bool]:
    active = (companies.c.activity_at >= window.start) & (companies.c.activity_at < window.end)
    return active & companies.c.merged_into.is_(None)


def _beyond(stamp: Column[Any], at: datetime, domain: str) -> ColumnElement[bool]:
    return (stamp >= at) & ((stamp > at) | (companies.c.domain > domain))


def due(
    connection: Connection, now: datetime, after: tuple[datetime, str] | None = None, limit: int = _CHUNK
) -> list[tuple[str, datetime]]:
    """(domain, stamp) of companies to be scanned, most overdue first; ``after`` is the last pair of the page before."""
    query = select(*_DUE).where(_is_due(now))
    if after is not None:
        query = query.where(_beyond(companies.c.scan_due_at, *after))
    rows = connection.execute(query.order_by(companies.c.scan_due_at, companies.c.domain).limit(limit))
    return [(domain, stamp) for domain, stamp in rows]


def in_window(
    connection: Connection, window: Window, after: tuple[datetime, str] | None = None, limit: int = _CHUNK
) -> list[tuple[str, datetime | None, datetime]]:
    """(domain, due stamp, activity) of companies whose last activity lies in the window, in order of activity."""
    query = select(*_DUE, companies.c.activity_at).where(_lies_in(window))
    if after is not None:
        query = query.where(_beyond(companies.c.activity_at, *after))
    rows = connection.execute(query.order_by(companies.c.activity_at, companies.c.domain).limit(limit))
    return [(domain, stamp, activity) for domain, stamp, activity in rows]


def reaches(connection: Connection, now: datetime, window: Window | None, companies_at_least: int) -> bool:
    """Whether so many companies are due, or have their last activity in the window."""
    query = select(companies.c.domain).where(_is_due(now) if window is None else _lies_in(window))
    return connection.execute(query.offset(companies_at_least - 1).limit(1)).first() is not None


def stamps(connection: Connection, domains: Iterable[str]) -> dict[str, datetime | None]:
    """The due stamp of each of these domains that is a company."""
    found: dict[str, datetime | None] = {}
    for chunk in chunks(domains, _CHUNK):
        query = select(*_DUE).where(companies.c.domain.in_(chunk), companies.c.merged_into.is_(None))
        found.update((domain, stamp) for domain, stamp in connection.execute(query))
    return found


def currents(connection: Connection, domains: Iterable[str], *, findings: bool = False) -> dict[str, dict[str, Any]]:
    """The current scans of domains; ``findings`` only when asked, they are the bulk of a row."""
    found: dict[str, dict[str, Any]] = {}
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        query = select(scans) if findings else select(*_SUMMARY)
        rows = connection.execute(query.where(scans.c.domain.in_(chunk), scans.c.is_current)).mappings()
        found.update((row["domain"], dict(row)) for row in rows)
    return found


def details_of(connection: Connection, domains: Iterable[str]) -> dict[str, dict[str, RowMapping]]:
    """The extended findings of domains, by domain and kind; an empty dict where there are none."""
    found: dict[str, dict[str, RowMapping]] = {domain: {} for domain in domains}
    for chunk in chunks(found, _CHUNK):
        query = select(domain_details).where(domain_details.c.domain.in_(chunk))
        for row in connection.execute(query).mappings():
            found[row["domain"]][row["kind"]] = row
    return found


def details_due(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Scanned companies of domains that exist whose extended findings are missing or ran out, best leads first.

    The tenant's row stands for all of them: it is asked for most often, except by those that were never answered.
    """
    tenant = (domain_details.c.domain == leads.c.domain) & (domain_details.c.kind == "tenant")
    query = (
        select(leads.c.domain)
        .join(scans, (scans.c.domain == leads.c.domain) & scans.c.is_current)
        .outerjoin(domain_details, tenant)
        .where(scans.c.mx_state.not_in(("nxdomain", "unknown")))
        .where(or_(domain_details.c.domain.is_(None), domain_details.c.expires_at <= now))
        .order_by(leads.c.rank, leads.c.domain)
    )
    return list(connection.execute(query.limit(limit)).scalars())


def write_details(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store extended findings by domain and kind."""
    upsert.upsert(connection, domain_details, rows, key=("domain", "kind"))


def lock_writers(connection: Connection) -> None:
    """Let one transaction at a time supersede scans: of two that scanned one domain, the later sees the earlier's.

    SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS_LOCK})


def append(
    connection: Connection,
    rows: Sequence[Mapping[str, Any]],
    superseded: Sequence[int],
    changed: Sequence[Mapping[str, Any]],
) -> None:
    """Append scans, after taking ``is_current`` from those they supersede, and what changed."""
    for chunk in chunks(superseded, _CHUNK):
        connection.execute(update(scans).where(scans.c.id.in_(chunk)).values(is_current=False))
    upsert.append(connection, scans, rows)
    upsert.append(connection, scan_changes, changed)


def add_changes(connection: Connection, changed: Sequence[Mapping[str, Any]]) -> None:
    """Append changes found outside a core scan."""
    append(connection, [], [], changed)


def schedule(connection: Connection, rows: Sequence[tuple[str, datetime | None, datetime]]) -> None:
    """Set when companies are scanned next, unless their stamp became another since it was read.

    Args:
        rows: (domain, stamp as read, next time).
    """
    due = [{"domain": domain, "read_stamp": stamp, "scan_due_at": following} for domain, stamp, following in rows]
    upsert.change(connection, companies, due, where=("domain",), unchanged={"scan_due_at": "read_stamp"})


def mark_for_scoring(connection: Connection, domains: Iterable[str], at: datetime) -> None:
    """Tell the scoring stage that what it reads of these companies changed."""
    rows = [{"domain": domain} for domain in domains]
    upsert.change(connection, companies, rows, where=("domain",), values={"score_due_at": at})


def set_tenant(connection: Connection, domain: str, tenant_id: str | None, agrees: bool) -> bool:
    """Note a discovered tenant on the current scan; returns whether it was another before."""
    done = connection.execute(
        update(scans)
        .where(
            scans.c.domain == domain,
            scans.c.is_current,
            or_(scans.c.tenant_id.is_distinct_from(tenant_id), scans.c.tenant_agrees.is_distinct_from(agrees)),
        )
        .values(tenant_id=tenant_id, tenant_agrees=agrees)
    )
    return done.rowcount > 0


def set_provider(connection: Connection, scan_id: int, findings: Mapping[str, Any]) -> None:
    """Note on a scan who holds the mailboxes, when something beside the core set settled it later."""
    connection.execute(
        update(scans).where(scans.c.id == scan_id).values(provider=findings["provider"], findings=dict(findings))
    )
