"""Receivers for events that other services sign themselves."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any

import anyio.to_thread
import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError

from hunter_orchestration.companies import admission
from hunter_orchestration.errors import HunterError, TransientError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.partner_center import webhooks as signatures
from hunter_orchestration.web import launching
from hunter_orchestration.web.context import Context, Hunter
from hunter_orchestration.web.people import Person
from hunter_orchestration.web.problems import ProblemError
from hunter_orchestration.web.routes.lead_actions import NewLead, started

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

PATHS = ("/api/v1/webhooks/partner-center", "/api/v1/webhooks/leads")
"""Posted to by other services, so their origin is not checked; their signature is."""

_MOST_BYTES = 64_000
_PARTNER_CENTER = Person("webhook:partnercenter", "Partner Center", "seller", True)
_FORM = Person("webhook:form", "form", "seller", True)
_SIGNATURE = re.compile(r"^(?:sha256=)?([0-9a-fA-F]{64})$")

log = get_logger("hunter.web")


class Received(BaseModel):
    """The event was taken."""

    received: bool = True
    replay: bool = False


def _refused(detail: str) -> ProblemError:
    return ProblemError(401, "unsigned", detail)


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise ProblemError(413, "too_large", f"An event has at most {_MOST_BYTES} bytes.")
    return body


@router.post("/partner-center", summary="Partner Center's events", responses={401: {}})
async def partner_center(request: Request, hunter: Hunter) -> Received:
    """A signed event of Partner Center: its certificate and signature are checked, a replay changes nothing, and a
    sync starts within seconds."""
    if not hunter.settings.partner_center_enabled:
        raise ProblemError(404, "not_found", "There is nothing at this address.")
    body = await _body(request)
    return await anyio.to_thread.run_sync(_take_event, hunter, body, dict(request.headers))


def _take_event(hunter: Context, body: bytes, headers: dict[str, str]) -> Received:
    verifier = hunter.kept.get("verifier", "", lambda: signatures.WebhookVerifier(hunter.settings))
    try:
        event = signatures.receive(hunter.store, verifier, body, headers)
    except TransientError:
        raise
    except HunterError as error:
        log.warning("webhook refused", reason=str(error))
        raise _refused("The event is not signed by Partner Center.") from None
    if not event.replay:
        try:
            launching.sync_referrals(hunter, _PARTNER_CENTER)
        except TransientError as error:
            log.warning("no run started", reason=str(error))
    return Received(replay=event.replay)


@router.post("/leads", status_code=202, summary="Leads from a web form", responses={401: {}})
async def leads(request: Request, hunter: Hunter) -> Received:
    """One lead as POST /leads takes it, signed: header ``X-Hunter-Signature`` holds the HMAC-SHA256 of the body in
    hex under HUNTER_IMPORT_WEBHOOK_SECRET. The same body again is one lead."""
    secret = hunter.settings.import_webhook_secret.get_secret_value()
    if not secret:
        raise ProblemError(404, "not_found", "There is nothing at this address.")
    body = await _body(request)
    signature = _SIGNATURE.match(request.headers.get("x-hunter-signature", ""))
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if signature is None or not hmac.compare_digest(signature[1].lower(), wanted):
        raise _refused("X-Hunter-Signature does not fit the body.")
    try:
        record: dict[str, Any] = NewLead.model_validate(orjson.loads(body)).model_dump(exclude_none=True)
    except (orjson.JSONDecodeError, ValidationError):
        raise ProblemError(422, "invalid", "The body is no lead as POST /leads takes it.") from None
    await anyio.to_thread.run_sync(_take_lead, hunter, record)
    return Received()


def _take_lead(hunter: Context, record: dict[str, Any]) -> None:
    admission.add_lead(hunter.store, record, "webhook")
    started(hunter, _FORM)
