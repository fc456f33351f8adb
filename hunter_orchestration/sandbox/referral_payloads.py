"""What a referral looks like on the wire: the contract's resource (section 3) made from a company and a kind."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from hunter_orchestration.sandbox.clock import TICKS_PER_SECOND, stamp
from hunter_orchestration.sandbox.names import DIAL, FAMILY, GIVEN, TITLES, Company, fold
from hunter_orchestration.sandbox.referral_kinds import KINDS, STATES

DAY = 86_400 * TICKS_PER_SECOND
ANSWER_WITHIN = 14 * DAY
"""A New referral expires so long after its creation (contract, section 4)."""
OWN_MAIL = "dunya.gezgin@hunter-partner.example"
"""The sandbox's Referrals User: rows whose team names this address are all that the role User sees."""
OWN_NAME = "Örnek Bulut Teknolojileri A.Ş."
_FREE_MAIL = ("hotmail.com.tr", "gmail.com", "yandex.com.tr", "outlook.com", "mynet.com")
_PRODUCTS = (
    "Microsoft365",
    "Azure",
    "Teams",
    "Dynamics365Business",
    "EnterpriseMobilityAndSecurity",
    "SharePoint",
    "PowerBI",
    "SQL",
)
_SERVICES = (
    "DeploymentOrMigration",
    "Licensing",
    "ManagedServices",
    "ConsultingAndProfessional",
    "LearningAndCertification",
)
_INDUSTRIES = (
    "Manufacturing",
    "Retail & Consumer Goods",
    "Services",
    "Wholesale & Distribution",
    "Healthcare",
    "Education",
)
_NOTES = (
    "Posta kutularını buluta taşımak istiyorlar; 120 kullanıcı.",
    "Mevcut e-posta sunucusu eski, yıl bitmeden geçiş planlanıyor.",
    "Wants a quote for Microsoft 365 Business Premium.",
    "Güvenlik değerlendirmesi ve yedekleme konuşuldu.",
    "Evaluating a move from on-premises file servers.",
    "İletişim: öğleden sonra arayınız. 🙂",
    "Müşteri Teams telefon santralini soruyor.",
    None,
)
_CURRENCIES = {"TR": ("TRY", "USD", "EUR"), "US": ("USD",), "GB": ("GBP",), "AE": ("USD",), "AZ": ("USD", "EUR")}
_IOT = {
    "customerLicenseAgreementNumber": None,
    "deviceCategory": None,
    "siliconType": None,
    "azureCertifiedDevice": False,
    "attachServices": False,
}
_TRACKING = {
    "microsoftMsxId": None,
    "microsoftUSFedOpportunityId": None,
    "microsoftUSFedLeadId": None,
    "migratedPSCDealId": None,
    "migratedPSCPartnerDealId": None,
}


@dataclass(frozen=True, slots=True)
class Row:
    """What the world knows about one referral before its payload is made. Times are ticks."""

    number: int
    id: str
    engagement_id: str
    etag: str
    kind: int
    created: int
    updated: int
    hash: int


@dataclass(frozen=True, slots=True)
class Setting:
    """Facts that all referrals share: the receiving partner and where the API is."""

    organization_id: str
    mpn_id: str
    base: str


def no_usable_domain(company: Company) -> bool:
    """Whether this company's contacts give no domain: no e-mail at all, or free-mail only."""
    return company.hash % 100 < 6


def user_sees(row_hash: int) -> bool:
    """Whether a generated referral's team names the Referrals User."""
    return row_hash % 8 == 0


def expires(row: Row) -> int | None:
    """When a generated referral that is still New expires; None for the others."""
    return row.created + ANSWER_WITHIN if KINDS[row.kind].state in (0, 1) else None


def contacts(company: Company) -> list[dict[str, Any]]:
    """The customer's people; their e-mail names the company's domain unless it has no usable one."""
    rng = random.Random(company.hash)
    people: list[dict[str, Any]] = []
    trait = company.hash % 100
    for place in range(rng.choice((1, 1, 1, 2, 3))):
        given, family = rng.choice(GIVEN), rng.choice(FAMILY)
        host = company.shown_domain if rng.random() < 0.3 else company.domain
        email: str | None = f"{fold(given)}.{fold(family)}@{host}"
        if trait < 2:
            email = None
        elif trait < 6:
            email = f"sandbox.contact.{company.index:05d}@{_FREE_MAIL[company.index % len(_FREE_MAIL)]}"
        elif place and rng.random() < 0.2:
            email = None
        elif rng.random() < 0.05:
            email = str(email).upper()
        people.append(
            {
                "firstName": given,
                "lastName": family,
                "phoneNumber": f"{DIAL[company.country]}000{rng.randrange(10_000_000):07d}"
                if rng.random() < 0.8
                else None,
                "email": email,
                "title": rng.choice(TITLES),
                "contactPreference": {
                    "locale": "tr-tr" if company.country == "TR" else "en-us",
                    "disableNotifications": False,
                },
            }
        )
    return people


