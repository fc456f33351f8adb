"""How many leads there are of what: counts, facets and the figures above the list, from ``lead_counts``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from hunter_orchestration.store.lead_filters import NOT_SCORED, LeadFilter, conditions, residual
from hunter_orchestration.store.tables.leads import COUNTED, lead_counts, leads

COUNT_LIMIT = 10_000
"""A search that finds more is told as "at least" this many, and its facets are those of so many."""

FEW = 20_000
"""How many leads are counted without a thought whether there is a quicker way."""


def _wanted(wanted: LeadFilter) -> list[ColumnElement[bool]]:
    return [
        lead_counts.c[name].in_([_stored(name, value) for value in values]) for name, values in wanted.values.items()
    ]


def _bounds(wanted: LeadFilter) -> list[ColumnElement[bool]]:
    """What ``lead_counts`` can tell of the rest of the filter."""
    c = lead_counts.c
    found: list[ColumnElement[bool]] = []
    if wanted.complete is not None:
        found.append(c.complete.is_(wanted.complete))
    if wanted.score_min is not None:
        found.append(c.score >= wanted.score_min)
    if wanted.score_max is not None:
        found.append(c.score.between(0, wanted.score_max))
    return found


def _stored(name: str, value: str | None) -> str:
    return (NOT_SCORED if name == "priority" else "") if value is None else value


def _told(name: str, value: str | None) -> str | None:
    return None if not value or (name == "priority" and value == NOT_SCORED) else value


def counted(connection: Connection, wanted: LeadFilter) -> int:
    """How many leads have these values and scores; other parts of the filter are not looked at."""
    query = select(func.coalesce(func.sum(lead_counts.c.leads), 0)).where(*_wanted(wanted), *_bounds(wanted))
    return int(connection.execute(query).scalar_one())


def count(connection: Connection, wanted: LeadFilter, *, few: int = FEW) -> tuple[int, bool]:
    """How many leads match, and whether that is exact.

    Args:
        few: so many leads are counted without a thought whether there is a quicker way.
    """
    if wanted.counted_only:
        return counted(connection, wanted), True
    before = _fewer_before(connection, wanted, few, share=8)
    if before is not None:
        others = _number(connection, replace(wanted, first_seen_since=None), before)
        return max(0, counted(connection, wanted) - others), True
    if not wanted.words:
        return _number(connection, wanted), True
    most = COUNT_LIMIT + 1
    query = select(leads.c.id).where(*conditions(connection, wanted, most=most)).limit(most)
    found = int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())
    return min(found, COUNT_LIMIT), found <= COUNT_LIMIT


def _number(connection: Connection, wanted: LeadFilter, *more: ColumnElement[bool]) -> int:
    # The index by time holds the rank as well: none is better for the leads of a priority since a time.
    by_time = replace(wanted, first_seen_since=None, values={}) == LeadFilter() and set(wanted.values) <= {"priority"}
    held = residual(wanted, sorted_by="first_seen_at") if by_time else conditions(connection, wanted)
    return int(connection.execute(select(func.count()).select_from(leads).where(*held, *more)).scalar_one())


def values_of(connection: Connection, wanted: LeadFilter, name: str) -> list[str | None]:
    """The values of a column among the leads the filter's values and scores leave."""
    query = (
        select(lead_counts.c[name])
        .where(*_wanted(wanted), *_bounds(wanted))
        .group_by(lead_counts.c[name])
        .having(func.sum(lead_counts.c.leads) > 0)
    )
    return [value or None for value in connection.execute(query).scalars()]


