"""How fast Dataverse may be asked: one pace that all workers share (contract section 13).

A Retry-After holds everybody; the number of requests in flight starts low, grows with success and halves when the
organisation says that the combined execution time or the concurrency is too high.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 3600.0
"""No answer makes us wait for longer than so many seconds; after that we ask again."""

_UNSAID_WAIT = 5.0
_WINDOW = 300.0
_GROW_AFTER = 8


def read_retry_after(value: str | None, now: datetime | None = None) -> float:
    """Seconds to wait from a Retry-After header: a number, an HTTP date, nonsense or nothing; capped."""
    if value is None or not value.strip():
        return _UNSAID_WAIT
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return _UNSAID_WAIT
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    if not seconds >= 0:
        return _UNSAID_WAIT
    return min(seconds, LONGEST_WAIT)


class HeldError(Exception):
    """Nothing may be sent for ``seconds``, which is longer than the caller waits."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Pace:
    """Shared by every thread that talks to one organisation.

    Args:
        most: most requests in flight ever.
        per_window: requests in any 300 seconds before we hold ourselves back.
        sleep, clock: given by tests that don't want to wait.
    """

    def __init__(
        self,
        most: int,
        per_window: int = 5800,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.limit = min(2, most)
        self.lowest_limit = self.limit
        self.throttled = 0
        self.waited = 0.0
        self._per_window = per_window
        self._sleep = sleep
        self._clock = clock
        self._held_until = 0.0
        self._in_flight = 0
        self._successes = 0
        self._recent: deque[float] = deque()
        self._changed = threading.Condition()

    def enter(self, patience: float = LONGEST_WAIT) -> None:
        """Wait for a free place, for the end of a hold, and for room in the window.

        Raises:
            HeldError: the hold or the window lasts longer than ``patience`` seconds.
        """
        while True:
            with self._changed:
                now = self._clock()
                while self._recent and self._recent[0] <= now - _WINDOW:
                    self._recent.popleft()
                wait = self._held_until - now
                if wait <= 0 and len(self._recent) >= self._per_window:
                    wait = self._recent[0] + _WINDOW - now
                if wait <= 0:
                    if self._in_flight < self.limit:
                        self._in_flight += 1
                        self._recent.append(now)
                        return
                    self._changed.wait(1.0)
                    continue
                if wait > patience:
                    raise HeldError(wait)
                self.waited += wait
            self._sleep(wait)

    def leave(self, *, good: bool) -> None:
        """Give the place back; success lets the limit grow by one now and then."""
        with self._changed:
            self._in_flight -= 1
            self._successes = self._successes + 1 if good else 0
            if self._successes >= _GROW_AFTER * self.limit and self.limit < self.most:
                self.limit += 1
                self._successes = 0
            self._changed.notify_all()

    def hold(self, seconds: float) -> None:
        """Nobody sends anything for so long."""
        with self._changed:
            self.throttled += 1
            self._held_until = max(self._held_until, self._clock() + seconds)

    def slow_down(self) -> None:
        """Halve the requests in flight."""
        with self._changed:
            self.limit = max(1, self.limit // 2)
            self.lowest_limit = min(self.lowest_limit, self.limit)
            self._successes = 0

    @property
    def in_window(self) -> int:
        """Requests of the last 300 seconds."""
        with self._changed:
            now = self._clock()
            return sum(1 for moment in self._recent if moment > now - _WINDOW)
