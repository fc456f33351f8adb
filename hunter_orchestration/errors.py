"""The two families of failure. Every error says what happened, to which record, and what to do.

A permanent failure will fail again however often it is tried: run retries are switched off for it. A transient one
is worth another run. Errors pickle, and carry their facts as attributes.
"""

from __future__ import annotations


class HunterError(Exception):
    """Base of what Hunter raises on purpose.

    Args:
        message: what happened, and to which record.
        fix: what the reader can do; may be empty.
    """

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class PermanentError(HunterError):
    """Trying again will not help until a person changes something."""


class TransientError(HunterError):
    """Trying again later may help.

    Args:
        retry_after: seconds the other side asked us to wait, when it did.
    """

    def __init__(self, message: str, fix: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, fix)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[TransientError], tuple[str, str, float | None]]:
        return type(self), (self.message, self.fix, self.retry_after)
