"""What may be written to a referral (contract, section 2 "PATCH rules" and section 4 "State transitions")."""

from __future__ import annotations

import re
from typing import Any

from hunter_orchestration.sandbox.clock import stamp
from hunter_orchestration.sandbox.referral_kinds import SUBSTATUS, TRANSITIONS
from hunter_orchestration.sandbox.referral_payloads import ANSWER_WITHIN, OWN_NAME, Setting

_PATHS = re.compile(
    r"/(campaignId|consent/consentToShareReferralWithMicrosoftSellers|customerProfile/team(/-)?"
    r"|details/(closingDateTime|currency|dealValue|notes)|details/requirements/solutions(/-)?|externalReferenceId"
    r"|referralProgram|salesStage|status|substatus|statusReason|team(/-)?|registrations/-"
    r"|registrations/\d+/(contract/(startDateTime|endDateTime|signDateTime|term|value)"
    r"|solutionDetails/\d+/(value|currency|isDeployedOnAzure|primaryDeploymentOn|pricingModel"
    r"|marketplaceTransactionDetails/(isMarketplaceTransacted|marketplaceTransactionDateTime))))"
)
_NUMBERS = re.compile(r"/details/dealValue|/registrations/\d+/(contract/value|solutionDetails/\d+/value)")
_KNOWN_CONSENT = {
    name.lower(): name
    for name in (
        "consentToToShareInfoWithOthers",
        "consentToContact",
        "consentToMicrosoftToContactSpecificPartners",
        "consentToShareReferralWithMicrosoftSellers",
    )
}
_READ_ONLY = (
    "id",
    "engagementId",
    "createdDateTime",
    "direction",
    "acceptedDateTime",
    "closedDateTime",
    "organizationId",
    "type",
)


