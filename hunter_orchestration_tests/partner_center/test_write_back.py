from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hunter_orchestration.errors import TransientError
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import fetch
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.partner_center.refusals import ChangedSinceReadError
from hunter_orchestration.partner_center.write_back import (
    TransitionRefusedError,
    WriteBackOffError,
    act,
    allowed_actions,
)
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store, referral_queries, referrals
from hunter_orchestration_tests.partner_center.service import Answer, Request, Service, referral, settings_for

ID = referral(1)["id"]


@pytest.fixture
def settings(service: Service) -> Settings:
    return settings_for(service, partner_center_write_back=True)


@pytest.fixture
def store(sqlite_store: Store, service: Service, client: PartnerCenterClient) -> Store:
    service.put(referral(1))
    fetch(sqlite_store, client)
    read_referrals(sqlite_store)
    service.requests.clear()
    return sqlite_store


def standing(store: Store) -> dict[str, Any]:
    with store.read() as connection:
        row = referrals.one(connection, ID)
    assert row is not None
    return dict(row)


def noted(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        return [(row["action"], row["state"]) for row in reversed(referral_queries.actions(connection, ID))]


def patches(service: Service) -> list[Request]:
    return [request for request in service.requests if request.method == "PATCH"]


def test_nothing_is_sent_while_it_is_switched_off(store: Store, service: Service, client: PartnerCenterClient) -> None:
    with pytest.raises(WriteBackOffError, match="HUNTER_PARTNER_CENTER_WRITE_BACK"):
        act(store, client, settings_for(service), ID, "accept", requested_by="ayse")
    assert service.requests == []


def test_accept_and_win_travel_and_show_here_at_once(
    store: Store, service: Service, client: PartnerCenterClient, settings: Settings
) -> None:
    assert act(store, client, settings, ID, "accept", requested_by="ayse").substatus == "Accepted"
    assert standing(store)["status"] == "Active"
    act(store, client, settings, ID, "win", requested_by="ayse")
    assert standing(store)["substatus"] == "Won"
    assert noted(store) == [("accept", "done"), ("win", "done")]
    assert all("if-match" in request.headers for request in patches(service))
    with store.read() as connection:
        assert [row["substatus"] for row in referral_queries.history(connection, ID)] == ["Pending", "Accepted", "Won"]


@pytest.mark.parametrize(
    ("status", "substatus", "direction", "action"),
    [
        ("New", "Pending", "Incoming", "win"),
        ("New", "Pending", "Outgoing", "accept"),
        ("Active", "Accepted", "Incoming", "decline"),
        ("Closed", "Lost", "Incoming", "win"),
        ("Closed", "Expired", "Incoming", "accept"),
        ("Paused", "Engaged", "Incoming", "lose"),
    ],
)
def test_a_transition_the_table_does_not_know_is_refused_before_it_is_sent(
    store: Store,
    service: Service,
    client: PartnerCenterClient,
    settings: Settings,
    status: str,
    substatus: str,
    direction: str,
    action: Any,
) -> None:
    service.put(referral(1, status=status, substatus=substatus, direction=direction))
    with pytest.raises(TransitionRefusedError):
        act(store, client, settings, ID, action, requested_by="ayse")
    assert patches(service) == []
    assert noted(store) == [(action, "refused")]


def test_a_412_is_read_again_and_tried_once_more(
    store: Store, service: Service, client: PartnerCenterClient, settings: Settings
) -> None:
    def elsewhere(request: Request) -> Answer | None:
        if request.method == "PATCH" and len(patches(service)) == 1:
            service.put(referral(1, eTag='"1-9"', name="edited elsewhere"))
        return None

    service.faults.append(elsewhere)
    assert act(store, client, settings, ID, "decline", requested_by="ayse", reason="No capacity").changed
    row = standing(store)
    assert (row["substatus"], row["name"], row["status_reason"]) == ("Declined", "edited elsewhere", "No capacity")


def test_a_412_without_end_is_given_up(
    store: Store, service: Service, client: PartnerCenterClient, settings: Settings
) -> None:
    service.faults.append(lambda request: (412, {}, b"{}") if request.method == "PATCH" else None)
    with pytest.raises(ChangedSinceReadError):
        act(store, client, settings, ID, "accept", requested_by="ayse")
    assert len(patches(service)) == 3
    assert noted(store) == [("accept", "refused")]


def test_somebody_who_was_faster_is_no_error(
    store: Store, service: Service, client: PartnerCenterClient, settings: Settings
) -> None:
    service.put(referral(1, status="Active", substatus="Accepted", eTag='"x"'))
    assert not act(store, client, settings, ID, "accept", requested_by="ayse").changed
    assert patches(service) == []


def test_an_answer_that_was_lost_is_recognised(
    store: Store, service: Service, client: PartnerCenterClient, settings: Settings
) -> None:
    def lose_answer(request: Request) -> Answer | None:
        if request.method == "PATCH" and len(patches(service)) == 1:
            service.put(referral(1, status="Active", substatus="Accepted", eTag='"committed"'))
            return 0, {}, b""
        return None

    service.faults.append(lose_answer)
    assert act(store, client, settings, ID, "accept", requested_by="ayse").status == "Active"
    assert standing(store)["status"] == "Active"


def test_an_outage_is_recorded_as_refused(
    store: Store, service: Service, client: PartnerCenterClient, settings: Settings
) -> None:
    service.faults.append(lambda _request: (503, {}, b""))
    with pytest.raises(TransientError):
        act(store, client, settings, ID, "accept", requested_by="ayse")
    assert noted(store) == [("accept", "refused")]


def test_the_crm_id_and_the_deal_value_are_written(
    store: Store, service: Service, client: PartnerCenterClient, settings: Settings
) -> None:
    act(store, client, settings, ID, "reference", requested_by="run", reference="CRM-1")
    assert standing(store)["external_reference_id"] == "CRM-1"
    service.put(service.rows[ID] | {"status": "Active", "substatus": "Accepted"})
    act(store, client, settings, ID, "deal_value", requested_by="ayse", deal_value=Decimal("2500.5"))
    assert patches(service)[-1].body == b'[{"op":"replace","path":"/details/dealValue","value":"2500.5"}]'


def test_the_page_offers_what_the_table_allows() -> None:
    assert allowed_actions("New", "Pending", "Incoming") == ["accept", "decline", "reference"]
    assert allowed_actions("New", "Pending", "Outgoing") == ["reference"]
    assert allowed_actions("Active", "Accepted", None) == ["win", "lose", "reference", "deal_value"]
    assert allowed_actions("Closed", "Won", "Incoming") == ["reference"]
