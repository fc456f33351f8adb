"""Whatever is sent, the emulator answers as an organisation would: with a refusal, never with a crash."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hunter_orchestration.sandbox.clock import Clock
from hunter_orchestration.sandbox.dataverse import DataverseApp
from hunter_orchestration.sandbox.dataverse.wire import Request
from hunter_orchestration.sandbox.faults import Faults

PATHS = [
    "leads", "leads(hnt_externalid='a')", "leads(00000000-0000-0000-0000-000000000001)", "leads(a", "leads()",
    "leads/Microsoft.Dynamics.CRM.CreateMultiple", "leads/Microsoft.Dynamics.CRM.UpdateMultiple",
    "leads/Microsoft.Dynamics.CRM.UpsertMultiple", "leads(hnt_externalid='a')/subject", "Merge", "WinOpportunity",
    "leads(hnt_externalid='a')/Microsoft.Dynamics.CRM.QualifyLead", "leads(hnt_externalid='a')/parentaccountid/$ref",
    "accounts(hnt_externalid='a')/contact_customer_accounts/$ref", "EntityDefinitions(LogicalName='lead')/Attributes",
    "EntityDefinitions(LogicalName='lead')/Keys", "EntityDefinitions(LogicalName='lead')", "InsertOptionValue",
    "EntityDefinitions(LogicalName='lead')/Attributes(LogicalName='subject')", "ReactivateEntityKey", "$batch",
    "EntityDefinitions", "RetrieveDuplicates(BusinessEntity=@p1)", "RetrieveMetadataChanges(Query=@p1)", "WhoAmI", "",
]  # fmt: skip
NAMES = [
    "subject", "leadsourcecode", "revenue", "donotemail", "estimatedclosedate", "parentaccountid",
    "parentaccountid@odata.bind", "customerid_account@odata.bind", "hnt_externalid", "leadid", "statecode",
    "statuscode", "@odata.type", "@odata.id", "Targets", "Target", "Subordinate", "Status", "OpportunityClose",
    "value", "Attributes", "SchemaName", "KeyAttributes", "OptionSet", "Options", "MaxLength", "RequiredLevel",
    "DisplayName", "LocalizedLabels", "CreateAccount", "CreateContact", "CreateOpportunity",
    "opportunityid@odata.bind", "OpportunityCurrencyId", "EntityLogicalName", "AttributeLogicalName",
    "EntityKeyLogicalName", "Value", "UpdateContent",
]  # fmt: skip
TEXTS = ["", "x", "lead", "subject", "leads(hnt_externalid='a')", "/accounts(x)", "$1", "2026-11-24", "hnt_New", "#",
         "Microsoft.Dynamics.CRM.lead", "Microsoft.Dynamics.CRM.StringAttributeMetadata", "http://elsewhere.example/x",
         "Microsoft.Dynamics.CRM.PicklistAttributeMetadata", "😀"]  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**40), st.floats(allow_nan=False), st.sampled_from(TEXTS)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)
QUERIES = ["", "$select=subject", "$filter=subject eq", "$filter=((", "$filter=contains(subject,", "$orderby=a up",
           "$top=-1", "$expand=parentaccountid(", "$skiptoken=x", "$deltatoken=x", "$deltatoken=1!x", "@p1={", "@p1=[]",
           "@p1={}&@p2='lead'", "$count=true", "$filter=Microsoft.Dynamics.CRM.In(PropertyName='x'",
           "$filter='"]  # fmt: skip


@cache
def app() -> DataverseApp:
    """One organisation in this process, without a port."""
    made = DataverseApp(None, None, Clock(), Faults(), "http://127.0.0.1:1", prepared=True)
    for table in ("leads", "accounts"):
        made.api.answer(Request("PATCH", f"{table}(hnt_externalid='a')", "", {}, b"{}"))
    return made


@settings(max_examples=400, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE", "MERGE"]),
    path=st.sampled_from(PATHS),
    query=st.sampled_from(QUERIES),
    body=VALUES,
    prefer=st.sampled_from(["", "return=representation", "odata.track-changes", "odata.maxpagesize=x", ";;=,"]),
)
@example(method="POST", path="leads", query="", body=[], prefer="")
def test_any_request_gets_an_answer(method: str, path: str, query: str, body: Any, prefer: str) -> None:
    headers = {"content-type": 'multipart/mixed; boundary="b"', "prefer": prefer}
    answer = app().api.answer(Request(method, path, query, headers, orjson.dumps(body)))
    assert answer.status in {200, 201, 204, 400, 403, 404, 405, 412, 501}
    _, text = answer.encode()
    if answer.status >= 400:
        assert set(orjson.loads(text)["error"]) >= {"code", "message"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["leads", "$batch", "Merge"]))
def test_a_body_that_is_no_json_is_refused(body: bytes, path: str) -> None:
    boundary = {"content-type": 'multipart/mixed; boundary="b"'}
    marked = b"--b\r\n" + body + b"\r\n--b--\r\n" if path == "$batch" else b"\xff" + body
    assert app().api.answer(Request("POST", path, "", boundary, marked)).status == 400
