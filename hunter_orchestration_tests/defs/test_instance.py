"""Dagster's own databases: made once, mended when two processes made them at the same time."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from hunter_orchestration.commands.launcher import EVENT_BATCH, EVENTS_A_BATCH, settle_dagster
from hunter_orchestration.defs.event_log import BatchingEventLog
from hunter_orchestration.defs.instance import is_prepared, prepare

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_databases_are_made_before_anybody_needs_them_and_a_double_stamp_is_mended(tmp_path: Path) -> None:
    settle_dagster(tmp_path)
    assert not is_prepared(tmp_path)
    command = [sys.executable, "-m", "hunter_orchestration.defs.instance", str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120).returncode == 0
    assert is_prepared(tmp_path)
    with closing(sqlite3.connect(tmp_path / "history/runs/index.db")) as index, index:
        index.execute("INSERT INTO alembic_version SELECT version_num || 'x' FROM alembic_version")
    assert not is_prepared(tmp_path)
    prepare(tmp_path)
    assert is_prepared(tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_runs(limit=1) == []


@dg.asset(
    partitions_def=dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-03-02"),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def days_of_something() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 7})


def _two_months(instance: dg.DagsterInstance) -> str:
    tags = {"dagster/asset_partition_range_start": "2026-01-01", "dagster/asset_partition_range_end": "2026-03-01"}
    done = dg.materialize([days_of_something], instance=instance, tags=tags)
    assert done.success
    return done.run_id


def _noted(instance: dg.DagsterInstance, run_id: str) -> tuple[list[object], object, object]:
    """What Dagster's pages ask for: a run's events, an asset's days, its newest metadata."""
    events = [
        (entry.dagster_event_type, entry.dagster_event.partition)
        for entry in instance.all_logs(run_id)
        if entry.dagster_event is not None and entry.dagster_event_type is not None
    ]
    key = days_of_something.key
    newest = instance.get_latest_materialization_event(key)
    assert newest is not None
    assert newest.asset_materialization is not None
    kept = sorted(instance.get_materialized_partitions(key))
    return sorted(events, key=str), kept, newest.asset_materialization.metadata["rows"].value


def test_the_events_of_many_days_are_written_at_once_and_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counted(BatchingEventLog):
        opened = 0

        def run_connection(self, run_id: str | None = None) -> object:
            Counted.opened += 1
            return super().run_connection(run_id)

    noted = []
    for size, most in ((EVENTS_A_BATCH, 60), ("0", 10_000)):
        folder = tmp_path / size
        folder.mkdir()
        settle_dagster(folder)
        monkeypatch.setenv(EVENT_BATCH, size)
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            assert isinstance(instance.event_log_storage, BatchingEventLog)
            instance.event_log_storage.__class__, Counted.opened = Counted, 0
            noted.append(_noted(instance, _two_months(instance)))
            assert Counted.opened < most
    assert noted[0] == noted[1]
    assert noted[0][1] == [str(date(2026, 1, 1) + timedelta(days=number)) for number in range(60)]
