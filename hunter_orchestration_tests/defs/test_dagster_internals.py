"""What Hunter uses of Dagster besides its public names is as it was: what a new version of Dagster meets first."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import dagster as dg
import pytest
from dagster._grpc.client import DagsterGrpcClient

import hunter_orchestration
from hunter_orchestration.defs import dagster_internals as internals
from hunter_orchestration.defs.launching import IN_PROGRESS

PACKAGE = Path(hunter_orchestration.__file__).parent
_LOG = internals.SqliteEventLogStorage


@pytest.mark.parametrize(
    ("used", "parameters"),
    [
        (_LOG.from_config_value, ["inst_data", "config_value"]),
        (_LOG.store_event, ["self", "event"]),
        (_LOG.store_event_batch, ["self", "events"]),
        (_LOG.run_connection, ["self", "run_id"]),
        (_LOG.index_transaction, ["self"]),
        (_LOG.prepare_insert_event, ["self", "event"]),
        (_LOG._store_asset_event_tags, ["self", "conn", "events", "event_ids"]),
        (_LOG._store_asset_event, ["self", "conn", "event", "event_id"]),
        (_LOG.index_connection, ["self"]),
        (_LOG.path_for_shard, ["self", "run_id"]),
        (dg.DefaultRunLauncher.check_run_worker_health, ["self", "run"]),
        (dg.DefaultRunLauncher._get_grpc_client_for_termination, ["self", "run_id"]),
        (DagsterGrpcClient.can_cancel_execution, ["self", "can_cancel_execution_request", "timeout"]),
        (internals.CheckRunHealthResult, ["status", "msg", "transient", "run_worker_id"]),
        (internals.InstanceRef.from_dir, ["base_dir", "config_dir", "config_filename", "overrides"]),
        (internals.LocalComputeLogManager.delete_logs, ["self", "log_key", "prefix"]),
    ],
)
def test_what_is_overridden_or_called_takes_what_hunter_gives(used: object, parameters: list[str]) -> None:
    assert list(inspect.signature(used).parameters) == parameters  # type: ignore[arg-type]


def test_runs_in_progress_are_those_dagster_counts_as_such() -> None:
    from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

    assert list(IN_PROGRESS) == IN_PROGRESS_RUN_STATUSES


def test_a_code_server_is_asked_for_a_run_and_answers_as_hunter_reads_it() -> None:
    assert internals.CanCancelExecutionRequest(run_id="r").run_id == "r"
    assert internals.CanCancelExecutionResult(can_cancel=False).can_cancel is False


def test_the_lines_of_checks_have_the_columns_hunter_asks_for() -> None:
    used = {"id", "asset_key", "check_name", "run_id", "partition", "execution_status", "create_timestamp"}
    assert used <= set(internals.Evaluations.c.keys())
    assert internals.AssetCheckExecutionRecordStatus.PLANNED.value == "PLANNED"


def test_only_one_module_reaches_into_dagster() -> None:
    reaching = re.compile(r"^\s*(?:from|import) dagster\S*\._", re.MULTILINE)
    found = {path.name for path in PACKAGE.rglob("*.py") if reaching.search(path.read_text(encoding="utf-8"))}
    assert found == {"dagster_internals.py"}
