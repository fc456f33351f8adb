"""Writing many rows by key, the same way on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

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


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    *,
    key: Sequence[str],
    update: Sequence[str] | None = None,
) -> None:
    """Insert rows, or update those whose key exists.

    Args:
        rows: all with the same columns; no two with one key.
        key: columns of a primary key or unique constraint.
        update: columns to overwrite; ``None`` means all that are not in the key, an empty list means none.
    """
    if not rows:
        return
    columns = [name for name in rows[0] if name not in key] if update is None else list(update)
    statement = insert(connection, table)
    if columns:
        statement = statement.on_conflict_do_update(
            index_elements=list(key), set_={name: statement.excluded[name] for name in columns}
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(key))
    if connection.dialect.name == "postgresql":
        # Only a statement that returns something is sent as one multi-row INSERT; others go row by row.
        statement = statement.returning(table.c[key[0]])
    connection.execute(statement, [dict(row) for row in rows])
