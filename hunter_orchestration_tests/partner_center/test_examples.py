"""Every kind of payload the contract gives an example of, through the client, ingestion and the companies stage."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from hunter_orchestration.companies import stage
from hunter_orchestration.errors import HunterError, TransientError
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import fetch
from hunter_orchestration.partner_center.models import read
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.partner_center.refusals import (
    ChangedSinceReadError,
    MfaRequiredError,
    MissingRoleError,
    RefusedError,
    SignInExpiredError,
)
from hunter_orchestration.partner_center.webhooks import register
from hunter_orchestration.partner_center.write_back import act
from hunter_orchestration.store import Store, companies, quarantine, referrals
from hunter_orchestration_tests.partner_center import examples
from hunter_orchestration_tests.partner_center.service import Answer, Bearer, Request, Service, settings_for

SETS = examples.sets()
by_set = pytest.mark.parametrize("given", list(SETS.values()), ids=list(SETS))

TWO_WEEKS = "2025-09-15T09:15:02Z"
Given = dict[str, Any]


class Outcome(NamedTuple):
    """What becomes of an example. ``tied`` is ``contact`` (the domain of its contact) or why it needs a domain."""

    category: str
    standing: str
    tied: str
    answer_by: str | None
    value: str | None


NO_CONTACT = "empty"
EXPECTED = {
    "docs_list_2020": Outcome("marketplace", "New/Pending", NO_CONTACT, "2020-11-13T21:03:00Z", "10000"),
    "docs_solution_provider_qualified_lead_2018": Outcome(
        "solution_provider", "New/Pending", "contact", "2018-11-06T00:00:00Z", "50000"
    ),
    "marketplace_lead_consumer_email": Outcome("marketplace", "New/Pending", "free-mail", "2025-09-15", None),
    "solution_provider_lead_direct_no_website": Outcome(
        "solution_provider", "New/Pending", "contact", "2025-09-15", None
    ),
    "cosell_inbound_from_microsoft_pending": Outcome("co_sell", "New/Pending", "contact", TWO_WEEKS, "120000"),
    "cosell_inbound_received": Outcome("co_sell", "New/Received", NO_CONTACT, TWO_WEEKS, "0"),
    "cosell_outbound_active_partner_side": Outcome("co_sell", "Active/Accepted", "contact", None, "75000.5"),
    "cosell_outbound_connected_microsoft_side": Outcome("co_sell", "New/Pending", "contact", None, "75000.5"),
    "partner_led_independent_outgoing": Outcome("partner_led", "Active/Accepted", NO_CONTACT, None, "9000"),
    "private_deal_independent_outgoing": Outcome("private_deal", "Active/Accepted", NO_CONTACT, None, None),
    "partner_to_partner_inbound": Outcome("co_sell", "New/Pending", "contact", TWO_WEEKS, None),
    "closed_won_with_registration": Outcome("co_sell", "Closed/Won", NO_CONTACT, None, "30000"),
    "closed_lost": Outcome("co_sell", "Closed/Lost", NO_CONTACT, None, "15000"),
    "closed_declined": Outcome("co_sell", "Closed/Declined", NO_CONTACT, None, None),
    "closed_expired": Outcome("solution_provider", "Closed/Expired", NO_CONTACT, None, None),
    "sparse_edge_case": Outcome("other", "Active/Accepted", NO_CONTACT, None, None),
}
"""An outgoing New referral is its receiver's to answer; a closed one is nobody's."""


def served(service: Service, *rows: Any) -> None:
    """Let the service list these rows, whatever their stamps."""

    def play(request: Request) -> Answer | None:
        if "$select" in request.query:
            return None
        return 200, {}, json.dumps({"value": list(rows)}).encode()

    service.faults[:] = [play]


def ingest(store: Store, client: PartnerCenterClient) -> None:
    assert fetch(store, client).adds_up("fetched", "stored", "unchanged", "quarantined")
    read_referrals(store)
    stage.run(store)


def outcome(row: dict[str, Any], payload: Given) -> Outcome:
    team = payload["customerProfile"].get("team") or [{}]
    contact = str(team[0].get("email", "")).rpartition("@")[2]
    assert row["is_open"] is (row["status"] in ("New", "Active"))
    assert row["unknown_values"] is None
    assert row["raw_lead_id"]
    return Outcome(
        row["category"],
        f"{row['status']}/{row['substatus']}",
        "contact" if row["company_domain"] and row["company_domain"] == contact else row["domain_rejected"],
        row["expires_at"] and row["expires_at"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        None if row["deal_value"] is None else f"{row['deal_value'].normalize():f}",
    )


def rows_by_id(store: Store) -> dict[str, dict[str, Any]]:
    with store.read() as connection:
        return {row["id"]: dict(row) for row in referrals.listed(connection)}


@by_set
def test_each_referral_ends_where_its_note_says(
    store: Store, service: Service, client: PartnerCenterClient, given: Given
) -> None:
    named = {name: given[name] for name in EXPECTED if name != "docs_list_2020"}
    named["docs_list_2020"] = given["docs_list_2020"]["value"][0]
    served(service, *named.values())
    ingest(store, client)
    rows = rows_by_id(store)
    found = {name: outcome(rows[payload["id"]], payload) for name, payload in named.items()}
    # The contract writes some dates to the day, ours to the second.
    told = {name: at._replace(answer_by=_same(at.answer_by, EXPECTED[name].answer_by)) for name, at in found.items()}
    assert told == EXPECTED
    sparse = rows[named["sparse_edge_case"]["id"]]
    assert (sparse["company_name"], sparse["contacts"], sparse["address"]) == (
        named["sparse_edge_case"]["customerProfile"]["name"].replace("&amp;", "&"),
        [],
        None,
    )
    second = rows[named["solution_provider_lead_direct_no_website"]["id"]]["contacts"][1]
    assert (second["email"], bool(second["first_name"])) == (None, True)
    assert rows[named["marketplace_lead_consumer_email"]["id"]]["company_name"] == ""
    outgoing = rows[named["cosell_outbound_active_partner_side"]["id"]]
    assert outgoing["accepted_at"] == outgoing["created_at"]
    older = rows[named["docs_solution_provider_qualified_lead_2018"]["id"]]
    assert (older["direction"], older["created_at"].microsecond) == (None, 40469)


def _same(found: str | None, expected: str | None) -> str | None:
    return expected if found and expected and found.startswith(expected) else found


@by_set
def test_two_sides_of_an_engagement_are_one_deal_of_one_company(
    store: Store, service: Service, client: PartnerCenterClient, given: Given
) -> None:
    ours, theirs = (given[f"cosell_outbound_{side}"] for side in ("active_partner_side", "connected_microsoft_side"))
    served(service, ours, theirs)
    ingest(store, client)
    with store.read() as connection:
        pair = referrals.of_engagement(connection, ours["engagementId"])
        company = companies.one(connection, pair[0]["company_domain"])
    assert {row["id"] for row in pair} == {ours["id"], theirs["id"]}
    assert company is not None
    assert company["referral_count"] == 2
    assert {code: Decimal(str(value)) for code, value in company["open_deal_value"].items()} == {
        ours["details"]["currency"]: Decimal("75000.5")
    }


@by_set
def test_pages_are_followed_to_their_end_whatever_count_and_link_look_like(
    sqlite_store: Store, service: Service, client: PartnerCenterClient, given: Given
) -> None:
    last = json.dumps(given["list_page_2_last"]).encode()

    def ours(page: Given) -> bytes:
        # Only the host is made our own: the documented link lacks /engagements.
        return json.dumps(page).replace("https://api.partner.microsoft.com", service.url).replace(
            "http://api.partner.microsoft.com", service.url
        ).encode()  # fmt: skip

    for first, number in (("list_page_1", 14), ("docs_list_2020", 15)):

        def play(request: Request, page: bytes = ours(given[first])) -> Answer | None:
            return (
                (200, {}, last if "$skiptoken" in request.query else page) if "$select" not in request.query else None
            )

        service.faults[:] = [play]
        ingest(sqlite_store, client)
        assert len(rows_by_id(sqlite_store)) == number
    paths = {request.path for request in service.requests}
    assert paths == {"/v1.0/engagements/referrals"}
    assert service.requests[-1].headers["authorization"] == "Bearer good"


@by_set
def test_an_empty_list_is_a_sync_of_nothing(
    sqlite_store: Store, service: Service, client: PartnerCenterClient, given: Given
) -> None:
    service.faults[:] = [lambda _request: (200, {}, json.dumps(given["list_empty"]).encode())]
    fetched = fetch(sqlite_store, client)
    assert fetched.counts == {"fetched": 0, "stored": 0, "unchanged": 0, "quarantined": 0}
    assert not fetched.facts["sudden_drop"]


@by_set
def test_what_is_no_whole_referral_is_quarantined_and_its_neighbour_kept(
    sqlite_store: Store, service: Service, client: PartnerCenterClient, given: Given
) -> None:
    create, projection = given["docs_create_private_deal_2024"], given["select_projection"]
    served(service, create, projection, given["closed_won_with_registration"])
    ingest(sqlite_store, client)
    assert len(rows_by_id(sqlite_store)) == 1
    with sqlite_store.read() as connection:
        entries = {entry["reason"]: quarantine.one(connection, entry["id"]) for entry in quarantine.listed(connection)}
    kept = {reason: entry["payload"] if entry else None for reason, entry in entries.items()}
    assert kept == {"no_identity": create, "no_date": projection}


@by_set
def test_names_of_consents_are_read_in_either_case(given: Given) -> None:
    record = read({**given["docs_create_private_deal_2024"], "id": "x", "createdDateTime": "2024-11-01T00:00:00Z"})
    assert record.consent == {
        "share_info": True,
        "contact": True,
        "microsoft_may_introduce": True,
        "share_with_microsoft": False,
    }
    assert record.closing_at == datetime(2024, 11, 14, tzinfo=UTC)


ERRORS: list[tuple[str, int, type[HunterError]]] = [
    ("error_docs_unauthorized", 401, SignInExpiredError),
    ("error_401_unauthenticated", 401, SignInExpiredError),
    ("error_403_access_denied", 403, MissingRoleError),
    ("error_404_not_found", 404, RefusedError),
    ("error_400_bad_filter", 400, RefusedError),
    ("error_400_bad_transition", 400, RefusedError),
    ("error_412_etag", 412, ChangedSinceReadError),
    ("error_503", 503, TransientError),
    ("error_500", 500, TransientError),
    ("error_401_mfa_900421", 401, MfaRequiredError),
]


@by_set
@pytest.mark.parametrize(("name", "status", "kind"), ERRORS, ids=[name for name, *_ in ERRORS])
def test_each_error_stops_the_sync_with_its_own_kind(
    sqlite_store: Store,
    service: Service,
    client: PartnerCenterClient,
    given: Given,
    name: str,
    status: int,
    kind: type[HunterError],
) -> None:
    service.faults[:] = [lambda _request: (status, {}, json.dumps(given[name]).encode())]
    with pytest.raises(kind) as told:
        fetch(sqlite_store, client)
    assert type(told.value) is kind
    assert str(told.value)


@by_set
def test_patches_and_the_registration_are_sent_as_documented(
    sqlite_store: Store, service: Service, client: PartnerCenterClient, given: Given
) -> None:
    service.put(given["cosell_outbound_active_partner_side"])
    referral_id = given["cosell_outbound_active_partner_side"]["id"]
    settings = settings_for(service, partner_center_write_back=True, partner_center_events_url=service.url)
    act(sqlite_store, client, settings, referral_id, "deal_value", requested_by="ayse", deal_value=Decimal(10000))
    service.put(given["cosell_outbound_active_partner_side"])
    act(sqlite_store, client, settings, referral_id, "win", requested_by="ayse")
    sent = [json.loads(request.body) for request in service.requests if request.method == "PATCH"]
    assert sent == [given["patch_deal_value_string_and_team"][:1], given["patch_close_won"]]
    service.faults[:] = [lambda request: (200, {}, b"{}") if request.path.endswith("registration") else None]
    address = given["webhook_registration"]["WebhookUrl"]
    register(settings, Bearer(), address)
    body = json.loads(service.requests[-1].body)
    assert set(body) == set(given["webhook_registration"])
    assert set(body["WebhookEvents"]) >= set(given["webhook_registration"]["WebhookEvents"])
    assert body["signatureTokenToMsSignatureHeader"] is True