def customer_name(company: Company, row: Row) -> str:
    """The customer's name as this referral spells it: sometimes in capitals, sometimes with an HTML entity."""
    name = company.name
    if KINDS[row.kind].name == "sparse_new" or row.hash % 29 == 0:
        name = name.replace("i", "İ").replace("ı", "I").upper() if company.country == "TR" else name.upper()
    return name.replace("&", "&amp;") if row.hash % 2 else name


def _links(row: Row, base: str) -> dict[str, Any]:
    quoted = f"'{row.engagement_id}'" if row.hash % 2 else row.engagement_id
    return {
        "relatedReferrals": {"uri": f"{base}?$filter=engagementId eq {quoted}", "method": "GET"},
        "self": {"uri": f"{base}/{row.id}", "method": "GET"},
    }


def _sparse(company: Company, row: Row, setting: Setting) -> dict[str, Any]:
    return {
        "id": row.id,
        "engagementId": row.engagement_id,
        "name": None,
        "organizationId": setting.organization_id,
        "createdDateTime": stamp(row.created),
        "updatedDateTime": stamp(row.updated),
        "expirationDateTime": stamp(row.created + ANSWER_WITHIN),
        "status": "New",
        "substatus": "Pending",
        "qualification": "SalesQualified",
        "type": "Independent",
        "direction": None if row.hash % 3 == 0 else "Incoming",
        "eTag": row.etag,
        "target": [],
        "customerProfile": {
            "name": customer_name(company, row),
            "size": None,
            "address": {"city": company.city, "country": company.country},
            "team": None if row.hash & 8 else [],
            "ids": {},
        },
        "details": {"notes": None, "dealValue": None, "currency": None},
        "inviteContext": {"invitedBy": {"organizationId": "msft"}},
        "links": _links(row, setting.base),
    }


