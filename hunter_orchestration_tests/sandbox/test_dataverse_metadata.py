"""Metadata: what a set-up reads and creates, and how key indexes come to life."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import orjson
import pytest

from hunter_orchestration.sandbox.dataverse.standalone import running
from hunter_orchestration_tests.sandbox.dataverse_box import Box


@pytest.fixture(scope="module")
def served() -> Iterator[Box]:
    with running() as box:
        yield Box(box)


@pytest.fixture
def box(served: Box) -> Box:
    served.running.faults.clear("dataverse")
    served.app.reset()
    return served


LEAD = "EntityDefinitions(LogicalName='lead')"
PREFIX = "Microsoft.Dynamics.CRM."


def label(text: str) -> dict[str, object]:
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}


def publish(box: Box) -> dict[str, str]:
    """Hunter's publisher and solution; the header that names the solution."""
    body = {
        "uniquename": "hunter",
        "friendlyname": "Hunter",
        "customizationprefix": "hnt",
        "customizationoptionvalueprefix": 81694,
    }
    publisher = box.create("publishers", body)
    solution = {"uniquename": "hunter", "friendlyname": "Hunter", "version": "1.0.0.0"}
    box.create("solutions", {**solution, "publisherid@odata.bind": f"/publishers({publisher})"})
    return {"MSCRM__SolutionUniqueName": "hunter"}


def column(kind: str, schema_name: str, **facets: object) -> dict[str, object]:
    return {
        "@odata.type": f"{PREFIX}{kind}AttributeMetadata",
        "SchemaName": schema_name,
        "DisplayName": label(schema_name),
        "RequiredLevel": {"Value": "None"},
        **facets,
    }


def test_a_fresh_organisation_knows_nothing_of_us(box: Box) -> None:
    names = {a["LogicalName"] for a in box.get(f"{LEAD}/Attributes?$select=LogicalName")["value"]}
    assert "subject" in names
    assert not [n for n in names if n.startswith("hnt_")]
    assert box.get(f"{LEAD}/Keys")["value"] == []


def test_columns_and_a_key_are_created_and_become_usable(box: Box) -> None:
    solution = publish(box)
    made = box.send("POST", f"{LEAD}/Attributes", column("String", "hnt_ExternalId", MaxLength=100), **solution)
    assert made.status_code == 204
    assert "/Attributes(" in made.headers["OData-EntityId"]
    key = {"SchemaName": "hnt_ExternalKey", "DisplayName": label("External id"), "KeyAttributes": ["hnt_externalid"]}
    assert box.send("POST", f"{LEAD}/Keys", key).status_code == 204
    path = "leads(hnt_externalid='a.example')"
    assert box.refused("PATCH", path, {"subject": "x"})[0] == 400
    seen = [box.get(f"{LEAD}/Keys?$select=EntityKeyIndexStatus")["value"][0]["EntityKeyIndexStatus"] for _ in range(3)]
    assert seen == ["Pending", "InProgress", "Active"]
    assert box.send("PATCH", path, {"subject": "x"}).status_code == 204
    expanded = box.get(f"{LEAD}?$select=LogicalName&$expand=Keys($select=KeyAttributes)")
    assert expanded["Keys"][0]["KeyAttributes"] == ["hnt_externalid"]


def test_a_key_over_duplicate_values_fails_until_they_are_gone(box: Box) -> None:
    first, _ = box.create("leads", {"sic": "1"}), box.create("leads", {"sic": "1"})
    box.settings["key_pending_reads"] = 0
    box.send("POST", f"{LEAD}/Keys", {"SchemaName": "new_Sic", "KeyAttributes": ["sic"]})
    assert box.get(f"{LEAD}/Keys")["value"][0]["EntityKeyIndexStatus"] == "Failed"
    box.send("DELETE", f"leads({first})")
    body = {"EntityLogicalName": "lead", "EntityKeyLogicalName": "new_sic"}
    assert box.send("POST", "ReactivateEntityKey", body).status_code == 204
    assert box.get(f"{LEAD}/Keys")["value"][0]["EntityKeyIndexStatus"] == "Active"


