"""Service protection: what a caller may do in a sliding window, and the answer beyond it (contract, section 13)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hunter_orchestration.sandbox.clock import Clock
from hunter_orchestration.sandbox.dataverse.errors import RefusedError

GRACE = 0.5
"""Seconds after a 429 in which further requests don't count as sent in spite of it: they were on their way."""


@dataclass(slots=True)
class Usage:
    """What one caller did in the window: when each request began, (when, milliseconds) of the work done, and requests
    in flight."""

    calls: deque[float] = field(default_factory=deque)
    work: deque[tuple[float, float]] = field(default_factory=deque)
    execution_ms: float = 0.0
    in_flight: int = 0
    highest_in_flight: int = 0
    blocked_from: float = 0.0
    blocked_until: float = 0.0
    strikes: int = 0


class Limits:
    """Counts per caller, by the sandbox's clock.

    Args:
        settings: live switches ``limit_*``, ``throttle_when_parallel`` and ``retry_after``.
    """

    def __init__(self, clock: Clock, settings: Mapping[str, Any]) -> None:
        self.clock = clock
        self.settings = settings
        self.callers: dict[str, Usage] = {}
        self.broken: Counter[str] = Counter()
        self.ignored_waits = 0

    def enter(self, caller: str) -> Usage:
        """Begin a request.

        Raises:
            RefusedError: 429 with Retry-After.
        """
        usage = self.callers.setdefault(caller, Usage())
        now = self.clock.timestamp()
        self._forget(usage, now)
        if usage.blocked_from < now < usage.blocked_until:
            self.ignored_waits += 1
        in_flight = usage.in_flight + 1
        if in_flight > self.settings["limit_concurrency"]:
            raise self._throttled(
                usage,
                now,
                "0x80072326",
                f"Number of concurrent requests exceeded the limit of {self.settings['limit_concurrency']}.",
                5,
            )
        parallel = self.settings["throttle_when_parallel"]
        limit = self.settings["limit_execution_ms"]
        window = self.settings["limit_window_s"]
        if usage.execution_ms > limit or (parallel and in_flight > parallel):
            raise self._throttled(
                usage,
                now,
                "0x80072321",
                f"Combined execution time of incoming requests exceeded limit of {limit:,} milliseconds over time "
                f"window of {window} seconds. Decrease number of concurrent requests or reduce the duration of "
                "requests and try again later.",
                1 if parallel and in_flight > parallel else self._wait(usage, now),
            )
        if len(usage.calls) >= self.settings["limit_requests"]:
            raise self._throttled(
                usage,
                now,
                "0x80072322",
                f"Number of requests exceeded the limit of {self.settings['limit_requests']} over time window of "
                f"{window} seconds.",
                self._wait(usage, now),
            )
        usage.strikes = 0
        usage.in_flight = in_flight
        usage.highest_in_flight = max(usage.highest_in_flight, in_flight)
        usage.calls.append(now)
        return usage

    def leave(self, usage: Usage, execution_ms: float) -> None:
        """End a request that took so long."""
        usage.in_flight -= 1
        if execution_ms:
            usage.work.append((self.clock.timestamp(), execution_ms))
            usage.execution_ms += execution_ms

    def reset(self) -> None:
        """Forget what was counted; requests in flight stay counted."""
        for usage in self.callers.values():
            usage.calls.clear()
            usage.work.clear()
            usage.execution_ms = usage.blocked_until = 0.0
            usage.highest_in_flight = usage.in_flight
            usage.strikes = 0
        self.broken.clear()
        self.ignored_waits = 0

    def _forget(self, usage: Usage, now: float) -> None:
        oldest = now - self.settings["limit_window_s"]
        while usage.calls and not oldest < usage.calls[0] <= now:
            usage.calls.popleft()
        while usage.work and not oldest < usage.work[0][0] <= now:
            usage.execution_ms -= usage.work.popleft()[1]

    def _wait(self, usage: Usage, now: float) -> int:
        first = usage.calls[0] if usage.calls else now
        return max(1, int(first + self.settings["limit_window_s"] - now) + 1)

    def _throttled(self, usage: Usage, now: float, code: str, message: str, wait: int) -> RefusedError:
        self.broken[code] += 1
        usage.strikes += 1
        fixed = self.settings["retry_after"]
        seconds = wait * min(usage.strikes, 4) if code != "0x80072321" else wait
        if now >= usage.blocked_until:
            usage.blocked_from = now + GRACE
        usage.blocked_until = now + seconds
        return RefusedError(429, code, message, {"Retry-After": str(seconds if fixed is None else fixed)})
