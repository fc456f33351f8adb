"""Dagster's own SQLite databases, made before its processes start.

Dagster's processes make them when they find none, and two that do so at once stamp the version twice, after which no
process opens them again. ``python -m hunter_orchestration.defs.instance FOLDER`` makes them and mends such a stamp.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import dagster as dg

_FILES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


def is_prepared(folder: Path) -> bool:
    """Whether every database is there with one version; a look at three small files."""
    return all((folder / name).exists() and _versions(folder / name) == 1 for name in _FILES)


def prepare(folder: Path) -> None:
    """Make what is missing below a DAGSTER_HOME that holds a dagster.yaml, mend what was stamped twice."""
    if is_prepared(folder):
        return
    for name in _FILES:
        file = folder / name
        if file.exists() and _versions(file) > 1:
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute("DELETE FROM alembic_version WHERE rowid > (SELECT min(rowid) FROM alembic_version)")
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        instance.get_runs(limit=1)
        instance.all_instigator_state()
        instance.event_log_storage.get_maximum_record_id()


def _versions(file: Path) -> int:
    try:
        with closing(sqlite3.connect(file)) as connection:
            return int(connection.execute("SELECT count(*) FROM alembic_version").fetchone()[0])
    except sqlite3.Error:
        return 0


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
