"""What starts the chain: one decision for the production schedule and the development sensor, and the slower schedules.

A tick that has nothing to do skips and says why; no process is started. A tick whose job is under way skips too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg

from hunter_orchestration.defs.launching import IN_PROGRESS
from hunter_orchestration.defs.partitions import TICK, range_tags
from hunter_orchestration.errors import HunterError, PermanentError
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.runs import latest_runs
from hunter_orchestration.store.scans import details_due
from hunter_orchestration.store.waiting import expired_scans, push_waits, waiting_stages
from hunter_orchestration.store.work import utc_now


@dataclass(frozen=True, slots=True)
class Tick:
    """A run with these tags, or the reason why there is none."""

    reason: str
    tags: dict[str, str] = field(default_factory=dict)
    starts: bool = False


def sync_tick(store: Store, settings: Settings, now: datetime) -> Tick:
    """Whether the chain has work: something new in Partner Center, or rows that wait for a stage.

    A failure only a person can mend starts one run, so that it is seen as a failed run; while that run's sentence
    still holds, later ticks skip with it instead of failing again.
    """
    if settings.partner_center_enabled:
        try:
            from hunter_orchestration.partner_center.client import PartnerCenterClient
            from hunter_orchestration.partner_center.ingestion import changed_since_watermark
            from hunter_orchestration.partner_center.sign_in import Tokens

            client = PartnerCenterClient(settings, Tokens(settings))
            try:
                decision = changed_since_watermark(
                    store, client, overlap_minutes=settings.partner_center_overlap_minutes, now=now
                )
            finally:
                client.close()
        except PermanentError as error:
            with store.read() as connection:
                last = latest_runs(connection, "raw_leads", 1)
            if last and last[0]["state"] == "failed" and last[0]["error"] == str(error):
                return Tick(str(error))
            return Tick(str(error), range_tags(now.date(), now.date()), starts=True)
        except HunterError as error:
            return Tick(str(error))
        if decision.run:
            return Tick(decision.reason, range_tags(decision.first_day, decision.last_day or now.date()), starts=True)
        reason = decision.reason
    else:
        reason = "HUNTER_PARTNER_CENTER_ENABLED is off."
    from hunter_orchestration.scoring.rules import rules_in_force

    try:
        stamp = rules_in_force(settings.rules_file).stamp
    except HunterError as error:
        return Tick(str(error))
    with store.read() as connection:
        waits = waiting_stages(connection, now, stamp)
    if waits:
        return Tick(f"Rows wait for {', '.join(waits)}.", _today(now), starts=True)
    return Tick(f"{reason} Nothing waits for a stage.")


def rescan_tick(store: Store, _settings: Settings, now: datetime) -> Tick:
    """Whether a scan has expired."""
    with store.read() as connection:
        due = expired_scans(connection, now)
    return Tick("Scans have expired.", _today(now), starts=True) if due else Tick("No scan has expired.")


def details_tick(store: Store, settings: Settings, now: datetime) -> Tick:
    """Whether a lead lacks what the slow lane looks up, or has it from long ago."""
    if not settings.scan_details_daily:
        return Tick("HUNTER_SCAN_DETAILS_DAILY is 0.")
    with store.read() as connection:
        due = details_due(connection, now, 1)
    return Tick("Leads lack their details.", {}, starts=True) if due else Tick("Every lead has its details.")


def push_tick(store: Store, settings: Settings, now: datetime) -> Tick:
    """Whether a company or a deferred record waits for Dynamics."""
    if not settings.dynamics_enabled:
        return Tick("HUNTER_DYNAMICS_ENABLED is off.")
    with store.read() as connection:
        due = push_waits(connection, now)
    return Tick("Records wait for Dynamics.", _today(now), starts=True) if due else Tick("Nothing waits for Dynamics.")


def read_back_tick(_store: Store, settings: Settings, _now: datetime) -> Tick:
    """Whether Dynamics is read at all."""
    if not settings.dynamics_enabled:
        return Tick("HUNTER_DYNAMICS_ENABLED is off.")
    return Tick("Time to look.", {TICK: "1"}, starts=True)


def housekeeping_tick(_store: Store, _settings: Settings, _now: datetime) -> Tick:
    """Always: what is old is dropped once a day."""
    return Tick("Time to tidy up.", {}, starts=True)


def _today(now: datetime) -> dict[str, str]:
    return range_tags(now.date(), now.date())


Decide = Callable[[Store, Settings, datetime], Tick]


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The store at its newest schema, for one tick."""
    from hunter_orchestration.store.migrate import upgrade

    store = Store(settings.store_url)
    try:
        upgrade(store)
        yield store
    finally:
        store.close()


