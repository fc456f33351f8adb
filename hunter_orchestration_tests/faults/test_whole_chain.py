"""Faults that no single stage sees whole: clocks apart, two engines at once, dead resolvers, a paused process."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from hunter_orchestration.dynamics import stage as dynamics_stage
from hunter_orchestration.dynamics.mapping import MappingError
from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.scanning.stage import DeadResolverError
from hunter_orchestration.scoring.rules import RulesError
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.runs import LeaseHeldError
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.operations import leases
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.end_to_end.journey import DOMAIN, add_referral, row
from hunter_orchestration_tests.faults import chain

ROOT = Path(chain.__file__).resolve().parents[2] / "hunter_orchestration"


@pytest.mark.parametrize("days", [-1, 1], ids=["a_day_behind", "a_day_ahead"])
def test_a_service_whose_clock_is_a_day_apart_loses_no_referral(store: Store, days: int) -> None:
    with running_sandbox(companies=5, now=utc_now() + timedelta(days=days)) as box:
        box.call("POST", "/dataverse/prepare", {})
        settings = chain.settings_of(box, store)
        chain.run(store, settings, "first")
        referral = add_referral(box)
        chain.run(store, settings, "second")
        assert row(box, "opportunity", referral) is not None
        box.change_referral(referral, {"details": box.referral(referral)["details"] | {"dealValue": 77_000}})
        chain.run(store, settings, "third")
        deal = row(box, "opportunity", referral)
        assert deal is not None
        assert deal["estimatedvalue"] == 77_000
        chain.settles(store, box, settings)


@pytest.mark.slow
def test_of_two_processes_one_works_and_the_other_is_told_which(
    box: RunningSandbox, store: Store, settings: Settings
) -> None:
    given = chain.variables(box, store)
    box.fault("partner_center", "slow", times=1, seconds=6)
    first = chain.start(given)
    until = time.monotonic() + 60
    held = None
    while held is None and time.monotonic() < until:
        time.sleep(0.05)
        with store.read() as connection:
            held = connection.execute(select(leases.c.owner).where(leases.c.until > utc_now())).scalar()
    assert held == f"process-{first.pid}"
    with pytest.raises(LeaseHeldError, match=f"already running in process-{first.pid}") as refused:
        chain.run(store, settings, "second")
    assert refused.value.owner == f"process-{first.pid}"
    _, errors = first.communicate(timeout=120)
    assert first.returncode == 0, errors.decode()[-2000:]
    chain.settles(store, box, settings)


@pytest.mark.slow
def test_engines_that_race_each_other_double_nothing(box: RunningSandbox, store: Store, settings: Settings) -> None:
    given = chain.variables(box, store)
    racing = [chain.start(given) for _ in range(3)]
    for process in racing:
        _, errors = process.communicate(timeout=180)
        assert process.returncode == 0 or b"is already running in process-" in errors, errors.decode()[-2000:]
    chain.settles(store, box, settings, crashes=0)


def test_a_dead_resolver_fails_the_check_keeps_every_score_and_pushes_nothing(
    box: RunningSandbox, store: Store, settings: Settings
) -> None:
    chain.run(store, settings, "healthy")
    before = chain.contents(store)
    chain.crm_writes(box)
    referral = add_referral(box)
    with store.write() as connection:
        connection.execute(update(companies).values(scan_due_at=utc_now()))
    dead = box.fault("dns", "timeout", times=None)
    with pytest.raises(DeadResolverError, match="got no answer from"):
        chain.run(store, settings, "resolver away")
    after = chain.contents(store)
    assert after["scores"] == before["scores"]
    assert after["scans"] == before["scans"]
    assert after["records"] == before["records"]
    dynamics_stage.push(store, settings, run_id="hourly")
    assert chain.crm_writes(box) == {}
    assert row(box, "lead", DOMAIN) is None
    box.call("DELETE", f"/faults/{dead}")
    chain.settles(store, box, settings)
    assert row(box, "opportunity", referral) is not None


@pytest.mark.parametrize(
    ("setting", "shipped", "broken", "error"),
    [
        ("HUNTER_RULES_FILE", "scoring/rules.yaml", "\n  - [unclosed\n", RulesError),
        ("HUNTER_MAPPING_FILE", "dynamics/mapping.yaml", "\nversion: [unclosed\n", MappingError),
    ],
    ids=["rules", "mapping"],
)
def test_a_file_broken_between_two_runs_is_refused_with_its_line_and_nothing_moves(
    box: RunningSandbox, store: Store, tmp_path: Path, setting: str, shipped: str, broken: str, error: type[Exception]
) -> None:
    edited = tmp_path / "edited.yaml"
    good = (ROOT / shipped).read_text(encoding="utf-8")
    edited.write_text(good, encoding="utf-8")
    settings = chain.settings_of(box, store, **{setting: str(edited)})
    chain.run(store, settings, "good")
    before = chain.contents(store)
    chain.crm_writes(box)
    referral = add_referral(box)
    edited.write_text(good + broken, encoding="utf-8")
    lines = len(good.splitlines())
    with pytest.raises(error) as refused:
        chain.run(store, settings, "broken")
    assert "edited.yaml" in str(refused.value)
    assert any(str(line) in str(refused.value) for line in range(lines, lines + 4)), str(refused.value)
    assert chain.crm_writes(box) == {}
    after = chain.contents(store)
    assert set(before["scores"]) <= set(after["scores"])
    assert after["records"] == before["records"]
    edited.write_text(good, encoding="utf-8")
    chain.settles(store, box, settings)
    assert row(box, "opportunity", referral) is not None


def test_partner_center_that_suddenly_returns_nothing_deletes_nothing_down_the_chain(
    box: RunningSandbox, store: Store, settings: Settings
) -> None:
    chain.run(store, settings, "healthy")
    before = chain.contents(store)
    chain.crm_writes(box)
    box.configure("partner_center", empty=True)
    results = chain.run(store, settings, "empty")
    assert results["raw_leads"].facts["sudden_drop"]
    assert chain.contents(store) == before
    assert chain.crm_writes(box) == {}
    box.clear("partner_center")
    chain.settles(store, box, settings)
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(referrals)).scalar_one() == len(before["referrals"])
