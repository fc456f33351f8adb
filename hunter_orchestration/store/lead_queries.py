"""Lists of leads: any page of any sort and filter, at a cost that follows the page and not the table.

A narrow filter is read whole, sorted here and cut. A wide one is walked along an index in the order asked for: the
order is taken apart into groups of *streams*, each one a range of one index. A group is asked in one query, which
merges its streams, and the next one only when the page is not full yet. Both ways give the same order, and a cursor of
one continues in the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import isqrt
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select, func, literal, select, tuple_, union_all

from hunter_orchestration.store.lead_counting import COUNT_LIMIT, count, counted, values_of
from hunter_orchestration.store.lead_filters import (
    NOT_SCORED,
    LeadFilter,
    conditions,
    one_of,
    residual,
)
from hunter_orchestration.store.tables.leads import COUNTED, leads

NARROW = 2000
"""A filter that matches at most this many leads is read whole; a search also when a walk would meet more than that."""

SORTS: Mapping[str, str] = {
    "priority": "rank",
    "score": "score",
    "name": "name_key",
    "domain": "domain",
    "segment": "commercial_segment",
    "technical_segment": "segment",
    "provider": "provider",
    "gateway": "gateway",
    "category": "referral_category",
    "referral_status": "referral_status",
    "dynamics_state": "dynamics_state",
    "country": "country",
    "source": "source",
    "expires_at": "expires_at",
    "deal_value": "deal_value",
    "first_seen_at": "first_seen_at",
    "changed_at": "changed_at",
}
"""Names the API sorts by, and the column behind each."""

_PRIORITIES = ("P1", "P2", "P3", "P4", "P5", "P6", "P9")
_Place = tuple[Any, int, str]
"""Where a row stands: value of the sorted column, rank, domain."""


@dataclass(frozen=True, slots=True)
class Order:
    """A sort and its direction. Empty values come last in both."""

    sort: str = "priority"
    descending: bool = False

    @property
    def column(self) -> Column[Any]:
        """The sorted column."""
        return leads.c[SORTS[self.sort]]

    @property
    def by_value(self) -> bool:
        """Whether the column holds few values, within each of which the default order goes on."""
        return SORTS[self.sort] in COUNTED

    def compare(self, one: _Place, two: _Place) -> int:
        """Negative when ``one`` comes first."""
        sign = -1 if self.descending else 1
        if one[0] != two[0]:
            if one[0] is None or two[0] is None:
                return 1 if one[0] is None else -1
            return sign if one[0] > two[0] else -sign
        if self.by_value:
            return _sign(one[1:], two[1:])
        # The rank falls as the score grows, so among equal scores the domains go the rank's way.
        return _sign(one[2], two[2]) * (-sign if self.sort == "score" else sign)

    def arrange(self, places: list[_Place], *, backwards: bool = False) -> None:
        """Sort places as ``compare`` does: from the least of its parts to the first, each sort keeping the last one."""
        ascending = self.descending if self.sort == "score" else self.by_value or not self.descending
        places.sort(key=itemgetter(2), reverse=ascending == backwards)
        if self.by_value:
            places.sort(key=itemgetter(1), reverse=backwards)
        filled = [place for place in places if place[0] is not None]
        empty = [place for place in places if place[0] is None]
        filled.sort(key=itemgetter(0), reverse=self.descending != backwards)
        places[:] = empty + filled if backwards else filled + empty

    def place(self, row: RowMapping | Mapping[str, Any]) -> _Place:
        """Where a row of ``leads`` stands."""
        return row[SORTS[self.sort]], row["rank"], row["domain"]


def _sign(one: Any, two: Any) -> int:
    return int(one > two) - int(one < two)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of leads. ``total`` is exact unless ``total_exact`` says it is the least number."""

    rows: Sequence[RowMapping]
    total: int
    total_exact: bool
    has_next: bool
    has_previous: bool


