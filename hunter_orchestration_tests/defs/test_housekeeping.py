"""Months of runs on the embedded default leave no more on disk than the first ones did."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from hunter_orchestration.commands.launcher import settle_dagster
from hunter_orchestration.definitions import build_defs
from hunter_orchestration.settings import load_settings

pytestmark = pytest.mark.slow

MONTHS = 6
RUNS_A_MONTH = 2
OUTPUT = "said by a run " * 2000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A DAGSTER_HOME as `hunter up` makes it."""
    made = tmp_path / "dagster"
    made.mkdir()
    settle_dagster(made)
    return made


@pytest.fixture
def instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(folder)) as made:
        yield made


@dg.op
def work(context: dg.OpExecutionContext) -> None:
    print(OUTPUT)
    context.log_event(dg.AssetMaterialization("worked_on", metadata={"rows": 7}))


@dg.job
def tick() -> None:
    work()


def a_month_passes(folder: Path) -> None:
    """Every run is thirty days older."""
    with closing(sqlite3.connect(folder / "history/runs.db")) as runs, runs:
        for number, stamp in runs.execute("SELECT id, create_timestamp FROM runs").fetchall():
            older = datetime.fromisoformat(stamp) - timedelta(days=30)
            runs.execute("UPDATE runs SET create_timestamp = ? WHERE id = ?", (older.isoformat(sep=" "), number))


def on_disk(folder: Path) -> tuple[int, int]:
    """(files, bytes) of a folder; what SQLite keeps beside its files for a moment is not counted."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return len(files), sum(path.stat().st_size for path in files)


def test_half_a_year_of_runs_leaves_as_many_files_and_bytes_as_its_first_months(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    housekeeping = build_defs(load_settings()).resolve_job_def("housekeeping")
    sizes = []
    for _month in range(MONTHS):
        for _ in range(RUNS_A_MONTH):
            assert tick.execute_in_process(instance=instance).success
        assert housekeeping.execute_in_process(instance=instance).success
        sizes.append(on_disk(folder))
        a_month_passes(folder)
    assert housekeeping.execute_in_process(instance=instance).success
    assert [run.job_name for run in instance.get_runs()] == ["housekeeping"]
    (files_then, bytes_then), (files, size) = sizes[1], sizes[-1]
    assert files == files_then
    assert size < 1.1 * bytes_then
    assert datetime.now(UTC) - instance.get_run_records()[0].create_timestamp < timedelta(hours=1)
