from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from hunter_orchestration.companies import stage as companies_stage
from hunter_orchestration.errors import TransientError
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import LEASE, SCOPE, SOURCE, changed_since_watermark, fetch
from hunter_orchestration.partner_center.models import READER_VERSION
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.store import Store, quarantine, raw_leads, referrals
from hunter_orchestration.store.runs import LeaseHeldError, LeaseLostError, acquire_lease, read_watermark
from hunter_orchestration.store.work import StageResult, Window
from hunter_orchestration_tests.partner_center.service import EPOCH, Bearer, Service, referral, settings_for, stamp

NOW = datetime.now(UTC).replace(microsecond=0)


def sync(store: Store, client: PartnerCenterClient, window: Window | None = None) -> tuple[StageResult, StageResult]:
    fetched = fetch(store, client, window=window)
    assert fetched.adds_up("fetched", "stored", "unchanged", "quarantined")
    taken = read_referrals(store, window=window)
    assert taken.adds_up("picked", "stored", "superseded", "quarantined")
    return fetched, taken


def rows_of(store: Store, limit: int = 10_000) -> dict[str, dict[str, Any]]:
    with store.read() as connection:
        return {row["id"]: dict(row) for row in referrals.listed(connection, limit=limit)}


def names_of(store: Store) -> dict[str, str]:
    return {key: row["name"] for key, row in rows_of(store).items()}


def expected_names(service: Service) -> dict[str, str]:
    return {key: row["name"] for key, row in service.rows.items()}


def watermark_of(store: Store) -> str | None:
    with store.read() as connection:
        return read_watermark(connection, SOURCE, SCOPE)


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
    with pytest.raises(Exception, match="runs in circles"):
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


