"""Leads as the store's rows tell them, and as rows of the store."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from hunter_orchestration.scoring.engine import score
from hunter_orchestration.scoring.rules import read_rules
from hunter_orchestration.scoring.stage import inputs_from
from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.scans import scans

RULES = read_rules()
TUESDAY = datetime(2026, 11, 24, 9, tzinfo=UTC)


def scan_row(domain: str, **given: Any) -> dict[str, Any]:
    """A current scan of a domain with a mail server of its own and nothing protected."""
    row: dict[str, Any] = {
        "domain": domain,
        "scanned_at": TUESDAY,
        "expires_at": TUESDAY + timedelta(days=7),
        "is_current": True,
        "complete": True,
        "provider": "Local",
        "gateway": None,
        "hoster": None,
        "mx_state": "found",
        "spf_state": "none",
        "spf_all": None,
        "spf_includes": None,
        "dkim_found": False,
        "dmarc_state": "none",
        "dmarc_policy": None,
        "tenant_id": None,
        "tenant_name": None,
        "tenant_agrees": False,
        "findings": {"domain": domain, "evidence": []},
        "lookups": 8,
        "seconds": 0.1,
    }
    return {**row, **given}


GUARDED: dict[str, Any] = {
    "spf_state": "valid",
    "spf_all": "-all",
    "spf_includes": 1,
    "dkim_found": True,
    "dmarc_state": "valid",
    "dmarc_policy": "reject",
}
UNANSWERED: dict[str, Any] = {
    "provider": "Unknown",
    "mx_state": "unknown",
    "spf_state": "unknown",
    "dkim_found": None,
    "dmarc_state": "unknown",
    "complete": False,
}


def company_row(domain: str, **given: Any) -> dict[str, Any]:
    """A company due for scoring."""
    row: dict[str, Any] = {
        "domain": domain,
        "name": "Işık Şişe ve Ambalaj A.Ş.",
        "name_source": "referral",
        "country": "TR",
        "size": None,
        "sources": {"referral": {"first": "2026-11-20T09:00:00Z", "last": "2026-11-20T09:00:00Z"}},
        "tenant_id": None,
        "has_open_co_sell": False,
        "first_seen_at": TUESDAY,
        "changed_at": TUESDAY,
        "activity_at": TUESDAY,
        "score_due_at": TUESDAY,
        "merged_into": None,
    }
    return {**row, **given}


def keep(store: Store, *pairs: tuple[dict[str, Any], dict[str, Any] | None]) -> None:
    """Store companies with their scans."""
    with store.write() as connection:
        connection.execute(companies.insert(), [company for company, _ in pairs])
        found = [scan for _, scan in pairs if scan is not None]
        if found:
            connection.execute(scans.insert(), found)


def facts_of(company: dict[str, Any], scan: dict[str, Any], **given: Any) -> dict[str, Any]:
    """What the page hands to the briefing."""
    inputs = inputs_from(
        {**scan, "stated_tenant_id": company["tenant_id"], "has_open_co_sell": company["has_open_co_sell"]}
    )
    outcome = score(inputs, RULES)
    facts: dict[str, Any] = {
        "lead": {"domain": company["domain"], "domain_shown": company["domain"], "name": company["name"],
                 "deal_value": None, "currency": None, "expires_at": None},
        "company": company,
        "contacts": [],
        "score": {
            "domain": company["domain"], "inputs": asdict(inputs), "provider": outcome.provider,
            "score": outcome.score, "complete": outcome.complete, "segment": outcome.segment,
            "commercial_segment": outcome.commercial_segment, "priority": outcome.priority_category,
            "breakdown": [asdict(point) for point in outcome.breakdown], "changed_at": TUESDAY, "scored_at": TUESDAY,
            "priority_since": TUESDAY,
        },
        "scan": scan,
        "scan_changes": [],
        "referrals": [],
    }  # fmt: skip
    return {**facts, **given}
