"""Payloads into referrals: odd ones are stored or quarantined, the newest counts, decisions of people stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import fetch
from hunter_orchestration.partner_center.models import READER_VERSION
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.store import Store, quarantine, referral_queries
from hunter_orchestration.store.work import Window
from hunter_orchestration_tests.partner_center.service import EPOCH, Service, referral
from hunter_orchestration_tests.partner_center.syncing import names_of, rows_of, sync


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
        assert [entry["substatus"] for entry in referral_queries.history(connection, row["id"])] == [
            "Pending",
            "Accepted",
            "Won",
        ]


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
