"""From decisions and evidence to the tables: which company each referral belongs to, and those companies rebuilt.

Everything here runs inside the caller's transaction, after ``store.companies.lock_writers``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hunter_orchestration.companies.building import Evidence, company_row, contact_rows
from hunter_orchestration.companies.domains import referral_domain
from hunter_orchestration.store import Connection, companies, company_evidence, leads
from hunter_orchestration.store.suppressions import Suppressed

Row = Mapping[Any, Any]

_STAMPS = frozenset({"changed_at", "first_seen_at"})
_NOT_SHOWN_TO_CRM = frozenset({"sources", "first_seen_at", "activity_at", "changed_at", "edited"})


@dataclass(slots=True)
class Rebuilt:
    """Companies by what became of them."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0


@dataclass(slots=True)
class Decisions:
    """``companies`` maps each referral to its company or nothing; ``affected`` are companies whose evidence may have
    changed; ``changed`` counts the referrals whose decision became another."""

    companies: dict[str, str | None] = field(default_factory=dict)
    affected: set[str] = field(default_factory=set)
    changed: int = 0


def decide(connection: Connection, rows: Sequence[Row], suppressed: Suppressed) -> Decisions:
    """Decide which company referrals belong to, a person's link before all, and store what is new.

    Args:
        rows: as ``company_evidence.due_referrals`` gives them.
    """
    links = companies.links(connection, [row["id"] for row in rows])
    derived: dict[str, dict[str, Any]] = {row["id"]: _derived(row, suppressed) for row in rows}
    targets = {
        referral_id: links[referral_id]["company_domain"] if referral_id in links else found["domain"]
        for referral_id, found in derived.items()
    }
    ends = companies.standing_for(connection, {target for target in targets.values() if target})
    result = Decisions()
    changed: list[dict[str, Any]] = []
    for row in rows:
        target = targets[row["id"]]
        if suppressed.domain(target):
            target = None
        company = ends.get(target, target) if target else None
        link = links.get(row["id"])
        decision = derived[row["id"]] | {
            "id": row["id"],
            "company_domain": company,
            "linked_by": link["decided_by"] if link is not None else "auto" if company else None,
        }
        result.companies[row["id"]] = company
        result.affected.update(domain for domain in (company, row["company_domain"]) if domain)
        if company_evidence.decided_differs(row, decision):
            changed.append(decision)
    company_evidence.decide(connection, changed)
    result.changed = len(changed)
    return result


def _derived(row: Row, suppressed: Suppressed) -> dict[str, Any]:
    people = [("contact_email", person.get("email")) for person in row["contacts"] or ()]
    others = [(str(pair[0]), pair[1]) for pair in row["candidates"] or () if len(pair) == 2]
    found = referral_domain([*people, *sorted(others, key=lambda pair: _ORDER.get(pair[0], len(_ORDER)))])
    if suppressed.domain(found.domain):
        return {"domain": None, "domain_source": None, "domain_rejected": "suppressed"}
    return {"domain": found.domain, "domain_source": found.source, "domain_rejected": found.rejected}


_ORDER = {"external_id": 0, "website": 1, "other_email": 2}


def rebuild(
    connection: Connection, domains: Iterable[str], now: datetime, suppressed: Suppressed, *, pushed: Iterable[str] = ()
) -> Rebuilt:
    """Rebuild companies from their evidence, and put those that changed on the lists of the stages downstream.

    A company nobody names any more goes away, unless a person set or decided something about it or the CRM has it.

    Args:
        pushed: companies whose referrals changed: the CRM wants those even where the company's own row stays.
    """
    wanted = set(domains)
    result = Rebuilt()
    if not wanted:
        return result
    existing = companies.by_domain(connection, wanted)
    wanted -= {domain for domain, row in existing.items() if row["merged_into"]}
    evidence = _evidence(connection, wanted)
    bare = {domain for domain in wanted if not evidence[domain]}
    kept = {domain for domain in bare if domain in existing and existing[domain]["edited"]}
    kept |= companies.in_crm(connection, bare) | companies.decided_about(connection, bare)
    result.removed = sorted(domain for domain in bare - kept if domain in existing)
    people = companies.contacts_of(connection, wanted)
    rows: list[dict[str, Any]] = []
    rescored: set[str] = set()
    to_push = set(pushed) & (wanted - bare)
    contacts: list[dict[str, Any]] = []
    gone: list[int] = []
    for domain in sorted(wanted - (bare - kept)):
        old = existing.get(domain)
        if old is None and domain in bare:
            continue
        row = company_row(domain, old, evidence[domain], now)
        fresh, lost = _contacts(domain, evidence[domain], people.get(domain, ()), suppressed, now)
        contacts += fresh
        gone += lost
        differing = {name for name, value in row.items() if old is None or old[name] != value}
        if old is None:
            result.created.append(domain)
        elif differing or fresh or lost:
            result.changed.append(domain)
        else:
            result.unchanged += 1
            continue
        rows.append(row | {"changed_at": now})
        if old is None or differing & {"has_open_co_sell", "tenant_id"}:
            rescored.add(domain)
        if old is None or fresh or lost or differing - _NOT_SHOWN_TO_CRM:
            to_push.add(domain)
    new = set(result.created)
    companies.add(connection, [row for row in rows if row["domain"] in new], now)
    companies.save(connection, [row for row in rows if row["domain"] not in new])
    companies.save_contacts(connection, contacts, gone)
    companies.delete_companies(connection, result.removed)
    # Every company of the batch that stands: a plan that got lost is made again.
    companies.plan_scans(connection, result.changed, now)
    companies.mark_due(connection, rescored - new, "score_due_at", now)
    companies.mark_due(connection, to_push - new, "push_due_at", now)
    leads.refresh(connection, {*result.created, *result.changed, *result.removed, *to_push})
    return result


def _evidence(connection: Connection, domains: Iterable[str]) -> dict[str, Evidence]:
    referrals: dict[str, list[Row]] = defaultdict(list)
    mentions: dict[str, list[Row]] = defaultdict(list)
    wanted = list(domains)
    for row in company_evidence.referrals_of(connection, wanted):
        referrals[row["company_domain"]].append(row)
    for row in company_evidence.mentions_of(connection, wanted):
        mentions[row["company_domain"]].append(row)
    return {domain: Evidence(referrals[domain], mentions[domain]) for domain in wanted}


def _contacts(
    domain: str, evidence: Evidence, known: Sequence[Row], suppressed: Suppressed, now: datetime
) -> tuple[list[dict[str, Any]], list[int]]:
    wanted = contact_rows(domain, evidence, suppressed, now)
    standing = {row["email_hash"]: row for row in known}
    fresh = [
        row
        for key, row in wanted.items()
        if key not in standing or any(standing[key][name] != row[name] for name in row if name not in _STAMPS)
    ]
    return fresh, [row["id"] for key, row in standing.items() if key not in wanted]
