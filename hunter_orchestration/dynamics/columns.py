"""Hunter's own columns: what set-up creates, and what the default mapping writes (publisher prefix ``hnt``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hunter_orchestration.dynamics.mapping import TABLES

PREFIX = "hnt"
OPTION_PREFIX = 81694
PUBLISHER = "hunter"
SOLUTION = "hunter"
KEY_NAME = "hnt_ExternalKey"
_ENGLISH = 1033


@dataclass(frozen=True, slots=True)
class OwnColumn:
    """One column; ``size`` is the length of a text, ``bounds`` the range of a whole number."""

    schema_name: str
    kind: Literal["String", "Memo", "Integer", "Picklist", "DateTime"]
    label: str
    size: int = 100
    bounds: tuple[int, int] = (0, 1000)
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Logical name."""
        return self.schema_name.lower()


_EVERYWHERE = (OwnColumn("hnt_ExternalId", "String", "External id"), OwnColumn("hnt_LastSync", "DateTime", "Last sync"))
_HEAT = ("Hot", "Warm", "Cold")
_REFERRAL = (
    OwnColumn("hnt_ReferralId", "String", "Referral id"),
    OwnColumn("hnt_ReferralType", "String", "Referral type"),
)
_LEAD = (
    OwnColumn("hnt_FinalScore", "Integer", "Final score", bounds=(0, 100)),
    OwnColumn("hnt_PriorityCategory", "Picklist", "Priority category", options=("P1", "P2", "P3", "P4", "P5", "P6")),
    OwnColumn("hnt_PriorityScore", "Integer", "Priority score"),
    OwnColumn("hnt_Segment", "Picklist", "Segment", options=("Migration", "Existing", "Cold", "Skip")),
    OwnColumn("hnt_CommercialSegment", "String", "Commercial segment"),
    OwnColumn("hnt_TechnicalHeat", "Picklist", "Technical heat", options=_HEAT),
    OwnColumn("hnt_CommercialHeat", "Picklist", "Commercial heat", options=_HEAT),
    OwnColumn("hnt_Provider", "String", "Mail provider"),
    OwnColumn("hnt_Gateway", "String", "Mail gateway"),
    OwnColumn("hnt_TenantId", "String", "Microsoft tenant"),
    *_REFERRAL,
    OwnColumn("hnt_Source", "String", "Source"),
    OwnColumn("hnt_Infrastructure", "Memo", "Infrastructure", 4000),
    OwnColumn("hnt_Signals", "Memo", "Signals", 4000),
    OwnColumn("hnt_RulesVersion", "String", "Rules version", 50),
)
COLUMNS: dict[str, tuple[OwnColumn, ...]] = dict.fromkeys(TABLES, _EVERYWHERE)
COLUMNS["lead"] += _LEAD
COLUMNS["opportunity"] += _REFERRAL


def label(text: str) -> dict[str, Any]:
    """A Label in English."""
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": _ENGLISH}]}


def definition(column: OwnColumn) -> dict[str, Any]:
    """The body that creates a column (contract section 15)."""
    body: dict[str, Any] = {
        "@odata.type": f"Microsoft.Dynamics.CRM.{column.kind}AttributeMetadata",
        "SchemaName": column.schema_name,
        "DisplayName": label(column.label),
        "RequiredLevel": {"Value": "None"},
    }
    if column.kind in ("String", "Memo"):
        body["MaxLength"] = column.size
        if column.kind == "String":
            body["FormatName"] = {"Value": "Text"}
    elif column.kind == "Integer":
        body |= {"MinValue": column.bounds[0], "MaxValue": column.bounds[1], "Format": "None"}
    elif column.kind == "DateTime":
        body["Format"] = "DateAndTime"
    else:
        first = OPTION_PREFIX * 10_000
        options = [{"Value": first + i, "Label": label(text)} for i, text in enumerate(column.options)]
        body["OptionSet"] = {"IsGlobal": False, "OptionSetType": "Picklist", "Options": options}
    return body
