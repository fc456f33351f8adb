"""Dataverse inside the whole sandbox: Entra's tokens, the dispatcher's faults, the control port."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from hunter_orchestration.sandbox.running import RunningSandbox

API = "/api/data/v9.2/"


def token(box: RunningSandbox, scope: str) -> str:
    """An app-only token by client credentials."""
    form = {
        "grant_type": "client_credentials",
        "client_id": box.client_id,
        "client_secret": box.client_secret,
        "scope": scope,
    }
    answer = requests.post(f"{box.authority}/{box.tenant}/oauth2/v2.0/token", data=form, timeout=20)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def send(box: RunningSandbox, method: str, path: str, json: Any = None, **headers: str) -> requests.Response:
    headers.setdefault("Authorization", f"Bearer {token(box, box.dynamics + '/.default')}")
    return requests.request(method, box.dynamics + API + path, json=json, headers=headers, timeout=20)


def test_a_token_of_the_organisation_opens_the_door(box: RunningSandbox) -> None:
    answer = send(box, "GET", "WhoAmI")
    assert answer.status_code == 200
    assert answer.json()["OrganizationId"]


def test_a_missing_or_expired_token_does_not(box: RunningSandbox) -> None:
    assert send(box, "GET", "WhoAmI", Authorization="").status_code == 401
    old = f"Bearer {token(box, box.dynamics + '/.default')}"
    box.advance(7200)
    assert send(box, "GET", "WhoAmI", Authorization=old).status_code == 401
    box.advance(-7200)


def test_a_token_for_another_api_does_not(box: RunningSandbox) -> None:
    foreign = token(box, "https://api.partner.microsoft.com/.default")
    assert send(box, "GET", "WhoAmI", Authorization=f"Bearer {foreign}").status_code == 401


def test_an_answer_dropped_after_the_commit_leaves_the_row(box: RunningSandbox) -> None:
    box.call("POST", "/dataverse/prepare")
    box.fault("dataverse", "drop_after_commit", method="PATCH")
    with pytest.raises(requests.ConnectionError):
        send(box, "PATCH", "leads(hnt_externalid='lost.example')", {"subject": "committed"})
    found = box.call("GET", "/dataverse/tables/lead/rows", external_id="lost.example")
    assert found["rows"][0]["subject"] == "committed"
    assert send(box, "PATCH", "leads(hnt_externalid='lost.example')", {"subject": "again"}).status_code == 204
    assert box.call("GET", "/dataverse/tables/lead/rows", external_id="lost.example")["count"] == 1


def test_switches_are_set_and_cleared_over_the_control_port(box: RunningSandbox) -> None:
    box.configure("dataverse", limit_requests=0)
    refused = send(box, "GET", "WhoAmI")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "0x80072322"
    box.clear()
    assert send(box, "GET", "WhoAmI").status_code == 200


def test_some_companies_of_the_world_are_known_to_sales_already(box: RunningSandbox) -> None:
    accounts = send(box, "GET", "accounts?$select=name,websiteurl").json()["value"]
    domains = {truth["domain"] for truth in box.truths()}
    known = {a["websiteurl"].removeprefix("https://www.") for a in accounts}
    assert known
    assert known <= domains
    names = [a["name"] for a in accounts]
    assert len(names) > len(set(names))


def test_answers_are_dated_by_the_sandbox_clock(box: RunningSandbox) -> None:
    box.advance(86_400)
    dated = parsedate_to_datetime(send(box, "GET", "WhoAmI").headers["Date"])
    assert abs(dated - box.now()) < timedelta(seconds=60)
    box.advance(-86_400)
