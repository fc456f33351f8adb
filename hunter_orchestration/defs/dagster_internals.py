"""The names of Dagster that its public package does not have, in one place.

Dagster may move or change them with any version: ``defs/test_dagster_internals.py`` says which, before a run does.
"""

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Evaluations
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes.config_class import ConfigurableClassData

__all__ = [
    "GRPC_INFO_TAG",
    "AssetCheckExecutionRecordStatus",
    "CanCancelExecutionRequest",
    "CanCancelExecutionResult",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "DagsterUserCodeUnreachableError",
    "Evaluations",
    "InstanceRef",
    "LocalComputeLogManager",
    "SqlEventLogStorage",
    "SqliteEventLogStorage",
    "WorkerStatus",
]