def page(
    connection: Connection,
    wanted: LeadFilter,
    order: Order,
    limit: int,
    *,
    after: _Place | None = None,
    before: _Place | None = None,
    narrow: int | None = None,
) -> Page:
    """The page after (or before) a place, in order.

    Args:
        limit: most rows of the page.
        after: the place of the last row of the page before; ``before`` likewise of the first row of the page after.
        narrow: a filter that matches at most this many leads is read whole; left out, what is likely to be cheaper.
    """
    backwards = before is not None
    place = before if backwards else after
    if narrow is None:
        narrow = _worth_reading(connection, wanted, limit)
    total, exact, places = _whole_if_few(connection, wanted, order, narrow)
    if places is not None:
        rows, more = _cut(connection, places, order, limit, place, backwards)
    else:
        found = list(islice(_walk(connection, wanted, order, place, backwards, limit + 1), limit + 1))
        rows, more = found[:limit], len(found) > limit
    if backwards:
        rows = rows[::-1]
    return Page(rows, total, exact, True if backwards else more, more if backwards else place is not None)


def _worth_reading(connection: Connection, wanted: LeadFilter, limit: int) -> int:
    """How many leads of a filter are read sooner than a page of them is found by a walk.

    What no index but the search's own can tell is looked for lead by lead: of n in N, a page of them is spread over
    limit * N / n, as many as n when n is the root of limit * N. Found all in one place they may cost the whole table.
    """
    if not wanted.words:
        return NARROW
    return min(COUNT_LIMIT, max(NARROW, isqrt(limit * counted(connection, LeadFilter()))))


def stream(
    connection: Connection, wanted: LeadFilter, order: Order, *, size: int = 1000, narrow: int = NARROW
) -> Iterator[RowMapping]:
    """Every lead of the filter in order, read in pages, so that memory stays flat however many there are."""
    after: _Place | None = None
    _total, _exact, places = _whole_if_few(connection, wanted, order, narrow)
    if places is not None:
        yield from _cut(connection, places, order, narrow, None, False)[0]
        return
    while True:
        rows = list(islice(_walk(connection, wanted, order, after, False, size), size))
        yield from rows
        if len(rows) < size:
            return
        after = order.place(rows[-1])


def _whole_if_few(
    connection: Connection, wanted: LeadFilter, order: Order, narrow: int
) -> tuple[int, bool, list[_Place] | None]:
    """How many leads match, whether that is exact, and where each stands when they are no more than ``narrow``."""
    columns = (order.column.label("value"), leads.c.rank, leads.c.domain)
    if connection.dialect.name == "postgresql" or not wanted.long_words:
        total, exact = count(connection, wanted)
        if total > narrow:
            return total, exact, None
        rows = connection.execute(select(*columns).where(*conditions(connection, wanted)))
        return total, exact, [(value, rank, domain) for value, rank, domain in rows]
    # SQLite's search by trigrams costs more than what is read of what it finds, so it is made once for both.
    most = COUNT_LIMIT + 1
    found = select(leads.c.id).where(*conditions(connection, wanted, most=most)).limit(most).cte("found")
    number = select(func.count().label("number")).select_from(found).subquery()
    joined = number.outerjoin(found, number.c.number <= narrow).outerjoin(leads, leads.c.id == found.c.id)
    matches = connection.execute(select(number.c.number, *columns).select_from(joined)).all()
    total, exact = min(matches[0][0], COUNT_LIMIT), matches[0][0] <= COUNT_LIMIT
    if matches[0][0] > narrow:
        return total, exact, None
    return total, exact, [(value, rank, domain) for _, value, rank, domain in matches if domain is not None]


def _cut(
    connection: Connection,
    places: list[_Place],
    order: Order,
    limit: int,
    place: _Place | None,
    backwards: bool,
) -> tuple[list[RowMapping], bool]:
    """The rows of the first of these places after one, and whether there are more."""
    if place is not None:
        sign, start = -1 if backwards else 1, place
        places = [one for one in places if order.compare(one, start) * sign > 0]
    order.arrange(places, backwards=backwards)
    return _whole(connection, [domain for _, _, domain in places[:limit]]), len(places) > limit


def _whole(connection: Connection, domains: Sequence[str]) -> list[RowMapping]:
    """The rows of these domains, in this order."""
    found = {
        row["domain"]: row
        for start_at in range(0, len(domains), 500)
        for row in connection.execute(
            select(leads).where(leads.c.domain.in_(domains[start_at : start_at + 500]))
        ).mappings()
    }
    return [found[domain] for domain in domains if domain in found]


