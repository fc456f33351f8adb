"""One company as the page shows it: everything the store holds about a domain, one query a subject."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, select, tuple_

from hunter_orchestration.store.tables.companies import companies, contacts
from hunter_orchestration.store.tables.crm import crm_audit, crm_records
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.referrals import referral_history, referrals
from hunter_orchestration.store.tables.scans import domain_details, scan_changes, scans
from hunter_orchestration.store.tables.scores import score_history, scores

_MERGES_FOLLOWED = 20


def lead(connection: Connection, domain: str) -> RowMapping | None:
    """The list's row of a domain."""
    return connection.execute(select(leads).where(leads.c.domain == domain)).mappings().first()


def standing_for(connection: Connection, domain: str) -> str | None:
    """The domain that stands for this one after merges; ``None`` when no company has it."""
    for _ in range(_MERGES_FOLLOWED):
        query = select(companies.c.domain, companies.c.merged_into).where(companies.c.domain == domain)
        found = connection.execute(query).first()
        if found is None:
            return None
        if found.merged_into is None:
            return domain
        domain = found.merged_into
    return None


def people(connection: Connection, domain: str, limit: int = 200) -> Sequence[RowMapping]:
    """Its contacts, first seen first."""
    query = select(contacts).where(contacts.c.company_domain == domain).order_by(contacts.c.id).limit(limit)
    return connection.execute(query).mappings().all()


def refuses_contact(person: Mapping[Any, Any]) -> bool:
    """Whether the customer said no to being contacted. A plain no alone counts: consent to be contacted is no consent
    to every kind of mail, and silence is neither."""
    return (person.get("consent") or {}).get("contact") is False


def score(connection: Connection, domain: str) -> RowMapping | None:
    """Its current score."""
    return connection.execute(select(scores).where(scores.c.domain == domain)).mappings().first()


def scores_before(connection: Connection, domain: str, limit: int = 50) -> Sequence[RowMapping]:
    """What the score was, newest first."""
    query = select(score_history).where(score_history.c.domain == domain)
    return connection.execute(query.order_by(score_history.c.at.desc()).limit(limit)).mappings().all()


def scan(connection: Connection, domain: str) -> RowMapping | None:
    """The current scan."""
    query = select(scans).where(scans.c.domain == domain, scans.c.is_current)
    return connection.execute(query).mappings().first()


def slow_findings(connection: Connection, domain: str) -> Sequence[RowMapping]:
    """Registration, tenant and the other findings of the extended scan."""
    query = select(domain_details).where(domain_details.c.domain == domain).order_by(domain_details.c.kind)
    return connection.execute(query).mappings().all()


def changes(connection: Connection, domain: str, limit: int = 100) -> Sequence[RowMapping]:
    """What scans saw change, newest first."""
    query = select(scan_changes).where(scan_changes.c.domain == domain)
    return connection.execute(query.order_by(scan_changes.c.at.desc()).limit(limit)).mappings().all()


def referrals_of(connection: Connection, domain: str, limit: int = 200) -> Sequence[RowMapping]:
    """Its referrals: open before closed, last changed first."""
    query = select(referrals).where(referrals.c.company_domain == domain)
    query = query.order_by(referrals.c.is_open.desc(), referrals.c.updated_at.desc(), referrals.c.id).limit(limit)
    return connection.execute(query).mappings().all()


def histories(connection: Connection, ids: Sequence[str]) -> Mapping[str, list[RowMapping]]:
    """The history of several referrals, oldest first."""
    found: dict[str, list[RowMapping]] = defaultdict(list)
    query = select(referral_history).where(referral_history.c.referral_id.in_(list(ids)))
    for row in connection.execute(query.order_by(referral_history.c.at, referral_history.c.id)).mappings():
        found[row["referral_id"]].append(row)
    return found


def crm_rows(connection: Connection, domain: str) -> Sequence[RowMapping]:
    """What the ledger says of the company's CRM records."""
    query = select(crm_records).where(crm_records.c.company_domain == domain)
    return connection.execute(query.order_by(crm_records.c.table_name, crm_records.c.external_id)).mappings().all()


def crm_history(connection: Connection, domain: str, limit: int = 100) -> Sequence[RowMapping]:
    """Attempts on the company's CRM records, newest first."""
    query = select(crm_audit).where(crm_audit.c.company_domain == domain)
    return (
        connection.execute(query.order_by(crm_audit.c.at.desc(), crm_audit.c.id.desc()).limit(limit)).mappings().all()
    )


def crm_listed(
    connection: Connection, states: Sequence[str], limit: int, after: tuple[str, str] | None = None
) -> Sequence[RowMapping]:
    """Ledger rows in some states with the company's name, by table and external id."""
    query = (
        select(crm_records, leads.c.name, leads.c.priority)
        .select_from(crm_records.outerjoin(leads, leads.c.domain == crm_records.c.company_domain))
        .where(crm_records.c.state.in_(list(states)))
        .order_by(crm_records.c.table_name, crm_records.c.external_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(crm_records.c.table_name, crm_records.c.external_id) > after)
    return connection.execute(query).mappings().all()


def domains_in_states(connection: Connection, states: Sequence[str], limit: int = 100_000) -> list[str]:
    """Companies with a ledger row in one of the states."""
    query = select(crm_records.c.company_domain).where(crm_records.c.state.in_(list(states))).distinct().limit(limit)
    return [str(domain) for domain in connection.execute(query).scalars()]


def lead_states(connection: Connection, domains: Sequence[str]) -> dict[str, Any]:
    """The Dynamics state shown for each of these domains."""
    query = select(leads.c.domain, leads.c.dynamics_state).where(leads.c.domain.in_(list(domains)))
    return {row.domain: row.dynamics_state for row in connection.execute(query)}