def evaluate(instance: dg.DagsterInstance, job: str, decide: Decide, source: str) -> dg.RunRequest | dg.SkipReason:
    """Ask the decision, unless the job is at work, or waits for a place: each tick would queue one more."""
    active = dg.RunsFilter(tags={"hunter/job": job}, statuses=[dg.DagsterRunStatus.QUEUED, *IN_PROGRESS])
    if runs := instance.get_run_records(active, limit=1):
        return dg.SkipReason(f"{job} is under way in run {runs[0].dagster_run.run_id}.")
    settings = load_settings()
    with opened(settings) as store:
        tick = decide(store, settings, utc_now())
    if not tick.starts:
        return dg.SkipReason(tick.reason)
    return dg.RunRequest(job_name=job, tags={**tick.tags, TICK: "1", "source": source})


def _schedule(name: str, job: str, cron: str, decide: Decide, description: str, running: bool) -> dg.ScheduleDefinition:
    def tick(context: dg.ScheduleEvaluationContext) -> Any:
        return evaluate(context.instance, job, decide, "schedule")

    return dg.schedule(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        description=description,
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
    )(tick)


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """The schedules of an environment. Those of Dynamics are off while its flag is."""
    crm = settings.dynamics_enabled
    schedules = [
        _schedule("rescan_domains_daily", "rescan_domains", "20 3 * * *", rescan_tick,
                  "Scans again what expired; expiry dates are spread, so every day gets its share.", True),
        _schedule("look_up_details_daily", "look_up_details", "50 3 * * *", details_tick,
                  "Looks up registration, tenant and mail transport of the best leads that lack them.", True),
        _schedule("push_leads_hourly", "push_leads", "5 * * * *", push_tick,
                  "Pushes into Dynamics what changed since the last push.", crm),
        _schedule("pull_dynamics_every_10_minutes", "pull_dynamics", "*/10 * * * *", read_back_tick,
                  "Reads back wins, losses, edits, merges and deletions.", crm),
        _schedule("reconcile_dynamics_daily", "reconcile_dynamics", "40 2 * * *", read_back_tick,
                  "Compares what we claim with what Dynamics holds.", crm),
        _schedule("housekeeping_daily", "housekeeping", "10 4 * * *", housekeeping_tick,
                  "Drops old runs, events, scans, payloads and audit entries after their retention.", True),
    ]  # fmt: skip
    if settings.environment != "development":
        schedules.append(
            _schedule("sync_referrals_every_10_minutes", "sync_referrals", "*/10 * * * *", sync_tick,
                      "Asks Partner Center for the newest change and starts a run only when there is one.", True)
        )  # fmt: skip
    return schedules


def build_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """In development a sensor stands in for the 10-minute schedule, since cron knows no seconds."""
    if settings.environment != "development":
        return []

    @dg.sensor(
        name="partner_center_changed",
        job_name="sync_referrals",
        minimum_interval_seconds=int(settings.poll_interval.total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks Partner Center for the newest change every few seconds; starts a run only when there is one.",
    )
    def partner_center_changed(context: dg.SensorEvaluationContext) -> Any:
        return evaluate(context.instance, "sync_referrals", sync_tick, "sensor")

    return [partner_center_changed]
