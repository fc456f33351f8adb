"""Dagster's own SQLite databases, made before its processes start.

Dagster's processes make them when they find none, and two that do so at once stamp the version twice, after which no
process opens them again. ``python -m hunter_orchestration.defs.instance FOLDER`` makes them and mends such a stamp.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from hunter_orchestration.defs.dagster_internals import InstanceRef

_SHIPPED = "Compare it with deploy/postgres/dagster.yaml; that of hunter up may be removed, it is made anew."
_NEEDED = {
    ("run_launcher", "class"): ("WatchedRunLauncher", "a run whose process is killed counts as running for hours"),
    ("run_coordinator", "class"): ("QueuedRunCoordinator", "runs do not wait for each other"),
    ("concurrency", "pools", "default_limit"): (1, "two runs do the same stage at once"),
    ("run_monitoring", "enabled"): (True, "nobody finds out that a run's process was killed"),
}
"""What Hunter relies on, and what happens without it."""
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


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with dagster.yaml or its database. ``stops``: Dagster can't work with it."""

    stops: bool
    sentence: str
    fix: str


def troubles(folder: Path) -> Iterator[Trouble]:
    """What is wrong with the dagster.yaml of a DAGSTER_HOME and with the database it names. Nothing is made."""
    file = folder / "dagster.yaml"
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        if not isinstance(document, dict):
            raise yaml.YAMLError
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        yield Trouble(True, f"{file}{place} can't be read ({type(error).__name__}).", _SHIPPED)
        return
    for names, (wanted, otherwise) in _NEEDED.items():
        if _at(document, names) != wanted:
            yield Trouble(False, f"{file} does not say {'.'.join(names)}: {wanted}; {otherwise}.", _SHIPPED)
    if "storage" not in document and not is_prepared(folder):
        return
    yield from _asked(folder, document)


def _asked(folder: Path, document: dict[str, Any]) -> Iterator[Trouble]:
    postgres = _at(document, ("storage", "postgres"))
    overrides: Any = {}
    if isinstance(postgres, dict):
        overrides = {"storage": {"postgres": {**postgres, "should_autocreate_tables": False}}}
    # Each of Dagster's attempts at a database would be a line of its own before ours.
    logging.disable(logging.WARNING)
    try:
        reference = InstanceRef.from_dir(str(folder), overrides=overrides)
        with dg.DagsterInstance.from_ref(reference) as instance:
            instance.get_runs(limit=1)
            instance.event_log_storage.get_maximum_record_id()
            instance.all_instigator_state()
    except Exception as error:  # noqa: BLE001  Whatever Dagster, a driver or an import raises is what was looked for.
        yield _told(folder / "dagster.yaml", error)
    finally:
        logging.disable(logging.NOTSET)


def _told(file: Path, error: Exception) -> Trouble:
    """In words, without what a database or a library may quote of passwords."""
    names = set()
    cause: BaseException | None = error
    while cause is not None:
        names.add(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    if "ProgrammingError" in names:
        return Trouble(True, f"The database of {file} has no tables of Dagster, or older ones.",
                       "Run dagster instance migrate with DAGSTER_HOME and the services' settings.")  # fmt: skip
    if "OperationalError" in names:
        return Trouble(True, f"The database of {file} does not answer, or refuses the user.",
                       "Check DAGSTER_PG_HOST, _PORT, _USER, _PASSWORD and _DB, and that its server runs.")  # fmt: skip
    if "environment variable" in str(error):
        return Trouble(True, f"{file} takes its database from variables that are not set here.",
                       "Run the command with the services' settings: DAGSTER_PG_* of hunter.env.")  # fmt: skip
    said = str(error).strip().splitlines()
    reason = next((line.strip() for line in said if "Error 1" in line), said[0] if said else type(error).__name__)
    return Trouble(True, f"{file} can't be used: {reason[:300]}", _SHIPPED)


def _at(document: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _versions(file: Path) -> int:
    try:
        with closing(sqlite3.connect(file)) as connection:
            return int(connection.execute("SELECT count(*) FROM alembic_version").fetchone()[0])
    except sqlite3.Error:
        return 0


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
