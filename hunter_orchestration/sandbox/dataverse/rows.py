"""The organisation's rows: versions, key and value indexes, the log of deletions, undo for what is all or nothing."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from hunter_orchestration.sandbox.clock import Clock
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.schema import AlternateKey, Table, load_tables, stable_id

Values = dict[str, Any]
INDEXED = ("emailaddress1", "name", "companyname", "websiteurl", "domainname", "uniquename")
"""Columns whose equality is looked up rather than scanned for."""


@dataclass(slots=True)
class Row:
    """One row. ``values`` holds only what is set, by property name; ``number`` is the order of creation."""

    id: str
    number: int
    version: int
    values: Values

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'


@dataclass(slots=True)
class Rows:
    """All rows of one table."""

    table: Table
    rows: dict[str, Row] = field(default_factory=dict)
    keys: dict[str, dict[tuple[Any, ...], str]] = field(default_factory=dict)
    index: dict[str, dict[Any, dict[str, None]]] = field(default_factory=dict)
    deletions: list[tuple[int, str]] = field(default_factory=list)
    writes: Counter[str] = field(default_factory=Counter)


class Keeper(Protocol):
    """Is told what was committed."""

    def rows(self, touched: Iterable[tuple[Rows, str]]) -> None:
        """These rows, by table and id, were written or deleted."""

    def table(self, organisation: Organisation, table: Table) -> None:
        """The definition of this table changed."""


def folded(value: Any) -> Any:
    """The value as the database's collation compares it: text without case."""
    return value.casefold() if isinstance(value, str) else value


