"""Requests and responses as the emulator's parts hand them on, and how they look in HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import orjson

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.errors import RefusedError

JSON = "application/json; odata.metadata=minimal"
REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    412: "Precondition Failed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
}
_PREFERENCE = re.compile(r"([\w.-]+)(?:\s*=\s*(\"[^\"]*\"|[^,;\s]*))?")


@dataclass(slots=True)
class Request:
    """One request below the service root. ``path`` is still percent-encoded, without the root; header names are in
    lower case; ``names`` are the Content-ID references of the change set it stands in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    names: Mapping[str, str] | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)

    def options(self) -> dict[str, str]:
        """Query options, decoded."""
        if not self.query:
            return {}
        found = {}
        for part in self.query.split("&"):
            name, _, value = part.partition("=")
            if name:
                found[unquote_plus(name)] = unquote_plus(value)
        return found

    def preferences(self) -> dict[str, str]:
        """The Prefer header, by preference."""
        header = self.headers.get("prefer")
        if not header:
            return {}
        return {m.group(1): (m.group(2) or "").strip('"') for m in _PREFERENCE.finditer(header)}

    def json(self) -> Any:
        """The body.

        Raises:
            RefusedError: not JSON.
        """
        if not self.body:
            return {}
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise RefusedError(
                400, "0x80048d19", f"Error identified in Payload provided by the user: invalid JSON, {error}."
            ) from None

    def json_object(self) -> dict[str, Any]:
        """The body, which has to be an object.

        Raises:
            RefusedError: it is none.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise errors.bad_request("A JSON object was expected.")
        return value


@dataclass(slots=True)
class Response:
    """An answer; ``body`` is bytes or a JSON value (None: no body)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    rows: int = 1

    def encode(self) -> tuple[dict[str, str], bytes]:
        """Headers and body."""
        headers = {"OData-Version": "4.0", **self.headers}
        if self.body is None:
            return headers, b""
        if isinstance(self.body, bytes):
            return headers, self.body
        headers.setdefault("Content-Type", JSON)
        return headers, orjson.dumps(self.body)


def refusal(error: RefusedError, preferences: Mapping[str, str] | None = None) -> Response:
    """The answer to a refused request (contract, section 17)."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if preferences and "odata.include-annotations" in preferences:
        number = error.code.removeprefix("0x")
        body |= {
            "@Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus": "1",
            "@Microsoft.PowerApps.CDS.ErrorDetails.SubErrorCode": error.sub_code,
            "@Microsoft.PowerApps.CDS.HelpLink": "http://go.microsoft.com/fwlink/?LinkID=398563&error="
            f"Microsoft.Crm.CrmException%3a{number}&client=platform",
            "@Microsoft.PowerApps.CDS.TraceText": "",
            "@Microsoft.PowerApps.CDS.InnerError.Message": error.message,
        }
    return Response(error.status, dict(error.headers), {"error": body})


def method_not_allowed(method: str) -> RefusedError:
    """405, e.g. PATCH on a collection."""
    return RefusedError(405, "0x80060888", f"The requested resource does not support http method '{method}'.")
