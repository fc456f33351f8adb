"""Dagster's event log on SQLite, writing the events of many days at once.

A run over a year's days notes each day of each stage twice, planned and done: some 4,000 events. Dagster's own storage
opens two files for each of them, which takes minutes before the first stage begins; this one opens them once a batch.
It is used where ``DAGSTER_EVENT_BATCH_SIZE`` is set, as ``hunter up`` and ``hunter backfill`` do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from hunter_orchestration.defs.dagster_internals import ConfigurableClassData, SqliteEventLogStorage

_OF_DAYS = (
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
)


class BatchingEventLog(SqliteEventLogStorage):
    """The SQLite event log, with one transaction a file for a batch of a run's events."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchingEventLog:
        """As dagster.yaml names it, with the folder of its files."""
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events; those of days together, the others as ever."""
        of_days = []
        for entry in events:
            if entry.is_dagster_event and entry.dagster_event_type in _OF_DAYS:
                of_days.append(entry)
            else:
                self.store_event(entry)
        if not of_days:
            return
        with self.run_connection(of_days[0].run_id) as connection:
            for entry in of_days:
                connection.execute(self.prepare_insert_event(entry))
        with self.index_transaction() as connection:
            for entry in of_days:
                key = connection.execute(self.prepare_insert_event(entry)).inserted_primary_key
                number = int(key[0]) if key else 0
                self._store_asset_event_tags(connection, [entry], [number])
                self._store_asset_event(connection, entry, number)