def _walk(
    connection: Connection, wanted: LeadFilter, order: Order, place: _Place | None, backwards: bool, size: int
) -> Iterator[RowMapping]:
    groups = _streams(connection, wanted, order)
    for group in reversed(groups) if backwards else groups:
        after = place
        while True:
            rows = _merged(connection, group, wanted, order, after, backwards, size)
            yield from rows
            if len(rows) < size:
                break
            after = order.place(rows[-1])


_Fixed = tuple[ColumnElement[bool], ...]
_Ranks = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Stream:
    """A range of one index: rows where ``fixed`` holds, ordered by ``columns`` in one direction.

    ``ranks`` are the lowest and the highest rank of the range, ``None`` for any. ``kind`` says how a place in the whole
    order maps to one in this range, ``value`` what the range is fixed to.
    """

    kind: Literal["value", "rank", "score", "filled", "empty", "domain"]
    fixed: _Fixed
    columns: tuple[Column[Any], ...]
    descending: bool
    value: Any = None
    skip: tuple[str, ...] = ()
    sorted_by: str | None = None
    ranks: _Ranks | None = None

    @property
    def before(self) -> ColumnElement[Any]:
        """What the streams of one group are merged by: the rank, or the score turned round within a priority."""
        return leads.c.rank - literal(self.value * 1000) if self.kind == "score" else leads.c.rank


def _streams(connection: Connection, wanted: LeadFilter, order: Order) -> list[list[_Stream]]:
    """The order taken apart: groups that follow each other, each of streams to be merged."""
    c, name, column, descending = leads.c, SORTS[order.sort], order.column, order.descending
    by_rank = (c.rank, c.domain)
    if order.by_value:
        values = list(wanted.values[name]) if name in wanted.values else values_of(connection, wanted, name)
        values.sort(key=lambda value: value or "", reverse=descending)
        values.sort(key=lambda value: value is None)
        return [
            [_Stream("value", (one_of(column, (value,), indexed=True),), by_rank, False, value, (name,), ranks=ranks)]
            for value in values
            for ranks in _ranges(wanted)
        ]
    if order.sort in ("priority", "score"):
        return _ranked(connection, wanted, order)
    if order.sort == "domain":
        return [[_Stream("domain", (), (c.domain,), descending)]]
    columns = (column, c.domain)
    if name not in ("expires_at", "deal_value"):
        return [[_Stream("filled", (), columns, descending, sorted_by=name)]]
    return [
        [_Stream("filled", (column.is_not(None),), columns, descending, sorted_by=name)],
        [_Stream("empty", (column.is_(None),), (c.domain,), descending)],
    ]


def _ranked(connection: Connection, wanted: LeadFilter, order: Order) -> list[list[_Stream]]:
    """Streams of the order by rank or by score, each within one value of the filter that leaves fewest leads.

    Within a priority the rank falls as the score grows, so the order by score is the merge of the priorities' ranges.
    """
    by_rank = (leads.c.rank, leads.c.domain)
    names = [name for name in wanted.values if name != "priority"]
    driving = min(
        names, key=lambda name: counted(connection, LeadFilter(values={name: wanted.values[name]})), default=""
    )
    ranges: list[_Fixed] = [()]
    if driving:
        ranges = [(one_of(leads.c[driving], (value,), indexed=True),) for value in wanted.values[driving]]
    skip = (driving, "priority")
    if order.sort == "priority":
        return [
            [_Stream("rank", fixed, by_rank, order.descending, skip=skip, ranks=ranks) for fixed in ranges]
            for ranks in sorted(_ranges(wanted), reverse=order.descending, key=lambda ranks: ranks or (0, 0))
        ]
    return [
        [
            _Stream("score", fixed, by_rank, not order.descending, number, skip, ranks=_scores(wanted, number))
            for fixed in ranges
            for number in _numbers(wanted)
        ]
    ]


def _numbers(wanted: LeadFilter) -> list[int]:
    """The numbers of the priorities wanted, the first first."""
    return sorted(int((one or NOT_SCORED)[1]) for one in wanted.values.get("priority", _PRIORITIES))


def _ranges(wanted: LeadFilter) -> list[_Ranks | None]:
    """The ranges of ranks the filter's priorities and scores leave, the first first; one of ``None`` for any rank."""
    if "priority" in wanted.values or wanted.score_min is not None or wanted.score_max is not None:
        return [_scores(wanted, number) for number in _numbers(wanted)]
    return [None]


