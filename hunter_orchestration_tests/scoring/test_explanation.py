"""Every point rests on records, and no answer to what is unknown leads outside what was told."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hunter_orchestration.scoring.engine import Inputs, score
from hunter_orchestration.scoring.explanation import evidenced, reach
from hunter_orchestration.scoring.rules import PROVIDERS
from hunter_orchestration_tests.scoring.leads import RULES

INPUTS = st.builds(
    Inputs,
    provider=st.sampled_from(PROVIDERS),
    mx=st.sampled_from([True, False, None]),
    spf=st.sampled_from([True, False, None]),
    dkim=st.sampled_from([True, False, None]),
    dmarc=st.sampled_from(["reject", "quarantine", "none", "absent", None]),
    spf_includes=st.just(0),
    tenant_known=st.booleans(),
    co_sell=st.booleans(),
)
ANSWERS = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(PROVIDERS),
        "mx": st.booleans(),
        "spf": st.booleans(),
        "dkim": st.booleans(),
        "dmarc": st.sampled_from(["reject", "quarantine", "none", "absent"]),
        "spf_includes": st.integers(0, 30),
    }
)


def entry(name: str, kind: str, *records: str, state: str = "found") -> dict[str, Any]:
    return {"name": name, "type": kind, "state": state, "records": list(records), "ttl": 300, "resolver": "192.0.2.53"}


FINDINGS: dict[str, Any] = {
    "domain": "firma.example",
    "provider_evidence": ["MX mx.firma.example"],
    "evidence": [
        entry("firma.example", "MX", "10 mx.firma.example"),
        entry("firma.example", "TXT", "v=spf1 mx -all", "site-verification=1"),
        entry("s1._domainkey.firma.example", "TXT", "v=DKIM1; p=AAAA"),
        entry("s2._domainkey.firma.example", "TXT", state="absent"),
        entry("s3._domainkey.firma.example", "TXT", state="unknown"),
        entry("_dmarc.firma.example", "TXT", "v=DMARC1; p=reject"),
        entry("mx.firma.example", "A", "192.0.2.1"),
    ],
}


def explained(inputs: Inputs, findings: dict[str, Any] | None = FINDINGS) -> dict[str, dict[str, Any]]:
    breakdown = [asdict(point) for point in score(inputs, RULES).breakdown]
    return {point["rule"]: point for point in evidenced(breakdown, findings, inputs, RULES)}


def names(point: dict[str, Any]) -> list[str]:
    return [one["name"] for one in point["evidence"]]


def test_each_point_comes_with_the_records_it_rests_on() -> None:
    told = explained(Inputs("Local", True, True, True, "reject", co_sell=True))
    assert names(told["provider"]) == ["firma.example"]
    assert told["provider"]["told_by"] == ["MX mx.firma.example"]
    assert told["spf"]["evidence"][0]["records"] == ["v=spf1 mx -all"]
    assert names(told["dkim"]) == ["s1._domainkey.firma.example"]
    assert names(told["dmarc"]) == ["_dmarc.firma.example"]
    assert told["open_co_sell"]["evidence"] == []
    assert all(point["could_change"] is None for point in told.values())


def test_what_is_not_there_rests_on_everything_that_was_asked() -> None:
    told = explained(Inputs("Local", True, False, False, "absent"))
    assert len(told["dkim"]["evidence"]) == 3
    assert told["spf"]["evidence"][0]["records"] == ["v=spf1 mx -all", "site-verification=1"]


def test_the_name_above_all_selectors_is_evidence_that_none_is_there() -> None:
    findings = {**FINDINGS, "evidence": [entry("_domainkey.firma.example", "TXT", state="absent")]}
    told = explained(Inputs("Local", True, True, False, "reject"), findings)
    assert names(told["dkim"]) == ["_domainkey.firma.example"]


def test_what_is_unknown_rests_on_what_did_not_answer_and_tells_what_it_could_change() -> None:
    told = explained(Inputs("Google", True, True, None, "reject"))
    assert names(told["dkim"]) == ["s3._domainkey.firma.example"]
    assert told["dkim"]["could_change"] == {"score": [65, 90], "categories": ["P2"]}


def test_an_unknown_mail_server_could_mean_no_mail_at_all() -> None:
    inputs = Inputs("Unknown", None, True, True, "reject")
    assert explained(inputs)["provider"]["could_change"]["score"] == [0, 90]
    assert reach(inputs, RULES)["unknown"] == ["provider", "mx"]
    assert "P6" in reach(inputs, RULES)["categories"]


def test_a_lead_without_a_scan_is_explained_without_evidence() -> None:
    assert all(point["evidence"] == [] for point in explained(Inputs("M365", None, None, None, None), None).values())


@settings(deadline=None, max_examples=400)
@given(inputs=INPUTS, answers=ANSWERS)
def test_no_answer_leads_outside_the_reach(inputs: Inputs, answers: dict[str, Any]) -> None:
    told = reach(inputs, RULES)
    if not answers["spf"]:
        answers = {**answers, "spf_includes": 0}  # A record that is not there includes nothing.
    open_names = {*told["unknown"], *({"spf_includes"} if "spf" in told["unknown"] else ())}
    outcome = score(replace(inputs, **{name: answers[name] for name in open_names}), RULES)
    assert told["score"][0] <= outcome.score <= told["score"][1]
    assert outcome.priority_category in told["categories"]


@settings(deadline=None, max_examples=120)
@given(inputs=INPUTS)
def test_a_complete_score_reaches_itself_alone_and_an_incomplete_one_says_what_is_open(inputs: Inputs) -> None:
    outcome = score(inputs, RULES)
    told = reach(inputs, RULES)
    if outcome.complete:
        assert told == {"score": [outcome.score] * 2, "categories": [outcome.priority_category], "unknown": []}
    points = evidenced([asdict(point) for point in outcome.breakdown], FINDINGS, inputs, RULES)
    assert sum(point["points"] for point in points) == outcome.score
    for point in points:
        if point["state"] == "unknown":
            assert point["could_change"]["score"][0] <= point["could_change"]["score"][1]