class WriteError(Exception):
    """The write is refused; carries HTTP status, error code and target."""

    def __init__(
        self, message: str, target: str | None = None, status: int = 400, code: str = "invalidRequest"
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.target = status, code, target


def patched(document: dict[str, Any], patch: Any, now: str) -> dict[str, Any]:
    """Apply a JSON Patch whole or not at all; ``add`` and ``replace`` only.

    Raises:
        WriteError: a bad operation, path, value or transition.
    """
    if not isinstance(patch, list) or not patch:
        raise WriteError("The body must be a JSON Patch: an array of operations.")
    before = (str(document.get("status")), str(document.get("substatus")))
    for operation in patch:
        _operate(document, operation)
    _settle(document, before, now)
    return document


def _operate(document: dict[str, Any], operation: Any) -> None:
    if not isinstance(operation, dict) or operation.get("op") not in ("add", "replace") or "value" not in operation:
        raise WriteError("An operation needs op (add or replace), path and value.")
    path = str(operation.get("path"))
    if not _PATHS.fullmatch(path):
        raise WriteError(f"The path {path} can't be changed.", path)
    value = operation["value"]
    if _NUMBERS.fullmatch(path):
        value = _number(value, path)
    parts = path.strip("/").split("/")
    target: Any = document
    for place, part in enumerate(parts[:-1]):
        if isinstance(target, list):
            if not part.isdigit() or int(part) >= len(target):
                raise WriteError(f"The path {path} leads nowhere.", path)
            target = target[int(part)]
            continue
        following = target.get(part)
        if following is None:
            following = target[part] = [] if parts[place + 1] == "-" else {}
        target = following
    last = parts[-1]
    if last == "-":
        if operation["op"] != "add" or not isinstance(target, list):
            raise WriteError(f"Only add can append at {path}.", path)
        target.append(value)
    elif isinstance(target, dict):
        target[last] = value
    else:
        raise WriteError(f"The path {path} leads nowhere.", path)


def _number(value: Any, path: str) -> float | int | None:
    # The docs send numbers as strings ("10000").
    if isinstance(value, bool):
        raise WriteError(f"{path} must be a number.", path)
    if value is None or isinstance(value, (int, float)):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise WriteError(f"{path} must be a number.", path) from None
    return int(number) if number.is_integer() else number


def _settle(document: dict[str, Any], before: tuple[str, str], now: str) -> None:
    status, substatus = str(document.get("status")), str(document.get("substatus"))
    if status not in SUBSTATUS:
        raise WriteError(f"'{status}' is not a status.", "/status")
    if substatus not in SUBSTATUS[status]:
        raise WriteError(f"The substatus {substatus} does not go with the status {status}.", "/substatus")
    if status not in TRANSITIONS.get(before[0], ()):
        raise WriteError(f"A referral can't go from {before[0]} to {status}.", "/status")
    if before[0] == "Closed" and substatus != before[1]:
        raise WriteError(f"A closed referral stays {before[1]}.", "/substatus")
    if (status, substatus) != before and substatus == "Expired":
        raise WriteError("Only the service lets a referral expire.", "/substatus")
    if status == "Active" and before[0] != "Active":
        document.update(acceptedDateTime=now, expirationDateTime=None)
    if status == "Closed" and before[0] != "Closed":
        document["closedDateTime"] = now


def replaced(document: dict[str, Any], body: Any, now: str) -> dict[str, Any]:
    """Apply a PUT: what the body holds replaces what is there; read-only properties stay.

    Raises:
        WriteError: ``links`` in the body, or a bad transition.
    """
    if not isinstance(body, dict):
        raise WriteError("The body must be a referral.")
    if "links" in body:
        raise WriteError("links must be removed from the body.", "links")
    before = (str(document.get("status")), str(document.get("substatus")))
    document = {**document, **{k: v for k, v in body.items() if k not in _READ_ONLY and not k.startswith("@")}}
    _settle(document, before, now)
    return document


def created(body: Any, setting: Setting, now: int) -> dict[str, Any]:
    """A referral as stored from a POST: required parts checked, New/Pending answered as Active/Accepted.

    Raises:
        WriteError: a required part is missing or of the wrong form.
    """
    if not isinstance(body, dict):
        raise WriteError("The body must be a referral.")
    for name in ("type", "customerProfile", "consent", "details"):
        if not body.get(name):
            raise WriteError(f"{name} is required.", name)
    if body["type"] not in ("Independent", "Shared"):
        raise WriteError(f"'{body['type']}' is not a type.", "type")
    for name in ("customerProfile", "consent", "details"):
        if not isinstance(body[name], dict):
            raise WriteError(f"{name} must be an object.", name)
    targets = body.get("target") or []
    if not isinstance(targets, list) or any(not isinstance(t, dict) for t in targets):
        raise WriteError("target must be an array of objects.", "target")
    microsoft = any(t.get("id") == "msft" for t in targets)
    status = {"status": "New", "substatus": "Pending"} if microsoft else {"status": "Active", "substatus": "Accepted"}
    return {
        "name": None,
        "organizationId": "msft" if microsoft else setting.organization_id,
        "organizationName": "Microsoft" if microsoft else OWN_NAME,
        "mpnId": None if microsoft else setting.mpn_id,
        "externalReferenceId": None,
        "statusReason": None,
        "qualification": "SalesQualified",
        "direction": "Outgoing",
        "target": [],
        "team": [],
        "inviteContext": {
            "notes": None,
            "assistanceRequestCode": "Unknown",
            "invitedMpnId": setting.mpn_id,
            "invitedBy": {"organizationId": setting.organization_id, "organizationName": OWN_NAME},
        },
        "registrations": [],
        **{k: v for k, v in body.items() if k not in _READ_ONLY or k in ("type", "engagementId")},
        **status,
        "consent": {_KNOWN_CONSENT.get(k.lower(), k): v for k, v in body["consent"].items()},
        "acceptedDateTime": None if microsoft else stamp(now),
        "expirationDateTime": stamp(now + ANSWER_WITHIN) if microsoft else None,
        "closedDateTime": None,
    }
