"""Creating, changing and deleting rows by the organisation's rules: states, closed records, duplicates, privileges,
plug-in refusals. HTTP plays no part here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.addresses import Address, find
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.payloads import Payloads
from hunter_orchestration.sandbox.dataverse.rows import Organisation, Row, Values, folded
from hunter_orchestration.sandbox.dataverse.schema import TARGET, Table, stable_id

CLOSES = frozenset({"lead", "opportunity"})
"""Tables whose rows are read-only when not open (contract, section 11)."""

DUPLICATES_BY = {"account": ("name",), "contact": ("emailaddress1",), "lead": ("emailaddress1",)}
"""Published duplicate rules: the columns that have to be equal (contract, section 18, rule 5)."""

_STATE_NAMES = {
    "lead": ("Open", "Qualified", "Disqualified"),
    "opportunity": ("Open", "Won", "Lost"),
}


@dataclass(slots=True)
class Caller:
    """Who acts: ``user`` in whose name, ``real`` the application user that called."""

    user: str
    real: str
    detect_duplicates: bool = False


class Records:
    """The write rules over one organisation.

    Args:
        settings: live switches.
    """

    def __init__(self, organisation: Organisation, payloads: Payloads, settings: Mapping[str, Any]) -> None:
        self.organisation = organisation
        self.payloads = payloads
        self.settings = settings

    def create(
        self,
        table: Table,
        body: Any,
        caller: Caller,
        *,
        row_id: str | None = None,
        key: Values | None = None,
        names: Mapping[str, str] | None = None,
    ) -> Row:
        """Create a row; ``key`` values are copied where the body has none (upsert)."""
        self.demand_privilege(table, "Create")
        values, nested = self.payloads.read(table, body, True, names)
        if row_id is None and isinstance(body, dict):
            given = body.get(table.id_column)
            row_id = given.lower() if isinstance(given, str) else None
        values = {k: v for k, v in values.items() if v is not None}
        for name, value in (key or {}).items():
            values.setdefault(table.columns[name].value_name, value)
        with self.organisation.transaction():
            for name, child in nested.items():
                if name in table.navigation:
                    column, targets = table.navigation[name]
                    target = self.organisation.tables[targets[0]]
                    self.payloads.point(column, target, self.create(target, child, caller), values)
            self._complete(table, values, caller)
            self._refuse(table, values, values)
            self._rewrite(table, values)
            if caller.detect_duplicates:
                self._detect(table, values, None)
            row = self.organisation.insert(table, values, row_id)
            for name, children in nested.items():
                if name in table.navigation:
                    continue
                child_table, lookup = self.payloads.collections(table)[name]
                for child in children if isinstance(children, list) else [children]:
                    made = self.create(child_table, child, caller)
                    pointer: Values = {}
                    self.payloads.point(lookup, table, row, pointer)
                    self.organisation.replace(child_table, made, pointer)
        return row

    def update(
        self,
        row: Row,
        table: Table,
        body: Any,
        caller: Caller,
        *,
        drop: frozenset[str] | set[str] = frozenset(),
        names: Mapping[str, str] | None = None,
    ) -> Row:
        """Change a row; properties in ``drop`` (key columns of an upsert) are ignored."""
        self.demand_privilege(table, "Write")
        if drop and isinstance(body, dict):
            body = {k: v for k, v in body.items() if k not in drop}
        changes, _ = self.payloads.read(table, body, False, names)
        self._check_state(table, row, changes)
        self._refuse(table, {**row.values, **changes}, changes)
        self._rewrite(table, changes)
        if caller.detect_duplicates:
            self._detect(table, {**row.values, **changes}, row.id)
        return self.store(table, row, changes, caller)

    def store(self, table: Table, row: Row, changes: Values, caller: Caller) -> Row:
        """Write changes that were checked, with the stamps of a write."""
        if "firstname" in changes or "lastname" in changes or "middlename" in changes:
            self._name(table, {**row.values, **changes}, changes)
        if not table.system:
            self._stamp(changes, caller)
        return self.organisation.replace(table, row, changes)

    def upsert(
        self, address: Address, body: Any, caller: Caller, names: Mapping[str, str] | None = None
    ) -> tuple[Row, bool]:
        """Create or change the addressed row; the flag says created. Key columns in the body are dropped on the
        update path and win on the create path (contract, section 4)."""
        row = find(self.organisation, address)
        if row is None:
            made = self.create(address.table, body, caller, row_id=address.row_id, key=address.key or None, names=names)
            return made, True
        drop = {address.table.columns[c].value_name for c in address.key}
        return self.update(row, address.table, body, caller, drop=drop, names=names), False

    def delete(self, table: Table, row: Row) -> None:
        """Delete a row; lookups to it are cleared."""
        self.demand_privilege(table, "Delete")
        with self.organisation.transaction():
            for other in self.organisation.tables.values():
                names = [c.value_name for c, targets in other.navigation.values() if table.name in targets]
                if not names:
                    continue
                for found in list(self.organisation.data[other.name].rows.values()):
                    held = [n for n in names if found.values.get(n) == row.id]
                    if held and found.id != row.id:
                        cleared = dict.fromkeys(held) | dict.fromkeys(n + TARGET for n in held)
                        self.organisation.replace(other, found, cleared)
            self.organisation.remove(table, row)

    def demand_privilege(self, table: Table, right: str) -> None:
        """Raises:
        RefusedError: 403, the caller's roles lack ``prv{right}{table}``.
        """
        missing = self.settings["missing_privileges"]
        if missing and (name := f"prv{right}{table.schema_name}") in missing:
            raise RefusedError(
                403,
                "0x80040220",
                f"Principal user (Id={self.organisation.application_user}, type=8) is missing {name} privilege "
                f"(Id={stable_id('privilege', name)}) on OTC={table.code} for entity '{table.name}' "
                "(LocalizedName='').",
            )

    def duplicates(self, table: Table, values: Values, but: str | None = None) -> list[Row]:
        """Active rows that a published rule calls a duplicate of these values."""
        data = self.organisation.data[table.name]
        found: dict[str, Row] = {}
        for column in DUPLICATES_BY.get(table.name, ()):
            value = values.get(column)
            if value is None:
                continue
            for row_id in data.index[column].get(folded(value), ()):
                row = data.rows[row_id]
                if row_id != but and row.values.get("statecode") == 0:
                    found[row_id] = row
        return list(found.values())

    def rules_published(self, table: Table) -> bool:
        """Whether duplicate detection works on this table: on for the table, and a published rule."""
        return table.duplicate_detection and any(
            r.values.get("baseentityname") == table.name and r.values.get("statecode") == 1
            for r in self.organisation.data["duplicaterule"].rows.values()
        )

    def _detect(self, table: Table, values: Values, but: str | None) -> None:
        if self.rules_published(table) and self.duplicates(table, values, but):
            raise RefusedError(
                self.settings["duplicate_status"],
                "0x80040333",
                "A record was not created or updated because a duplicate of the current record already exists.",
            )

    def _complete(self, table: Table, values: Values, caller: Caller) -> None:
        """Fill in what the platform fills in on create."""
        if table.has_state:
            status = values.get("statuscode")
            options = table.columns["statuscode"].options if "statuscode" in table.columns else []
            state = values.get("statecode", 0)
            if status is None:
                default = next((o for o in options if o.state == state), None)
                if default is not None:
                    values["statuscode"] = default.value
            elif not any(o.value == status and o.state == state for o in options):
                raise _invalid_status(table, status, "of the new record")
            values["statecode"] = state
        if "firstname" in table.columns:
            self._name(table, values, values)
        for name, column in table.columns.items():
            if column.default is not None:
                values.setdefault(column.value_name, column.default)
            elif column.required == "SystemRequired" and column.custom and values.get(column.value_name) is None:
                raise RefusedError(400, "0x80040203", f"The attribute '{name}' of '{table.name}' is required.")
        if self.settings["enforce_required"]:
            for name, column in table.columns.items():
                if column.required == "ApplicationRequired" and column.custom and values.get(column.value_name) is None:
                    raise RefusedError(
                        400, "0x80040265", f"Required field '{column.label}' ({name}) of {table.name} is empty."
                    )
        if table.system:
            return
        if "_ownerid_value" not in values:
            values["_ownerid_value"] = caller.user
            values["_ownerid_value#"] = "systemuser"
        if "msdyn_forecastcategory" in table.columns:
            values.setdefault("msdyn_forecastcategory", 100000001)
        values["createdon"] = self.organisation.now()
        values["_createdby_value"] = caller.user
        values["_createdby_value#"] = "systemuser"
        self._stamp(values, caller)

    def _stamp(self, values: Values, caller: Caller) -> None:
        values["modifiedon"] = self.organisation.now()
        values["_modifiedby_value"] = caller.user
        values["_modifiedby_value#"] = "systemuser"
        if caller.real != caller.user:
            values["_modifiedonbehalfby_value"] = caller.real
            values["_modifiedonbehalfby_value#"] = "systemuser"

    def _name(self, table: Table, source: Values, into: Values) -> None:
        if "fullname" in table.columns:
            parts = [source.get(n) for n in ("firstname", "middlename", "lastname")]
            into["fullname"] = " ".join(p for p in parts if p) or None
            if into["fullname"] is None and into is source:
                del into["fullname"]

    def _check_state(self, table: Table, row: Row, changes: Values) -> None:
        if not table.has_state:
            return
        now = row.values.get("statecode", 0)
        given = changes.get("statecode")
        wanted: int = now if given is None else given
        if table.name in CLOSES and now != 0 and wanted == now and self.settings["refuse_closed_records"]:
            state = _STATE_NAMES[table.name][now]
            raise RefusedError(
                400,
                "0x80040203",
                f"The {table.name} With Id = {row.id} is {state.lower()}, hence read-only. Reactivate it first.",
            )
        if table.name == "opportunity" and wanted != now and wanted != 0:
            state = _STATE_NAMES["opportunity"][wanted]
            message = "WinOpportunityRequest" if wanted == 1 else "LoseOpportunityRequest"
            raise RefusedError(
                400,
                "0x80040203",
                f"This message can not be used to set the state of opportunity to {state}. In order to set state of "
                f"opportunity to {state}, use the {message} message instead.",
            )
        options = table.columns["statuscode"].options
        if "statuscode" in changes:
            status = changes["statuscode"]
            if not any(o.value == status and o.state == wanted for o in options):
                raise _invalid_status(table, status, f"with Id {row.id}")
        elif wanted != now:
            changes["statuscode"] = next(o.value for o in options if o.state == wanted)

    def _rewrite(self, table: Table, written: Values) -> None:
        """Play the plug-ins that put another value in the place of the one that was sent."""
        for rule in self.settings["rewrite_rows"]:
            sent = written.get(rule["column"])
            if sent is not None and rule.get("table") in (None, table.name) and rule.get("value", sent) == sent:
                written[rule["column"]] = rule["to"]

    def _refuse(self, table: Table, values: Values, written: Values) -> None:
        """Play the plug-ins that a test registered."""
        for rule in self.settings["refuse_rows"]:
            if rule.get("table") not in (None, table.name):
                continue
            column = rule.get("column")
            if column is not None and (column not in values or rule.get("value") not in (None, values[column])):
                continue
            if rule.get("when_written") and column not in written:
                continue
            raise RefusedError(
                rule.get("status", 400),
                rule.get("code", "0x80040265"),
                rule.get("message", "Example Error Message."),
                sub_code=rule.get("sub_code", "0"),
            )


def _invalid_status(table: Table, status: Any, which: str) -> RefusedError:
    return RefusedError(400, "0x80048408", f"{status} is not a valid status code on {table.name} {which}.")


def demand_match(row: Row | None, if_match: str | None, if_none_match: str | None) -> None:
    """The conditional headers of a write (contract, section 4).

    Raises:
        RefusedError: 412.
    """
    if row is not None and if_none_match == "*":
        raise RefusedError(412, "", "A record with matching key values already exists.")
    if row is not None and if_match not in (None, "*") and if_match != row.etag:
        raise errors.changed_since()
