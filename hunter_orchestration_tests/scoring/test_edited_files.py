"""Mistakes of people who edit the rules, the briefing or the price list: each is told with file, line and reason."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scoring import rules as rules_module
from hunter_orchestration.scoring.rules import read_rules
from hunter_orchestration.scoring.templates import read_sources

ROOM = Path(rules_module.__file__).parent


def edited(folder: Path, name: str, change: str, instead: str) -> tuple[Path, str]:
    """A copy of a shipped file with one change, and the text that it came from."""
    text = (ROOM / name).read_text(encoding="utf-8")
    assert text.count(change) >= 1
    path = folder / name
    path.write_text(text.replace(change, instead, 1), encoding="utf-8")
    return path, text


READERS: dict[str, Callable[[Path], object]] = {
    "rules.yaml": read_rules,
    "briefing.yaml": read_sources,
    "offers.yaml": lambda path: read_sources(None, path),
}


def told_of(path: Path) -> str:
    with pytest.raises(PermanentError) as refused:
        READERS[path.name](path)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "change", "instead", "reason"),
    [
        ("rules.yaml", "Google: 50", "Google: true", "points.provider.Google: a whole number is expected."),
        ("rules.yaml", "Google: 50", "Google: '50'", "points.provider.Google: a whole number is expected."),
        ("rules.yaml", "open_co_sell: 15", "open_co_sel: 15", "points.open_co_sel: no such name here."),
        ("rules.yaml", "    Zoho: 30", "    zoho: 30", "points.provider.zoho: should be 'M365', 'Google'"),
        ("rules.yaml", "at_least: 55", "at_least: 155", "at_least: should be less than or equal to 100."),
        ("rules.yaml", "providers: [M365]", "providers: M365", "segments.0.providers: a list is expected"),
        ("rules.yaml", "providers: [M365]", "providers: []", "segments.0.providers: the list is empty."),
        ("rules.yaml", "[M365]", "[Outlook]", "segments.0.providers.0: should be 'M365', 'Google'"),
        ("rules.yaml", "P5, commercial_segment: LOW", "P1, commercial_segment: LOW", "the category P1 is there twice."),
        (
            "rules.yaml",
            "LOW_INTENT, label",
            "NO_GO, label",
            "categories.5: the commercial segment NO_GO is there twice",
        ),
        ("rules.yaml", "act_within_hours: 48", "act_within_hours: true", "act_within_hours: a whole number is"),
        ("rules.yaml", "label: Low Intent / Long Nurturing", 'label: ""', "categories.4.label: the text is empty."),
        ("rules.yaml", "SPF found", "SPF {provider.__class__}", "reasons.spf_found: 'SPF {provider.__class__}'"),
        ("rules.yaml", "  no_mail:", "  no_post: { en: a, tr: b }\n  no_mail:", "reasons.no_post: there is no such"),
        ("rules.yaml", '"2026-11-01"', "2026-11-01", "version: text is expected, in quotation marks."),
        ("briefing.yaml", "commercial_segments: [NO_GO]", "commercial_segments: []", "the list is empty."),
        ("briefing.yaml", "{name} üzerinde", "{ad} üzerinde", "named_on: '{ad} üzerinde': {name} is to be there once"),
        (
            "briefing.yaml",
            "tr: Potansiyel }",
            'tr: "Potansiyel {score}" }',
            "headings.potential: {score} is not filled",
        ),
        ("briefing.yaml", "points: 45", "points: true", "potential.0.points: a whole number is expected."),
        ("briefing.yaml", "open_referral: false", "open_referral: perhaps", "true or false is expected."),
        ("briefing.yaml", "offer: licence_review", "offer: license_review", "does not have license_review; it has"),
        ("briefing.yaml", "risk_low: {", "risk_low: low #", "headings.risk_low: names with values are expected."),
        ("offers.yaml", "price: 22.00", "price: 22,00", "price: a number is expected, with a point before decimals."),
        ("offers.yaml", "    price: 22.00\n", "", "offers.business_premium.price: is missing."),
    ],
)
def test_a_mistake_is_told_with_file_line_and_reason(
    tmp_path: Path, name: str, change: str, instead: str, reason: str
) -> None:
    path, text = edited(tmp_path, name, change, instead)
    told = told_of(path)
    assert reason in told
    assert "list is empty" not in told.replace(reason, "")
    if instead:
        # Of two rows that say the same, the second is the one to mend.
        line = text[: text.index(change)].count("\n") + 1 + (instead == "NO_GO, label")
        assert f"{path}:{line}: " in told


@pytest.mark.parametrize("name", ["rules.yaml", "briefing.yaml"])
def test_a_row_below_one_that_always_holds_is_refused_for_it_would_never_be_said(tmp_path: Path, name: str) -> None:
    first, row = {
        "rules.yaml": ("segments:\n", "  - { segment: Skip }\n"),
        "briefing.yaml": ("opening:\n", '  - { en: "Hello", tr: "Merhaba" }\n'),
    }[name]
    path, text = edited(tmp_path, name, f"\n{first}", f"\n{first}{row}")
    line = text[: text.index(f"\n{first}")].count("\n") + 3
    place = first.strip().rstrip(":")
    assert told_of(path).startswith(f"{path}:{line}: {place}.0: a row without a condition always holds")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "1: the file is empty."),
        (b"# nothing yet\n", "1: the file is empty."),
        (b"- a\n- b\n", "1: names with values are expected."),
        (b"version: a\nlabel: \xfe\n", "2: not UTF-8: invalid start byte."),
    ],
)
def test_a_file_that_is_no_set_of_rules_is_told_in_one_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(content)
    assert f"{path}:{told}" in told_of(path)


def test_a_file_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (ROOM / "rules.yaml").read_bytes())
    assert read_rules(path).version == read_rules().version


def test_the_command_ends_with_status_1_and_the_place(tmp_path: Path) -> None:
    path, _ = edited(tmp_path, "rules.yaml", "open_co_sell: 15", "open_co_sell: many")
    run = [sys.executable, "-c", "from hunter_orchestration.cli import main; main()", "rules", "check", str(path)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{path}:24: points.open_co_sell: a whole number is expected." in done.stderr
