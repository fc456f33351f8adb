"""A run whose code server is another machine or container: found out when that server was started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import WorkerStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._grpc.client import DagsterGrpcClient

from hunter_orchestration.commands.installation import until
from hunter_orchestration.commands.launcher import settle_dagster
from hunter_orchestration.defs.launching import WatchedRunLauncher
from hunter_orchestration.sandbox.running import spare_port
from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade

pytestmark = pytest.mark.slow

ELSEWHERE = "127.0.0.2"
"""This machine under a name that the launcher does not take for its own."""
SLEEPER = """
import time
import dagster as dg

@dg.op
def sleep():
    time.sleep(600)

@dg.job
def long_sleep():
    sleep()

defs = dg.Definitions(jobs=[long_sleep])
"""


class CodeServer:
    """A code server that is ended as a container is: with every process in it."""

    def __init__(self, file: Path, home: Path) -> None:
        self.port = spare_port()
        self.command = [sys.executable, "-m", "dagster", "api", "grpc", "-h", "0.0.0.0", "-p", str(self.port),
                        "-f", str(file), "--location-name", "hunter"]  # fmt: skip
        self.environment = {**os.environ, "DAGSTER_HOME": str(home)}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def end(self) -> None:
        inside = psutil.Process(self.process.pid).children(recursive=True)
        for number in (self.process.pid, *(process.pid for process in inside)):
            os.kill(number, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CodeServer]:
    store = Store(load_settings().store_url)
    upgrade(store)
    store.close()
    home = tmp_path / "dagster"
    home.mkdir()
    settle_dagster(home)
    file = tmp_path / "sleeper.py"
    file.write_text(SLEEPER)
    made = CodeServer(file, home)
    yield made
    made.end()


@contextmanager
def reached(instance: dg.DagsterInstance, server: CodeServer) -> Iterator[WorkspaceProcessContext]:
    target = GrpcServerTarget(host=ELSEWHERE, port=server.port, socket=None, location_name="hunter")

    def answers() -> bool:
        with suppress(DagsterUserCodeUnreachableError):
            return bool(DagsterGrpcClient(host=ELSEWHERE, port=server.port).ping("here"))
        return False

    until(answers, 60, "a code server that answers")
    with WorkspaceProcessContext(instance, target) as process:
        yield process


def launched(instance: dg.DagsterInstance, process: WorkspaceProcessContext) -> str:
    """A run that has begun; tells its id."""
    workspace = process.create_request_context()
    job = workspace.code_locations[0].get_repository("__repository__").get_full_job("long_sleep")

    @dg.op
    def sleep() -> None:
        return

    @dg.job
    def long_sleep() -> None:
        sleep()

    run = instance.create_run_for_job(
        long_sleep, remote_job_origin=job.get_remote_origin(), job_code_origin=job.get_python_origin()
    )
    instance.launch_run(run.run_id, workspace)

    def begun() -> bool:
        now = instance.get_run_by_id(run.run_id)
        return now is not None and now.status == dg.DagsterRunStatus.STARTED

    until(begun, 60, "a run that has begun")
    return run.run_id


def test_a_run_of_a_container_that_was_started_anew_counts_as_dead_and_one_that_is_away_does_not(
    server: CodeServer, tmp_path: Path
) -> None:
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        launcher = instance.run_launcher
        assert isinstance(launcher, WatchedRunLauncher)
        with reached(instance, server) as process:
            run = instance.get_run_by_id(launched(instance, process))
            assert run is not None
            assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
        server.end()
        began = time.monotonic()
        assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
        assert time.monotonic() - began < 15
        server.start()
        with reached(instance, server):
            found = launcher.check_run_worker_health(run)
        assert found.status == WorkerStatus.FAILED
        assert "code server" in (found.msg or "")
