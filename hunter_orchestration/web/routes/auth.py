"""Signing in with Entra ID: authorization code with PKCE through MSAL, sessions on this side."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msal
import requests
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from hunter_orchestration import entra
from hunter_orchestration.logging import get_logger
from hunter_orchestration.loopback import is_loopback
from hunter_orchestration.settings import Settings
from hunter_orchestration.web.context import Hunter
from hunter_orchestration.web.people import ROLES, Role, sign_in_configured
from hunter_orchestration.web.problems import ProblemError
from hunter_orchestration.web.sign_in_pages import signed_out_page, told

router = APIRouter(prefix="/auth", tags=["sign-in"], include_in_schema=False)

_FLOW_SECONDS = 600
_MOST_FLOWS = 1000
_TIMEOUT = 15

log = get_logger("hunter.web")


class SignIn:
    """Sign-ins under way, and the MSAL application that finishes them. A restart only costs a second click."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._flows: dict[str, tuple[float, dict[str, Any], str]] = {}
        self._lock = threading.Lock()
        parts = urlsplit(settings.authority_url)
        self._loopback = parts.scheme == "http" and is_loopback(parts.hostname)

    def begin(self, next_path: str) -> tuple[str, str]:
        """Where to send the browser, and the id that its cookie carries meanwhile."""
        flow = self._application().initiate_auth_code_flow(
            scopes=[], redirect_uri=f"{self._settings.page_url}/auth/callback"
        )
        if "auth_uri" not in flow:
            raise ProblemError(503, "sign_in_down", "Entra ID does not answer.", "Try again in a moment.")
        now, flow_id = time.monotonic(), secrets.token_urlsafe(24)
        with self._lock:
            self._flows = {key: kept for key, kept in self._flows.items() if now - kept[0] < _FLOW_SECONDS}
            while len(self._flows) >= _MOST_FLOWS:
                self._flows.pop(next(iter(self._flows)))
            self._flows[flow_id] = (now, flow, next_path)
        address = str(flow["auth_uri"])
        return (address.replace("https://", "http://", 1) if self._loopback else address), flow_id

    def finish(self, flow_id: str, answer: dict[str, str]) -> tuple[dict[str, Any], str]:
        """The claims of who signed in, and where they wanted to go.

        Raises:
            ProblemError: 400 when state, nonce or code do not fit a sign-in that began here.
        """
        with self._lock:
            began, flow, next_path = self._flows.pop(flow_id, (0.0, None, "/"))
        if flow is None or time.monotonic() - began > _FLOW_SECONDS:
            raise ProblemError(400, "sign_in_stale", "This sign-in began too long ago.", "Sign in again.")
        try:
            result = self._application().acquire_token_by_auth_code_flow(flow, answer)
        except ValueError:
            raise ProblemError(
                400, "sign_in_refused", "The answer does not belong to this sign-in.", "Sign in again."
            ) from None
        claims = result.get("id_token_claims")
        if not claims:
            log.warning("sign-in refused", error=str(result.get("error", "unknown")))
            raise ProblemError(403, "sign_in_refused", "Entra ID did not sign you in.", "Ask whoever manages Hunter.")
        return dict(claims), next_path

    def _application(self) -> Any:
        base, options = entra.reach(self._settings.authority_url, timeout=_TIMEOUT)
        try:
            return msal.ConfidentialClientApplication(
                self._settings.auth_client_id,
                client_credential=self._settings.auth_client_secret.get_secret_value(),
                authority=f"{base}/{self._settings.tenant_id}",
                **options,
            )
        except (requests.RequestException, ValueError) as error:
            log.warning("authority unreachable", error=type(error).__name__)
            raise ProblemError(503, "sign_in_down", "Entra ID does not answer.", "Try again in a moment.") from None


def role_of(claims: dict[str, Any]) -> Role | None:
    """The greatest role among the app roles of a token: ``Hunter.Seller`` and ``seller`` both mean seller."""
    named = {str(name).rsplit(".", 1)[-1].lower() for name in claims.get("roles") or ()}
    return next((role for role in reversed(ROLES) if role in named), None)


def _let_in(claims: dict[str, Any]) -> Role:
    role = role_of(claims)
    if role is None:
        raise ProblemError(
            403, "no_role", "You have no role in Hunter.", "Ask whoever manages it for viewer, seller or admin."
        )
    return role


def local_path(text: str) -> str:
    """A path on this server, whatever was asked: other sites and schemes become the front page."""
    if not text.startswith("/") or text.startswith(("//", "/\\")) or any(ord(char) < 32 for char in text):
        return "/"
    parts = urlsplit(text)
    return urlunsplit(("", "", parts.path, parts.query, "")) if not parts.netloc and not parts.scheme else "/"


def _cookie(hunter: Hunter) -> str:
    return "__Host-hunter-login" if hunter.sessions.https else "hunter-login"


@router.get("/login")
def login(request: Request, hunter: Hunter, next: str = "/") -> Response:  # the query's own name
    """Send the browser to Entra ID."""
    target = local_path(next[:2000])
    if not sign_in_configured(hunter.settings):
        return RedirectResponse(target, 303)
    sign_in: SignIn = request.app.state.sign_in
    try:
        address, flow_id = sign_in.begin(target)
    except ProblemError as problem:
        return told(request, problem)
    response = RedirectResponse(address, 303)
    response.set_cookie(
        _cookie(hunter),
        flow_id,
        max_age=_FLOW_SECONDS,
        path="/",
        secure=hunter.sessions.https,
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/callback")
def callback(request: Request, hunter: Hunter) -> Response:
    """Entra ID's answer: start a new session, whatever the browser held before."""
    if not sign_in_configured(hunter.settings):
        return RedirectResponse("/", 303)
    sign_in: SignIn = request.app.state.sign_in
    flow_id = request.cookies.get(_cookie(hunter), "")
    try:
        claims, next_path = sign_in.finish(flow_id, dict(request.query_params))
        role = _let_in(claims)
    except ProblemError as problem:
        return told(request, problem)
    response = RedirectResponse(next_path, 303)
    hunter.sessions.close(request, response)
    name = str(claims.get("name") or claims.get("preferred_username") or "")
    hunter.sessions.open(response, str(claims.get("oid") or claims["sub"]), name, role)
    response.delete_cookie(_cookie(hunter), path="/", secure=hunter.sessions.https, httponly=True, samesite="lax")
    return response


@router.post("/logout")
def logout(request: Request, hunter: Hunter) -> Response:
    """End the session on this side."""
    response = Response(status_code=204)
    hunter.sessions.close(request, response)
    return response


@router.get("/signed-out")
def signed_out(request: Request, hunter: Hunter) -> Response:
    """Where the page goes after signing out."""
    if not sign_in_configured(hunter.settings) or hunter.sessions.find(request) is not None:
        return RedirectResponse("/", 303)
    return signed_out_page(request)
