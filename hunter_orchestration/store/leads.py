"""The page's read model: keeping it true. Lists and counts over it live in ``store.lead_queries``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import idna
from sqlalchemy import Connection, RowMapping, Update, delete, func, select, update

from hunter_orchestration import turkish
from hunter_orchestration.store.lead_filters import NOT_SCORED
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.crm import crm_records
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scans import scans
from hunter_orchestration.store.tables.scores import scores
from hunter_orchestration.store.upsert import change, chunks, upsert
from hunter_orchestration.store.work import utc_now

_CHUNK = 1000
_OF_SCORES = (
    "priority",
    "score",
    "complete",
    "segment",
    "commercial_segment",
    "technical_heat",
    "commercial_heat",
    "provider",
)
_WORST_FIRST = ("conflict", "rejected", "deferred", "in_progress", "pending", "deleted_in_crm", "synced", "skipped")


def shown(domain: str) -> str:
    """A domain as people read it: ``xn--irket-idb.com.tr`` becomes ``şirket.com.tr``."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain


def refresh(connection: Connection, domains: Iterable[str]) -> None:
    """Bring the rows of these companies up to date, in the caller's transaction.

    Companies that are gone or merged into another lose their row.
    """
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        rows = _rows(connection, chunk)
        gone = set(chunk) - {row["domain"] for row in rows}
        if gone:
            connection.execute(delete(leads).where(leads.c.domain.in_(gone)))
        upsert(connection, leads, rows, key=("domain",))


def refresh_crm_states(connection: Connection, domains: Iterable[str]) -> None:
    """Bring only the Dynamics state of these rows up to date, in the caller's transaction: what a push calls each time
    its ledger moves on. Rows that are right already are not written."""
    now = utc_now()
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        states = _crm_states(connection, chunk)
        query = select(leads.c.domain, leads.c.dynamics_state, leads.c.dynamics_detail).where(leads.c.domain.in_(chunk))
        moved = []
        for domain, shown_state, shown_detail in connection.execute(query):
            state, detail = states.get(domain, ("not_pushed", None))
            if (state, detail) != (shown_state, shown_detail):
                moved.append({"domain": domain, "dynamics_state": state, "dynamics_detail": detail})
        change(connection, leads, moved, where=("domain",), values={"changed_at": now})


def refresh_scanned(connection: Connection, domains: Iterable[str]) -> None:
    """Bring only what the rows show of current scans up to date, in the caller's transaction and inside the database.

    Args:
        domains: companies with a current scan. Those that have no row yet get a whole one.
    """
    scored = select(scores.c.provider).where(scores.c.domain == leads.c.domain).scalar_subquery()
    statement = update(leads).where(scans.c.domain == leads.c.domain, scans.c.is_current)
    statement = statement.values(
        provider=func.coalesce(scored, scans.c.provider), gateway=scans.c.gateway, hoster=scans.c.hoster
    )
    _updated(connection, domains, statement)


def refresh_scored(connection: Connection, domains: Iterable[str]) -> None:
    """Bring only what the rows show of scores up to date, in the caller's transaction and inside the database.

    Args:
        domains: companies with a score. Those that have no row yet get a whole one.
    """
    statement = update(leads).where(scores.c.domain == leads.c.domain)
    _updated(connection, domains, statement.values({name: scores.c[name] for name in _OF_SCORES}))


def _updated(connection: Connection, domains: Iterable[str], statement: Update) -> None:
    for chunk in chunks(dict.fromkeys(domains), _CHUNK):
        done = connection.execute(statement.where(leads.c.domain.in_(chunk)).values(changed_at=utc_now()))
        if done.rowcount != len(chunk):
            refresh(connection, chunk)


