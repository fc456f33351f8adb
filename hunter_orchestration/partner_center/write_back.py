"""What a seller does to a referral from here: accept, decline, win, lose, and our CRM's id on it.

Off unless ``HUNTER_PARTNER_CENTER_WRITE_BACK`` is set. A transition is checked against the contract's table
(section 4) on a fresh copy before anything is sent, and every attempt is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from hunter_orchestration.errors import HunterError, PermanentError
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.ingestion import SOURCE, Scrub, payload_hash
from hunter_orchestration.partner_center.models import ReferralRecord, UnreadableError, identity, read
from hunter_orchestration.partner_center.reading import read_referrals
from hunter_orchestration.partner_center.refusals import ChangedSinceReadError
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store, raw_leads
from hunter_orchestration.store.raw_leads import Payload
from hunter_orchestration.store.referrals import record_action
from hunter_orchestration.store.runs import LeaseHeldError, emit
from hunter_orchestration.store.work import utc_now

Action = Literal["accept", "decline", "win", "lose", "reference", "deal_value"]

_RESULT = {
    "accept": ("Active", "Accepted"),
    "decline": ("Closed", "Declined"),
    "win": ("Closed", "Won"),
    "lose": ("Closed", "Lost"),
}
_FROM = {"accept": "New", "decline": "New", "win": "Active", "lose": "Active"}
_TRIES = 3


class WriteBackOffError(PermanentError):
    """Writing to Partner Center is switched off."""


class TransitionRefusedError(PermanentError):
    """The referral's status does not allow this action."""


@dataclass(frozen=True, slots=True)
class ActionResult:
    """How the referral stands after the action; ``changed`` is false when it stood so already."""

    referral_id: str
    status: str
    substatus: str
    changed: bool


def allowed_actions(status: str, substatus: str, direction: str | None) -> list[Action]:
    """What the page may offer for a referral. Only its receiver accepts or declines; a closed one stays closed."""
    if status == "New" and direction != "Outgoing":
        return ["accept", "decline", "reference"]
    if status == "Active":
        return ["win", "lose", "reference", "deal_value"]
    return ["reference"]


def act(
    store: Store,
    client: PartnerCenterClient,
    settings: Settings,
    referral_id: str,
    action: Action,
    *,
    requested_by: str,
    reason: str | None = None,
    reference: str | None = None,
    deal_value: Decimal | None = None,
    scrub: Scrub | None = None,
) -> ActionResult:
    """Do it in Partner Center, keep the referral as it is afterwards, record who asked.

    Args:
        reason: free text for a decline or a loss.
        reference: the Dynamics record's id, for ``reference``.
        deal_value: for ``deal_value``, in the referral's currency.

    Raises:
        WriteBackOffError: the setting is off; nothing was sent.
        TransitionRefusedError: not from this status; nothing was sent.
        ChangedSinceReadError: somebody else keeps changing it.
    """
    if not settings.partner_center_write_back:
        raise WriteBackOffError(
            "Writing to Partner Center is switched off.", "Set HUNTER_PARTNER_CENTER_WRITE_BACK=true to allow it."
        )
    wanted = _operations(action, reason, reference, deal_value)
    try:
        payload, changed = _carry_out(client, referral_id, action, wanted)
        record = read(payload)
    except UnreadableError as error:
        _record(store, referral_id, action, requested_by, "refused", error.detail)
        raise TransitionRefusedError(f"Referral {referral_id} can't be understood: {error.detail}") from None
    except HunterError as error:
        _record(store, referral_id, action, requested_by, "refused", str(error))
        raise
    _record(store, referral_id, action, requested_by, "done", reason)
    _keep(store, scrub(payload) if scrub else payload)
    return ActionResult(record.id, record.status, record.substatus, changed)


def _carry_out(
    client: PartnerCenterClient, referral_id: str, action: Action, wanted: list[dict[str, str]]
) -> tuple[dict[str, Any], bool]:
    for attempt in range(_TRIES):
        payload, etag = client.get(referral_id)
        record = read(payload)
        if _holds(record, payload, action, wanted):
            # An answer that was lost, or somebody was faster: either way it is as asked for.
            return payload, attempt > 0
        if action not in allowed_actions(record.status, record.substatus, record.direction):
            raise TransitionRefusedError(
                f"Referral {referral_id} is {record.status}/{record.substatus}; {action} is not possible from there.",
                f"It needs to be {_FROM[action]}." if action in _FROM else "",
            )
        try:
            return client.patch(referral_id, wanted, etag), True
        except ChangedSinceReadError:
            continue
    raise ChangedSinceReadError(referral_id)


def _holds(record: ReferralRecord, payload: Mapping[str, Any], action: Action, wanted: list[dict[str, str]]) -> bool:
    if action == "reference":
        return record.external_reference_id == wanted[0]["value"]
    if action == "deal_value":
        return record.deal_value == Decimal(wanted[0]["value"])
    return (record.status, record.substatus) == _RESULT[action]


def _operations(
    action: Action, reason: str | None, reference: str | None, deal_value: Decimal | None
) -> list[dict[str, str]]:
    if action == "reference":
        return [_replace("/externalReferenceId", _needed(reference, "reference"))]
    if action == "deal_value":
        # The documentation's own sample sends the number as text.
        return [_replace("/details/dealValue", _needed(None if deal_value is None else f"{deal_value:f}", "amount"))]
    status, substatus = _RESULT[action]
    operations = [_replace("/status", status), _replace("/substatus", substatus)]
    return [*operations, _replace("/statusReason", reason)] if reason else operations


def _needed(value: str | None, name: str) -> str:
    if not value:
        raise TransitionRefusedError(f"No {name} was given.", f"Give the {name} to write.")
    return value


def _replace(path: str, value: str) -> dict[str, str]:
    return {"op": "replace", "path": path, "value": value}


def _record(store: Store, referral_id: str, action: str, requested_by: str, state: str, detail: str | None) -> None:
    with store.write() as connection:
        record_action(connection, referral_id, action, requested_by, state, detail)
        emit(connection, "referral_action", referral_id, {"action": action, "state": state})


def _keep(store: Store, payload: dict[str, Any]) -> None:
    now = utc_now()
    external_id, updated_at = identity(payload)
    kept = Payload(external_id, payload_hash(payload), payload, updated_at)
    with store.write() as connection:
        raw_leads.keep(connection, SOURCE, [kept], now=now, pass_started=now)
    _try_reading(lambda: read_referrals(store))


def _try_reading(reading: Callable[[], object]) -> None:
    try:
        reading()
    except LeaseHeldError:
        return  # the run that reads right now finds the payload waiting
