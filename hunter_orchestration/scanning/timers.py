"""What is to happen later, to the hundredth of a second."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

_TICKS = 128
"""Of a second. What is due within the same tick is called in the order it was added."""

Call = Callable[[Any, float], None]
"""Called with the subject and the time now."""


class Timers:
    """Calls at points of one monotonic clock, never early and at most a tick late.

    Nearly all of them are cancelled, and many wait at once: a subject is let go of at once, so that its memory is used
    again while it is still in the processor's cache.
    """

    def __init__(self) -> None:
        self._calls: dict[int, tuple[Call, Any]] = {}
        self._numbers: dict[int, list[int]] = {}
        self._ticks: list[int] = []
        self._given = 0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, at: float, call: Call, subject: Any) -> int:
        """Call at a time. Returns the timer's number, never 0 and never given twice."""
        self._given = number = self._given + 1
        self._calls[number] = call, subject
        tick = int(at * _TICKS) + 1
        numbers = self._numbers.get(tick)
        if numbers is None:
            self._numbers[tick] = [number]
            heappush(self._ticks, tick)
        else:
            numbers.append(number)
        return number

    def cancel(self, number: int) -> None:
        """Forget a call; one that was made or forgotten already is no error."""
        self._calls.pop(number, None)

    def pause(self, now: float, most: float) -> float:
        """Seconds until the next call, at most ``most``."""
        while self._ticks:
            tick = self._ticks[0]
            if any(number in self._calls for number in self._numbers[tick]):
                return min(most, max(tick / _TICKS - now, 0.0))
            del self._numbers[heappop(self._ticks)]
        return most

    def fire(self, now: float) -> None:
        """Call what is due."""
        while self._ticks and self._ticks[0] <= now * _TICKS:
            for number in self._numbers.pop(heappop(self._ticks)):
                found = self._calls.pop(number, None)
                if found is not None:
                    call, subject = found
                    call(subject, now)
