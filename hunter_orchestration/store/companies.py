"""Companies, their people, and the decisions people made about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, or_, select, text, update

from hunter_orchestration.store.tables.companies import (
    companies,
    company_audit,
    company_links,
    company_merges,
    contacts,
)
from hunter_orchestration.store.tables.crm import crm_records
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.scans import scans
from hunter_orchestration.store.upsert import chunks, insert, upsert

_CHUNK = 1000
_MERGES_FOLLOWED = 20
_WRITERS_LOCK = 0x68756E74


def lock_writers(connection: Connection) -> None:
    """Let one transaction at a time derive companies: what two of them read of one company must not cross.

    SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS_LOCK})


def one(connection: Connection, domain: str) -> RowMapping | None:
    """A company by domain, merged ones included."""
    return connection.execute(select(companies).where(companies.c.domain == domain)).mappings().first()


def by_domain(connection: Connection, domains: Iterable[str]) -> dict[str, RowMapping]:
    """Companies by domain."""
    found: dict[str, RowMapping] = {}
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        query = select(companies).where(companies.c.domain.in_(chunk))
        found.update({row["domain"]: row for row in connection.execute(query).mappings()})
    return found


def listed(connection: Connection, *, q: str = "", after: str = "", limit: int = 50) -> Sequence[RowMapping]:
    """Companies that stand for themselves, by domain; ``q`` is looked for in folded name and domain."""
    query = (
        select(companies.c.domain, companies.c.name, companies.c.country, companies.c.referral_count, leads.c.priority)
        .select_from(companies.outerjoin(leads, leads.c.domain == companies.c.domain))
        .where(companies.c.merged_into.is_(None), companies.c.domain > after)
    )
    for word in q.split()[:8]:
        query = query.where(leads.c.search_text.contains(word, autoescape=True))
    return connection.execute(query.order_by(companies.c.domain).limit(limit)).mappings().all()


def known_names(connection: Connection) -> list[tuple[str, str, str | None]]:
    """(domain, name, country) of every company that stands for itself."""
    query = select(companies.c.domain, companies.c.name, companies.c.country).where(companies.c.merged_into.is_(None))
    return [(domain, name, country) for domain, name, country in connection.execute(query)]