def facets(connection: Connection, wanted: LeadFilter, *, few: int = FEW) -> dict[str, list[tuple[str | None, int]]]:
    """For each counted column, its values with how many leads have them under the rest of the filter.

    A column's own filter is set aside, so that a reader sees what another choice would give. Most frequent first.
    One pass over the combinations of values: one counts for a column when every other column's filter holds.

    Args:
        few: as in ``count``.
    """
    found: dict[str, dict[str, int]] = {name: defaultdict(int) for name in COUNTED}
    checks = [
        (COUNTED.index(name), {_stored(name, value) for value in values}) for name, values in wanted.values.items()
    ]
    counts = [found[name] for name in COUNTED]
    for row, number in _found(connection, wanted, few):
        failed = [position for position, values in checks if (row[position] or "") not in values]
        if len(failed) > 1:
            continue
        for position in failed or range(len(COUNTED)):
            counts[position][row[position] or ""] += number
    return {
        name: _sorted((_told(name, value), number) for value, number in values.items() if number > 0)
        for name, values in found.items()
    }


def _combinations(wanted: LeadFilter) -> Select[Any]:
    columns = [lead_counts.c[name] for name in COUNTED]
    query = select(*columns, func.sum(lead_counts.c.leads)).where(*_bounds(wanted)).group_by(*columns)
    return query.where(_all_but_one(wanted)) if len(wanted.values) > 1 else query


def _found(connection: Connection, wanted: LeadFilter, few: int) -> Iterator[tuple[Sequence[str | None], int]]:
    """Combinations of values among the leads the rest of the filter leaves, with how many of them have each."""
    if wanted.counted_only:
        yield from _rows(connection, _combinations(wanted))
        return
    if connection.dialect.name == "postgresql":
        # The planner takes every combination that could be for one that is, and would sort them on disk.
        connection.execute(select(func.set_config("work_mem", "64MB", True)))
    # Each of them costs a look at its row, which is much more than finding out which side is smaller.
    before = _fewer_before(connection, wanted, few, share=2)
    if before is None:
        yield from _rows(connection, _matching(connection, wanted))
        return
    always = replace(wanted, first_seen_since=None)
    yield from _rows(connection, _combinations(always))
    for row, number in _rows(connection, _matching(connection, always, before)):
        yield row, -number


def _rows(connection: Connection, query: Select[Any]) -> Iterator[tuple[Sequence[str | None], int]]:
    for *values, number in connection.execute(query):
        yield values, int(number)


def _fewer_before(connection: Connection, wanted: LeadFilter, few: int, *, share: int) -> ColumnElement[bool] | None:
    """Leads seen before the filter's time, when they are fewer than a share of all and ``lead_counts`` tells the rest.

    They are taken from all then, which makes the difference right after a large import.
    """
    since = wanted.first_seen_since
    if since is None or not replace(wanted, first_seen_since=None).counted_only:
        return None
    seen = leads.c.first_seen_at
    if _reaches(connection, seen >= since, few):
        most = max(few, counted(connection, LeadFilter()) // share)
        return None if _reaches(connection, seen < since, most) else seen < since
    return None


def _reaches(connection: Connection, side: ColumnElement[bool], number: int) -> bool:
    part = select(leads.c.first_seen_at).where(side).limit(number).subquery()
    return int(connection.execute(select(func.count()).select_from(part)).scalar_one()) == number


def _matching(connection: Connection, wanted: LeadFilter, *more: ColumnElement[bool]) -> Select[Any]:
    found = select(*(leads.c[name] for name in COUNTED)).where(
        *conditions(connection, wanted, skip=tuple(wanted.values), most=COUNT_LIMIT), *more
    )
    part = (found.limit(COUNT_LIMIT) if wanted.words else found).subquery()
    return select(*part.c, func.count()).group_by(*part.c)


def _all_but_one(wanted: LeadFilter) -> ColumnElement[bool]:
    parts = _wanted(wanted)
    return or_(*(and_(*(part for other, part in enumerate(parts) if other != left)) for left in range(len(parts))))


def _sorted(pairs: Any) -> list[tuple[str | None, int]]:
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0] or "~"))


def score_histogram(connection: Connection) -> list[int]:
    """Leads by score in ten bands: 0 to 9, …, 90 to 100."""
    bands = [0] * 10
    c = lead_counts.c
    query = select(c.score, func.sum(c.leads)).where(c.score >= 0).group_by(c.score)
    for score, number in connection.execute(query):
        bands[min(score // 10, 9)] += int(number)
    return bands
