"""Who is asking and what they may do. Sessions live in the store, so that a restart signs nobody out."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from fastapi import Request, Response

from hunter_orchestration.loopback import is_loopback
from hunter_orchestration.settings import Settings, SettingsError
from hunter_orchestration.store import Store, page_state
from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web.problems import ProblemError

Role = Literal["viewer", "seller", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "seller", "admin")
"""From the least to the most."""

_NAME_LENGTH, _ID_LENGTH = 100, 8
_TOUCH = timedelta(minutes=1)
IDLE = "x-hunter-idle"
"""Header of a request that the page sent by itself, long after anybody touched it."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody asking. ``id`` is what is theirs (views, limits); ``actor`` is what trails of deeds keep."""

    id: str
    name: str
    role: Role
    signed_in: bool

    @property
    def actor(self) -> str:
        """Who it was, for people who read a trail later: the name, and enough of the id to tell two of a name apart."""
        return f"{self.name[:_NAME_LENGTH]} ({self.id[:_ID_LENGTH]})" if self.signed_in and self.name else self.id

    def may(self, role: Role) -> bool:
        """Whether this person's role includes another."""
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL = Person("local", "local", "admin", False)
"""Whoever sits at this machine, when no sign-in is configured."""


def sign_in_configured(settings: Settings) -> bool:
    """Whether people sign in."""
    return bool(settings.auth_client_id)


def check_exposure(settings: Settings) -> None:
    """Refuse to listen where strangers reach us without signing people in.

    Raises:
        SettingsError: naming what to set.
    """
    if is_loopback(settings.api_host):
        return
    missing = [
        name
        for name, value in (
            ("HUNTER_AUTH_CLIENT_ID", settings.auth_client_id),
            ("HUNTER_AUTH_CLIENT_SECRET", settings.auth_client_secret.get_secret_value()),
            ("HUNTER_TENANT_ID", settings.tenant_id),
            ("HUNTER_PUBLIC_URL", settings.public_url),
        )
        if not value
    ]
    if missing:
        raise SettingsError(
            f"HUNTER_API_HOST={settings.api_host} is reachable by others, so people must sign in. "
            f"Set {', '.join(missing)}, or listen on 127.0.0.1."
        )


class Sessions:
    """Signed-in sessions: a random id in a cookie, everything else in the store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._idle = timedelta(minutes=settings.session_idle_minutes)
        self._absolute = timedelta(hours=settings.session_hours)
        self.https = settings.page_url.startswith("https://")
        # A __Host- cookie is only kept by browsers over https; loopback without it needs a plain name.
        self.cookie = "__Host-hunter" if self.https else "hunter"

    def open(self, response: Response, user_id: str, name: str, role: Role) -> None:
        """Start a session with a new id and set its cookie."""
        token = secrets.token_urlsafe(32)
        now = utc_now()
        with self._store.write() as connection:
            page_state.prune_sessions(connection, now - self._absolute, now - self._idle)
            page_state.open_session(
                connection,
                {
                    "id_hash": _hashed(token),
                    "user_id": user_id,
                    "name": name[:200],
                    "role": role,
                    "opened_at": now,
                    "seen_at": now,
                },
            )
        response.set_cookie(
            self.cookie,
            token,
            max_age=int(self._absolute.total_seconds()),
            path="/",
            secure=self.https,
            httponly=True,
            samesite="lax",
        )

    def find(self, request: Request) -> Person | None:
        """Who the request's cookie belongs to, if its session still holds."""
        token = request.cookies.get(self.cookie)
        if not token:
            return None
        now, key = utc_now(), _hashed(token)
        with self._store.read() as connection:
            row = page_state.session(connection, key)
        if row is None:
            return None
        if now - row["opened_at"] > self._absolute or now - row["seen_at"] > self._idle:
            with self._store.write() as connection:
                page_state.end_session(connection, key)
            return None
        if now - row["seen_at"] > _TOUCH and _is_use(request):
            with self._store.write() as connection:
                page_state.touch_session(connection, key, now)
        return Person(row["user_id"], row["name"], row["role"], True)

    def close(self, request: Request, response: Response) -> None:
        """End the session on this side, and drop the cookie."""
        token = request.cookies.get(self.cookie)
        if token:
            with self._store.write() as connection:
                page_state.end_session(connection, _hashed(token))
        response.delete_cookie(self.cookie, path="/", secure=self.https, httponly=True, samesite="lax")


def _is_use(request: Request) -> bool:
    """Whether somebody is there: an open page asks on by itself, and would else keep a left desk signed in all day."""
    return request.headers.get(IDLE) != "1" and not request.url.path.endswith("/events")


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def signed_out() -> ProblemError:
    """401 for a request without a session."""
    return ProblemError(401, "signed_out", "Nobody is signed in, or the session has ended.", "Sign in at /auth/login.")


def not_allowed(role: Role) -> ProblemError:
    """403 for a role that is not enough."""
    return ProblemError(403, "forbidden", f"This needs the role {role}.", "Ask whoever manages Hunter's app roles.")
