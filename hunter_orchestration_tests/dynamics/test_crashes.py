"""Killed without warning at every named place of a push, paused for too long: the next run finishes the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import func, select

from hunter_orchestration.dynamics.descriptions import Descriptions
from hunter_orchestration.dynamics.mapping import load_mapping
from hunter_orchestration.dynamics.preflight import prepare
from hunter_orchestration.dynamics.push import Push
from hunter_orchestration.dynamics.session import LEASE, LEASE_SECONDS, Session, beating
from hunter_orchestration.store import crm, runs
from hunter_orchestration.store.tables.crm import crm_audit
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.operations import leases
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.dynamics.world import World, add_companies, change_company, domain_of, world_in

_COMMAND = "from hunter_orchestration.cli import main; main()"


def killed(world: World, place: str, *arguments: str, **settings: str) -> None:
    """Run a command in a process that kills itself at a place; nothing of it is cleaned up."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("HUNTER_")}
    environment |= world.box.settings() | {
        "HUNTER_DATABASE_URL": world.store.url.render_as_string(hide_password=False),
        "HUNTER_DYNAMICS_ENABLED": "true",
        "HUNTER_CRASH_AT": place,
        **settings,
    }
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, "dynamics", *arguments], env=environment, capture_output=True, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with world.store.write() as connection:
        # The dead process still holds the lease for its time, which is short; that time passes.
        (until,) = connection.execute(select(leases.c.until).where(leases.c.name == LEASE)).scalars()
        assert (until - utc_now()).total_seconds() <= LEASE_SECONDS
        connection.exec_driver_sql("UPDATE leases SET until = '2020-01-01 00:00:00'")


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    [
        "before_push",
        "push_announced",
        "push_marked",
        "push_marked:3",
        "push_sent",
        "push_sent:2",
        "push_sent:4",
        "push_acknowledged:3",
    ],
)
def test_a_push_killed_anywhere_is_finished_by_the_next(both: World, place: str) -> None:
    add_companies(both.store, range(6))
    killed(both, place, "push")
    both.check(fresh=False, settled=False, crashes=1)
    result = both.push()
    done = result.counts
    assert done["created"] + done["recovered"] + done["unchanged"] == 24
    both.pull()
    assert both.states() == {"synced": 24}
    for table in ("account", "contact", "lead", "opportunity"):
        assert len(both.sales.keyed(table)) == 6
    both.writes()
    both.push()
    assert both.writes() == {}
    both.check(crashes=1)


@pytest.mark.slow
def test_a_company_is_not_called_synced_while_its_lead_is_still_to_come(world: World) -> None:
    """Killed when the account had arrived and nothing else was marked: neither the page nor the ledger says synced."""
    (domain,) = add_companies(world.store, [1])
    killed(world, "push_acknowledged:1", "push")
    assert world.record("account", domain)["state"] == "synced"
    assert world.states() == {"synced": 1, "pending": 3}
    assert shown_state(world, domain) == "pending"
    world.push()
    assert shown_state(world, domain) == "synced"
    world.settles()


def shown_state(world: World, domain: str) -> str:
    with world.store.read() as connection:
        return str(connection.execute(select(leads.c.dynamics_state).where(leads.c.domain == domain)).scalar_one())


def test_a_record_announced_but_not_wanted_any_more_leaves_the_ledger(world: World) -> None:
    (domain,) = add_companies(world.store, [1], referral=False)
    with world.store.write() as connection:
        crm.save(connection, [crm.blank("opportunity", domain, domain)])
    world.push()
    assert world.states() == {"synced": 3}
    assert shown_state(world, domain) == "synced"