class Organisation:
    """Everything the CRM holds. Used from one thread only.

    Args:
        clock: the sandbox's clock; stamps are UTC with whole seconds, as Dataverse writes them.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.tables: dict[str, Table] = load_tables()
        self.data: dict[str, Rows] = {}
        self.sets: dict[str, Table] = {}
        self.version = 1_000_000
        self.oldest_token = 0
        self.key_case_sensitive = False
        self.id = stable_id("organisation")
        self.business_unit = stable_id("businessunit", "root")
        self.application_user = stable_id("systemuser", "application")
        self.keeper: Keeper | None = None
        self._numbers = itertools.count(1)
        self._undoable: list[tuple[Rows, str, Row | None, int]] = []
        self._depth = 0
        self._second, self._now = -1, ""
        for table in self.tables.values():
            self.adopt(table)

    def adopt(self, table: Table) -> None:
        """Make room for a table's rows."""
        self.tables[table.name] = table
        self.sets[table.entity_set] = table
        self.data[table.name] = Rows(table, index={name: {} for name in INDEXED if name in table.columns})

    def now(self) -> str:
        """The clock as Dataverse writes it; rows of one second share one text."""
        second = int(self.clock.timestamp())
        if second != self._second:
            self._second, self._now = second, self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._now

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: what was written inside is undone when an error leaves the block. Nests."""
        mark = len(self._undoable)
        self._depth += 1
        try:
            yield
        except BaseException:
            self._undo(mark)
            raise
        finally:
            self._depth -= 1
            if not self._depth:
                self._commit()

    def _commit(self) -> None:
        if self.keeper is not None and self._undoable:
            touched = {(data.table.name, row_id): (data, row_id) for data, row_id, _, _ in self._undoable}
            self.keeper.rows(touched.values())
        self._undoable.clear()

    def _written(self, data: Rows, row_id: str, before: Row | None) -> None:
        """Remember how to undo the write that follows."""
        self._undoable.append((data, row_id, before, len(data.deletions)))

    def _undo(self, mark: int) -> None:
        while len(self._undoable) > mark:
            data, row_id, before, deletions = self._undoable.pop()
            current = data.rows.get(row_id)
            if current is not None:
                self._unlink(data, current)
                if before is None:
                    del data.rows[row_id]
            if before is not None:
                data.rows[row_id] = before
                self._link(data, before)
                if current is None:
                    data.rows = dict(sorted(data.rows.items(), key=lambda item: item[1].number))
            del data.deletions[deletions:]

    def insert(self, table: Table, values: Values, row_id: str | None = None) -> Row:
        """Store a new row.

        Raises:
            RefusedError: the id or a key value is taken.
        """
        data = self.data[table.name]
        row_id = row_id or str(uuid.uuid4())
        if row_id in data.rows:
            raise RefusedError(412, "0x80040237", "Operation failed due to a SQL integrity violation.")
        self.version += 1
        values[table.id_column] = row_id
        row = Row(row_id, next(self._numbers), self.version, values)
        self._check_keys(data, row)
        self._written(data, row_id, None)
        data.rows[row_id] = row
        self._link(data, row)
        data.writes["create"] += 1
        if not self._depth:
            self._commit()
        return row

    def replace(self, table: Table, row: Row, changes: Values) -> Row:
        """Store a new version of a row; a None value clears the property.

        Raises:
            RefusedError: a key value is taken.
        """
        data = self.data[table.name]
        values = {**row.values, **changes}
        for name in [n for n, v in changes.items() if v is None]:
            del values[name]
        self.version += 1
        new = Row(row.id, row.number, self.version, values)
        self._check_keys(data, new)
        self._written(data, row.id, row)
        self._unlink(data, row)
        data.rows[row.id] = new
        self._link(data, new)
        data.writes["update"] += 1
        if not self._depth:
            self._commit()
        return new

    def remove(self, table: Table, row: Row) -> None:
        """Delete a row and log it for change tracking."""
        data = self.data[table.name]
        self._written(data, row.id, row)
        self._unlink(data, row)
        del data.rows[row.id]
        self.version += 1
        data.deletions.append((self.version, row.id))
        data.writes["delete"] += 1
        if not self._depth:
            self._commit()

    def find_by_key(self, table: Table, values: Values) -> Row | None:
        """The row with these key values (by column name).

        Raises:
            KeyError: no active key has exactly these columns.
        """
        names = set(values)
        for key in table.keys.values():
            if key.status == "Active" and set(key.columns) == names:
                found = (
                    self.data[table.name]
                    .keys[key.schema_name]
                    .get(tuple(self._key_value(values[c]) for c in key.columns))
                )
                return self.data[table.name].rows[found] if found else None
        raise KeyError(table.name)

    def restore(self, data: Rows, row_id: str, row: Row | None, version: int) -> None:
        """Put a row where a keeper says it stood; None: it was deleted at ``version``."""
        self.version = max(self.version, version)
        current = data.rows.pop(row_id, None)
        if current is not None:
            self._unlink(data, current)
        if row is None:
            data.deletions.append((version, row_id))
            return
        data.rows[row_id] = row
        self._link(data, row)
        self._numbers = itertools.count(max(row.number + 1, next(self._numbers)))

    def defined(self, table: Table) -> None:
        """Say that a table's columns, keys or switches changed."""
        table.changed()
        if self.keeper is not None:
            self.keeper.table(self, table)

    def drop_column(self, table: Table, name: str) -> None:
        """Remove a column with its values and the keys that use it."""
        column = table.columns[name]
        for key in [k for k in table.keys.values() if name in k.columns]:
            self.data[table.name].keys.pop(key.schema_name, None)
        table.drop(name)
        for row in self.data[table.name].rows.values():
            row.values.pop(column.value_name, None)
        self.defined(table)

    def activate(self, table: Table, key: AlternateKey) -> None:
        """Build a key's index; duplicates in the data make it Failed."""
        data = self.data[table.name]
        found: dict[tuple[Any, ...], str] = {}
        data.keys.pop(key.schema_name, None)
        for row in data.rows.values():
            value = self._key_of(table, key, row.values)
            if value is None:
                continue
            if value in found:
                key.status = "Failed"
                self.defined(table)
                return
            found[value] = row.id
        data.keys[key.schema_name] = found
        key.status = "Active"
        self.defined(table)

    def deactivate(self, table: Table, key: AlternateKey, status: str) -> None:
        """Take a key's index out of service."""
        self.data[table.name].keys.pop(key.schema_name, None)
        key.status = status
        self.defined(table)

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows written per table and kind, undone ones included."""
        return {name: dict(data.writes) for name, data in self.data.items() if data.writes}

    def _key_value(self, value: Any) -> Any:
        return value if self.key_case_sensitive else folded(value)

    def _key_of(self, table: Table, key: AlternateKey, values: Values) -> tuple[Any, ...] | None:
        parts = tuple(self._key_value(values.get(table.columns[c].value_name)) for c in key.columns)
        return None if None in parts else parts

    def _check_keys(self, data: Rows, row: Row) -> None:
        for name, taken in data.keys.items():
            key = data.table.keys[name]
            value = self._key_of(data.table, key, row.values)
            if value is None:
                continue
            owner = taken.get(value)
            if owner is not None and owner != row.id:
                labels = ", ".join(data.table.columns[c].label for c in key.columns)
                raise RefusedError(
                    412,
                    "0x80060892",
                    f"Entity Key {key.label} violated. A record with the same value for {labels} already exists. A "
                    "duplicate record cannot be created. Select one or more unique values and try again.",
                )

    def _link(self, data: Rows, row: Row) -> None:
        for name, taken in data.keys.items():
            value = self._key_of(data.table, data.table.keys[name], row.values)
            if value is not None:
                taken[value] = row.id
        for column, index in data.index.items():
            value = row.values.get(column)
            if value is not None:
                index.setdefault(folded(value), {})[row.id] = None

    def _unlink(self, data: Rows, row: Row) -> None:
        for name, taken in data.keys.items():
            value = self._key_of(data.table, data.table.keys[name], row.values)
            if value is not None and taken.get(value) == row.id:
                del taken[value]
        for column, index in data.index.items():
            value = row.values.get(column)
            if value is not None:
                ids = index.get(folded(value))
                if ids is not None:
                    ids.pop(row.id, None)
                    if not ids:
                        del index[folded(value)]
