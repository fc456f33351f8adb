"""What a tick decides, from the store and the settings alone."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from hunter_orchestration.defs.partitions import RANGE_END, RANGE_START, range_tags
from hunter_orchestration.defs.ticks import details_tick, push_tick, read_back_tick, rescan_tick, sync_tick
from hunter_orchestration.defs.watching import mapping_tick, rules_tick
from hunter_orchestration.scoring.rules import rules_in_force
from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.runs import write_watermark
from hunter_orchestration.store.scans import write_details
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.operations import sync_runs
from hunter_orchestration.store.tables.scores import scores
from hunter_orchestration_tests.dynamics.world import add_companies

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def settled(store: Store) -> None:
    """Two companies for which nothing is due."""
    add_companies(store, [1, 2])
    nothing = {"scan_due_at": None, "score_due_at": None, "push_due_at": None}
    with store.write() as connection:
        connection.execute(update(companies).values(**nothing))
        connection.execute(update(scores).values(rules_version=rules_in_force().stamp))


def test_a_store_in_which_nothing_is_due_starts_nothing_and_says_why(store: Store) -> None:
    settled(store)
    settings = load_settings(dynamics_enabled=True)
    for decide in (sync_tick, rescan_tick, push_tick, rules_tick, mapping_tick):
        tick = decide(store, settings, NOW)
        assert not tick.starts, decide
        assert tick.reason.endswith("."), decide


def test_each_due_stamp_starts_the_job_it_belongs_to(store: Store) -> None:
    settled(store)
    settings = load_settings(dynamics_enabled=True)
    for column, decide in (("push_due_at", push_tick), ("score_due_at", sync_tick), ("scan_due_at", rescan_tick)):
        with store.write() as connection:
            connection.execute(update(companies).values({column: NOW - timedelta(minutes=1)}))
        tick = decide(store, settings, NOW)
        assert tick.starts, column
        assert tick.tags[RANGE_END] == "2026-11-24"


def test_leads_without_details_start_the_slow_lane_unless_it_is_off(store: Store) -> None:
    settled(store)
    tick = details_tick(store, load_settings(), NOW)
    assert (tick.starts, tick.tags) == (True, {})
    assert not details_tick(store, load_settings(scan_details_daily=0), NOW).starts
    with store.write() as connection:
        found = {"state": "absent", "facts": {}, "fetched_at": NOW, "expires_at": NOW + timedelta(days=7)}
        names = connection.execute(select(companies.c.domain)).scalars().all()
        write_details(connection, [{"domain": name, "kind": "tenant", **found} for name in names])
    assert not details_tick(store, load_settings(), NOW).starts


def test_a_merged_company_with_a_score_of_older_rules_waits_for_nobody(store: Store) -> None:
    settled(store)
    with store.write() as connection:
        connection.execute(update(scores).where(scores.c.domain == "company-00001.example").values(rules_version="0.9"))
    assert rules_tick(store, load_settings(), NOW).starts
    assert sync_tick(store, load_settings(), NOW).starts
    with store.write() as connection:
        merged = update(companies).where(companies.c.domain == "company-00001.example")
        connection.execute(merged.values(merged_into="company-00002.example"))
    assert not rules_tick(store, load_settings(), NOW).starts
    assert not sync_tick(store, load_settings(), NOW).starts


def test_another_mapping_than_the_pushed_one_starts_a_push(sqlite_store: Store) -> None:
    settings = load_settings(dynamics_enabled=True)
    assert not mapping_tick(sqlite_store, settings, NOW).starts
    with sqlite_store.write() as connection:
        write_watermark(connection, "dynamics", "mapping", "0123456789abcdef.0123456789abcdef")
    assert mapping_tick(sqlite_store, settings, NOW).starts


def test_a_file_whose_run_failed_starts_no_second_one_until_it_changes_or_an_hour_is_over(
    store: Store, tmp_path: Path
) -> None:
    settled(store)
    file = tmp_path / "mapping.yaml"
    shutil.copyfile(files("hunter_orchestration.dynamics").joinpath("mapping.yaml"), file)  # type: ignore[arg-type]
    os.utime(file, (NOW.timestamp() - 60, NOW.timestamp() - 60))
    settings = load_settings(dynamics_enabled=True, mapping_file=file)
    with store.write() as connection:
        write_watermark(connection, "dynamics", "mapping", "0123456789abcdef.0123456789abcdef")
        connection.execute(update(scores).values(rules_version="0.9"))
    for kind, decide in (("dynamics_records", mapping_tick), ("lead_scores", rules_tick)):
        assert decide(store, settings, NOW).starts
        with store.write() as connection:
            row = {"kind": kind, "state": "failed", "started_at": NOW, "error": "account.hnt_x: the column is missing."}
            connection.execute(insert(sync_runs).values(**row))
        tick = decide(store, settings, NOW + timedelta(minutes=59))
        assert not tick.starts
        assert "10:00 UTC" in tick.reason
        assert tick.reason.endswith("account.hnt_x: the column is missing.")
        assert decide(store, settings, NOW + timedelta(minutes=60)).starts
    assert not mapping_tick(store, settings, NOW + timedelta(minutes=1)).starts
    os.utime(file, (NOW.timestamp() + 20, NOW.timestamp() + 20))
    assert mapping_tick(store, settings, NOW + timedelta(minutes=1)).starts


def test_a_faulty_file_skips_with_its_reason_and_a_service_that_is_off_is_left_alone(
    sqlite_store: Store, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("points: [")
    settings = load_settings(rules_file=bad, mapping_file=bad, dynamics_enabled=True)
    for decide in (rules_tick, mapping_tick, sync_tick):
        tick = decide(sqlite_store, settings, NOW)
        assert not tick.starts
        assert "bad.yaml" in tick.reason
    off = load_settings()
    for decide in (push_tick, read_back_tick, mapping_tick):
        assert "HUNTER_DYNAMICS_ENABLED" in decide(sqlite_store, off, NOW).reason


def test_a_service_that_is_down_skips_with_a_sentence(sqlite_store: Store) -> None:
    settings = load_settings(
        partner_center_enabled=True, partner_center_url="http://127.0.0.1:9", authority_url="http://127.0.0.1:9",
        client_id="x", client_secret="y", tenant_id="z",
    )  # fmt: skip
    tick = sync_tick(sqlite_store, settings, NOW)
    assert not tick.starts
    assert tick.reason


@pytest.mark.parametrize("first", [None, date(2024, 1, 1), date(2026, 9, 25)], ids=["first", "years", "months"])
def test_a_tick_names_two_weeks_at_most_however_long_nothing_was_fetched(first: date | None) -> None:
    assert range_tags(first, NOW.date()) == {RANGE_START: "2026-11-11", RANGE_END: "2026-11-24"}


def test_a_tick_names_the_days_that_changed_and_none_before_the_first_day_there_is() -> None:
    assert range_tags(date(2026, 11, 23), NOW.date()) == {RANGE_START: "2026-11-23", RANGE_END: "2026-11-24"}
    known = load_settings().first_day
    assert range_tags(None, known + timedelta(days=2))[RANGE_START] == known.isoformat()
    assert range_tags(date(2026, 12, 24), NOW.date()) == {RANGE_START: "2026-11-24", RANGE_END: "2026-11-24"}
