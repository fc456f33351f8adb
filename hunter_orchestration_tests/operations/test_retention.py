"""Sizes stay bounded over a year, and what is still needed stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, insert, select, update

from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.retention import prune
from hunter_orchestration.store.tables.base import metadata
from hunter_orchestration.store.tables.companies import company_audit, company_mentions
from hunter_orchestration.store.tables.crm import crm_audit, crm_differences
from hunter_orchestration.store.tables.ingestion import import_rejects, imports, quarantine, raw_leads
from hunter_orchestration.store.tables.operations import events, idempotency_keys, sync_runs, web_sessions
from hunter_orchestration.store.tables.referrals import referral_actions
from hunter_orchestration.store.tables.scans import scan_changes, scans
from hunter_orchestration.store.tables.scores import score_history

START = datetime(2025, 11, 24, 4, 10, tzinfo=UTC)
_PRUNED_EVERY = 20


def rows(store: Store, table: Table) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def payload(number: int, at: datetime, **more: Any) -> dict[str, Any]:
    return {"id": number, "source": "import", "external_id": str(number), "payload_hash": "x", "payload": {},
            "received_at": at, "seen_at": at, "processed_at": at, **more}  # fmt: skip


def test_a_year_of_ticks_leaves_no_more_than_the_retention_keeps(store: Store) -> None:
    """Each day brings its rows to every table that grows; the newest scan of a domain and open entries stay."""
    settings = load_settings(
        retention_raw_days=30, retention_scans_days=40, retention_audit_days=50, retention_quarantine_days=60
    )
    a_day = {events: 20, sync_runs: 10, raw_leads: 5, scans: 4, scan_changes: 2, crm_audit: 6, company_audit: 2,
             crm_differences: 2, score_history: 3, quarantine: 3, web_sessions: 1, idempotency_keys: 2,
             referral_actions: 2}  # fmt: skip
    days_kept = {
        events: settings.retention_events_days, sync_runs: settings.retention_runs_days, raw_leads: 30, scans: 40,
        scan_changes: 40, crm_audit: 50, company_audit: 50, crm_differences: 50, score_history: 50,
        quarantine: 60, web_sessions: 2, idempotency_keys: 2, referral_actions: 50,
    }  # fmt: skip
    largest = dict.fromkeys(a_day, 0)
    for first in range(0, 365, _PRUNED_EVERY):
        with store.write() as connection:
            connection.execute(update(scans).values(is_current=False))
            for table, count in a_day.items():
                wanted = [
                    _row(table, day * count + number, START + timedelta(days=day))
                    for day in range(first, first + _PRUNED_EVERY)
                    for number in range(1, count + 1)
                ]
                connection.execute(insert(table), wanted)
            connection.execute(update(scans).where(scans.c.id == select(func.max(scans.c.id)).scalar_subquery())
                               .values(is_current=True))  # fmt: skip
        prune(store, settings, START + timedelta(days=first + _PRUNED_EVERY - 1))
        largest = {table: max(most, rows(store, table)) for table, most in largest.items()}
    for table, most in largest.items():
        assert 0 < most <= a_day[table] * (days_kept[table] + 1), table.name
        assert most < a_day[table] * 120, table.name


def test_every_table_is_pruned_or_bounded_by_what_it_is_about(sqlite_store: Store) -> None:
    of_companies = {"companies", "contacts", "leads", "scores", "crm_records", "domain_details", "company_mentions"}
    of_referrals = {"referrals", "referral_history"}
    by_people = {"company_links", "company_merges", "saved_views", "erasures", "suppressions"}
    of_the_installation = {"leases", "watermarks", "lead_counts", "leads_search"}
    pruned = set(prune(sqlite_store, load_settings(), START))
    assert not pruned & (of_companies | of_referrals | by_people | of_the_installation)
    assert set(metadata.tables) <= pruned | of_companies | of_referrals | by_people | of_the_installation


def _row(table: Table, number: int, at: datetime) -> dict[str, Any]:
    """A row as a day leaves it: every column that must not be empty."""
    shown: dict[Table, dict[str, Any]] = {
        events: {"at": at, "kind": "leads_changed"},
        sync_runs: {"kind": "companies", "state": "succeeded", "started_at": at},
        raw_leads: payload(number, at),
        scans: {"domain": f"d{number}.example", "scanned_at": at, "expires_at": at, "is_current": False,
                "complete": True, "provider": "M365", "mx_state": "found", "spf_state": "valid",
                "dmarc_state": "none", "findings": {}, "lookups": 8, "seconds": 0.1},
        scan_changes: {"domain": "d.example", "at": at, "kind": "spf"},
        crm_audit: {"at": at, "actor": "x", "table_name": "lead", "external_id": "d.example",
                    "company_domain": "d.example", "operation": "update", "outcome": "confirmed"},
        company_audit: {"at": at, "actor": "x", "action": "edit", "company_domain": "d.example"},
        referral_actions: {"referral_id": "x", "action": "accept", "requested_by": "x", "at": at, "state": "done"},
        crm_differences: {"found_at": at, "mended_at": at, "table_name": "lead", "external_id": "x", "kind": "field"},
        score_history: {"domain": "d.example", "at": at, "score": 1, "priority": "P1", "rules_version": "1"},
        quarantine: {"source": "import", "external_id": str(number), "reason": "x", "detail": "x", "state": "resolved",
                     "reader_version": 1, "first_at": at, "last_at": at},
        web_sessions: {"id_hash": str(number), "opened_at": at, "seen_at": at, "user_id": "u", "name": "n",
                       "role": "viewer"},
        idempotency_keys: {"key": str(number), "actor": "x", "request_hash": "x", "status": 200, "body": {}, "at": at},
    }  # fmt: skip
    return shown[table]


def test_payloads_somebody_still_reads_stay_whatever_their_age(store: Store) -> None:
    at = START - timedelta(days=2000)
    mention = {"source": "import", "external_id": "1", "raw_lead_id": 1, "domain": "a.example",
               "company_domain": "a.example", "fields": {}, "first_at": at, "last_at": at}  # fmt: skip
    entry = {"source": "import", "reason": "x", "detail": "x", "reader_version": 1, "first_at": at, "last_at": at}
    with store.write() as connection:
        connection.execute(insert(raw_leads), [payload(number, at) for number in (1, 2, 3, 4)])
        connection.execute(insert(raw_leads), [payload(5, at, processed_at=None)])
        connection.execute(insert(company_mentions), [mention])
        for number, state in ((2, "open"), (3, "resolved")):
            row = {**entry, "external_id": str(number), "raw_lead_id": number, "state": state}
            connection.execute(insert(quarantine), [row])
    dropped = prune(store, load_settings(), START)
    assert dropped["raw_leads"] == 2
    assert dropped["quarantine"] == 1
    with store.read() as connection:
        assert list(connection.execute(select(raw_leads.c.id).order_by(raw_leads.c.id)).scalars()) == [1, 2, 5]


def test_an_old_import_goes_with_its_rejects_and_its_file(store: Store) -> None:
    settings = load_settings()
    file = Path(settings.home) / "imports" / "old.data"
    file.parent.mkdir(parents=True)
    file.write_text("x")
    old = START - timedelta(days=2000)
    row = {"filename": "old.csv", "content_hash": "x", "state": "failed", "stored_path": "imports/old.data"}
    with store.write() as connection:
        connection.execute(
            insert(imports), [{"id": 1, "created_at": old, **row}, {"id": 2, "created_at": START, **row}]
        )
        reject = {"line": 2, "reason": "x", "detail": "x", "row": []}
        connection.execute(insert(import_rejects), [{"import_id": 1, **reject}, {"import_id": 2, **reject}])
    prune(store, settings, START)
    assert (rows(store, imports), rows(store, import_rejects)) == (1, 1)
    assert not file.exists()
