"""The referral resource: Partner Center's JSON read tolerantly into one plain record.

Facts: contract section 3. What the contract calls conflicting is accepted in every form it names; what can't be
understood raises ``UnreadableError`` and is kept whole in quarantine. Nothing here knows of databases or HTTP.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AliasChoices, AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel, to_pascal

from hunter_orchestration.partner_center.category import Category, categorize
from hunter_orchestration.partner_center.countries import alpha2

READER_VERSION = 1
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
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_CURRENCY = re.compile(r"[A-Z]{3}")
_LINE_LIMIT = 500
_KEY_LIMIT = 100
_AMOUNT_LIMIT = Decimal(10) ** 14


class UnreadableError(ValueError):
    """A payload that can't be understood.

    Args:
        reason: short machine word, for grouping.
        detail: one sentence for a person, without the payload's values.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


def parse_stamp(value: object) -> datetime | None:
    """A time of Partner Center: 0 to 7 fraction digits, Z, an offset or none (UTC); truncated to microseconds.

    Empty values and the year 1, which .NET writes for "no date", are ``None``.

    Raises:
        ValueError: not a time.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("is not a time")
    try:
        stamp = datetime.fromisoformat(value.strip())
        if stamp.year == 1:
            return None
        return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a time") from None


def format_stamp(value: datetime) -> str:
    """A time as an OData literal: ``2026-01-31T08:00:00.000000Z``."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _scalar(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not text")
    return str(value)


def _line(value: object) -> str | None:
    text = _scalar(value)
    if text is None:
        return None
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    return text.strip()[:_LINE_LIMIT] or None


def _name(value: object) -> str | None:
    text = _scalar(value)
    return None if text is None else _line(html.unescape(text) if "&" in text else text)


def _key(value: object) -> str | None:
    text = _line(value)
    return None if text is None else text[:_KEY_LIMIT]


def _prose(value: object) -> str | None:
    text = _scalar(value)
    return (text.replace("\x00", "").strip() or None) if text is not None else None


def _amount(value: object) -> Decimal | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("is not an amount")
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError("is not an amount") from None
    if not amount.is_finite() or abs(amount) >= _AMOUNT_LIMIT:
        raise ValueError("is not an amount that can be kept")
    return amount.quantize(Decimal("0.0001"))


def _flag(value: object) -> bool | None:
    if value is None or value == "" or isinstance(value, bool):
        return value if isinstance(value, bool) else None
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if value in (0, 1):
        return bool(value)
    raise ValueError("is neither true nor false")


def _objects(value: object) -> list[Any]:
    if value is None or value == "" or value == {}:
        return []
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, list):
        return [item for item in value if item is not None]
    raise ValueError("is not a list")


def _object(value: object) -> object:
    return {} if value is None or value == "" or value == [] else value


Line = Annotated[str | None, BeforeValidator(_line)]
Name = Annotated[str | None, BeforeValidator(_name)]
KeyText = Annotated[str | None, BeforeValidator(_key)]
Prose = Annotated[str | None, BeforeValidator(_prose)]
Stamp = Annotated[datetime | None, BeforeValidator(parse_stamp)]
Amount = Annotated[Decimal | None, BeforeValidator(_amount)]
Flag = Annotated[bool | None, BeforeValidator(_flag)]


class _Resource(BaseModel):
    model_config = ConfigDict(
        extra="ignore",
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(to_camel(name), to_pascal(name))),
    )


class Address(_Resource):
    address_line1: Line = None
    address_line2: Line = None
    city: Name = None
    state: Line = None
    region: Line = None
    postal_code: Line = None
    country: Line = None


class ContactPreference(_Resource):
    locale: Line = None


class Member(_Resource):
    first_name: Name = None
    last_name: Name = None
    email: Line = None
    phone_number: Line = None
    title: Name = None
    contact_preference: Annotated[ContactPreference, BeforeValidator(_object)] = Field(
        default_factory=ContactPreference
    )


class ProfileId(_Resource):
    profile_type: Line = None
    id: Line = None


class CustomerProfile(_Resource):
    name: Name = None
    size: Line = None
    website: Line = None
    tenant_id: Line = Field(
        default=None, validation_alias=AliasChoices("tenantId", "TenantId", "customerTenantId", "entraTenantId")
    )
    address: Annotated[Address, BeforeValidator(_object)] = Field(default_factory=Address)
    team: Annotated[list[Member], BeforeValidator(_objects)] = Field(default_factory=list)
    ids: Annotated[list[ProfileId], BeforeValidator(_objects)] = Field(default_factory=list)


