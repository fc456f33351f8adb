"""Writing referrals: patches, transitions, ETags, creation, expiry."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration_tests.sandbox.conftest import Caller


@pytest.fixture
def new(box: RunningSandbox) -> dict[str, Any]:
    """A fresh New referral."""
    return box.add_referral(kind="cosell_in_pending")


def test_accepting_a_referral_moves_it_and_its_etag(caller: Caller, new: dict[str, Any]) -> None:
    before = caller.get(f"/{new['id']}")
    etag = before.headers["ETag"]
    assert before.json()["eTag"] == etag
    answer = caller.patch(new["id"], ("/status", "Active"), ("/substatus", "Accepted"), If_Match=etag)
    assert (answer.status_code, answer.content) == (204, b"")
    after = caller.get(f"/{new['id']}").json()
    assert (after["status"], after["substatus"]) == ("Active", "Accepted")
    assert after["acceptedDateTime"]
    assert after["eTag"] != etag
    assert caller.patch(new["id"], ("/statusReason", "x"), If_Match=etag).status_code == 412


def test_prefer_representation_returns_the_referral(caller: Caller, new: dict[str, Any]) -> None:
    answer = caller.patch(new["id"], ("/details/dealValue", "10000"), Prefer="return=representation")
    assert answer.status_code == 200
    assert answer.json()["details"]["dealValue"] == 10000


@pytest.mark.parametrize(
    "operations",
    [
        [("/status", "Active")],
        [("/substatus", "Won")],
        [("/status", "Sleeping"), ("/substatus", "Accepted")],
        [("/status", "Closed"), ("/substatus", "Expired")],
        [("/id", "x")],
        [("/details/dealValue", "a lot")],
        [("/direction", "Outgoing")],
    ],
)
def test_a_bad_patch_changes_nothing(
    box: RunningSandbox, caller: Caller, new: dict[str, Any], operations: list[tuple[str, object]]
) -> None:
    before = box.referral(new["id"])
    answer = caller.patch(new["id"], *operations)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalidRequest"
    assert box.referral(new["id"]) == before


def test_a_closed_referral_is_never_reopened(caller: Caller, new: dict[str, Any]) -> None:
    assert caller.patch(new["id"], ("/status", "Closed"), ("/substatus", "Declined")).status_code == 204
    assert caller.patch(new["id"], ("/status", "Active"), ("/substatus", "Accepted")).status_code == 400
    assert caller.patch(new["id"], ("/substatus", "Won")).status_code == 400


def test_put_needs_a_fresh_etag_and_no_links(caller: Caller, new: dict[str, Any]) -> None:
    url = f"{caller.url}/{new['id']}"
    body = caller.get(f"/{new['id']}").json()
    assert caller.session.put(url, json=body, timeout=30).status_code == 400
    assert caller.session.put(url, json=body, headers={"If-Match": '"old"'}, timeout=30).status_code == 412
    assert caller.session.put(url, json=body, headers={"If-Match": body["eTag"]}, timeout=30).status_code == 400
    del body["links"]
    body["externalReferenceId"] = "CRM-1"
    answer = caller.session.put(url, json=body, headers={"If-Match": body["eTag"]}, timeout=30)
    assert answer.status_code == 200
    assert answer.json()["externalReferenceId"] == "CRM-1"


def test_a_created_deal_is_active_at_once_and_shares_an_engagement_with_microsofts(
    box: RunningSandbox, caller: Caller
) -> None:
    body: dict[str, Any] = {
        "name": "Deal",
        "type": "Shared",
        "qualification": "SalesQualified",
        "customerProfile": {"name": "Yeni Müşteri A.Ş.", "address": {"country": "TR"}, "team": []},
        "consent": {"ConsentToContact": True, "consentToShareReferralWithMicrosoftSellers": True},
        "details": {"dealValue": 5000, "currency": "TRY"},
        "target": [{"type": "SolutionProfile", "id": "SOL-10001-AAA"}],
    }
    mine = caller.session.post(caller.url, json=body, timeout=30)
    assert mine.status_code == 200
    assert (mine.json()["status"], mine.json()["substatus"]) == ("Active", "Accepted")
    assert mine.json()["consent"]["consentToContact"] is True
    engagement = mine.json()["engagementId"]
    target = {"target": [{"type": "BusinessProfileLocation", "id": "msft"}], "engagementId": engagement}
    caller.session.post(caller.url, json={**body, **target}, timeout=30)
    assert len(caller.get(filter=f"engagementId eq '{engagement}'").json()["value"]) == 2
    del body["consent"]
    assert caller.session.post(caller.url, json=body, timeout=30).status_code == 400


def test_the_user_role_may_not_write(box: RunningSandbox, user_caller: Caller) -> None:
    mail = "dunya.gezgin@hunter-partner.example"
    seen = box.add_referral(kind="cosell_in_pending", changes={"team": [{"email": mail}]})
    assert user_caller.get(f"/{seen['id']}").status_code == 200
    assert user_caller.patch(seen["id"], ("/statusReason", "x")).status_code == 403


def test_a_dropped_answer_still_commits(box: RunningSandbox, caller: Caller, new: dict[str, Any]) -> None:
    box.fault("partner_center", "drop_after_commit", method="PATCH")
    with pytest.raises(requests.ConnectionError):
        caller.patch(new["id"], ("/externalReferenceId", "CRM-77"))
    assert box.referral(new["id"])["externalReferenceId"] == "CRM-77"


def test_delete_is_not_allowed_and_unknown_ids_are_not_found(caller: Caller, new: dict[str, Any]) -> None:
    assert caller.session.delete(f"{caller.url}/{new['id']}", timeout=30).status_code == 405
    assert caller.get("/00000000-0000-4000-8000-000000000000").status_code == 404
    assert caller.get("/not-an-id").status_code == 404


@pytest.mark.parametrize("retry_after", [1, 120, 1_000_000_000, None, {"date": 30}, "soon"])
def test_throttling_comes_with_any_retry_after(box: RunningSandbox, caller: Caller, retry_after: object) -> None:
    box.fault("partner_center", "status", status=429, retry_after=retry_after)
    answer = caller.get()
    assert answer.status_code == 429
    if retry_after is None:
        assert "Retry-After" not in answer.headers
    elif isinstance(retry_after, dict):
        assert answer.headers["Retry-After"].endswith("GMT")
    else:
        assert answer.headers["Retry-After"] == str(retry_after)
    assert caller.get().status_code == 200


def test_faults_hit_only_what_they_name(box: RunningSandbox, caller: Caller, new: dict[str, Any]) -> None:
    box.fault("partner_center", "status", status=503, times=None, path=new["id"], after=1)
    assert caller.get(f"/{new['id']}").status_code == 200
    assert caller.get(f"/{new['id']}").status_code == 503
    assert caller.get().status_code == 200
    assert box.call("GET", "/faults")[0]["hits"] == 1
    assert box.counters()["partner_center"] == 3
