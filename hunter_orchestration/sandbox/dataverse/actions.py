"""Messages that are more than a write: the bulk messages, Merge, QualifyLead, Win and LoseOpportunity, duplicates,
privileges (contract, sections 7, 8, 10)."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.addresses import find, read_address, read_reference, split_segment
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.records import Caller, Records
from hunter_orchestration.sandbox.dataverse.rows import Organisation, Row, Values
from hunter_orchestration.sandbox.dataverse.schema import TARGET, Table, stable_id
from hunter_orchestration.sandbox.dataverse.wire import Response

_NAMESPACE = "Microsoft.Dynamics.CRM."
_SUBJECT = 200
"""The contract names this length for a task's subject; other activities are taken to share it."""
MERGEABLE = frozenset({"account", "contact", "lead"})
_COPIED = (
    "websiteurl", "emailaddress1", "fax", "sic", "description", "address1_line1", "address1_line2", "address1_line3",
    "address1_city", "address1_stateorprovince", "address1_postalcode", "address1_country", "donotemail",
    "donotphone", "donotbulkemail", "industrycode", "numberofemployees", "revenue",
)  # fmt: skip
_TO_CONTACT = ("firstname", "middlename", "lastname", "jobtitle", "salutation", "mobilephone", "telephone2")
_TO_OPPORTUNITY = ("description", "qualificationcomments", "budgetamount", "budgetstatus", "need", "purchaseprocess")


