"""Signing in to Partner Center through Entra ID: once by device code, silently from then on (contract section 1).

The kinds, in this order: a refresh token from the settings; the demo's own sign-in; the account of ``hunter login``;
a certificate or secret alone, which Partner Center accepts for few tenants.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msal
import requests

from hunter_orchestration import entra
from hunter_orchestration.errors import HunterError, PermanentError, TransientError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.partner_center.client import checked_origin
from hunter_orchestration.partner_center.refusals import (
    ConsentMissingError,
    MfaRequiredError,
    SignInExpiredError,
    SignInNeededError,
    SignInRefusedError,
    WrongAudienceError,
)
from hunter_orchestration.partner_center.token_cache import open_cache, read_state, write_state
from hunter_orchestration.settings import Settings

Method = Literal["refresh_token", "demo", "device_code", "certificate", "secret", "none"]
Sees = Literal["all", "own", "unknown"]

HOLDS = timedelta(days=90)
"""How long a refresh token lives unused (contract section 1)."""

_MARGIN = 300
_MFA_CODES = frozenset({50072, 50074, 50076, 50079, 50158})
_CONSENT_CODES = frozenset({65001, 65004, 650052, 90094})
_AUDIENCE_CODES = frozenset({500011, 500014, 650057, 70011})

_AWAY = (requests.RequestException, msal.exceptions.MsalServiceError)
"""What MSAL lets through when Entra ID can't be reached, or fails on its own side."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person has to do: open ``address`` and type ``code`` before ``expires_at``."""

    address: str
    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SignInStatus:
    """Who is signed in and how long that holds if it is not used from now on. Times are UTC.

    ``sees``: whether the role shows every referral or only the account's own; judged by the referrals themselves.
    """

    signed_in: bool
    method: Method
    account: str | None
    tenant: str | None
    sees: Sees
    signed_in_at: datetime | None
    last_used_at: datetime | None
    holds_until: datetime | None
    days_left: int | None
    problem: str | None


def method_of(settings: Settings) -> Method:
    """Which kind of sign-in the settings lead to."""
    if settings.refresh_token.get_secret_value():
        return "refresh_token"
    if settings.demo:
        return "demo"
    if read_state(settings).get("method") == "device_code":
        return "device_code"
    if settings.client_certificate:
        return "certificate"
    return "secret" if settings.client_secret.get_secret_value() else "none"


def _application(settings: Settings, method: Method) -> Any:
    if not settings.client_id:
        raise SignInRefusedError(
            "No app registration is configured for Partner Center.", "Set HUNTER_CLIENT_ID and HUNTER_TENANT_ID."
        )
    base, options = entra.reach(checked_origin(settings.authority_url, "HUNTER_AUTHORITY_URL"))
    authority = f"{base}/{settings.tenant_id or 'organizations'}"
    if method == "device_code":
        options["token_cache"] = open_cache(settings)
    credential = None if method in ("device_code", "demo") else _credential(settings)
    try:
        if credential is None:
            return msal.PublicClientApplication(settings.client_id, authority=authority, **options)
        return msal.ConfidentialClientApplication(
            settings.client_id, authority=authority, client_credential=credential, **options
        )
    except _AWAY as error:
        raise _unreachable(error) from None
    except ValueError as error:
        raise SignInRefusedError(
            f"The sign-in authority refuses these settings ({type(error).__name__}).",
            "Check HUNTER_AUTHORITY_URL, HUNTER_TENANT_ID and HUNTER_CLIENT_CERTIFICATE.",
        ) from None


def _credential(settings: Settings) -> Any:
    if settings.client_certificate is not None:
        return entra.credential(settings.client_certificate, SignInRefusedError)
    return settings.client_secret.get_secret_value() or None


