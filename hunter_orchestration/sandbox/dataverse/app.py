"""The ASGI application: sign-in, limits, routing, and the rules of addressing rows over HTTP."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from hunter_orchestration.sandbox.clock import Clock
from hunter_orchestration.sandbox.dataverse import errors, seeds
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
from hunter_orchestration.sandbox.dataverse.limits import Limits
from hunter_orchestration.sandbox.dataverse.payloads import Payloads
from hunter_orchestration.sandbox.dataverse.queries import Queries
from hunter_orchestration.sandbox.dataverse.records import Caller, Records, demand_match
from hunter_orchestration.sandbox.dataverse.rows import Organisation, Row, Values
from hunter_orchestration.sandbox.dataverse.schema import Table, stable_id
from hunter_orchestration.sandbox.dataverse.wire import Request, Response, method_not_allowed, refusal
from hunter_orchestration.sandbox.faults import Faults
from hunter_orchestration.sandbox.tokens import TokenRefusedError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_NAMESPACE = "Microsoft.Dynamics.CRM."
_BULK = frozenset({"CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"})
_LARGEST_BODY = 116_850_000
"""Message size limit in bytes (contract, section 7)."""

SWITCHES: dict[str, Any] = {
    "require_crlf": True,
    "require_content_id": True,
    "refuse_reserved_key_characters": True,
    "key_in_body_trap": True,
    "key_case_sensitive": False,
    "refuse_read_only": True,
    "refuse_closed_records": True,
    "refuse_statecode_on_create": True,
    "enforce_required": True,
    "duplicate_status": 412,
    "key_pending_reads": 2,
    "page_size": 5000,
    "batch_limit": 1000,
    "change_tracking_days": 7,
    "limit_requests": 6000,
    "limit_window_s": 300,
    "limit_execution_ms": 1_200_000,
    "limit_concurrency": 52,
    "throttle_when_parallel": 0,
    "execution_ms_per_row": 0,
    "latency_ms": 0,
    "retry_after": None,
    "missing_privileges": [],
    "forbidden_columns": {},
    "refuse_rows": [],
}
"""Every switch and its strict default."""


class TokenCheck(Protocol):
    """What the app needs of the sandbox's tokens."""

    def verify(self, authorization: str | None, audience: str) -> dict[str, Any]:
        """The claims of a bearer header; raises ``TokenRefusedError``."""