def save(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert or overwrite companies; the stamps of the stages downstream are not touched."""
    upsert(connection, companies, rows, key=("domain",))


def add(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Insert companies that are new, each on the lists of all stages downstream; a scan it still has is not repeated
    before it expires."""
    expiries: dict[str, datetime] = {}
    for chunk in chunks([row["domain"] for row in rows], _CHUNK):
        query = select(scans.c.domain, scans.c.expires_at).where(scans.c.domain.in_(chunk), scans.c.is_current)
        expiries.update((domain, expires_at) for domain, expires_at in connection.execute(query))
    due = {"score_due_at": now, "push_due_at": now}
    save(connection, [{**row, **due, "scan_due_at": expiries.get(row["domain"], now)} for row in rows])


def delete_companies(connection: Connection, domains: Iterable[str]) -> None:
    """Drop companies and their contacts."""
    for chunk in chunks(domains, _CHUNK):
        connection.execute(delete(contacts).where(contacts.c.company_domain.in_(chunk)))
        connection.execute(delete(companies).where(companies.c.domain.in_(chunk)))


def in_crm(connection: Connection, domains: Iterable[str]) -> set[str]:
    """Those of the domains that have a record in the CRM's ledger."""
    found: set[str] = set()
    for chunk in chunks(domains, _CHUNK):
        query = select(crm_records.c.company_domain).where(crm_records.c.company_domain.in_(chunk)).distinct()
        found.update(connection.execute(query).scalars())
    return found


def mark_due(connection: Connection, domains: Iterable[str], column: str, at: datetime) -> None:
    """Put companies on the work list of a stage: ``score_due_at`` or ``push_due_at``."""
    for chunk in chunks(domains, _CHUNK):
        connection.execute(update(companies).where(companies.c.domain.in_(chunk)).values({column: at}))


def plan_scans(connection: Connection, domains: Iterable[str], now: datetime) -> None:
    """Put companies without a scan plan on the scanner's list: now, or when the scan they have expires."""
    for chunk in chunks(domains, _CHUNK):
        expiry = (
            select(scans.c.expires_at).where(scans.c.domain == companies.c.domain, scans.c.is_current).scalar_subquery()
        )
        connection.execute(
            update(companies)
            .where(companies.c.domain.in_(chunk), companies.c.scan_due_at.is_(None), companies.c.merged_into.is_(None))
            .values(scan_due_at=func.coalesce(expiry, bindparam("moment", now, type_=companies.c.scan_due_at.type)))
        )


def contacts_of(connection: Connection, domains: Iterable[str]) -> dict[str, list[RowMapping]]:
    """Contacts by company."""
    found: dict[str, list[RowMapping]] = defaultdict(list)
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        query = select(contacts).where(contacts.c.company_domain.in_(chunk)).order_by(contacts.c.id)
        for row in connection.execute(query).mappings():
            found[row["company_domain"]].append(row)
    return found


def save_contacts(connection: Connection, rows: Sequence[Mapping[str, Any]], gone: Iterable[int]) -> None:
    """Insert or overwrite contacts by company and e-mail hash, and drop those that are gone."""
    for chunk in chunks(gone, _CHUNK):
        connection.execute(delete(contacts).where(contacts.c.id.in_(chunk)))
    upsert(connection, contacts, rows, key=("company_domain", "email_hash"))


def links(connection: Connection, referral_ids: Iterable[str]) -> dict[str, RowMapping]:
    """What people decided about these referrals, by referral."""
    found: dict[str, RowMapping] = {}
    for chunk in chunks(referral_ids, _CHUNK):
        query = select(company_links).where(company_links.c.referral_id.in_(chunk))
        found.update({row["referral_id"]: row for row in connection.execute(query).mappings()})
    return found


def save_link(
    connection: Connection, referral_id: str, company_domain: str | None, decided_by: str, now: datetime
) -> None:
    """Record a person's decision about a referral."""
    row = {
        "referral_id": referral_id,
        "company_domain": company_domain,
        "decided_by": decided_by,
        "decided_at": now,
    }
    upsert(connection, company_links, [row], key=("referral_id",))


def standing_for(connection: Connection, domains: Iterable[str]) -> dict[str, str]:
    """For domains that were merged, the domain that stands for them in the end."""
    ends: dict[str, str] = {}
    wanted = {domain: domain for domain in domains}
    for _ in range(_MERGES_FOLLOWED):
        step: dict[str, str] = {}
        for chunk in chunks(dict.fromkeys(wanted.values()), _CHUNK):
            query = select(companies.c.domain, companies.c.merged_into).where(
                companies.c.domain.in_(chunk), companies.c.merged_into.is_not(None)
            )
            step.update((row.domain, row.merged_into) for row in connection.execute(query))
        if not step:
            return ends
        wanted = {start: step[end] for start, end in wanted.items() if end in step}
        ends.update(wanted)
    return ends


def merged_under(connection: Connection, domain: str) -> list[str]:
    """A domain and every domain that ends in it through merges."""
    found = [domain]
    frontier = [domain]
    for _ in range(_MERGES_FOLLOWED):
        query = select(companies.c.domain).where(companies.c.merged_into.in_(frontier))
        frontier = [name for name in connection.execute(query).scalars() if name not in found]
        if not frontier:
            return found
        found += frontier
    return found


def merge_by_id(connection: Connection, merge_id: int) -> RowMapping | None:
    """A merge."""
    return connection.execute(select(company_merges).where(company_merges.c.id == merge_id)).mappings().first()


def merges_into(connection: Connection, winner: str) -> Sequence[RowMapping]:
    """Merges that stand, into a company."""
    query = select(company_merges).where(company_merges.c.winner == winner, company_merges.c.undone_at.is_(None))
    return connection.execute(query.order_by(company_merges.c.id)).mappings().all()


def add_merge(connection: Connection, row: Mapping[str, Any]) -> int:
    """Record a merge; returns its id."""
    return int(
        connection.execute(insert(connection, company_merges).values(**row).returning(company_merges.c.id)).scalar_one()
    )


def end_merge(connection: Connection, merge_id: int, now: datetime) -> None:
    """Record that a merge was undone."""
    connection.execute(update(company_merges).where(company_merges.c.id == merge_id).values(undone_at=now))


def put_away(connection: Connection, loser: str, winner: str, now: datetime) -> None:
    """Let a company be represented by another; its row stays, off every work list."""
    connection.execute(
        update(companies)
        .where(companies.c.domain == loser)
        .values(merged_into=winner, scan_due_at=None, score_due_at=None, push_due_at=None, changed_at=now)
    )


def bring_back(connection: Connection, domain: str, now: datetime) -> None:
    """Let a company that was merged away stand for itself again."""
    connection.execute(
        update(companies).where(companies.c.domain == domain).values(merged_into=None, score_due_at=now, changed_at=now)
    )


def record(
    connection: Connection,
    now: datetime,
    actor: str,
    action: str,
    *,
    company_domain: str | None = None,
    referral_id: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Append to the audit of decisions."""
    connection.execute(
        insert(connection, company_audit).values(
            at=now,
            actor=actor,
            action=action,
            company_domain=company_domain,
            referral_id=referral_id,
            fields=dict(fields) if fields is not None else None,
        )
    )


def audit(connection: Connection, domain: str, limit: int = 100) -> Sequence[RowMapping]:
    """Decisions about a company, newest first."""
    query = select(company_audit).where(company_audit.c.company_domain == domain)
    return connection.execute(query.order_by(company_audit.c.id.desc()).limit(limit)).mappings().all()


def decided_about(connection: Connection, domains: Iterable[str]) -> set[str]:
    """Those of the domains that a person's decision names: links and merges, undone ones included."""
    found: set[str] = set()
    for chunk in chunks(domains, _CHUNK):
        found.update(
            connection.execute(
                select(company_links.c.company_domain).where(company_links.c.company_domain.in_(chunk)).distinct()
            ).scalars()
        )
        query = select(company_merges.c.loser, company_merges.c.winner).where(
            or_(company_merges.c.loser.in_(chunk), company_merges.c.winner.in_(chunk))
        )
        for pair in connection.execute(query):
            found.update(name for name in pair if name in chunk)
    return found


def set_edited(connection: Connection, domain: str, edited: Mapping[str, Any] | None, now: datetime) -> None:
    """Store which fields a person set, in the caller's transaction, which rebuilds the company afterwards."""
    connection.execute(update(companies).where(companies.c.domain == domain).values(edited=edited, changed_at=now))


def names_stamp(connection: Connection) -> tuple[datetime | None, int]:
    """Another value whenever the names of companies may have become others."""
    newest, count = connection.execute(select(func.max(leads.c.changed_at), func.count(leads.c.id))).one()
    return newest, int(count)