@pytest.mark.slow
def test_killed_in_mid_batch_only_unconfirmed_rows_go_again(sqlite_store, sandbox) -> None:  # type: ignore[no-untyped-def]
    world = world_in(sqlite_store, sandbox)
    add_companies(world.store, range(1000), referral=False)
    world.writes()
    killed(world, "push_sent:3", "push")
    confirmed = world.states().get("synced", 0)
    assert 0 < confirmed < 1000
    done = world.push().counts
    # A batch that was under way when the process died may arrive after its death.
    assert done["recovered"] > 0
    assert done["recovered"] + done["created"] == 3000 - confirmed
    assert world.writes() == {table: {"create": 1000} for table in ("account", "contact", "lead")}
    assert world.states() == {"synced": 3000}
    world.pull()
    world.check(crashes=1)


@pytest.mark.slow
def test_a_pull_killed_after_reading_reads_again(world: World) -> None:
    add_companies(world.store, range(3))
    world.push()
    world.pull()
    world.sales.edit("account", domain_of(1), telephone1="typed")
    killed(world, "pull_read", "pull")
    assert world.record("account", domain_of(1))["observed"]["telephone1"] != "typed"
    assert world.pull().counts["edited"] == 1
    world.settles()


def test_a_process_that_wakes_after_its_lease_ended_writes_nothing(both: World) -> None:
    add_companies(both.store, range(3))
    asleep = runs.acquire_lease(both.store, LEASE, "asleep", seconds=-1)
    with both.client() as client:
        organisation = prepare(client, load_mapping(None))
        descriptions = Descriptions(organisation.mapping.mapping, both.settings)
        awake = runs.acquire_lease(both.store, LEASE, "awake")
        session = Session(both.store, client, organisation, asleep, actor="x", run_id="asleep")
        push = Push(session, descriptions, batch_size=10, concurrency=1)
        with pytest.raises(runs.LeaseLostError):
            push.run_chunk([domain_of(i) for i in range(3)])
    assert both.sales.keyed("account") == {}
    with both.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(crm_audit)).scalar_one() == 0
    runs.release_lease(both.store, LEASE, awake)
    assert both.push().counts["created"] == 12
    both.settles()


def test_a_late_writer_does_not_undo_what_the_next_one_wrote(world: World) -> None:
    """The fencing token stands on each row too."""
    (domain,) = add_companies(world.store, [1])
    world.push()
    stale = world.record("account", domain)
    change_company(world.store, domain, city="Ankara")
    world.push()
    newest = world.record("account", domain)
    assert newest["lease_token"] > stale["lease_token"]
    with world.store.write() as connection:
        crm.save(connection, [{**stale, "state": "rejected"}])
    assert world.record("account", domain) == newest


def test_a_killed_push_keeps_the_next_one_waiting_for_no_longer_than_its_short_lease(world: World) -> None:
    add_companies(world.store, [1])
    assert LEASE_SECONDS <= 60
    runs.acquire_lease(world.store, LEASE, "killed", LEASE_SECONDS)
    with pytest.raises(runs.LeaseHeldError) as caught:
        world.push(run_id="run-2")
    left = (caught.value.until - utc_now()).total_seconds()
    assert 0 < left <= LEASE_SECONDS


@pytest.mark.slow
def test_a_run_that_works_for_longer_than_its_lease_keeps_it(both: World) -> None:
    token = runs.acquire_lease(both.store, LEASE, "long", 0.4)
    with beating(both.store, token, 0.4):
        time.sleep(1.0)
        with pytest.raises(runs.LeaseHeldError):
            runs.acquire_lease(both.store, LEASE, "other", 0.4)
    time.sleep(0.5)
    assert runs.acquire_lease(both.store, LEASE, "other", 0.4) == token + 1


def test_a_heartbeat_takes_no_lease_back_that_went_to_another_run(both: World) -> None:
    asleep = runs.acquire_lease(both.store, LEASE, "asleep", seconds=-1)
    awake = runs.acquire_lease(both.store, LEASE, "awake", seconds=-1)
    with beating(both.store, asleep, 0.03):
        time.sleep(0.15)
    # Had the sleeper beaten for another's lease, it would be running now.
    assert runs.acquire_lease(both.store, LEASE, "third") == awake + 1
    with pytest.raises(runs.LeaseLostError), both.store.write() as connection:
        runs.renew_lease(connection, LEASE, asleep)