class DataverseApp:
    """``/api/data/v9.2/...`` of one organisation.

    Args:
        world: the sandbox's companies (``world.companies``, each with ``domain`` and ``name``), or None; a few of them
            are known to the CRM already.
        tokens: checks bearer headers; None accepts every bearer but ``expired``.
        base_url: the address clients use, without a path; also the audience of tokens.
        prepared: start with Hunter's solution, columns and active keys.
    """

    def __init__(
        self,
        world: seeds.Companies | None,
        tokens: TokenCheck | None,
        clock: Clock,
        faults: Faults,
        base_url: str,
        *,
        prepared: bool = False,
    ) -> None:
        self.world = world
        self.tokens = tokens
        self.clock = clock
        self.faults = faults
        self.base_url = base_url.rstrip("/")
        self.root = f"{self.base_url}/api/data/v9.2/"
        self.settings = faults.declare("dataverse", **SWITCHES)
        self.limits = Limits(clock, self.settings)
        self.requests = 0
        self.org: Organisation
        self.reset(prepared)

    def reset(self, prepared: bool = False) -> None:
        """A fresh organisation."""
        self.org = Organisation(self.clock)
        self.payloads = Payloads(self.org, self.settings, self.root)
        self.records = Records(self.org, self.payloads, self.settings)
        self.queries = Queries(self.org, self.payloads, self.settings, self.root)
        self.definitions = Definitions(self.org, self.settings, self.root)
        self.actions = Actions(self.org, self.records, self.settings, self.root)
        self.batches = Batches(self.org, self.settings, self.root, self.answer)
        seeds.found(self.org, self.records)
        if prepared:
            seeds.prepare(self.org)
        seeds.populate(self.org, self.records, self.world)
        self.forget_counts()

    def forget_counts(self) -> None:
        """Count requests, writes and broken limits from zero."""
        self.limits.reset()
        self.requests = 0
        for data in self.org.data.values():
            data.writes.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        chunks = []
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        raw = scope.get("raw_path") or scope["path"].encode()
        request = Request(
            scope["method"], raw.decode("latin-1"), scope["query_string"].decode("latin-1"), headers, b"".join(chunks)
        )
        response = await self.serve(request)
        out, body = response.encode()
        out["x-ms-service-request-id"] = stable_id("request", str(self.requests))
        if "x-ms-client-request-id" in headers:
            out["x-ms-client-request-id"] = headers["x-ms-client-request-id"]
        if response.status not in (204, 304):
            out["Content-Length"] = str(len(body))
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [(k.encode("latin-1"), v.encode("utf-8")) for k, v in out.items()],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def serve(self, request: Request) -> Response:
        """Sign-in, limits, then the answer."""
        self.requests += 1
        try:
            request.claims = self._claims(request.headers.get("authorization"))
        except TokenRefusedError as error:
            challenge = (
                f'Bearer authorization_uri="{self.base_url}/common/oauth2/authorize", resource_id={self.base_url}/'
            )
            return Response(401, {"WWW-Authenticate": challenge, "REQ_REASON": error.reason})
        if len(request.body) > _LARGEST_BODY:
            return refusal(RefusedError(413, "0x80060888", "The request body is too large."))
        caller = str(request.claims.get("oid") or request.claims.get("appid") or "application")
        try:
            usage = self.limits.enter(caller)
        except RefusedError as error:
            return refusal(error)
        started = time.perf_counter()
        spent = 0.0
        try:
            if self.settings["latency_ms"]:
                await asyncio.sleep(self.settings["latency_ms"] / 1000)
            _, found, path = request.path.partition("/api/data/v9.2")
            request.path = path.lstrip("/") if found else request.path
            response = self.answer(request) if found else refusal(errors.no_segment(request.path))
            spent = response.rows * float(self.settings["execution_ms_per_row"])
        finally:
            self.limits.leave(usage, spent + (time.perf_counter() - started) * 1000)
        used = len(usage.calls)
        response.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] = str(self.settings["limit_requests"] - used)
        left = max(0, self.settings["limit_execution_ms"] - int(usage.execution_ms)) / 1000
        response.headers["x-ms-ratelimit-time-remaining-xrm-requests"] = f"{left:,.2f}"
        return response

    def answer(self, request: Request) -> Response:
        """Answer a request below the service root; refusals become answers."""
        self.org.key_case_sensitive = self.settings["key_case_sensitive"]
        try:
            return self._route(request)
        except RefusedError as error:
            return refusal(error, request.preferences())

    def _claims(self, authorization: str | None) -> dict[str, Any]:
        if self.tokens is not None:
            return self.tokens.verify(authorization, self.base_url)
        if not authorization or not authorization.lower().startswith("bearer "):
            raise TokenRefusedError("missing", "The request has no bearer token.")
        if authorization[7:].strip() == "expired":
            raise TokenRefusedError("expired", "The token has expired.")
        return {"appid": authorization[7:].strip()}

    def _caller(self, request: Request) -> Caller:
        user = self.org.application_user
        real = user
        given = request.headers.get("callerobjectid")
        legacy = request.headers.get("mscrmcallerid")
        if given or legacy:
            if "prvActOnBehalfOfAnotherUser" in self.settings["missing_privileges"]:
                raise RefusedError(
                    403, "0x80040220", "The caller is missing the privilege prvActOnBehalfOfAnotherUser."
                )
            users = self.org.data["systemuser"].rows
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
            sets = [{"name": s, "kind": "EntitySet", "url": s} for s in self.org.sets]
            return Response(200, {}, {"@odata.context": f"{self.root}$metadata", "value": sets})
        name, inner = split_segment(segments[0])
        if name == "EntityDefinitions":
            return self.definitions.answer(segments, request)
        table = self.org.sets.get(name)
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
                return self.actions.many(table, message, request.json(), self._caller(request))
            finally:
                if gc_on:
                    gc.enable()
        raise errors.no_segment(rest[0])

    def _row(self, address: Address, request: Request) -> Response:
        table = address.table
        if request.method == "GET":
            self.records.demand_privilege(table, "Read")
            return self.queries.single(table, demand(self.org, address), request)
        caller = self._caller(request)
        if_match = request.headers.get("if-match")
        if request.method == "DELETE":
            row = demand(self.org, address)
            demand_match(row, if_match, None)
            self.records.delete(table, row)
            return Response(204)
        if request.method != "PATCH":
            raise method_not_allowed(request.method)
        row_or_none = find(self.org, address)
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
        row = demand(self.org, address)
        name, inner = split_segment(rest[0])
        if name == f"{_NAMESPACE}QualifyLead" and table.name == "lead":
            if request.method != "POST":
                raise method_not_allowed(request.method)
            return self.actions.qualify(row, request.json(), self._caller(request))
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
            child = self.org.tables[target]
            found = self.org.data[target].rows.get(row.values[column.value_name])
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
                body = {f"{name}@odata.bind": (request.json() or {}).get("@odata.id")}
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
            _, other = read_reference(self.org, given, self.root)
            bind = None
        elif request.method == "POST":
            _, other = read_reference(self.org, (request.json() or {}).get("@odata.id"), self.root)
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
                "BusinessUnitId": self.org.business_unit,
                "UserId": caller.user,
                "OrganizationId": self.org.id,
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
            return self.actions.close(request.json(), caller, function == "WinOpportunity")
        if post and function == "Merge":
            return self.actions.merge(request.json(), caller)
        if post and function == "InsertOptionValue":
            return self.definitions.insert_option(request.json())
        if post and function == "ReactivateEntityKey":
            return self.definitions.reactivate_key(request.json())
        if post and function in {"PublishXml", "PublishAllXml"}:
            return Response(204)
        raise errors.no_segment(urlsplit(name).path)
