"""Metadata over HTTP: ``EntityDefinitions`` and below, ``RetrieveMetadataChanges`` (contract, section 15)."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.addresses import literal, split_segment
from hunter_orchestration.sandbox.dataverse.alterations import Alterations
from hunter_orchestration.sandbox.dataverse.descriptions import Descriptions
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.rows import Organisation
from hunter_orchestration.sandbox.dataverse.schema import (
    Column,
    Table,
)
from hunter_orchestration.sandbox.dataverse.wire import Request, Response, method_not_allowed

_NAMESPACE = "Microsoft.Dynamics.CRM."
_CONDITION = re.compile(r"\s*(\w+)\s+(eq|ne)\s+('(?:[^']|'')*'|[^\s)]+)\s*")
_EXPANSION = re.compile(r"(\w+)(?:\(([^()]*)\))?")


class Definitions:
    """Answers everything below ``EntityDefinitions``, and the metadata functions and actions."""

    def __init__(self, organisation: Organisation, settings: Mapping[str, Any], root: str) -> None:
        self.organisation = organisation
        self.settings = settings
        self.describe = Descriptions(organisation, settings)
        self.alter = Alterations(organisation, settings)
        self.root = root

    def answer(self, segments: list[str], request: Request) -> Response:
        """Answer a request whose first segment is ``EntityDefinitions`` (with or without a key).

        Raises:
            RefusedError: no such definition, or a body that can't be one.
        """
        _, inner = split_segment(segments[0])
        options = request.options()
        if inner is None:
            if request.method != "GET":
                raise method_not_allowed(request.method)
            found = [self.describe.table(t, self._hidden_after(request)) for t in self.organisation.tables.values()]
            return self._list(found, options, "EntityDefinitions")
        table = self._table(inner)
        if len(segments) == 1:
            return self._entity(table, request, options)
        part, key = split_segment(segments[1])
        if part == "Attributes":
            return self._attributes(table, key, segments[2:], request, options)
        if part == "Keys":
            return self._keys(table, key, segments[2:], request, options)
        if part in {"ManyToOneRelationships", "OneToManyRelationships", "ManyToManyRelationships"}:
            return self._list(self.describe.relationships(table, part), options, part)
        value = self.describe.table(table, self._hidden_after(request))
        if part in value:
            return Response(200, {}, {"@odata.context": f"{self.root}$metadata#{part}", "value": value[part]})
        raise errors.no_segment(part)

    def _hidden_after(self, request: Request) -> float:
        """Columns born after this second are not shown yet: definitions are cached unless asked for strongly."""
        if request.headers.get("consistency", "").lower() == "strong":
            return math.inf
        return self.organisation.clock.timestamp() - float(self.settings["stale_metadata_s"])

    def _entity(self, table: Table, request: Request, options: Mapping[str, str]) -> Response:
        if request.method in {"PUT", "PATCH"}:
            wanted = request.json()
            if isinstance(wanted, dict) and wanted.get("ChangeTrackingEnabled") is True:
                table.change_tracking = True
                self.organisation.defined(table)
            return Response(204)
        if request.method != "GET":
            raise method_not_allowed(request.method)
        if "Keys" in options.get("$expand", ""):
            self.alter.progress(table)
        body = self._project(self.describe.table(table, self._hidden_after(request)), options)
        return Response(200, {}, {"@odata.context": f"{self.root}$metadata#EntityDefinitions/$entity", **body})

    def _table(self, inner: str) -> Table:
        wanted = inner
        if inner.startswith("LogicalName="):
            wanted = str(literal(inner.partition("=")[2]))
            found = self.organisation.tables.get(wanted)
        else:
            found = next((t for t in self.organisation.tables.values() if t.metadata_id == inner.lower()), None)
        if found is None:
            raise RefusedError(404, "0x80060888", f"Could not find an entity with the specified key '{wanted}'.")
        return found

    def _attributes(
        self, table: Table, key: str | None, rest: list[str], request: Request, options: Mapping[str, str]
    ) -> Response:
        if key is None:
            if request.method == "POST":
                return self._create_column(table, request)
            if request.method != "GET":
                raise method_not_allowed(request.method)
            items = [self.describe.attribute(table, c) for c in table.visible(self._hidden_after(request))]
            if rest:
                items = [i for i in items if i["@odata.type"] == f"#{rest[0]}"]
                if not rest[0].startswith(_NAMESPACE):
                    raise errors.no_segment(rest[0])
            return self._list(items, options, f"EntityDefinitions('{table.name}')/Attributes")
        column = self._column(table, key)
        if request.method in {"PUT", "PATCH"}:
            self.alter.change_column(table, column, request.json())
            return Response(204)
        if request.method == "DELETE":
            if not column.custom:
                raise RefusedError(400, "0x8004f01f", f"The column '{column.name}' is managed and can't be deleted.")
            self.organisation.drop_column(table, column.name)
            return Response(204)
        item = self.describe.attribute(table, column)
        if rest and rest[0] != item["@odata.type"][1:]:
            raise RefusedError(404, "0x80060888", f"The column '{column.name}' is not a {rest[0]}.")
        if len(rest) > 1:
            return Response(200, {}, item[rest[1]])
        return Response(200, {}, {"@odata.context": f"{self.root}$metadata#Attributes", **self._project(item, options)})

    def _column(self, table: Table, key: str) -> Column:
        if key.startswith("LogicalName="):
            name = str(literal(key.partition("=")[2]))
            found = table.columns.get(name)
        else:
            name = key
            found = next((c for c in table.columns.values() if c.metadata_id == key.lower()), None)
        if found is None:
            raise RefusedError(404, "0x80060888", f"Could not find an attribute with the specified key '{name}'.")
        return found

    def _create_column(self, table: Table, request: Request) -> Response:
        column = self.alter.create_column(table, request.json(), request.headers.get("mscrm.solutionuniquename"))
        where = f"{self.root}{request.path}({column.metadata_id})"
        return Response(204, {"OData-EntityId": where})

    def _keys(
        self, table: Table, key: str | None, rest: list[str], request: Request, options: Mapping[str, str]
    ) -> Response:
        if key is None:
            if request.method == "POST":
                made = self.alter.create_key(table, request.json())
                where = f"{self.root}{request.path}({made.metadata_id})"
                return Response(204, {"OData-EntityId": where})
            self.alter.progress(table)
            items = [self.describe.key(table, k) for k in table.keys.values()]
            return self._list(items, options, f"EntityDefinitions('{table.name}')/Keys")
        wanted = str(literal(key.partition("=")[2])) if "=" in key else key.lower()
        found = next((k for k in table.keys.values() if wanted in (k.metadata_id, k.logical_name)), None)
        if found is None:
            raise RefusedError(404, "0x80060888", f"Could not find a key with the specified key '{wanted}'.")
        if request.method == "DELETE":
            self.organisation.deactivate(table, found, "Failed")
            del table.keys[found.schema_name]
            self.organisation.defined(table)
            return Response(204)
        self.alter.progress(table)
        return Response(200, {}, self._project(self.describe.key(table, found), options))

    def retrieve_changes(self, request: Request) -> Response:
        """``RetrieveMetadataChanges(Query=@p1)`` with criteria on names and projected properties.

        Raises:
            RefusedError: the query can't be read.
        """
        try:
            query = orjson.loads(request.options()["@p1"])
        except (KeyError, orjson.JSONDecodeError):
            raise errors.bad_request("RetrieveMetadataChanges needs Query=@p1 with a JSON value.") from None
        if not isinstance(query, dict):
            raise errors.bad_request("The Query of RetrieveMetadataChanges has to be an EntityQueryExpression.")
        found = []
        for table in self.organisation.tables.values():
            whole = self.describe.table(table, self._hidden_after(request))
            if not _meets(whole, query.get("Criteria")):
                continue
            wanted = (query.get("Properties") or {}).get("PropertyNames") or list(whole)
            if (query.get("Properties") or {}).get("AllProperties"):
                wanted = list(whole)
            item = {n: whole[n] for n in wanted if n in whole and not callable(whole[n])}
            item |= {"MetadataId": table.metadata_id, "HasChanged": None, "LogicalName": table.name}
            for part, inner in (
                ("Attributes", "AttributeQuery"),
                ("Keys", "KeyQuery"),
                ("ManyToOneRelationships", "RelationshipQuery"),
            ):
                if part in wanted:
                    if part == "Keys":
                        self.alter.progress(table)
                    item[part] = self._narrowed(whole[part](), query.get(inner) or {})
            found.append(item)
        context = f"{self.root}$metadata#{_NAMESPACE}RetrieveMetadataChangesResponse"
        stamp = f"{self.organisation.version}!{self.organisation.now()}"
        return Response(200, {}, {"@odata.context": context, "EntityMetadata": found, "ServerVersionStamp": stamp})

    def _narrowed(self, items: Iterable[dict[str, Any]], query: Mapping[str, Any]) -> list[dict[str, Any]]:
        names = (query.get("Properties") or {}).get("PropertyNames")
        found = []
        for item in items:
            if not _meets(item, query.get("Criteria")):
                continue
            if names:
                kept = {"@odata.type", "MetadataId", "LogicalName", *names}
                item = {k: v for k, v in item.items() if k in kept}
            found.append({**item, "HasChanged": None})
        return found

    def _list(self, items: list[dict[str, Any]], options: Mapping[str, str], context: str) -> Response:
        for name in ("$top", "$orderby", "$count", "$skiptoken"):
            if name in options:
                raise errors.bad_request(f"The query parameter {name} is not supported for metadata.")
        text = options.get("$filter")
        if text:
            items = [i for i in items if _passes(i, text)]
        value = [self._project(i, options) for i in items]
        select = f"({options['$select']})" if "$select" in options else ""
        return Response(200, {}, {"@odata.context": f"{self.root}$metadata#{context}{select}", "value": value})

    def _project(self, item: dict[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
        select = [n.strip() for n in options["$select"].split(",")] if "$select" in options else None
        expanded: dict[str, str] = {m[1]: m[2] for m in _EXPANSION.finditer(options.get("$expand", ""))}
        if select is not None:
            for name in select:
                if name not in item and not name.startswith(_NAMESPACE) and name not in _OF_SOME_TYPES:
                    raise RefusedError(
                        400, "0x0", f"Could not find a property named '{name}' on type '{_NAMESPACE}MetadataBase'."
                    )
        body: dict[str, Any] = {}
        for name, value in item.items():
            if name in expanded:
                got = value() if callable(value) else value
                inner = expanded[name]
                body[name] = _narrow(got, inner) if inner else got
            elif callable(value) or name == "OptionSet":
                continue
            elif select is None or name in select or name in {"@odata.type", "MetadataId"}:
                body[name] = value
        return body


_OF_SOME_TYPES = frozenset(
    {"MaxLength", "MinValue", "MaxValue", "Precision", "Format", "FormatName", "Targets", "OptionSet", "DefaultValue",
     "DateTimeBehavior", "DefaultFormValue"}
)  # fmt: skip


def _narrow(value: Any, inner: str) -> Any:
    """Apply the options of an expansion, ``$select`` and ``$filter``."""
    options = {name.strip(): text for name, _, text in (part.partition("=") for part in inner.split(";"))}
    if unknown := set(options) - {"$select", "$filter"}:
        raise errors.bad_request(f"{', '.join(sorted(unknown))} is not supported in $expand here.")
    if "$filter" in options and isinstance(value, list):
        value = [item for item in value if _passes(item, options["$filter"])]
    select = options.get("$select", "")
    names = {n.strip() for n in select.split(",") if n.strip()} | {"MetadataId", "@odata.type"}
    if not select:
        return value
    if isinstance(value, list):
        return [{k: v for k, v in i.items() if k in names} for i in value]
    return {k: v for k, v in value.items() if k in names} if isinstance(value, dict) else value


def _passes(item: Mapping[str, Any], text: str) -> bool:
    """A metadata filter: comparisons of one property with a literal, joined by ``and`` or by ``or``."""
    body = text.strip()
    while body.startswith("(") and body.endswith(")") and body.count("(") == 1:
        body = body[1:-1]
    results = []
    position = 0
    joins = set()
    while position < len(body):
        match = _CONDITION.match(body, position)
        if match is None:
            raise errors.bad_request(f"Syntax error in $filter: '{text}'.")
        name, operator, value = match.groups()
        wanted = literal(value.removeprefix("Microsoft.Dynamics.CRM.AttributeTypeCode"))
        results.append((item.get(name) == wanted) == (operator == "eq"))
        position = match.end()
        for word in ("and ", "or "):
            if body.startswith(word, position):
                joins.add(word)
                position += len(word)
    if len(joins) > 1:
        raise errors.bad_request("Mixing and with or in a metadata filter is not supported here.")
    return any(results) if "or " in joins else all(results)


def _listed(value: Any) -> Any:
    """The value of an In condition: a list, or one written as text."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise errors.bad_request(f"The value {value!r} is not a list.") from None


def _meets(item: Mapping[str, Any], criteria: Any) -> bool:
    """A MetadataFilterExpression: conditions joined by And (default) or Or."""
    conditions = (criteria or {}).get("Conditions") or []
    results = []
    for condition in conditions:
        value = (condition.get("Value") or {}).get("Value")
        found = item.get(condition.get("PropertyName"))
        operator = condition.get("ConditionOperator", "Equals")
        if operator == "Equals":
            results.append(found == value)
        elif operator == "NotEquals":
            results.append(found != value)
        elif operator in {"In", "NotIn"}:
            listed = _listed(value)
            results.append((found in (listed or [])) == (operator == "In"))
        else:
            raise errors.bad_request(f"The condition operator '{operator}' is not supported here.")
    if (criteria or {}).get("FilterOperator") == "Or":
        return any(results) if results else True
    return all(results)
