"""Tokens for the organisation: client credentials through MSAL, with a secret or a certificate (contract section 2)."""

from __future__ import annotations

import threading
from typing import Any, Protocol
from urllib.parse import urlsplit

import msal
import requests

from hunter_orchestration import entra
from hunter_orchestration.dynamics.refusals import SignInError, UnreachableError
from hunter_orchestration.loopback import is_loopback
from hunter_orchestration.settings import Settings

_UNKNOWN_ADDRESS = "AADSTS500011"
_MFA = "AADSTS50076"
_AWAY = ("temporarily_unavailable", "server_error")


class TokenSource(Protocol):
    """Where the bearer token comes from; ``force`` asks for a new one because the last was refused."""

    def token(self, *, force: bool = False) -> str: ...


class AppTokens:
    """Tokens of the app registration for ``{organisation}/.default``, kept by MSAL until just before they end.

    ``token`` raises ``SignInError`` when Entra ID refuses, ``UnreachableError`` when it is away.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scope = f"{settings.dynamics_url}/.default"
        self._lock = threading.Lock()
        self._application: Any = None

    def token(self, *, force: bool = False) -> str:
        """A bearer token; ``force`` drops the kept one first."""
        with self._lock:
            try:
                if self._application is None or force:
                    self._application = self._new()
                answer = self._application.acquire_token_for_client(scopes=[self._scope])
            except (requests.RequestException, msal.exceptions.MsalServiceError) as error:
                # MSAL gives the same failed answer for a minute; a new application asks again.
                self._application = None
                raise UnreachableError(
                    f"Entra ID can't be reached ({type(error).__name__}).",
                    "Check the network and HUNTER_AUTHORITY_URL.",
                ) from None
        if "access_token" in answer:
            return str(answer["access_token"])
        if answer.get("error") in _AWAY:
            raise UnreachableError("Entra ID is not available right now.", "The next run tries again.")
        words = str(answer.get("error_description") or answer.get("error") or "no reason given").splitlines()[0]
        if _MFA in words:
            fix = "Sign in again: the account needs multi-factor authentication; use an app registration instead."
        elif _UNKNOWN_ADDRESS in words:
            fix = "Check HUNTER_DYNAMICS_URL: it is no organisation of this tenant (HUNTER_DYNAMICS_TENANT_ID)."
        else:
            fix = (
                "Sign in again: check HUNTER_CLIENT_ID, HUNTER_CLIENT_SECRET or HUNTER_CLIENT_CERTIFICATE, and that "
                "the application user exists in the organisation."
            )
        raise SignInError(f"Entra ID gives no token for Dynamics: {words}", fix)

    def _new(self) -> Any:
        settings = self._settings
        tenant = settings.dynamics_tenant_id or settings.tenant_id
        if not settings.client_id or not tenant:
            raise SignInError(
                "No app registration is configured for Dynamics.", "Set HUNTER_CLIENT_ID and HUNTER_TENANT_ID."
            )
        parts = urlsplit(settings.authority_url)
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise SignInError("HUNTER_AUTHORITY_URL is not https.", "Write it with https://.")
        base, options = entra.reach(settings.authority_url)
        try:
            return msal.ConfidentialClientApplication(
                settings.client_id, authority=f"{base}/{tenant}", client_credential=self._credential(), **options
            )
        except ValueError as error:
            raise SignInError(
                f"The sign-in authority refuses these settings ({type(error).__name__}).",
                "Check HUNTER_AUTHORITY_URL, HUNTER_TENANT_ID and HUNTER_CLIENT_CERTIFICATE.",
            ) from None

    def _credential(self) -> Any:
        settings = self._settings
        if settings.client_certificate is not None:
            return entra.credential(settings.client_certificate, SignInError)
        secret = settings.client_secret.get_secret_value()
        if not secret:
            raise SignInError(
                "Neither a client secret nor a certificate is configured.",
                "Set HUNTER_CLIENT_SECRET or HUNTER_CLIENT_CERTIFICATE.",
            )
        return secret
