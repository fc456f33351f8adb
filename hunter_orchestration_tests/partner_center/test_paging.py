"""Lists whose pages repeat, loop, are cut, or change while they are read: no referral lost, none doubled."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from hunter_orchestration.errors import TransientError
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import fetch
from hunter_orchestration.partner_center.refusals import PagingError
from hunter_orchestration.store import Store
from hunter_orchestration.store.work import Window
from hunter_orchestration_tests.partner_center.service import EPOCH, Service, referral
from hunter_orchestration_tests.partner_center.syncing import expected_names, names_of, rows_of, sync, watermark_of


@pytest.mark.slow
def test_6000_referrals_with_one_timestamp_all_arrive(
    sqlite_store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.page_size = 100
    service.put(*(referral(number, updated=EPOCH) for number in range(6000)))
    fetched, _ = sync(sqlite_store, client)
    assert fetched.counts["stored"] == 6000
    assert len(rows_of(sqlite_store)) == 6000


def test_a_window_and_a_sync_agree_on_referrals_of_one_timestamp(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number, updated=EPOCH) for number in range(120)))
    sync(store, client, Window(EPOCH, EPOCH + timedelta(microseconds=1)))
    assert names_of(store) == expected_names(service)
    again, _ = sync(store, client)
    assert again.counts == {"fetched": 120, "stored": 0, "unchanged": 120, "quarantined": 0}


@pytest.mark.parametrize("window", [None, Window(EPOCH - timedelta(days=1), EPOCH + timedelta(days=1))])
def test_rows_that_change_while_pages_are_read_push_none_out(
    store: Store, service: Service, client: PartnerCenterClient, window: Window | None
) -> None:
    service.put(*(referral(number) for number in range(100)))
    moved: list[int] = []

    def move(page: int) -> None:
        # Each of the first pages is read, then its first row changes: all behind it shift by one.
        if len(moved) < 3:
            number = len(moved)
            moved.append(number)
            service.put(referral(number, updated=datetime.now(UTC) + timedelta(seconds=1), name="moved"))

    service.after_page = move
    fetched, _ = sync(store, client, window)
    assert fetched.facts["settled"]
    unmoved = {key: name for key, name in expected_names(service).items() if name != "moved"}
    assert names_of(store).items() >= unmoved.items()
    if window is None:
        assert names_of(store) == expected_names(service)


def test_a_known_row_that_changes_during_an_incremental_pass_pushes_none_out(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(referral(0))
    sync(store, client)
    service.put(*(referral(number, updated=EPOCH + timedelta(seconds=number)) for number in range(1, 60)))
    moved = threading.Event()

    def move(page: int) -> None:
        if not moved.is_set():
            moved.set()
            service.put(referral(0, updated=datetime.now(UTC) + timedelta(seconds=1), name="moved"))

    service.after_page = move
    sync(store, client)
    assert names_of(store) == expected_names(service)


def test_a_repeated_page_stores_nothing_twice(store: Store, service: Service, client: PartnerCenterClient) -> None:
    service.put(*(referral(number) for number in range(60)))
    repeated = threading.Event()

    def again(link: str) -> str:
        if not repeated.is_set():
            repeated.set()
            return link.replace("%5B25", "%5B0")
        return link

    service.shape_link = again
    fetched, _ = sync(store, client)
    assert fetched.counts["fetched"] == 85
    assert fetched.counts["stored"] == 60
    assert names_of(store) == expected_names(service)


def test_a_looping_link_is_noticed_and_nothing_is_lost(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number) for number in range(110)))
    looped: list[str] = []

    def loop(link: str) -> str:
        looped.append(link)
        return looped[0] if len(looped) == 2 else link

    service.shape_link = loop
    sync(store, client)
    assert names_of(store) == expected_names(service)


def test_a_loop_without_end_stops_and_the_watermark_stays(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number, updated=EPOCH) for number in range(60)))
    service.shape_link = lambda link: (
        f"{service.url}/v1.0/engagements/referrals?$skiptoken=%5B0%2C%22%22%2C%22%22%2Cnull%5D"
    )
    with pytest.raises(PagingError, match="runs in circles"):
        fetch(store, client)
    assert watermark_of(store) is None
    assert len(service.requests) < 20


def test_a_top_that_limits_the_whole_list_costs_no_row(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.page_size, service.top_limits_all = 100, True
    service.put(*(referral(number) for number in range(250)))
    sync(store, client)
    assert names_of(store) == expected_names(service)


def test_a_pass_that_breaks_off_keeps_its_pages_and_not_its_watermark(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number) for number in range(80)))
    service.faults.append(lambda request: (503, {}, b"") if "75" in request.query.get("$skiptoken", "") else None)
    with pytest.raises(TransientError):
        fetch(store, client)
    assert watermark_of(store) is None
    service.faults.clear()
    fetched, _ = sync(store, client)
    assert fetched.counts["unchanged"] == 75
    assert fetched.counts["stored"] == 5
    assert names_of(store) == expected_names(service)
