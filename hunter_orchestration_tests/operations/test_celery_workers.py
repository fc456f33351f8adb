"""deploy/celery as it is: one run's scans spread over two workers, one of them killed while it works."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import psutil
import pytest
import yaml
from sqlalchemy import insert, select

from hunter_orchestration.commands.installation import SCRIPTS, until
from hunter_orchestration.sandbox.names import domain_of
from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox, spare_port
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.scans import scans
from hunter_orchestration_tests.postgresql import fresh_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
COMPANIES, CHUNK = 60, 15
PATIENCE = 300
VISIBILITY_SECONDS = 10
"""How long a dead worker's chunk waits for another; five minutes in deploy/celery."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """A Redis of its own; yields its port."""
    port = spare_port()
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    yield port
    server.kill()
    server.wait()


@pytest.fixture
def box() -> Iterator[RunningSandbox]:
    with running_sandbox(companies=COMPANIES) as started:
        yield started


@pytest.fixture
def store(postgresql_server: str) -> Iterator[Store]:
    """Companies of the sandbox, all of them due."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    row = {"name_source": "domain", "sources": {}, "first_seen_at": at, "changed_at": at, "activity_at": at}
    with fresh_database(postgresql_server) as url:
        opened = Store(url)
        upgrade(opened)
        names = [domain_of(1, number) for number in range(COMPANIES)]
        due = [{**row, "domain": name, "name": name, "scan_due_at": at} for name in names]
        with opened.write() as connection:
            connection.execute(insert(companies), due)
        yield opened
        opened.close()


@pytest.fixture
def environment(
    box: RunningSandbox, store: Store, broker: int, postgresql_server: str, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """What workers and the code server share: settings, DAGSTER_HOME and both databases."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copyfile(ROOT / "deploy/postgres/dagster.yaml", home / "dagster.yaml")
    with fresh_database(postgresql_server) as url:
        parts = urlsplit(url)
        yield {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HUNTER_", "DAGSTER_"))},
            **box.settings(),
            "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
            "HUNTER_HOME": str(tmp_path),
            "HUNTER_DATABASE_URL": store.engine.url.render_as_string(hide_password=False),
            "DAGSTER_HOME": str(home),
            "DAGSTER_PG_HOST": str(parts.hostname),
            "DAGSTER_PG_PORT": str(parts.port),
            "DAGSTER_PG_USER": str(parts.username),
            "DAGSTER_PG_PASSWORD": "",
            "DAGSTER_PG_DB": parts.path[1:],
            "DAGSTER_CELERY_BROKER": f"redis://127.0.0.1:{broker}/0",
            "DAGSTER_CELERY_BACKEND": f"redis://127.0.0.1:{broker}/1",
        }


def shipped(name: str, folder: Path) -> Path:
    """A file of deploy/celery with less patience for a dead worker, and nothing else changed."""
    text = (ROOT / "deploy" / "celery" / name).read_text(encoding="utf-8")
    assert text.count(": 300") == 1
    path = folder / name
    path.write_text(text.replace(": 300", f": {VISIBILITY_SECONDS}"), encoding="utf-8")
    return path


@contextmanager
def started(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process and whatever it starts, all of it gone afterwards."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=out, stderr=out, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    try:
        yield process
    finally:
        kill_all(process)
        process.wait()


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of a worker and of the process that works for it."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        member.kill()


def test_a_run_over_two_workers_of_which_one_is_killed_loses_and_doubles_nothing(
    environment: dict[str, str], store: Store, box: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = shipped("worker.yaml", tmp_path)
    definitions = shipped("definitions.py", tmp_path)
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump({"ops": {"due_chunks": {"config": {"chunk": CHUNK}}}}))
    dagster, celery = str(SCRIPTS / "dagster"), str(SCRIPTS / "dagster-celery")
    run = [dagster, "job", "execute", "-f", str(definitions), "-j", "rescan_domains_spread", "-c", str(config)]
    slow = box.fault("dns", "slow", times=None, seconds=0.7)

    def worker(name: str) -> list[str]:
        told = ["-y", str(settings), "-n", name, "--", "--concurrency=1"]
        return [celery, "worker", "start", "-A", "dagster_celery.app", *told]

    with (
        dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance,
        started(worker("one"), environment, tmp_path / "one.log") as one,
        started(worker("two"), environment, tmp_path / "two.log") as two,
        started(run, environment, tmp_path / "run.log") as engine,
    ):

        def at_work() -> set[str]:
            """Chunks that were begun and have not ended."""
            assert one.poll() is two.poll() is None, (tmp_path / "one.log").read_text()[-2000:]
            steps: set[str] = set()
            for found in instance.get_runs(limit=1):
                for entry in instance.all_logs(found.run_id):
                    event = entry.dagster_event
                    if event is None or not (event.step_key or "").startswith("scan_one_chunk"):
                        continue
                    if event.event_type == dg.DagsterEventType.STEP_SUCCESS:
                        steps.discard(str(event.step_key))
                    elif event.event_type == dg.DagsterEventType.STEP_START:
                        steps.add(str(event.step_key))
            return steps

        until(lambda: len(at_work()) == 2, PATIENCE, "a chunk under way on each worker")
        kill_all(one)
        box.call("DELETE", f"/faults/{slow}")
        assert engine.wait(PATIENCE) == 0, (tmp_path / "run.log").read_text()[-3000:]
        (done,) = instance.get_runs(limit=1)
        assert done.status == dg.DagsterRunStatus.SUCCESS
        assert instance.get_latest_materialization_event(dg.AssetKey("domain_scans")) is not None
    with store.read() as connection:
        found = Counter(connection.execute(select(scans.c.domain)).scalars())
        due = connection.execute(select(companies.c.domain).where(companies.c.scan_due_at < datetime.now(UTC))).all()
    assert len(found) == COMPANIES
    assert set(found.values()) == {1}
    assert due == []
