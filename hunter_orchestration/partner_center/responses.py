"""What Partner Center's answers say (contract sections 2 and 6): rows, the server's clock, refusals. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests

from hunter_orchestration import broken_json
from hunter_orchestration.errors import HunterError, TransientError
from hunter_orchestration.partner_center.refusals import (
    ChangedSinceReadError,
    MfaRequiredError,
    MissingRoleError,
    RefusedError,
    SignInExpiredError,
    WrongAudienceError,
)

MFA, AUDIENCE = "900421", "900420"
"""Codes of a 401 that another token of the same kind would not mend."""
_RETRIED = frozenset({429, 500, 502, 503, 504, 509})


def rows_of(body: Mapping[str, Any]) -> list[Any]:
    """The rows of a list's page.

    Raises:
        TransientError: there is no list in it, as when another service answered.
    """
    rows = body.get("value")
    if not isinstance(rows, list):
        raise TransientError("Partner Center answered without a list of referrals.", "The next sync tries again.")
    return rows


def object_of(response: requests.Response) -> dict[str, Any]:
    """The answer's JSON object.

    Raises:
        TransientError: an HTML page, half a body, anything else: never taken for data.
    """
    try:
        body = broken_json.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise TransientError("Partner Center's answer is not JSON.", "The next sync tries again.")
    return body


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """When the server says it answered, UTC; ``None`` when it does not say."""
    try:
        return parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError):
        return None


def _said(response: requests.Response) -> tuple[str, str]:
    """(code, message) of an error, in any of the shapes the contract knows; empty where there is none."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    error = body.get("error")
    inner = error if isinstance(error, dict) else body
    return str(inner.get("code") or ""), str(inner.get("message") or inner.get("description") or "")[:300]


def code_of(response: requests.Response) -> str:
    """The error code of an answer, empty without one."""
    return _said(response)[0]


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait from a Retry-After header: seconds or an HTTP date; ``None`` when it says nothing usable."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def refusal_of(response: requests.Response) -> HunterError:
    """The error an answer of 300 or more stands for, to be raised by the caller."""
    status = response.status_code
    code, message = _said(response)
    request_id = response.headers.get("request-id") or response.headers.get("MS-RequestId") or ""
    said = f" {message}" if message else ""
    if code == MFA:
        return MfaRequiredError()
    if code == AUDIENCE:
        return WrongAudienceError()
    if status == 401:
        return SignInExpiredError()
    if status == 403:
        return MissingRoleError()
    if status == 412:
        return ChangedSinceReadError(urlsplit(response.url).path.rsplit("/", 1)[-1])
    if status in _RETRIED:
        server = server_time(response.headers) or datetime.now(UTC)
        return TransientError(
            f"Partner Center answered {status}.",
            "It is tried again by the next sync.",
            retry_after(response.headers.get("Retry-After"), server),
        )
    if 300 <= status < 400:
        return RefusedError(status, "", "it redirects elsewhere, where no token is sent", request_id)
    return RefusedError(status, code, said.strip(), request_id)
