"""One host, several services: sends each request to its service, counts it, and plays the faults that break answers."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import socket
import struct
from collections.abc import Callable, MutableMapping
from email.utils import format_datetime, formatdate
from typing import Any, cast

import orjson

from hunter_orchestration.sandbox.asgi import App, Receive, Request, Response, Scope, Send, read_request, send_response
from hunter_orchestration.sandbox.clock import Clock, datetime_of
from hunter_orchestration.sandbox.faults import HTTP_KINDS, Fault, Faults

Handler = Callable[[Request], Response]
TRANSPORT = "sandbox.transport"
"""Key of the scope under which the connection's transport is found."""
_HTML = (
    "<!DOCTYPE html><html><head><title>Service unavailable</title></head>"
    "<body><h1>Our services aren't available right now</h1></body></html>"
)


class Dispatcher:
    """The ASGI application of the sandbox's HTTP port.

    Args:
        routes: path prefixes with the service's name and its handler, an ASGI app or a function; first match wins.
    """

    def __init__(self, routes: list[tuple[str, str, Handler | App]], faults: Faults, clock: Clock) -> None:
        self.routes = routes
        self._apps = {handler for _, _, handler in routes if inspect.iscoroutinefunction(type(handler).__call__)}
        self.faults = faults
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        service, handler = next((s, h) for prefix, s, h in self.routes if path.startswith(prefix))
        self.faults.count(service, f"{scope['method']} {path}")
        fault = None
        if self.faults.any(service):
            full = path + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
            fault = self.faults.take(service, scope["method"], full, HTTP_KINDS)
        if fault is not None and await self._instead(fault, scope, receive, send):
            return
        if fault is not None and fault.kind in ("drop_after_commit", "half_body", "truncated_gzip", "invalid_json"):
            answer = _Recorder()
            await self._serve(handler, scope, receive, answer)
            await self._broken(fault, answer, scope, send)
            return
        await self._serve(handler, scope, receive, send)

    async def _serve(self, handler: Handler | App, scope: Scope, receive: Receive, send: Send) -> None:
        if handler in self._apps:
            await cast(App, handler)(scope, receive, send)
            return
        response = cast(Handler, handler)(await read_request(scope, receive))
        response.headers.append(("date", formatdate(self.clock.timestamp(), usegmt=True)))
        await send_response(send, response)

    async def _instead(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> bool:
        """Play a fault that replaces the answer; False when the service must still be asked."""
        params = fault.params
        if fault.kind == "slow":
            await asyncio.sleep(float(params.get("seconds", 1)))
            return False
        if fault.kind == "reset":
            abort(scope)
            return True
        if fault.kind not in ("status", "html"):
            return False
        await read_request(scope, receive)
        if fault.kind == "html":
            await send_response(send, Response(int(params.get("status", 200)), _HTML.encode(), [], "text/html"))
            return True
        status = int(params.get("status", 500))
        body = params.get("body")
        if body is None:
            code = {429: "tooManyRequests", 401: "unauthenticated", 403: "accessDenied", 503: "serviceNotAvailable"}
            body = {
                "error": {
                    "code": code.get(status, "generalException"),
                    "message": f"Played fault {fault.id}.",
                    "target": None,
                }
            }
        headers = [(str(k), str(v)) for k, v in dict(params.get("headers", {})).items()]
        if (wait := params.get("retry_after")) is not None:
            headers.append(("Retry-After", self._retry_after(wait)))
        content = body.encode() if isinstance(body, str) else orjson.dumps(body)
        await send_response(send, Response(status, content, headers))
        return True

    def _retry_after(self, wait: Any) -> str:
        """A number is seconds; ``{"date": n}`` an HTTP date n seconds ahead; any other text goes out as it is."""
        if isinstance(wait, dict):
            when = datetime_of(self.clock.ticks() + int(float(wait.get("date", 0)) * 10_000_000))
            return format_datetime(when, usegmt=True)
        return str(wait)

    async def _broken(self, fault: Fault, answer: _Recorder, scope: Scope, send: Send) -> None:
        """Send a true answer in a broken form, after the request was carried out."""
        body = bytes(answer.body)
        if fault.kind == "drop_after_commit":
            abort(scope)
            return
        if fault.kind == "invalid_json":
            await send_response(send, Response(200, body[: max(1, len(body) * 2 // 3)] + b'"\\u12', []))
            return
        if fault.kind == "truncated_gzip":
            packed = gzip.compress(body or b"{}", 1)
            await send_response(
                send, Response(answer.status, packed[: max(12, len(packed) // 2)], [("content-encoding", "gzip")])
            )
            return
        headers = [(b"content-length", str(max(2, len(body))).encode()), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await asyncio.sleep(0.02)
        scope[TRANSPORT].close()


class _Recorder:
    """A ``send`` that keeps the answer instead of sending it."""

    def __init__(self) -> None:
        self.status = 500
        self.body = bytearray()

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")


def abort(scope: Scope) -> None:
    """Reset the connection of a request: the peer sees ECONNRESET, not an orderly end."""
    transport = scope[TRANSPORT]
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
