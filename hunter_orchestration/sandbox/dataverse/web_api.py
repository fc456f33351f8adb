"""The Web API: which resource a URL means, and the rules of addressing rows over HTTP (contract, sections 4 to 7)."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.actions import Actions
from hunter_orchestration.sandbox.dataverse.addresses import (
    Address,
    demand,
    find,
    read_address,
    read_reference,
    split_path,
    split_segment,
)
from hunter_orchestration.sandbox.dataverse.batches import Batches
from hunter_orchestration.sandbox.dataverse.definitions import Definitions
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.payloads import Payloads
from hunter_orchestration.sandbox.dataverse.queries import Queries
from hunter_orchestration.sandbox.dataverse.records import Caller, Records, demand_match
from hunter_orchestration.sandbox.dataverse.rows import Organisation, Row, Values
from hunter_orchestration.sandbox.dataverse.schema import Table
from hunter_orchestration.sandbox.dataverse.wire import Request, Response, method_not_allowed, refusal
from hunter_orchestration.sandbox.faults import Faults

_NAMESPACE = "Microsoft.Dynamics.CRM."
_BULK = frozenset({"CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"})


class WebApi:
    """Answers requests below the service root of one organisation.

    Args:
        settings: live switches.
        faults: asked for the kinds ``batch_part_missing`` and ``batch_parts_reversed``.
        root: URL of the service root, with a slash at the end.
    """

    def __init__(self, organisation: Organisation, settings: Mapping[str, Any], faults: Faults, root: str) -> None:
        self.organisation = organisation
        self.settings = settings
        self.faults = faults
        self.root = root
        self.payloads = Payloads(organisation, settings, root)
        self.records = Records(organisation, self.payloads, settings)
        self.queries = Queries(organisation, self.payloads, settings, root)
        self.definitions = Definitions(organisation, settings, root)
        self.actions = Actions(organisation, self.records, settings, root)
        self.batches = Batches(organisation, settings, root, self.answer)

    def answer(self, request: Request) -> Response:
        """Answer a request below the service root; refusals become answers."""
        self.organisation.key_case_sensitive = self.settings["key_case_sensitive"]
        try:
            return self._route(request)
        except RefusedError as error:
            return refusal(error, request.preferences())

    def _caller(self, request: Request) -> Caller:
        user = self.organisation.application_user
        real = user
        given = request.headers.get("callerobjectid")
        legacy = request.headers.get("mscrmcallerid")
        if given or legacy:
            if "prvActOnBehalfOfAnotherUser" in self.settings["missing_privileges"]:
                raise RefusedError(
                    403, "0x80040220", "The caller is missing the privilege prvActOnBehalfOfAnotherUser."
                )
            users = self.organisation.data["systemuser"].rows
            if legacy and legacy.lower() in users:
                user = legacy.lower()
            elif given:
                wanted = given.lower()
                user = next(
                    (r.id for r in users.values() if r.values.get("azureactivedirectoryobjectid") == wanted), real
                )
        detect = request.headers.get("mscrm.suppressduplicatedetection", "").lower() == "false"
        return Caller(user, real, detect)

    def _route(self, request: Request) -> Response:
        if request.path == "$batch":
            return self._batch(request)
        segments = split_path(request.path)
        if not segments:
            sets = [{"name": s, "kind": "EntitySet", "url": s} for s in self.organisation.sets]
            return Response(200, {}, {"@odata.context": f"{self.root}$metadata", "value": sets})
        name, inner = split_segment(segments[0])
        if name == "EntityDefinitions":
            return self.definitions.answer(segments, request)
        table = self.organisation.sets.get(name)
        if table is None:
            return self._unbound(name, segments, request)
        if inner is None:
            return self._set(table, segments[1:], request)
        address = read_address(table, inner, self.settings["refuse_reserved_key_characters"])
        if len(segments) == 1:
            return self._row(address, request)
        return self._below(address, segments[1:], request)

    def _batch(self, request: Request) -> Response:
        if request.method != "POST":
            raise method_not_allowed(request.method)
        fault = self.faults.take("dataverse", "POST", "$batch", {"batch_part_missing", "batch_parts_reversed"})
        play: dict[str, Any] | None = None
        if fault is not None:
            missing = fault.kind == "batch_part_missing"
            play = {"missing": fault.params.get("index", 0)} if missing else {"reversed": True}
        return self.batches.run(request, play)

    def _set(self, table: Table, rest: list[str], request: Request) -> Response:
        if not rest:
            if request.method == "GET":
                self.records.demand_privilege(table, "Read")
                return self.queries.collection(table, request)
            if request.method == "POST":
                row = self.records.create(table, request.json(), self._caller(request), names=request.names)
                return self._written(table, row, request, created=True)
            raise method_not_allowed(request.method)
        message = rest[0].removeprefix(_NAMESPACE)
        if rest[0] == "$count" and request.method == "GET":
            return self.queries.count(table, request)
        if message in _BULK and rest[0].startswith(_NAMESPACE):
            if request.method != "POST":
                raise method_not_allowed(request.method)
            gc_on = gc.isenabled()
            gc.disable()
            try:
                return self.actions.many(table, message, request.json_object(), self._caller(request))
            finally:
                if gc_on:
                    gc.enable()
        raise errors.no_segment(rest[0])

    def _row(self, address: Address, request: Request) -> Response:
        table = address.table
        if request.method == "GET":
            self.records.demand_privilege(table, "Read")
            return self.queries.single(table, demand(self.organisation, address), request)
        caller = self._caller(request)
        if_match = request.headers.get("if-match")
        if request.method == "DELETE":
            row = demand(self.organisation, address)
            demand_match(row, if_match, None)
            self.records.delete(table, row)
            return Response(204)
        if request.method != "PATCH":
            raise method_not_allowed(request.method)
        row_or_none = find(self.organisation, address)
        if row_or_none is None and if_match is not None:
            if address.row_id is not None:
                raise RefusedError(404, "0x80040217", f"{table.name} With Id = {address.row_id} Does Not Exist")
            raise errors.no_record_by_key(table.name)
        demand_match(row_or_none, if_match, request.headers.get("if-none-match"))
        written, created = self.records.upsert(address, request.json(), caller, request.names)
        return self._written(table, written, request, created, address)

    def _written(
        self, table: Table, row: Row, request: Request, created: bool, address: Address | None = None
    ) -> Response:
        """204 with the address as it was given, or the row when the client asked for it."""
        if "return" in (preferences := request.preferences()) and preferences["return"] == "representation":
            response = self.queries.single(table, row, request, 201 if created else 200)
            response.headers["Preference-Applied"] = "return=representation"
            return response
        where = f"{self.root}{table.entity_set}({address.text if address is not None else row.id})"
        headers = {"OData-EntityId": where}
        if address is None:
            headers["Location"] = where
        return Response(204, headers)

    def _below(self, address: Address, rest: list[str], request: Request) -> Response:
        """A property, a navigation property, its ``$ref``, or a bound message of a row."""
        table = address.table
        row = demand(self.organisation, address)
        name, inner = split_segment(rest[0])
        if name == f"{_NAMESPACE}QualifyLead" and table.name == "lead":
            if request.method != "POST":
                raise method_not_allowed(request.method)
            return self.actions.qualify(row, request.json_object(), self._caller(request))
        if name.removeprefix(_NAMESPACE).startswith("RetrieveUser") and table.name == "systemuser":
            context = f"{self.root}$metadata#{_NAMESPACE}RetrieveUserPrivilegesResponse"
            return Response(200, {}, {"@odata.context": context, "RolePrivileges": self.actions.privileges()})
        if rest[-1] == "$ref":
            return self._reference(table, row, name, inner, request)
        if request.method == "GET" and name in table.navigation:
            column, targets = table.navigation[name]
            target = row.values.get(column.value_name + "#")
            if target not in targets:
                return Response(204)
            child = self.organisation.tables[target]
            found = self.organisation.data[target].rows.get(row.values[column.value_name])
            return self.queries.single(child, found, request) if found else Response(204)
        collections = self.payloads.collections(table)
        if request.method == "GET" and name in collections:
            child, lookup = collections[name]
            options = request.options()
            clause = f"{lookup.value_name} eq {row.id}"
            options["$filter"] = f"({options['$filter']}) and {clause}" if "$filter" in options else clause
            request.query = "&".join(f"{k}={v.replace('&', '%26').replace('+', '%2B')}" for k, v in options.items())
            return self.queries.collection(child, request)
        found_column = table.by_property.get(name)
        if found_column is None or len(rest) > 1:
            raise errors.no_segment(rest[0])
        if request.method == "GET":
            value = row.values.get(name)
            context = f"{self.root}$metadata#{table.entity_set}({row.id})/{name}"
            return Response(204) if value is None else Response(200, {}, {"@odata.context": context, "value": value})
        if request.method not in {"PUT", "DELETE"}:
            raise method_not_allowed(request.method)
        body = request.json() if request.method == "PUT" else {"value": None}
        if not isinstance(body, dict) or "value" not in body:
            raise errors.bad_payload(table.entity_set, 'The body of a property has to be {"value": …}.')
        demand_match(row, request.headers.get("if-match"), None)
        self.records.update(row, table, {name: body["value"]}, self._caller(request))
        return Response(204)

    def _reference(self, table: Table, row: Row, name: str, inner: str | None, request: Request) -> Response:
        caller = self._caller(request)
        if name in table.navigation:
            if request.method == "DELETE":
                body: Values = {f"{name}@odata.bind": None}
            elif request.method == "PUT":
                body = {f"{name}@odata.bind": request.json_object().get("@odata.id")}
            else:
                raise method_not_allowed(request.method)
            self.records.update(row, table, body, caller, names=request.names)
            return Response(204)
        child, lookup = self.payloads.collections(table).get(name, (None, None))
        if child is None or lookup is None:
            raise errors.no_segment(name)
        navigation = next(n for n, targets in lookup.binds.items() if table.name in targets.split("|"))
        if request.method == "DELETE":
            given = request.options().get("$id") or f"{child.entity_set}({inner})"
            _, other = read_reference(self.organisation, given, self.root)
            bind = None
        elif request.method == "POST":
            _, other = read_reference(self.organisation, request.json_object().get("@odata.id"), self.root)
            bind = f"/{table.entity_set}({row.id})"
        else:
            raise method_not_allowed(request.method)
        self.records.update(other, child, {f"{navigation}@odata.bind": bind}, caller)
        return Response(204)

    def _unbound(self, name: str, segments: list[str], request: Request) -> Response:
        """Functions (GET) and actions (POST) of the organisation."""
        caller = self._caller(request)
        get, post = request.method == "GET", request.method == "POST"
        function = segments[0].partition("(")[0]
        if function == "WhoAmI":
            if not get:
                raise RefusedError(404, "", "No HTTP resource was found that matches the request URI.")
            context = f"{self.root}$metadata#{_NAMESPACE}WhoAmIResponse"
            ids = {
                "BusinessUnitId": self.organisation.business_unit,
                "UserId": caller.user,
                "OrganizationId": self.organisation.id,
            }
            return Response(200, {}, {"@odata.context": context, **ids})
        if function == "RetrieveMetadataChanges" and get:
            return self.definitions.retrieve_changes(request)
        if function == "RetrieveDuplicates" and get:
            table, rows = self.actions.duplicates(request.options())
            value = [
                {"@odata.type": f"#{_NAMESPACE}{table.name}"}
                | self.queries.render(table, r, table.columns.values(), False)
                for r in rows
            ]
            return Response(200, {}, {"@odata.context": self.queries.context(table, None), "value": value})
        if function == "RetrieveVersion" and get:
            context = f"{self.root}$metadata#{_NAMESPACE}RetrieveVersionResponse"
            return Response(200, {}, {"@odata.context": context, "Version": "9.2.25101.00000"})
        if post and function in {"WinOpportunity", "LoseOpportunity"}:
            return self.actions.close(request.json_object(), caller, function == "WinOpportunity")
        if post and function == "Merge":
            return self.actions.merge(request.json_object(), caller)
        if post and function == "InsertOptionValue":
            inserted = self.definitions.alter.insert_option(request.json_object())
            context = f"{self.root}$metadata#{_NAMESPACE}InsertOptionValueResponse"
            return Response(200, {}, {"@odata.context": context, "NewOptionValue": inserted})
        if post and function == "ReactivateEntityKey":
            self.definitions.alter.reactivate_key(request.json_object())
            return Response(204)
        if post and function in {"PublishXml", "PublishAllXml"}:
            return Response(204)
        raise errors.no_segment(urlsplit(name).path)
