from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hunter_orchestration.partner_center.category import categorize
from hunter_orchestration.partner_center.countries import alpha2
from hunter_orchestration.partner_center.models import UnreadableError, read, until_expiry
from hunter_orchestration.partner_center.resource import parse_stamp
from hunter_orchestration_tests.partner_center.service import referral


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-09-01T09:15:02Z", datetime(2025, 9, 1, 9, 15, 2, tzinfo=UTC)),
        ("2025-09-01T09:15:02.1Z", datetime(2025, 9, 1, 9, 15, 2, 100_000, tzinfo=UTC)),
        ("2025-09-01T09:15:02.1234567Z", datetime(2025, 9, 1, 9, 15, 2, 123_456, tzinfo=UTC)),
        ("2025-09-01T09:15:02.1234567", datetime(2025, 9, 1, 9, 15, 2, 123_456, tzinfo=UTC)),
        ("2018-02-17T03:05:39.5485487+03:00", datetime(2018, 2, 17, 0, 5, 39, 548_548, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_stamps_of_every_precision_are_read(text: str | None, expected: datetime | None) -> None:
    assert parse_stamp(text) == expected


@pytest.mark.parametrize("value", ["soon", 5, True, {}, "2025-13-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_stamp(value)


def test_a_referral_of_the_last_days_there_are_is_read_without_an_end() -> None:
    record = read(referral(1, createdDateTime="9999-12-31T23:59:59.9999999Z"))
    assert (record.created_at.year, record.expires_at) == (9999, None)


def test_blanks_mean_nothing_where_a_time_an_amount_or_a_yes_is_expected() -> None:
    details = {"dealValue": " ", "closingDateTime": " ", "currency": " "}
    record = read(referral(1, details=details, consent={"consentToContact": " "}, acceptedDateTime=" "))
    assert (record.deal_value, record.closing_at, record.currency, record.consent) == (None, None, None, None)


OWN, OTHER = "c4b965db-cca9-59f3-9c3d-e07a2e4fa44d", "015019ea-3f35-5914-90d7-60b85aacbe49"


@pytest.mark.parametrize(
    ("type_", "qualification", "inviter", "direction", "help_wanted", "shared", "expected"),
    [
        ("Independent", "Direct", "msft", "Incoming", None, None, "marketplace"),
        ("Independent", "Direct", None, "Incoming", None, None, "marketplace"),
        ("Independent", "SalesQualified", "msft", "Incoming", None, None, "solution_provider"),
        ("Independent", "MarketingQualified", "MSFT", "Incoming", None, None, "solution_provider"),
        ("Shared", "SalesQualified", "msft", "Incoming", None, None, "co_sell"),
        ("Shared", "None", OTHER, "Incoming", None, None, "co_sell"),
        ("Shared", None, None, None, None, None, "co_sell"),
        ("Independent", "SalesQualified", OTHER, "Incoming", None, True, "co_sell"),
        ("Independent", "None", OWN, "Outgoing", "Unknown", False, "private_deal"),
        ("Independent", "SalesQualified", OWN, "Outgoing", "Unknown", True, "partner_led"),
        ("Independent", "SalesQualified", OWN, "Outgoing", "QuotesOrLicensing", True, "co_sell"),
        ("Independent", "None", OWN, "Outgoing", None, None, "co_sell"),
        ("Independent", "None", None, "Incoming", None, None, "other"),
        ("Joint", "Direct", "msft", "Incoming", None, None, "other"),
    ],
)
def test_the_category_follows_the_table_and_names_its_rule(
    type_: str,
    qualification: str | None,
    inviter: str | None,
    direction: str | None,
    help_wanted: str | None,
    shared: bool | None,
    expected: str,
) -> None:
    category, rule = categorize(
        type_=type_,
        qualification=qualification,
        direction=direction,
        invited_by=inviter,
        organization_id=OWN,
        help_wanted=help_wanted,
        shared_with_microsoft=shared,
    )
    assert category == expected
    assert rule


def test_html_entities_in_names_are_read_and_others_left_alone() -> None:
    record = read(referral(1, name="A &amp; B", customerProfile={"name": "Woodgrove &amp; Sons"}))
    assert (record.name, record.company_name) == ("A & B", "Woodgrove & Sons")


def test_names_of_properties_are_read_in_either_case() -> None:
    def pascal(value: Any) -> Any:
        if isinstance(value, dict):
            return {name[:1].upper() + name[1:]: pascal(item) for name, item in value.items()}
        return [pascal(item) for item in value] if isinstance(value, list) else value

    assert read(pascal(referral(7))) == read(referral(7))


def test_unknown_enum_values_are_kept_as_text_and_reported() -> None:
    record = read(referral(1, status="Paused", substatus="Engaged", type="Joint", direction="Sideways"))
    assert (record.status, record.substatus, record.type) == ("Paused", "Engaged", "Joint")
    assert record.unknown_values == {
        "status": "Paused",
        "substatus": "Engaged",
        "type": "Joint",
        "direction": "Sideways",
    }
    assert not record.is_open
    assert read(referral(1, status="new", substatus="PENDING")).unknown_values is None
    assert read(referral(1, status="New", substatus="Won")).unknown_values == {"substatus": "Won in New"}


def test_the_customer_side_alone_gives_contacts_and_candidates() -> None:
    record = read(
        referral(
            1,
            customerProfile={
                "team": [{"email": "a@b.example"}, None, {"title": "nobody"}],
                "ids": [{"profileType": "Duns", "id": "1"}, {"profileType": "External", "id": "b.example"}],
                "website": "https://b.example",
            },
            contact={"email": "c@d.example"},
        )
    )
    assert [contact["email"] for contact in record.contacts] == ["a@b.example"]
    assert record.candidates == [
        ["external_id", "b.example"],
        ["website", "https://b.example"],
        ["other_email", "c@d.example"],
    ]


def test_numbers_as_text_and_missing_parts_are_read() -> None:
    record = read(referral(1, details={"dealValue": "10000.5", "currency": "usd"}, mpnId=100, inviteContext=None))
    assert (record.deal_value, record.currency, record.mpn_id) == (Decimal("10000.5"), "USD", "100")
    sparse = read({"id": "x", "updatedDateTime": "2021-01-01T00:00:00Z", "customerProfile": {"ids": {}, "team": None}})
    assert (sparse.status, sparse.company_name, sparse.contacts) == ("None", "", [])
    assert sparse.created_at == sparse.updated_at


def test_a_guid_is_one_whatever_its_case() -> None:
    assert read(referral(1, id="AAAAAAAA-0000-0000-0000-00000000000F")).id == "aaaaaaaa-0000-0000-0000-00000000000f"


def test_silence_loses_a_new_referral_after_14_days() -> None:
    created = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
    assert read(referral(1)).expires_at == created + timedelta(days=14)
    assert read(referral(1, expirationDateTime="2026-11-05T00:00:00Z")).expires_at == datetime(2026, 11, 5, tzinfo=UTC)
    assert read(referral(1, status="Active", substatus="Accepted")).expires_at is None
    assert read(referral(1, direction="Outgoing")).expires_at is None
    assert until_expiry(created + timedelta(days=3, hours=5), created) == 3
    assert until_expiry(created - timedelta(hours=1), created) == -1
    assert until_expiry(None, created) is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [("tr", "TR"), ("TUR", "TR"), ("DEU", "DE"), (" us ", "US"), ("Turkey", None), ("ZZ", None), ("", None)],
)
def test_countries_of_two_and_three_letters_are_one(code: str, expected: str | None) -> None:
    assert alpha2(code) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(sorted(referral(1)))
INNER = st.sampled_from(["name", "team", "ids", "address", "dealValue", "invitedBy", "requirements", "email"])


def outcome(payload: dict[str, Any]) -> tuple[str, str]:
    try:
        record = read(payload)
    except UnreadableError as error:
        return error.reason, error.detail
    return "read", record.name + record.company_name + (record.notes or "") + record.status


@given(changes=st.dictionaries(FIELDS, JSON | st.dictionaries(INNER, JSON, max_size=4), max_size=6))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_in_any_field_is_read_or_refused_with_a_reason(changes: dict[str, Any]) -> None:
    kind, text = outcome(referral(1) | changes)
    assert kind in ("read", "wrong_type", "no_date", "no_identity", "too_deep")
    assert "\x00" not in text
