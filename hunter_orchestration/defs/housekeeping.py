"""Housekeeping: what is older than its retention goes, in batches."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import dagster as dg

from hunter_orchestration.defs.dagster_internals import LocalComputeLogManager, SqliteEventLogStorage
from hunter_orchestration.defs.evaluations import delete_evaluations
from hunter_orchestration.defs.resources import Engine
from hunter_orchestration.store.retention import prune
from hunter_orchestration.store.work import utc_now

_BATCH = 200


@dg.op(description="Drops rows of Hunter's store that are older than their retention setting.")
def prune_store(context: dg.OpExecutionContext, engine: Engine) -> None:
    dropped = prune(engine.store, engine.settings, utc_now())
    for name, rows in dropped.items():
        context.log.info(f"{name}: {rows} rows dropped")
    context.add_output_metadata({**dropped})


@dg.op(description="Deletes finished Dagster runs, with their events, older than HUNTER_RETENTION_RUNS_DAYS.")
def prune_runs(context: dg.OpExecutionContext, engine: Engine) -> None:
    before = utc_now() - timedelta(days=engine.settings.retention_runs_days)
    finished = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
        created_before=before,
    )
    deleted = 0
    while runs := context.instance.get_runs(finished, limit=_BATCH):
        for run in runs:
            delete_whole(context.instance, run.run_id)
        deleted += len(runs)
    evaluations = delete_evaluations(context.instance, before)
    context.log.info(f"{deleted} runs and {evaluations} evaluations of checks deleted")
    context.add_output_metadata({"runs": deleted, "evaluations": evaluations})


def delete_whole(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run with its files. Dagster's own deletion leaves the run's database and its captured output."""
    instance.delete_run(run_id)
    if isinstance(instance.compute_log_manager, LocalComputeLogManager):
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        shard = Path(storage.path_for_shard(run_id))
        for file in (shard, *(shard.with_name(shard.name + end) for end in ("-wal", "-shm", "-journal"))):
            with suppress(FileNotFoundError):
                file.unlink()


@dg.job(
    name="housekeeping",
    description="Keeps sizes bounded: store rows and Dagster runs past their retention are dropped.",
    tags={"hunter/job": "housekeeping"},
)
def housekeeping() -> None:
    prune_store()
    prune_runs()
