"""``hunter backfill``: what it refuses, what it starts in Dagster, and how a repeat goes on."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner, Result

from hunter_orchestration.cli import app
from hunter_orchestration.commands import operations
from hunter_orchestration.commands.installation import SCRIPTS, environment_for
from hunter_orchestration.sandbox.running import running_sandbox
from hunter_orchestration.store import Store
from hunter_orchestration.store.runs import latest_runs, read_watermark
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration_tests.web import engine as engines

TODAY = datetime.now(UTC).date()


class Dagster(engines.Engine):
    """The stand-in of the page's tests, which also knows the backfill's job and ends each run at once."""

    fails_at: str | None = None

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if query.startswith("query Jobs"):
            node = {"name": "__repository__", "location": {"name": "hunter"}, "jobs": [{"name": "backfill_leads"}]}
            return {"repositoriesOrError": {"__typename": "RepositoryConnection", "nodes": [node]}}
        answered = super().answer(query, variables)
        if query.startswith("mutation Launch"):
            params = variables["params"]
            stages = [key["path"][0] for key in params["selector"]["assetSelection"]]
            run_id = answered["launchRun"]["run"]["runId"]
            steps = []
            for stage in stages:
                failed = stage == self.fails_at
                steps.append(
                    {"stepKey": stage, "status": "FAILURE" if failed else "SUCCESS", "startTime": 1.0, "endTime": 2.0}
                )
                if failed:
                    break
            self.runs[run_id]["stepStats"] = steps
            self.finish(run_id, "FAILURE" if self.fails_at in stages else "SUCCESS")
        return answered


@pytest.fixture
def dagster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dagster]:
    made = Dagster()
    monkeypatch.setenv("HUNTER_DAGSTER_URL", made.url)
    monkeypatch.setenv("HUNTER_PARTNER_CENTER_ENABLED", "true")
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    if not any(command.name == "backfill" for command in app.registered_commands):
        operations.register(app)


def called(*words: str) -> Result:
    return CliRunner().invoke(app, ["backfill", "--from", str(TODAY - timedelta(days=9)), "--to", str(TODAY), *words])


def selected(run: dict[str, Any]) -> list[str]:
    return [key["path"][0] for key in run["selector"]["assetSelection"]]


def tags(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["executionMetadata"]["tags"]}


def test_one_run_over_all_days_and_every_stage_that_is_on(dagster: Dagster) -> None:
    assert called().exit_code == 0
    (run,) = dagster.launched
    assert selected(run) == ["raw_leads", "referrals", "companies", "domain_scans", "lead_scores"]
    assert tags(run)["dagster/asset_partition_range_start"] == str(TODAY - timedelta(days=9))
    assert tags(run)["dagster/asset_partition_range_end"] == str(TODAY)
    assert "hunter/tick" not in tags(run)


def test_days_are_cut_for_parallel_runs(dagster: Dagster) -> None:
    done = called("--parallel", "3", "--stages", "lead_scores", "--json")
    assert done.exit_code == 0
    assert len(dagster.launched) == 3
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["state"] for line in told] == ["started"] * 3 + ["succeeded"] * 3


def test_a_repeat_goes_on_with_the_stages_that_are_missing_and_a_finished_one_starts_over(dagster: Dagster) -> None:
    dagster.fails_at = "domain_scans"
    assert called().exit_code == 1
    dagster.fails_at = None
    assert called().exit_code == 0
    assert selected(dagster.launched[1]) == ["domain_scans", "lead_scores"]
    assert tags(dagster.launched[0])["hunter/backfill_id"] == tags(dagster.launched[1])["hunter/backfill_id"]
    assert called().exit_code == 0
    assert len(selected(dagster.launched[2])) == 5
    assert tags(dagster.launched[2])["hunter/backfill_id"] != tags(dagster.launched[1])["hunter/backfill_id"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--stages", "referals"], "is no stage"),
        (["--stages", "referrals,lead_scores"], "between them"),
        (["--stages", "dynamics_records"], "switched off"),
        (["--from", "2019-01-01"], "HUNTER_FIRST_DAY"),
        (["--to", str(TODAY + timedelta(days=2))], "no range of days"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(dagster: Dagster, words: list[str], said: str) -> None:
    done = called(*words)
    assert done.exit_code == 1
    assert said in done.stderr
    assert dagster.launched == []


@pytest.mark.slow
def test_days_whose_process_was_killed_without_dagster_are_finished_by_the_same_command(tmp_path: Path) -> None:
    first, last = str(TODAY - timedelta(days=60)), str(TODAY)
    command = [str(SCRIPTS / "hunter"), "backfill", "--from", first, "--to", last, "--stages", "raw_leads,referrals"]
    with running_sandbox(companies=12) as box:
        environment = environment_for(box, tmp_path, HUNTER_FIRST_DAY=first)
        killed = subprocess.run(
            command,
            env={**environment, "HUNTER_CRASH_AT": "before_store"},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        resumed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert resumed.returncode == 0, resumed.stderr
        store = Store(f"sqlite:///{tmp_path / 'hunter.db'}")
        with store.read() as connection:
            states = [(row["kind"], row["state"]) for row in latest_runs(connection)]
            kept = connection.execute(select(func.count()).select_from(referrals)).scalar_one()
            watermark = read_watermark(connection, "partnercenter", "referrals")
        store.close()
        assert states == [("referrals", "succeeded"), ("raw_leads", "succeeded"), ("raw_leads", "failed")]
        assert kept == len(box.referrals())
        assert watermark is None
