"""What is to happen later, in order of time."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Call = Callable[[Any, int, float], None]
"""Called with the subject, the number the timer was given, and the time now."""


class Timers:
    """Calls at points of one monotonic clock. Nothing is cancelled: what is called looks whether it still matters."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Call, Any]] = []
        self._given = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at: float, call: Call, subject: Any) -> int:
        """Call at a time. Returns the timer's number, never given twice."""
        self._given = number = self._given + 1
        heappush(self._heap, (at, number, call, subject))
        return number

    def pause(self, now: float, most: float) -> float:
        """Seconds until the next one that matters, at most ``most``."""
        heap = self._heap
        while heap and getattr(heap[0][3], "done", False):
            heappop(heap)
        return min(most, max(heap[0][0] - now, 0.0)) if heap else most

    def fire(self, now: float) -> None:
        """Call what is due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, number, call, subject = heappop(heap)
            call(subject, number, now)
