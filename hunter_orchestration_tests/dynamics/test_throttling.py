"""Waiting as asked, giving up in time, one refresh of the token: what a busy or refusing organisation leads to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.dynamics.pace import LONGEST_WAIT, Pace, read_retry_after
from hunter_orchestration.dynamics.refusals import NotReadyError, ThrottledError
from hunter_orchestration.store import runs
from hunter_orchestration_tests.dynamics.world import Time, World, add_companies, change_company, world_in

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1", 1.0),
        ("120", 120.0),
        (None, 5.0),
        ("", 5.0),
        ("soon", 5.0),
        ("-3", 5.0),
        ("nan", 5.0),
        ("1000000000", LONGEST_WAIT),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
    ],
)
def test_retry_after_is_read_in_every_form_and_capped(header: str | None, seconds: float) -> None:
    assert read_retry_after(header, NOW) == pytest.approx(seconds)


def test_a_hold_keeps_every_worker_back() -> None:
    time = Time()
    pace = Pace(8, sleep=time.sleep, clock=time)
    pace.hold(30)
    pace.enter()
    assert time.now == 30
    pace.leave(good=True)
    pace.enter()
    assert time.slept == [30]


def test_the_requests_in_flight_halve_when_asked_and_recover_slowly() -> None:
    pace = Pace(8)
    for _ in range(400):
        pace.enter()
        pace.leave(good=True)
    assert pace.limit == 8
    pace.slow_down()
    pace.slow_down()
    assert pace.limit == 2
    for _ in range(20):
        pace.enter()
        pace.leave(good=True)
    assert pace.limit == 3


def test_no_more_requests_go_out_in_a_window_than_the_limit() -> None:
    time = Time()
    pace = Pace(4, per_window=10, sleep=time.sleep, clock=time)
    for _ in range(25):
        pace.enter()
        time.now += 0.001
        pace.leave(good=True)
    assert time.now > 600
    assert pace.in_window <= 10


@pytest.mark.parametrize("wait", [1, {"date": 2}])
def test_a_short_retry_after_is_waited_for_and_everything_arrives(world: World, wait: object) -> None:
    add_companies(world.store, range(3))
    world.box.fault("dataverse", "status", times=2, after=5, status=429, retry_after=wait,
                    body={"error": {"code": "0x80072322", "message": "Number of requests exceeded."}})  # fmt: skip
    result = world.push()
    assert result.counts["created"] == 12
    assert result.facts["limits"]["throttled"] == 2
    world.settles()


@pytest.mark.parametrize("wait", [120, 1_000_000_000])
def test_a_long_retry_after_defers_and_sends_nothing_meanwhile(world: World, wait: int) -> None:
    add_companies(world.store, range(3))
    world.box.fault("dataverse", "status", times=None, after=5, status=429, retry_after=wait,
                    body={"error": {"code": "0x80072322", "message": "Number of requests exceeded."}})  # fmt: skip
    result = world.push()
    assert result.counts["deferred"] == 12
    assert result.facts["success_share"] == 0.0
    world.box.reset_counters()
    again = world.push()
    assert "throttled" in again.facts
    with pytest.raises(ThrottledError):
        world.pull()
    assert world.box.counters().get("dataverse", 0) == 0
    world.check(fresh=False)
    world.settles()
    assert world.states() == {"synced": 12}


def test_execution_time_throttling_halves_the_requests_in_flight(sqlite_store, sandbox) -> None:  # type: ignore[no-untyped-def]
    world = world_in(sqlite_store, sandbox, dynamics_batch_size=10, dynamics_concurrency=8)
    add_companies(world.store, range(150), referral=False)
    world.box.configure("dataverse", throttle_when_parallel=1, latency_ms=5, retry_after="0.02")
    import time

    client = world.client(sleep=time.sleep, clock=time.monotonic)
    result = world.push(client=client)
    assert result.counts["created"] + result.counts["recovered"] == 450
    assert result.facts["concurrency"]["lowest"] == 1
    assert result.facts["limits"]["throttled"] > 0
    world.settles()


def test_a_link_to_another_host_is_not_followed(world: World) -> None:
    with world.client() as client, pytest.raises(NotReadyError, match="the token stays here"):
        client.get("http://127.0.0.1:9/api/data/v9.2/accounts")


def test_an_address_in_capitals_and_with_its_port_is_the_same_organisation(world: World) -> None:
    settings = world.settings.model_copy(update={"dynamics_url": "https://Contoso.CRM4.dynamics.com:443"})
    with DataverseClient(settings) as client:
        assert client.root == "https://contoso.crm4.dynamics.com/api/data/v9.2/"
        link = "https://contoso.crm4.dynamics.com/api/data/v9.2/leads?$select=subject&$skiptoken=%3ccookie"
        assert client.below_root(link) == "leads?$select=subject&$skiptoken=%3ccookie"
        for foreign in (
            link.replace("contoso", "evil"),
            link.replace("https", "http"),
            link.replace("com/", "com:8443/"),
            link.replace("com/", "com:port/"),
            link.replace("//", "//user@"),
            link.replace("/api/", "/other/"),
        ):
            assert client.below_root(foreign) is None


def test_two_pushes_at_once_one_works_and_the_other_is_told_which(world: World) -> None:
    add_companies(world.store, [1])
    token = runs.acquire_lease(world.store, "dynamics", "run-7")
    with pytest.raises(runs.LeaseHeldError) as caught:
        world.push(run_id="run-8")
    assert caught.value.owner == "run-7"
    runs.release_lease(world.store, "dynamics", token)
    assert world.push(run_id="run-8").counts["created"] == 4
    world.settles()


def test_the_organisations_own_limits_are_met_once_and_never_hammered(sqlite_store, sandbox) -> None:  # type: ignore[no-untyped-def]
    world = world_in(sqlite_store, sandbox, dynamics_batch_size=2, dynamics_concurrency=1)
    add_companies(world.store, range(20), referral=False)
    world.box.configure("dataverse", limit_requests=20)
    first = world.push()
    assert first.counts["deferred"] > 0
    world.box.advance(600)
    world.box.configure("dataverse", limit_requests=6000)
    world.retry_now()
    world.push()
    counters = world.sales.call("GET", "/counters")
    assert counters["requests_sent_while_told_to_wait"] == 0
    assert sum(counters["limits_broken"].values()) == 1
    assert world.states() == {"synced": 60}


def test_rows_that_arrived_before_the_wait_began_are_recovered_and_stay_ours(world: World) -> None:
    domains = add_companies(world.store, range(3), referral=False)
    world.box.fault("dataverse", "status", times=None, after=8, status=429, retry_after=120,
                    body={"error": {"code": "0x80072322", "message": "Number of requests exceeded."}})  # fmt: skip
    world.push()
    assert len(world.sales.keyed("account")) == 3
    world.box.clear()
    world.retry_now()
    assert world.push().counts["recovered"] == 3
    change_company(world.store, domains[0], city="Muğla")
    world.push()
    assert world.sales.row("account", domains[0])["address1_city"] == "Muğla"
    world.settles()