def _scores(wanted: LeadFilter, number: int) -> _Ranks:
    """One priority's ranks, narrowed to the scores wanted."""
    best = 100 if wanted.score_max is None else wanted.score_max
    worst = (-1 if wanted.score_max is None else 0) if wanted.score_min is None else wanted.score_min
    return number * 1000 - best, number * 1000 - worst


_Bound = tuple[Any, ...]


def _bound(part: _Stream, place: _Place | None, order: Order, backwards: bool) -> _Bound | None:
    """Values of the stream's columns to go on from; empty to read all of it, ``None`` to leave it out."""
    if place is None:
        return ()
    value, rank, domain = place
    if part.kind == "value":
        if part.value == value:
            return rank, domain
        ahead = order.compare((part.value, 0, ""), (value, 0, "")) > 0
        return () if ahead != backwards else None
    if part.kind == "rank":
        return rank, domain
    if part.kind == "score":
        return part.value * 1000 - value, domain
    if part.kind == "domain":
        return (domain,)
    if part.kind == "empty":
        return (domain,) if value is None else None if backwards else ()
    if value is None:
        return () if backwards else None
    return value, domain


def _merged(
    connection: Connection,
    group: Sequence[_Stream],
    wanted: LeadFilter,
    order: Order,
    place: _Place | None,
    backwards: bool,
    size: int,
) -> Sequence[RowMapping]:
    """The first rows of a group of streams after a place."""
    parts: list[tuple[_Stream, Select[Any]]] = []
    for part in group:
        bound = _bound(part, place, order, backwards)
        within = None if bound is None else _within(part, bound, part.descending != backwards)
        if within is not None:
            parts.append((part, _range(part, wanted, within, part.descending != backwards, size)))
    if not parts:
        return ()
    part, query = parts[0]
    if len(parts) == 1:
        # A search in the order of names reads nothing but its index until it has found the rows to show.
        if part.sorted_by == "name_key" and wanted.words_only:
            found = connection.execute(query.with_only_columns(leads.c.domain)).scalars()
            return _whole(connection, found.all())
        return connection.execute(query).mappings().all()
    ranges = [query.with_only_columns(part.before.label("before"), leads.c.domain).subquery() for part, query in parts]
    merged = union_all(*(select(one.c.before, one.c.domain) for one in ranges)).subquery()
    ways = [column.desc() if part.descending != backwards else column.asc() for column in merged.c]
    found = connection.execute(select(merged.c.domain).order_by(*ways).limit(size)).scalars()
    return _whole(connection, found.all())


def _range(
    part: _Stream, wanted: LeadFilter, within: Sequence[ColumnElement[bool]], descending: bool, size: int
) -> Select[Any]:
    """The first rows of a stream."""
    left = wanted if part.ranks is None else replace(wanted, score_min=None, score_max=None)
    skip = part.skip if part.ranks is None else (*part.skip, "priority")
    return (
        select(leads)
        .where(*part.fixed, *within, *residual(left, skip=skip, sorted_by=part.sorted_by))
        .order_by(*(column.desc() if descending else column.asc() for column in part.columns))
        .limit(size)
    )


def _within(part: _Stream, bound: _Bound, descending: bool) -> list[ColumnElement[bool]] | None:
    """Where in its index a stream is read from a bound on; ``None`` when nothing of it lies there.

    The walk gets one start and one end: of two starts a planner may take the farther one and read all between them.
    """
    if part.ranks is None:
        return [_beyond(part.columns, bound, descending)] if bound else []
    low, high = part.ranks
    first, last = (high, low) if descending else (low, high)
    rank, sign = leads.c.rank, -1 if descending else 1
    ends = rank >= low if descending else rank <= high
    if not bound or (bound[0] - first) * sign < 0:
        return [rank.between(low, high)]
    return None if (bound[0] - last) * sign > 0 else [_beyond(part.columns, bound, descending), ends]


def _beyond(columns: Sequence[Column[Any]], bound: _Bound, descending: bool) -> ColumnElement[bool]:
    """Rows after a bound, as one comparison of the index's columns, which both planners start their walk at."""
    here = tuple_(*columns) if len(columns) > 1 else columns[0]
    values = [literal(value, column.type) for column, value in zip(columns, bound, strict=True)]
    there = tuple_(*values) if len(columns) > 1 else values[0]
    return here < there if descending else here > there
