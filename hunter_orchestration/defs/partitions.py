"""The one partition definition: a lead belongs to the UTC day it last changed at its source."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from hunter_orchestration.settings import settings
from hunter_orchestration.store.work import Window

DAYS = dg.DailyPartitionsDefinition(start_date=settings().first_day.isoformat(), timezone="UTC", end_offset=1)
SINGLE_RUN = dg.BackfillPolicy.single_run()
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
TICK = "hunter/tick"
"""Run tag of what a schedule, sensor or button starts: the stages pick what is due instead of re-reading the days."""

_LONGEST_RANGE = timedelta(days=13)


def range_tags(first: date | None, last: date) -> dict[str, str]:
    """Tags of a run over the days from ``first`` to ``last``, both included, kept within what the definition knows.

    A first sync names no first day; its range is cut to two weeks, since every day of a range costs an event an asset.
    """
    start = max(first or date.min, settings().first_day, last - _LONGEST_RANGE)
    return {RANGE_START: min(start, last).isoformat(), RANGE_END: last.isoformat()}


def window_of(context: dg.AssetExecutionContext) -> Window | None:
    """The days a backfill asks for; ``None`` for a tick, which takes what is due."""
    if TICK in context.run.tags or not context.has_partition_key_range:
        return None
    keys = context.partition_key_range
    start, end = date.fromisoformat(keys.start), date.fromisoformat(keys.end) + timedelta(days=1)
    midnight = time(tzinfo=UTC)
    return Window(datetime.combine(start, midnight), datetime.combine(end, midnight))
