"""Starting and ending the sandbox, its control port, RDAP."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox

NAMES = ["authority", "partner_center", "dynamics", "dns", "rdap", "control", "tenant", "client_id", "client_secret"]


def _command(base: int, *more: str) -> list[str]:
    return [sys.executable, "-m", "hunter_orchestration.sandbox", "--port-base", str(base), "--companies", "20", *more]


def _base_of(box: RunningSandbox) -> int:
    return int(box.authority.rsplit(":", 1)[1])


def test_it_prints_its_addresses_as_one_line(box: RunningSandbox) -> None:
    base = _base_of(box)
    assert list(box.addresses) == NAMES
    assert box.dns == f"127.0.0.1:{base + 53}"
    assert box.control == f"http://127.0.0.1:{base + 80}"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_even_with_open_connections(number: signal.Signals) -> None:
    with running_sandbox(companies=20) as box:
        session = requests.Session()
        session.get(box.control + "/world", timeout=5)
        box.fault("rdap", "slow", seconds=30)
        with pytest.raises(requests.Timeout):
            session.get(box.rdap + "/help", timeout=0.2)
        assert box.process is not None
        box.process.send_signal(number)
        started = time.monotonic()
        assert box.process.wait(10) == 0
        assert time.monotonic() - started < 3


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0, 53, 80])
def test_a_port_in_use_is_named(box: RunningSandbox, offset: int) -> None:
    taken = _base_of(box) + 80 - offset
    done = subprocess.run(_command(taken), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "--port-base" in done.stderr
    named = re.search(r"port (\d+) ", done.stderr)
    assert named is not None
    # Another program may hold one of its other ports as well; the one named is its own.
    assert int(named[1]) in (taken, taken + 53, taken + 80)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_a_kept_world_goes_on_where_it_ended(tmp_path: Path) -> None:
    with running_sandbox(companies=20, state=tmp_path / "world") as box:
        added = box.add_referral(kind="qualified_new")
        refresh = box.refresh_token()
        count = len(box.referrals())
        payload = {key: value for key, value in box.referral(added["id"]).items() if key != "links"}
        old = box.referral(box.referrals()[0]["id"])["updatedDateTime"]
    with running_sandbox(companies=20, state=tmp_path / "world") as box:
        again = box.referral(added["id"])
        assert {key: value for key, value in again.items() if key != "links"} == payload
        assert len(box.referrals()) == count
        assert box.referral(box.referrals()[0]["id"])["updatedDateTime"] == old
        form = {
            "grant_type": "refresh_token",
            "client_id": box.client_id,
            "refresh_token": refresh,
            "scope": "https://api.partner.microsoft.com/.default",
        }
        answer = requests.post(f"{box.authority}/{box.tenant}/oauth2/v2.0/token", data=form, timeout=30)
        assert answer.status_code == 200


@pytest.mark.slow
def test_it_starts_at_the_time_it_is_told() -> None:
    when = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    with running_sandbox(companies=20, now=when) as box:
        assert timedelta(0) <= box.now() - when < timedelta(minutes=1)
        newest = max(fact["updatedDateTime"] for fact in box.referrals())
        assert newest < "2026-03-01T12:00:01"


def test_the_control_port_documents_itself_without_the_network(box: RunningSandbox) -> None:
    document = requests.get(box.control + "/openapi.json", timeout=30).json()
    page = requests.get(box.control + "/docs", timeout=30).text
    for path, operations in document["paths"].items():
        assert path in page
        for operation in operations.values():
            assert operation.get("description") or path.startswith("/dataverse"), path
    assert "http://" not in page.replace(box.control, "")
    assert "https://" not in page


def test_wrong_control_input_is_told(box: RunningSandbox) -> None:
    cases = [
        ("POST", "/faults", {"service": "moon", "kind": "status"}),
        ("POST", "/faults", {"service": "dns", "kind": "timeout", "colour": "red"}),
        ("PATCH", "/settings/partner_center", {"page_syze": 5}),
        ("POST", "/clock", {"set": "2026-01-01T00:00:00"}),
        ("POST", "/referrals", {"kind": "unheard_of"}),
        ("PUT", "/dns/x.example", {"records": {"A": ["not an address"]}}),
    ]
    for method, path, body in cases:
        assert requests.request(method, box.control + path, json=body, timeout=30).status_code == 422, path


def test_the_clock_can_be_set_frozen_and_released(box: RunningSandbox) -> None:
    box.freeze()
    assert box.now() == box.now()
    far = datetime(2100, 1, 1, tzinfo=UTC)
    box.set_clock(far)
    assert box.now() == far
    assert box.advance(-3600) == far - timedelta(hours=1)
    box.freeze(False)
    assert far - timedelta(hours=1) <= box.now() < far
    box.reset()
    assert box.now() < far - timedelta(days=1)


def test_an_idle_tick_costs_one_request(box: RunningSandbox) -> None:
    headers = {"Authorization": f"Bearer {box.access_token()}"}
    box.reset_counters()
    requests.get(f"{box.partner_center}/v1.0/engagements/referrals?$top=1", headers=headers, timeout=30)
    assert box.counters()["partner_center"] == 1
    assert box.counters(detail=True)["partner_center"] == {"GET /v1.0/engagements/referrals": 1}


def test_rdap_tells_registrar_and_dates_or_that_it_knows_nothing(box: RunningSandbox) -> None:
    known = unknown = 0
    for truth in box.truths()[:60]:
        expected = box.truth(truth["domain"])["registration"]
        answer = requests.get(f"{box.rdap}/domain/{truth['domain']}", timeout=30)
        assert answer.headers["Content-Type"] == "application/rdap+json"
        if expected is None:
            assert answer.status_code == 404
            unknown += 1
            continue
        body = answer.json()
        events = {event["eventAction"]: event["eventDate"] for event in body["events"]}
        assert events["registration"][:10] == expected["created"][:10]
        assert events["expiration"][:10] == expected["expires"][:10]
        assert body["entities"][0]["vcardArray"][1][1][3] == expected["registrar"]
        known += 1
    assert known > unknown > 0


def test_a_given_referral_is_served_as_given(box: RunningSandbox) -> None:
    document = {
        "status": "New",
        "substatus": "Pending",
        "type": "Brand new type",
        "customerProfile": None,
        "details": {"notes": "x" * 1_000_000, "dealValue": "12,5"},
        "direction": None,
        "name": "‮مرحبا 🎈\x00",
    }
    added = box.add_referral(document=document)
    served = box.referral(added["id"])
    assert {key: served[key] for key in document} == document
    assert json.dumps(served)


def test_html_pages_and_cut_connections_reach_other_services_too(box: RunningSandbox) -> None:
    box.fault("entra", "html", status=502)
    answer = requests.post(f"{box.authority}/{box.tenant}/oauth2/v2.0/token", data={}, timeout=30)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    box.fault("rdap", "reset")
    with pytest.raises(requests.ConnectionError):
        requests.get(box.rdap + "/help", timeout=30)
    box.fault("rdap", "truncated_gzip")
    cut = requests.get(box.rdap + "/help", timeout=30)
    with pytest.raises(requests.JSONDecodeError):
        cut.json()
