"""The parts of a briefing agree with each other and with what is known: nobody is told to call whom not to call, no
deal of ours is called the customer's request, and nothing unknown is spoken of as missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunter_orchestration.scoring.deadlines import said_window
from hunter_orchestration.scoring.rules import PROVIDERS
from hunter_orchestration_tests.scoring.leads import GUARDED, TUESDAY, UNANSWERED, company_row, facts_of, scan_row
from hunter_orchestration_tests.scoring.test_briefing import said, texts

M365: dict[str, Any] = {"provider": "M365", **GUARDED}
NO_MAIL: dict[str, Any] = {"provider": "Unknown", "mx_state": "null"}
TENANT: dict[str, Any] = {"tenant_id": "11111111-2222-3333-4444-555555555555"}
REQUESTED = ("Your request", "passed us your request", "turn to Microsoft", "turned to us through")
ASKED_FOR = ("Talebiniz", "Bize Microsoft üzerinden ulaş", "Microsoft'a başvur")


def referral(category: str, status: str = "Active", days: int = 10, direction: str = "Incoming") -> dict[str, Any]:
    return {
        "is_open": True,
        "status": status,
        "category": category,
        "direction": direction,
        "expires_at": TUESDAY + timedelta(days=days),
    }


def told(scan: dict[str, Any], *referrals: dict[str, Any], lang: str = "en", **company: Any) -> dict[str, Any]:
    co_sell = any(row["category"] == "co_sell" for row in referrals)
    row = company_row("firma.example", **{"has_open_co_sell": co_sell, **company})
    return said(facts_of(row, scan_row("firma.example", **scan), referrals=list(referrals)), lang)


def everything(briefing: dict[str, Any]) -> str:
    return " ".join(texts(briefing))


def test_a_category_without_hours_is_dated_by_its_referral_and_not_by_its_rhythm() -> None:
    renewal = told(M365, referral("solution_provider", "New"))
    assert renewal["urgency"] == "A new referral waits for your answer until Friday 4 December 2026."
    assert renewal["next_step"]["by"] == "2026-12-04"
    turkish = told(M365, referral("solution_provider", "New"), lang="tr")
    assert turkish["urgency"] == "Yeni bir yönlendirme yanıtınızı bekliyor; son gün 4 Aralık 2026 Cuma."


@pytest.mark.parametrize(
    ("hours", "english", "turkish"),
    [
        (1, "1 hour, weekends not counted", "1 saat, hafta sonları hariç"),
        (48, "48 hours, weekends not counted", "48 saat, hafta sonları hariç"),
        (72, "3 working days", "3 iş günü"),
    ],
)
def test_hours_leave_weekends_out_and_working_days_say_so_already(hours: int, english: str, turkish: str) -> None:
    assert (said_window(hours, "en"), said_window(hours, "tr")) == (english, turkish)


@pytest.mark.parametrize("category", ["co_sell", "private_deal", "partner_led", "other"])
@pytest.mark.parametrize("scan", [M365, NO_MAIL, {"provider": "Google", **GUARDED}, {"provider": "Amazon", **GUARDED}])
def test_a_deal_of_ours_is_not_called_the_customers_request(category: str, scan: dict[str, Any]) -> None:
    deal = referral(category, direction="Outgoing")
    assert not [words for words in REQUESTED if words in everything(told(scan, deal))]
    assert not [words for words in ASKED_FOR if words in everything(told(scan, deal, lang="tr"))]
    asked = referral("marketplace")
    assert [words for words in REQUESTED if words in everything(told(scan, asked))]
    assert [words for words in ASKED_FOR if words in everything(told(scan, asked, lang="tr"))]


def test_what_we_sent_out_is_not_ours_to_accept_and_does_not_hurry_us() -> None:
    sent = referral("co_sell", "New", days=2, direction="Outgoing")
    assert "Accept" not in told(M365, sent)["next_step"]["text"]
    assert "expires" not in told(M365, sent)["urgency"]
    assert "Accept" in told(M365, referral("co_sell", "New", days=2))["next_step"]["text"]


@pytest.mark.parametrize("lang", ["en", "tr"])
def test_who_is_not_to_be_called_gets_no_call(lang: str) -> None:
    calls = ("Hello", "before calling", "half-hour") if lang == "en" else ("Merhaba", "Aramadan önce", "yarım saat")
    archived = told({"provider": "Hosting"}, lang=lang)
    assert archived["category"] == "P6"
    assert not [line for line in archived["script"] if any(word in line for word in calls)]
    refusing = facts_of(company_row("firma.example"), scan_row("firma.example"))
    refusing["contacts"] = [{"first_name": "Deniz", "last_name": "Uçar", "consent": {"contact": False}}]
    assert not [line for line in said(refusing, lang)["script"] if any(word in line for word in calls[:2])]


@pytest.mark.parametrize("scan", [NO_MAIL, {"provider": "Amazon", **GUARDED}])
def test_an_open_referral_is_not_told_that_nobody_will_keep_it(scan: dict[str, Any]) -> None:
    briefing = told(scan, referral("solution_provider"))
    assert briefing["category"] in ("P5", "P6")
    assert not [
        words for words in ("I won't keep you", "don't push", "Nothing to sell") if words in everything(briefing)
    ]
    assert "referral is open" in briefing["why_segment"]


def test_a_lead_to_look_at_again_is_not_told_that_there_is_nothing_to_do() -> None:
    unanswered = told(UNANSWERED)
    assert unanswered["next_step"]["text"].startswith("Scan firma.example again")
    assert unanswered["urgency"] == "No call is due; first find out what is unknown."
    assert told(NO_MAIL)["urgency"] == "No action is due."


@pytest.mark.parametrize("scan", [NO_MAIL, {"provider": "Unknown"}, {**UNANSWERED}])
def test_a_tenant_alone_is_not_called_mail_on_microsoft_365(scan: dict[str, Any]) -> None:
    briefing = told(scan, **TENANT)
    assert briefing["category"] == "P3"
    assert "You use Microsoft 365" not in everything(briefing)
    assert "You are on Microsoft 365" not in everything(briefing)
    assert [line for line in briefing["script"] if "Microsoft tenant" in line]


def test_nobody_asks_about_the_mailboxes_of_a_domain_without_mail() -> None:
    for provider in ("Local", "Hosting", "Unknown"):
        questions = " ".join(told({**NO_MAIL, "provider": provider}, **TENANT)["questions"])
        assert "mail server" not in questions
        assert "ailboxes" not in questions


def test_a_domain_without_mail_that_may_still_send_keeps_its_senders() -> None:
    sending = told({**NO_MAIL, **GUARDED, "dmarc_policy": "none"})
    assert sending["security"]["action"].startswith("If nothing is sent from the domain either,")


def test_gaps_in_a_rivals_mail_are_not_praised() -> None:
    gaps = told({"provider": "Google", **GUARDED, "dkim_found": False})
    assert (gaps["category"], "keep it in order" in gaps["why_segment"]) == ("P2", False)
    unknown = told({"provider": "Google", **GUARDED, "dkim_found": None})
    assert "keep it in order" not in unknown["why_segment"]
    assert "keep it in order" in told({"provider": "Google", **GUARDED})["why_segment"]


@pytest.mark.parametrize(
    ("scan", "words", "never"),
    [
        ({"dmarc_state": "malformed"}, "DMARC", "tighten DMARC"),
        ({"spf_state": "syntax"}, "Mend SPF", "Set up SPF"),
        ({"spf_state": "none", "dkim_found": None}, "look DKIM up again", "Set up"),
        (
            {**GUARDED, "dkim_found": False, "dmarc_state": "none", "dmarc_policy": None},
            "publish DMARC",
            "tighten DMARC",
        ),
        ({**GUARDED, "dkim_found": False, "dmarc_state": "unknown", "dmarc_policy": None}, "look DMARC up", "tighten"),
        ({**GUARDED, "dmarc_state": "malformed", "dmarc_policy": None}, "Correct the DMARC record", "Publish DMARC"),
    ],
)
def test_the_action_fits_what_is_there_missing_faulty_or_unknown(scan: dict[str, Any], words: str, never: str) -> None:
    action = told(scan)["security"]["action"]
    assert words in action
    assert never not in action


@settings(max_examples=150, deadline=None)
@given(
    provider=st.sampled_from(PROVIDERS),
    mx=st.sampled_from(["found", "absent", "unknown"]),
    spf=st.sampled_from(["valid", "none", "syntax", "unknown"]),
    dkim=st.sampled_from([True, False, None]),
    dmarc=st.sampled_from(["valid", "none", "malformed", "unknown"]),
    policy=st.sampled_from(["reject", "quarantine", "none"]),
    tenant=st.booleans(),
)
def test_no_action_sets_up_what_is_there_or_speaks_of_the_unknown_as_missing(
    provider: str, mx: str, spf: str, dkim: bool | None, dmarc: str, policy: str, tenant: bool
) -> None:
    policy_found = policy if dmarc == "valid" else None
    scan = {"provider": provider, "mx_state": mx, "spf_state": spf, "dkim_found": dkim, "dmarc_state": dmarc}
    briefing = told({**scan, "dmarc_policy": policy_found}, **(TENANT if tenant else {}))
    action, said_of = briefing["security"]["action"], everything(briefing)
    if dkim is not False:
        assert "DKIM signing" not in action
        assert "set up DKIM" not in action
        assert "SPF and DKIM" not in action
    if spf != "none":
        assert "Set up SPF" not in action
    if dmarc == "unknown":
        assert "stranger can send" not in said_of
    assert not ("Nothing urgent" in action and briefing["security"]["risk"] == "high")
    assert not ("praise" in briefing["security"]["angle"] and briefing["security"]["risk"] == "high")
    if "keep it in order" in said_of or "well set up" in said_of or "looks well kept" in said_of:
        assert briefing["security"]["risk"] != "high"
        assert briefing["complete"]
