"""``$batch``: line ends, Content-IDs, change sets, and what comes back when a part fails."""

from __future__ import annotations

import pytest

from hunter_orchestration.sandbox.faults import Fault
from hunter_orchestration_tests.sandbox.dataverse_box import Box, change_set, part


@pytest.fixture
def box(dataverse: Box) -> Box:
    return dataverse


END = "--b--\n"
GOOD, BAD = {"subject": "fine"}, {"subject": "x" * 301}
GOING_ON = {"Prefer": "odata.continue-on-error"}


def lead(key: str) -> str:
    return f"leads(hnt_externalid='{key}')"


def count(box: Box) -> int:
    return int(box.control("GET", "/tables/lead/rows")["count"])


def test_without_continue_on_error_the_batch_stops_and_takes_the_failing_status(box: Box) -> None:
    body = part("PATCH", lead("a"), GOOD) + part("PATCH", lead("b"), BAD) + part("PATCH", lead("c"), GOOD)
    response = box.batch(body + END)
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("multipart/mixed")
    assert response.text.count("HTTP/1.1 ") == 2
    assert "REQ_ID: " in response.text
    assert count(box) == 1


def test_with_continue_on_error_each_part_has_its_own_status(box: Box) -> None:
    body = part("PATCH", lead("a"), GOOD) + part("PATCH", lead("b"), BAD) + part("GET", f"{lead('a')}?$select=subject")
    response = box.batch(body + END, **GOING_ON)
    assert response.status_code == 200
    statuses = [line.split()[1] for line in response.text.split("\r\n") if line.startswith("HTTP/1.1")]
    assert statuses == ["204", "400", "200"]
    assert f"OData-EntityId: {box.root}{lead('a')}" in response.text


def test_line_ends_are_crlf(box: Box) -> None:
    body = part("PATCH", lead("a"), GOOD) + END
    refused = box.batch_as_written(body)
    assert refused.status_code == 400
    assert refused.headers["Content-Type"].startswith("multipart/mixed")
    assert "HTTP/1.1 400" in refused.text
    assert "0x80048d19" in refused.text
    assert "Stream was not readable" in refused.text
    mixed = box.batch_as_written(body.replace("\n", "\r\n", 3))
    assert mixed.status_code == 400
    box.settings["require_crlf"] = False
    assert box.batch_as_written(body).status_code == 200


def test_change_set_parts_need_a_content_id(box: Box) -> None:
    body = change_set(part("POST", "leads", GOOD, "c")) + END
    refused = box.batch(body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "0x80060888")
    box.settings["require_content_id"] = False
    assert box.batch(body).status_code == 200


def test_a_change_set_is_atomic_and_fails_with_one_part(box: Box) -> None:
    inner = part("PATCH", lead("a"), GOOD, "c", 1) + part("PATCH", lead("b"), BAD, "c", 2)
    response = box.batch(change_set(inner) + part("PATCH", lead("c"), GOOD) + END, **GOING_ON)
    statuses = [line.split()[1] for line in response.text.split("\r\n") if line.startswith("HTTP/1.1")]
    assert statuses == ["400", "204"]
    assert "changesetresponse_" not in response.text
    assert count(box) == 1


def test_a_later_part_refers_to_an_earlier_one(box: Box) -> None:
    inner = (
        part("POST", "accounts", {"name": "A"}, "c", 1)
        + part("POST", "contacts", {"lastname": "x", "parentcustomerid_account@odata.bind": "$1"}, "c", 2)
        + part("PATCH", "$2", {"jobtitle": "y"}, "c", 3)
    )
    response = box.batch(change_set(inner) + END)
    assert response.status_code == 200
    assert "Content-ID: 3" in response.text
    contact = box.get("contacts?$select=jobtitle,_parentcustomerid_value")["value"][0]
    assert contact["jobtitle"] == "y"
    assert contact["_parentcustomerid_value"] == box.get("accounts?$select=name")["value"][0]["accountid"]


def test_a_reference_to_a_later_part_is_refused(box: Box) -> None:
    inner = part("POST", "contacts", {"lastname": "x", "parentcustomerid_account@odata.bind": "$2"}, "c", 1)
    response = box.batch(change_set(inner + part("POST", "accounts", {"name": "A"}, "c", 2)) + END)
    assert response.status_code == 400
    assert "Content-ID Reference: '$2' does not exist in the batch context." in response.text


def test_a_change_set_holds_no_get_and_a_batch_no_batch(box: Box) -> None:
    assert box.batch(change_set(part("GET", "leads", None, "c", 1)) + END).status_code == 400
    assert "can't hold a batch" in box.batch(part("POST", "$batch") + END, **GOING_ON).text


def test_a_batch_holds_at_most_a_thousand_requests(box: Box) -> None:
    one = part("PATCH", lead("a"), GOOD)
    assert box.batch(one * 1000 + END).status_code == 200
    refused = box.batch(one * 1001 + END)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "0x80060888")


def test_a_batch_that_breaks_off_is_refused_whole(box: Box) -> None:
    assert box.batch(part("PATCH", lead("a"), GOOD)).status_code == 400
    assert count(box) == 0


def test_conditions_and_preferences_stand_in_each_part(box: Box) -> None:
    text = part("PATCH", lead("a"), GOOD).replace("type=entry\n", "type=entry\nIf-Match: *\n")
    asked = part("PATCH", lead("b") + "?$select=leadid", GOOD).replace(
        "type=entry\n", "type=entry\nPrefer: return=representation\n"
    )
    response = box.batch(text + asked + END, **GOING_ON)
    statuses = [line.split()[1] for line in response.text.split("\r\n") if line.startswith("HTTP/1.1")]
    assert statuses == ["404", "201"]


def test_parts_can_be_lost_or_reordered_on_the_way_back(box: Box) -> None:
    body = "".join(part("PATCH", lead(k), GOOD) for k in "abc") + END
    box.running.faults.add(Fault("dataverse", "batch_part_missing", params={"index": 1}))
    assert box.batch(body).text.count("HTTP/1.1 204") == 2
    assert count(box) == 3
    box.running.faults.add(Fault("dataverse", "batch_parts_reversed"))
    text = box.batch(body).text
    assert text.index(lead("c")) < text.index(lead("a"))
    assert box.batch(body).text.count("HTTP/1.1 204") == 3
