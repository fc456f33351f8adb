"""Sensors on files: leads dropped into a folder, and the rules or the mapping changed under a running Hunter."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from hunter_orchestration.defs.partitions import TICK, range_tags
from hunter_orchestration.defs.ticks import Decide, Tick, evaluate, opened
from hunter_orchestration.errors import HunterError
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store, imports
from hunter_orchestration.store.runs import latest_runs, read_watermark
from hunter_orchestration.store.waiting import waiting_stages
from hunter_orchestration.store.work import utc_now

_EVERY_SECONDS = 30
_TRY_AGAIN = timedelta(hours=1)
_FILES_A_TICK = 10
_SETTLED_SECONDS = 5
_BY = "folder"
_IMPORTED, _REFUSED = "imported", "refused"


def rules_tick(store: Store, settings: Settings, now: datetime) -> Tick:
    """Whether scores were computed by other rules than those of the file."""
    from hunter_orchestration.scoring.rules import rules_in_force

    try:
        stamp = rules_in_force(settings.rules_file).stamp
    except HunterError as error:
        return Tick(str(error))
    with store.read() as connection:
        changed = "new_rules" in waiting_stages(connection, now, stamp)
    if not changed:
        return Tick(f"Every score is of the rules in force, {stamp}.")
    start = Tick(f"Rules {stamp} are new.", range_tags(now.date(), now.date()), starts=True)
    return _held_back(store, "lead_scores", settings.rules_file, now) or start


def mapping_tick(store: Store, settings: Settings, now: datetime) -> Tick:
    """Whether records were pushed by another mapping than the file's."""
    if not settings.dynamics_enabled:
        return Tick("HUNTER_DYNAMICS_ENABLED is off.")
    from hunter_orchestration.dynamics.mapping import load_mapping
    from hunter_orchestration.dynamics.session import SOURCE

    try:
        digest = load_mapping(settings.mapping_file).digest
    except HunterError as error:
        return Tick(str(error))
    with store.read() as connection:
        pushed = read_watermark(connection, SOURCE, "mapping")
    if pushed is None or pushed.startswith(f"{digest}."):
        return Tick("Every record is of the mapping in force.")
    start = Tick("The mapping is new.", range_tags(now.date(), now.date()), starts=True)
    return _held_back(store, "dynamics_records", settings.mapping_file, now) or start


def _held_back(store: Store, stage: str, file: Path | None, now: datetime) -> Tick | None:
    """Why a changed file has to wait: its stage has just failed, and would at every tick until somebody acts.

    It is tried again after a while, since what was amiss may have been mended elsewhere, and at once when the file
    has changed since.
    """
    with store.read() as connection:
        last = latest_runs(connection, stage, 1)
    if not last or last[0]["state"] != "failed":
        return None
    began: datetime = last[0]["started_at"]
    with suppress(OSError):
        if file is not None and datetime.fromtimestamp(file.stat().st_mtime, UTC) > began:
            return None
    again = began + _TRY_AGAIN
    if now >= again:
        return None
    told = "The file is new, but its run failed; it is tried again"
    return Tick(f"{told} at {again:%H:%M} UTC, or when the file changes. {last[0]['error'] or ''}".rstrip())


def take_files(store: Store, settings: Settings) -> list[str]:
    """Take settled files out of the watched folder; returns what could not be taken, with the reason.

    A taken file lies in ``imported``, a refused one in ``refused`` beside its reason. A file taken twice, because the
    machine stopped in between, is imported twice, and the second time every row is found unchanged.
    """
    from hunter_orchestration.companies.imports import receive

    folder = settings.import_folder
    if folder is None:
        return []
    if not _can_move(folder):
        return [f"{folder} can't be written to, so its files are not taken: one that stays would be taken every time."]
    refused = []
    for path in _settled(folder)[:_FILES_A_TICK]:
        try:
            with path.open("rb") as content:
                receive(store, settings.home, path.name, content, requested_by=_BY)
        except HunterError as error:
            refused.append(f"{path.name}: {error}")
            _move(path, folder / _REFUSED).with_suffix(path.suffix + ".reason.txt").write_text(f"{error}\n")
        except OSError as error:
            # Another user's file, or a full disk: it waits, and those behind it do not wait for it.
            refused.append(f"{path.name} can't be read or kept ({type(error).__name__}); it stays and is tried again.")
        else:
            _move(path, folder / _IMPORTED)
    return refused


