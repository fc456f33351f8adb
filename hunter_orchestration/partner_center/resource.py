"""Partner Center's referral as pydantic reads it: tolerant field by field, in either case (contract section 3)."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AliasChoices, AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel, to_pascal

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
LINE_LIMIT = 500
KEY_LIMIT = 100
_AMOUNT_LIMIT = Decimal(10) ** 14


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def parse_stamp(value: object) -> datetime | None:
    """A time of Partner Center: 0 to 7 fraction digits, Z, an offset or none (UTC); truncated to microseconds.

    Empty values and the year 1, which .NET writes for "no date", are ``None``.

    Raises:
        ValueError: not a time.
    """
    if _is_blank(value):
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
        text = CONTROL.sub(" ", text)
    return text.strip()[:LINE_LIMIT] or None


def _name(value: object) -> str | None:
    text = _scalar(value)
    return None if text is None else _line(html.unescape(text) if "&" in text else text)


def _key(value: object) -> str | None:
    text = _line(value)
    return None if text is None else text[:KEY_LIMIT]


def _prose(value: object) -> str | None:
    text = _scalar(value)
    return (text.replace("\x00", "").strip() or None) if text is not None else None


def _amount(value: object) -> Decimal | None:
    if _is_blank(value):
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
    if isinstance(value, bool):
        return value
    if _is_blank(value):
        return None
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
