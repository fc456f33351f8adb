"""What a body may say about a row: names, types, lengths, ranges, options, binds (contract, sections 4, 6, 11)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.addresses import GUID, read_reference
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.rows import Organisation, Row, Values
from hunter_orchestration.sandbox.dataverse.schema import TEXT_TYPES, Column, Table

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _mismatch(table: Table, column: Column, value: Any, expected: str) -> RefusedError:
    return errors.bad_payload(
        table.entity_set, f"Cannot convert the literal '{value}' to the expected type '{expected}'. ({column.name})"
    )


def _text(table: Table, column: Column, value: Any) -> Any:
    if not isinstance(value, str):
        raise _mismatch(table, column, value, "Edm.String")
    length = column.length
    if length is not None and (
        len(value) > length or (not value.isascii() and len(value.encode("utf-16-le", "surrogatepass")) // 2 > length)
    ):
        raise errors.too_long(table.name, column.name, length)
    return value


def _in_range(table: Table, column: Column, value: float, code: str) -> None:
    if (column.lowest is not None and value < column.lowest) or (column.highest is not None and value > column.highest):
        raise RefusedError(
            400,
            code,
            f"A validation error occurred.  The value of '{column.name}' on record of type '{table.name}' is outside "
            f"the valid range ({column.lowest} to {column.highest}).",
        )


def _integer(table: Table, column: Column, value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _mismatch(table, column, value, "Edm.Int32")
    _in_range(table, column, value, "0x8004432f")
    return value


def _decimal(table: Table, column: Column, value: Any) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _mismatch(table, column, value, "Edm.Double" if column.type == "Double" else "Edm.Decimal")
    _in_range(table, column, value, "0x80044330" if column.type == "Money" else "0x8004432f")
    return round(float(value), column.precision) if column.precision is not None else value


def _option(table: Table, column: Column, value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _mismatch(table, column, value, "Edm.Int32")
    if value not in column.option_values:
        accepted = ",".join(str(o.value) for o in column.options)
        raise RefusedError(
            400,
            "0x8004431A",
            f"A validation error occurred.  The value {value} of '{column.name}' on record of type '{table.name}' is "
            f"outside the valid range. Accepted Values: {accepted}",
        )
    return value


def _boolean(table: Table, column: Column, value: Any) -> Any:
    if not isinstance(value, bool):
        raise _mismatch(table, column, value, "Edm.Boolean")
    return value


def _moment(table: Table, column: Column, value: Any) -> Any:
    expected = "Edm.Date" if column.date_only else "Edm.DateTimeOffset"
    if not isinstance(value, str):
        raise _mismatch(table, column, value, expected)
    try:
        if column.date_only:
            if not _DATE.fullmatch(value):
                raise _mismatch(table, column, value, expected)
            return date.fromisoformat(value).isoformat()
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _mismatch(table, column, value, expected) from None
    if moment.tzinfo is None:
        raise _mismatch(table, column, value, expected)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _guid(table: Table, column: Column, value: Any) -> Any:
    if not isinstance(value, str) or not GUID.fullmatch(value):
        raise _mismatch(table, column, value, "Edm.Guid")
    return value.lower()


_CHECKS: dict[str, Callable[[Table, Column, Any], Any]] = {
    **dict.fromkeys(TEXT_TYPES, _text),
    "Integer": _integer,
    "BigInt": _integer,
    **dict.fromkeys(("Money", "Decimal", "Double"), _decimal),
    **dict.fromkeys(("Picklist", "State", "Status"), _option),
    "Boolean": _boolean,
    "DateTime": _moment,
    "Uniqueidentifier": _guid,
}


class Payloads:
    """Reads bodies into stored values.

    Args:
        organisation: where references are looked up.
        settings: live switches (``refuse_read_only``, ``refuse_statecode_on_create``, ``forbidden_columns``, ...).
        base: URL of the service root, with a slash at the end.
    """

    def __init__(self, organisation: Organisation, settings: Mapping[str, Any], base: str) -> None:
        self.organisation = organisation
        self.settings = settings
        self.base = base

    def read(
        self, table: Table, body: Any, creating: bool, names: Mapping[str, str] | None = None
    ) -> tuple[Values, dict[str, Any]]:
        """Stored values of a body, and its nested objects by navigation property (deep insert).

        Args:
            creating: create rather than update; decides on read-only columns and states.
            names: references of the change set: ``$1`` to the URL of what part 1 made.

        Raises:
            RefusedError: anything in it does not fit.
        """
        if not isinstance(body, dict):
            raise errors.bad_payload(table.entity_set, "A JSON object was expected.")
        values: Values = {}
        nested: dict[str, Any] = {}
        properties = table.by_property
        forbidden = self.settings["forbidden_columns"].get(table.name, ())
        for name, value in body.items():
            column = properties.get(name)
            if column is not None and not column.is_lookup:
                if forbidden and name in forbidden:
                    raise forbidden_column(table, column)
                if not (column.creatable if creating else column.updatable):
                    if self._tolerated(table, column, creating):
                        continue
                    raise _not_settable(table, column, creating)
                if value is None:
                    if column.required == "SystemRequired":
                        raise errors.bad_payload(
                            table.entity_set, f"A null value was found for the property '{name}', which can't be null."
                        )
                    values[name] = None
                else:
                    values[name] = _CHECKS[column.type](table, column, value)
            elif "@" in name:
                self._annotation(table, name, value, values, names, forbidden)
            else:
                self._navigation(table, name, value, values, nested, creating)
        return values, nested

    def _tolerated(self, table: Table, column: Column, creating: bool) -> bool:
        if column.name == table.id_column:
            return True
        if column.type == "State":
            return creating and not self.settings["refuse_statecode_on_create"]
        return not self.settings["refuse_read_only"]

    def _annotation(
        self,
        table: Table,
        name: str,
        value: Any,
        values: Values,
        names: Mapping[str, str] | None,
        forbidden: Any,
    ) -> None:
        prop, _, annotation = name.partition("@")
        if not prop:
            return
        if annotation != "odata.bind":
            if prop in table.by_property or prop in table.navigation:
                return
            raise self._undeclared(table, prop)
        found = table.navigation.get(prop)
        if found is None:
            raise self._undeclared(table, prop)
        column, targets = found
        if forbidden and column.name in forbidden:
            raise forbidden_column(table, column)
        if not column.updatable and not column.creatable:
            raise _not_settable(table, column, False)
        if value is None:
            if column.required == "SystemRequired":
                raise errors.bad_payload(table.entity_set, f"'{prop}' can't be null.")
            self.point(column, None, None, values)
            return
        if isinstance(value, list):
            raise errors.bad_payload(table.entity_set, f"'{prop}' is a single-valued navigation property.")
        if names and isinstance(value, str) and value.lstrip("/").startswith("$"):
            value = expand_names(value.lstrip("/"), names)
        elif isinstance(value, str) and value.startswith("$"):
            raise unknown_content_id(value)
        target, row = read_reference(
            self.organisation, value, self.base, self.settings["refuse_reserved_key_characters"]
        )
        if target.name not in targets:
            raise errors.bad_payload(
                table.entity_set, f"'{prop}' can't refer to '{target.name}'; it refers to {', '.join(targets)}."
            )
        self.point(column, target, row, values)

    def point(self, column: Column, target: Table | None, row: Row | None, values: Values) -> None:
        """Set or clear a lookup in ``values``."""
        values[column.value_name] = row.id if row else None
        values[column.target_name] = target.name if target else None

    def _undeclared(self, table: Table, prop: str) -> RefusedError:
        return errors.bad_payload(
            table.entity_set,
            f"An undeclared property '{prop}' which only has property annotations in the payload but no property value "
            "was found in the payload. In OData, only declared navigation properties and declared named streams can be "
            "represented as properties without values.",
        )

    def _navigation(
        self, table: Table, name: str, value: Any, values: Values, nested: dict[str, Any], creating: bool
    ) -> None:
        column = table.by_property.get(name)
        if column is not None:
            raise errors.bad_request(
                f"CRM do not support direct update of Entity Reference properties, Use Navigation properties instead. "
                f"({name})"
            )
        found = table.navigation.get(name)
        if found is None and value is None:
            lookup = table.columns.get(name)
            if lookup is not None and lookup.is_lookup:
                found = (lookup, ())
        if found is not None and value is None:
            self.point(found[0], None, None, values)
            return
        if isinstance(value, dict | list) and creating and (found is not None or name in self.collections(table)):
            nested[name] = value
            return
        raise RefusedError(
            400,
            "0x0",
            "An error occurred while validating input parameters: Microsoft.Crm.CrmException: Invalid property "
            f"'{name}' was found in entity 'Microsoft.Dynamics.CRM.{table.name}'.  ---> Microsoft.OData.ODataException",
        )

    def collections(self, table: Table) -> dict[str, tuple[Table, Column]]:
        """Collection-valued navigation properties: ``{child}_{lookup navigation}`` to the child table and its lookup;
        with the names that the standard tables really use."""
        found: dict[str, tuple[Table, Column]] = {}
        for (owner, name), (child, lookup) in COLLECTIONS.items():
            if owner == table.name:
                found[name] = (self.organisation.tables[child], self.organisation.tables[child].columns[lookup])
        return found


COLLECTIONS = {
    ("account", "contact_customer_accounts"): ("contact", "parentcustomerid"),
    ("account", "opportunity_customer_accounts"): ("opportunity", "customerid"),
    ("account", "opportunity_parent_account"): ("opportunity", "parentaccountid"),
    ("account", "lead_parent_account"): ("lead", "parentaccountid"),
    ("account", "account_parent_account"): ("account", "parentaccountid"),
    ("contact", "contact_customer_contacts"): ("contact", "parentcustomerid"),
    ("contact", "opportunity_customer_contacts"): ("opportunity", "customerid"),
    ("contact", "opportunity_parent_contact"): ("opportunity", "parentcontactid"),
    ("contact", "lead_parent_contact"): ("lead", "parentcontactid"),
    ("lead", "opportunity_originating_lead"): ("opportunity", "originatingleadid"),
}


def expand_names(text: str, names: Mapping[str, str]) -> str:
    """``$1`` or ``$1/x`` with the reference replaced.

    Raises:
        RefusedError: the reference was not declared before.
    """
    reference, slash, rest = text.partition("/")
    if reference not in names:
        raise unknown_content_id(reference)
    return names[reference] + slash + rest


def unknown_content_id(reference: str) -> RefusedError:
    """400 for a ``$n`` that no earlier part of the change set declared."""
    return errors.bad_request(f"Content-ID Reference: '{reference}' does not exist in the batch context.")


def forbidden_column(table: Table, column: Column) -> RefusedError:
    """403 for a column that field security keeps from the caller."""
    return RefusedError(
        403,
        "0x8004f508",
        f"Caller does not have enough privilege to set the secured attribute '{column.name}' of '{table.name}'.",
    )


def _not_settable(table: Table, column: Column, creating: bool) -> RefusedError:
    when = "creation" if creating else "update"
    return RefusedError(400, "0x80040203", f"The attribute '{column.name}' of '{table.name}' is not valid for {when}.")
