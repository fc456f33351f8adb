"""Tables, columns and keys of the organisation: what exists, what fits in it, and how it is named."""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any

import orjson

from hunter_orchestration.sandbox.dataverse.errors import RefusedError

TARGET = "#"
"""Suffix under which a row remembers which table a lookup points at."""

LOOKUP_TYPES = frozenset({"Lookup", "Customer", "Owner"})
OPTION_TYPES = frozenset({"Picklist", "State", "Status"})
TEXT_TYPES = frozenset({"String", "Memo"})
KEY_TYPES = frozenset({"Decimal", "Integer", "String", "DateTime", "Lookup", "Picklist"})
"""Column types that an alternate key may hold (contract, section 5)."""

KEYS_PER_TABLE = 10
_NAMESPACE = uuid.UUID("6f1a3c52-7f0b-4a55-9a52-0d5d4c1f0d7e")


def stable_id(*parts: str) -> str:
    """A GUID that follows from a name, so that two runs of the sandbox agree."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


@dataclass(slots=True)
class Option:
    """A choice; ``state`` is the statecode a status reason belongs to."""

    value: int
    label: str
    state: int | None = None


@dataclass(slots=True)
class Column:
    """A column. ``length`` counts characters; ``lowest`` and ``highest`` are inclusive; ``binds`` maps a navigation
    property to the table or, separated by ``|``, the tables it reaches. ``value_name`` is the property that carries the
    value in JSON (``_x_value`` for lookups); ``target_name`` is where a row remembers the table a lookup points at."""

    name: str
    type: str
    schema_name: str
    label: str
    length: int | None = None
    lowest: float | None = None
    highest: float | None = None
    precision: int | None = None
    required: str = "None"
    options: list[Option] = field(default_factory=list)
    binds: dict[str, str] = field(default_factory=dict)
    creatable: bool = True
    updatable: bool = True
    custom: bool = False
    date_only: bool = False
    default: Any = None
    metadata_id: str = ""
    solution: str = ""
    born: float = 0.0
    option_values: set[int] = field(init=False)
    is_lookup: bool = field(init=False)
    value_name: str = field(init=False)
    target_name: str = field(init=False)

    def __post_init__(self) -> None:
        self.option_values = {o.value for o in self.options}
        self.is_lookup = self.type in LOOKUP_TYPES
        self.value_name = sys.intern(f"_{self.name}_value" if self.is_lookup else self.name)
        self.target_name = sys.intern(self.value_name + TARGET)


@dataclass(slots=True)
class AlternateKey:
    """A declared key and the state of its index; ``pending_reads`` counts down to Active."""

    schema_name: str
    columns: tuple[str, ...]
    label: str
    status: str
    metadata_id: str
    pending_reads: int = 0

    @property
    def logical_name(self) -> str:
        return self.schema_name.lower()


@dataclass
class Table:
    """A table's definition; its rows live in the organisation."""

    name: str
    entity_set: str
    id_column: str
    title_column: str
    code: int
    system: bool
    columns: dict[str, Column]
    schema_name: str
    keys: dict[str, AlternateKey] = field(default_factory=dict)
    change_tracking: bool = True
    duplicate_detection: bool = True
    metadata_id: str = ""
    custom: bool = False

    def changed(self) -> None:
        """Forget what was derived from the columns."""
        for name in ("by_property", "navigation"):
            self.__dict__.pop(name, None)

    @cached_property
    def by_property(self) -> dict[str, Column]:
        """Columns by the property name that JSON and queries use."""
        return {column.value_name: column for column in self.columns.values()}

    @cached_property
    def navigation(self) -> dict[str, tuple[Column, tuple[str, ...]]]:
        """Navigation property: its column and the tables it may point at. Case-sensitive."""
        return {
            name: (column, tuple(targets.split("|")))
            for column in self.columns.values()
            for name, targets in column.binds.items()
        }

    @cached_property
    def has_state(self) -> bool:
        return "statecode" in self.columns

    def visible(self, hidden_after: float) -> list[Column]:
        """Columns born up to this second since 1970."""
        return [c for c in self.columns.values() if c.born <= hidden_after]

    def add(self, column: Column) -> None:
        """Add a column.

        Raises:
            RefusedError: a column of that name exists.
        """
        if column.name in self.columns:
            raise RefusedError(
                400, "0x80047013", f"Attribute {column.schema_name} already exists for entity {self.schema_name}."
            )
        self.columns[column.name] = column
        self.changed()

    def drop(self, name: str) -> None:
        """Remove a column and the keys that use it."""
        del self.columns[name]
        self.keys = {n: k for n, k in self.keys.items() if name not in k.columns}
        self.changed()


def column_of(table: str, entry: dict[str, Any]) -> Column:
    """A column from an entry of ``columns.json`` (name, type, length, range, required, options, binds, access)."""
    name = entry["name"]
    lowest, highest = entry.get("range", (None, None))
    access = entry.get("access", "all")
    column_type = entry["type"]
    return Column(
        name=name,
        type=column_type,
        schema_name=entry.get("schema_name", _CASED.get(name, name.capitalize())),
        label=entry.get("label", name.capitalize()),
        length=entry.get("length"),
        lowest=lowest,
        highest=highest,
        precision=2 if column_type in {"Money", "Decimal", "Double"} else None,
        required=entry.get("required", "None"),
        options=[Option(*o) for o in entry.get("options", [])],
        binds=dict(entry.get("binds", {})),
        creatable=access == "all",
        updatable=access in {"all", "update"} and name != f"{table}id",
        custom=entry.get("custom", False),
        date_only=entry.get("date_only", name in {"estimatedclosedate", "actualclosedate", "birthdate"}),
        metadata_id=stable_id("column", table, name),
        solution=entry.get("solution", ""),
    )


_CASED = {"statecode": "StateCode", "statuscode": "StatusCode", "ownerid": "OwnerId", "createdon": "CreatedOn"}
_MERGEABLE = ("account", "contact", "lead")


def load_tables() -> dict[str, Table]:
    """The tables of a fresh organisation with Dynamics 365 Sales, without anything of ours."""
    source: dict[str, Any] = orjson.loads(files(__package__).joinpath("columns.json").read_bytes())
    tables: dict[str, Table] = {}
    for name, entry in source.items():
        columns = [column_of(name, c) for c in entry["columns"]]
        if not entry.get("system"):
            extra: list[dict[str, Any]] = [
                {"name": "createdby", "type": "Lookup", "binds": {"createdby": "systemuser"}, "access": "read"},
                {"name": "modifiedby", "type": "Lookup", "binds": {"modifiedby": "systemuser"}, "access": "read"},
                {
                    "name": "modifiedonbehalfby",
                    "type": "Lookup",
                    "binds": {"modifiedonbehalfby": "systemuser"},
                    "access": "read",
                },
            ]
            if name in _MERGEABLE:
                extra += [
                    {"name": "masterid", "type": "Lookup", "binds": {"masterid": name}, "access": "read"},
                    {"name": "merged", "type": "Boolean", "access": "read"},
                ]
            replaced = {e["name"] for e in extra}
            columns = [c for c in columns if c.name not in replaced] + [column_of(name, e) for e in extra]
        tables[name] = Table(
            name=name,
            entity_set=entry["set"],
            id_column=entry["id"],
            title_column=entry["title"],
            code=entry["code"],
            system=entry.get("system", False),
            columns={c.name: c for c in columns},
            schema_name=name.capitalize(),
            change_tracking=not entry.get("system", False),
            duplicate_detection=name in _MERGEABLE,
            metadata_id=stable_id("table", name),
        )
    return tables