@pytest.mark.parametrize(
    ("columns", "code"),
    [(["nosuch"], "0x80060895"), (["description"], "0x80060896"), (["donotemail"], "0x80060896")],
)
def test_keys_over_columns_that_can_not_be_keys_are_refused(box: Box, columns: list[str], code: str) -> None:
    assert box.refused("POST", f"{LEAD}/Keys", {"SchemaName": "new_K", "KeyAttributes": columns})[:2] == (400, code)


def test_choices_get_values_of_the_publishers_range(box: Box) -> None:
    solution = publish(box)
    options = {"Options": [{"Label": label("P1")}, {"Label": label("P2")}, {"Value": 816940007, "Label": label("P7")}]}
    body = column("Picklist", "hnt_Priority", OptionSet={"IsGlobal": False, **options})
    assert box.send("POST", f"{LEAD}/Attributes", body, **solution).status_code == 204
    more = {"EntityLogicalName": "lead", "AttributeLogicalName": "hnt_priority", "Label": label("P8")}
    inserted = box.send("POST", "InsertOptionValue", {**more, "SolutionUniqueName": "hunter"})
    assert inserted.json()["NewOptionValue"] == 816940008
    cast = f"{LEAD}/Attributes/{PREFIX}PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)"
    found = next(a for a in box.get(cast)["value"] if a["LogicalName"] == "hnt_priority")
    values = {o["Label"]["LocalizedLabels"][0]["Label"]: o["Value"] for o in found["OptionSet"]["Options"]}
    assert values == {"P1": 816940000, "P2": 816940001, "P7": 816940007, "P8": 816940008}


@pytest.mark.parametrize(
    ("kind", "facets", "good", "bad"),
    [
        ("String", {"MaxLength": 5}, "12345", "123456"),
        ("Memo", {"MaxLength": 5}, "12345", "123456"),
        ("Integer", {"MinValue": 0, "MaxValue": 100}, 100, 101),
        ("Money", {"PrecisionSource": 2}, 10.5, "10.5"),
        ("Decimal", {"Precision": 3}, 10.125, True),
        ("Boolean", {"DefaultValue": False}, True, 1),
        ("DateTime", {"Format": "DateOnly"}, "2026-11-24", "2026-11-24T00:00:00Z"),
        ("DateTime", {"Format": "DateAndTime"}, "2026-11-24T00:00:00Z", "2026-11-24T00:00:00"),
    ],
)
def test_new_columns_hold_what_they_were_made_for(
    box: Box, kind: str, facets: dict[str, object], good: object, bad: object
) -> None:
    solution = publish(box)
    body = column(kind, "hnt_Thing", **facets)
    assert box.send("POST", f"{LEAD}/Attributes", body, **solution).status_code == 204
    row = box.create("leads", {"hnt_thing": good})
    assert box.get(f"leads({row})?$select=hnt_thing")["hnt_thing"] == good
    assert box.refused("POST", "leads", {"hnt_thing": bad})[0] == 400


def test_names_have_to_start_with_the_publishers_prefix(box: Box) -> None:
    solution = publish(box)
    assert box.refused("POST", f"{LEAD}/Attributes", column("String", "abc_X", MaxLength=1), **solution)[0] == 400
    unknown = {"MSCRM__SolutionUniqueName": "nosuch"}
    assert box.refused("POST", f"{LEAD}/Attributes", column("String", "hnt_X", MaxLength=1), **unknown)[0] == 400


def test_a_column_is_created_once(box: Box) -> None:
    body = column("String", "new_X", MaxLength=1)
    box.send("POST", f"{LEAD}/Attributes", body)
    assert box.refused("POST", f"{LEAD}/Attributes", body)[:2] == (400, "0x80047013")


