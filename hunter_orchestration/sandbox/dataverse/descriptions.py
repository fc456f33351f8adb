"""Tables, columns, keys and relationships as metadata JSON (contract, section 15)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hunter_orchestration.sandbox.dataverse.rows import Organisation
from hunter_orchestration.sandbox.dataverse.schema import AlternateKey, Column, Table, stable_id

_NAMESPACE = "Microsoft.Dynamics.CRM."
_TYPE_NAMES = {"Customer": "CustomerType", "Memo": "MemoType"}


def label(text: str) -> dict[str, Any]:
    """A Label with one English text."""
    one = {"Label": text, "LanguageCode": 1033, "IsManaged": False, "MetadataId": stable_id("label", text)}
    return {"LocalizedLabels": [one], "UserLocalizedLabel": one}


class Descriptions:
    """Describes definitions.

    Args:
        settings: live switches; ``forbidden_columns`` are shown as secured.
    """

    def __init__(self, organisation: Organisation, settings: Mapping[str, Any]) -> None:
        self.organisation = organisation
        self.settings = settings

    def table(self, table: Table, hidden_after: float = math.inf) -> dict[str, Any]:
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
            "Attributes": lambda: [self.attribute(table, c) for c in table.visible(hidden_after)],
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
