"""The ASGI application: sign-in, limits, counters, and the organisation's life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from pathlib import Path
from typing import Any, Protocol

from hunter_orchestration.sandbox.clock import Clock
from hunter_orchestration.sandbox.dataverse import errors, seeds
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.journal import Journal
from hunter_orchestration.sandbox.dataverse.limits import Limits
from hunter_orchestration.sandbox.dataverse.rows import Organisation
from hunter_orchestration.sandbox.dataverse.schema import stable_id
from hunter_orchestration.sandbox.dataverse.web_api import WebApi
from hunter_orchestration.sandbox.dataverse.wire import Request, Response, refusal
from hunter_orchestration.sandbox.faults import Faults
from hunter_orchestration.sandbox.tokens import TokenRefusedError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_NAMESPACE = "Microsoft.Dynamics.CRM."
_BULK = frozenset({"CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"})
_LARGEST_BODY = 116_850_000
"""Message size limit in bytes (contract, section 7)."""

SWITCHES: dict[str, Any] = {
    "require_crlf": True,
    "require_content_id": True,
    "refuse_reserved_key_characters": True,
    "key_in_body_trap": True,
    "key_case_sensitive": False,
    "refuse_read_only": True,
    "refuse_closed_records": True,
    "refuse_statecode_on_create": True,
    "enforce_required": True,
    "duplicate_status": 412,
    "key_pending_reads": 2,
    "stale_metadata_s": 0,
    "page_size": 5000,
    "batch_limit": 1000,
    "change_tracking_days": 7,
    "limit_requests": 6000,
    "limit_window_s": 300,
    "limit_execution_ms": 1_200_000,
    "limit_concurrency": 52,
    "throttle_when_parallel": 0,
    "execution_ms_per_row": 0,
    "latency_ms": 0,
    "retry_after": None,
    "missing_privileges": [],
    "forbidden_columns": {},
    "refuse_rows": [],
    "rewrite_rows": [],
}
"""Every switch and its strict default."""


class TokenCheck(Protocol):
    """What the app needs of the sandbox's tokens."""

    def verify(self, authorization: str | None, audience: str) -> dict[str, Any]:
        """The claims of a bearer header; raises ``TokenRefusedError``."""


class DataverseApp:
    """``/api/data/v9.2/...`` of one organisation.

    Args:
        world: the sandbox's companies (``world.companies``, each with ``domain`` and ``name``), or None; a few of them
            are known to the CRM already.
        tokens: checks bearer headers; None accepts every bearer but ``expired``.
        base_url: the address clients use, without a path; also the audience of tokens.
        prepared: start with Hunter's solution, columns and active keys.
        state: a folder that keeps the organisation; what it holds wins over ``prepared``.
    """

    def __init__(
        self,
        world: seeds.Companies | None,
        tokens: TokenCheck | None,
        clock: Clock,
        faults: Faults,
        base_url: str,
        *,
        prepared: bool = False,
        state: Path | None = None,
    ) -> None:
        self.world = world
        self.tokens = tokens
        self.clock = clock
        self.faults = faults
        self.base_url = base_url.rstrip("/")
        self.root = f"{self.base_url}/api/data/v9.2/"
        self.settings = faults.declare("dataverse", **SWITCHES)
        self.limits = Limits(clock, self.settings)
        self.requests = 0
        self.journal = Journal(state / "dataverse.jsonl") if state is not None else None
        self.org: Organisation
        self._begin()
        if self.journal is None or not self.journal.load(self.org):
            self._seed(prepared)
        self.forget_counts()

    def reset(self, prepared: bool = False) -> None:
        """A fresh organisation."""
        self._begin()
        self._seed(prepared)
        self.forget_counts()

    def _begin(self) -> None:
        self.org = Organisation(self.clock)
        self.api = WebApi(self.org, self.settings, self.faults, self.root)

    def _seed(self, prepared: bool) -> None:
        seeds.found(self.org)
        if prepared:
            seeds.prepare(self.org)
        seeds.populate(self.org, self.api.records, self.world)
        if self.journal is not None:
            self.journal.start(self.org)

    def forget_counts(self) -> None:
        """Count requests, writes and broken limits from zero."""
        self.limits.reset()
        self.requests = 0
        for data in self.org.data.values():
            data.writes.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        chunks = []
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        raw = scope.get("raw_path") or scope["path"].encode()
        request = Request(
            scope["method"], raw.decode("latin-1"), scope["query_string"].decode("latin-1"), headers, b"".join(chunks)
        )
        response = await self.serve(request)
        out, body = response.encode()
        out["Date"] = formatdate(self.clock.timestamp(), usegmt=True)
        out["x-ms-service-request-id"] = stable_id("request", str(self.requests))
        if "x-ms-client-request-id" in headers:
            out["x-ms-client-request-id"] = headers["x-ms-client-request-id"]
        if response.status not in (204, 304):
            out["Content-Length"] = str(len(body))
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [(k.encode("latin-1"), v.encode("utf-8")) for k, v in out.items()],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def serve(self, request: Request) -> Response:
        """Sign-in, limits, then the answer."""
        self.requests += 1
        try:
            request.claims = self._claims(request.headers.get("authorization"))
        except TokenRefusedError:
            challenge = (
                f'Bearer authorization_uri="{self.base_url}/common/oauth2/authorize", resource_id={self.base_url}/'
            )
            return Response(401, {"WWW-Authenticate": challenge})
        if len(request.body) > _LARGEST_BODY:
            return refusal(RefusedError(413, "0x80060888", "The request body is too large."))
        caller = str(request.claims.get("oid") or request.claims.get("appid") or "application")
        try:
            usage = self.limits.enter(caller)
        except RefusedError as error:
            return refusal(error)
        started = time.perf_counter()
        spent = 0.0
        try:
            if self.settings["latency_ms"]:
                await asyncio.sleep(self.settings["latency_ms"] / 1000)
            _, found, path = request.path.partition("/api/data/v9.2")
            request.path = path.lstrip("/") if found else request.path
            response = self.api.answer(request) if found else refusal(errors.no_segment(request.path))
            spent = response.rows * float(self.settings["execution_ms_per_row"])
        finally:
            self.limits.leave(usage, spent + (time.perf_counter() - started) * 1000)
        used = len(usage.calls)
        response.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] = str(self.settings["limit_requests"] - used)
        left = max(0, self.settings["limit_execution_ms"] - int(usage.execution_ms)) / 1000
        response.headers["x-ms-ratelimit-time-remaining-xrm-requests"] = f"{left:,.2f}"
        return response

    def _claims(self, authorization: str | None) -> dict[str, Any]:
        if self.tokens is not None:
            return self.tokens.verify(authorization, self.base_url)
        if not authorization or not authorization.lower().startswith("bearer "):
            raise TokenRefusedError("missing", "The request has no bearer token.")
        if authorization[7:].strip() == "expired":
            raise TokenRefusedError("expired", "The token has expired.")
        return {"appid": authorization[7:].strip()}
