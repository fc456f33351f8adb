"""Backfills: a range of days and stages of the chain, cut into runs, and what is left of one that was stopped.

A run is told apart by its tags: ``hunter/backfill`` names what was asked, ``hunter/backfill_id`` one attempt at it.
No run carries ``hunter/tick``, so stages read the days again and the watermark stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import dagster as dg

from hunter_orchestration.defs.jobs import BACKFILL, CHAIN
from hunter_orchestration.defs.launching import this_process
from hunter_orchestration.defs.partitions import RANGE_END, RANGE_START

ASKED = "hunter/backfill"
ATTEMPT = "hunter/backfill_id"


@dataclass(frozen=True, slots=True)
class Slice:
    """Days of one run, both included, and the stages still to be done for them, in the order of the chain."""

    first: date
    last: date
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PastRun:
    """What an earlier run of a backfill came to. ``state`` as of the API: queued, running, succeeded, failed…"""

    id: str
    state: str
    tags: Mapping[str, str]
    done: frozenset[str] = field(default_factory=frozenset)

    @property
    def range(self) -> tuple[str, str]:
        """Its days as tagged."""
        return self.tags.get(RANGE_START, ""), self.tags.get(RANGE_END, "")


@dataclass(frozen=True, slots=True)
class Plan:
    """Runs to start and runs of the same attempt that are still at work."""

    attempt: str
    start: tuple[Slice, ...]
    follow: tuple[str, ...]
    skipped: int


def ordered(stages: Iterable[str]) -> tuple[str, ...]:
    """The stages in the order of the chain.

    Raises:
        ValueError: one of them is not a stage, or one between them is left out.
    """
    wanted = list(stages)
    unknown = [name for name in wanted if name not in CHAIN]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is no stage. The stages are {', '.join(CHAIN)}.")
    places = sorted({CHAIN.index(name) for name in wanted})
    if places and places != list(range(places[0], places[-1] + 1)):
        missing = [name for place, name in enumerate(CHAIN) if places[0] < place < places[-1] and name not in wanted]
        raise ValueError(f"{', '.join(missing)} is between them: name every stage from the first to the last.")
    return tuple(CHAIN[place] for place in places)


def sliced(first: date, last: date, stages: Sequence[str], parts: int) -> list[Slice]:
    """The days in as many contiguous parts as asked, none more than a day longer than another."""
    days = (last - first).days + 1
    parts = min(parts, days)
    slices, start = [], first
    for number in range(parts):
        length = days // parts + (number < days % parts)
        slices.append(Slice(start, start + timedelta(days=length - 1), tuple(stages)))
        start += timedelta(days=length)
    return slices


def name_of(first: date, last: date, stages: Sequence[str], parts: int) -> str:
    """What was asked, as a tag: the same words lead to the same name."""
    return f"{first}..{last}/{parts}/{'+'.join(stages)}"


def planned(slices: Sequence[Slice], past: Sequence[PastRun], new_attempt: str) -> Plan:
    """What is left to do. ``past`` are the runs of the newest attempt; a finished attempt starts over."""
    attempt = past[0].tags.get(ATTEMPT, new_attempt) if past else new_attempt
    start: list[Slice] = []
    follow: list[str] = []
    skipped = 0
    for wanted in slices:
        runs = [run for run in past if run.range == (wanted.first.isoformat(), wanted.last.isoformat())]
        done = {stage for run in runs for stage in run.done}
        left = tuple(stage for stage in wanted.stages if stage not in done)
        if any(run.state == "succeeded" for run in runs) or (runs and not left):
            skipped += 1
        elif active := [run for run in runs if run.state in ("queued", "starting", "running")]:
            follow.append(active[0].id)
        else:
            start.append(Slice(wanted.first, wanted.last, left))
    if past and not start and not follow:
        return Plan(new_attempt, tuple(slices), (), 0)
    return Plan(attempt, tuple(start), tuple(follow), skipped)


def tags_of(part: Slice, asked: str, attempt: str, requested_by: str) -> dict[str, str]:
    """Tags of the run of a slice."""
    return {
        RANGE_START: part.first.isoformat(),
        RANGE_END: part.last.isoformat(),
        ASKED: asked,
        ATTEMPT: attempt,
        "hunter/job": BACKFILL,
        "requested_by": requested_by,
        "source": "command",
    }


def run_here(definitions: dg.Definitions, instance: dg.DagsterInstance, part: Slice, tags: Mapping[str, str]) -> str:
    """Run a slice in this process; returns the run's id. Its failure is told by ``past_runs`` as any other's is."""
    job = definitions.resolve_job_def(BACKFILL)
    done = job.execute_in_process(
        instance=instance,
        tags={**tags, **this_process()},
        run_config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
        asset_selection=[dg.AssetKey(stage) for stage in part.stages],
        raise_on_error=False,
    )
    return done.run_id


def past_runs(instance: dg.DagsterInstance, tags: Mapping[str, str], limit: int = 1000) -> list[PastRun]:
    """Runs with these tags from the instance itself, newest first."""
    return [_past(instance, run) for run in instance.get_runs(dg.RunsFilter(tags=dict(tags)), limit=limit)]


def past_run(instance: dg.DagsterInstance, run_id: str) -> PastRun | None:
    """One run from the instance itself."""
    run = instance.get_run_by_id(run_id)
    return None if run is None else _past(instance, run)


def _past(instance: dg.DagsterInstance, run: dg.DagsterRun) -> PastRun:
    stats = instance.get_run_step_stats(run.run_id)
    done = frozenset(step.step_key for step in stats if step.status and step.status.value == "SUCCESS")
    return PastRun(run.run_id, STATES.get(run.status.value, "queued"), run.tags, done)


STATES = {
    "STARTING": "starting",
    "STARTED": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCELING": "running",
    "CANCELED": "cancelled",
}
