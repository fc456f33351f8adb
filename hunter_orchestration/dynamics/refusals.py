"""What Dataverse refuses, by code and never by status alone (contract sections 4, 5, 8, 13 and 17)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hunter_orchestration.dynamics.fixes import WORDS
from hunter_orchestration.errors import PermanentError, TransientError
from hunter_orchestration.logging import mask


class DynamicsOffError(PermanentError):
    """Dynamics is switched off."""

    def __init__(self) -> None:
        PermanentError.__init__(
            self, "Dynamics 365 is switched off; nothing was read or sent.", "Set HUNTER_DYNAMICS_ENABLED=true."
        )

    def __reduce__(self) -> tuple[type[DynamicsOffError], tuple[()]]:
        return type(self), ()


class SignInError(PermanentError):
    """Entra ID gives no token for the organisation, or the organisation does not take it."""


class NotReadyError(PermanentError):
    """The organisation is not what the mapping needs: preflight says what is missing."""


class ThrottledError(TransientError):
    """Dataverse asked us to wait for longer than a run waits. ``retry_after`` is in seconds, capped."""


class UnreachableError(TransientError):
    """No usable answer came. The request may have been carried out: look before it is repeated."""


class CrmRefusedError(PermanentError):
    """One request was refused.

    Args:
        refusal: the CRM's answer.
    """

    def __init__(self, refusal: Refusal) -> None:
        # The CRM and its plug-ins quote what they refuse, and this sentence reaches logs; the ledger keeps it whole.
        said = f"Dynamics refused the request ({refusal.code or refusal.status}): {mask(refusal.message)}"
        PermanentError.__init__(self, said if said.endswith((".", "!", "?")) else f"{said}.", WORDS[fix_of(refusal)])
        self.refusal = refusal

    def __reduce__(self) -> tuple[type[CrmRefusedError], tuple[Refusal]]:
        return type(self), (self.refusal,)


THROTTLED = frozenset({"0x80072321", "0x80072322", "0x80072326", "0x8005f103"})
EXECUTION_TIME = "0x80072321"
CONCURRENCY = "0x80072326"
_DUPLICATE = "0x80040333"
_KEY_TAKEN = frozenset({"0x80060892", "0x80040237"})
_STALE = "0x80060882"
_GONE = frozenset({"0x80040217", "0x80060891"})
_LOCKED_OUT = frozenset({"0x80072560", "0x80040225"})
"""The application user is no member of the organisation, or disabled: that is no fault of one record."""
_PASSING = frozenset({"0x80044150", "0x80044151"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is not a success: HTTP status, code in lower case (may be empty), the CRM's words."""

    status: int
    code: str
    message: str

    @property
    def kind(self) -> str:
        """throttled, duplicate, key_taken, stale, gone, passing, signed_out, forbidden or refused."""
        if self.code in THROTTLED or self.status == 429:
            return "throttled"
        if self.code == _DUPLICATE:
            return "duplicate"
        if self.code in _KEY_TAKEN:
            return "key_taken"
        if self.code == _STALE or (self.status == 412 and "version" in self.message.lower()):
            return "stale"
        if self.status == 412:
            return "key_taken"
        if self.code in _GONE or self.status == 404:
            return "gone"
        if self.status == 401 or self.code in _LOCKED_OUT:
            return "signed_out"
        if self.status == 403:
            return "forbidden"
        if self.code in _PASSING or (self.status >= 500 and self.status != 501):
            return "passing"
        return "refused"


def read_refusal(status: int, body: Any) -> Refusal:
    """The refusal in an answer's JSON; one without code or words still says its status."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return Refusal(status, "", f"HTTP status {status} without an explanation.")
    code = str(error.get("code") or "").strip().lower()
    if code.lstrip("-").isdecimal():
        # The same numbers as the documentation's lists give them: signed, in decimal.
        code = f"0x{int(code) & 0xFFFFFFFF:08x}" if int(code) else ""
    return Refusal(status, "" if code == "0x0" else code, str(error.get("message") or f"HTTP status {status}.")[:2000])


_FIXES = {
    "0x80040265": "plugin_refused",
    "0x80044331": "text_too_long",
    "0x8004431a": "option_unknown",
    "0x80040220": "privilege_missing",
    "0x80048306": "record_access_missing",
    "0x8004f508": "field_forbidden",
    "0x8004432f": "value_out_of_range",
    "0x80044330": "value_out_of_range",
    "0x80040203": "value_not_allowed",
    "0x80048d19": "payload_wrong",
}


def fix_of(refusal: Refusal) -> str:
    """What a person can do, as a key of the message catalogue."""
    return _FIXES.get(refusal.code, "field_forbidden" if refusal.kind == "forbidden" else "see_crm_message")
