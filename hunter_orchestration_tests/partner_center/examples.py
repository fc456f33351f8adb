"""Payloads of every kind the referrals API documents, small and invented, under the names of the contract's examples.

Where the contract's own file lies beside the repository its payloads are used as well, under the same expectations.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "partner-center.examples.json"

OWN, MICROSOFT, OTHER = "6a1f7b7e-0000-4000-8000-00000000000a", "msft", "6a1f7b7e-0000-4000-8000-00000000000b"
_STAMP = "2025-09-01T09:15:02.1234567Z"


def _payload(number: int, status: str, substatus: str, **more: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "id": f"6a1f7b7e-0000-4000-8000-{number:012x}",
        "engagementId": f"6a1f7b7e-0000-4000-9000-{number:012x}",
        "name": f"Örnek fırsat {number}",
        "organizationId": OWN,
        "createdDateTime": _STAMP,
        "updatedDateTime": _STAMP,
        "expirationDateTime": "2025-09-15T09:15:02Z" if status == "New" else None,
        "status": status,
        "substatus": substatus,
        "type": "Shared",
        "qualification": "SalesQualified",
        "direction": "Incoming",
        "eTag": f'"{number}"',
        "customerProfile": {"name": "Örnek Müşteri", "size": "", "address": {"country": "TR"}, "team": [], "ids": []},
        "consent": {"consentToContact": True, "consentToShareReferralWithMicrosoftSellers": True},
        "details": {"dealValue": None, "currency": None},
        "inviteContext": {"assistanceRequestCode": "Unknown", "invitedBy": {"organizationId": MICROSOFT}},
        "team": [{"email": "satis@ortak.example"}],
    }
    return payload | more


def _customer(name: str, *people: str | None, **more: Any) -> dict[str, Any]:
    team = [{"firstName": "Deniz", "lastName": "Örnek", "phoneNumber": None, "email": address} for address in people]
    return {"customerProfile": {"name": name, "size": None, "address": {"country": "TR"}, "team": team, **more}}


_OURS: dict[str, Any] = {
    "direction": "Outgoing",
    "acceptedDateTime": _STAMP,
    "inviteContext": {"assistanceRequestCode": "Unknown", "invitedBy": {"organizationId": OWN}},
}
_PAIR: dict[str, Any] = {
    **_OURS,
    **_customer("Demir Döküm", "ayla@demirdokum.example", ids=[{"profileType": "External", "id": "6-ORN02"}]),
    "engagementId": "6a1f7b7e-0000-4000-9000-00000000abcd",
    "details": {"dealValue": 75000.5, "currency": "EUR"},
    "inviteContext": {"assistanceRequestCode": "ProofOfConceptOrDemo", "invitedBy": {"organizationId": OWN}},
}

REFERRALS: dict[str, dict[str, Any]] = {
    "docs_solution_provider_qualified_lead_2018": {
        key: value
        for key, value in _payload(
            1,
            "New",
            "Pending",
            createdDateTime="2018-10-29T21:24:52.040469Z",
            updatedDateTime="2018-10-29T21:24:52.040469Z",
            expirationDateTime="2018-11-06T00:00:00Z",
            type="Independent",
            **_customer("Ege Gıda", "sibel@egegida.example", ids=[{"profileType": "Duns", "id": "123456789"}]),
            details={"dealValue": 50000, "currency": "USD"},
        ).items()
        if key not in ("direction", "name")
    },
    "marketplace_lead_consumer_email": _payload(
        2, "New", "Pending", type="Independent", qualification="Direct", **_customer("", "deniz.ornek@outlook.com")
    ),
    "solution_provider_lead_direct_no_website": _payload(
        3,
        "New",
        "Pending",
        type="Independent",
        qualification="MarketingQualified",
        **_customer("Kuzey Ticaret", "deniz@kuzeyticaret.example", None),
    ),
    "cosell_inbound_from_microsoft_pending": _payload(
        4,
        "New",
        "Pending",
        **_customer("Akdeniz A.Ş.", "su@akdeniz.example", ids=[{"profileType": "External", "id": "1-ORN01"}]),
        details={"dealValue": 120000, "currency": "USD"},
    ),
    "cosell_inbound_received": _payload(5, "New", "Received", details={"dealValue": 0, "currency": "USD"}),
    "cosell_outbound_active_partner_side": _payload(6, "Active", "Accepted", **_PAIR),
    "cosell_outbound_connected_microsoft_side": _payload(
        7, "New", "Pending", **(_PAIR | {"organizationId": MICROSOFT, "acceptedDateTime": None})
    ),
    "partner_led_independent_outgoing": _payload(
        8, "Active", "Accepted", **_OURS, type="Independent", details={"dealValue": 9000, "currency": "USD"}
    ),
    "private_deal_independent_outgoing": _payload(
        9,
        "Active",
        "Accepted",
        **_OURS,
        type="Independent",
        qualification="None",
        consent={"consentToContact": True, "consentToShareReferralWithMicrosoftSellers": False},
    ),
    "partner_to_partner_inbound": _payload(
        10,
        "New",
        "Pending",
        **_customer("Toros Araştırma", "kim@toros.example"),
        inviteContext={"invitedBy": {"organizationId": OTHER, "organizationName": "Başka Ortak"}},
    ),
    "closed_won_with_registration": _payload(
        11,
        "Closed",
        "Won",
        **_OURS,
        closedDateTime="2025-06-02T09:59:59.9999999Z",
        salesStage="100",
        details={"dealValue": 30000, "currency": "USD"},
        registrations=[{"id": "r-1", "status": "ReviewPending", "contract": {"value": 30000, "term": "Finite"}}],
    ),
    "closed_lost": _payload(
        12, "Closed", "Lost", statusReason="Başkasını seçti", details={"dealValue": 15000, "currency": "USD"}
    ),
    "closed_declined": _payload(13, "Closed", "Declined", statusReason="Yer yok"),
    "closed_expired": _payload(14, "Closed", "Expired", type="Independent", expirationDateTime="2025-08-15T08:00:00Z"),
    "sparse_edge_case": {
        "id": "6a1f7b7e-0000-4000-8000-00000000000f",
        "createdDateTime": "2021-01-01T00:00:00Z",
        "updatedDateTime": "2021-01-01T00:00:00Z",
        "status": "Active",
        "substatus": "Accepted",
        "type": "Independent",
        "qualification": "None",
        "direction": "Incoming",
        "customerProfile": {"name": "Kaya &amp; Oğulları", "team": None, "ids": {}},
    },
}
"""Referrals as the list and a single read give them."""

DOCS_LIST: dict[str, Any] = {
    "@odata.count": 1,
    "value": [
        _payload(
            20,
            "New",
            "Pending",
            type="Independent",
            qualification="Direct",
            expirationDateTime=None,
            createdDateTime="2020-10-30T21:03:00.0000000Z",
            updatedDateTime="2020-10-30T21:03:00.0000000Z",
            inviteContext=None,
            customerProfile={"name": "Örnek Müşteri", "address": {"addressLine2": "", "country": "US"}},
            details={"dealValue": 10000, "currency": "USD", "closingDateTime": "2020-12-01T00:00:00Z"},
        )
    ],
    "@odata.nextLink": "http://api.partner.microsoft.com/v1.0/referrals?$skiptoken=second",
}
"""A page whose count is no total and whose link is plain http without ``/engagements``."""

CREATE: dict[str, Any] = {
    "name": "Yeni fırsat",
    "type": "Independent",
    "qualification": "SalesQualified",
    **_customer("Ege Gıda", "sibel@egegida.example"),
    "consent": {
        "ConsentToToShareInfoWithOthers": True,
        "ConsentToContact": True,
        "ConsentToMicrosoftToContactSpecificPartners": True,
        "consentToShareReferralWithMicrosoftSellers": False,
    },
    "details": {"dealValue": 50000, "currency": "USD", "closingDateTime": "2024-11-14T00:00:00Z"},
}
"""What a new referral is made of: no id, no stamps, names of consents in either case."""

PROJECTION: dict[str, Any] = {"id": REFERRALS["closed_lost"]["id"], "status": "New", "customerProfile": {"name": "X"}}
"""What ``$select`` leaves of a referral."""

ERRORS: dict[str, dict[str, Any]] = {
    "error_docs_unauthorized": {"error": {"code": "unAuthorized", "message": "No.", "innerError": {"code": "x"}}},
    "error_401_unauthenticated": {"error": {"code": "unauthenticated", "message": "No token.", "target": "referral"}},
    "error_403_access_denied": {"error": {"code": "accessDenied", "message": "No role."}},
    "error_404_not_found": {"error": {"code": "itemNotFound", "message": "Not found."}},
    "error_400_bad_filter": {"error": {"code": "invalidRequest", "message": "Unsupported filter."}},
    "error_400_bad_transition": {"error": {"code": "invalidRequest", "message": "Not from there."}},
    "error_412_etag": {"error": {"code": "preconditionFailed", "message": "Changed."}},
    "error_503": {"error": {"code": "serviceNotAvailable", "message": "Later."}},
    "error_500": {"error": {"code": "generalException", "message": "Unspecified."}},
    "error_401_mfa_900421": {"code": "900421", "description": "Second factor.", "data": [], "source": "PartnerCenter"},
}

WEBHOOK: dict[str, Any] = {
    "ResourceUri": "https://api.partnercenter.microsoft.com/engagements/v1/referrals/"
    "6a1f7b7e-0000-4000-8000-000000000004",
    "ResourceName": "referral",
    "AuditUri": None,
    "ResourceChangeUtcDate": "2018-02-17T00:05:39.5485487+00:00",
}
EVENTS = ("referral-created", "referral-updated", "related-referral-created", "related-referral-updated")


def _list(*names: str, link: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"@odata.count": 14, "value": [REFERRALS[name] for name in names]}
    return body | ({"@odata.nextLink": link} if link else {})


_LISTED = [name for name in REFERRALS if not name.startswith("docs")]


def own() -> dict[str, Any]:
    """Our payloads by the name of the example."""
    pages = {
        "docs_list_2020": DOCS_LIST,
        "list_page_1": _list(*_LISTED[:8], link="https://api.partner.microsoft.com/v1.0/engagements/referrals"
                             "?$orderby=createdDateTime%20desc&$skiptoken=page-2"),
        "list_page_2_last": _list(*_LISTED[8:]),
        "list_empty": {"@odata.count": 0, "value": []},
    }  # fmt: skip
    patches = {
        "patch_close_won": [
            {"op": "replace", "path": "/status", "value": "Closed"},
            {"op": "replace", "path": "/substatus", "value": "Won"},
        ],
        "patch_deal_value_string_and_team": [{"op": "replace", "path": "/details/dealValue", "value": "10000"}],
    }
    events = {f"webhook_{name.replace('-', '_')}": {"EventName": name, **WEBHOOK} for name in EVENTS}
    registration = {
        "webhook_registration": {
            "WebhookUrl": "https://hunter.partner.example/api/v1/webhooks/partner-center",
            "WebhookEvents": ["referral-created", "referral-updated"],
            "signatureTokenToMsSignatureHeader": True,
        }
    }
    return {
        **REFERRALS, **pages, **ERRORS, **patches, **events, **registration,
        "docs_create_private_deal_2024": CREATE, "select_projection": PROJECTION,
    }  # fmt: skip


def sets() -> dict[str, dict[str, Any]]:
    """Our payloads, and the contract's where its file is at hand; both by the name of the example."""
    found = {"own": own()}
    if CONTRACT.exists():
        found["contract"] = {
            example["name"]: example["payload"] for example in json.loads(CONTRACT.read_bytes())["examples"]
        }
    return found