def test_an_older_payload_never_overwrites_a_newer_one(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    newer = referral(1, updated=EPOCH + timedelta(hours=2), name="newer")
    older = referral(1, updated=EPOCH + timedelta(hours=1), name="older")
    service.put(newer)
    sync(store, client)
    service.put(older)
    _, taken = sync(store, client, Window(EPOCH, EPOCH + timedelta(days=1)))
    assert taken.counts["superseded"] == 1
    assert names_of(store)[newer["id"]] == "newer"


def test_a_payload_that_comes_back_under_the_same_stamp_is_current_again(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    first, second = referral(1, name="A"), referral(1, name="B")
    seen = []
    for payload in (first, second, first):
        service.put(payload)
        sync(store, client)
        seen.append(names_of(store)[first["id"]])
    assert seen == ["A", "B", "A"]


def test_payloads_of_one_record_fetched_before_any_was_read_end_with_the_newest(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    for hours, status, substatus in ((1, "New", "Pending"), (2, "Active", "Accepted"), (3, "Closed", "Won")):
        service.put(referral(1, updated=EPOCH + timedelta(hours=hours), status=status, substatus=substatus))
        fetch(store, client)
    read_referrals(store)
    (row,) = rows_of(store).values()
    assert row["status"] == "Closed"
    with store.read() as connection:
        assert [entry["substatus"] for entry in referrals.history(connection, row["id"])] == [
            "Pending",
            "Accepted",
            "Won",
        ]


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


ODD_ROWS: list[tuple[str, dict[str, Any], str]] = [
    ("unknown enum", {"status": "Paused", "type": "Joint", "substatus": "Engaged"}, "stored"),
    ("null company", {"customerProfile": None}, "stored"),
    ("a note of 1 MB", {"details": {"notes": "x" * 1_000_000}}, "stored"),
    ("emoji and right-to-left", {"name": "🚀 شركة", "customerProfile": {"name": "חברה ‮"}}, "stored"),
    (
        "a NUL byte",
        {"name": "a\x00b", "customerProfile": {"name": "c\x00d", "team": [{"email": "x\x00@y.example"}]}},
        "stored",
    ),
    ("numbers as strings", {"details": {"dealValue": "10000.50", "currency": "eur"}, "mpnId": 123}, "stored"),
    ("ids as an object", {"customerProfile": {"name": "A", "ids": {}, "team": {"firstName": "B"}}}, "stored"),
    ("half a character", {"name": "broken \ud83d"}, "stored"),
    ("a status that is an object", {"status": {"value": "New"}}, "quarantined"),
    ("a profile that is text", {"customerProfile": "Company"}, "quarantined"),
    ("a date that is none", {"closedDateTime": "soon"}, "quarantined"),
    ("no date at all", {"updatedDateTime": None, "createdDateTime": None}, "quarantined"),
    ("an amount without end", {"details": {"dealValue": "1e40"}}, "quarantined"),
    ("an amount that is no number", {"details": {"dealValue": "many"}}, "quarantined"),
]


@pytest.mark.parametrize(("changes", "outcome"), [row[1:] for row in ODD_ROWS], ids=[row[0] for row in ODD_ROWS])
def test_an_odd_row_is_stored_or_quarantined_and_its_neighbours_pass(
    store: Store, service: Service, client: PartnerCenterClient, changes: dict[str, Any], outcome: str
) -> None:
    service.put(referral(1), referral(2, **changes), referral(3))
    _, taken = sync(store, client)
    assert taken.counts["stored"] == (3 if outcome == "stored" else 2)
    assert taken.counts["quarantined"] == (0 if outcome == "stored" else 1)
    with store.read() as connection:
        entries = quarantine.listed(connection)
        assert len(entries) == taken.counts["quarantined"]
        for entry in entries:
            found = quarantine.one(connection, entry["id"])
            assert found is not None
            assert found["payload"]["id"] == referral(2)["id"]


@pytest.mark.parametrize("row", [None, "text", [], {}, {"id": None}, {"id": ""}, {"id": "x" * 5000}, {"id": {"a": 1}}])
def test_a_row_without_identity_is_quarantined_once(
    store: Store, service: Service, client: PartnerCenterClient, row: Any
) -> None:
    service.put(referral(1))
    service.rows["odd"] = row
    service.faults.append(lambda request: _mixed(service) if "$select" not in request.query else None)
    fetched, _ = sync(store, client)
    sync(store, client)
    assert fetched.counts["quarantined"] == 1
    assert fetched.counts["stored"] == 1
    with store.read() as connection:
        (entry,) = quarantine.listed(connection)
        assert entry["attempts"] == 1
        found = quarantine.one(connection, entry["id"])
    assert found is not None
    assert found["payload"] == row


def _mixed(service: Service) -> tuple[int, dict[str, str], bytes]:
    import json

    return 200, {}, json.dumps({"value": list(service.rows.values())}).encode()


def test_quarantine_is_tried_again_when_the_reader_changes_and_on_demand(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    service.put(referral(1, closedDateTime="soon"))
    sync(store, client)
    assert read_referrals(store).counts["picked"] == 0
    newer = read_referrals(store, reader_version=READER_VERSION + 1)
    assert newer.counts == newer.counts | {"picked": 1, "quarantined": 1}
    with store.write() as connection:
        assert quarantine.retry(connection) == 1
    assert read_referrals(store, reader_version=READER_VERSION + 1).counts["picked"] == 1
    service.put(referral(1, updated=EPOCH + timedelta(days=1)))
    _, taken = sync(store, client)
    assert taken.counts["resolved"] == 1
    with store.read() as connection:
        assert quarantine.count_open(connection) == 0


def test_what_the_companies_stage_decided_outlives_every_sync(
    store: Store, service: Service, client: PartnerCenterClient
) -> None:
    from sqlalchemy import text

    service.put(referral(1))
    sync(store, client)
    with store.write() as connection:
        connection.execute(
            text("UPDATE referrals SET company_domain = 'a.example', linked_by = 'ayse', company_due_at = NULL")
        )
    service.put(referral(1, updated=EPOCH + timedelta(days=1), name="later"))
    sync(store, client)
    (row,) = rows_of(store).values()
    assert (row["company_domain"], row["linked_by"], row["name"]) == ("a.example", "ayse", "later")
    assert row["company_due_at"] is not None


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


def test_a_scrubbed_payload_is_what_is_kept(store: Store, service: Service, client: PartnerCenterClient) -> None:
    service.put(referral(1))

    def scrub(payload: dict[str, Any]) -> dict[str, Any]:
        return payload | {"customerProfile": payload["customerProfile"] | {"team": []}}

    fetch(store, client, scrub=scrub)
    again = fetch(store, client, scrub=scrub)
    read_referrals(store)
    assert again.counts["unchanged"] == 1
    (row,) = rows_of(store).values()
    assert row["contacts"] == []


def test_a_token_that_is_refused_twice_stops_the_sync(store: Store, service: Service) -> None:
    tokens = Bearer("old", "older")
    client = PartnerCenterClient(settings_for(service), tokens, sleep=lambda _seconds: None)
    with pytest.raises(Exception, match="hunter login"):
        fetch(store, client)
    assert tokens.forced == 1
    assert len(service.requests) == 2
