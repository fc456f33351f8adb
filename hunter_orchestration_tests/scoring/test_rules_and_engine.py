"""The score follows the contract, explains itself, and the rules file tells where it is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hunter_orchestration.scoring import rules as rules_module
from hunter_orchestration.scoring.engine import Inputs, score
from hunter_orchestration.scoring.rules import PROVIDERS, RulesError, read_rules, rules_in_force
from hunter_orchestration.scoring.what_if import InputsError, checked_inputs, compare, moves

RULES = read_rules()
SHIPPED = Path(rules_module.__file__).with_name("rules.yaml")
WORKED_CASES = Path(__file__).with_name("cases.json")

INPUTS = st.builds(
    Inputs,
    provider=st.sampled_from(PROVIDERS),
    mx=st.sampled_from([True, False, None]),
    spf=st.sampled_from([True, False, None]),
    dkim=st.sampled_from([True, False, None]),
    dmarc=st.sampled_from(["reject", "quarantine", "none", "absent", None]),
    spf_includes=st.integers(0, 30),
    tenant_known=st.booleans(),
    co_sell=st.booleans(),
)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (("M365", True, True, True, "quarantine", 3, True, True), (100, "Existing", "RENEWAL", "P4")),
        (("M365", True, False, False, "none", 0, True, False), (55, "Existing", "WEAK_PARTNER", "P3")),
        (("Google", True, True, True, "none", 2, False, True), (75, "Migration", "COMPETITIVE", "P2")),
        (("Local", True, True, True, "reject", 0, False, False), (50, "Cold", "GREENFIELD", "P1")),
        (("Hosting", True, True, True, "reject", 0, False, False), (60, "Migration", "GREENFIELD", "P1")),
        (("Hosting", True, False, False, "absent", 0, False, False), (0, "Skip", "NO_GO", "P6")),
        (("Zoho", True, True, True, "reject", 4, False, False), (65, "Migration", "COMPETITIVE", "P2")),
        (("Yandex", True, True, True, "absent", 0, False, False), (50, "Cold", "LOW_INTENT", "P5")),
        (("Unknown", False, False, False, "absent", 0, False, True), (0, "Skip", "NO_GO", "P6")),
        (("Unknown", False, False, False, "absent", 0, True, False), (55, "Existing", "WEAK_PARTNER", "P3")),
        (("Google", None, None, None, None, 0, False, False), (50, "Cold", "LOW_INTENT", "P5")),
        (("Local", True, False, False, "none", 0, False, False), (0, "Cold", "GREENFIELD", "P1")),
    ],
)
def test_worked_examples(inputs: tuple[object, ...], expected: tuple[object, ...]) -> None:
    outcome = score(Inputs(*inputs), RULES)  # type: ignore[arg-type]
    assert (outcome.score, outcome.segment, outcome.commercial_segment, outcome.priority_category) == expected


def test_every_worked_case_of_the_contract() -> None:
    cases = json.loads(WORKED_CASES.read_text(encoding="utf-8"))
    assert len(cases) > 200
    for case in cases:
        outcome = score(Inputs(**case["input"]), RULES)
        assert {name: getattr(outcome, name) for name in case["expected"]} == case["expected"], case["input"]


@given(INPUTS)
def test_the_points_add_up_and_every_lead_has_a_category(inputs: Inputs) -> None:
    outcome = score(inputs, RULES)
    assert sum(point.points for point in outcome.breakdown) == outcome.score
    assert 0 <= outcome.score <= 100
    assert outcome.priority_category in {"P1", "P2", "P3", "P4", "P5", "P6"}
    assert all(point.text["en"] and point.text["tr"] and "{" not in point.text["en"] for point in outcome.breakdown)


@given(INPUTS)
def test_unknown_costs_nothing_and_marks_the_score_incomplete(inputs: Inputs) -> None:
    outcome = score(inputs, RULES)
    unknown = [point for point in outcome.breakdown if point.state == "unknown"]
    assert all(point.points == 0 and point.could_be is not None for point in unknown)
    assert outcome.complete == (not unknown)
    asked = (inputs.mx, inputs.spf, inputs.dkim, inputs.dmarc)
    no_mail = inputs.mx is False and not inputs.tenant_known
    open_provider = inputs.provider == "Unknown" and not inputs.tenant_known
    assert outcome.complete == (no_mail or (None not in asked and not open_provider))


def _by_hand(inputs: Inputs) -> tuple[int, str, str, str]:
    """Score, segment, commercial segment and category as the contract words them, without the rules file."""
    worth = {"M365": 50, "Google": 50, "Yandex": 30, "Zoho": 30, "Local": 10, "Unknown": 0}
    if inputs.mx is False and not inputs.tenant_known:
        return 0, "Skip", "NO_GO", "P6"
    provider = "M365" if inputs.tenant_known else inputs.provider
    total = worth.get(provider, 20)
    total += {True: 10, False: -10, None: 0}[inputs.spf] + {True: 10, False: -15, None: 0}[inputs.dkim]
    total += {"reject": 20, "quarantine": 15, "none": -10, "absent": 0, None: 0}[inputs.dmarc]
    total -= 10 * (provider == "Hosting" and inputs.spf is False and inputs.dkim is False)
    total -= 5 * (inputs.spf is True and inputs.spf_includes > 3)
    total = min(100, max(0, total, 55 if inputs.tenant_known else 0) + 15 * inputs.co_sell)
    if provider == "M365":
        return total, "Existing", *(("RENEWAL", "P4") if total >= 70 else ("WEAK_PARTNER", "P3"))
    if total >= 60 and provider in ("Google", "Yandex", "Zoho", "Hosting", "Local"):
        own = provider in ("Hosting", "Local")
        return total, "Migration", *(("GREENFIELD", "P1") if own else ("COMPETITIVE", "P2"))
    if provider == "Local":
        return total, "Cold", "GREENFIELD", "P1"
    return (total, "Cold", "LOW_INTENT", "P5") if total >= 40 else (total, "Skip", "NO_GO", "P6")


def test_every_combination_of_inputs_scores_as_the_contract_words_it() -> None:
    answers = (True, False, None)
    policies = ("reject", "quarantine", "none", "absent", None)
    switches = (False, True)
    for combination in product(PROVIDERS, answers, answers, answers, policies, (0, 3, 4, 10), switches, switches):
        inputs = Inputs(*combination)  # type: ignore[arg-type]
        found = score(inputs, RULES)
        told = (found.score, found.segment, found.commercial_segment, found.priority_category)
        assert told == _by_hand(inputs), inputs


def test_an_unknown_or_missing_spf_record_has_no_includes_to_cost_anything() -> None:
    for spf, expected in ((True, 45), (None, 40), (False, 30)):
        assert score(Inputs("Zoho", True, spf, True, "absent", 7), RULES).score == expected
    stored = {"provider": "Zoho", "mx": True, "spf": True, "dkim": True, "dmarc": "absent", "spf_includes": 7}
    assert compare(stored, {"spf": None}, RULES)["then"]["score"] == 40


def test_an_unanswered_mx_lookup_is_told_with_what_it_could_cost() -> None:
    first = score(Inputs("Google", None, True, True, "reject"), RULES).breakdown[0]
    assert (first.rule, first.points, first.state, first.could_be) == ("mx", 0, "unknown", (-90, 0))
    with_tenant = score(Inputs("Google", None, True, True, "reject", tenant_known=True), RULES).breakdown[0]
    assert with_tenant.could_be == (0, 0)


@pytest.mark.parametrize(
    ("provider", "english", "turkish"),
    [
        ("Hosting", "Mail is with a hosting company", "E-posta bir barındırma firmasında"),
        ("Local", "Mail runs on a server of their own", "E-posta kendi sunucularında"),
        ("Other", "Mail is with another mail service", "E-posta başka bir e-posta hizmetinde"),
        ("Zoho", "Mail is with Zoho Mail", "E-posta Zoho Mail üzerinde"),
    ],
)
def test_a_provider_without_a_name_is_told_in_words(provider: str, english: str, turkish: str) -> None:
    assert score(Inputs(provider, True, True, True, "none"), RULES).breakdown[0].text == {"en": english, "tr": turkish}


def test_a_co_sell_that_comes_later_adds_its_points_once() -> None:
    before = Inputs("Google", True, True, True, "none")
    answer = compare(
        {"provider": "Google", "mx": True, "spf": True, "dkim": True, "dmarc": "none"}, {"co_sell": True}, RULES
    )
    assert answer["difference"] == 15
    assert answer["now"]["score"] == score(before, RULES).score


def test_what_would_move_a_lead_names_the_largest_step_first() -> None:
    found = moves(Inputs("Google", True, False, True, "absent"), RULES)
    assert [abs(move["difference"]) for move in found] == sorted((abs(m["difference"]) for m in found), reverse=True)
    assert {"spf": True} in [move["change"] for move in found]


@given(INPUTS)
def test_what_would_move_a_lead_is_what_the_engine_makes_of_it(inputs: Inputs) -> None:
    for move in moves(inputs, RULES):
        then = score(replace(inputs, **move["change"]), RULES)
        assert (move["score"], move["priority"]) == (then.score, then.priority_category)
        assert compare(inputs.stored(), move["change"], RULES)["difference"] == move["difference"]


def _told(inputs: Inputs) -> list[str]:
    return [move["text"]["en"] for move in moves(inputs, RULES)]


def test_nobody_is_told_to_take_protection_away() -> None:
    assert _told(Inputs("Yandex", True, True, True, "reject", tenant_known=True)) == ["If a co-sell referral is opened"]
    assert "If DMARC is set to reject" in _told(Inputs("Yandex", True, True, True, "quarantine"))


def test_what_is_unknown_turns_out_and_is_not_set_up() -> None:
    told = _told(Inputs("Google", True, None, False, None))
    assert {"If SPF turns out to be there", "If SPF turns out to be missing", "If DKIM is set up",
            "If DMARC turns out to reject", "If DMARC turns out to be p=none"} <= set(told)  # fmt: skip
    assert not {"If SPF is set up", "If DMARC is set to reject", "If DKIM turns out to be missing"} & set(told)


def test_fewer_includes_a_closed_co_sell_and_mail_where_there_is_none_move_a_lead() -> None:
    found = moves(Inputs("Google", True, True, True, "none", 6, co_sell=True), RULES)
    steps = [(move["change"], move["difference"]) for move in found]
    assert ({"co_sell": False}, -15) in steps
    assert ({"spf_includes": 3}, 5) in steps
    without_mail = moves(Inputs("Unknown", False, True, True, "absent"), RULES)
    assert [(move["text"]["en"], move["score"]) for move in without_mail] == [
        ("If a Microsoft tenant becomes known", 70),
        ("If mail moves to Microsoft 365", 70),
    ]


@pytest.mark.parametrize("values", [{}, {"provider": "Outlook"}, {"provider": "Zoho", "dmarc": "p=reject"},
                                    {"provider": "Zoho", "spf": "yes"}, {"provider": "Zoho", "spf_includes": -1},
                                    {"provider": "Zoho", "colour": 1}])  # fmt: skip
def test_wrong_inputs_are_refused_in_words(values: dict[str, object]) -> None:
    with pytest.raises(InputsError):
        checked_inputs(values)


def _broken(tmp_path: Path, change: str, instead: str) -> Path:
    text = SHIPPED.read_text(encoding="utf-8")
    assert change in text
    path = tmp_path / "rules.yaml"
    path.write_text(text.replace(change, instead, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "instead", "told"),
    [
        ("    Zoho: 30\n", "", "no points for Zoho"),
        ("open_co_sell: 15", "open_co_sell: many", "open_co_sell"),
        ("  - { segment: Skip }\n", "", "last row must hold"),
        ("segment: Existing, providers: [M365]", "segment: Old, providers: [M365]", "segments.0.segment"),
        ("SPF has {count} includes", "SPF has {number} includes", "placeholder"),
        ("points:\n", "points: [\n", "not YAML"),
    ],
)
def test_a_broken_rules_file_names_file_line_and_reason(tmp_path: Path, change: str, instead: str, told: str) -> None:
    path = _broken(tmp_path, change, instead)
    with pytest.raises(RulesError) as refused:
        read_rules(path)
    assert told in str(refused.value)
    assert f"{path}:" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "instead", "place", "told"),
    [
        (
            "open_co_sell: 15",
            "open_co_sell: many",
            "open_co_sell: many",
            r"points\.open_co_sell: a whole number is expected\.",
        ),
        ("  - { segment: Skip }\n", "", "segments:", "segments: the last row must hold"),
        ("    Zoho: 30\n", "", "points:", r"points: no points for Zoho\. What is in force"),
        ("  no_mail: {", "  no_post: {", "reasons:", "reasons: no words for no_mail"),
    ],
)
def test_the_line_of_a_mistake_is_right(tmp_path: Path, change: str, instead: str, place: str, told: str) -> None:
    path = _broken(tmp_path, change, instead)
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if text.strip().startswith(place))
    with pytest.raises(RulesError, match=rf"rules\.yaml:{line}: {told}"):
        read_rules(path)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(SHIPPED.read_text())
    first = rules_in_force(path)
    document = yaml.safe_load(path.read_text())
    document["points"]["open_co_sell"] = 16
    path.write_text(yaml.safe_dump(document, allow_unicode=True))
    assert rules_in_force(path).points.open_co_sell == 16
    assert rules_in_force(path).stamp != first.stamp


def test_the_command_scores_good_lines_around_bad_ones() -> None:
    lines = [
        b'\xef\xbb\xbf{"provider":"Google","mx":true,"spf":true,"dkim":true,"dmarc":"none"}',
        b'{"provider":1}',
        b"not json",
        b'{"provider":"Local","mx":true}',
        b"",
        b"[]",
        b"\xff\xfe",
        b"[" * 2000,
        b'{"provider":["Google"]}',
        b'{"provider":"google"}',
        b'{"provider":"Google","mx":0}',
        b'{"provider":"Google","mx":"false"}',
        b'{"provider":"Google","tenant_known":"no"}',
        b'{"provider":"Google","dmarc":{}}',
        b'{"provider":"Google","spf_includes":1e400}',
        b'{"provider":"Google","spf_includes":-1}',
        b'{"provider":"Google","spf_includes":true}',
        b'{"provider":"Google","domain":"firma.example"}',
        b'{"provider":null}',
        b'{"provider":"Zoho","mx":null,"spf_includes":null,"tenant_known":null,"co_sell":null}',
    ]
    ran = subprocess.run(
        [sys.executable, "-c", "from hunter_orchestration.cli import main; main()", "score", "--json"],
        input=b"\n".join(lines), capture_output=True, check=False,
    )  # fmt: skip
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(number, found["score"]) for number, found in enumerate(told) if "score" in found] == [
        (0, 60), (3, 10), (18, 30),
    ]  # fmt: skip
    wrong = [found["line"] for found in told if "error" in found]
    assert wrong == [2, 3, *range(6, 20)]
    assert all(f"line {number}: " in ran.stderr.decode() for number in wrong)
    assert ran.returncode == 1
