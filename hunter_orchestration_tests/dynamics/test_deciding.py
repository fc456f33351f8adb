"""Pure decisions: which field is written, which stays, how values compare, what a key may hold."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunter_orchestration import dynamics
from hunter_orchestration.dynamics.client import KeyValueError, key_address
from hunter_orchestration.dynamics.countries import country_code, country_name
from hunter_orchestration.dynamics.fixes import WORDS
from hunter_orchestration.dynamics.mapping import FieldMapping, load_mapping
from hunter_orchestration.dynamics.plan import plan_create, plan_existing, still_ours
from hunter_orchestration.dynamics.records import priority_score, signals
from hunter_orchestration.dynamics.refusals import _FIXES, CrmRefusedError, Refusal, read_refusal
from hunter_orchestration.dynamics.search import _alike
from hunter_orchestration.dynamics.values import clean, clip, hash_of, same, utf16

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
LATE = EARLY + timedelta(days=1)


def field(rule: str) -> FieldMapping:
    return FieldMapping(source=["company.name"], rule=rule)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "ours", "acknowledged", "theirs", "writes"),
    [
        ("crm-wins-unless-empty", "new", {}, None, True),
        ("crm-wins-unless-empty", "new", {}, "typed", False),
        ("crm-wins-unless-empty", "new", {"f": "old"}, "old", True),
        ("crm-wins-unless-empty", "new", {"f": "old"}, "typed", False),
        ("crm-wins-unless-empty", None, {"f": "old"}, "old", False),
        ("crm-wins-unless-empty", "same", {}, "same", False),
        ("hunter-wins", "new", {}, "typed", True),
        ("hunter-wins", None, {"f": "old"}, "old", True),
        ("hunter-wins", None, {}, "typed", False),
        ("create-only", "new", {"f": "old"}, "old", False),
        ("create-only", "new", {}, None, False),
    ],
)
def test_the_rule_decides_per_field(
    rule: str, ours: Any, acknowledged: dict[str, Any], theirs: Any, writes: bool
) -> None:
    plan = plan_existing("account", {"f": field(rule)}, {"f": ours}, acknowledged, {"f": theirs})
    assert bool(plan.changes) is writes
    assert plan.operation == ("update" if writes else "unchanged")


@pytest.mark.parametrize(("changed", "modified", "writes"), [(LATE, EARLY, True), (EARLY, LATE, False)])
def test_newest_lets_the_later_change_win(changed: datetime, modified: datetime, writes: bool) -> None:
    plan = plan_existing("account", {"f": field("newest")}, {"f": "ours"}, {}, {"f": "theirs"}, changed_at=changed,
                         modified_at=modified)  # fmt: skip
    assert bool(plan.changes) is writes


@given(
    st.dictionaries(st.sampled_from("abc"), st.text(max_size=3)),
    st.dictionaries(st.sampled_from("abc"), st.text(max_size=3)),
)
def test_a_value_a_person_typed_is_never_planned_over(wanted: dict[str, str], observed: dict[str, str]) -> None:
    fields = {n: field("crm-wins-unless-empty") for n in "abc"}
    plan = plan_existing("lead", fields, wanted, {}, observed)
    assert all(same(observed.get(n), None) for n in plan.changes)


def test_an_amount_is_not_written_into_another_currency() -> None:
    fields = {
        "transactioncurrencyid": FieldMapping(source=["referral.currency"], transform="currency"),
        "estimatedvalue": FieldMapping(source=["referral.deal_value"], transform="money"),
    }
    wanted = {"transactioncurrencyid": "eur", "estimatedvalue": 40_000}
    written = {"transactioncurrencyid": "eur", "estimatedvalue": 38_000}
    plan = plan_existing("opportunity", fields, wanted, written, written)
    assert plan.changes == {"estimatedvalue": (38_000, 40_000)}
    for standing in (38_000, None):
        observed = {"transactioncurrencyid": "usd", "estimatedvalue": standing}
        plan = plan_existing("opportunity", fields, wanted, written, observed)
        assert plan.operation == "unchanged"
        assert plan.kept["estimatedvalue"] == (standing, 40_000)


def test_closed_rows_are_left_alone_and_say_why() -> None:
    plan = plan_existing("opportunity", {"f": field("hunter-wins")}, {"f": 1}, {}, {"f": 2}, statecode=1)
    assert (plan.operation, plan.changes, plan.reason) == ("blocked", {}, "closed_won")


def test_a_new_row_carries_what_is_known() -> None:
    assert plan_create({"a": 1, "b": None}).changes == {"a": (None, 1)}


def test_a_field_somebody_changed_is_theirs_from_then_on() -> None:
    assert still_ours({"a": 1, "b": 2}, {"a": 1, "b": 3}) == {"a": 1}


@pytest.mark.parametrize("value", ["a/b", "a<b", "a>b", "a*b", "a%b", "a&b", "a:b", "a\\b", "a?b", "a+b", "a\nb", ""])
def test_a_key_no_url_can_hold_is_refused_before_sending(value: str) -> None:
    with pytest.raises(KeyValueError):
        key_address("leads", "hnt_externalid", value)


def test_quotes_in_keys_are_doubled() -> None:
    assert key_address("leads", "hnt_externalid", "o'hara#1") == "leads(hnt_externalid='o''hara%231')"


@given(st.text(max_size=60), st.integers(1, 30))
def test_cut_text_fits_and_stays_whole(text: str, length: int) -> None:
    cut = clip(clean(text), length)
    assert utf16(cut) <= length
    cut.encode("utf-8")


def test_equal_means_the_same_to_the_crm() -> None:
    assert same(38000, 38000.0)
    assert same("a\nb", "a\r\nb")
    assert same("", None)
    assert not same("A", "a")
    assert hash_of({"a": 1, "b": None}) == hash_of({"a": 1.0})


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Refusal(500, "0x80040333", ""), "duplicate"),
        (Refusal(412, "0x80040333", ""), "duplicate"),
        (Refusal(412, "0x80060892", ""), "key_taken"),
        (Refusal(412, "", "A record with matching key values already exists."), "key_taken"),
        (Refusal(412, "", "The version of the existing record doesn't match the RowVersion property."), "stale"),
        (Refusal(412, "0x80060882", ""), "stale"),
        (Refusal(404, "", ""), "gone"),
        (Refusal(400, "0x80060891", ""), "gone"),
        (Refusal(403, "0x80072322", ""), "throttled"),
        (Refusal(503, "0x8005f103", ""), "throttled"),
        (Refusal(500, "0x80044150", ""), "passing"),
        (Refusal(501, "", ""), "refused"),
        (Refusal(400, "0x80040265", ""), "refused"),
    ],
)
def test_the_code_decides_never_the_status_alone(refusal: Refusal, kind: str) -> None:
    assert refusal.kind == kind


@pytest.mark.parametrize("body", [None, [], {"error": "no"}, {"error": {"code": "0x0"}}, "<html>"])
def test_any_body_makes_a_refusal(body: Any) -> None:
    assert read_refusal(400, body).status == 400


@pytest.mark.parametrize("code", [-2147220969, "-2147220969", "2147746327", "0x80040217", " 0X80040217 "])
def test_a_code_in_decimal_is_the_one_in_hexadecimal(code: object) -> None:
    refusal = read_refusal(400, {"error": {"code": code, "message": None}})
    assert (refusal.code, refusal.kind, refusal.message) == ("0x80040217", "gone", "HTTP status 400.")


def test_what_the_crm_quotes_is_whole_in_the_ledger_and_masked_in_the_error() -> None:
    words = "Plug-in: zeynep.karaca@acme.example, +90 532 555 0101, is on the list."
    refusal = read_refusal(400, {"error": {"code": "0x80040265", "message": words}})
    assert refusal.message == words
    told = (
        "Dynamics refused the request (0x80040265): Plug-in: z…@acme.example, …, is on the list. "
        "A plug-in or rule in Dynamics refused it. Fill in what its message names."
    )
    assert str(CrmRefusedError(refusal)) == str(pickle.loads(pickle.dumps(CrmRefusedError(refusal)))) == told


@pytest.mark.parametrize(
    ("rule", "ours", "theirs", "alike"),
    [
        ("name_and_country", "Şişecam İnşaat A.Ş.", "SISECAM INSAAT A.S. ", True),
        ("name_and_country", "Işık", "IŞIK", True),
        ("name_and_country", "Işık Gıda", "Işık", False),
        ("email", "info@firma.example", "Info@FIRMA.example ", True),
        ("email", "isik@firma.example", "ışık@firma.example", False),
        ("website", "https://firma.example", "HTTPS://Firma.Example", True),
    ],
)
def test_what_the_organisation_finds_equal_is_alike(rule: str, ours: str, theirs: str, alike: bool) -> None:
    assert (_alike(rule, ours) == _alike(rule, theirs)) is alike


def test_priorities_sort_as_people_call() -> None:
    assert priority_score("P1", 0) > priority_score("P2", 99)
    assert priority_score("P2", 80) > priority_score("P2", 70)


def test_signals_are_the_points_of_the_score() -> None:
    breakdown = [
        {"points": 50, "text": {"en": "Mail is with Google", "tr": "E-posta Google'da"}},
        {"points": -15, "text": {"en": "No DKIM", "tr": "DKIM yok"}},
    ]
    assert signals(breakdown, "en") == "+50 Mail is with Google\n-15 No DKIM"
    assert signals(breakdown, "tr") == "+50 E-posta Google'da\n-15 DKIM yok"
    assert signals(None, "en") is None


def test_countries_are_known_by_code_and_by_the_names_people_write() -> None:
    assert country_name("tr") == "Türkiye"
    assert country_code("Turkey") == country_code("TÜRKİYE") == country_code("tr") == "TR"
    assert country_code("Atlantis") is None


def test_the_score_decides_the_stage() -> None:
    mapping = load_mapping(None).mapping
    stages = [mapping.stage_for(s) for s in (0, 39, 40, 59, 60, 79, 80, 100)]
    assert [s.stage if s else None for s in stages] == [None, None, "Qualify", "Qualify", "Develop", "Develop",
                                                        "Propose", "Propose"]  # fmt: skip


def test_every_fix_that_the_ledger_names_has_plain_words() -> None:
    """Read from the source: a new one without words would be shown as its key."""
    found: set[str] = set(_FIXES.values())
    for path in Path(dynamics.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        found.update(re.findall(r'\bfix(?:"\])?"?(?:=|: )"([a-z_]+)"', text))
        found.update(re.findall(r'FieldError\(\s*\w+, "([a-z_]+)"', text))
    assert len(found) > 12
    assert found - WORDS.keys() == set()
    assert all(words.endswith(".") for words in WORDS.values())
