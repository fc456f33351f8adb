"""The sandbox's clock: real time moved by a distance that a test sets."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICKS_PER_SECOND = 10_000_000
"""Partner Center stamps carry seven fraction digits: ticks of 100 ns since 1970."""


class Clock:
    """Runs at the speed of real time from ``start`` on (now when left out); can be frozen, set and advanced."""

    def __init__(self, start: datetime | None = None) -> None:
        self._offset = 0
        self._frozen: int | None = None
        self._start = start
        self.begin()

    def begin(self) -> None:
        """Run again from where the clock started: its start time, or real time when it had none."""
        self._frozen, self._offset = None, 0
        if self._start is not None:
            self.set(self._start)

    def ticks(self) -> int:
        """Now, in 100 ns since 1970, UTC."""
        if self._frozen is not None:
            return self._frozen + self._offset
        return time.time_ns() // 100 + self._offset

    def now(self) -> datetime:
        """Now, aware, in UTC."""
        return datetime_of(self.ticks())

    def timestamp(self) -> float:
        """Now, in seconds since 1970."""
        return self.ticks() / TICKS_PER_SECOND

    def set(self, when: datetime) -> None:
        """Make it ``when`` (aware) now; time runs on from there unless frozen."""
        if when.tzinfo is None:
            raise ValueError("the clock needs a time with a zone")
        self._offset += ticks_of(when) - self.ticks()

    def advance(self, seconds: float) -> None:
        """Jump; a negative number jumps back."""
        self._offset += round(seconds * TICKS_PER_SECOND)

    def freeze(self, frozen: bool = True) -> None:
        """Stop the clock at this instant, or let it run on from where it stands."""
        now = self.ticks()
        self._frozen = now if frozen else None
        self._offset = 0 if frozen else now - time.time_ns() // 100

    @property
    def frozen(self) -> bool:
        return self._frozen is not None


def ticks_of(when: datetime) -> int:
    """An aware time as ticks."""
    delta = when - EPOCH
    return (delta.days * 86_400 + delta.seconds) * TICKS_PER_SECOND + delta.microseconds * 10


def datetime_of(ticks: int) -> datetime:
    """Ticks as an aware time in UTC; the seventh digit is lost."""
    return EPOCH + timedelta(microseconds=ticks // 10)


def stamp(ticks: int) -> str:
    """Ticks as Partner Center writes them: no fraction for whole seconds, else six or seven digits, then Z."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    if not fraction:
        return text + "Z"
    digits = f"{fraction:07d}"
    return f"{text}.{digits[:6] if digits[6] == '0' else digits}Z"
