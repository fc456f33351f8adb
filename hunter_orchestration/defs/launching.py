"""Launching runs so that a run whose process died is found out.

Dagster's default launcher starts a process for each run and can't tell when one was killed: the run would count as
started for hours, and every tick would wait for it.
"""

from __future__ import annotations

import os
import socket
import time

import dagster as dg
import orjson
import psutil

from hunter_orchestration.defs.dagster_internals import (
    GRPC_INFO_TAG,
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    CheckRunHealthResult,
    DagsterUserCodeUnreachableError,
    WorkerStatus,
)
from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.runs import bury

PROCESS = "hunter/process"
"""Tag of a run that a command executes in its own process: host, process id, and when it began."""
_HERE = ("localhost", "127.0.0.1", "::1")
IN_PROGRESS = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
    dg.DagsterRunStatus.SUSPENDED,
)
"""States of a run that has a process, or is about to get one."""
_ANSWER_SECONDS = 10
_CLOCK_STEP = 2.0
"""Seconds by which a process may seem younger than the event it wrote: the kernel counts from the boot."""


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """The default launcher, which also looks after the processes of runs on this machine.

    When one is gone its run is failed by the monitoring daemon, hence retried, and what it held is free at once. A run
    that another machine or container executes is asked for at its code server, which knows the processes it started:
    one that was started anew, as a container is, knows none of those it had before.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """So that the monitoring daemon asks."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives; a process that can't be known counts as alive."""
        if PROCESS not in run.tags and not _is_here(run):
            if self._is_known_there(run):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            gone = "Its code server was started anew since; the run's process has ended."
        else:
            worker = self._worker(run)
            if worker is None or process_lives(*worker):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            gone = f"The process {worker[0]} of the run has ended."
        store = Store(load_settings().store_url)
        try:
            bury(store, run.run_id)
        finally:
            store.close()
        return CheckRunHealthResult(WorkerStatus.FAILED, gone)

    def _is_known_there(self, run: dg.DagsterRun) -> bool:
        """Whether its code server has the run's process; a server that is away may have it, so nothing is said."""
        # A run that is not yet started need not have reached its server.
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None or run.status != dg.DagsterRunStatus.STARTED:
            return True
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=_ANSWER_SECONDS)
        except DagsterUserCodeUnreachableError:
            return True
        return dg.deserialize_value(answer, CanCancelExecutionResult).can_cancel

    def _worker(self, run: dg.DagsterRun) -> tuple[int, float] | None:
        """(process id, when it said so) of a run on this machine."""
        if PROCESS in run.tags:
            host, number, at = run.tags[PROCESS].rsplit(" ", 2)
            return (int(number), float(at)) if host == socket.gethostname() else None
        told = self._instance.event_log_storage.get_logs_for_run(
            run.run_id, of_type={dg.DagsterEventType.ENGINE_EVENT}, limit=20
        )
        for entry in told:
            event = entry.dagster_event
            if event is not None and event.message and event.message.startswith("Started process for run"):
                pid = event.engine_event_data.metadata.get("pid")
                if pid is not None:
                    return int(str(pid.value)), entry.timestamp
        return None


def _is_here(run: dg.DagsterRun) -> bool:
    address = orjson.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    return "socket" in address or address.get("host") in _HERE


def this_process() -> dict[str, str]:
    """The tag of a run that this process executes itself."""
    return {PROCESS: f"{socket.gethostname()} {os.getpid()} {time.time()}"}


def bury_dead(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs whose process was killed and free the pools they hold, as the daemon does; returns their ids."""
    launcher = instance.run_launcher
    dead = []
    if isinstance(launcher, WatchedRunLauncher):
        for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.NOT_STARTED, *IN_PROGRESS])):
            health = launcher.check_run_worker_health(run)
            if health.status == WorkerStatus.FAILED:
                instance.report_run_failed(run, health.msg)
                dead.append(run.run_id)
    storage = instance.event_log_storage
    for pool in storage.get_concurrency_keys():
        info = storage.get_concurrency_info(pool)
        for run_id in {*info.active_run_ids, *info.pending_run_ids}:
            holder = instance.get_run_by_id(run_id)
            if holder is None or holder.is_finished:
                storage.free_concurrency_slots_for_run(run_id)
    return dead


def process_lives(pid: int, at: float) -> bool:
    """Whether the process that had this id then still runs."""
    if pid == os.getpid():
        return True
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= at + _CLOCK_STEP
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
