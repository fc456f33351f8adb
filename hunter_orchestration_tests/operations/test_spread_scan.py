"""The spread scan as every installation has it: chunks on the cores of one machine, by Dagster's own executor."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml
from sqlalchemy import insert, select

from hunter_orchestration.commands.installation import SCRIPTS
from hunter_orchestration.defs.spread import SPREAD
from hunter_orchestration.sandbox.names import domain_of
from hunter_orchestration.sandbox.running import running_sandbox
from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.scans import scans

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
COMPANIES = 30


def test_chunks_of_one_run_are_scanned_by_several_processes(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    row = {"name_source": "domain", "sources": {}, "first_seen_at": at, "changed_at": at, "activity_at": at}
    names = [domain_of(1, number) for number in range(COMPANIES)]
    with sqlite_store.write() as connection:
        connection.execute(
            insert(companies), [{**row, "domain": name, "name": name, "scan_due_at": at} for name in names]
        )
    home, config = tmp_path / "dagster", tmp_path / "run.yaml"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    config.write_text(yaml.safe_dump({"ops": {"due_chunks": {"config": {"chunk": 15}}}}), encoding="utf-8")
    with running_sandbox(companies=COMPANIES) as box:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HUNTER_", "DAGSTER_"))},
            **box.settings(),
            "HUNTER_HOME": str(tmp_path),
            "HUNTER_DATABASE_URL": sqlite_store.url.render_as_string(False),
            "DAGSTER_HOME": str(home),
        }
        command = [str(SCRIPTS / "dagster"), "job", "execute", "-m", "hunter_orchestration.definitions"]
        done = subprocess.run(
            [*command, "-j", SPREAD, "-c", str(config)], env=environment, cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr[-3000:]
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        started = {
            str(entry.dagster_event.step_key): entry.dagster_event.pid
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
            if entry.dagster_event is not None
        }
        assert instance.get_latest_materialization_event(dg.AssetKey("domain_scans")) is not None
    chunks = {step: pid for step, pid in started.items() if step.startswith("scan_one_chunk")}
    assert len(chunks) == len(set(chunks.values())) == 2
    with sqlite_store.read() as connection:
        assert Counter(connection.execute(select(scans.c.domain)).scalars()) == Counter(names)
