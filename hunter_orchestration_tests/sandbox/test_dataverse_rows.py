"""Rows: keys, conditions, lookups, states, bulk messages, duplicates, as the contract has them."""

from __future__ import annotations

import pytest

from hunter_orchestration_tests.sandbox.dataverse_box import Box


@pytest.fixture
def box(dataverse: Box) -> Box:
    return dataverse


A = "leads(hnt_externalid='a.example')"


def test_an_upsert_by_key_tells_created_from_updated_only_with_representation(box: Box) -> None:
    first = box.send("PATCH", A, {"subject": "x"})
    second = box.send("PATCH", A, {"subject": "y"})
    assert (first.status_code, second.status_code) == (204, 204)
    assert first.headers["OData-EntityId"] == second.headers["OData-EntityId"] == box.root + A
    asked = {"Prefer": "return=representation"}
    created = box.send("PATCH", "leads(hnt_externalid='b.example')?$select=leadid", {"subject": "x"}, **asked)
    updated = box.send("PATCH", "leads(hnt_externalid='b.example')?$select=leadid", {"subject": "y"}, **asked)
    assert (created.status_code, updated.status_code) == (201, 200)
    assert created.json()["leadid"] == updated.json()["leadid"]
    assert "OData-EntityId" not in created.headers
    assert created.headers["Preference-Applied"] == "return=representation"


def test_if_match_and_if_none_match_guard_an_upsert(box: Box) -> None:
    status, code, _ = box.refused("PATCH", A, {"subject": "x"}, If_Match="*")
    assert (status, code) == (404, "0x80060891")
    assert box.send("PATCH", A, {"subject": "x"}, If_None_Match="*").status_code == 204
    assert box.refused("PATCH", A, {"subject": "x"}, If_None_Match="*")[0] == 412
    etag = box.get(A)["@odata.etag"]
    assert box.send("PATCH", A, {"subject": "y"}, If_Match=etag).status_code == 204
    assert box.refused("PATCH", A, {"subject": "z"}, If_Match=etag)[:2] == (412, "0x80060882")
    assert box.refused("DELETE", A, If_Match=etag)[:2] == (412, "0x80060882")
    assert box.get(A)["subject"] == "y"


def test_key_columns_in_the_body_are_dropped_on_update_and_win_on_create(box: Box) -> None:
    box.send("PATCH", A, {"subject": "x", "hnt_externalid": "other.example"})
    assert box.get("leads(hnt_externalid='other.example')")["subject"] == "x"
    box.send("PATCH", "leads(hnt_externalid='other.example')", {"subject": "y", "hnt_externalid": "third.example"})
    assert box.get("leads(hnt_externalid='other.example')")["subject"] == "y"


@pytest.mark.parametrize("value", ["a%2Fb", "a%3Cb", "a%2Ab", "a%25b", "a%26b", "a%3Ab", "a%5Cb", "a%3Fb", "a%2Bb"])
def test_reserved_characters_can_not_stand_in_a_key(box: Box, value: str) -> None:
    assert box.refused("PATCH", f"leads(hnt_externalid='{value}')", {"subject": "x"})[0] == 400


def test_an_apostrophe_in_a_key_is_doubled(box: Box) -> None:
    box.send("PATCH", "leads(hnt_externalid='o''hara')", {"subject": "x"})
    assert box.get("leads(hnt_externalid='o%27%27hara')")["hnt_externalid"] == "o'hara"


def test_keys_are_unique_and_compare_without_case(box: Box) -> None:
    box.send("PATCH", A, {"subject": "x"})
    assert box.refused("POST", "leads", {"subject": "y", "hnt_externalid": "A.Example"})[:2] == (412, "0x80060892")
    box.settings["key_case_sensitive"] = True
    assert box.send("POST", "leads", {"subject": "y", "hnt_externalid": "A.EXAMPLE"}).status_code == 204


def test_rows_without_a_key_value_do_not_collide(box: Box) -> None:
    assert box.create("leads", {"subject": "x"}) != box.create("leads", {"subject": "x"})


def test_a_key_that_is_not_active_can_not_be_used(box: Box) -> None:
    box.control("PATCH", "/tables/lead/keys", {"status": "Pending"})
    assert box.refused("PATCH", A, {"subject": "x"})[0] == 400
    box.control("PATCH", "/tables/lead/keys", {"status": "Active"})
    assert box.send("PATCH", A, {"subject": "x"}).status_code == 204


@pytest.mark.parametrize("path", ["Leads", "lead", "leads/microsoft.dynamics.crm.CreateMultiple"])
def test_names_are_case_sensitive(box: Box, path: str) -> None:
    assert box.refused("POST", path, {})[:2] == (404, "0x8006088a")


