"""The referral resource: Partner Center's JSON read tolerantly into one plain record.

Facts: contract section 3. What the contract calls conflicting is accepted in every form it names; what can't be
understood raises ``UnreadableError`` and is kept whole in quarantine. Nothing here knows of databases or HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from hunter_orchestration.partner_center.category import Category, categorize
from hunter_orchestration.partner_center.countries import alpha2
from hunter_orchestration.partner_center.resource import (
    CONTROL,
    KEY_LIMIT,
    LINE_LIMIT,
    Details,
    Member,
    Referral,
    parse_stamp,
)

READER_VERSION = 2
"""Raised with every change of what this module understands; open quarantine entries of older versions are retried."""

ANSWER_WITHIN = timedelta(days=14)
"""How long a New referral waits for an answer when it names no expiry itself (contract section 4)."""

STATUSES = ("None", "New", "Active", "Closed")
SUBSTATUSES = ("None", "Pending", "Received", "Accepted", "Won", "Lost", "Declined", "Expired")
SUBSTATUSES_OF = {
    "None": ("None",),
    "New": ("Pending", "Received"),
    "Active": ("Accepted",),
    "Closed": ("Won", "Lost", "Declined", "Expired"),
}
"""The pairs Partner Center documents (contract section 4)."""

_TYPES = ("Independent", "Shared")
_QUALIFICATIONS = ("None", "Direct", "MarketingQualified", "SalesQualified")
_DIRECTIONS = ("Incoming", "Outgoing")
_CANONICAL = {
    name: {value.lower(): value for value in values}
    for name, values in (
        ("status", STATUSES),
        ("substatus", SUBSTATUSES),
        ("type", _TYPES),
        ("qualification", _QUALIFICATIONS),
        ("direction", _DIRECTIONS),
    )
}
_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CURRENCY = re.compile(r"[A-Z]{3}")


class UnreadableError(ValueError):
    """A payload that can't be understood.

    Args:
        reason: short machine word, for grouping.
        detail: one sentence for a person, without the payload's values.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def format_stamp(value: datetime) -> str:
    """A time as an OData literal: ``2026-01-31T08:00:00.000000Z``."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class ReferralRecord:
    """A referral as Hunter keeps it: the columns of ``referrals`` that come from the payload. Times are UTC."""

    id: str
    engagement_id: str | None
    name: str
    type: str
    qualification: str | None
    direction: str | None
    status: str
    substatus: str
    status_reason: str | None
    category: Category
    category_rule: str
    is_open: bool
    company_name: str
    company_size: str | None
    country: str | None
    city: str | None
    address: dict[str, str] | None
    contacts: list[dict[str, str | None]]
    candidates: list[list[str]] | None
    consent: dict[str, bool] | None
    needs: dict[str, list[str]] | None
    notes: str | None
    external_reference_id: str | None
    organization_id: str | None
    mpn_id: str | None
    invited_by: str | None
    tenant_id: str | None
    deal_value: Decimal | None
    currency: str | None
    closing_at: datetime | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    accepted_at: datetime | None
    closed_at: datetime | None
    etag: str | None
    unknown_values: dict[str, str] | None


def identity(payload: object) -> tuple[str, datetime | None]:
    """Which record a payload is, and when it last changed at the source (``None`` when it does not say readably).

    Raises:
        UnreadableError: not an object, or without a usable id.
    """
    if not isinstance(payload, Mapping):
        raise UnreadableError("not_an_object", "The row is not an object.")
    value = payload.get("id", payload.get("Id"))
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text or len(text) > KEY_LIMIT or CONTROL.search(text):
        raise UnreadableError("no_identity", "The row has no usable id.")
    lowered = text.lower()
    return (lowered if _GUID.fullmatch(lowered) else text), _changed(payload)


def _changed(payload: Mapping[str, Any]) -> datetime | None:
    for name in ("updatedDateTime", "UpdatedDateTime", "createdDateTime", "CreatedDateTime"):
        try:
            stamp = parse_stamp(payload.get(name))
        except ValueError:
            return None
        if stamp is not None:
            return stamp
    return None


def read(payload: Mapping[str, Any]) -> ReferralRecord:
    """Understand one referral.

    Raises:
        UnreadableError: naming the fields that can't be understood.
    """
    referral_id, updated = identity(payload)
    try:
        resource = Referral.model_validate(payload)
    except ValidationError as error:
        raise UnreadableError("wrong_type", _sentence(error)) from None
    except RecursionError:
        raise UnreadableError("too_deep", "The row is nested too deeply.") from None
    created = resource.created_date_time or updated
    if updated is None or created is None:
        raise UnreadableError("no_date", "The row has neither updatedDateTime nor createdDateTime.")
    unknown: dict[str, str] = {}
    status = _known("status", resource.status, unknown) or "None"
    substatus = _known("substatus", resource.substatus, unknown) or "None"
    if "status" not in unknown and "substatus" not in unknown and substatus not in SUBSTATUSES_OF[status]:
        unknown["substatus"] = f"{substatus} in {status}"
    kind = _known("type", resource.type, unknown) or "None"
    if resource.type is None:
        unknown["type"] = ""
    qualification = _known("qualification", resource.qualification, unknown)
    direction = _known("direction", resource.direction, unknown)
    profile, details, invite = resource.customer_profile, resource.details, resource.invite_context
    category, rule = categorize(
        type_=kind,
        qualification=qualification,
        direction=direction,
        invited_by=invite.invited_by.organization_id,
        organization_id=resource.organization_id,
        help_wanted=invite.assistance_request_code,
        shared_with_microsoft=resource.consent.share_with_microsoft,
    )
    country = alpha2(profile.address.country)
    if profile.address.country and country is None:
        unknown["country"] = profile.address.country
    return ReferralRecord(
        id=referral_id,
        engagement_id=resource.engagement_id.lower() if resource.engagement_id else None,
        name=resource.name or "",
        type=kind,
        qualification=qualification,
        direction=direction,
        status=status,
        substatus=substatus,
        status_reason=resource.status_reason,
        category=category,
        category_rule=rule,
        is_open=status in ("New", "Active"),
        company_name=profile.name or "",
        company_size=profile.size,
        country=country,
        city=profile.address.city,
        address=_filled(profile.address.model_dump()),
        contacts=[_contact(member) for member in profile.team if _named(member)],
        candidates=_candidates(resource) or None,
        consent=_filled(resource.consent.model_dump()),
        needs=_needs(details),
        notes=details.notes,
        external_reference_id=resource.external_reference_id,
        organization_id=resource.organization_id,
        mpn_id=resource.mpn_id,
        invited_by=invite.invited_by.organization_id,
        tenant_id=_guid(profile.tenant_id),
        deal_value=details.deal_value,
        currency=_currency(details.currency, unknown),
        closing_at=details.closing_date_time,
        created_at=created,
        updated_at=updated,
        expires_at=expires_at(status, direction, resource.expiration_date_time, created),
        accepted_at=resource.accepted_date_time,
        closed_at=resource.closed_date_time,
        etag=resource.etag,
        unknown_values=unknown or None,
    )


def expires_at(status: str, direction: str | None, stated: datetime | None, created: datetime) -> datetime | None:
    """When our silence loses the referral: 14 days after creation unless it says otherwise.

    Only a New one expires, and one that we sent is its receiver's to answer.
    """
    if status != "New" or direction == "Outgoing":
        return None
    try:
        return stated or created + ANSWER_WITHIN
    except OverflowError:
        # Created in the last days of the year 9999: a mistake of that row, which must not stop all others.
        return None


def until_expiry(expires: datetime | None, now: datetime) -> int | None:
    """Whole days left to answer; negative once it is over, ``None`` when nothing waits for an answer."""
    return None if expires is None else (expires - now) // timedelta(days=1)


def day_of(stamp: datetime) -> date:
    """The partition a time belongs to."""
    return stamp.astimezone(UTC).date()


def _known(field: str, value: str | None, unknown: dict[str, str]) -> str | None:
    if value is None:
        return None
    canonical = _CANONICAL[field].get(value.lower())
    if canonical is None:
        unknown[field] = value
        return value
    return canonical


def _sentence(error: ValidationError) -> str:
    problems = []
    for item in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        where = ".".join(str(part) for part in item["loc"])
        what = item["msg"].removeprefix("Value error, ")
        problems.append(f"{where} {what}" if what.startswith(("is ", "has ")) else f"{where}: {what}")
    return CONTROL.sub(" ", "; ".join(problems))[:LINE_LIMIT] + "."


def _filled(values: dict[str, Any]) -> dict[str, Any] | None:
    return {name: value for name, value in values.items() if value is not None} or None


def _named(member: Member) -> bool:
    return bool(member.email or member.first_name or member.last_name or member.phone_number)


def _contact(member: Member) -> dict[str, str | None]:
    return {
        "first_name": member.first_name,
        "last_name": member.last_name,
        "email": member.email,
        "phone": member.phone_number,
        "title": member.title,
        "locale": member.contact_preference.locale,
    }


def _candidates(resource: Referral) -> list[list[str]]:
    # No documented payload carries a website or a loose e-mail address; they are read in case one ever does.
    found = [
        ("external_id", item.id)
        for item in resource.customer_profile.ids
        if (item.profile_type or "").lower() == "external"
    ]
    found += [
        ("website", resource.customer_profile.website),
        ("website", resource.details.website),
        ("website", resource.contact.website),
        ("other_email", resource.contact.email),
        ("other_email", resource.email),
    ]
    return [[source, value] for source, value in found if value]


def _needs(details: Details) -> dict[str, list[str]] | None:
    wanted = details.requirements
    needs = {
        "products": [item.id or item.name for item in wanted.products],
        "services": [item.id or item.name for item in wanted.services],
        "industries": [item.id or item.name for item in wanted.industries],
        "solutions": [item.name or item.id for item in wanted.solutions],
        "action": [details.customer_action],
    }
    kept = {name: [text for text in texts if text] for name, texts in needs.items()}
    return {name: texts for name, texts in kept.items() if texts} or None


def _guid(value: str | None) -> str | None:
    return value.lower() if value and _GUID.fullmatch(value.lower()) else None


def _currency(value: str | None, unknown: dict[str, str]) -> str | None:
    if value is None:
        return None
    code = value.upper()
    if _CURRENCY.fullmatch(code) is None:
        unknown["currency"] = value
        return None
    return code