class Consent(_Resource):
    # The double "To" is Microsoft's own spelling.
    share_info: Flag = Field(
        default=None,
        validation_alias=AliasChoices(
            "consentToToShareInfoWithOthers", "ConsentToToShareInfoWithOthers", "consentToShareInfoWithOthers"
        ),
    )
    contact: Flag = Field(default=None, validation_alias=AliasChoices("consentToContact", "ConsentToContact"))
    share_with_microsoft: Flag = Field(
        default=None,
        validation_alias=AliasChoices(
            "consentToShareReferralWithMicrosoftSellers", "ConsentToShareReferralWithMicrosoftSellers"
        ),
    )
    microsoft_may_introduce: Flag = Field(
        default=None,
        validation_alias=AliasChoices(
            "consentToMicrosoftToContactSpecificPartners", "ConsentToMicrosoftToContactSpecificPartners"
        ),
    )


class Need(_Resource):
    id: Line = None
    name: Name = None
    type: Line = None


class Requirements(_Resource):
    products: Annotated[list[Need], BeforeValidator(_objects)] = Field(default_factory=list)
    services: Annotated[list[Need], BeforeValidator(_objects)] = Field(default_factory=list)
    industries: Annotated[list[Need], BeforeValidator(_objects)] = Field(default_factory=list)
    solutions: Annotated[list[Need], BeforeValidator(_objects)] = Field(default_factory=list)


class Details(_Resource):
    notes: Prose = None
    deal_value: Amount = None
    currency: Line = None
    closing_date_time: Stamp = None
    customer_action: Line = None
    website: Line = None
    requirements: Annotated[Requirements, BeforeValidator(_object)] = Field(default_factory=Requirements)


class Inviter(_Resource):
    organization_id: KeyText = None
    organization_name: Name = None


class InviteContext(_Resource):
    notes: Prose = None
    assistance_request_code: Line = None
    invited_by: Annotated[Inviter, BeforeValidator(_object)] = Field(default_factory=Inviter)


class LooseContact(_Resource):
    email: Line = None
    website: Line = None


class Referral(_Resource):
    """The resource as it came, each field in its own type or refused with a reason."""

    id: KeyText = None
    engagement_id: KeyText = None
    name: Name = None
    organization_id: KeyText = None
    mpn_id: KeyText = None
    external_reference_id: Line = None
    created_date_time: Stamp = None
    updated_date_time: Stamp = None
    expiration_date_time: Stamp = None
    accepted_date_time: Stamp = None
    closed_date_time: Stamp = None
    status: KeyText = None
    substatus: KeyText = Field(
        default=None, validation_alias=AliasChoices("substatus", "Substatus", "subStatus", "SubStatus")
    )
    status_reason: Line = None
    type: KeyText = Field(default=None, validation_alias=AliasChoices("type", "Type", "referralType", "ReferralType"))
    qualification: KeyText = None
    direction: KeyText = None
    etag: Line = Field(default=None, validation_alias=AliasChoices("eTag", "ETag", "etag", "@odata.etag"))
    customer_profile: Annotated[CustomerProfile, BeforeValidator(_object)] = Field(default_factory=CustomerProfile)
    consent: Annotated[Consent, BeforeValidator(_object)] = Field(default_factory=Consent)
    details: Annotated[Details, BeforeValidator(_object)] = Field(default_factory=Details)
    invite_context: Annotated[InviteContext, BeforeValidator(_object)] = Field(default_factory=InviteContext)
    contact: Annotated[LooseContact, BeforeValidator(_object)] = Field(default_factory=LooseContact)
    email: Line = None


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
    if not text or len(text) > _KEY_LIMIT or _CONTROL.search(text):
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
        expires_at=expires_at(status, resource.expiration_date_time, created),
        accepted_at=resource.accepted_date_time,
        closed_at=resource.closed_date_time,
        etag=resource.etag,
        unknown_values=unknown or None,
    )


def expires_at(status: str, stated: datetime | None, created: datetime) -> datetime | None:
    """When silence loses the referral: only a New one expires; 14 days after creation unless it says otherwise."""
    if status != "New":
        return None
    return stated or created + ANSWER_WITHIN


def days_left(expires: datetime | None, now: datetime) -> int | None:
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
    return _CONTROL.sub(" ", "; ".join(problems))[:_LINE_LIMIT] + "."


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
