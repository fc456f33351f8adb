"""``hunter backfill`` and ``hunter runs``: doing days again, and what ran."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from hunter_orchestration.commands.console import FAILED, errors_told, print_json, print_table, progress, say
from hunter_orchestration.errors import HunterError, PermanentError
from hunter_orchestration.settings import Settings, load_settings

if TYPE_CHECKING:
    from hunter_orchestration.defs.backfills import PastRun, Plan, Slice
    from hunter_orchestration.web.dagster_client import DagsterClient

_POLL_SECONDS = 1.0
_TELL_SECONDS = 5.0
_LAUNCH_SECONDS = 240
"""Dagster notes every day of every stage before it answers, which for a year on a busy machine takes a while."""
_PAST = 500
_Json = Annotated[bool, typer.Option("--json", help="JSON lines instead of words.")]
_Day = ["%Y-%m-%d"]


class BackfillError(PermanentError):
    """The days or stages asked for are none."""


def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=_Day, help="First day, UTC.")],
    last: Annotated[datetime, typer.Option("--to", formats=_Day, help="Last day, UTC, included.")],
    stages: Annotated[
        str, typer.Option(help="Stages with commas, e.g. lead_scores,dynamics_records. Empty: all that are on.")
    ] = "",
    parallel: Annotated[
        int, typer.Option(min=1, max=32, help="Cut the days into so many runs, which run side by side.")
    ] = 1,
    as_json: _Json = False,
) -> None:
    """Do days again: read them from Partner Center, or from any stage on. One run unless told otherwise.

    The watermark stays where it is. Repeated after an interruption, it goes on with what is missing.
    """
    with errors_told():
        settings = load_settings()
        asked = _asked(settings, first.date(), last.date(), stages, parallel)
        engine = _engine(settings)
        say(engine.said)
        with _telling(settings):
            ended = _carry_out(engine, asked, as_json)
        failed = [run for run in ended if run.state != "succeeded"]
        for run in failed:
            say(f"Run {run.id} ({run.range[0]} to {run.range[1]}) {run.state}: see it in the Dagster UI.")
        if failed:
            say("The same command goes on with what is missing.")
            raise typer.Exit(FAILED)


def runs(
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 20,
    as_json: _Json = False,
) -> None:
    """Stages that ran, newest first: what each did, or why it failed."""
    with errors_told():
        from hunter_orchestration.commands.console import opened_store
        from hunter_orchestration.store.runs import latest_runs

        store = opened_store()
        with store.read() as connection:
            found = [dict(row) for row in latest_runs(connection, limit=limit)]
        if as_json:
            for row in found:
                print_json(row)
            return
        for row in found:
            row["started"] = f"{row['started_at']:%Y-%m-%d %H:%M:%S}"
            counts = ", ".join(f"{name} {count}" for name, count in (row["counts"] or {}).items())
            row["told"] = row["error"] or counts
        columns = {"started": "Started (UTC)", "kind": "Stage", "state": "State", "requested_by": "By",
                   "told": "What it did", "run_id": "Run"}  # fmt: skip
        print_table(found, columns)


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    slices: list[Slice]


@dataclass(frozen=True, slots=True)
class _Engine:
    """Where runs go: Dagster's web server, or this process."""

    said: str
    past: Callable[[dict[str, str]], list[PastRun]]
    start: Callable[[Slice, dict[str, str]], str]
    find: Callable[[str], PastRun | None]


def _asked(settings: Settings, first: date, last: date, stages: str, parallel: int) -> _Asked:
    from hunter_orchestration.defs.backfills import name_of, ordered, sliced
    from hunter_orchestration.defs.jobs import CHAIN

    today = datetime.now(UTC).date()
    if first > last or first < settings.first_day or last > today:
        raise BackfillError(
            f"{first} to {last} is no range of days between {settings.first_day} and {today}.",
            "HUNTER_FIRST_DAY moves the first one.",
        )
    off = set()
    if not settings.partner_center_enabled:
        off.add("raw_leads")
    if not settings.dynamics_enabled:
        off.add("dynamics_records")
    try:
        wanted = ordered(part.strip() for part in stages.split(",") if part.strip()) or tuple(
            stage for stage in CHAIN if stage not in off
        )
    except ValueError as error:
        raise BackfillError(str(error)) from None
    if asleep := off.intersection(wanted):
        raise BackfillError(
            f"{', '.join(sorted(asleep))} is switched off.",
            "Set HUNTER_PARTNER_CENTER_ENABLED or HUNTER_DYNAMICS_ENABLED.",
        )
    return _Asked(name_of(first, last, wanted, parallel), sliced(first, last, wanted, parallel))


def _engine(settings: Settings) -> _Engine:
    from hunter_orchestration.web.dagster_client import DagsterClient

    client = DagsterClient(settings.dagster_base_url, timeout=_LAUNCH_SECONDS)
    return _remote(client) if client.is_up() else _local(settings)


