"""Starting runs of the engine on somebody's behalf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web import models, shapes
from hunter_orchestration.web.context import Context
from hunter_orchestration.web.dagster_client import OPEN, Run
from hunter_orchestration.web.people import Person

SYNC = "sync_referrals"
PUSH = "push_leads"
RESCAN = "rescan_domains"
IMPORT = "import_leads"
PULL = "pull_dynamics"
RECONCILE = "reconcile_dynamics"

_WITHOUT_DAYS = frozenset({PULL, RECONCILE})


def launch(
    context: Context,
    by: str,
    job: str,
    *,
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Run:
    """Start a run that takes up what is due, and tell every page."""
    tagged = {"requested_by": by, "source": "page", "hunter/job": job, "hunter/tick": "1", **(tags or {})}
    if job not in _WITHOUT_DAYS:
        today = utc_now().date().isoformat()
        tagged |= {"dagster/asset_partition_range_start": today, "dagster/asset_partition_range_end": today}
    run = context.dagster.launch(job, config=config, tags=tagged)
    context.tell("run_started", run.id, {"run_id": run.id, "job": job, "requested_by": by})
    return run


def launch_or_join(context: Context, by: str, job: str) -> tuple[Run, bool]:
    """Start a run of a job unless one is at work; whether it was.

    Two clicks at once in this server are told of one run; two servers are kept apart by the stage's own lease.
    """
    with context.launching:
        running = context.dagster.runs(1, tags={"hunter/job": job}, states=OPEN)
        if running:
            return running[0], True
        return launch(context, by, job), False


def sync_referrals(context: Context, person: Person) -> models.RunAnswer:
    """Pull referrals now, or join the run that is doing so."""
    run, joined = launch_or_join(context, person.actor, SYNC)
    return answer(context, run, joined=joined)


def push_config(domains: Sequence[str], *, dry_run: bool = False) -> dict[str, Any]:
    """Configuration of a push."""
    return {"ops": {"dynamics_records": {"config": {"domains": list(domains), "dry_run": dry_run}}}}


def rescan_config(domains: Sequence[str], *, extended: bool = False) -> dict[str, Any]:
    """Configuration of a rescan; ``extended`` adds registration, tenant, mail transport and the like."""
    config = {"domains": list(domains), "force": True, "extended": extended}
    return {"ops": {"domain_scans": {"config": config}}}


def answer(context: Context, run: Run, *, joined: bool = False) -> models.RunAnswer:
    """The run as the API tells it."""
    with context.read() as connection:
        return models.RunAnswer(run=shapes.run(run, connection, context.settings.dagster_base_url), joined=joined)