def _can_move(folder: Path) -> bool:
    """Whether taken files can be put aside."""
    try:
        for name in (_IMPORTED, _REFUSED):
            (folder / name).mkdir(exist_ok=True)
    except OSError:
        return False
    return all(os.access(place, os.W_OK | os.X_OK) for place in (folder, folder / _IMPORTED, folder / _REFUSED))


def _settled(folder: Path) -> list[Path]:
    """Files nobody has written to for some seconds, the oldest first."""
    before = time.time() - _SETTLED_SECONDS
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if path.is_file() and not path.name.startswith(".") and path.suffix != ".part":
                stamp = path.stat().st_mtime
                if stamp < before:
                    found.append((stamp, path))
    return [path for _stamp, path in sorted(found)]


def _move(path: Path, folder: Path) -> Path:
    target = folder / path.name
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{path.stem}-{number}{path.suffix}"
    return path.rename(target)


def waiting_imports(store: Store) -> list[int]:
    """Imports of the folder that were taken and not run yet, the oldest first."""
    with store.read() as connection:
        listed = imports.listed(connection, limit=200)
    return sorted(row["id"] for row in listed if row["state"] == "uploaded" and row["requested_by"] == _BY)


def _import_runs(settings: Settings, store: Store) -> Iterator[dg.RunRequest]:
    today = utc_now().date()
    for number in waiting_imports(store)[:_FILES_A_TICK]:
        yield dg.RunRequest(
            # The key makes sure that an import gets one run, however often it is seen waiting.
            run_key=f"import-{number}",
            run_config={"ops": {"import_file": {"config": {"import_id": number}}}},
            tags={**range_tags(today, today), TICK: "1", "requested_by": _BY, "source": "sensor",
                  "hunter/job": "import_leads"},
        )  # fmt: skip


def _sensor(name: str, job: str, decide: Decide, description: str) -> dg.SensorDefinition:
    def tick(context: dg.SensorEvaluationContext) -> Any:
        return evaluate(context.instance, job, decide, "sensor")

    return dg.sensor(
        name=name,
        job_name=job,
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=description,
    )(tick)


def build_file_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensors an installation needs: the folder's only where one is set, the mapping's only with Dynamics on."""

    rules_changed = _sensor(
        "rules_changed", "score_leads", rules_tick,
        "Scores every lead again when the rules file has changed. A faulty file changes nothing.",
    )  # fmt: skip
    mapping_changed = _sensor(
        "mapping_changed", "push_leads", mapping_tick,
        "Plans and pushes every record again when the mapping file has changed.",
    )  # fmt: skip

    @dg.sensor(
        name="lead_files_dropped", job_name="import_leads", minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Imports the files that appear in HUNTER_IMPORT_FOLDER; refused ones are told with the reason.",
    )  # fmt: skip
    def lead_files_dropped(_context: dg.SensorEvaluationContext) -> Any:
        now = load_settings()
        if now.import_folder is None or not now.import_folder.is_dir():
            return dg.SkipReason(f"The folder {now.import_folder} is not there.")
        with opened(now) as store:
            refused = take_files(store, now)
            requests = list(_import_runs(now, store))
        return requests or dg.SkipReason("; ".join(refused) if refused else "No new file.")

    sensors = [rules_changed]
    if settings.dynamics_enabled:
        sensors.append(mapping_changed)
    if settings.import_folder is not None:
        sensors.append(lead_files_dropped)
    return sensors
