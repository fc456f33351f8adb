"""The emulator answers the contract's request and response pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from hunter_orchestration.sandbox.dataverse.schema import AlternateKey, column_of
from hunter_orchestration.sandbox.dataverse.standalone import running
from hunter_orchestration_tests.sandbox.dataverse_box import Box

OWN = Path(__file__).with_name("dataverse_pairs.json")
CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "dataverse.examples.json"
HOST = "https://contoso.api.crm.dynamics.com"
LEAD = "00000000-0000-0000-0000-00000000a001"
SECOND = "00000000-0000-0000-0000-00000000a002"
ACCOUNT = "00000000-0000-0000-0000-00000000b001"
CONTACT = "00000000-0000-0000-0000-00000000c001"
OPPORTUNITY = "00000000-0000-0000-0000-00000000d001"
CURRENCY = "00000000-0000-0000-0000-00000000e001"
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Pair = dict[str, Any]


def pairs() -> list[Pair]:
    """Our own pairs, and the contract's where its file is at hand."""
    found: list[Pair] = orjson.loads(OWN.read_bytes())
    if CONTRACT.exists():
        found += [{**e, "name": f"contract-{e['name']}"} for e in orjson.loads(CONTRACT.read_bytes())["examples"]]
    return found


@pytest.fixture(scope="module")
def served() -> Iterator[Box]:
    with running() as box:
        yield Box(box)


@pytest.fixture
def box(served: Box) -> Box:
    """An organisation with the rows, the column and the key that the pairs speak of."""
    served.running.faults.clear("dataverse")
    app = served.app
    app.reset()
    put(served, "publisher", "d1", uniquename="dm", friendlyname="DM", customizationprefix="dm",
        customizationoptionvalueprefix=20000)  # fmt: skip
    publisher = next(r.id for r in app.org.data["publisher"].rows.values() if r.values["uniquename"] == "dm")
    put(served, "solution", "d2", uniquename="DomainMatch", friendlyname="DM", _publisherid_value=publisher)
    put(served, "systemuser", "d3", fullname="I", azureactivedirectoryobjectid="e39c5d16-675b-48d1-8e67-667427e9c084")
    put(served, "transactioncurrency", CURRENCY, currencyname="Lira", isocurrencycode="TRY")
    return served


def put(box: Box, table: str, row_id: str, **values: Any) -> None:
    """Store a row under an id of our choice."""
    if len(row_id) < 36:
        row_id = f"00000000-0000-0000-0000-0000000000{row_id}"
    with box.app.org.transaction():
        box.app.org.insert(box.app.org.tables[table], values, row_id)


def prepare(box: Box, name: str) -> None:
    """Bring about the state that a pair starts from."""
    name = name.removeprefix("contract-")
    org = box.app.org
    if name not in {"create_string_column"}:
        for table in ("lead", "account"):
            entry = {"name": "dm_externalid", "schema_name": "dm_ExternalId", "label": "External Id", "type": "String",
                     "length": 100, "custom": True}  # fmt: skip
            org.tables[table].add(column_of(table, entry))
    if name not in {"create_string_column", "create_alternate_key"}:
        key = AlternateKey("dm_ExternalKey", ("dm_externalid",), "External Id", "Pending", GUID_OF_KEY)
        org.tables["lead"].keys[key.schema_name] = key
        org.activate(org.tables["lead"], key)
    put(box, "account", ACCOUNT, name="Contoso Ltd", statecode=0)
    put(box, "contact", CONTACT, lastname="Orton", statecode=0)
    put(box, "opportunity", OPPORTUNITY, name="Deal", statecode=0, statuscode=1)
    pointer = {"_parentaccountid_value": ACCOUNT, "_parentaccountid_value#": "account"}
    if name in WITH_LEAD:
        values = {"subject": "Contoso: inbound", "companyname": "Contoso Ltd", "lastname": "Orton", "statecode": 0,
                  "statuscode": 1, "dm_externalid": "co-000123", **pointer}  # fmt: skip
        org.version = 536529
        put(box, "lead", LEAD, **values)
    if name in {"query_page_1", "delta_first", "delta_next"}:
        put(box, "lead", LEAD, subject="a", dm_externalid="k1", statecode=0)
        if name != "delta_first":
            put(box, "lead", OPPORTUNITY, subject="b", dm_externalid="k2", statecode=0)
    if name == "query_page_1":
        put(box, "lead", SECOND, subject="c", dm_externalid="k3", statecode=0)
    if name == "merge_leads":
        put(box, "lead", SECOND, subject="b", statecode=0)
    if name in {"upsert_by_key_updated", "upsert_create_only_exists"}:
        put(box, "lead", LEAD, subject="x", dm_externalid="co-000125", statecode=0)
    if name.startswith("duplicate_detected") or name == "retrieve_duplicates":
        put(box, "lead", LEAD, emailaddress1="monteorton@example.com", statecode=0)
        box.settings["duplicate_status"] = 500 if name.endswith("_500") else 412
    if name == "throttled_requests":
        box.settings["limit_requests"] = 0
    if name == "throttled_time":
        box.settings["limit_execution_ms"] = -1
    if name == "throttled_concurrency":
        box.settings["limit_concurrency"] = 0
    if name == "forbidden_privilege":
        box.settings["missing_privileges"] = ["prvCreateLead"]
    if name == "plugin_refused":
        box.settings["refuse_rows"] = [{"table": "account", "sub_code": "12345"}]


