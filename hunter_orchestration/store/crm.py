"""The CRM ledger and its audit: what is due, what a chunk of companies needs, what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    RowMapping,
    Subquery,
    delete,
    func,
    select,
    type_coerce,
    union,
    update,
)

from hunter_orchestration.store.tables.companies import companies, contacts
from hunter_orchestration.store.tables.crm import crm_audit, crm_differences, crm_records
from hunter_orchestration.store.tables.ingestion import watermarks
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scans import domain_details, scan_changes, scans
from hunter_orchestration.store.tables.scores import scores
from hunter_orchestration.store.upsert import append, change, chunks, upsert
from hunter_orchestration.store.work import Window, utc_now

Identity = tuple[str, str]
"""Table name and external id."""

LEDGER_COLUMNS = tuple(column.name for column in crm_records.c)
UNFINISHED = ("pending", "in_progress", "deferred")
"""States that the next push takes up by itself."""

_CHUNK = 500


def due_domains(
    connection: Connection, now: datetime, *, after: str = "", limit: int = 1000, window: Window | None = None
) -> list[str]:
    """Companies with something to push, by name, after a name: those marked due, and those whose ledger rows wait
    for their next attempt. A window forces companies whose last activity lies in it."""
    both = _due(now, window, after)
    query = select(both.c.domain).order_by(both.c.domain).limit(limit)
    return [str(domain) for domain in connection.execute(query).scalars()]


def count_due(connection: Connection, now: datetime, window: Window | None = None) -> int:
    """How many companies ``due_domains`` would name in all."""
    return int(connection.execute(select(func.count()).select_from(_due(now, window))).scalar_one())


def _due(now: datetime, window: Window | None, after: str | None = None) -> Subquery:
    marked: ColumnElement[bool] = companies.c.push_due_at.is_not(None)
    if window is not None:
        marked |= (companies.c.activity_at >= window.start) & (companies.c.activity_at < window.end)
    waiting = crm_records.c.next_attempt_at.is_(None) | (crm_records.c.next_attempt_at <= now)
    first = select(companies.c.domain.label("domain")).where(marked)
    second = select(crm_records.c.company_domain.label("domain")).where(crm_records.c.state.in_(UNFINISHED), waiting)
    if after is not None:
        first = first.where(companies.c.domain > after)
        second = second.where(crm_records.c.company_domain > after)
    return union(first, second).subquery()


def company_rows(connection: Connection, domains: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Companies with their score and current scan, one query."""
    query = (
        select(
            companies,
            *(scores.c[n].label(f"score_{n}") for n in _SCORED),
            *(scans.c[n].label(f"scan_{n}") for n in _SCANNED),
            # Two values of a large document: the rest of it stays in the database.
            _FINDINGS[("dmarc", "pct")].label("scan_pct"),
            _FINDINGS["service"].label("scan_service"),
            leads.c.domain_shown.label("shown_domain"),
        )
        .select_from(
            companies.outerjoin(scores, scores.c.domain == companies.c.domain)
            .outerjoin(scans, (scans.c.domain == companies.c.domain) & scans.c.is_current)
            .outerjoin(leads, leads.c.domain == companies.c.domain)
        )
        .where(companies.c.domain.in_(list(domains)))
    )
    return {row["domain"]: dict(row) for row in connection.execute(query).mappings()}


_SCORED = ("score", "priority", "priority_label", "segment", "commercial_segment", "technical_heat", "commercial_heat",
           "provider", "rules_version", "breakdown", "complete", "scored_at", "changed_at",
           "priority_since", "inputs", "domain")  # fmt: skip
_SCANNED = ("provider", "gateway", "hoster", "tenant_id", "tenant_name", "mx_state", "spf_state", "spf_all",
            "spf_includes", "dkim_found", "dmarc_state", "dmarc_policy", "scanned_at")  # fmt: skip
_FINDINGS = type_coerce(scans.c.findings, JSON)


