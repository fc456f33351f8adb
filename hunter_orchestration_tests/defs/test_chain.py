"""The whole chain through real Dagster against the sandbox: counts, checks, backfills, what a repeat does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from sqlalchemy import func, insert, select, update

from hunter_orchestration.definitions import build_defs
from hunter_orchestration.defs.backfills import (
    ASKED,
    ATTEMPT,
    Slice,
    name_of,
    past_runs,
    planned,
    run_here,
    sliced,
    tags_of,
)
from hunter_orchestration.defs.jobs import CHAIN
from hunter_orchestration.defs.partitions import TICK, range_tags
from hunter_orchestration.defs.ticks import evaluate, push_tick, sync_tick
from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.runs import acquire_lease, at_work, latest_runs, read_watermark
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.crm import crm_records
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.operations import events, sync_runs
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scores import scores

pytestmark = pytest.mark.slow


@pytest.fixture
def own_store() -> Iterator[Store]:
    opened = Store(load_settings().store_url)
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def either_store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store of this process's settings, on SQLite and on PostgreSQL."""
    monkeypatch.setenv("HUNTER_DATABASE_URL", store_url)
    opened = Store(store_url)
    upgrade(opened)
    yield opened
    opened.close()


def run_job(instance: dg.DagsterInstance, job: str, **more: Any) -> dg.ExecuteInProcessResult:
    today = datetime.now(UTC).date()
    tags = {**range_tags(today, today), TICK: "1", **more.pop("tags", {})}
    return build_defs(load_settings()).resolve_job_def(job).execute_in_process(instance=instance, tags=tags, **more)


def rows(store: Store, table: Any, *where: Any) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


def counts_of(store: Store, kind: str) -> dict[str, int]:
    with store.read() as connection:
        return dict(latest_runs(connection, kind, 1)[0]["counts"])


def test_referrals_become_companies_are_scanned_scored_and_pushed(
    connected: RunningSandbox, instance: dg.DagsterInstance, either_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNTER_ENVIRONMENT", "development")
    run = run_job(instance, "sync_referrals")
    assert run.success
    assert rows(either_store, referrals) == len(connected.referrals())
    assert rows(either_store, companies) == rows(either_store, leads) > 20
    assert rows(either_store, leads, leads.c.score.is_(None)) == 0
    assert rows(either_store, crm_records, crm_records.c.state == "synced") > 20
    made = run.get_asset_check_evaluations()
    evaluations = {(item.asset_key.to_user_string(), item.check_name): item for item in made}
    hard = [item for item in evaluations.values() if item.severity == dg.AssetCheckSeverity.ERROR]
    assert hard
    assert all(item.passed for item in hard)
    assert ("raw_leads", "sign_in_lasts") in evaluations
    assert ("referrals", "new_referrals_answered") in evaluations
    materialized = [event for event in run.get_asset_materialization_events() if event.asset_key.path == ["raw_leads"]]
    metadata = materialized[0].materialization.metadata
    assert metadata["fetched"].value == metadata["dagster/row_count"].value == len(connected.referrals())
    assert metadata["page"].value == f"{load_settings().page_url}/referrals"
    scored = [event for event in run.get_asset_materialization_events() if event.asset_key.path == ["lead_scores"]]
    assert "| domain |" in scored[0].materialization.metadata["sample"].value
    counted = scored[0].materialization.metadata["dagster/row_count"].value

    again = run_job(instance, "sync_referrals")
    assert again.success
    assert counts_of(either_store, "raw_leads")["stored"] == 0
    assert counts_of(either_store, "companies").get("linked", 0) == 0
    assert counts_of(either_store, "dynamics_records")["picked"] == 0
    # The catalogue shows it as the rows of the table, not of the last run.
    assert counted == rows(either_store, scores) > 20
    for event in again.get_asset_materialization_events():
        if event.asset_key is not None and event.asset_key.path == ["lead_scores"]:
            assert event.materialization.metadata["dagster/row_count"].value == counted

    assert not sync_tick(either_store, load_settings(), datetime.now(UTC)).starts
    assert not push_tick(either_store, load_settings(), datetime.now(UTC)).starts
    skipped = evaluate(instance, "sync_referrals", sync_tick, "sensor")
    assert isinstance(skipped, dg.SkipReason)

    connected.add_referral()
    request = evaluate(instance, "sync_referrals", sync_tick, "sensor")
    assert isinstance(request, dg.RunRequest)
    assert request.tags[TICK] == "1"
    assert run_job(instance, "sync_referrals", tags=dict(request.tags)).success
    assert counts_of(either_store, "raw_leads")["stored"] == 1

    reconciled = run_job(instance, "reconcile_dynamics")
    assert reconciled.success
    assert all(item.passed for item in reconciled.get_asset_check_evaluations())

    assert run_job(instance, "look_up_details").success
    assert counts_of(either_store, "domain_details")["extended"] > 20
    assert run_job(instance, "look_up_details").success
    assert counts_of(either_store, "domain_details")["picked"] == 0


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED])
def test_a_tick_skips_while_its_job_is_queued_or_runs(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    job = build_defs(load_settings()).resolve_job_def("push_leads")
    # Dagster keeps no queued run without saying which code location it is of.
    origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("hunter"), "__repository__").get_job_origin(job.name)
    tags = {"hunter/job": job.name}
    run = instance.create_run_for_job(job, status=status, tags=tags, remote_job_origin=origin)
    answer = evaluate(instance, "push_leads", push_tick, "schedule")
    assert isinstance(answer, dg.SkipReason)
    assert run.run_id in str(answer.skip_message)