GUID_OF_KEY = "1dc7b1d2-6beb-ec11-bb3d-0022482ea769"
WITH_LEAD = {
    "retrieve_lead", "retrieve_not_modified", "retrieve_by_alternate_key", "update_lead", "update_stale_etag",
    "create_violates_alternate_key", "delete", "update_multiple", "qualify_lead", "disqualify_lead", "merge_leads",
    "property_put", "property_delete",
}  # fmt: skip
PLAYED_ELSEWHERE = {"token_client_credentials"}
"""Pairs that another service of the sandbox answers; its own tests hold it to them."""

LIMITS_SCALED = {
    "throttled_requests": "0x80072322",
    "throttled_time": "0x80072321",
    "throttled_concurrency": "0x80072326",
}


@pytest.mark.parametrize("pair", [p for p in pairs() if p["name"].removeprefix("contract-") not in PLAYED_ELSEWHERE],
                         ids=lambda p: p["name"])  # fmt: skip
def test_the_emulator_answers_as_the_contract_says(box: Box, pair: Pair) -> None:
    name = pair["name"].removeprefix("contract-")
    prepare(box, pair["name"])
    request, expected = pair["request"], pair["response"]
    url = request["url"].replace(HOST + "/api/data/v9.2/", box.root)
    headers = {k: v for k, v in request["headers"].items() if k != "Authorization"}
    body = request["body"]
    if name.startswith("batch_"):
        data = batch_body(box, name, body)
    elif body is None:
        data = None
    else:
        if name == "string_too_long":
            body = {"subject": "x" * 301}
        data = orjson.dumps(body).replace(HOST.encode(), box.app.base_url.encode())
    if name == "delta_next":
        first = box.get("leads?$select=subject,dm_externalid", Prefer="odata.track-changes")
        url = first["@odata.deltaLink"]
        box.send("PATCH", f"leads({LEAD})", {"subject": "a2"})
        box.send("DELETE", f"leads({OPPORTUNITY})")
    if name == "unauthorized":
        headers["Authorization"] = "Bearer expired"
    response = box.session.request(request["method"], url, data=data, headers=headers, timeout=20)
    assert response.status_code == expected["status"], response.text
    for header, value in expected["headers"].items():
        if header == "OData-Version" and response.status_code == 401:
            continue
        if name == "unauthorized" or header in {"Retry-After"}:
            assert header in response.headers
            continue
        if header == "Content-Type":
            if expected["body"] is not None:
                assert response.headers[header].split(";")[0] == value.split(";")[0]
            continue
        same(value.replace(HOST, box.app.base_url), response.headers.get(header, ""), header)
    wanted = expected["body"]
    if wanted is None:
        assert response.content == b""
    elif name in LIMITS_SCALED:
        assert response.json()["error"]["code"] == wanted["error"]["code"] == LIMITS_SCALED[name]
    elif name == "batch_bad_content_id":
        assert wanted in response.text
    elif isinstance(wanted, str):
        same_lines(wanted.replace(HOST, box.app.base_url), response.text)
    else:
        alike(orjson.loads(orjson.dumps(wanted).replace(HOST.encode(), box.app.base_url.encode())), response.json())


def batch_body(box: Box, name: str, body: str) -> bytes:
    if name == "batch_bad_content_id":
        text = (
            '--batch_80dd1615\nContent-Type: multipart/mixed; boundary="c"\n\n--c\nContent-Type: application/http\n'
            "Content-ID: 2\n\nPOST /api/data/v9.2/contacts HTTP/1.1\nContent-Type: application/json\n\n"
            '{"lastname":"x","parentcustomerid_account@odata.bind":"$1"}\n--c--\n--batch_80dd1615--\n'
        )
        return text.replace("\n", "\r\n").encode()
    return body.replace("too long …", "x" * 301).encode()


def same(wanted: str, found: str, where: str) -> None:
    """Equal but for GUIDs, versions, tokens and what the pair leaves open with an ellipsis."""
    blank = re.compile(GUID.pattern + r'|W/"\d+"|\d{6,}|pagingcookie=.*?(?=%22 istracking)|deltatoken=.*')
    pieces = [re.escape(piece) for piece in blank.sub("#", wanted.replace("%20", " ")).split("…")]
    text = blank.sub("#", found.replace("%20", " "))
    assert re.fullmatch(".*".join(pieces), text, re.DOTALL), f"{where}: {wanted!r} is not {found!r}"


def alike(wanted: Any, found: Any, where: str = "body") -> None:
    """Every member of the pair's body is in the answer, with the same value or of the same kind."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict), where
        for key, value in wanted.items():
            assert key in found, f"{where}.{key} is missing in {found}"
            alike(value, found[key], f"{where}.{key}")
    elif isinstance(wanted, list):
        assert isinstance(found, list)
        assert len(found) >= len(wanted), f"{where}: {found}"
        for number, item in enumerate(wanted):
            name = item.get("LogicalName") if isinstance(item, dict) else None
            other = next((f for f in found if f["LogicalName"] == name), None) if name else found[number]
            alike(item, other, f"{where}[{number}]")
    elif isinstance(wanted, str):
        assert isinstance(found, str), where
        same(wanted, found, where)
    else:
        assert wanted == found, f"{where}: {found!r} instead of {wanted!r}"


def same_lines(wanted: str, found: str) -> None:
    """A multipart answer: the same lines in the same order, boundaries and ids aside."""
    blank = re.compile(GUID.pattern + r"|(batchresponse|changesetresponse)_[0-9a-f-]+|REQ_ID: .*")
    left = [blank.sub("#", line) for line in wanted.split("\r\n") if line]
    right = [blank.sub("#", line) for line in found.split("\r\n") if line]
    missing = [line for line in left if line not in right]
    assert not missing, f"{missing} not in {right}"
    assert [line for line in right if line.startswith("HTTP/")] == [line for line in left if line.startswith("HTTP/")]
