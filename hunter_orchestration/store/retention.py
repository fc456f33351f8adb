"""Dropping what is older than its retention, in batches, so that no transaction grows with the backlog."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, delete, select, true

from hunter_orchestration.settings import Settings
from hunter_orchestration.store.engine import Store
from hunter_orchestration.store.tables.crm import crm_audit
from hunter_orchestration.store.tables.ingestion import quarantine, raw_leads
from hunter_orchestration.store.tables.operations import bulk_actions, events, idempotency_keys, sync_runs
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scans import scan_changes, scans

_BATCH = 5000
_IDEMPOTENCY_DAYS = 2


def prune(store: Store, settings: Settings, now: datetime) -> dict[str, int]:
    """Drop old rows; returns how many by table.

    Kept whatever their age: the payload a referral was read from, current scans, open quarantine entries.
    """

    def before(days: int) -> datetime:
        return now - timedelta(days=days)

    in_use = select(referrals.c.raw_lead_id)
    rules: list[tuple[Table, Column[Any], ColumnElement[bool], int]] = [
        (events, events.c.at, true(), settings.retention_events_days),
        (sync_runs, sync_runs.c.started_at, sync_runs.c.state != "running", settings.retention_runs_days),
        (bulk_actions, bulk_actions.c.created_at, bulk_actions.c.finished_at < now, settings.retention_runs_days),
        (scans, scans.c.scanned_at, ~scans.c.is_current, settings.retention_scans_days),
        (scan_changes, scan_changes.c.at, true(), settings.retention_scans_days),
        (
            raw_leads, raw_leads.c.seen_at,
            and_(raw_leads.c.processed_at.is_not(None), raw_leads.c.id.not_in(in_use)), settings.retention_raw_days,
        ),
        (crm_audit, crm_audit.c.at, true(), settings.retention_audit_days),
        (quarantine, quarantine.c.last_at, quarantine.c.state != "open", settings.retention_quarantine_days),
    ]  # fmt: skip
    dropped = {table.name: _drop(store, table, at < before(days), only) for table, at, only, days in rules}
    with store.write() as connection:
        old = idempotency_keys.c.at < before(_IDEMPOTENCY_DAYS)
        dropped["idempotency_keys"] = connection.execute(delete(idempotency_keys).where(old)).rowcount
    return dropped


def _drop(store: Store, table: Table, old: ColumnElement[bool], only: ColumnElement[bool]) -> int:
    dropped = 0
    while True:
        with store.write() as connection:
            batch = select(table.c.id).where(old, only).limit(_BATCH).scalar_subquery()
            count = connection.execute(delete(table).where(table.c.id.in_(batch))).rowcount
        dropped += count
        if count < _BATCH:
            return dropped