def test_lookups_bind_by_navigation_property_and_read_back_by_value(box: Box) -> None:
    box.send("PATCH", "accounts(hnt_externalid='a.example')", {"name": "A"})
    account = box.get("accounts(hnt_externalid='a.example')")["accountid"]
    contact = box.create("contacts", {"lastname": "x", "parentcustomerid_account@odata.bind": f"accounts({account})"})
    assert box.get(f"contacts({contact})")["_parentcustomerid_value"] == account
    body = {"name": "Deal", "customerid_account@odata.bind": "/accounts(hnt_externalid='a.example')"}
    deal = box.create("opportunities", body)
    assert box.get(f"opportunities({deal})?$select=_customerid_value")["_customerid_value"] == account
    other = {"customerid_contact@odata.bind": f"{box.root}contacts({contact})"}
    box.send("PATCH", f"opportunities({deal})", other)
    shown = box.get(f"opportunities({deal})?$select=_customerid_value", Prefer='odata.include-annotations="*"')
    assert shown["_customerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "contact"
    assert shown["_customerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"] == "customerid_contact"
    box.send("PATCH", f"opportunities({deal})", {"customerid_contact@odata.bind": None})
    assert box.get(f"opportunities({deal})?$select=_customerid_value")["_customerid_value"] is None


def test_a_bind_to_nothing_or_to_the_wrong_table_is_refused(box: Box) -> None:
    missing = "/accounts(hnt_externalid='nobody.example')"
    assert box.refused("POST", "leads", {"parentaccountid@odata.bind": missing})[:2] == (400, "0x80060891")
    gone = "/accounts(00000000-0000-0000-0000-0000000000ff)"
    assert box.refused("POST", "leads", {"parentaccountid@odata.bind": gone})[:2] == (404, "0x80040217")
    lead = box.create("leads", {"subject": "x"})
    assert box.refused("POST", "leads", {"parentaccountid@odata.bind": f"/leads({lead})"})[:2] == (400, "0x80048d19")


def test_references_are_set_and_removed_through_ref(box: Box) -> None:
    account = box.create("accounts", {"name": "A"})
    contact = box.create("contacts", {"lastname": "x"})
    reference = {"@odata.id": f"{box.root}contacts({contact})"}
    assert box.send("PUT", f"accounts({account})/primarycontactid/$ref", reference).status_code == 204
    assert box.get(f"accounts({account})")["_primarycontactid_value"] == contact
    assert box.send("DELETE", f"accounts({account})/primarycontactid/$ref").status_code == 204
    assert box.get(f"accounts({account})")["_primarycontactid_value"] is None
    assert box.send("POST", f"accounts({account})/contact_customer_accounts/$ref", reference).status_code == 204
    assert box.get(f"accounts({account})/contact_customer_accounts?$select=lastname")["value"][0]["lastname"] == "x"


def test_a_deep_insert_makes_both_rows_or_none(box: Box) -> None:
    body = {"name": "A", "primarycontactid": {"lastname": "x"}, "contact_customer_accounts": [{"lastname": "y"}]}
    account = box.create("accounts", body)
    assert box.get(f"accounts({account})/primarycontactid")["lastname"] == "x"
    assert [c["lastname"] for c in box.get("contacts?$select=lastname")["value"]] == ["x", "y"]
    assert box.send("POST", "accounts", {**body, "contact_customer_accounts": [{"lastname": 1}]}).status_code == 400
    assert len(box.get("contacts?$select=lastname")["value"]) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"mobilephone": "0" * 21}, "0x80044331"),
        ({"companyname": "😀" * 51}, "0x80044331"),
        ({"createdon": "2026-01-01T00:00:00Z"}, "0x80040203"),
        ({"statecode": 0}, "0x80040203"),
        ({"statuscode": 3}, "0x80048408"),
        ({"estimatedclosedate": "31.12.2026"}, "0x80048d19"),
        ({"donotemail": "yes"}, "0x80048d19"),
        ({"_parentaccountid_value": "00000000-0000-0000-0000-0000000000ff"}, "0x80060888"),
        ({"nosuchcolumn": 1}, "0x0"),
    ],
)
def test_what_does_not_fit_is_refused_on_create(box: Box, body: dict[str, object], code: str) -> None:
    status, found, _ = box.refused("POST", "leads", body)
    assert (status, found) == (400, code)
    assert box.control("GET", "/tables/lead/rows")["count"] == 0