class Actions:
    """Runs messages against the rows.

    Args:
        root: URL of the service root, with a slash at the end.
    """

    def __init__(self, organisation: Organisation, records: Records, settings: Mapping[str, Any], root: str) -> None:
        self.organisation = organisation
        self.records = records
        self.settings = settings
        self.root = root

    def many(self, table: Table, message: str, body: Any, caller: Caller) -> Response:
        """CreateMultiple, UpdateMultiple or UpsertMultiple: all rows or none.

        Raises:
            RefusedError: one row is refused, hence all are.
        """
        targets = body.get("Targets") if isinstance(body, dict) else None
        if not isinstance(targets, list):
            raise errors.bad_payload(table.entity_set, "The parameter 'Targets' is missing.")
        expected = {f"{_NAMESPACE}{table.name}", f"#{_NAMESPACE}{table.name}"}
        for target in targets:
            if not isinstance(target, dict) or target.get("@odata.type") not in expected:
                raise errors.bad_payload(
                    table.entity_set, f"Each target needs '@odata.type' with the value '{_NAMESPACE}{table.name}'."
                )
        caller = Caller(caller.user, caller.real)
        with self.organisation.transaction():
            if message == "CreateMultiple":
                ids = [self.records.create(table, t, caller).id for t in targets]
                context = f"{self.root}$metadata#{_NAMESPACE}CreateMultipleResponse"
                return Response(200, {}, {"@odata.context": context, "Ids": ids}, rows=len(targets))
            if message == "UpdateMultiple":
                self._update_many(table, targets, caller)
            elif message == "UpsertMultiple":
                self._upsert_many(table, targets, caller)
            else:
                raise RefusedError(501, "0x80040800", "DeleteMultiple has not yet been implemented.")
        return Response(204, rows=max(1, len(targets)))

    def _update_many(self, table: Table, targets: list[dict[str, Any]], caller: Caller) -> None:
        rows = self.organisation.data[table.name].rows
        for target in targets:
            address = target.get("@odata.id")
            if address is not None:
                _, row = read_reference(self.organisation, address, self.root)
            else:
                row_id = str(target.get(table.id_column, "")).lower()
                found = rows.get(row_id)
                if found is None:
                    raise RefusedError(404, "0x80040217", f"{table.schema_name} With Ids = {row_id} Do Not Exist")
                row = found
            self.records.update(row, table, target, caller)

    def _upsert_many(self, table: Table, targets: list[dict[str, Any]], caller: Caller) -> None:
        strict = self.settings["refuse_reserved_key_characters"]
        seen: set[str] = set()
        for target in targets:
            text = target.get("@odata.id")
            if text is None:
                if table.id_column not in target:
                    raise errors.bad_payload(table.entity_set, "A target of UpsertMultiple needs '@odata.id'.")
                text = f"{table.entity_set}({target[table.id_column]})"
            name, inner = split_segment(str(text).lstrip("/").removeprefix(self.root))
            if name != table.entity_set or inner is None:
                raise errors.bad_payload(table.entity_set, f"'@odata.id' does not address a row of {table.entity_set}.")
            if inner in seen:
                raise RefusedError(
                    412,
                    "0x80060892",
                    f"Entity Key violated. Two targets of the message have the same key: {inner}. A duplicate record "
                    "cannot be created. Select one or more unique values and try again.",
                )
            seen.add(inner)
            address = read_address(table, inner, strict)
            if (
                address.key
                and self.settings["key_in_body_trap"]
                and any(table.columns[c].value_name in target for c in address.key)
                and find(self.organisation, address) is None
            ):
                raise RefusedError(400, "0x80040216", "An unexpected error occurred.")
            self.records.upsert(address, target, caller)

    def merge(self, body: Any, caller: Caller) -> Response:
        """``Merge``: children go to the target, the subordinate is closed and points at its master."""
        target_table, target = self._entity(body, "Target")
        table, subordinate = self._entity(body, "Subordinate")
        if table.name not in MERGEABLE or target_table is not table or target.id == subordinate.id:
            raise RefusedError(400, "0x80040203", "Merge needs two different rows of one table that can be merged.")
        self.join(table, target, subordinate, body.get("UpdateContent") or {}, caller)
        return Response(204)

    def join(self, table: Table, target: Row, subordinate: Row, content: Any, caller: Caller) -> None:
        """Merge ``subordinate`` into ``target``."""
        if subordinate.values.get("merged"):
            raise RefusedError(400, "0x80040203", f"The {table.name} {subordinate.id} has been merged already.")
        with self.organisation.transaction():
            if content:
                self.records.update(target, table, content, caller)
            for other in self.organisation.tables.values():
                columns = [c for c, targets in other.navigation.values() if table.name in targets and c.updatable]
                for row in list(self.organisation.data[other.name].rows.values()):
                    changes = {
                        c.value_name: target.id
                        for c in columns
                        if row.values.get(c.value_name) == subordinate.id and row.id != target.id
                    }
                    if changes:
                        self.records.store(other, row, changes, caller)
            closed: Values = {"merged": True, "_masterid_value": target.id, "_masterid_value#": table.name}
            closed["statecode"] = 2 if table.name == "lead" else 1
            closed["statuscode"] = 7 if table.name == "lead" else 2
            subordinate = self.organisation.data[table.name].rows[subordinate.id]
            self.records.store(table, subordinate, closed, caller)

    def qualify(self, lead: Row, body: Any, caller: Caller) -> Response:
        """``QualifyLead``: account, contact and opportunity made from a lead, which is closed."""
        for name in ("CreateAccount", "CreateContact", "CreateOpportunity", "Status"):
            if not isinstance(body, dict) or name not in body:
                raise errors.bad_payload("leads", f"The parameter '{name}' is missing.")
        lead_table = self.organisation.tables["lead"]
        if lead.values.get("statecode") != 0:
            raise RefusedError(400, "0x80040203", "The lead is already closed.")
        status = body["Status"]
        if not any(o.value == status and o.state == 1 for o in lead_table.columns["statuscode"].options):
            raise RefusedError(400, "0x80048408", f"{status} is not a valid status code on lead with Id {lead.id}.")
        made: list[tuple[Table, Row]] = []
        with self.organisation.transaction():
            account = self._account(lead, caller) if body["CreateAccount"] else None
            contact = self._contact(lead, account, caller) if body["CreateContact"] else None
            if account and contact:
                table = self.organisation.tables["account"]
                pointer = {"_primarycontactid_value": contact.id, "_primarycontactid_value#": "contact"}
                account = self.records.store(table, account, pointer, caller)
            made += [(self.organisation.tables["account"], account)] if account else []
            made += [(self.organisation.tables["contact"], contact)] if contact else []
            closed: Values = {"statecode": 1, "statuscode": status}
            if body["CreateOpportunity"]:
                opportunity = self._opportunity(lead, account, contact, body, caller)
                made.append((self.organisation.tables["opportunity"], opportunity))
                closed["_qualifyingopportunityid_value"] = opportunity.id
                closed["_qualifyingopportunityid_value#"] = "opportunity"
            for name, row in (("parentaccountid", account), ("parentcontactid", contact)):
                if row is not None:
                    closed[f"_{name}_value"] = row.id
                    closed[f"_{name}_value{TARGET}"] = name[6:-2]
            self.records.store(lead_table, lead, closed, caller)
        value = [{"@odata.type": f"#{_NAMESPACE}{t.name}", t.id_column: r.id} for t, r in made]
        context = f"{self.root}$metadata#Collection({_NAMESPACE}crmbaseentity)"
        return Response(200, {}, {"@odata.context": context, "value": value}, rows=len(made) + 1)

    def _copied(self, lead: Row, table: str, names: tuple[str, ...]) -> dict[str, Any]:
        columns = self.organisation.tables[table].columns
        return {n: v for n in names if n in columns and (v := lead.values.get(n)) is not None}

    def _account(self, lead: Row, caller: Caller) -> Row:
        body = self._copied(lead, "account", _COPIED)
        body["name"] = lead.values.get("companyname") or lead.values.get("fullname") or "Unnamed"
        body["originatingleadid@odata.bind"] = f"/leads({lead.id})"
        return self.records.create(self.organisation.tables["account"], body, caller)

    def _contact(self, lead: Row, account: Row | None, caller: Caller) -> Row:
        body = self._copied(lead, "contact", (*_COPIED, *_TO_CONTACT))
        body["originatingleadid@odata.bind"] = f"/leads({lead.id})"
        if account is not None:
            body["parentcustomerid_account@odata.bind"] = f"/accounts({account.id})"
        return self.records.create(self.organisation.tables["contact"], body, caller)

    def _opportunity(
        self, lead: Row, account: Row | None, contact: Row | None, given: Mapping[str, Any], caller: Caller
    ) -> Row:
        body = self._copied(lead, "opportunity", _TO_OPPORTUNITY)
        body["name"] = lead.values.get("subject") or lead.values.get("companyname") or "Unnamed"
        body["originatingleadid@odata.bind"] = f"/leads({lead.id})"
        if isinstance(given.get("OpportunityCurrencyId"), dict):
            currency, row = self._entity(given, "OpportunityCurrencyId")
            body["transactioncurrencyid@odata.bind"] = f"/{currency.entity_set}({row.id})"
        if isinstance(given.get("OpportunityCustomerId"), dict):
            customer, row = self._entity(given, "OpportunityCustomerId")
            body[f"customerid_{customer.name}@odata.bind"] = f"/{customer.entity_set}({row.id})"
        elif account is not None:
            body["customerid_account@odata.bind"] = f"/accounts({account.id})"
        elif contact is not None:
            body["customerid_contact@odata.bind"] = f"/contacts({contact.id})"
        if account is not None:
            body["parentaccountid@odata.bind"] = f"/accounts({account.id})"
        if contact is not None:
            body["parentcontactid@odata.bind"] = f"/contacts({contact.id})"
        return self.records.create(self.organisation.tables["opportunity"], body, caller)

    def close(self, body: Any, caller: Caller, won: bool) -> Response:
        """``WinOpportunity`` and ``LoseOpportunity``."""
        activity = body.get("OpportunityClose") if isinstance(body, dict) else None
        if not isinstance(activity, dict) or "Status" not in body:
            raise errors.bad_payload("opportunities", "The parameters 'OpportunityClose' and 'Status' are needed.")
        _, row = read_reference(self.organisation, activity.get("opportunityid@odata.bind"), self.root)
        if len(str(activity.get("subject") or "").encode("utf-16-le")) // 2 > _SUBJECT:
            raise errors.too_long("opportunityclose", "subject", _SUBJECT)
        self.end(row, body["Status"], activity, caller, won)
        return Response(204)

    def end(self, row: Row, status: Any, activity: Mapping[str, Any], caller: Caller, won: bool) -> None:
        """Close an opportunity as won or lost."""
        table = self.organisation.tables["opportunity"]
        state = 1 if won else 2
        if status == -1:
            status = 3 if won else 4
        if not any(o.value == status and o.state == state for o in table.columns["statuscode"].options):
            raise RefusedError(
                400, "0x80048408", f"{status} is not a valid status code on opportunity with Id {row.id}."
            )
        if row.values.get("statecode") != 0:
            raise RefusedError(400, "0x80040203", "The opportunity is already closed.")
        changes: Values = {"statecode": state, "statuscode": status}
        changes["actualclosedate"] = str(activity.get("actualend") or self.organisation.now())[:10]
        revenue = activity.get("actualrevenue", row.values.get("estimatedvalue") if won else None)
        if revenue is not None:
            changes["actualvalue"] = float(revenue)
        if "msdyn_forecastcategory" in table.columns:
            changes["msdyn_forecastcategory"] = 100000005 if won else 100000006
        self.records.store(table, row, changes, caller)

    def _entity(self, body: Any, name: str) -> tuple[Table, Row]:
        value = body.get(name) if isinstance(body, dict) else None
        if not isinstance(value, dict):
            raise errors.bad_request(f"The parameter '{name}' is missing.")
        kind = str(value.get("@odata.type", "")).lstrip("#").removeprefix(_NAMESPACE)
        table = self.organisation.tables.get(kind)
        if table is None or table.id_column not in value:
            raise errors.bad_request(f"The parameter '{name}' needs '@odata.type' and the row's id.")
        row_id = str(value[table.id_column]).lower()
        row = self.organisation.data[table.name].rows.get(row_id)
        if row is None:
            raise errors.no_record(table.name, row_id)
        return table, row

    def duplicates(self, options: Mapping[str, str]) -> tuple[Table, list[Row]]:
        """``RetrieveDuplicates``: rows of MatchingEntityName that a rule matches with BusinessEntity."""
        try:
            entity = ast.literal_eval(options["@p1"])
            matching = str(ast.literal_eval(options["@p2"]))
            paging = ast.literal_eval(options.get("@p3", "{'PageNumber':1,'Count':50}"))
        except (KeyError, ValueError, SyntaxError):
            raise errors.bad_request(
                "RetrieveDuplicates needs BusinessEntity, MatchingEntityName, PagingInfo."
            ) from None
        table = self.organisation.tables.get(matching)
        if table is None or not isinstance(entity, dict):
            raise errors.bad_request(f"'{matching}' is not a table.")
        if table.name not in MERGEABLE:
            raise RefusedError(400, "0x80048410", f"Duplicate check is not supported on entity '{matching}'.")
        if not self.records.rules_published(table):
            raise RefusedError(400, "0x80048412", "Duplicate check is not enabled for this organization or entity.")
        rows = self.records.duplicates(table, entity, str(entity.get(table.id_column, "")).lower())
        size, page = int(paging.get("Count", 50)), int(paging.get("PageNumber", 1))
        return table, rows[(page - 1) * size : page * size]

    def privileges(self) -> list[dict[str, Any]]:
        """Privileges of the calling application user, by its roles."""
        missing = self.settings["missing_privileges"]
        names = [
            f"prv{right}{table.schema_name}"
            for table in self.organisation.tables.values()
            for right in ("Create", "Read", "Write", "Delete", "Append", "AppendTo", "Assign")
        ]
        names += ["prvActOnBehalfOfAnotherUser", "prvReadEntity", "prvReadAttribute", "prvCreateAttribute",
                  "prvWriteEntity", "prvReadRelationship", "prvCreateEntity", "prvMerge",
                  "prvPublishCustomization"]  # fmt: skip
        return [
            {
                "Depth": "Global",
                "PrivilegeId": stable_id("privilege", name),
                "BusinessUnitId": self.organisation.business_unit,
                "PrivilegeName": name,
                "RecordFilterId": "00000000-0000-0000-0000-000000000000",
                "RecordFilterUniqueName": "",
            }
            for name in names
            if name not in missing
        ]
