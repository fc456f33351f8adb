"""Cursors: opaque text that says where a page ended, bound to the list it came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from types import UnionType
from typing import Any

import orjson

from hunter_orchestration.web.problems import ProblemError

_LONGEST = 4000
_GREATEST = 2**63 - 1


def encode(of: object, place: tuple[Any, ...], direction: str = "n") -> str:
    """A cursor.

    Args:
        of: what identifies the list: filter and sort.
        place: sorted value, then what breaks ties.
        direction: ``n`` for the page after the place, ``p`` for the one before.
    """
    raw = orjson.dumps([fingerprint(of), direction, [_plain(value) for value in place]])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(cursor: str, of: object, *kinds: type | UnionType) -> tuple[str, tuple[Any, ...]]:
    """Direction and place of a cursor.

    Args:
        kinds: what each part of the place must be.

    Raises:
        ProblemError: 400 when it is no cursor, or one of another list.
    """
    stale = ProblemError(
        400, "stale_cursor", "This page belongs to another list.", "Load the list from its first page."
    )
    if len(cursor) > _LONGEST:
        raise stale
    try:
        listed, direction, place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        values = tuple(_typed(value) for value in place)
    except (ValueError, TypeError, binascii.Error, ArithmeticError):
        raise stale from None
    if listed != fingerprint(of) or direction not in ("n", "p") or len(values) != len(kinds):
        raise stale
    if not all(
        isinstance(value, kind) and not isinstance(value, bool) for value, kind in zip(values, kinds, strict=True)
    ):
        raise stale
    return direction, values


def fingerprint(of: object) -> str:
    """A short name of a list."""
    encoded = orjson.dumps(of, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(encoded).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": value.astimezone(UTC).isoformat()}
    if isinstance(value, Decimal):
        return {"d": str(value)}
    return value


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"t"}:
            moment = datetime.fromisoformat(str(value["t"]))
            if moment.tzinfo is None:
                raise ValueError("a place without a zone")
            return moment
        if set(value) == {"d"}:
            amount = Decimal(str(value["d"]))
            if not amount.is_finite():
                raise ValueError("no amount")
            return amount
        raise ValueError("unknown kind of place")
    if isinstance(value, int) and abs(value) > _GREATEST:
        raise ValueError("too large")
    if value is None or isinstance(value, str | int):
        return value.replace("\x00", "") if isinstance(value, str) else value
    raise ValueError("unknown kind of place")
