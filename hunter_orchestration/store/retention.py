"""Dropping what is older than its retention, in batches, so that no transaction grows with the backlog."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, delete, exists, select, true, tuple_

from hunter_orchestration.settings import Settings
from hunter_orchestration.store.engine import Store
from hunter_orchestration.store.tables.companies import company_audit, company_mentions
from hunter_orchestration.store.tables.crm import crm_audit, crm_differences
from hunter_orchestration.store.tables.ingestion import import_rejects, imports, quarantine, raw_leads
from hunter_orchestration.store.tables.operations import (
    bulk_actions,
    events,
    idempotency_keys,
    sync_runs,
    web_sessions,
)
from hunter_orchestration.store.tables.referrals import referral_actions, referrals
from hunter_orchestration.store.tables.scans import scan_changes, scans
from hunter_orchestration.store.tables.scores import score_history

_BATCH = 5000
_SHORT_LIVED_DAYS = 2
_OVER = ("done", "failed", "cancelled")


def prune(store: Store, settings: Settings, now: datetime) -> dict[str, int]:
    """Drop old rows; returns how many by table.

    Kept whatever their age: payloads a referral, a company or an open quarantine entry was read from, current scans,
    open quarantine entries, differences that are not mended, imports that wait or run.
    """

    def before(days: int) -> datetime:
        return now - timedelta(days=days)

    rules: list[tuple[Table, Column[Any], ColumnElement[bool], int]] = [
        (events, events.c.at, true(), settings.retention_events_days),
        (sync_runs, sync_runs.c.started_at, sync_runs.c.state != "running", settings.retention_runs_days),
        (bulk_actions, bulk_actions.c.created_at, bulk_actions.c.finished_at < now, settings.retention_runs_days),
        (scans, scans.c.scanned_at, ~scans.c.is_current, settings.retention_scans_days),
        (scan_changes, scan_changes.c.at, true(), settings.retention_scans_days),
        (raw_leads, raw_leads.c.seen_at, and_(raw_leads.c.processed_at.is_not(None), *_unused()),
         settings.retention_raw_days),
        (crm_audit, crm_audit.c.at, true(), settings.retention_audit_days),
        (company_audit, company_audit.c.at, true(), settings.retention_audit_days),
        (referral_actions, referral_actions.c.at, true(), settings.retention_audit_days),
        (crm_differences, crm_differences.c.mended_at, true(), settings.retention_audit_days),
        (score_history, score_history.c.at, true(), settings.retention_audit_days),
        (quarantine, quarantine.c.last_at, quarantine.c.state != "open", settings.retention_quarantine_days),
        (import_rejects, imports.c.created_at, imports.c.state.in_(_OVER), settings.retention_raw_days),
        (imports, imports.c.created_at, imports.c.state.in_(_OVER), settings.retention_raw_days),
        (idempotency_keys, idempotency_keys.c.at, true(), _SHORT_LIVED_DAYS),
        (web_sessions, web_sessions.c.seen_at, true(), _SHORT_LIVED_DAYS),
    ]  # fmt: skip
    _drop_files(store, settings.home, before(settings.retention_raw_days))
    return {table.name: _drop(store, table, at < before(days), only) for table, at, only, days in rules}


def _unused() -> tuple[ColumnElement[bool], ...]:
    """Nobody reads this payload any more: no referral, no company's record, nothing a person still has to look at."""
    waiting = exists().where(quarantine.c.raw_lead_id == raw_leads.c.id, quarantine.c.state == "open")
    return (
        ~exists().where(referrals.c.raw_lead_id == raw_leads.c.id),
        ~exists().where(company_mentions.c.raw_lead_id == raw_leads.c.id),
        ~waiting,
    )


def _drop_files(store: Store, home: Path, before: datetime) -> None:
    """Files of imports that failed or were never run; a finished import has removed its own."""
    with store.read() as connection:
        query = select(imports.c.stored_path).where(
            imports.c.created_at < before, imports.c.state.in_(_OVER), imports.c.stored_path.is_not(None)
        )
        old = connection.execute(query).scalars().all()
    for path in old:
        (home / path).unlink(missing_ok=True)


def _drop(store: Store, table: Table, old: ColumnElement[bool], only: ColumnElement[bool]) -> int:
    dropped = 0
    key = list(table.primary_key.columns)
    found = select(*key).where(old, only).limit(_BATCH)
    if table is import_rejects:
        found = found.join(imports, imports.c.id == import_rejects.c.import_id)
    while True:
        with store.write() as connection:
            count = connection.execute(delete(table).where(tuple_(*key).in_(found))).rowcount
        dropped += count
        if count < _BATCH:
            return dropped
