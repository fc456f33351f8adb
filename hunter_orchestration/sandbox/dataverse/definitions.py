"""Metadata: ``EntityDefinitions``, attributes, keys, relationships, read and changed (contract, sections 5 and 15)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.addresses import literal, split_segment
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
    stable_id,
)
from hunter_orchestration.sandbox.dataverse.wire import Request, Response, method_not_allowed

_NAMESPACE = "Microsoft.Dynamics.CRM."
_CONDITION = re.compile(r"\s*(\w+)\s+(eq|ne)\s+('(?:[^']|'')*'|[^\s)]+)\s*")
_EXPANSION = re.compile(r"(\w+)(?:\(([^()]*)\))?")
_TYPE_NAMES = {"Customer": "CustomerType", "Memo": "MemoType"}


def label(text: str) -> dict[str, Any]:
    """A Label with one English text."""
    one = {"Label": text, "LanguageCode": 1033, "IsManaged": False, "MetadataId": stable_id("label", text)}
    return {"LocalizedLabels": [one], "UserLocalizedLabel": one}


def text_of(value: Any, otherwise: str) -> str:
    """The first text of a Label."""
    labels = value.get("LocalizedLabels") if isinstance(value, dict) else None
    return str(labels[0].get("Label") or otherwise) if labels else otherwise


class Definitions:
    """Answers everything below ``EntityDefinitions``, and the metadata functions and actions."""

    def __init__(self, organisation: Organisation, settings: Mapping[str, Any], root: str) -> None:
        self.organisation = organisation
        self.settings = settings
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
            found = [self.table(t) for t in self.organisation.tables.values()]
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
            return self._list(self.relationships(table, part), options, part)
        value = self.table(table)
        if part in value:
            return Response(200, {}, {"@odata.context": f"{self.root}$metadata#{part}", "value": value[part]})
        raise errors.no_segment(part)

    def _entity(self, table: Table, request: Request, options: Mapping[str, str]) -> Response:
        if request.method in {"PUT", "PATCH"}:
            wanted = request.json()
            if isinstance(wanted, dict) and wanted.get("ChangeTrackingEnabled") is True:
                table.change_tracking = True
            return Response(204)
        if request.method != "GET":
            raise method_not_allowed(request.method)
        body = self._project(self.table(table), options)
        return Response(200, {}, {"@odata.context": f"{self.root}$metadata#EntityDefinitions/$entity", **body})

    def table(self, table: Table) -> dict[str, Any]:
        """A table as EntityMetadata, with what ``$expand`` may ask for."""
        return {
            "MetadataId": table.metadata_id,
            "LogicalName": table.name,
            "SchemaName": table.schema_name,
            "EntitySetName": table.entity_set,
            "LogicalCollectionName": table.entity_set,
            "PrimaryIdAttribute": table.id_column,
            "PrimaryNameAttribute": table.title_column,
            "ObjectTypeCode": table.code,
            "DisplayName": label(table.schema_name),
            "DisplayCollectionName": label(table.entity_set.capitalize()),
            "ChangeTrackingEnabled": table.change_tracking,
            "IsOptimisticConcurrencyEnabled": True,
            "IsCustomEntity": table.custom,
            "IsManaged": not table.custom,
            "IsActivity": False,
            "IsPrivate": False,
            "TableType": "Standard",
            "OwnershipType": "OrganizationOwned" if table.system else "UserOwned",
            "IsDuplicateDetectionEnabled": {"Value": table.duplicate_detection, "CanBeChanged": True},
            "IsAuditEnabled": {"Value": False, "CanBeChanged": True},
            "Privileges": [
                {
                    "Name": f"prv{right}{table.schema_name}",
                    "PrivilegeType": right,
                    "PrivilegeId": stable_id("privilege", right, table.name),
                    "CanBeGlobal": True,
                }
                for right in ("Create", "Read", "Write", "Delete", "Assign", "Append", "AppendTo")
            ],
            "Attributes": lambda: [self.attribute(table, c) for c in table.columns.values()],
            "Keys": lambda: [self.key(table, k) for k in table.keys.values()],
            "ManyToOneRelationships": lambda: self.relationships(table, "ManyToOneRelationships"),
            "OneToManyRelationships": lambda: self.relationships(table, "OneToManyRelationships"),
        }

    def attribute(self, table: Table, column: Column) -> dict[str, Any]:
        """A column as AttributeMetadata of its own type."""
        kind = "Lookup" if column.is_lookup else column.type
        body: dict[str, Any] = {
            "@odata.type": f"#{_NAMESPACE}{kind}AttributeMetadata",
            "MetadataId": column.metadata_id,
            "LogicalName": column.name,
            "SchemaName": column.schema_name,
            "EntityLogicalName": table.name,
            "AttributeType": column.type,
            "AttributeTypeName": {"Value": _TYPE_NAMES.get(column.type, f"{column.type}Type")},
            "AttributeOf": None,
            "DisplayName": label(column.label),
            "Description": label(column.label),
            "RequiredLevel": {
                "Value": column.required,
                "CanBeChanged": column.required != "SystemRequired",
                "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
            },
            "IsValidForCreate": column.creatable,
            "IsValidForUpdate": column.updatable,
            "IsValidForRead": True,
            "IsCustomAttribute": column.custom,
            "IsManaged": not column.custom,
            "IsPrimaryId": column.name == table.id_column,
            "IsPrimaryName": column.name == table.title_column,
            "IsLogical": False,
            "IsSecured": column.name in self.settings["forbidden_columns"].get(table.name, ()),
            "IsSearchable": True,
            "ColumnNumber": list(table.columns).index(column.name) + 1,
        }
        if column.type in {"String", "Memo"}:
            body |= {"MaxLength": column.length, "Format": "Text", "FormatName": {"Value": "Text"}}
        elif column.type in {"Integer", "BigInt", "Money", "Decimal", "Double"}:
            body |= {"MinValue": column.lowest, "MaxValue": column.highest}
            if column.precision is not None:
                body["Precision"] = column.precision
            if column.type == "Integer":
                body["Format"] = "None"
        elif column.type == "DateTime":
            body["Format"] = "DateOnly" if column.date_only else "DateAndTime"
            body["DateTimeBehavior"] = {"Value": "DateOnly" if column.date_only else "UserLocal"}
        elif column.is_lookup:
            body["Targets"] = sorted({t for targets in column.binds.values() for t in targets.split("|")})
        elif column.type in {"Picklist", "State", "Status"}:
            body["OptionSet"] = self.option_set(table, column)
            body["DefaultFormValue"] = column.default if column.default is not None else -1
        elif column.type == "Boolean":
            body["DefaultValue"] = bool(column.default)
            body["OptionSet"] = {
                "TrueOption": {"Value": 1, "Label": label("Yes")},
                "FalseOption": {"Value": 0, "Label": label("No")},
                "OptionSetType": "Boolean",
            }
        return body

    def option_set(self, table: Table, column: Column) -> dict[str, Any]:
        """The choices of a column."""
        options = []
        for option in column.options:
            item: dict[str, Any] = {"Value": option.value, "Label": label(option.label), "IsManaged": not column.custom}
            if option.state is not None:
                item["State"] = option.state
            options.append(item)
        return {
            "MetadataId": stable_id("options", table.name, column.name),
            "Name": f"{table.name}_{column.name}",
            "IsGlobal": False,
            "IsCustomOptionSet": column.custom,
            "OptionSetType": column.type,
            "Options": options,
        }

    def key(self, table: Table, key: AlternateKey) -> dict[str, Any]:
        """A key as EntityKeyMetadata."""
        return {
            "MetadataId": key.metadata_id,
            "LogicalName": key.logical_name,
            "SchemaName": key.schema_name,
            "EntityLogicalName": table.name,
            "KeyAttributes": list(key.columns),
            "EntityKeyIndexStatus": key.status,
            "DisplayName": label(key.label),
            "IsManaged": False,
        }

    def relationships(self, table: Table, kind: str) -> list[dict[str, Any]]:
        """Relationships with their navigation property names."""
        if kind == "ManyToManyRelationships":
            return []
        found = []
        many_to_one = kind == "ManyToOneRelationships"
        for other in [table] if many_to_one else self.organisation.tables.values():
            for column in other.columns.values():
                for navigation, targets in column.binds.items():
                    for target in targets.split("|"):
                        if not many_to_one and target != table.name:
                            continue
                        to = self.organisation.tables[target]
                        found.append(
                            {
                                "MetadataId": stable_id("relationship", other.name, navigation, target),
                                "SchemaName": f"{target}_{other.name}_{column.name}",
                                "ReferencingEntity": other.name,
                                "ReferencingAttribute": column.name,
                                "ReferencedEntity": target,
                                "ReferencedAttribute": to.id_column,
                                "ReferencingEntityNavigationPropertyName": navigation,
                                "ReferencedEntityNavigationPropertyName": f"{target}_{other.name}_{column.name}",
                                "RelationshipType": "OneToManyRelationship",
                            }
                        )
        return found

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
            items = [self.attribute(table, c) for c in table.columns.values()]
            if rest:
                items = [i for i in items if i["@odata.type"] == f"#{rest[0]}"]
                if not rest[0].startswith(_NAMESPACE):
                    raise errors.no_segment(rest[0])
            return self._list(items, options, f"EntityDefinitions('{table.name}')/Attributes")
        column = self._column(table, key)
        if request.method in {"PUT", "PATCH"}:
            self._change_column(table, column, request.json())
            return Response(204)
        if request.method == "DELETE":
            if not column.custom:
                raise RefusedError(400, "0x8004f01f", f"The column '{column.name}' is managed and can't be deleted.")
            table.drop(column.name)
            return Response(204)
        item = self.attribute(table, column)
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
        body = request.json()
        column = self.column_from(table, body, request.headers.get("mscrm.solutionuniquename"))
        table.add(column)
        where = f"{self.root}{request.path}({column.metadata_id})"
        return Response(204, {"OData-EntityId": where})

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

    def _change_column(self, table: Table, column: Column, body: Any) -> None:
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
        table.changed()

    def _keys(
        self, table: Table, key: str | None, rest: list[str], request: Request, options: Mapping[str, str]
    ) -> Response:
        if key is None:
            if request.method == "POST":
                made = self.create_key(table, request.json())
                where = f"{self.root}{request.path}({made.metadata_id})"
                return Response(204, {"OData-EntityId": where})
            self.progress(table)
            items = [self.key(table, k) for k in table.keys.values()]
            return self._list(items, options, f"EntityDefinitions('{table.name}')/Keys")
        wanted = str(literal(key.partition("=")[2])) if "=" in key else key.lower()
        found = next((k for k in table.keys.values() if wanted in (k.metadata_id, k.logical_name)), None)
        if found is None:
            raise RefusedError(404, "0x80060888", f"Could not find a key with the specified key '{wanted}'.")
        if request.method == "DELETE":
            self.organisation.deactivate(table, found, "Failed")
            del table.keys[found.schema_name]
            return Response(204)
        self.progress(table)
        return Response(200, {}, self._project(self.key(table, found), options))

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

    def reactivate_key(self, body: Any) -> Response:
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
        return Response(204)

    def insert_option(self, body: Any) -> Response:
        """``InsertOptionValue`` on a local choice column.

        Raises:
            RefusedError: no such column.
        """
        table = self.organisation.tables.get(str(body.get("EntityLogicalName")))
        column = table.columns.get(str(body.get("AttributeLogicalName"))) if table else None
        if column is None or column.type != "Picklist":
            raise errors.bad_request("InsertOptionValue needs a choice column.")
        _, prefix = self._publisher(column.schema_name, body.get("SolutionUniqueName"))
        value = self.add_option(column, body.get("Value"), text_of(body.get("Label"), ""), prefix)
        context = f"{self.root}$metadata#{_NAMESPACE}InsertOptionValueResponse"
        return Response(200, {}, {"@odata.context": context, "NewOptionValue": value})

    def retrieve_changes(self, request: Request) -> Response:
        """``RetrieveMetadataChanges(Query=@p1)`` with criteria on names and projected properties.

        Raises:
            RefusedError: the query can't be read.
        """
        try:
            query = orjson.loads(request.options()["@p1"])
        except (KeyError, orjson.JSONDecodeError):
            raise errors.bad_request("RetrieveMetadataChanges needs Query=@p1 with a JSON value.") from None
        found = []
        for table in self.organisation.tables.values():
            whole = self.table(table)
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
    select = next((p.partition("=")[2] for p in inner.split(";") if p.strip().startswith("$select")), "")
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
            listed = orjson.loads(value) if isinstance(value, str) and value.startswith("[") else value
            results.append((found in (listed or [])) == (operator == "In"))
        else:
            raise errors.bad_request(f"The condition operator '{operator}' is not supported here.")
    if (criteria or {}).get("FilterOperator") == "Or":
        return any(results) if results else True
    return all(results)