def test_lookups_name_their_navigation_properties(box: Box) -> None:
    found = box.get(
        f"{LEAD}/ManyToOneRelationships?$select=ReferencingAttribute,ReferencingEntityNavigationPropertyName"
    )
    names = {r["ReferencingEntityNavigationPropertyName"] for r in found["value"]}
    assert {"customerid_account", "customerid_contact", "parentaccountid", "ownerid"} <= names


def test_the_organisation_has_users_teams_currencies_rules_and_privileges(box: Box) -> None:
    codes = {c["isocurrencycode"] for c in box.get("transactioncurrencies?$select=isocurrencycode")["value"]}
    assert codes == {"TRY", "EUR", "USD", "GBP"}
    assert box.get("systemusers?$select=fullname")["value"]
    assert box.get("teams?$select=name")["value"]
    rules = box.get("duplicaterules?$select=baseentityname&$filter=statecode eq 1")["value"]
    assert {r["baseentityname"] for r in rules} == {"account", "contact", "lead"}
    box.settings["missing_privileges"] = ["prvCreateLead"]
    user = box.get("WhoAmI")["UserId"]
    held = box.get(f"systemusers({user})/{PREFIX}RetrieveUserPrivileges")["RolePrivileges"]
    names = {p["PrivilegeName"] for p in held}
    assert "prvWriteLead" in names
    assert "prvCreateLead" not in names


def test_metadata_changes_are_narrowed_as_asked(box: Box) -> None:
    query = (
        '{"Properties":{"PropertyNames":["LogicalName","Attributes"]},"Criteria":{"Conditions":[{"PropertyName":'
        '"LogicalName","ConditionOperator":"Equals","Value":{"Type":"System.String","Value":"lead"}}]},'
        '"AttributeQuery":{"Properties":{"PropertyNames":["MaxLength"]}}}'
    )
    found = box.get(f"RetrieveMetadataChanges(Query=@p1)?@p1={query}")["EntityMetadata"]
    assert [e["LogicalName"] for e in found] == ["lead"]
    subject = next(a for a in found[0]["Attributes"] if a["LogicalName"] == "subject")
    assert subject["MaxLength"] == 300
    assert "SchemaName" not in subject


def test_an_expansion_is_narrowed_by_select_and_filter(box: Box) -> None:
    inner = "$select=LogicalName;$filter=AttributeType eq 'Memo'"
    found = box.get(f"{LEAD}?$select=LogicalName&$expand=Attributes({inner})")
    assert {a["LogicalName"] for a in found["Attributes"]} == {"description", "qualificationcomments"}


def test_metadata_changes_of_several_tables_come_in_one_answer(box: Box) -> None:
    for value in (["lead", "account"], '["lead","account"]', "['lead','account']"):
        condition = {
            "PropertyName": "LogicalName",
            "ConditionOperator": "In",
            "Value": {"Type": "System.String[]", "Value": value},
        }
        query = {"Properties": {"PropertyNames": ["EntitySetName", "Keys"]}, "Criteria": {"Conditions": [condition]}}
        found = box.get(f"RetrieveMetadataChanges(Query=@p1)?@p1={quote(orjson.dumps(query).decode())}")
        assert {e["EntitySetName"] for e in found["EntityMetadata"]} == {"leads", "accounts"}


def test_a_new_column_is_seen_at_once_only_with_strong_consistency(box: Box) -> None:
    box.settings["stale_metadata_s"] = 30
    box.send("POST", f"{LEAD}/Attributes", column("String", "new_X", MaxLength=1))
    path = f"{LEAD}/Attributes?$select=LogicalName&$filter=LogicalName eq 'new_x'"
    assert box.get(path)["value"] == []
    assert len(box.get(path, Consistency="Strong")["value"]) == 1
    box.running.clock.advance(31)
    assert len(box.get(path)["value"]) == 1
    box.running.clock.advance(-31)