def contacts_of(connection: Connection, domains: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Contacts by company, in the order they came."""
    query = select(contacts).where(contacts.c.company_domain.in_(list(domains))).order_by(contacts.c.id)
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["company_domain"]].append(dict(row))
    return found


def referrals_of(connection: Connection, domains: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Referrals by company, oldest first."""
    query = select(referrals).where(referrals.c.company_domain.in_(list(domains)))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(query.order_by(referrals.c.created_at, referrals.c.id)).mappings():
        found[row["company_domain"]].append(dict(row))
    return found


def scan_changes_of(connection: Connection, domains: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """What scans saw change, by company, newest first."""
    query = select(scan_changes).where(scan_changes.c.domain.in_(list(domains)))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(query.order_by(scan_changes.c.at.desc(), scan_changes.c.id.desc())).mappings():
        found[row["domain"]].append(dict(row))
    return found


def networks_of(connection: Connection, domains: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """IP data by company, where it was found."""
    query = select(domain_details.c.domain, domain_details.c.facts).where(
        domain_details.c.domain.in_(list(domains)),
        domain_details.c.kind == "network",
        domain_details.c.state == "found",
    )
    return {row.domain: row.facts for row in connection.execute(query)}


def ledger(
    connection: Connection, domains: Sequence[str], identities: Iterable[Identity]
) -> dict[Identity, dict[str, Any]]:
    """Ledger rows of these companies, and of these identities whoever they belong to."""
    found = {}
    query = select(crm_records).where(crm_records.c.company_domain.in_(list(domains)))
    for row in connection.execute(query).mappings():
        found[row["table_name"], row["external_id"]] = dict(row)
    by_table: dict[str, list[str]] = defaultdict(list)
    for table, external_id in identities:
        if (table, external_id) not in found:
            by_table[table].append(external_id)
    for table, ids in by_table.items():
        for chunk in chunks(ids, _CHUNK):
            query = select(crm_records).where(crm_records.c.table_name == table, crm_records.c.external_id.in_(chunk))
            for row in connection.execute(query).mappings():
                found[table, row["external_id"]] = dict(row)
    return found


def record(connection: Connection, table: str, external_id: str) -> dict[str, Any] | None:
    """One ledger row."""
    query = select(crm_records).where(crm_records.c.table_name == table, crm_records.c.external_id == external_id)
    row = connection.execute(query).mappings().first()
    return dict(row) if row is not None else None


def by_crm_ids(connection: Connection, table: str, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Ledger rows by the CRM's id; after a merge in the CRM two rows may share one."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for chunk in chunks(ids, _CHUNK):
        query = select(crm_records).where(crm_records.c.table_name == table, crm_records.c.crm_id.in_(chunk))
        for row in connection.execute(query).mappings():
            found[row["crm_id"]].append(dict(row))
    return found


def crm_ids(connection: Connection, table: str) -> Iterator[tuple[str, str, str, str]]:
    """(external id, CRM id, state, company) of every row of a table that has a CRM id."""
    query = select(
        crm_records.c.external_id, crm_records.c.crm_id, crm_records.c.state, crm_records.c.company_domain
    ).where(crm_records.c.table_name == table, crm_records.c.crm_id.is_not(None))
    for row in connection.execute(query):
        yield row.external_id, row.crm_id, row.state, row.company_domain


def blank(table: str, external_id: str, domain: str, referral_id: str | None = None) -> dict[str, Any]:
    """A ledger row for a record that was never tried."""
    row: dict[str, Any] = dict.fromkeys(LEDGER_COLUMNS)
    row.update(table_name=table, external_id=external_id, company_domain=domain, referral_id=referral_id,
               state="pending", attempts=0, lease_token=0, changed_at=utc_now())  # fmt: skip
    return row


def save(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ledger rows whole. A row whose lease token is newer than ours stays as the other writer left it."""
    upsert(connection, crm_records, rows, key=("table_name", "external_id"), newer="lease_token")


def drop(connection: Connection, identities: Iterable[Identity]) -> None:
    """Remove ledger rows of records that never were in the CRM and are not wanted there."""
    by_table: dict[str, list[str]] = defaultdict(list)
    for table, external_id in identities:
        by_table[table].append(external_id)
    for table, ids in by_table.items():
        for chunk in chunks(ids, _CHUNK):
            connection.execute(
                delete(crm_records).where(crm_records.c.table_name == table, crm_records.c.external_id.in_(chunk))
            )


def audit(connection: Connection, entries: Sequence[Mapping[str, Any]]) -> None:
    """Append to the audit: all with the same columns."""
    append(connection, crm_audit, entries)


def audit_entries(
    connection: Connection,
    *,
    domain: str | None = None,
    table: str | None = None,
    outcome: str | None = None,
    actor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    newest_first: bool = False,
    beyond: int | None = None,
    limit: int = 1000,
) -> Sequence[RowMapping]:
    """Audit entries in the order they were written, or newest first; ``beyond`` is the id of the last one had."""
    query = select(crm_audit).order_by(crm_audit.c.id.desc() if newest_first else crm_audit.c.id).limit(limit)
    for column, value in (
        (crm_audit.c.company_domain, domain),
        (crm_audit.c.table_name, table),
        (crm_audit.c.outcome, outcome),
        (crm_audit.c.actor, actor),
    ):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(crm_audit.c.at >= since)
    if until is not None:
        query = query.where(crm_audit.c.at < until)
    if beyond is not None:
        query = query.where(crm_audit.c.id < beyond if newest_first else crm_audit.c.id > beyond)
    return connection.execute(query).mappings().all()


def clear_due(connection: Connection, stamps: Mapping[str, datetime | None]) -> None:
    """Clear the stamps that were read; one that moved on since stays."""
    read = [{"domain": d, "push_due_at": stamp} for d, stamp in stamps.items() if stamp is not None]
    change(connection, companies, read, where=("domain", "push_due_at"), values={"push_due_at": None})


def mark_due(connection: Connection, domains: Iterable[str]) -> None:
    """Have the next push look at these companies."""
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        connection.execute(update(companies).where(companies.c.domain.in_(chunk)).values(push_due_at=utc_now()))


def mark_due_where(connection: Connection, states: Sequence[str] | None) -> int:
    """Have the next push look at every company with a ledger row (in one of the states); how many."""
    wanted = select(crm_records.c.company_domain)
    if states is not None:
        wanted = wanted.where(crm_records.c.state.in_(list(states)))
    statement = update(companies).where(companies.c.domain.in_(wanted)).values(push_due_at=utc_now())
    return connection.execute(statement).rowcount


def listed(
    connection: Connection, states: Sequence[str], *, limit: int = 100, domains: Sequence[str] | None = None
) -> Sequence[RowMapping]:
    """Ledger rows in some states, last changed first."""
    query = select(crm_records).where(crm_records.c.state.in_(list(states)))
    if domains is not None:
        query = query.where(crm_records.c.company_domain.in_(list(domains)))
    return connection.execute(query.order_by(crm_records.c.changed_at.desc()).limit(limit)).mappings().all()


def reset_attempts(connection: Connection, states: Sequence[str], domains: Sequence[str] | None) -> list[str]:
    """Make rows pending again so that the next push tries them; the companies they belong to."""
    where = [crm_records.c.state.in_(list(states))]
    if domains is not None:
        where.append(crm_records.c.company_domain.in_(list(domains)))
    found = [
        str(d) for d in connection.execute(select(crm_records.c.company_domain).where(*where).distinct()).scalars()
    ]
    connection.execute(
        update(crm_records)
        .where(*where)
        .values(state="pending", next_attempt_at=None, wanted_hash=None, changed_at=utc_now())
    )
    return found


def state_counts(connection: Connection) -> dict[str, int]:
    """Ledger rows by state."""
    query = select(crm_records.c.state, func.count()).group_by(crm_records.c.state)
    return {state: int(count) for state, count in connection.execute(query)}


def any_in_state(connection: Connection, state: str) -> bool:
    """Whether the ledger has a row in this state."""
    query = select(crm_records.c.external_id).where(crm_records.c.state == state).limit(1)
    return connection.execute(query).first() is not None


def by_external_ids(connection: Connection, table: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Ledger rows of one table by external id."""
    return {key[1]: row for key, row in ledger(connection, [], ((table, i) for i in ids)).items()}


def replace_differences(connection: Connection, found: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """The open differences are these from now on; those that are gone count as mended."""
    fields = ("table_name", "external_id", "kind", "field")
    known = {
        tuple(row[f] for f in fields): row["id"]
        for row in connection.execute(select(crm_differences).where(crm_differences.c.mended_at.is_(None))).mappings()
    }
    still = {tuple(row[f] for f in fields) for row in found}
    gone = [row_id for key, row_id in known.items() if key not in still]
    for chunk in chunks(gone, _CHUNK):
        connection.execute(update(crm_differences).where(crm_differences.c.id.in_(chunk)).values(mended_at=now))
    new = [dict(row) for row in found if tuple(row[f] for f in fields) not in known]
    if new:
        connection.execute(crm_differences.insert(), new)


def forget_organisation(connection: Connection) -> None:
    """The ledger of another organisation says nothing about this one: every record is looked up anew."""
    connection.execute(
        update(crm_records).values(
            crm_id=None, crm_version=None, observed=None, acknowledged=None, acknowledged_hash=None, crm_state=None,
            crm_owner=None, state="pending", error_code=None, error=None, fix=None, candidates=None, attempts=0,
            next_attempt_at=None, changed_at=utc_now(),
        )
    )  # fmt: skip
    connection.execute(delete(watermarks).where(watermarks.c.source == "dynamics"))
    mark_due_where(connection, None)