def test_qualified_and_disqualified_leads_are_read_only_until_reactivated(box: Box) -> None:
    lead = box.create("leads", {"subject": "x"})
    assert box.send("PATCH", f"leads({lead})", {"statecode": 2}).status_code == 204
    assert box.get(f"leads({lead})")["statuscode"] == 4
    assert box.refused("PATCH", f"leads({lead})", {"subject": "y"})[:2] == (400, "0x80040203")
    assert box.send("PATCH", f"leads({lead})", {"statecode": 0, "subject": "y"}).status_code == 204
    assert box.get(f"leads({lead})")["statuscode"] == 1


def test_opportunities_are_won_and_lost_by_actions_only(box: Box) -> None:
    deal = box.create("opportunities", {"name": "x", "estimatedvalue": 100})
    assert box.refused("PATCH", f"opportunities({deal})", {"statecode": 1})[0] == 400
    body = {"Status": 3, "OpportunityClose": {"subject": "w", "opportunityid@odata.bind": f"/opportunities({deal})"}}
    assert box.refused("POST", "LoseOpportunity", body)[:2] == (400, "0x80048408")
    long = {**body, "OpportunityClose": {**body["OpportunityClose"], "subject": "w" * 201}}  # type: ignore[dict-item]
    assert box.refused("POST", "WinOpportunity", long)[:2] == (400, "0x80044331")
    assert box.send("POST", "WinOpportunity", body).status_code == 204
    won = box.get(f"opportunities({deal})")
    assert (won["statecode"], won["statuscode"], won["actualvalue"]) == (1, 3, 100)
    assert box.refused("PATCH", f"opportunities({deal})", {"name": "y"})[0] == 400
    assert box.send("PATCH", f"opportunities({deal})", {"statecode": 0, "statuscode": 1}).status_code == 204


def test_bulk_messages_are_all_or_nothing(box: Box) -> None:
    good = {f"d{n}.example": {"subject": "x"} for n in range(20)}
    assert box.upsert_many("leads", "lead", good).status_code == 204
    bad = {**{k: {"subject": "y"} for k in good}, "e.example": {"subject": "x" * 301}}
    refused = box.upsert_many("leads", "lead", bad)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "0x80044331")
    rows = box.get("leads?$select=subject")["value"]
    assert [row["subject"] for row in rows] == ["x"] * 20
    assert box.send("PATCH", "leads(hnt_externalid='d0.example')", {"subject": "z"}).status_code == 204


def test_a_key_column_in_the_body_breaks_upsert_multiple_only_where_it_creates(box: Box) -> None:
    trap = {"a.example": {"subject": "x", "hnt_externalid": "a.example"}}
    refused = box.upsert_many("leads", "lead", trap)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "0x80040216")
    box.send("PATCH", A, {"subject": "x"})
    assert box.upsert_many("leads", "lead", trap).status_code == 204


def test_the_same_key_twice_in_one_message_rolls_it_back(box: Box) -> None:
    target = {"@odata.type": "Microsoft.Dynamics.CRM.lead", "@odata.id": A, "subject": "x"}
    path = "leads/Microsoft.Dynamics.CRM.UpsertMultiple"
    assert box.refused("POST", path, {"Targets": [target, target]})[:2] == (412, "0x80060892")
    assert box.control("GET", "/tables/lead/rows")["count"] == 0


def test_targets_need_their_type(box: Box) -> None:
    path = "leads/Microsoft.Dynamics.CRM.CreateMultiple"
    assert box.refused("POST", path, {"Targets": [{"subject": "x"}]})[:2] == (400, "0x80048d19")


@pytest.mark.parametrize("status", [412, 500])
def test_duplicates_are_looked_for_only_when_asked(box: Box, status: int) -> None:
    box.settings["duplicate_status"] = status
    body = {"lastname": "Kaya", "emailaddress1": "kaya@a.example"}
    box.create("contacts", body)
    box.create("contacts", body)
    detect = {"MSCRM__SuppressDuplicateDetection": "false"}
    assert box.refused("POST", "contacts", body, **detect)[:2] == (status, "0x80040333")
    box.control("PATCH", "/tables/contact", {"duplicate_detection": False})
    assert box.send("POST", "contacts", body, **detect).status_code == 204


