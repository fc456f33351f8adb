"""What checks came to, on both of Dagster's storages: one line a check and run, and none for ever."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Evaluations
from sqlalchemy import select, update

from hunter_orchestration.commands.launcher import settle_dagster
from hunter_orchestration.definitions import build_defs
from hunter_orchestration.defs.partitions import TICK, range_tags
from hunter_orchestration.settings import load_settings
from hunter_orchestration_tests.postgresql import fresh_database

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DAYS = 6


@pytest.fixture(params=["sqlite", "postgresql"])
def instance(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """Dagster as `hunter up` sets it up, and as deploy/postgres does."""
    folder = tmp_path / "dagster"
    folder.mkdir()
    if request.param == "sqlite":
        settle_dagster(folder)
        with dg.DagsterInstance.from_config(str(folder)) as made:
            yield made
        return
    shutil.copyfile(ROOT / "deploy" / "postgres" / "dagster.yaml", folder / "dagster.yaml")
    with fresh_database(request.getfixturevalue("postgresql_server")) as url:
        parts = urlsplit(url)
        for name, value in (("HOST", parts.hostname), ("PORT", parts.port), ("USER", parts.username),
                            ("PASSWORD", parts.password or ""), ("DB", parts.path[1:])):  # fmt: skip
            monkeypatch.setenv(f"DAGSTER_PG_{name}", str(value))
        with dg.DagsterInstance.from_config(str(folder)) as made:
            yield made


def score(instance: dg.DagsterInstance) -> str:
    """A run over some days with one check; tells its id."""
    today = datetime.now(UTC).date()
    job = build_defs(load_settings()).resolve_job_def("score_leads")
    tags = {**range_tags(today - timedelta(days=DAYS - 1), today), TICK: "1"}
    done = job.execute_in_process(instance=instance, tags=tags)
    assert done.success
    return done.run_id


def lines(instance: dg.DagsterInstance) -> list[tuple[str, str, str | None]]:
    """(run, status, day) of every line of every check, the oldest first."""
    assert isinstance(instance.event_log_storage, SqlEventLogStorage)
    with instance.event_log_storage.index_connection() as connection:
        query = select(Evaluations.c.run_id, Evaluations.c.execution_status, Evaluations.c.partition)
        return [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(Evaluations.c.id))]


def test_a_check_of_a_run_over_many_days_has_one_line_and_it_says_how_it_ended(instance: dg.DagsterInstance) -> None:
    run = score(instance)
    assert lines(instance) == [(run, "SUCCEEDED", None)]


def test_old_evaluations_go_and_the_newest_of_a_check_stays(instance: dg.DagsterInstance) -> None:
    runs = [score(instance) for _ in range(3)]
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=40)
        connection.execute(update(Evaluations).values(create_timestamp=long_ago))
    housekeeping = build_defs(load_settings()).resolve_job_def("housekeeping")
    assert housekeeping.execute_in_process(instance=instance).success
    assert lines(instance) == [(runs[-1], "SUCCEEDED", None)]
