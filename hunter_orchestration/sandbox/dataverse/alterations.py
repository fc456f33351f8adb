"""Changes to definitions: new columns, choices, keys, and how a key's index comes to life (contract, 5 and 15)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.descriptions import text_of
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.rows import Organisation
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


class Alterations:
    """Changes definitions.

    Args:
        settings: live switches; ``key_pending_reads`` is how often a new key's status is read before it is Active.
    """

    def __init__(self, organisation: Organisation, settings: Mapping[str, Any]) -> None:
        self.organisation = organisation
        self.settings = settings

    def column_from(self, table: Table, body: Any, solution: str | None) -> Column:
        """A new column from AttributeMetadata.

        Raises:
            RefusedError: unknown type or solution, wrong prefix, or facets out of bounds.
        """
        if not isinstance(body, dict) or not isinstance(body.get("SchemaName"), str):
            raise errors.bad_request("A column needs a SchemaName.")
        schema_name = body["SchemaName"]
        kind = str(body.get("@odata.type", "")).lstrip("#").removeprefix(_NAMESPACE).removeprefix("Complex")
        kind = kind.removesuffix("AttributeMetadata")
        if kind not in {
            "String",
            "Memo",
            "Integer",
            "BigInt",
            "Money",
            "Decimal",
            "Double",
            "Boolean",
            "DateTime",
            "Picklist",
        }:
            raise errors.bad_request(f"A column can't be created from '@odata.type' {body.get('@odata.type')!r}.")
        prefix, option_prefix = self._publisher(schema_name, solution)
        if not schema_name.lower().startswith(prefix + "_"):
            raise RefusedError(
                400,
                "0x8004701d",
                f"The schema name '{schema_name}' doesn't start with the publisher's customization prefix '{prefix}_'.",
            )
        entry: dict[str, Any] = {
            "name": schema_name.lower(),
            "schema_name": schema_name,
            "type": kind,
            "label": text_of(body.get("DisplayName"), schema_name),
            "required": (body.get("RequiredLevel") or {}).get("Value", "None"),
            "custom": True,
            "solution": solution or "",
            "date_only": kind == "DateTime" and body.get("Format") == "DateOnly",
        }
        if kind in {"String", "Memo"}:
            largest = 4000 if kind == "String" else 1_048_576
            length = body.get("MaxLength", 100 if kind == "String" else 2000)
            if not isinstance(length, int) or not 1 <= length <= largest:
                raise RefusedError(400, "0x80044332", f"MaxLength of '{schema_name}' has to be 1 to {largest}.")
            entry["length"] = length
        if kind in {"Integer", "BigInt"}:
            entry["range"] = [body.get("MinValue", -(2**31)), body.get("MaxValue", 2**31 - 1)]
        elif kind in {"Money", "Decimal", "Double"}:
            entry["range"] = [body.get("MinValue", -1e11), body.get("MaxValue", 1e11)]
        column = column_of(table.name, entry)
        column.metadata_id = str(uuid.uuid4())
        if kind in {"Money", "Decimal", "Double"} and body.get("Precision") is not None:
            column.precision = body["Precision"]
        if kind == "Boolean" and body.get("DefaultValue") is True:
            column.default = True
        if kind == "Picklist":
            given = (body.get("OptionSet") or {}).get("Options") or []
            for option in given:
                self.add_option(column, option.get("Value"), text_of(option.get("Label"), ""), option_prefix)
        return column

    def add_option(self, column: Column, value: int | None, text: str, option_prefix: int) -> int:
        """Add a choice; without a value it gets the next one of the publisher's range."""
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
                if row.values.get("uniquename") == solution:
                    publisher = publishers[row.values["_publisherid_value"]].values
                    return publisher["customizationprefix"], publisher["customizationoptionvalueprefix"]
            raise RefusedError(400, "0x80048405", f"The solution '{solution}' doesn't exist.")
        given = schema_name.partition("_")[0].lower()
        for row in publishers.values():
            if row.values["customizationprefix"] == given:
                return given, row.values["customizationoptionvalueprefix"]
        return "new", 10_000

    def change_column(self, table: Table, column: Column, body: Any) -> None:
        """Apply AttributeMetadata to a column: length, range, required level, label.

        Raises:
            RefusedError: not a definition.
        """
        if not isinstance(body, dict):
            raise errors.bad_request("A column definition was expected.")
        if isinstance(body.get("MaxLength"), int) and column.length is not None:
            column.length = body["MaxLength"]
        if isinstance(body.get("MinValue"), int | float):
            column.lowest = body["MinValue"]
        if isinstance(body.get("MaxValue"), int | float):
            column.highest = body["MaxValue"]
        column.required = (body.get("RequiredLevel") or {}).get("Value", column.required)
        column.label = text_of(body.get("DisplayName"), column.label)
        self.organisation.defined(table)

    def create_key(self, table: Table, body: Any) -> AlternateKey:
        """Declare a key; its index is built after ``key_pending_reads`` reads of its status.

        Raises:
            RefusedError: unknown columns, a type that keys don't take, too many keys, or a name that is taken.
        """
        names = body.get("KeyAttributes") if isinstance(body, dict) else None
        if not names or not isinstance(body.get("SchemaName"), str):
            raise errors.bad_request("A key needs SchemaName and KeyAttributes.")
        for name in names:
            column = table.columns.get(name)
            if column is None:
                raise RefusedError(400, "0x80060895", f"The key attribute '{name}' is not a column of {table.name}.")
            if column.type not in KEY_TYPES or (column.length or 0) > 450:
                raise RefusedError(400, "0x80060896", f"The column '{name}' ({column.type}) can't be part of a key.")
        if any(k.schema_name.lower() == body["SchemaName"].lower() for k in table.keys.values()):
            raise RefusedError(400, "0x80060893", f"The key '{body['SchemaName']}' already exists on {table.name}.")
        if any(set(k.columns) == set(names) for k in table.keys.values()):
            raise RefusedError(400, "0x80060894", f"A key on {', '.join(names)} already exists on {table.name}.")
        if len(table.keys) >= KEYS_PER_TABLE:
            raise RefusedError(400, "0x80060897", f"{table.name} has {KEYS_PER_TABLE} keys; no more are allowed.")
        key = AlternateKey(
            body["SchemaName"],
            tuple(names),
            text_of(body.get("DisplayName"), body["SchemaName"]),
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
        table = self.organisation.tables.get(str(body.get("EntityLogicalName")))
        wanted = str(body.get("EntityKeyLogicalName"))
        key = next((k for k in table.keys.values() if k.logical_name == wanted), None) if table else None
        if table is None or key is None:
            raise RefusedError(404, "0x80060890", f"The key '{wanted}' doesn't exist.")
        key.status, key.pending_reads = "Pending", self.settings["key_pending_reads"]
        self.organisation.defined(table)

    def insert_option(self, body: Any) -> int:
        """``InsertOptionValue`` on a local choice column; the value comes back.

        Raises:
            RefusedError: no such column.
        """
        table = self.organisation.tables.get(str(body.get("EntityLogicalName")))
        column = table.columns.get(str(body.get("AttributeLogicalName"))) if table else None
        if table is None or column is None or column.type != "Picklist":
            raise errors.bad_request("InsertOptionValue needs a choice column.")
        _, prefix = self._publisher(column.schema_name, body.get("SolutionUniqueName"))
        value = self.add_option(column, body.get("Value"), text_of(body.get("Label"), ""), prefix)
        self.organisation.defined(table)
        return value