def test_a_run_frees_what_an_ended_run_still_holds_and_leaves_a_living_one_alone(
    connected: RunningSandbox, instance: dg.DagsterInstance, own_store: Store
) -> None:
    job = build_defs(load_settings()).resolve_job_def("push_leads")
    dead = instance.create_run_for_job(job, status=dg.DagsterRunStatus.FAILURE).run_id
    alive = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED).run_id
    acquire_lease(own_store, "referral_sync", dead)
    acquire_lease(own_store, "dynamics", alive)
    acquire_lease(own_store, "import", "host:4711")
    with own_store.write() as connection:
        connection.execute(
            insert(sync_runs).values(kind="raw_leads", run_id=dead, state="running", started_at=datetime.now(UTC))
        )
    assert run_job(instance, "sync_referrals").success
    with own_store.read() as connection:
        assert not {dead} & at_work(connection, datetime.now(UTC) - timedelta(days=1))
        assert {alive, "host:4711"} <= at_work(connection, datetime.now(UTC) - timedelta(days=1))
        stages = latest_runs(connection, "raw_leads")
    assert [stage["state"] for stage in stages] == ["succeeded", "failed"]
    assert "ended from outside" in stages[1]["error"]


def test_a_backfill_reads_its_days_again_and_leaves_the_watermark(
    connected: RunningSandbox, instance: dg.DagsterInstance, own_store: Store
) -> None:
    last = datetime.now(UTC).date()
    stages = CHAIN[:-1]
    part = Slice(last - timedelta(days=90), last, stages)
    tags = tags_of(part, "all", "first", "test")
    run_here(build_defs(load_settings()), instance, part, tags)
    found = past_runs(instance, {ASKED: "all"})
    assert [(run.state, run.done) for run in found] == [("succeeded", frozenset(stages))]
    assert rows(own_store, referrals) > 20
    with own_store.read() as connection:
        assert read_watermark(connection, "partnercenter", "referrals") is None

    rescored = Slice(last - timedelta(days=30), last, ("lead_scores",))
    run_here(build_defs(load_settings()), instance, rescored, tags_of(rescored, "month", "first", "test"))
    counts = counts_of(own_store, "lead_scores")
    assert counts["picked"] == counts["unchanged"] + counts["unscanned"]
    assert 0 < counts["picked"] <= rows(own_store, companies)


def test_a_stopped_backfill_goes_on_with_the_stage_that_failed(
    connected: RunningSandbox, instance: dg.DagsterInstance, own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = datetime.now(UTC).date()
    stages = CHAIN[:4]
    parts = sliced(last - timedelta(days=60), last, stages, 1)
    asked = name_of(parts[0].first, parts[0].last, stages, 1)
    with monkeypatch.context() as broken:
        broken.setenv("HUNTER_DNS_SERVERS", "not an address")
        run_here(build_defs(load_settings()), instance, parts[0], tags_of(parts[0], asked, "one", "test"))
    past = past_runs(instance, {ASKED: asked})
    assert past[0].state == "failed"
    plan = planned(parts, past, "two")
    assert plan.attempt == "one"
    assert [part.stages for part in plan.start] == [("domain_scans",)]
    run_here(build_defs(load_settings()), instance, plan.start[0], tags_of(plan.start[0], asked, "one", "test"))
    finished = past_runs(instance, {ASKED: asked, ATTEMPT: "one"})
    assert planned(parts, finished, "two").attempt == "two"


def test_housekeeping_drops_what_is_older_than_its_retention(instance: dg.DagsterInstance, own_store: Store) -> None:
    old = datetime.now(UTC) - timedelta(days=40)
    with own_store.write() as connection:
        connection.execute(insert(events), [{"at": old, "kind": "leads_changed"} for _ in range(30)])
        connection.execute(insert(events), [{"at": datetime.now(UTC), "kind": "leads_changed"}])
        connection.execute(insert(sync_runs), [{"kind": "companies", "state": "succeeded", "started_at": old}])
    run = run_job(instance, "housekeeping", run_config={})
    assert run.success
    assert rows(own_store, events) == 1
    assert rows(own_store, sync_runs) == 0


def test_new_rules_are_seen_by_the_score_they_left_behind(
    connected: RunningSandbox, instance: dg.DagsterInstance, own_store: Store
) -> None:
    from hunter_orchestration.defs.watching import rules_tick

    run_job(instance, "sync_referrals")
    now = datetime.now(UTC)
    assert not rules_tick(own_store, load_settings(), now).starts
    with own_store.write() as connection:
        connection.execute(update(scores).values(rules_version="0.9+00000000"))
    assert rules_tick(own_store, load_settings(), now).starts
    assert run_job(instance, "score_leads").success
    assert not rules_tick(own_store, load_settings(), now).starts


def test_days_are_cut_into_parts_that_touch() -> None:
    parts = sliced(date(2026, 1, 1), date(2026, 1, 10), ("lead_scores",), 3)
    assert [(part.first.day, part.last.day) for part in parts] == [(1, 4), (5, 7), (8, 10)]
