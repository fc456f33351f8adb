"""Writing many rows by key, the same way on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, Text, Update, bindparam, cast, column, func, select
from sqlalchemy import update as update_of
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSON

from hunter_orchestration.store.types import Money, encode_json

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
    if rows:
        _write(connection, table, rows, None, ())


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
        _write(connection, table, rows, tuple(key), tuple(columns), newer)


def change(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    *,
    where: Sequence[str],
    values: Mapping[str, Any] | None = None,
) -> None:
    """Update rows one by one as each says, in as few statements as the database allows.

    Args:
        rows: all with the same columns: those of ``where`` and those to set.
        where: columns that have to stand as the row says; one that stands otherwise, or empty, is left alone.
        values: columns to set alike in all of them.
    """
    if not rows:
        return
    wanted, alike = tuple(where), dict(values or {})
    given = tuple(rows[0])
    common = {f"all_{name}": value for name, value in alike.items()}
    if connection.dialect.name == "postgresql":
        statement = _changed_from_json(table, given, wanted, tuple(alike))
        connection.execute(statement, common | {"rows": _document(table, rows)})
        return
    statement = _changed_by_row(table, given, wanted, tuple(alike))
    connection.execute(statement, [{f"row_{name}": row[name] for name in given} | common for row in rows])


@lru_cache(maxsize=64)
def _changed_by_row(table: Table, given: tuple[str, ...], where: tuple[str, ...], alike: tuple[str, ...]) -> Update:
    of_row = {name: bindparam(f"row_{name}", type_=table.c[name].type) for name in given}
    return _changed(table, of_row, where, alike)


@lru_cache(maxsize=64)
def _changed_from_json(table: Table, given: tuple[str, ...], where: tuple[str, ...], alike: tuple[str, ...]) -> Update:
    return _changed(table, dict(_recordset(table, given).c.items()), where, alike)


def _changed(table: Table, given: Mapping[str, Any], where: tuple[str, ...], alike: tuple[str, ...]) -> Update:
    values = {name: of_row for name, of_row in given.items() if name not in where}
    values |= {name: bindparam(f"all_{name}", type_=table.c[name].type) for name in alike}
    return update_of(table).where(*(table.c[name] == given[name] for name in where)).values(values)


def _write(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    key: tuple[str, ...] | None,
    update: tuple[str, ...],
    newer: str | None = None,
) -> None:
    names = tuple(rows[0])
    if connection.dialect.name != "postgresql":
        statement = _conflict(sqlite.insert(table), table, key, update, newer)
        connection.execute(statement, [dict(row) for row in rows])
        return
    connection.execute(_from_json(table, names, key, update, newer), {"rows": _document(table, rows)})


def _document(table: Table, rows: Sequence[Row]) -> str:
    amounts = [name for name in rows[0] if isinstance(table.c[name].type, Money)]
    return encode_json([_exact(row, amounts) for row in rows] if amounts else [dict(row) for row in rows])


def _exact(row: Row, amounts: Sequence[str]) -> dict[str, Any]:
    # A JSON number would be read as a float on the way; text is read as the amount it spells.
    return dict(row) | {name: f"{row[name]:f}" for name in amounts if isinstance(row[name], Decimal)}


@lru_cache(maxsize=64)
def _from_json(
    table: Table, names: tuple[str, ...], key: tuple[str, ...] | None, update: tuple[str, ...], newer: str | None
) -> Any:
    rows = _recordset(table, names)
    statement = postgresql.insert(table).from_select(list(names), select(*(rows.c[name] for name in names)))
    return _conflict(statement, table, key, update, newer)


def _recordset(table: Table, names: tuple[str, ...]) -> Any:
    """The rows as one JSON document: the driver would write out each value of each row by itself, in Python."""
    return (
        func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
        .table_valued(*(column(name, table.c[name].type) for name in names))
        .render_derived(with_types=True)
    )


def _conflict(
    statement: Any, table: Table, key: tuple[str, ...] | None, update: tuple[str, ...], newer: str | None
) -> Any:
    if key is None:
        return statement
    if not update:
        return statement.on_conflict_do_nothing(index_elements=list(key))
    return statement.on_conflict_do_update(
        index_elements=list(key),
        set_={name: statement.excluded[name] for name in update},
        where=table.c[newer] <= statement.excluded[newer] if newer is not None else None,
    )
