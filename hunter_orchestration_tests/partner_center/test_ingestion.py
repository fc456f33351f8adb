"""Ticks and syncs: what is fetched and when, windows, watermarks, drops, and two syncs at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from hunter_orchestration.companies import stage as companies_stage
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import LEASE, SOURCE, changed_since_watermark, fetch
from hunter_orchestration.partner_center.refusals import SignInExpiredError
from hunter_orchestration.store import Store, raw_leads, referrals
from hunter_orchestration.store.runs import LeaseHeldError, LeaseLostError, acquire_lease
from hunter_orchestration.store.work import Window
from hunter_orchestration_tests.partner_center.service import EPOCH, Bearer, Service, referral, settings_for, stamp
from hunter_orchestration_tests.partner_center.syncing import expected_names, names_of, rows_of, sync, watermark_of

NOW = datetime.now(UTC).replace(microsecond=0)


def test_a_first_sync_takes_every_page_and_a_second_one_writes_nothing(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number) for number in range(130)))
    fetched, taken = sync(store, client)
    assert fetched.counts == {"fetched": 130, "stored": 130, "unchanged": 0, "quarantined": 0}
    assert taken.counts["stored"] == 130
    assert taken.counts["history"] == 130
    assert names_of(store) == expected_names(service)
    before = rows_of(store)
    again, taken_again = sync(store, client)
    assert again.counts["stored"] == 0
    assert again.counts["unchanged"] == again.counts["fetched"] > 0
    assert taken_again.counts["picked"] == 0
    assert rows_of(store) == before
    assert not again.facts["sudden_drop"]


def test_every_direction_and_status_is_kept(store: Store, service: Service, client: PartnerCenterClient) -> None:
    service.put(
        referral(1, direction=None),
        referral(2, direction="Outgoing", status="Closed", substatus="Won"),
        referral(3, status="Active", substatus="Accepted"),
        referral(4, status="None", substatus="None"),
    )
    sync(store, client)
    kept = rows_of(store).values()
    assert {(row["direction"], row["status"]) for row in kept} == {
        (None, "New"),
        ("Outgoing", "Closed"),
        ("Incoming", "Active"),
        ("Incoming", "None"),
    }


def test_a_tick_asks_once_and_decides_by_what_is_stored(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number) for number in range(3)))
    first = changed_since_watermark(store, client)
    assert (first.run, first.first_day) == (True, None)
    sync(store, client)
    service.requests.clear()
    assert not changed_since_watermark(store, client).run
    assert len(service.requests) == 1
    assert service.requests[0].query == {
        "$select": "id,updatedDateTime",
        "$orderby": "updatedDateTime desc",
        "$top": "1",
    }
    service.put(referral(1, updated=EPOCH + timedelta(days=1)))
    changed = changed_since_watermark(store, client)
    assert changed.run
    assert changed.first_day == EPOCH.date()


def test_a_row_with_the_very_stamp_of_the_watermark_still_starts_a_run(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(referral(1, updated=EPOCH))
    sync(store, client)
    del service.rows[referral(1)["id"]]
    service.put(referral(2, updated=EPOCH))
    assert changed_since_watermark(store, client).run


def test_fetched_but_unread_payloads_start_a_run(store: Store, service: Service, client: PartnerCenterClient) -> None:
    service.put(referral(1))
    fetch(store, client)
    assert changed_since_watermark(store, client).reason == "Fetched payloads wait to be read."


def test_k_changes_cost_pages_of_k_whatever_is_stored(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number, updated=EPOCH + timedelta(hours=number)) for number in range(400)))
    sync(store, client)
    for number in range(30):
        service.put(referral(number, updated=EPOCH + timedelta(hours=500 + number), name="changed"))
    fetched, taken = sync(store, client)
    assert fetched.facts["requests"] == 2
    assert fetched.counts == {"fetched": 31, "stored": 30, "unchanged": 1, "quarantined": 0}
    assert taken.counts["picked"] == 30


def test_a_tick_reads_no_table_from_end_to_end(
    sqlite_store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number) for number in range(40)))
    sync(sqlite_store, client)
    companies_stage.run(sqlite_store)
    asked: dict[str, Any] = {}

    @event.listens_for(sqlite_store.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if statement.split(None, 1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            asked.setdefault(statement, values[0] if many else values)

    service.put(referral(3, updated=EPOCH + timedelta(days=1), name="changed"))
    assert changed_since_watermark(sqlite_store, client).run
    sync(sqlite_store, client)
    companies_stage.run(sqlite_store)
    with sqlite_store.read() as connection:
        plans = {
            statement: [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            for statement, values in list(asked.items())
        }
    whole = [
        statement
        for statement, plan in plans.items()
        for step in plan
        if (step.startswith("SCAN ") and "ROW" not in step) or "(rowid>?)" in step
    ]
    # The list of what was erased on request is short, and read once a transaction.
    assert [statement for statement in whole if "FROM suppressions" not in statement] == []
    assert len(plans) > 20


def test_a_window_fetches_its_days_alone_and_leaves_the_watermark(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number, updated=EPOCH + timedelta(days=number)) for number in range(6)))
    sync(store, client)
    before = watermark_of(store)
    day = EPOCH.replace(hour=0) + timedelta(days=2)
    service.requests.clear()
    fetched, taken = sync(store, client, Window(day, day + timedelta(days=1)))
    assert service.requests[0].query["$filter"] == (
        "updatedDateTime ge 2026-11-03T00:00:00.000000Z and updatedDateTime lt 2026-11-04T00:00:00.000000Z"
    )
    assert fetched.counts["fetched"] == 1
    assert taken.counts["picked"] == 1
    assert watermark_of(store) == before


def test_a_window_reads_what_waits_in_it_once_and_what_was_read_before_again(
    sqlite_store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.page_size = 100
    service.put(*(referral(number) for number in range(1200)))
    window = Window(EPOCH, EPOCH + timedelta(days=1))
    _, taken = sync(sqlite_store, client, window)
    assert taken.counts["picked"] == 1200
    again, taken_again = sync(sqlite_store, client, window)
    assert again.counts["unchanged"] == 1200
    assert taken_again.counts == taken.counts | {"history": 0}


def test_all_days_together_are_all_referrals(store: Store, service: Service, client: PartnerCenterClient) -> None:
    service.put(*(referral(number, updated=EPOCH + timedelta(hours=7 * number)) for number in range(30)))
    for day in range(10):
        start = EPOCH.replace(hour=0) + timedelta(days=day)
        sync(store, client, Window(start, start + timedelta(days=1)))
    assert names_of(store) == expected_names(service)
    assert watermark_of(store) is None


@pytest.mark.parametrize("days", [-1, 1])
def test_windows_go_by_the_service_stamps_when_clocks_are_a_day_apart(
    store: Store, service: Service, client: PartnerCenterClient, days: int
) -> None:
    service.ahead = timedelta(days=days)
    there = datetime.now(UTC) + service.ahead
    service.put(*(referral(number, updated=there - timedelta(minutes=number)) for number in range(40)))
    sync(store, client)
    service.put(referral(41, updated=there + timedelta(seconds=1)))
    assert changed_since_watermark(store, client).run
    sync(store, client)
    assert names_of(store) == expected_names(service)
    assert watermark_of(store) == (there + timedelta(seconds=1)).isoformat()


def test_one_row_dated_in_the_far_future_does_not_hide_the_others(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(referral(1), referral(2, updated=datetime(2199, 1, 1, tzinfo=UTC)))
    sync(store, client)
    service.put(referral(3, updated=EPOCH + timedelta(days=1)))
    sync(store, client)
    assert len(rows_of(store)) == 3


def test_a_service_that_returns_nothing_is_a_sudden_drop_and_deletes_nothing(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number) for number in range(30)))
    sync(store, client)
    service.rows.clear()
    assert changed_since_watermark(store, client).run
    fetched, _ = sync(store, client)
    assert fetched.facts["sudden_drop"]
    assert "Nothing was deleted" in fetched.facts["sudden_drop_detail"]
    assert len(rows_of(store)) == 30
    windowed, _ = sync(store, client, Window(EPOCH, EPOCH + timedelta(days=1)))
    assert windowed.facts["sudden_drop"]


def test_two_syncs_at_once_are_told_apart(store: Store, service: Service, client: PartnerCenterClient) -> None:
    acquire_lease(store, LEASE, "run-a", 60)
    with pytest.raises(LeaseHeldError) as told:
        fetch(store, client, run_id="run-b")
    assert told.value.owner == "run-a"
    assert service.requests == []


def test_a_process_that_wakes_after_its_lease_ended_writes_nothing(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(*(referral(number) for number in range(60)))

    def pause(page: int) -> None:
        if page == 1:
            with store.write() as connection:
                from sqlalchemy import text

                connection.execute(text("UPDATE leases SET token = token + 1, owner = 'other'"))

    service.after_page = pause
    with pytest.raises(LeaseLostError):
        fetch(store, client, run_id="sleeper")
    assert watermark_of(store) is None
    with store.read() as connection:
        assert len(raw_leads.pending(connection, SOURCE, window=None, after_id=0, limit=100)) <= 25


def test_new_referrals_expire_after_14_days_and_the_most_urgent_come_first(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(
        referral(1, createdDateTime=stamp(NOW - timedelta(days=12))),
        referral(2, createdDateTime=stamp(NOW - timedelta(days=2))),
        referral(3, expirationDateTime=stamp(NOW + timedelta(days=1))),
        referral(4, status="Active", substatus="Accepted", expirationDateTime=stamp(NOW + timedelta(hours=1))),
    )
    sync(store, client)
    with store.read() as connection:
        urgent = referrals.expiring(connection, NOW)
    assert [row["name"] for row in urgent] == ["Deal 3", "Deal 1"]
    assert urgent[1]["expires_at"] == NOW + timedelta(days=2)


def test_a_token_that_is_refused_twice_stops_the_sync(store: Store, service: Service) -> None:
    tokens = Bearer("old", "older")
    client = PartnerCenterClient(settings_for(service), tokens, sleep=lambda _seconds: None)
    with pytest.raises(SignInExpiredError, match="hunter login"):
        fetch(store, client)
    assert tokens.forced == 1
    assert len(service.requests) == 2
