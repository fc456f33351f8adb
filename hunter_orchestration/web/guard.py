"""The wall every request passes: names it, checks where it comes from and how large it is, and puts the security
headers on whatever is answered, errors and static files included. A plain ASGI middleware, outermost."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hunter_orchestration.logging import get_logger
from hunter_orchestration.loopback import is_loopback
from hunter_orchestration.settings import Settings
from hunter_orchestration.web.problems import ProblemError, answer, from_exception

JSON_LIMIT = 1_000_000
"""Largest JSON body, in bytes. A bulk action of 20,000 domains is half of it."""
UPLOAD_LIMIT = 64_000_000
"""Largest uploaded file, in bytes."""

CSP = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'; connect-src 'self'"
)
_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OF_DOCUMENTS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""Browsers read these of pages alone; on some fifty modules they would only add to what a first visit transfers."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SIMPLE_TYPES = ("text/plain", "application/x-www-form-urlencoded")

log = get_logger("hunter.web")


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Names this server answers to, without ports: loopback's, the configured address and the public one."""
    hosts = {"localhost", "127.0.0.1", "[::1]"} if is_loopback(settings.api_host) else set()
    if settings.public_url:
        hosts.add((urlsplit(settings.public_url).hostname or "").lower())
    if settings.api_host not in ("0.0.0.0", "::", ""):
        hosts.add(settings.api_host.lower())
    return frozenset(hosts)


def _name(host: str) -> str:
    """The host of a Host header without its port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.rsplit(":", 1)[0] if ":" in host else host


class Guard:
    """See the module.

    Args:
        app: what is protected.
        hosts: names answered to.
        https: whether people reach this server over https, so that HSTS may be sent.
        signed: paths that other services post to with a signature of their own; no origin is checked there.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], *, https: bool, signed: Iterable[str] = ()) -> None:
        self.app, self.hosts, self.https, self.signed = app, frozenset(hosts), https, frozenset(signed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 0
        begun = False

        async def send_safely(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                begun, status = True, message["status"]
                self._add_headers(scope, MutableHeaders(scope=message), request_id)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                headers = Headers(scope=scope)
                self._check(scope, headers)
                await self.app(scope, _Limited(receive, self._limit(headers)), send_safely)
            except ProblemError as problem:
                if not begun:
                    await answer(problem, request_id)(scope, receive, send_safely)
            except Exception as error:  # the wall is where unknown errors become an answer
                log.exception("request failed", path=scope["path"], method=scope["method"])
                if not begun:
                    await answer(from_exception(error), request_id)(scope, receive, send_safely)
            if scope["path"].startswith("/api/") or status >= 400:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    milliseconds=round((time.perf_counter() - started) * 1000, 1),
                )

    def _limit(self, headers: Headers) -> int:
        is_file = headers.get("content-type", "").startswith("multipart/form-data")
        return UPLOAD_LIMIT if is_file else JSON_LIMIT

    def _check(self, scope: Scope, headers: Headers) -> None:
        if _name(headers.get("host", "")) not in self.hosts:
            raise ProblemError(
                400, "wrong_host", "This server does not answer to that name.", "Set HUNTER_PUBLIC_URL to its address."
            )
        if scope["method"] in _SAFE:
            return
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._limit(headers):
            raise _too_large(self._limit(headers))
        if scope["path"] not in self.signed:
            self._check_origin(headers)

    def _check_origin(self, headers: Headers) -> None:
        foreign = ProblemError(
            403, "cross_site", "This request came from another site.", "Use Hunter's own page, or send JSON."
        )
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise foreign
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            raise foreign
        content_type = headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type in _SIMPLE_TYPES:
            raise foreign
        if content_type not in ("", "application/json", "multipart/form-data"):
            raise ProblemError(415, "wrong_content_type", "The body must be JSON, or a file as multipart/form-data.")

    def _add_headers(self, scope: Scope, headers: MutableHeaders, request_id: str) -> None:
        is_document = headers.get("content-type", "").startswith("text/html")
        for name, value in (_HEADERS | _OF_DOCUMENTS if is_document else _HEADERS).items():
            headers.setdefault(name, value)
        headers["X-Request-Id"] = request_id
        if self.https:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        # Answers are people's data unless a route says otherwise (static files, ETag lists).
        headers.setdefault("Cache-Control", "no-store")


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, "too_large", f"The body is larger than {limit // 1_000_000} MB.", "Send less at once.")


class _Limited:
    """Counts a body as it comes, whatever its Content-Length said."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.receive, self.limit, self.seen = receive, limit, 0

    async def __call__(self) -> dict[str, Any]:
        message = await self.receive()
        if message["type"] == "http.request":
            self.seen += len(message.get("body", b""))
            if self.seen > self.limit:
                # The framework turns any other exception while it reads a body into "can't be read".
                raise HTTPException(413, _too_large(self.limit).detail)
        return dict(message)
