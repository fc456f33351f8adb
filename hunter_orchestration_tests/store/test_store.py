"""The store keeps what it is given, on both databases."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from hunter_orchestration.store import Store, StoreError
from hunter_orchestration.store.migrate import current_version, is_current, newest_version, upgrade
from hunter_orchestration.store.runs import (
    LeaseHeldError,
    LeaseLostError,
    acquire_lease,
    events_after,
    latest_runs,
    lease,
    read_watermark,
    recorded,
    release_lease,
    renew_lease,
    write_watermark,
)
from hunter_orchestration.store.tables import metadata
from hunter_orchestration.store.tables.operations import events
from hunter_orchestration.store.tables.referrals import referral_history


def test_upgrading_twice_changes_nothing(store: Store) -> None:
    assert is_current(store)
    upgrade(store)
    assert current_version(store) == newest_version()


def test_the_migrations_make_the_tables_the_code_declares(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    declared = set(metadata.tables)
    with store.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_object": lambda item, name, kind, _reflected, _other: (
                    (name if kind == "table" else item.table.name) in declared
                ),
            },
        )
        differences = [entry for entry in compare_metadata(context, metadata) if entry[0] != "remove_index"]
    assert differences == []


def test_times_come_back_aware_in_utc_and_amounts_exact(store: Store) -> None:
    at = datetime(2026, 11, 24, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=3)))
    with store.write() as connection:
        connection.execute(
            insert(referral_history).values(
                referral_id="r", at=at, status="New", substatus="Pending", deal_value=Decimal("0.1"), recorded_at=at
            )
        )
    with store.read() as connection:
        row = connection.execute(select(referral_history)).mappings().one()
    assert row["at"] == at
    assert row["at"].utcoffset() == timedelta(0)
    assert row["deal_value"] == Decimal("0.1")


def test_a_time_without_a_zone_is_refused(sqlite_store: Store) -> None:
    with pytest.raises(StatementError, match="without a zone"), sqlite_store.write() as connection:
        connection.execute(insert(events).values(at=datetime(2026, 1, 1), kind="x"))  # noqa: DTZ001


def test_json_keeps_turkish_letters_and_drops_nul(store: Store) -> None:
    body = {"name": "İğdır\x00", "path": "a\\u0000b", "both": "\\\x00\x00"}
    with store.write() as connection:
        connection.execute(insert(events).values(at=datetime.now(UTC), kind="x", body=body))
    with store.read() as connection:
        assert events_after(connection, 0)[0]["body"] == {"name": "İğdır", "path": "a\\u0000b", "both": "\\"}


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as connection:  # noqa: PT012
        write_watermark(connection, "partnercenter", "referrals", "2026-01-01T00:00:00Z")
        raise RuntimeError
    with store.read() as connection:
        assert read_watermark(connection, "partnercenter", "referrals") is None


def test_a_lease_has_one_holder_and_a_late_writer_is_refused(store: Store) -> None:
    first = acquire_lease(store, "dynamics_push", "run-1", seconds=60)
    with pytest.raises(LeaseHeldError, match="run-1") as held:
        acquire_lease(store, "dynamics_push", "run-2")
    assert pickle.loads(pickle.dumps(held.value)).owner == "run-1"
    release_lease(store, "dynamics_push", first)
    with lease(store, "dynamics_push", "run-2") as second:
        assert second > first
        with pytest.raises(LeaseLostError), store.write() as connection:
            renew_lease(connection, "dynamics_push", first)


def test_a_stage_is_recorded_whatever_its_end(store: Store) -> None:
    with recorded(store, "companies", "run-1") as result:
        result.add("stored", 3)
    with pytest.raises(ValueError), recorded(store, "companies", "run-2"):
        raise ValueError("x")
    with store.read() as connection:
        newest, older = latest_runs(connection, "companies")
        kinds = [event["kind"] for event in events_after(connection, 0)]
    assert (older["state"], older["counts"]) == ("succeeded", {"stored": 3})
    assert newest["state"] == "failed"
    assert newest["error"].startswith("ValueError")
    assert kinds == ["stage_started", "stage_finished"] * 2


def test_a_stage_under_way_tells_the_page_how_far_it_is_and_not_every_row(store: Store) -> None:
    with recorded(store, "raw_leads", "run-1") as result:
        done = 0
        while done < 10_000_000:
            done += 1
            result.told(done, None)
            if done % 10_000 == 0:
                with store.read() as connection:
                    if told := [e for e in events_after(connection, 0) if e["kind"] == "stage_progress"]:
                        break
        with store.read() as connection:
            (row,) = latest_runs(connection, "raw_leads")
        assert len(told) == 1
        assert told[0]["body"] == {"run_id": "run-1", "done": row["counts"]["picked"], "total": None}
        assert 0 < row["counts"]["picked"] <= done
        result.add("stored", 3)
    with store.read() as connection:
        assert latest_runs(connection, "raw_leads")[0]["counts"] == {"stored": 3}


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "sqlite:////proc/no/such/place/x.db"])
def test_a_wrong_database_address_is_told_in_words(url: str) -> None:
    with pytest.raises((StoreError, ModuleNotFoundError)) as refused, Store(url).read():
        pass
    assert isinstance(refused.value, StoreError)


def test_an_unreachable_server_is_told_without_its_password() -> None:
    with pytest.raises(StoreError) as refused, Store("postgresql://hunter:canary@127.0.0.1:1/x").read():
        pass
    assert "canary" not in str(refused.value)
    assert "hunter doctor" in str(refused.value)


def test_threads_that_upgrade_at_once_do_not_meet(store_url: str) -> None:
    def upgraded(_number: int) -> bool:
        opened = Store(store_url)
        upgrade(opened)
        upgrade(opened)
        current = is_current(opened)
        opened.close()
        return current

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(upgraded, range(16)))
