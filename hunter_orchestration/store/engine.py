"""Opening the store: one class that owns the read and the write path of SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from hunter_orchestration.store.types import encode_json

_BUSY_SECONDS = 30
_GOES_ON = "The next run goes on where this one stopped."
_TROUBLES: tuple[tuple[frozenset[str], tuple[str, ...], str, str], ...] = (
    (
        frozenset({"53100"}),
        ("disk is full", "no space left"),
        "has no room left on its disk",
        f"Free some space. {_GOES_ON}",
    ),
    (
        frozenset({"25006"}),
        ("readonly database", "read-only"),
        "can only be read",
        f"Let Hunter write to it: file permissions, or a server that is not a replica. {_GOES_ON}",
    ),
    (
        frozenset({"55P03"}),
        ("database is locked", "table is locked"),
        "is locked by another program",
        f"Find what holds it open. {_GOES_ON}",
    ),
    (
        frozenset(),
        ("disk i/o error",),
        "can't be written: the disk reports an error",
        f"Look at the disk and at the system's log. {_GOES_ON}",
    ),
    (
        frozenset({"57P01", "57P02", "57P03", "08006", "08003"}),
        ("connection already closed", "server closed the connection", "connection refused"),
        "does not answer any more",
        f"Start it. {_GOES_ON}",
    ),
)
"""SQLSTATE codes, words of the driver, what is the matter, what to do. https://www.sqlite.org/rescode.html"""

_QUOTED = re.compile(r'".*"', re.DOTALL)


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

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        """Another process opens it anew."""
        return Store, (self.url.render_as_string(hide_password=False),)

    @property
    def shown_url(self) -> str:
        """The URL with its password hidden."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for queries."""
        with self._connected() as connection, self._failures_told():
            yield connection
            connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection inside one transaction, committed at the end, rolled back on an exception.

        Raises:
            StoreError: the database is locked for long, full, read-only or away; nothing of the block is kept.
        """
        with self._connected() as connection, self._failures_told():
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                # A connection that broke has nothing to roll back, and the first error says why.
                with suppress(DBAPIError):
                    connection.rollback()
                raise

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        """Put the database's own troubles, which no code of ours can mend, into a sentence; the rest are defects."""
        try:
            yield
        except DBAPIError as error:
            code = getattr(error.orig, "pgcode", None)
            said = str(error.orig).lower()
            for codes, words, what, fix in _TROUBLES:
                if code in codes or any(word in said for word in words):
                    raise StoreError(f"The database {self.shown_url} {what}. {fix}") from error
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
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(raw: Any, _record: Any) -> None:
        # The driver's own BEGIN would come late and deferred; transactions are begun in Store.write.
        raw.isolation_level = None
        cursor = raw.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "wal_autocheckpoint=4000",
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
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=10,
        executemany_mode="values_plus_batch",
        json_serializer=encode_json,
        json_deserializer=orjson.loads,
        connect_args={"options": "-c timezone=utc", "connect_timeout": 10},
    )
    event.listen(engine, "handle_error", _without_values)
    return engine


def _without_values(context: ExceptionContext) -> None:
    """Take people's data out of what PostgreSQL says of a refused statement, before it reaches a log.

    It quotes the row it refuses in the lines below the first (DETAIL, CONTEXT), and in the first line the value that
    is not of the column's type (class 22 of https://www.postgresql.org/docs/current/errcodes-appendix.html).
    """
    refused, told = context.original_exception, context.sqlalchemy_exception
    code = getattr(refused, "pgcode", None)
    if not code or told is None:
        return
    sentence = str(refused).partition("\n")[0]
    if code.startswith("22"):
        sentence = _QUOTED.sub('"…"', sentence)
    refused.args = (sentence,)
    told.args = (f"({type(refused).__module__}.{type(refused).__name__}) {sentence}",)