def payload(company: Company, row: Row, setting: Setting) -> dict[str, Any]:
    """The whole resource; equal for equal arguments."""
    kind = KINDS[row.kind]
    if kind.name == "sparse_new":
        return _sparse(company, row, setting)
    rng = random.Random(row.hash)
    status, substatus = STATES[kind.state]
    marketplace = kind.category == "marketplace"
    microsoft_side = kind.name == "microsoft_side"
    created, updated = stamp(row.created), stamp(row.updated)
    expiry = row.created + ANSWER_WITHIN
    accepted = None
    if kind.direction == "Outgoing" and not microsoft_side:
        accepted = created
    elif substatus in ("Accepted", "Won", "Lost"):
        accepted = stamp(row.created + (row.updated - row.created) // 3)
    value = (
        None
        if marketplace and rng.random() < 0.7
        else rng.choice((0, 2_500, 7_500, 12_000, 48_000.5, 95_000, 240_000, 1_250_000))
    )
    currency = rng.choice(_CURRENCIES.get(company.country, ("EUR",))) if value is not None else None
    closing = stamp((row.created // DAY + rng.randrange(20, 150)) * DAY) if value else None
    ids: list[dict[str, Any]] = []
    if rng.random() < 0.3:
        ids.append({"profileType": "Duns", "id": f"{rng.randrange(10**6):09d}" if rng.random() < 0.8 else ""})
    roll = rng.random()
    if roll < 0.15:
        ids.append({"profileType": "External", "id": f"1-SBX{company.index:05d}"})
    elif roll < 0.22:
        ids.append({"profileType": "External", "id": f"https://www.{company.domain}/"})
    name, inviter_id, inviter = company.name, None, None
    if kind.invited == "msft":
        inviter_id, inviter = "msft", "Microsoft"
    elif kind.invited == "own":
        inviter_id, inviter = setting.organization_id, OWN_NAME
    elif kind.invited == "partner":
        inviter_id, inviter = "5f2d9a4e-0b0c-5c55-8d39-6a1f0c1d2e3f", "Kuzey Yıldızı Bilişim Ltd. Şti."
    team = [] if marketplace else [_member(rng.choice(GIVEN), rng.choice(FAMILY), "microsoft-seller.example")]
    if user_sees(row.hash):
        team.append({**_member("Dünya", "Gezgin", "x.example"), "email": OWN_MAIL})
    solution = {
        "id": "SOL-10001-AAA",
        "name": "Bulut Geçiş Paketi",
        "type": "Name",
        "price": None,
        "quantity": None,
        "currency": None,
        "publisherName": OWN_NAME,
        "solutionType": "3P",
        "closingDateTime": None,
    }
    return {
        "id": row.id,
        "engagementId": row.engagement_id,
        "name": f"{name} - {'Marketplace' if marketplace else kind.category.replace('_', ' ')}",
        "organizationId": "msft" if microsoft_side else setting.organization_id,
        "organizationName": "Microsoft" if microsoft_side else OWN_NAME,
        "lastModifiedVia": None,
        "lastRunId": None,
        "externalReferenceId": rng.choice((None, None, "", f"CRM-{row.number:06d}")),
        "createdDateTime": created,
        "updatedDateTime": updated,
        "expirationDateTime": None if status == "Active" else stamp(expiry),
        "status": status,
        "substatus": substatus,
        "statusReason": "Müşteri başka bir çözüm seçti." if substatus in ("Lost", "Declined") else None,
        "qualification": kind.qualification,
        "type": kind.type,
        "referralSource": "AzureMarketplace" if marketplace else None,
        "eTag": row.etag,
        "favorite": False,
        "campaignId": None,
        "salesStage": rng.choice(("Qualify", "Develop", "Propose", "100"))
        if status == "Active" and not marketplace
        else None,
        "quality": "Unknown",
        "isSpam": False,
        "direction": kind.direction,
        "mpnId": None if microsoft_side else setting.mpn_id,
        "referralProgram": None,
        "dealSensitivity": "None",
        "createdVia": None,
        "tags": [],
        "acceptedDateTime": accepted,
        "closedDateTime": updated if status == "Closed" else None,
        "callToAction": "ContactMe" if marketplace else None,
        "registrationStatus": "None",
        "target": [{"type": "BusinessProfileLocation", "id": "msft"}] if microsoft_side else [],
        "customerProfile": {
            "name": customer_name(company, row),
            "size": company.size or (None if rng.random() < 0.5 else ""),
            "isMatchingComplete": rng.random() < 0.3,
            "address": {
                "addressLine1": f"Örnek Cad. No: {rng.randrange(1, 200)}"
                if company.country == "TR"
                else "1 Example Way",
                "addressLine2": None,
                "city": company.city,
                "state": None,
                "postalCode": f"{rng.randrange(10_000, 99_999)}",
                "country": company.country,
                "region": None,
            },
            "team": contacts(company),
            "ids": ids or ({} if row.hash % 31 == 0 else []),
        },
        "consent": {
            "consentToToShareInfoWithOthers": True,
            "consentToContact": rng.random() < 0.9,
            "consentToShareReferralWithMicrosoftSellers": kind.category != "private",
        },
        "details": {
            "notes": rng.choice(_NOTES),
            "dealValue": value,
            "currency": currency,
            "closingDateTime": closing,
            "customerRequestedContact": True if marketplace else None,
            "customerAction": "Trial" if marketplace else None,
            "incentiveLevel": None,
            "requirements": {
                "industries": [{"id": rng.choice(_INDUSTRIES)}],
                "products": [{"id": rng.choice(_PRODUCTS)}],
                "services": [{"id": rng.choice(_SERVICES)}],
                "solutions": [solution] if kind.type == "Shared" else [],
                "offers": [],
                "salesPlays": [],
                "additionalRequirements": {"iot": _IOT, "attributes": []},
            },
        },
        "team": team,
        "inviteContext": {
            "notes": None,
            "assistanceRequestCode": "Unknown" if kind.invited != "own" else "QuotesOrLicensing",
            "invitedMpnId": setting.mpn_id,
            "invitedBy": {"organizationId": inviter_id, "organizationName": inviter},
        },
        "links": _links(row, setting.base),
        "trackingInfo": _TRACKING,
        "registrations": [],
    }


def _member(given: str, family: str, host: str) -> dict[str, Any]:
    return {
        "firstName": given,
        "lastName": family,
        "phoneNumber": None,
        "email": f"{fold(given)}.{fold(family)}@{host}",
        "title": None,
        "contactPreference": {"locale": "tr-tr", "disableNotifications": False},
    }
