"""What the organisation says of its tables: columns with type, length and options, navigation names, keys (contract
section 15). One request for all tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.dynamics.refusals import UnreachableError

_TABLE = ["LogicalName", "EntitySetName", "PrimaryIdAttribute", "PrimaryNameAttribute", "ChangeTrackingEnabled",
          "Attributes", "Keys", "ManyToOneRelationships"]  # fmt: skip
_ATTRIBUTE = ["LogicalName", "AttributeType", "RequiredLevel", "IsValidForCreate", "IsValidForUpdate", "MaxLength",
              "MinValue", "MaxValue", "OptionSet", "Format", "IsSecured"]  # fmt: skip
_KEY = ["SchemaName", "KeyAttributes", "EntityKeyIndexStatus", "LogicalName"]
_RELATION = ["ReferencingAttribute", "ReferencedEntity", "ReferencingEntityNavigationPropertyName"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``options`` maps every language's label, case-folded, to the option's value."""

    name: str
    type: str
    required: str
    creatable: bool
    updatable: bool
    length: int | None = None
    lowest: float | None = None
    highest: float | None = None
    date_only: bool = False
    options: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """One table. ``navigation`` maps a navigation property to (lookup column, table it leads to); ``keys`` maps the
    columns of each alternate key to its index status."""

    name: str
    entity_set: str
    id_column: str
    title_column: str
    tracked: bool
    columns: Mapping[str, Column]
    navigation: Mapping[str, tuple[str, str]]
    keys: Mapping[tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class Metadata:
    """The tables asked for, as far as the organisation has them; ``digest`` changes when any of it does."""

    tables: Mapping[str, Table]
    digest: str


def read_metadata(client: DataverseClient, names: Sequence[str]) -> Metadata:
    """Ask for some tables' definitions, the newest there are.

    Raises:
        UnreachableError, CrmRefusedError: as the client does.
    """
    query = {
        "Criteria": {
            "FilterOperator": "And",
            "Conditions": [
                {
                    "ConditionOperator": "In",
                    "PropertyName": "LogicalName",
                    "Value": {"Type": "System.String[]", "Value": orjson.dumps(list(names)).decode()},
                }
            ],
        },
        "Properties": {"AllProperties": False, "PropertyNames": _TABLE},
        "AttributeQuery": {"Properties": {"AllProperties": False, "PropertyNames": _ATTRIBUTE}},
        "KeyQuery": {"Properties": {"AllProperties": False, "PropertyNames": _KEY}},
        "RelationshipQuery": {"Properties": {"AllProperties": False, "PropertyNames": _RELATION}},
    }
    path = f"RetrieveMetadataChanges(Query=@p1)?@p1={quote(orjson.dumps(query).decode())}"
    answer = client.get(path, {"Consistency": "Strong"})
    found = answer.get("EntityMetadata") if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise UnreachableError("Dynamics answered the question for its tables without any.", "Try again later.")
    tables = {table.name: table for table in map(_table, found) if table.name in names}
    return Metadata(tables, _digest(tables))


def _table(raw: Mapping[str, Any]) -> Table:
    columns = {c.name: c for c in map(_column, raw.get("Attributes") or ())}
    return Table(
        name=raw["LogicalName"],
        entity_set=raw["EntitySetName"],
        id_column=raw["PrimaryIdAttribute"],
        title_column=raw.get("PrimaryNameAttribute") or "",
        tracked=bool(raw.get("ChangeTrackingEnabled")),
        columns=columns,
        navigation={
            r["ReferencingEntityNavigationPropertyName"]: (r["ReferencingAttribute"], r["ReferencedEntity"])
            for r in raw.get("ManyToOneRelationships") or ()
        },
        keys={tuple(k["KeyAttributes"]): k.get("EntityKeyIndexStatus") or "Pending" for k in raw.get("Keys") or ()},
    )


def _column(raw: Mapping[str, Any]) -> Column:
    options: dict[str, int] = {}
    labels: dict[int, str] = {}
    for option in (raw.get("OptionSet") or {}).get("Options") or ():
        texts = [t.get("Label") for t in (option.get("Label") or {}).get("LocalizedLabels") or ()]
        for text in filter(None, texts):
            options.setdefault(str(text).casefold(), option["Value"])
            labels.setdefault(option["Value"], str(text))
    return Column(
        name=raw["LogicalName"],
        type=raw.get("AttributeType") or "",
        required=(raw.get("RequiredLevel") or {}).get("Value") or "None",
        creatable=bool(raw.get("IsValidForCreate")),
        updatable=bool(raw.get("IsValidForUpdate")),
        length=raw.get("MaxLength"),
        lowest=raw.get("MinValue"),
        highest=raw.get("MaxValue"),
        date_only=raw.get("Format") == "DateOnly",
        options=options,
        labels=labels,
    )


def _digest(tables: Mapping[str, Table]) -> str:
    facts = {
        name: [
            [[c.name, c.type, c.required, c.creatable, c.updatable, c.length, sorted(c.options.items())]
             for _, c in sorted(table.columns.items())],
            sorted(table.navigation),
        ]
        for name, table in sorted(tables.items())
    }  # fmt: skip
    return hashlib.sha256(orjson.dumps(facts)).hexdigest()[:16]