class Tokens:
    """Access tokens for the Referrals API, one at a time, renewed before they end.

    Args:
        audience: another API of Partner Center, for webhook registration; empty: the Referrals API.

    Raises on ``token``: ``SignInNeededError``, ``SignInExpiredError``, ``MfaRequiredError``, ``ConsentMissingError``,
    ``WrongAudienceError``, ``SignInRefusedError``, ``TokenCacheError``; ``TransientError`` when Entra ID is away.
    """

    def __init__(self, settings: Settings, audience: str = "") -> None:
        self._settings = settings
        self._scopes = [f"{audience or settings.partner_center_audience}/.default"]
        self._held: tuple[str, float] | None = None
        self._application: Any = None
        self._method: Method = "none"

    def token(self, *, force: bool = False) -> str:
        """A token with some minutes left; ``force`` asks for a new one because the last was refused."""
        if self._held and not force and self._held[1] > time.monotonic():
            return self._held[0]
        try:
            answer = self._acquire(force)
        except _AWAY as error:
            # MSAL gives the same failed answer for a minute; a new application asks again.
            self._application = None
            raise _unreachable(error) from None
        except PermanentError as error:
            self.refused(error)
            raise
        token = str(answer["access_token"])
        self._held = (token, time.monotonic() + max(0, int(answer.get("expires_in", 0)) - _MARGIN))
        _note_use(self._settings, self._method, answer)
        return token

    def refused(self, error: HunterError) -> None:
        """Remember why the service turned the account away; the next token it takes forgets that."""
        write_state(self._settings, problem=str(error))

    def _acquire(self, force: bool) -> Mapping[str, Any]:
        if self._application is None:
            self._method = method_of(self._settings)
            if self._method == "none":
                raise SignInNeededError()
            self._application = _application(self._settings, self._method)
        application = self._application
        if accounts := application.get_accounts():
            answer = application.acquire_token_silent_with_error(self._scopes, accounts[0], force_refresh=force)
            if answer and "access_token" in answer:
                return dict(answer)
            if self._method == "device_code":
                raise _refused(answer or {})
        return self._afresh(application)

    def _afresh(self, application: Any) -> Mapping[str, Any]:
        match self._method:
            case "refresh_token":
                secret = self._settings.refresh_token.get_secret_value()
                answer = application.acquire_token_by_refresh_token(secret, self._scopes)
            case "demo":
                answer = application.acquire_token_by_device_flow(application.initiate_device_flow(self._scopes))
            case "certificate" | "secret":
                answer = application.acquire_token_for_client(self._scopes)
            case _:
                raise SignInNeededError()
        if "access_token" not in answer:
            raise _refused(answer)
        return dict(answer)


def login(settings: Settings, show: Callable[[DeviceCode], None]) -> SignInStatus:
    """Sign a person in by device code: shows the code, waits until it is used or lapses.

    Raises:
        PermanentError: refused or not completed in time.
    """
    application = _application(settings, "device_code")
    scopes = [f"{settings.partner_center_audience}/.default"]
    try:
        flow = application.initiate_device_flow(scopes)
        if "user_code" not in flow:
            raise _refused(flow)
        expires = datetime.fromtimestamp(float(flow["expires_at"]), UTC)
        show(DeviceCode(str(flow["verification_uri"]), str(flow["user_code"]), expires))
        answer = application.acquire_token_by_device_flow(flow)
    except _AWAY as error:
        raise _unreachable(error) from None
    if "access_token" not in answer:
        raise _refused(answer)
    # Whoever signed in before is signed out: syncs would go on as the first account of the cache.
    person = (answer.get("id_token_claims") or {}).get("oid")
    for account in application.get_accounts():
        if account.get("local_account_id") != person:
            application.remove_account(account)
    _note_use(settings, "device_code", answer, signed_in_at=datetime.now(UTC).isoformat(), sees="unknown")
    return sign_in_status(settings)


