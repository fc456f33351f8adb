"""Opening the store: one class that owns the read and the write path of SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from hunter_orchestration.store.types import encode_json

_BUSY_SECONDS = 30


class StoreError(Exception):
    """The store can't be opened or used. The message says which one and what to do, without credentials."""


class Store:
    """Hunter's database.

    ``read()`` yields a connection for queries, ``write()`` one inside a transaction that commits at the end of the
    block. On SQLite a write transaction takes the write lock at once (``BEGIN IMMEDIATE``), so two writers wait for
    each other instead of failing half-way.

    Args:
        url: an SQLAlchemy URL; ``postgresql://`` is read as ``postgresql+psycopg2://``.

    Raises:
        StoreError: for a URL that is not SQLite or PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise StoreError(
                "HUNTER_DATABASE_URL is not a database address. Examples: sqlite:////var/lib/hunter/hunter.db, "
                "postgresql+psycopg2://hunter@localhost/hunter."
            ) from None
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg2")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise StoreError(
                f"HUNTER_DATABASE_URL names {parsed.get_backend_name()}; Hunter runs on SQLite and PostgreSQL."
            )
        self.url: URL = parsed
        self.dialect: str = parsed.get_backend_name()
        self.engine: Engine = _sqlite(parsed) if self.dialect == "sqlite" else _postgresql(parsed)

    @property
    def shown_url(self) -> str:
        """The URL with its password hidden."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for queries."""
        with self._connected() as connection:
            yield connection
            connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection inside one transaction, committed at the end, rolled back on an exception."""
        with self._connected() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            connection = self.engine.connect()
        except DBAPIError as error:
            raise StoreError(
                f"The database {self.shown_url} can't be opened ({type(error.orig).__name__}). "
                "Check that it exists and is reachable: hunter doctor."
            ) from error
        try:
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The folder {folder} of the database can't be made: {error.strerror}.") from None
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(raw: Any, _record: Any) -> None:
        # The driver's own BEGIN would come late and deferred; transactions are begun in Store.write.
        raw.isolation_level = None
        cursor = raw.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"busy_timeout={_BUSY_SECONDS * 1000}",
            "temp_store=MEMORY",
            "cache_size=-32768",
            "mmap_size=268435456",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _postgresql(url: URL) -> Engine:
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=10,
        executemany_mode="values_plus_batch",
        json_serializer=encode_json,
        json_deserializer=orjson.loads,
        connect_args={"options": "-c timezone=utc", "connect_timeout": 10},
    )
