"""What the leads list can be filtered by, and how a filter becomes SQL. Values are parameters, never text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, false, func, literal_column, or_, select, table, text

from hunter_orchestration import turkish
from hunter_orchestration.store.tables.leads import leads

NOT_SCORED = "P9"
"""How ``leads.priority`` spells that there is no score yet."""

_TRIGRAM = 3


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """One filter of the list.

    ``values`` maps a counted column to the values wanted; ``None`` among them means empty. ``expires_before`` and the
    other times are aware UTC. ``domains`` restricts to a list, for bulk work.
    """

    q: str = ""
    values: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    complete: bool | None = None
    score_min: int | None = None
    score_max: int | None = None
    first_seen_since: datetime | None = None
    changed_since: datetime | None = None
    expires_from: datetime | None = None
    expires_before: datetime | None = None
    domains: tuple[str, ...] | None = None

    @property
    def words(self) -> list[str]:
        """The search words, folded as ``leads.search_text`` is."""
        return turkish.fold(self.q).replace("\x00", " ").split()[:8]

    @property
    def long_words(self) -> list[str]:
        """Those of the search words that the index by trigrams can find."""
        return [word for word in self.words if len(word) >= _TRIGRAM]

    @property
    def words_only(self) -> bool:
        """Whether there are search words and nothing else."""
        return bool(self.words) and not self.values and not _others(self)

    @property
    def counted_only(self) -> bool:
        """Whether ``lead_counts`` alone can answer how many match."""
        return not self.words and not _others(replace(self, complete=None, score_min=None, score_max=None))


def one_of(column: ColumnElement[Any], wanted: tuple[str | None, ...], *, indexed: bool) -> ColumnElement[bool]:
    """``column`` holds one of the values. With ``indexed=False`` the planner can't pick the column's own index."""
    named = [value for value in wanted if value is not None]
    if not indexed:
        return func.coalesce(column, "").in_([value or "" for value in wanted])
    parts: list[ColumnElement[bool]] = [column == named[0] if len(named) == 1 else column.in_(named)] if named else []
    if None in wanted:
        parts.append(column.is_(None))
    return or_(*parts) if parts else false()


def _others(wanted: LeadFilter, *, indexed: bool = True, sorted_by: str | None = None) -> list[ColumnElement[bool]]:
    def column(name: str) -> ColumnElement[Any]:
        plain = leads.c[name]
        return plain if indexed or name == sorted_by else func.coalesce(plain, plain)

    conditions: list[ColumnElement[bool]] = []
    if wanted.complete is not None:
        conditions.append(leads.c.complete.is_(wanted.complete))
    if wanted.score_min is not None:
        conditions.append(column("score") >= wanted.score_min)
    if wanted.score_max is not None:
        conditions += [column("score") <= wanted.score_max, column("score") >= 0]
    if wanted.first_seen_since is not None:
        conditions.append(column("first_seen_at") >= wanted.first_seen_since)
    if wanted.changed_since is not None:
        conditions.append(column("changed_at") >= wanted.changed_since)
    if wanted.expires_from is not None:
        conditions.append(column("expires_at") >= wanted.expires_from)
    if wanted.expires_before is not None:
        conditions.append(column("expires_at") < wanted.expires_before)
    if wanted.domains is not None:
        conditions.append(leads.c.domain.in_(wanted.domains))
    return conditions


def priority_range(priority: str | None, *, indexed: bool = True) -> ColumnElement[bool]:
    """The leads of one priority as a range of ``rank``, which every index of a filter column holds."""
    rank = leads.c.rank if indexed else func.coalesce(leads.c.rank, leads.c.rank)
    return rank.between(*ranks_of(priority))


def ranks_of(priority: str | None) -> tuple[int, int]:
    """The lowest and the highest rank of a priority. A score is -1 to 100, so they never reach its neighbour's."""
    number = int((priority or NOT_SCORED)[1])
    return number * 1000 - 100, number * 1000 + 1


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def contains(word: str) -> ColumnElement[bool]:
    """``search_text`` contains the folded word."""
    return leads.c.search_text.like(f"%{_escaped(word)}%", escape="\\")


def _begins(word: str) -> ColumnElement[bool]:
    after = word + "\U0010ffff"
    return or_(
        and_(leads.c.search_text >= word, leads.c.search_text < after),
        and_(leads.c.domain >= word, leads.c.domain < after),
    )


def search(connection: Connection, wanted: LeadFilter, *, most: int | None = None) -> list[ColumnElement[bool]]:
    """Conditions of the search words that an index answers.

    Words of three letters and more are found anywhere; a search of shorter words only finds names and domains that
    begin with it, because a trigram needs three letters.

    Args:
        most: no more matches than these are needed, whichever they are.
    """
    words, long_words = wanted.words, wanted.long_words
    if not words:
        return []
    if not long_words:
        return [_begins(" ".join(words))]
    conditions: list[ColumnElement[bool]] = []
    if connection.dialect.name == "sqlite":
        phrase = " ".join('"' + word.replace('"', '""') + '"' for word in long_words)
        found: Select[Any] = (
            select(literal_column("rowid"))
            .select_from(table("leads_search"))
            .where(text("leads_search MATCH :phrase").bindparams(phrase=phrase))
        )
        # SQLite collects every match before it looks at the first; it may only be stopped where nothing else is asked.
        whole = wanted.words_only and len(long_words) == len(words)
        conditions.append(leads.c.id.in_(found.limit(most) if whole else found))
        conditions += [contains(word) for word in words if len(word) < _TRIGRAM]
    else:
        conditions += [contains(word) for word in words]
    return conditions


def conditions(
    connection: Connection, wanted: LeadFilter, *, skip: tuple[str, ...] = (), most: int | None = None
) -> list[ColumnElement[bool]]:
    """Every condition of the filter, for a planner that is free to choose any index.

    Args:
        skip: columns whose condition the caller states itself.
        most: no more matches of a search than these are needed, whichever they are.
    """
    return [*_values(wanted, skip, indexed=True), *_others(wanted), *search(connection, wanted, most=most)]


def residual(
    wanted: LeadFilter, *, skip: tuple[str, ...] = (), sorted_by: str | None = None
) -> list[ColumnElement[bool]]:
    """Every condition of the filter in a form that no index but the one being walked answers.

    Args:
        skip: columns whose condition the caller states itself.
        sorted_by: the column the walk is ordered by, whose bounds narrow the walk.
    """
    return [
        *_values(wanted, skip, indexed=False),
        *_others(wanted, indexed=False, sorted_by=sorted_by),
        *(contains(word) for word in wanted.words),
    ]


def _values(wanted: LeadFilter, skip: tuple[str, ...], *, indexed: bool) -> list[ColumnElement[bool]]:
    return [
        or_(*(priority_range(value, indexed=indexed) for value in values))
        if name == "priority"
        else one_of(leads.c[name], values, indexed=indexed)
        for name, values in wanted.values.items()
        if name not in skip
    ]
