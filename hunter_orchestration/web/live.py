"""Server-sent events: one poll of the event table a second for all open pages, and none while nobody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio.to_thread
from sse_starlette import ServerSentEvent

from hunter_orchestration.logging import get_logger
from hunter_orchestration.store import Store, page_figures, runs
from hunter_orchestration.store.types import encode_json

POLL_SECONDS = 1.0
CATCH_UP = 500
"""Most events sent again to a page that was away; one that missed more loads everything anew."""
_WAITING = 1000
_RECHECK_SECONDS = 60

log = get_logger("hunter.web")


class Live:
    """The listeners and the one task that feeds them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._last = 0
        self.closing = False

    async def listen(self, after: int | None, still_allowed: Callable[[], bool]) -> AsyncIterator[ServerSentEvent]:
        """Events for one page.

        Args:
            after: the last event it has seen; ``None`` begins now.
            still_allowed: asked once a minute; the stream ends when it says no.
        """
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_WAITING)
        await self._join(queue)
        # Read after joining: what comes in between arrives twice and is dropped below, never lost.
        missed, newest = await anyio.to_thread.run_sync(self._missed, after)
        sent = newest if after is None else after
        try:
            yield _event("hello", newest, {"last_event_id": newest}, retry=2000)
            if len(missed) > CATCH_UP:
                sent = newest
                yield _event("gap", newest, {"last_event_id": newest})
            else:
                for body in missed:
                    sent = body["id"]
                    yield _event(body["kind"], sent, body)
            checked = asyncio.get_running_loop().time()
            while not self.closing:
                try:
                    body_or_none = await asyncio.wait_for(queue.get(), _RECHECK_SECONDS)
                except TimeoutError:
                    body_or_none = {}
                if body_or_none is None:
                    return
                now = asyncio.get_running_loop().time()
                if now - checked >= _RECHECK_SECONDS:
                    checked = now
                    if not await anyio.to_thread.run_sync(still_allowed):
                        return
                if body_or_none and body_or_none["id"] > sent:
                    sent = body_or_none["id"]
                    yield _event(body_or_none["kind"], sent, body_or_none)
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self.closing = True
        for queue in list(self._listeners):
            _end(queue)
        if self._task is not None:
            self._task.cancel()

    def _missed(self, after: int | None) -> tuple[list[dict[str, Any]], int]:
        with self._store.read() as connection:
            newest = page_figures.last_event_id(connection)
            if after is None or after >= newest:
                return [], newest
            rows = runs.events_after(connection, after, CATCH_UP + 1)
        return [_body(row) for row in rows], max(newest, rows[-1]["id"] if 0 < len(rows) <= CATCH_UP else newest)

    async def _join(self, queue: asyncio.Queue[dict[str, Any] | None]) -> None:
        if not self._listeners:
            newest = await anyio.to_thread.run_sync(self._newest)
            if not self._listeners:
                self._last = newest
        self._listeners.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._feed())

    def _newest(self) -> int:
        with self._store.read() as connection:
            return page_figures.last_event_id(connection)

    async def _feed(self) -> None:
        while self._listeners:
            try:
                bodies = await anyio.to_thread.run_sync(self._new)
            except Exception:  # a store that is away for a moment must not end every stream
                log.exception("events unreadable")
                bodies = []
            for body in bodies:
                self._last = max(self._last, body["id"])
                for queue in list(self._listeners):
                    try:
                        queue.put_nowait(body)
                    except asyncio.QueueFull:
                        # A page that reads too slowly is cut off; it comes back and catches up.
                        self._listeners.discard(queue)
                        _end(queue)
            await asyncio.sleep(POLL_SECONDS)

    def _new(self) -> Sequence[dict[str, Any]]:
        with self._store.read() as connection:
            return [_body(row) for row in runs.events_after(connection, self._last)]


def _end(queue: asyncio.Queue[dict[str, Any] | None]) -> None:
    while queue.full():
        queue.get_nowait()
    queue.put_nowait(None)


def _body(row: Any) -> dict[str, Any]:
    return {"id": row["id"], "at": row["at"], "kind": row["kind"], "subject": row["subject"], "body": row["body"]}


def _event(kind: str, number: int, body: dict[str, Any], retry: int | None = None) -> ServerSentEvent:
    return ServerSentEvent(encode_json(body), event=kind, id=str(number), retry=retry)
