"""What checks came to, as Dagster keeps it: without lines for what nobody evaluates, and not for ever.

Dagster plans a check once for every day of a run, while a check of ours is evaluated once for the whole run. The days'
lines would stay in the check's history as skipped, or as failed beside one that passed; and no line goes with its run.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from hunter_orchestration.defs.dagster_internals import (
    AssetCheckExecutionRecordStatus,
    Evaluations,
    SqlEventLogStorage,
)

_BATCH = 5000


def plan_once(instance: dg.DagsterInstance, run_id: str) -> None:
    """Leave one planned line for each check of a run, the one its evaluation will fill in."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return
    planned = storage.get_logs_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED)
    checks = {entry.get_dagster_event().asset_check_planned_data.asset_check_key for entry in planned}
    with storage.index_connection() as connection:
        for check in checks:
            days = (
                Evaluations.c.asset_key == check.asset_key.to_string(),
                Evaluations.c.check_name == check.name,
                Evaluations.c.run_id == run_id,
                Evaluations.c.partition.is_not(None),
                Evaluations.c.execution_status == AssetCheckExecutionRecordStatus.PLANNED.value,
            )
            newest = Evaluations.select().with_only_columns(Evaluations.c.id).where(*days)
            last = connection.execute(newest.order_by(Evaluations.c.id.desc()).limit(1)).scalar()
            connection.execute(Evaluations.delete().where(*days, Evaluations.c.id != last))
            connection.execute(Evaluations.update().where(Evaluations.c.id == last).values(partition=None))


def delete_evaluations(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete lines from before a moment; returns how many. The newest of each check stays, whatever its age."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return 0
    with storage.index_connection() as connection:
        named = Evaluations.select().with_only_columns(Evaluations.c.asset_key, Evaluations.c.check_name).distinct()
        checks = [_key(asset, name) for asset, name in connection.execute(named)]
    newest = [record.id for record in storage.get_latest_asset_check_execution_by_key(checks).values()]
    # Dagster keeps the moment in UTC, without saying so.
    moment = before.astimezone(UTC).replace(tzinfo=None)
    old = Evaluations.select().with_only_columns(Evaluations.c.id)
    old = old.where(Evaluations.c.create_timestamp < moment, Evaluations.c.id.not_in(newest)).limit(_BATCH)
    deleted = 0
    while True:
        with storage.index_connection() as connection:
            rows = connection.execute(Evaluations.delete().where(Evaluations.c.id.in_(old))).rowcount
        deleted += rows
        if rows < _BATCH:
            return deleted


def _key(asset: str, name: str) -> dg.AssetCheckKey:
    asset_key = dg.AssetKey.from_db_string(asset)
    if asset_key is None:
        raise ValueError(f"{asset!r} is no asset's key")
    return dg.AssetCheckKey(asset_key, name)
