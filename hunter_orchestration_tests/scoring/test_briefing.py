"""The briefing says what is known, in both languages, with a price, a sum and a day; and its files tell where they
are wrong."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunter_orchestration.scoring import templates as templates_module
from hunter_orchestration.scoring.briefing import BriefingError, briefing
from hunter_orchestration.scoring.deadlines import said_amount, said_date, said_span, within
from hunter_orchestration.scoring.rules import PROVIDERS
from hunter_orchestration.scoring.situation import _employees
from hunter_orchestration.scoring.templates import TemplatesError, read_sources, sources_in_force
from hunter_orchestration.settings import load_settings
from hunter_orchestration_tests.scoring.leads import GUARDED, TUESDAY, UNANSWERED, company_row, facts_of, scan_row

SHIPPED = Path(templates_module.__file__).with_name("briefing.yaml")
OFFERS = Path(templates_module.__file__).with_name("offers.yaml")
ABSENT_WORDS = {
    "en": ("no SPF", "No DKIM", "no DMARC", "no mail"),
    "tr": ("SPF kaydı yok", "anahtarı bulunamadı", "DMARC kaydı yok", "e-posta almıyor"),
}


def lead(**scan: Any) -> dict[str, Any]:
    return facts_of(company_row("firma.example"), scan_row("firma.example", **scan))


def said(facts: dict[str, Any], lang: Any = "en", **more: Any) -> dict[str, Any]:
    return briefing(facts, lang, load_settings(), **{"now": TUESDAY, **more})


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in value.values() for text in texts(part)]
    return [text for part in value for text in texts(part)] if isinstance(value, list) else []


scans = st.builds(
    scan_row,
    domain=st.just("firma.example"),
    provider=st.sampled_from(PROVIDERS),
    gateway=st.sampled_from([None, "Mimecast"]),
    hoster=st.sampled_from([None, "Natro"]),
    mx_state=st.sampled_from(["found", "absent", "null", "nxdomain", "unknown"]),
    spf_state=st.sampled_from(
        ["valid", "none", "multiple", "syntax", "too_many_lookups", "include_missing", "unknown"]
    ),
    spf_all=st.sampled_from([None, "-all", "~all", "+all"]),
    spf_includes=st.sampled_from([None, 0, 3, 9]),
    dkim_found=st.sampled_from([True, False, None]),
    dmarc_state=st.sampled_from(["valid", "none", "malformed", "multiple", "bad_policy", "unknown"]),
    dmarc_policy=st.sampled_from([None, "reject", "quarantine", "none"]),
    findings=st.fixed_dictionaries(
        {
            "service": st.sampled_from([None, "Mail.ru"]),
            "dmarc": st.fixed_dictionaries({"pct": st.sampled_from([100, 30])}),
        }
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    scan=scans,
    tenant=st.booleans(),
    co_sell=st.booleans(),
    deal=st.sampled_from([None, 1250.5]),
    referred=st.booleans(),
    name=st.sampled_from([None, "Çağrı"]),
)
def test_every_lead_gets_a_whole_briefing_whose_potential_adds_up(
    scan: dict[str, Any], tenant: bool, co_sell: bool, deal: float | None, referred: bool, name: str | None
) -> None:
    company = company_row("firma.example", tenant_id="known" if tenant else None, has_open_co_sell=co_sell)
    facts = facts_of(company, scan)
    facts["lead"] |= {"deal_value": deal, "currency": "TRY"}
    facts["contacts"] = [{"first_name": name, "last_name": None}]
    facts["referrals"] = [{"is_open": True, "status": "New", "expires_at": TUESDAY + timedelta(days=3)}] * referred
    facts["scan_changes"] = [{"kind": "dmarc", "old": None, "new": "reject", "at": TUESDAY - timedelta(days=2)}]
    for lang in ("tr", "en"):
        told = said(facts, lang)
        assert sum(part["points"] for part in told["potential"]["parts"]) == told["potential"]["value"]
        assert 0 <= told["potential"]["value"] <= 100
        assert told["security"]["risk"] in ("low", "medium", "high")
        for key in ("opening", "why_segment", "why_provider", "urgency"):
            assert told[key]
        assert told["script"]
        assert 1 <= len(told["questions"]) <= 6
        assert told["offer"]["name"]
        assert not [text for text in texts(told) if re.search(r"[{}]|None|  ", text)]
        if told["next_step"]["by"]:
            assert date.fromisoformat(told["next_step"]["by"]).weekday() < 5


@pytest.mark.parametrize("lang", ["tr", "en"])
def test_what_is_unknown_is_said_to_be_unknown_never_absent(lang: str) -> None:
    told = said(lead(**UNANSWERED), lang)
    everything = " ".join(texts(told))
    assert not [word for word in ABSENT_WORDS[lang] if word in everything]
    assert told["security"]["summary"].count("unknown" if lang == "en" else "bilinmiyor") == 3
    assert told["security"]["risk"] == "medium"
    assert not told["complete"]


def test_a_lead_without_a_scan_row_is_all_unknown() -> None:
    facts = {**lead(), "scan": None}
    assert said(facts)["security"]["summary"].count("unknown") == 3


@pytest.mark.parametrize("lang", ["tr", "en"])
def test_what_is_absent_is_said_to_be_absent(lang: str) -> None:
    told = said(lead(), lang)
    assert all(word in told["security"]["summary"] for word in ABSENT_WORDS[lang][:3])
    assert told["security"]["risk"] == "high"


@pytest.mark.parametrize(
    ("scan", "risk"),
    [
        (GUARDED, "low"),
        ({**GUARDED, "dmarc_policy": "none"}, "medium"),
        ({**GUARDED, "spf_all": "+all"}, "high"),
        ({**GUARDED, "dkim_found": None}, "medium"),
        ({**GUARDED, "findings": {"dmarc": {"pct": 20}}}, "medium"),
        ({"spf_state": "valid", "dkim_found": True}, "medium"),
        ({"spf_state": "multiple"}, "high"),
    ],
)
def test_the_risk_follows_from_what_was_found(scan: dict[str, Any], risk: str) -> None:
    assert said(lead(**scan))["security"]["risk"] == risk


def test_a_partial_policy_says_its_share() -> None:
    told = said(lead(**{**GUARDED, "findings": {"dmarc": {"pct": 20}}}))
    assert "only 20% of the mail" in told["security"]["summary"]


def test_turkish_names_carry_their_own_suffix() -> None:
    google = said(lead(provider="Google", **GUARDED), "tr")
    assert "Google Workspace'te" in google["opening"]
    assert "Yandex 360'ta" in said(lead(provider="Yandex", **GUARDED), "tr")["script"][2]
    assert "Natro üzerinde" in said(lead(provider="Hosting", hoster="Natro", **GUARDED), "tr")["opening"]


def test_the_call_is_due_in_working_time_from_when_the_category_was_given() -> None:
    assert said(lead())["next_step"]["by"] == "2026-11-26"
    friday = datetime(2026, 11, 27, 15, tzinfo=UTC)
    facts = lead()
    facts["score"]["priority_since"] = friday
    assert said(facts, now=friday)["next_step"]["by"] == "2026-12-01"
    assert said(facts, now=friday)["urgency"] == "Act within 48 hours, weekends not counted."


def test_an_overdue_call_is_for_the_next_working_day_and_says_so() -> None:
    saturday = datetime(2026, 12, 5, 10, tzinfo=UTC)
    told = said(lead(), now=saturday)
    assert told["next_step"]["by"] == "2026-12-07"
    assert told["urgency"] == "Overdue: the first call was due by Thursday 26 November 2026."


def test_a_referral_that_expires_on_a_sunday_is_for_the_friday_before() -> None:
    facts = lead(provider="M365", **GUARDED)
    facts["referrals"] = [{"is_open": True, "status": "New", "expires_at": datetime(2026, 11, 29, 9, tzinfo=UTC)}]
    told = said(facts, "tr")
    assert told["next_step"]["by"] == "2026-11-27"
    assert "29 Kasım 2026 Pazar" in told["urgency"]


def test_a_renewal_is_asked_for_every_two_weeks_and_is_never_overdue() -> None:
    renewal = lead(provider="M365", **GUARDED)
    for now, by in ((24, "2026-12-08"), (24 + 14, "2026-12-08"), (24 + 15, "2026-12-22")):
        told = said(renewal, now=datetime(2026, 11, 1, 9, tzinfo=UTC) + timedelta(days=now - 1))
        assert told["next_step"]["by"] == by
        assert told["urgency"] == "Not urgent: stay in touch until the renewal."


def test_a_turn_on_a_weekend_is_put_off_to_monday() -> None:
    saturday = datetime(2026, 11, 28, 9, tzinfo=UTC)
    renewal = lead(provider="M365", **GUARDED)
    renewal["score"]["priority_since"] = saturday
    assert said(renewal, now=saturday)["next_step"]["by"] == "2026-12-14"


@pytest.mark.parametrize("lang", ["tr", "en"])
def test_who_did_not_agree_to_be_contacted_is_not_called(lang: str) -> None:
    facts = lead()
    refusing = {"first_name": "Deniz", "last_name": "Uçar", "consent": {"contact": False}}
    facts["contacts"] = [refusing]
    told = said(facts, lang)
    assert ("Do not call" if lang == "en" else "Aramayın") in told["opening"]
    assert ("turns to you" if lang == "en" else "bekleyin") in told["next_step"]["text"]
    assert told["next_step"]["by"] == "2026-12-24"
    assert not [text for text in texts(told) if "Deniz" in text or "48" in text]
    facts["contacts"] = [refusing, {"first_name": "Ece", "last_name": "Su", "consent": None}]
    told = said(facts, lang)
    assert "Ece Su" in told["script"][0]
    assert told["next_step"]["by"] == "2026-11-26"
    assert "Deniz" not in " ".join(texts(told))


def test_nothing_is_due_for_what_is_archived() -> None:
    told = said(lead(provider="Local", mx_state="nxdomain", spf_state="none", dkim_found=False, dmarc_state="none"))
    assert "Archive" in told["next_step"]["text"]
    assert told["next_step"]["by"] is None


def test_a_tenant_with_mail_elsewhere_is_told_both() -> None:
    facts = facts_of(company_row("firma.example", tenant_id="known"), scan_row("firma.example", provider="Google"))
    told = said(facts)
    assert (told["category"], told["offer"]["key"]) == ("P3", "business_standard")
    assert "Google Workspace" in told["why_provider"]
    assert "paying twice" in told["opening"]


def test_names_of_others_are_never_read_as_placeholders() -> None:
    facts = lead()
    facts["lead"]["name"] = "{score} {0.__class__} %s\nA.Ş."
    assert "{score} {0.__class__} %s A.Ş." in said(facts)["script"][0]


def test_there_is_no_briefing_without_a_score() -> None:
    with pytest.raises(BriefingError, match="without a score"):
        said({**lead(), "score": None})


def test_a_template_and_a_price_of_ones_own_are_taken_at_once(tmp_path: Path) -> None:
    own, prices = tmp_path / "own.yaml", tmp_path / "prices.yaml"
    text = SHIPPED.read_text(encoding="utf-8")
    shipped = 'en: "Act within {window}."'
    own.write_text(text.replace(shipped, 'en: "Within {window}!"'), encoding="utf-8")
    prices.write_text(OFFERS.read_text(encoding="utf-8").replace("price: 22.00", "price: 19.90"), encoding="utf-8")
    mine = load_settings(briefing_file=own, offers_file=prices)
    told = briefing(lead(), "en", mine, now=TUESDAY)
    assert (told["urgency"], told["offer"]["price"]) == ("Within 48 hours, weekends not counted!", 19.9)
    own.write_text(text.replace(shipped, 'en: "In {window}."'), encoding="utf-8")
    os.utime(own, ns=(1, 1))
    assert briefing(lead(), "en", mine, now=TUESDAY)["urgency"] == "In 48 hours, weekends not counted."


@pytest.mark.parametrize(
    ("change", "instead", "told"),
    [
        ("süresi: {window}", "süresi: {sure}", "no such placeholder: {sure}"),
        ("contact: true, en: \"Hello", "co_sell: true, en: \"Hello", "only filled in where the row asks for contact"),
        ("{company} at present", "{company.__class__} at present", "a plain name in braces"),
        ("risk: low }", "risk: tiny }", "risk"),
        ("offer: licence_review", "offer: nothing_such", "nothing_such"),
        ("most_questions: 6", "most_questions: 6\nmost_questions: 7", "most_questions is there twice"),
        ("dmarc: [reject, quarantine], risk: medium", "dmarc: [refuse], risk: medium", "security.risk.3.dmarc.0"),
        ("    - { risk: medium }\n", "", "security.risk: the last row must hold without a condition"),
    ],
)  # fmt: skip
def test_a_broken_template_names_file_and_reason(tmp_path: Path, change: str, instead: str, told: str) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    assert change in text
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace(change, instead, 1), encoding="utf-8")
    with pytest.raises(TemplatesError) as caught:
        read_sources(broken)
    assert told in str(caught.value)
    assert str(broken) in str(caught.value)


def test_the_line_of_a_mistake_in_the_template_is_right(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    line = next(number for number, row in enumerate(text.splitlines(), start=1) if "spf: [open], risk: high" in row)
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace("spf: [open], risk: high", "spf: [opened], risk: high"), encoding="utf-8")
    with pytest.raises(TemplatesError, match=rf"broken\.yaml:{line}: "):
        read_sources(broken)


def test_a_missing_file_is_told_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(TemplatesError, match="HUNTER_OFFERS_FILE"):
        sources_in_force(None, tmp_path / "gone.yaml")


@given(minutes=st.integers(0, 4 * 366 * 24 * 60), hours=st.integers(1, 500))
def test_a_deadline_is_on_a_working_day_and_counts_only_working_hours(minutes: int, hours: int) -> None:
    start = TUESDAY + timedelta(minutes=minutes)
    end = within(start, hours)
    assert end.weekday() < 5
    assert end >= start
    worked = timedelta()
    at = start
    while at < end:
        following = min(end, at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))
        worked += following - at if at.weekday() < 5 else timedelta()
        at = following
    assert abs(worked - timedelta(hours=hours)) <= timedelta(microseconds=1)


def test_dates_amounts_and_spans_are_written_as_each_language_does() -> None:
    assert said_date(date(2026, 2, 6), "tr") == "6 Şubat 2026 Cuma"
    assert said_date(date(2026, 2, 6), "en") == "Friday 6 February 2026"
    assert said_amount(Decimal("1250.5"), "TRY", "tr") == "1.250,50 TRY"
    assert said_amount(Decimal("1250"), "TRY", "en") == "1,250 TRY"
    assert (said_span(48, "tr"), said_span(72, "en"), said_span(72, "tr")) == ("48 saat", "3 working days", "3 iş günü")


@pytest.mark.parametrize(
    ("size", "least"),
    [
        ("251to1000employees", 251),
        ("Morethan500employees", 501),
        ("1to9employees", 1),
        ("1.200", 1200),
        ("big", None),
        ("", None),
        (None, None),
    ],
)
def test_the_least_number_of_employees_is_read_from_a_stated_size(size: str | None, least: int | None) -> None:
    assert _employees(size) == least


@pytest.mark.parametrize(
    ("kind", "old", "new", "english", "turkish"),
    [
        ("dmarc", "absent", "none", "DMARC, from no record to watches only (p=none).",
         "DMARC; önce: kayıt yok, şimdi: yalnızca izleme (p=none)."),
        ("spf", "none", "valid -all", "SPF, from no record to valid (-all).",
         "SPF; önce: kayıt yok, şimdi: geçerli (-all)."),
        ("provider", "Local", "M365", "mail provider, from a server of their own to Microsoft 365.",
         "e-posta sağlayıcısı; önce: kendi sunucusu, şimdi: Microsoft 365."),
        ("gateway", None, "Mimecast", "mail gateway, from none to Mimecast.",
         "e-posta ağ geçidi; önce: yok, şimdi: Mimecast."),
    ],
)  # fmt: skip
def test_what_changed_is_told_in_words(kind: str, old: str | None, new: str, english: str, turkish: str) -> None:
    facts = facts_of(company_row("firma.example"), scan_row("firma.example"))
    facts["scan_changes"] = [{"kind": kind, "old": old, "new": new, "at": TUESDAY - timedelta(days=2)}]
    assert said(facts, "en")["security"]["summary"].endswith(english)
    assert said(facts, "tr")["security"]["summary"].endswith(turkish)


def test_a_renewal_is_praised_only_when_nothing_is_missing_and_everything_is_known() -> None:
    whole = {**GUARDED, "provider": "M365"}
    assert "well kept" in said(lead(**whole))["opening"]
    gap = said(lead(**{**whole, "dmarc_state": "none", "dmarc_policy": None}))
    assert gap["category"] == "P4"
    assert not [text for text in texts(gap) if "well kept" in text or "well set up" in text]
    unknown = said(lead(**{**whole, "dkim_found": None, "complete": False}))
    assert unknown["category"] == "P4"
    assert not [text for text in texts(unknown) if "well kept" in text or "well set up" in text]


@pytest.mark.parametrize("lang", ["tr", "en"])
def test_mailboxes_that_the_dns_does_not_place_are_no_failed_lookup(lang: str) -> None:
    facts = lead(provider="Unknown", gateway="Proofpoint", **{**GUARDED, "dkim_found": False})
    told = said(facts, lang)
    assert not told["complete"]
    failed = {"en": ("lookups failed", "lookup failed", "Scan"), "tr": ("yanıtsız", "başarısız", "tarayın")}[lang]
    assert not [text for text in texts(told) for word in failed if word in text]
    assert ("mailboxes" if lang == "en" else "Posta kutularının") in told["next_step"]["text"]


@pytest.mark.parametrize("status", ["Active", "New"])
def test_an_open_referral_is_answered_even_where_the_domain_speaks_for_no_call(status: str) -> None:
    facts = lead(provider="Unknown", mx_state="absent")
    facts["referrals"] = [{"is_open": True, "status": status, "expires_at": None}]
    told = said(facts)
    assert told["category"] == "P6"
    assert "Partner Center" in told["next_step"]["text"]
    assert not [
        text for text in texts(told) if "No call is advised" in text or "Archive;" in text or "No action" in text
    ]
    facts["company"]["has_open_co_sell"] = True
    assert "Microsoft" in said(facts)["opening"]


@pytest.mark.parametrize(
    ("scan", "action"),
    [
        (GUARDED, "Nothing urgent"),
        ({**GUARDED, "dmarc_policy": "quarantine"}, "Move DMARC from quarantine to reject"),
        ({**GUARDED, "findings": {"dmarc": {"pct": 20}}}, "Raise DMARC from 20%"),
        ({**GUARDED, "spf_state": "none", "spf_all": None}, "Put SPF in order now"),
        ({**GUARDED, "dkim_found": False}, "Switch on DKIM signing: with DMARC"),
        ({**GUARDED, "spf_state": "syntax", "dmarc_state": "none", "dmarc_policy": None}, "Put SPF in order, then"),
        ({**GUARDED, "mx_state": "null"}, "Nothing to do"),
        ({"mx_state": "null"}, "If nothing is sent from the domain either, have SPF -all"),
    ],
)
def test_the_action_is_for_what_is_missing_and_for_nothing_that_is_there(scan: dict[str, Any], action: str) -> None:
    assert said(lead(**scan))["security"]["action"].startswith(action)


def test_anyone_may_send_is_a_high_risk_even_where_no_mail_is_received() -> None:
    assert said(lead(**{**GUARDED, "mx_state": "null", "spf_all": "+all"}))["security"]["risk"] == "high"


def test_who_is_only_kept_warm_is_not_frightened_on_the_phone() -> None:
    script = said(lead(provider="Amazon", spf_state="valid", dkim_found=True))["script"]
    assert not [line for line in script if "stranger" in line]
