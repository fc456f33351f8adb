"""What every stage of the chain shares: the window it is asked for and the counts it reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Progress = Callable[[int, int | None], None]
"""Called with (done, total or None) as chunks commit."""


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of source time, ``start <= t < end``, UTC. The days of a backfill, or a range of a schedule."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window needs aware times")
        if self.start >= self.end:
            raise ValueError(f"the window ends before it starts: {self.start} to {self.end}")


@dataclass(slots=True)
class StageResult:
    """What a stage did.

    ``counts`` are rows by outcome; ``fetched`` (or ``picked``) equals the sum of the others that account for it.
    ``sample`` holds a few rows worth showing, without personal data. ``facts`` are other figures for the metadata.
    """

    counts: dict[str, int] = field(default_factory=dict)
    sample: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, outcome: str, rows: int = 1) -> None:
        """Count rows under an outcome."""
        self.counts[outcome] = self.counts.get(outcome, 0) + rows

    def adds_up(self, total: str, *outcomes: str) -> bool:
        """Whether ``total`` equals the sum of the outcomes."""
        return self.counts.get(total, 0) == sum(self.counts.get(name, 0) for name in outcomes)
