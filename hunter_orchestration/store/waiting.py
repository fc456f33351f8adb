"""What waits for a stage: the few existence queries that decide whether a tick has work."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, exists, or_, select

from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.crm import crm_records
from hunter_orchestration.store.tables.ingestion import raw_leads
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scans import scans
from hunter_orchestration.store.tables.scores import scores


def waiting_stages(connection: Connection, now: datetime, rules_version: str) -> list[str]:
    """Names of the stages up to the score that have rows waiting.

    An expired scan does not count: the daily rescan spreads those. A first scan does.
    """
    unread = exists().where(raw_leads.c.processed_at.is_(None))
    unplaced = exists().where(referrals.c.company_due_at.is_not(None))
    scanned = exists().where(and_(scans.c.domain == companies.c.domain, scans.c.is_current))
    unscanned = exists().where(and_(companies.c.scan_due_at <= now, ~scanned))
    unscored = exists().where(companies.c.score_due_at.is_not(None))
    # A merged company keeps the score it had: it would wait for ever.
    merged = select(companies.c.domain).where(companies.c.merged_into.is_not(None))
    other_rules = exists().where(
        or_(scores.c.rules_version < rules_version, scores.c.rules_version > rules_version),
        scores.c.domain.not_in(merged),
    )
    names = ("referrals", "companies", "domain_scans", "lead_scores", "new_rules")
    found = connection.execute(select(unread, unplaced, unscanned, unscored, other_rules)).one()
    return [name for name, waits in zip(names, found, strict=True) if waits]


def expired_scans(connection: Connection, now: datetime) -> bool:
    """Whether any scan is due."""
    return bool(connection.execute(select(exists().where(companies.c.scan_due_at <= now))).scalar_one())


def push_waits(connection: Connection, now: datetime) -> bool:
    """Whether the CRM stage has a company to push or a deferred record whose time has come."""
    due = exists().where(companies.c.push_due_at.is_not(None))
    retry = exists().where(and_(crm_records.c.state == "deferred", crm_records.c.next_attempt_at <= now))
    return any(connection.execute(select(due, retry)).one())
