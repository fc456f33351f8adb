"""How referrals change: merged by a test, or a step further by themselves."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any


def merge(target: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Merge ``changes`` into a document, objects key by key, everything else replaced."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def advance_state(document: dict[str, Any], rng: random.Random, now: str) -> None:
    """One plausible step of a deal: taken up, won, lost, declined, or a new value."""
    status = document.get("status")
    details = document.get("details")
    if status == "New" and rng.random() < 0.8:
        if rng.random() < 0.8:
            document.update(status="Active", substatus="Accepted", acceptedDateTime=now, expirationDateTime=None)
        else:
            document.update(status="Closed", substatus="Declined", closedDateTime=now)
    elif status == "Active" and rng.random() < 0.4:
        document.update(status="Closed", substatus=rng.choice(("Won", "Won", "Lost")), closedDateTime=now)
    elif isinstance(details, dict):
        value = details.get("dealValue") or rng.choice((5_000, 20_000, 60_000))
        details.update(
            dealValue=round(float(value) * rng.choice((0.8, 1.1, 1.25, 1.5)), 2),
            currency=details.get("currency") or "USD",
        )