def _rows(connection: Connection, domains: list[str]) -> list[dict[str, Any]]:
    lead_referral = referrals.alias("leading")
    query = (
        select(
            companies.c.domain,
            companies.c.name,
            companies.c.country,
            companies.c.size,
            companies.c.sources,
            companies.c.referral_count,
            companies.c.first_seen_at,
            scores.c.priority,
            scores.c.score,
            scores.c.complete,
            scores.c.segment,
            scores.c.commercial_segment,
            scores.c.technical_heat,
            scores.c.commercial_heat,
            scores.c.provider.label("scored_provider"),
            scans.c.provider,
            scans.c.gateway,
            scans.c.hoster,
            lead_referral.c.id.label("referral_id"),
            lead_referral.c.category,
            lead_referral.c.status,
            lead_referral.c.substatus,
            lead_referral.c.deal_value,
            lead_referral.c.currency,
        )
        .select_from(
            companies.outerjoin(scores, scores.c.domain == companies.c.domain)
            .outerjoin(scans, (scans.c.domain == companies.c.domain) & scans.c.is_current)
            .outerjoin(lead_referral, lead_referral.c.id == companies.c.leading_referral_id)
        )
        .where(companies.c.domain.in_(domains), companies.c.merged_into.is_(None))
    )
    expiring = _earliest_expiry(connection, domains)
    states = _crm_states(connection, domains)
    now = utc_now()
    return [_row(found, expiring, states, now) for found in connection.execute(query).mappings()]


def _row(
    found: RowMapping, expiring: Mapping[str, Any], states: Mapping[str, tuple[str, str | None]], now: Any
) -> dict[str, Any]:
    domain = found["domain"]
    readable = shown(domain)
    state, detail = states.get(domain, ("not_pushed", None))
    return {
        "domain": domain,
        "domain_shown": readable,
        "name": found["name"],
        "name_key": turkish.sort_key(found["name"]),
        "search_text": turkish.fold(
            f"{found['name']} {readable} {domain}" if readable != domain else f"{found['name']} {domain}"
        ),
        "country": found["country"],
        "size": found["size"],
        "source": first_source(found["sources"]),
        "priority": found["priority"] or NOT_SCORED,
        "score": -1 if found["score"] is None else found["score"],
        "complete": bool(found["complete"]),
        "segment": found["segment"],
        "commercial_segment": found["commercial_segment"],
        "technical_heat": found["technical_heat"],
        "commercial_heat": found["commercial_heat"],
        "provider": found["scored_provider"] or found["provider"] or "Unknown",
        "gateway": found["gateway"],
        "hoster": found["hoster"],
        "referral_id": found["referral_id"],
        "referral_category": found["category"],
        "referral_status": found["status"],
        "referral_substatus": found["substatus"],
        "referral_count": found["referral_count"],
        "expires_at": expiring.get(domain),
        "deal_value": found["deal_value"],
        "currency": found["currency"],
        "dynamics_state": state,
        "dynamics_detail": detail,
        "first_seen_at": found["first_seen_at"],
        "changed_at": now,
    }


def first_source(sources: Mapping[str, Any] | None) -> str:
    """The source that named the company first: ``sources`` maps a source to ``{"first": ISO time, "last": …}``."""
    if not sources:
        return "api"
    return min(sources, key=lambda name: (str((sources[name] or {}).get("first", "~")), name))


def _earliest_expiry(connection: Connection, domains: list[str]) -> dict[str, Any]:
    earliest: dict[str, Any] = {}
    query = select(referrals.c.company_domain, referrals.c.expires_at).where(
        referrals.c.company_domain.in_(domains), referrals.c.status == "New", referrals.c.expires_at.is_not(None)
    )
    for domain, expires_at in connection.execute(query):
        if domain not in earliest or expires_at < earliest[domain]:
            earliest[domain] = expires_at
    return earliest


def _crm_states(connection: Connection, domains: list[str]) -> dict[str, tuple[str, str | None]]:
    found: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    query = select(crm_records.c.company_domain, crm_records.c.state, crm_records.c.error).where(
        crm_records.c.company_domain.in_(domains)
    )
    for domain, state, error in connection.execute(query):
        found[domain].append((state, error))
    return {domain: min(states, key=lambda s: _WORST_FIRST.index(s[0])) for domain, states in found.items()}
