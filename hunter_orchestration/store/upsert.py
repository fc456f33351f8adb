"""Writing many rows by key, the same way on SQLite and PostgreSQL.

The rows go to the database as one relation that the statement reads from: a JSON document on PostgreSQL, a list of
values on SQLite. Handing them over one by one would cost each row its own work in Python, and the interpreter's lock
twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import chain, islice
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, FromClause, Table, Text, bindparam, cast, column, func, select, true
from sqlalchemy import table as named
from sqlalchemy import update as update_of
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSON

from hunter_orchestration.store.types import Money, encode_json

_ROWS_OF_STATEMENT = 100
_VALUES_OF_STATEMENT = 30_000
"""SQLite takes 32,766 (https://www.sqlite.org/limits.html)."""

Row = Mapping[str, Any]
T = TypeVar("T")


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size`` items, in order."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT of the connection's dialect, which knows ON CONFLICT."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def append(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, all with the same columns."""
    _run(connection, _Insert(table, None), rows, {})


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    *,
    key: Sequence[str],
    update: Sequence[str] | None = None,
    newer: str | None = None,
) -> None:
    """Insert rows, or update those whose key exists.

    Args:
        rows: all with the same columns; no two with one key.
        key: columns of a primary key or unique constraint.
        update: columns to overwrite; ``None`` means all that are not in the key, an empty list means none.
        newer: a column that never goes back: a stored row where it is greater than in ours stays as it is.
    """
    if rows:
        columns = [name for name in rows[0] if name not in key] if update is None else update
        _run(connection, _Insert(table, tuple(key), tuple(columns), newer), rows, {})


def change(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    *,
    where: Sequence[str],
    values: Mapping[str, Any] | None = None,
    unchanged: Mapping[str, str] | None = None,
) -> None:
    """Update rows as each says, in as few statements as the database allows.

    Args:
        rows: all with the same names: those of ``where`` and ``unchanged`` and the columns to set; no two for one row.
        where: columns that have to stand as the row says; one that stands otherwise, or empty, is left alone.
        values: columns to set alike in all of them.
        unchanged: columns, to be set too, that have to stand as they were read, empty included; and the names under
            which the rows tell what was read.
    """
    alike = {f"all_{name}": value for name, value in (values or {}).items()}
    shape = _Change(table, tuple(where), tuple(values or ()), tuple((unchanged or {}).items()))
    _run(connection, shape, rows, alike)


def _run(connection: Connection, shape: _Insert | _Change, rows: Sequence[Row], alike: Mapping[str, Any]) -> None:
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        document = _document([shape.column(name) for name in names], rows)
        connection.execute(_from_json(shape, names), {**alike, "rows": document})
        return
    statement = _from_values(shape, names)
    common = tuple(statement.processed(name, alike[name]) for name in statement.alike)
    for chunk in chunks(rows, min(_ROWS_OF_STATEMENT, _VALUES_OF_STATEMENT // len(names))):
        connection.exec_driver_sql(statement.over(len(chunk)), statement.values(chunk) + common)


@dataclass(frozen=True)
class _Insert:
    """INSERT of rows, whatever they come as; ``key`` None: no two rows meet."""

    table: Table
    key: tuple[str, ...] | None
    update: tuple[str, ...] = ()
    newer: str | None = None

    def column(self, name: str) -> Column[Any]:
        """The column a value is meant for."""
        return self.table.c[name]

    def over(self, given: FromClause, dialect: str) -> Any:
        """The statement that reads the rows from a relation."""
        made = postgresql.insert(self.table) if dialect == "postgresql" else sqlite.insert(self.table)
        # Without WHERE, SQLite reads ON CONFLICT as the ON of a join (https://www.sqlite.org/lang_upsert.html 2.2).
        statement = made.from_select(list(given.c.keys()), select(*given.c).where(true()))
        if self.key is None:
            return statement
        if not self.update:
            return statement.on_conflict_do_nothing(index_elements=list(self.key))
        return statement.on_conflict_do_update(
            index_elements=list(self.key),
            set_={name: statement.excluded[name] for name in self.update},
            where=self.table.c[self.newer] <= statement.excluded[self.newer] if self.newer is not None else None,
        )


@dataclass(frozen=True)
class _Change:
    """UPDATE of rows; ``read`` pairs a column with the name under which the rows tell what stood there."""

    table: Table
    where: tuple[str, ...]
    alike: tuple[str, ...]
    read: tuple[tuple[str, str], ...]

    def column(self, name: str) -> Column[Any]:
        """The column a value is meant for, or was read from."""
        return self.table.c[next((column for column, was in self.read if was == name), name)]

    def over(self, given: FromClause, dialect: str) -> Any:
        """The statement that reads the rows from a relation."""
        compared = {*self.where, *(was for _, was in self.read)}
        values: dict[str, Any] = {name: given.c[name] for name in given.c.keys() if name not in compared}  # noqa: SIM118
        values |= {name: bindparam(f"all_{name}", type_=self.table.c[name].type) for name in self.alike}
        return (
            update_of(self.table)
            .where(*(self.table.c[name] == given.c[name] for name in self.where))
            .where(*(self.table.c[name].is_not_distinct_from(given.c[was]) for name, was in self.read))
            .values(values)
        )


# -- PostgreSQL: one JSON document --------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _from_json(shape: _Insert | _Change, names: tuple[str, ...]) -> Any:
    document = cast(bindparam("rows", type_=Text), JSON)
    relation = func.json_to_recordset(document).table_valued(*(column(name, shape.column(name).type) for name in names))
    return shape.over(relation.render_derived(with_types=True), "postgresql")


def _document(columns: Sequence[Column[Any]], rows: Sequence[Row]) -> str:
    amounts = [name for name, column in zip(rows[0], columns, strict=True) if isinstance(column.type, Money)]
    return encode_json([_exact(row, amounts) for row in rows] if amounts else [dict(row) for row in rows])


def _exact(row: Row, amounts: Sequence[str]) -> dict[str, Any]:
    # A JSON number would be read as a float on the way; text is read as the amount it spells.
    return dict(row) | {name: f"{row[name]:f}" for name in amounts if isinstance(row[name], Decimal)}


# -- SQLite: a list of values -------------------------------------------------------------------------------------


class _Values:
    """A statement over ``WITH given(…) AS (VALUES …)``, compiled once for any number of rows."""

    def __init__(self, shape: _Insert | _Change, names: tuple[str, ...]) -> None:
        dialect = sqlite.dialect()
        self._names = names
        relation = named("given", *(column(name, shape.column(name).type) for name in names))
        compiled: Any = shape.over(relation, "sqlite").compile(dialect=dialect)
        self.alike: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._statement = str(compiled)
        self._heads = ", ".join(dialect.identifier_preparer.quote(name) for name in names)
        self._row = f"({', '.join('?' * len(names))})"
        types = {name: shape.column(name).type for name in names}
        types |= {name: shape.column(name.removeprefix("all_")).type for name in self.alike}
        self._processors = {name: kind.dialect_impl(dialect).bind_processor(dialect) for name, kind in types.items()}

    def over(self, rows: int) -> str:
        """Its text for so many rows."""
        return f"WITH given({self._heads}) AS (VALUES {', '.join([self._row] * rows)}) {self._statement}"

    def processed(self, name: str, value: Any) -> Any:
        """A value as the driver takes it."""
        process = self._processors[name]
        return process(value) if process is not None else value

    def values(self, rows: Sequence[Row]) -> tuple[Any, ...]:
        """The values of rows one after another."""
        columns = []
        for name in self._names:
            process = self._processors[name]
            values = [row[name] for row in rows]
            columns.append(values if process is None else [process(value) for value in values])
        return tuple(chain.from_iterable(zip(*columns, strict=True)))


_from_values = lru_cache(maxsize=64)(_Values)
