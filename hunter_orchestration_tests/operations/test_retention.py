"""Sizes stay bounded over a year, and what is still needed stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, insert, select

from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.retention import prune
from hunter_orchestration.store.tables.companies import company_mentions
from hunter_orchestration.store.tables.ingestion import import_rejects, imports, quarantine, raw_leads
from hunter_orchestration.store.tables.operations import events, sync_runs, web_sessions

START = datetime(2025, 11, 24, 4, 10, tzinfo=UTC)


def rows(store: Store, table: Table) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def payload(number: int, at: datetime, **more: Any) -> dict[str, Any]:
    return {"id": number, "source": "import", "external_id": str(number), "payload_hash": "x", "payload": {},
            "received_at": at, "seen_at": at, "processed_at": at, **more}  # fmt: skip


def test_a_year_of_ticks_leaves_no_more_than_the_retention_keeps(store: Store) -> None:
    settings = load_settings(retention_raw_days=30)
    largest = dict.fromkeys((events, sync_runs, raw_leads, web_sessions), 0)
    for first in range(0, 365, 20):
        days = [(day, START + timedelta(days=day)) for day in range(first, first + 20)]
        opened = {"user_id": "u", "name": "n", "role": "viewer"}
        with store.write() as connection:
            ticks = [{"at": at, "kind": "leads_changed"} for _, at in days for _ in range(20)]
            connection.execute(insert(events), ticks)
            ran = [{"kind": "companies", "state": "succeeded", "started_at": at} for _, at in days for _ in range(10)]
            connection.execute(insert(sync_runs), ran)
            came = [payload(day * 5 + number, at) for day, at in days for number in range(1, 6)]
            connection.execute(insert(raw_leads), came)
            sessions = [{"id_hash": str(day), "opened_at": at, "seen_at": at, **opened} for day, at in days]
            connection.execute(insert(web_sessions), sessions)
        prune(store, settings, days[-1][1])
        largest = {table: max(most, rows(store, table)) for table, most in largest.items()}
    assert largest[events] <= 20 * (settings.retention_events_days + 1)
    assert largest[sync_runs] <= 10 * (settings.retention_runs_days + 1)
    assert largest[raw_leads] <= 5 * 31
    assert largest[web_sessions] <= 3


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
