"""Changes to definitions: new columns, choices, keys, and how a key's index comes to life (contract, 5 and 15)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.definition_bodies import (
    ColumnBody,
    KeyBody,
    KeyNameBody,
    NewOptionBody,
    read_body,
)
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.rows import Organisation, Row
from hunter_orchestration.sandbox.dataverse.schema import (
    KEY_TYPES,
    KEYS_PER_TABLE,
    AlternateKey,
    Column,
    Option,
    Table,
    column_of,
)

_NAMESPACE = "Microsoft.Dynamics.CRM."
_LONGEST = {"String": (100, 4000), "Memo": (2000, 1_048_576)}
"""Characters: what a column gets that says nothing, and the most it may ask for."""

_WIDEST: dict[str, tuple[float, float]] = {
    "Integer": (-(2**31), 2**31 - 1),
    "BigInt": (-(2**63), 2**63 - 1),
    "Money": (-922_337_203_685_477, 922_337_203_685_477),
    "Decimal": (-1e11, 1e11),
    "Double": (-1e11, 1e11),
}
_CREATABLE = frozenset({*_LONGEST, *_WIDEST, "Boolean", "DateTime", "Picklist"})


class Alterations:
    """Changes definitions.

    Args:
        settings: live switches; ``key_pending_reads`` is how often a new key's status is read before it is Active.
    """

    def __init__(self, organisation: Organisation, settings: Mapping[str, Any]) -> None:
        self.organisation = organisation
        self.settings = settings

    def create_column(self, table: Table, body: Any, solution: str | None) -> Column:
        """Add a column from AttributeMetadata.

        Raises:
            RefusedError: unknown type or solution, wrong prefix, facets out of bounds, or the name is taken.
        """
        given = read_body(ColumnBody, body)
        kind = given.odata_type.lstrip("#").removeprefix(_NAMESPACE).removeprefix("Complex")
        kind = kind.removesuffix("AttributeMetadata")
        if kind not in _CREATABLE:
            raise errors.bad_request(f"A column can't be created from '@odata.type' {given.odata_type!r}.")
        prefix, option_prefix = self._publisher(given.schema_name, solution)
        if not given.schema_name.lower().startswith(prefix + "_"):
            raise RefusedError(
                400,
                "0x8004701d",
                f"The schema name '{given.schema_name}' doesn't start with the publisher's customization prefix "
                f"'{prefix}_'.",
            )
        entry: dict[str, Any] = {
            "name": given.schema_name.lower(),
            "schema_name": given.schema_name,
            "type": kind,
            "label": given.label.first(given.schema_name),
            "required": given.required.value if given.required else "None",
            "custom": True,
            "solution": solution or "",
            "date_only": kind == "DateTime" and given.format == "DateOnly",
        }
        if kind in _LONGEST:
            usual, longest = _LONGEST[kind]
            entry["length"] = given.length if given.length is not None else usual
            if not 1 <= entry["length"] <= longest:
                raise RefusedError(400, "0x80044332", f"MaxLength of '{given.schema_name}' has to be 1 to {longest}.")
        if kind in _WIDEST:
            lowest, highest = _WIDEST[kind]
            entry["range"] = [
                lowest if given.lowest is None else given.lowest,
                highest if given.highest is None else given.highest,
            ]
        column = column_of(table.name, entry)
        column.metadata_id = str(uuid.uuid4())
        column.born = self.organisation.clock.timestamp()
        if column.precision is not None and given.precision is not None:
            column.precision = given.precision
        if kind == "Boolean" and given.default is True:
            column.default = True
        for option in given.option_set.options if given.option_set and kind == "Picklist" else ():
            self._add_option(column, option.value, option.label.first(""), option_prefix)
        table.add(column)
        self.organisation.defined(table)
        return column

    def change_column(self, table: Table, column: Column, body: Any) -> None:
        """Apply AttributeMetadata to a column: length, range, required level, label.

        Raises:
            RefusedError: not a definition.
        """
        given = read_body(ColumnBody, body)
        if given.length is not None and column.length is not None:
            column.length = given.length
        column.lowest = column.lowest if given.lowest is None else given.lowest
        column.highest = column.highest if given.highest is None else given.highest
        column.required = given.required.value if given.required else column.required
        column.label = given.label.first(column.label)
        self.organisation.defined(table)

    def insert_option(self, body: Any) -> int:
        """``InsertOptionValue`` on a local choice column; the value comes back.

        Raises:
            RefusedError: no such column.
        """
        given = read_body(NewOptionBody, body)
        table = self.organisation.tables.get(given.table)
        column = table.columns.get(given.column) if table else None
        if table is None or column is None or column.type != "Picklist":
            raise errors.bad_request("InsertOptionValue needs a choice column.")
        _, prefix = self._publisher(column.schema_name, given.solution)
        value = self._add_option(column, given.value, given.label.first(""), prefix)
        self.organisation.defined(table)
        return value

    def _add_option(self, column: Column, value: int | None, text: str, option_prefix: int) -> int:
        if value is None:
            first = option_prefix * 10_000
            value = max((v + 1 for v in column.option_values if first <= v < first + 10_000), default=first)
        if value in column.option_values:
            raise RefusedError(400, "0x80048403", f"The option value {value} is used twice in '{column.name}'.")
        column.options.append(Option(value, text))
        column.option_values.add(value)
        return value

    def _publisher(self, schema_name: str, solution: str | None) -> tuple[str, int]:
        """Prefix and option prefix of the solution's publisher; without a solution, of any publisher that fits."""
        publishers = self.organisation.data["publisher"].rows
        if solution is not None:
            for row in self.organisation.data["solution"].rows.values():
                owner = publishers.get(row.values.get("_publisherid_value", ""))
                if row.values.get("uniquename") == solution and owner is not None:
                    return _prefixes(owner)
            raise RefusedError(400, "0x80048405", f"The solution '{solution}' doesn't exist.")
        given = schema_name.partition("_")[0].lower()
        fitting = (p for p in map(_prefixes, publishers.values()) if p[0] == given)
        return next(fitting, ("new", 10_000))

    def create_key(self, table: Table, body: Any) -> AlternateKey:
        """Declare a key; its index is built after ``key_pending_reads`` reads of its status.

        Raises:
            RefusedError: unknown columns, a type that keys don't take, too many keys, or a name that is taken.
        """
        given = read_body(KeyBody, body)
        schema_name, names = given.schema_name, given.columns
        for name in names:
            column = table.columns.get(name)
            if column is None:
                raise RefusedError(400, "0x80060895", f"The key attribute '{name}' is not a column of {table.name}.")
            if column.type not in KEY_TYPES or (column.length or 0) > 450:
                raise RefusedError(400, "0x80060896", f"The column '{name}' ({column.type}) can't be part of a key.")
        if any(k.schema_name.lower() == schema_name.lower() for k in table.keys.values()):
            raise RefusedError(400, "0x80060893", f"The key '{schema_name}' already exists on {table.name}.")
        if any(set(k.columns) == set(names) for k in table.keys.values()):
            raise RefusedError(400, "0x80060894", f"A key on {', '.join(names)} already exists on {table.name}.")
        if len(table.keys) >= KEYS_PER_TABLE:
            raise RefusedError(400, "0x80060897", f"{table.name} has {KEYS_PER_TABLE} keys; no more are allowed.")
        key = AlternateKey(
            schema_name,
            tuple(names),
            given.label.first(schema_name),
            "Pending",
            str(uuid.uuid4()),
            self.settings["key_pending_reads"],
        )
        table.keys[key.schema_name] = key
        if not key.pending_reads:
            self.organisation.activate(table, key)
        self.organisation.defined(table)
        return key

    def progress(self, table: Table) -> None:
        """Let pending indexes move on by one read of their status; a negative count stays Pending."""
        for key in table.keys.values():
            if key.status not in {"Pending", "InProgress"} or key.pending_reads < 0:
                continue
            if key.pending_reads > 0:
                key.pending_reads -= 1
                key.status = "Pending" if key.pending_reads else "InProgress"
            else:
                self.organisation.activate(table, key)

    def reactivate_key(self, body: Any) -> None:
        """``ReactivateEntityKey``: try a failed index again.

        Raises:
            RefusedError: no such key.
        """
        given = read_body(KeyNameBody, body)
        table, wanted = self.organisation.tables.get(given.table), given.key
        key = next((k for k in table.keys.values() if k.logical_name == wanted), None) if table else None
        if table is None or key is None:
            raise RefusedError(404, "0x80060890", f"The key '{wanted}' doesn't exist.")
        key.status, key.pending_reads = "Pending", self.settings["key_pending_reads"]
        self.organisation.defined(table)


def _prefixes(publisher: Row) -> tuple[str, int]:
    values = publisher.values
    return str(values.get("customizationprefix", "new")), int(values.get("customizationoptionvalueprefix", 10_000))