def note_sees(settings: Settings, rows: Sequence[Any]) -> Sees:
    """Judge and remember whether the role shows every referral: a Referrals User sees those only whose team has him.

    Args:
        rows: some referrals as they came. None at all proves nothing.
    """
    account = str(read_state(settings).get("account") or "").lower()
    if not rows or not account:
        return "unknown"
    sees: Sees = "own" if all(account in _team(row) for row in rows) else "all"
    write_state(settings, sees=sees)
    return sees


def _team(row: Any) -> set[str]:
    members = row.get("team") if isinstance(row, Mapping) else None
    listed = members if isinstance(members, list) else [members]
    return {str(member.get("email") or "").lower() for member in listed if isinstance(member, Mapping)}


def sign_in_status(settings: Settings, now: datetime | None = None) -> SignInStatus:
    """What is known without asking anybody: reads two small files."""
    now = now or datetime.now(UTC)
    state = read_state(settings)
    method = method_of(settings)
    used = _time(state.get("last_used_at"))
    until = used + HOLDS if used and method in ("device_code", "refresh_token") else None
    problem = state.get("problem")
    if method == "none":
        problem = str(SignInNeededError())
    elif until is not None and until <= now:
        problem = str(SignInExpiredError())
    return SignInStatus(
        signed_in=method != "none" and problem is None,
        method=method,
        account=state.get("account"),
        tenant=state.get("tenant"),
        sees=state.get("sees") or "unknown",
        signed_in_at=_time(state.get("signed_in_at")),
        last_used_at=used,
        holds_until=until,
        days_left=(until - now) // timedelta(days=1) if until else None,
        problem=problem,
    )


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _note_use(settings: Settings, method: Method, answer: Mapping[str, Any], **more: Any) -> None:
    claims = answer.get("id_token_claims") or {}
    changes: dict[str, Any] = {"method": method, "problem": None, **more}
    if answer.get("token_source") != "cache":
        changes["last_used_at"] = datetime.now(UTC).isoformat()
    if claims:
        changes["account"] = claims.get("preferred_username") or claims.get("upn") or claims.get("name")
        changes["tenant"] = claims.get("tid")
    write_state(settings, **changes)


def _unreachable(error: Exception) -> TransientError:
    return TransientError(
        f"Entra ID could not be reached to sign in ({type(error).__name__}).", "It is tried again by the next sync."
    )


def _refused(answer: Mapping[str, Any]) -> HunterError:
    """The error of a refused sign-in. Entra's own text stays out: it names accounts."""
    codes = {int(code) for code in answer.get("error_codes") or () if str(code).isdigit()}
    error = str(answer.get("error") or "")
    _log.error("sign-in refused", error=error, codes=sorted(codes))
    if codes & _MFA_CODES or answer.get("suberror") in ("basic_action", "additional_action"):
        return MfaRequiredError()
    if codes & _CONSENT_CODES or error == "consent_required":
        return ConsentMissingError()
    if codes & _AUDIENCE_CODES or error in ("invalid_resource", "invalid_scope"):
        return WrongAudienceError()
    if not answer or error in ("invalid_grant", "interaction_required", "login_required"):
        return SignInExpiredError()
    if error in ("temporarily_unavailable", "server_error"):
        return TransientError("Entra ID is not available right now.", "It is tried again by the next sync.")
    if error in ("expired_token", "code_expired", "authorization_pending"):
        return SignInRefusedError("The code was not used in time.", "Run hunter login again.")
    if error in ("authorization_declined", "access_denied"):
        return SignInRefusedError("The sign-in was declined.", "Run hunter login again.")
    if error in ("invalid_client", "unauthorized_client"):
        return SignInRefusedError(
            "Entra ID does not accept the app registration or its secret.",
            "Check HUNTER_CLIENT_ID, HUNTER_CLIENT_SECRET and HUNTER_CLIENT_CERTIFICATE, and that public client flows "
            "are allowed for hunter login.",
        )
    shown = ", ".join(f"AADSTS{code}" for code in sorted(codes)) or error
    return SignInRefusedError(f"Entra ID refused the sign-in ({shown}).", "Look the code up in Entra's sign-in log.")