def test_retrieve_duplicates_finds_rows_by_the_published_rule(box: Box) -> None:
    lead = box.create("leads", {"subject": "x", "emailaddress1": "k@a.example"})
    path = (
        "RetrieveDuplicates(BusinessEntity=@p1,MatchingEntityName=@p2,PagingInfo=@p3)?@p1={'@odata.type':"
        "'Microsoft.Dynamics.CRM.lead','emailaddress1':'K@A.example'}&@p2='%s'&@p3={'PageNumber':1,'Count':50}"
    )
    assert [row["leadid"] for row in box.get(path % "lead")["value"]] == [lead]
    assert box.refused("GET", path % "opportunity")[1] == "0x80048410"
    box.control("PATCH", "/tables/lead", {"duplicate_detection": False})
    assert box.refused("GET", path % "lead")[1] == "0x80048412"


def test_merge_moves_children_and_closes_the_subordinate(box: Box) -> None:
    winner, loser = box.create("accounts", {"name": "A"}), box.create("accounts", {"name": "A Ltd"})
    contact = box.create("contacts", {"lastname": "x", "parentcustomerid_account@odata.bind": f"/accounts({loser})"})
    kind = {"@odata.type": "Microsoft.Dynamics.CRM.account"}
    body = {
        "Target": {"accountid": winner, **kind},
        "Subordinate": {"accountid": loser, **kind},
        "UpdateContent": {"telephone1": "1", **kind},
        "PerformParentingChecks": False,
    }
    assert box.send("POST", "Merge", body).status_code == 204
    assert box.get(f"contacts({contact})")["_parentcustomerid_value"] == winner
    gone = box.get(f"accounts({loser})")
    assert (gone["_masterid_value"], gone["merged"], gone["statecode"]) == (winner, True, 1)
    assert box.get(f"accounts({winner})")["telephone1"] == "1"
    assert box.refused("POST", "Merge", body)[0] == 400


def test_qualifying_a_lead_makes_linked_rows_and_closes_it(box: Box) -> None:
    lead = box.create(
        "leads", {"subject": "S", "companyname": "Co", "lastname": "Kaya", "emailaddress1": "k@a.example"}
    )
    body = {"CreateAccount": True, "CreateContact": True, "CreateOpportunity": True, "Status": 3}
    path = f"leads({lead})/Microsoft.Dynamics.CRM.QualifyLead"
    made = {v["@odata.type"].rsplit(".")[-1]: v for v in box.send("POST", path, body).json()["value"]}
    account, contact = made["account"]["accountid"], made["contact"]["contactid"]
    deal = box.get(f"opportunities({made['opportunity']['opportunityid']})")
    assert deal["name"] == "S"
    assert (deal["_customerid_value"], deal["_originatingleadid_value"]) == (account, lead)
    assert box.get(f"accounts({account})")["_primarycontactid_value"] == contact
    assert box.get(f"contacts({contact})")["_parentcustomerid_value"] == account
    assert box.get(f"leads({lead})")["statecode"] == 1
    assert "closed" in box.refused("POST", path, body)[2]


def test_deleting_a_row_clears_the_lookups_to_it(box: Box) -> None:
    account = box.create("accounts", {"name": "A"})
    lead = box.create("leads", {"subject": "x", "parentaccountid@odata.bind": f"/accounts({account})"})
    assert box.send("DELETE", f"accounts({account})").status_code == 204
    assert box.get(f"leads({lead})")["_parentaccountid_value"] is None
    assert box.refused("GET", f"accounts({account})")[:2] == (404, "0x80040217")


def test_a_missing_privilege_or_a_secured_column_is_403(box: Box) -> None:
    box.settings["forbidden_columns"] = {"lead": ["revenue"]}
    status, _, message = box.refused("POST", "leads", {"subject": "x", "revenue": 1})
    assert status == 403
    assert "revenue" in message
    assert box.send("POST", "leads", {"subject": "x"}).status_code == 204
    box.settings["missing_privileges"] = ["prvWriteLead"]
    lead = box.get("leads?$select=subject")["value"][0]["leadid"]
    assert box.refused("PATCH", f"leads({lead})", {"subject": "y"})[:2] == (403, "0x80040220")


def test_impersonation_shows_who_really_acted(box: Box) -> None:
    user = box.get("systemusers?$filter=fullname eq 'Elif Aydın'")["value"][0]
    caller = {"CallerObjectId": user["azureactivedirectoryobjectid"]}
    made = box.send("POST", "accounts", {"name": "A"}, **caller).headers["OData-EntityId"]
    row = box.get(made)
    assert row["_createdby_value"] == row["_ownerid_value"] == user["systemuserid"]
    assert row["_modifiedonbehalfby_value"] == box.get("WhoAmI")["UserId"]


def test_a_token_opens_the_door_only_while_it_lives(box: Box) -> None:
    response = box.send("GET", "WhoAmI", Authorization="Bearer expired")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert box.send("GET", "WhoAmI", Authorization="").status_code == 401
