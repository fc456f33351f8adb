"""Moving a whole store: to another database, row by row and checked, or into a file as a backup."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Table, func, select, text, tuple_

from hunter_orchestration.store.engine import Store, StoreError
from hunter_orchestration.store.migrate import is_current, upgrade
from hunter_orchestration.store.tables import metadata
from hunter_orchestration.store.work import Progress

_BATCH = 500
_PAGES = 1000
_KEPT_BY_TRIGGERS = frozenset({"lead_counts"})
"""Filled by the target itself as leads arrive."""


class CopyError(StoreError):
    """The store was not copied; the target is as it was."""


def copy(source: Store, target: Store, progress: Progress | None = None) -> dict[str, int]:
    """Copy every row into an empty store and read each back; returns the rows by table.

    The target is written in one transaction that commits only after every row was found there with the same content
    and every count is the same, so a copy that was stopped leaves nothing behind. The source is read as of one moment.

    Raises:
        CopyError: the source's schema is another one, the target holds rows, or a row came out different.
    """
    if not is_current(source):
        raise CopyError(f"{source.shown_url} is not at the newest schema. Run hunter db upgrade first.")
    if source.url == target.url:
        raise CopyError("Source and target are the same database.")
    upgrade(target)
    copied: dict[str, int] = {}
    with _snapshot(source) as reading, target.write() as writing:
        for table in metadata.sorted_tables:
            if writing.execute(select(table).limit(1)).first() is not None:
                raise CopyError(
                    f"{target.shown_url} already holds rows in {table.name}. Copy into an empty database only."
                )
        tables = [table for table in metadata.sorted_tables if table.name not in _KEPT_BY_TRIGGERS]
        total = sum(_count(reading, table) for table in tables)
        done = 0
        for table in tables:
            plain = [column for column in table.columns if column.computed is None]
            copied[table.name] = 0
            for rows in _batches(reading, table):
                writing.execute(table.insert(), [{column.name: row[column.name] for column in plain} for row in rows])
                _compare(writing, table, rows)
                copied[table.name] += len(rows)
                done += len(rows)
                if progress is not None:
                    progress(done, total)
            if _count(writing, table) != copied[table.name]:
                raise CopyError(f"{table.name} has another number of rows in {target.shown_url} than were copied.")
            _set_sequence(writing, table)
    return copied


@contextmanager
def _snapshot(store: Store) -> Iterator[Connection]:
    with store.read() as connection:
        connection.exec_driver_sql(
            "BEGIN" if store.dialect == "sqlite" else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        )
        yield connection


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    """Rows in the order of their key, so that memory stays small whatever the size."""
    key = list(table.primary_key.columns)
    last: Sequence[Any] | None = None
    while True:
        query = select(table).order_by(*key).limit(_BATCH)
        if last is not None:
            query = query.where(tuple_(*key) > tuple_(*last))
        rows = [dict(row) for row in connection.execute(query).mappings()]
        if not rows:
            return
        yield rows
        last = [rows[-1][column.name] for column in key]


def _compare(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    key = list(table.primary_key.columns)
    names = [column.name for column in key]
    wanted = {tuple(row[name] for name in names): digest(row) for row in rows}
    found = connection.execute(select(table).where(tuple_(*key).in_(list(wanted)))).mappings()
    held = {tuple(row[name] for name in names): digest(dict(row)) for row in found}
    wrong = [identity for identity, value in wanted.items() if held.get(identity) != value]
    if wrong:
        raise CopyError(f"{len(wrong)} rows of {table.name} came out different, the first with key {wrong[0]}.")


def digest(row: Mapping[str, Any]) -> str:
    """SHA-256 of a row's content, the same whichever database holds it."""
    encoded = orjson.dumps(
        {name: _plain(value) for name, value in row.items()}, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    )
    return sha256(encoded).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value.normalize())
    # PostgreSQL keeps a JSON number as a decimal: 1.0 may come back as 1.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _set_sequence(connection: Connection, table: Table) -> None:
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None:
        return
    connection.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), "
            f"GREATEST(COALESCE(MAX({column.name}), 1), 1), MAX({column.name}) IS NOT NULL) FROM {table.name}"
        )
    )


def backup(store: Store, file: Path, progress: Progress | None = None) -> int:
    """Copy a SQLite store into a file while Hunter works; returns its size in bytes.

    The file appears whole or not at all, after it passed SQLite's own check.

    Raises:
        CopyError: the store is PostgreSQL, the file exists, or the copy is damaged.
    """
    if store.dialect != "sqlite" or not store.url.database:
        raise CopyError(
            f"{store.shown_url} is PostgreSQL: use pg_dump --format=custom, and pg_restore to put it back; "
            "deploy/README.md has the commands."
        )
    if not Path(store.url.database).exists():
        raise CopyError(f"There is no database at {store.url.database}.")
    if file.exists():
        raise CopyError(f"{file} exists. Name a file that does not.")
    partial = file.with_name(file.name + ".part")
    partial.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(store.url.database)) as source, closing(sqlite3.connect(partial)) as kept:
            source.backup(
                kept, pages=_PAGES, progress=lambda _status, left, total: progress and progress(total - left, total)
            )
            kept.execute("PRAGMA journal_mode=DELETE")
            (said,) = kept.execute("PRAGMA integrity_check").fetchone()
        if said != "ok":
            raise CopyError(f"The copy is damaged: {said}. The database itself may be, too: hunter doctor.")
        partial.chmod(0o600)
        partial.replace(file)
    except (sqlite3.Error, OSError) as error:
        raise CopyError(f"{file} could not be written ({type(error).__name__}: {error}).") from None
    finally:
        partial.unlink(missing_ok=True)
    return file.stat().st_size
