"""Reading Partner Center's time stamps without losing their seventh digit."""

from __future__ import annotations

import calendar
import re
from typing import Any

from hunter_orchestration.sandbox.clock import TICKS_PER_SECOND

STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?(Z|[+-]\d\d:\d\d))?$")


def parse_stamp(text: Any) -> int | None:
    """Ticks of a stamp such as ``2026-11-24T09:15:02.1234567Z``; a bare date is midnight; else None."""
    match = STAMP.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31 and int(hour or 0) < 24 and int(minute or 0) < 60):
        return None
    seconds = calendar.timegm((int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)))
    if zone and zone != "Z":
        sign = -1 if zone[0] == "+" else 1
        seconds += sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
    return seconds * TICKS_PER_SECOND + int((fraction or "").ljust(7, "0"))
