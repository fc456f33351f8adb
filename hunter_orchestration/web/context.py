"""What a request handler is given: the store, the settings, Dagster, the person asking. Made once by ``create_app``."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Header, Request, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Connection, Store, page_state, runs
from hunter_orchestration.web.dagster_client import DagsterClient
from hunter_orchestration.web.people import LOCAL, Person, Role, Sessions, not_allowed, sign_in_configured, signed_out
from hunter_orchestration.web.problems import ProblemError

T = TypeVar("T")

_KEPT_SECONDS = 10
_KEPT_ITEMS = 500


class Kept:
    """A few recent results, each valid for one state of the data and at most some seconds."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[str, float, Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, version: str, compute: Callable[[], T]) -> T:
        """The result kept for this key and version, else a new one."""
        now = time.monotonic()
        with self._lock:
            found = self._items.get(key)
        if found is not None and found[0] == version and now - found[1] < _KEPT_SECONDS:
            kept: T = found[2]
            return kept
        value = compute()
        with self._lock:
            if len(self._items) >= _KEPT_ITEMS:
                self._items.clear()
            self._items[key] = (version, now, value)
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()


@dataclass
class Context:
    """The parts of the running server."""

    settings: Settings
    store: Store
    dagster: DagsterClient
    sessions: Sessions
    limiter: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))
    kept: Kept = field(default_factory=Kept)
    launching: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for queries."""
        with self.store.read() as connection:
            yield connection

    def limit(self, person: Person, what: str, per_minute: int) -> None:
        """Count one use, and refuse the one too many.

        Raises:
            ProblemError: 429 with Retry-After.
        """
        item = RateLimitItemPerMinute(per_minute)
        if not self.limiter.hit(item, what, person.id):
            reset, _remaining = self.limiter.get_window_stats(item, what, person.id)
            wait = max(1, round(reset - time.time()))
            raise ProblemError(
                429,
                "too_many_requests",
                f"At most {per_minute} of these a minute.",
                f"Try again in {wait} s.",
                retry_after=wait,
            )

    def tell(self, kind: str, subject: str | None, body: dict[str, Any]) -> None:
        """Tell every open page."""
        with self.store.write() as connection:
            runs.emit(connection, kind, subject, body)


def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


Hunter = Annotated[Context, Depends(_context)]


def _person(request: Request, context: Hunter) -> Person:
    if not sign_in_configured(context.settings):
        return LOCAL
    person = context.sessions.find(request)
    if person is None:
        raise signed_out()
    return person


def _needing(role: Role) -> Callable[[Person], Person]:
    def check(person: Annotated[Person, Depends(_person)]) -> Person:
        if not person.may(role):
            raise not_allowed(role)
        return person

    return check


Viewer = Annotated[Person, Depends(_needing("viewer"))]
Seller = Annotated[Person, Depends(_needing("seller"))]
Admin = Annotated[Person, Depends(_needing("admin"))]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="A repeat with the same key and body answers as the first did; another body is refused.",
    ),
]


def once(
    context: Context,
    person: Person,
    key: str | None,
    request: Request,
    body: Any,
    response: Response,
    act: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """Run an action at most once for an idempotency key; a repeat is answered from what was kept.

    Raises:
        ProblemError: 422 when the key came with another body, 409 while the first request is still at work.
    """
    if key is None:
        return act()
    asked = orjson.dumps([request.method, request.url.path, body], option=orjson.OPT_SORT_KEYS)
    request_hash = hashlib.sha256(asked).hexdigest()
    with context.store.write() as connection:
        earlier = page_state.claim_key(connection, key, person.id, request_hash)
    if earlier is not None:
        if earlier["request_hash"] != request_hash:
            raise ProblemError(
                422, "key_reused", "This Idempotency-Key came with another request.", "Use a new key for each action."
            )
        if earlier["status"] == 0:
            raise ProblemError(409, "in_progress", "The first request with this key is still at work.", "Wait for it.")
        response.headers["Idempotency-Replayed"] = "true"
        kept: dict[str, Any] = earlier["body"]
        return kept
    try:
        answer = act()
    except BaseException:
        with context.store.write() as connection:
            page_state.free_key(connection, key, person.id)
        raise
    with context.store.write() as connection:
        page_state.answer_key(connection, key, person.id, response.status_code or 200, answer)
    return answer