def _remote(client: DagsterClient) -> _Engine:
    from hunter_orchestration.defs.backfills import ATTEMPT, PastRun
    from hunter_orchestration.defs.jobs import BACKFILL

    def find(run_id: str) -> PastRun | None:
        run = client.run(run_id)
        if run is None:
            return None
        done = frozenset(step["name"] for step in run.steps if step["state"] == "succeeded")
        return PastRun(run.id, run.state, run.tags, done)

    def past(tags: dict[str, str]) -> list[PastRun]:
        listed = client.runs(_PAST, tags=tags)
        newest = [run for run in listed if run.tags.get(ATTEMPT) == listed[0].tags.get(ATTEMPT)]
        return [run for run in (find(run.id) for run in newest) if run is not None]

    def start(part: Slice, tags: dict[str, str]) -> str:
        return client.launch(BACKFILL, selection=part.stages, tags=tags).id

    return _Engine(f"Runs start in Dagster at {client.base_url}.", past, start, find)


def _local(settings: Settings) -> _Engine:
    """Dagster's instance below HUNTER_HOME, without its processes: runs execute here, one after the other."""
    import dagster as dg

    from hunter_orchestration.commands.launcher import EVENT_BATCH, EVENTS_A_BATCH, settle_dagster
    from hunter_orchestration.definitions import defs
    from hunter_orchestration.defs.backfills import past_runs, run_here
    from hunter_orchestration.defs.instance import prepare
    from hunter_orchestration.defs.launching import bury_dead

    home = settings.home.absolute() / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        settle_dagster(home)
    os.environ.setdefault(EVENT_BATCH, EVENTS_A_BATCH)
    prepare(home)
    instance = dg.DagsterInstance.from_config(str(home))

    def past(tags: dict[str, str]) -> list[PastRun]:
        bury_dead(instance)
        return past_runs(instance, tags)

    def find(run_id: str) -> PastRun | None:
        from hunter_orchestration.defs.backfills import past_run

        return past_run(instance, run_id)

    said = f"Dagster's web server does not answer at {settings.dagster_base_url}; the runs execute in this process."
    return _Engine(said, past, lambda part, tags: run_here(defs, instance, part, tags), find)


@contextmanager
def _telling(settings: Settings) -> Iterator[None]:
    """Say now and then how far the stages at work are, whichever process runs them."""
    from hunter_orchestration.commands.console import opened_store
    from hunter_orchestration.store import page_figures
    from hunter_orchestration.store.engine import StoreError

    store, began, over = opened_store(settings), datetime.now(UTC), Event()

    def tell() -> None:
        told: dict[int, int] = {}
        while not over.wait(_TELL_SECONDS):
            try:
                with store.read() as connection:
                    rows = page_figures.running(connection, began)
            except StoreError:
                # The runs themselves say what is the matter with the store.
                continue
            for row in rows:
                done = (row["counts"] or {}).get("picked", 0)
                if done > told.get(row["id"], 0):
                    told[row["id"]] = done
                    say(f"{row['kind']}: {done:,}")

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        store.close()


def _planned(engine: _Engine, asked: _Asked) -> Plan:
    from hunter_orchestration.defs.backfills import ASKED, ATTEMPT, planned

    past = engine.past({ASKED: asked.name})
    newest = [run for run in past if run.tags.get(ATTEMPT) == past[0].tags.get(ATTEMPT)] if past else []
    return planned(asked.slices, newest, uuid4().hex[:12])


def _carry_out(engine: _Engine, asked: _Asked, as_json: bool) -> Sequence[PastRun]:
    """Start and follow every run to its end, or leave them running on Ctrl-C."""
    from hunter_orchestration.defs.backfills import tags_of

    plan = _planned(engine, asked)
    if plan.skipped:
        say(f"{plan.skipped} of {len(asked.slices)} parts were done before.")
    followed = list(plan.follow)
    stages = sum(len(part.stages) for part in plan.start) + len(plan.follow) * len(asked.slices[0].stages)
    ended: dict[str, PastRun] = {}
    done: dict[str, int] = {}
    try:
        with progress("stages") as report:
            for part in plan.start:
                tags = tags_of(part, asked.name, plan.attempt, "hunter backfill")
                followed.append(engine.start(part, tags))
                if as_json:
                    _tell({"run_id": followed[-1], "state": "started", "from": part.first, "to": part.last,
                           "stages": list(part.stages)})  # fmt: skip
            while len(ended) < len(followed):
                for run_id in followed:
                    run = None if run_id in ended else engine.find(run_id)
                    if run is None:
                        continue
                    done[run_id] = len(run.done)
                    if run.state in ("succeeded", "failed", "cancelled"):
                        ended[run_id] = run
                        if as_json:
                            _tell({"run_id": run_id, "state": run.state, "from": run.range[0], "to": run.range[1],
                                   "stages_done": sorted(run.done)})  # fmt: skip
                report(sum(done.values()), stages)
                if len(ended) < len(followed):
                    time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        say("Stopped watching; runs in Dagster go on. The same command follows them and goes on with what is missing.")
        raise typer.Exit(130) from None
    except HunterError:
        say("The runs that were started go on. The same command follows them.")
        raise
    return list(ended.values())


def _tell(row: dict[str, Any]) -> None:
    print_json({name: str(value) if isinstance(value, date) else value for name, value in row.items()})
