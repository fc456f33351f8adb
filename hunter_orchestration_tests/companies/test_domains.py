"""From what people paste to a registrable domain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunter_orchestration.companies.domains import (
    company_domain,
    domain_of_email,
    domain_of_website,
    email_address,
    email_hash,
    referral_domain,
)

CASES = json.loads((Path(__file__).parent / "domain_cases.json").read_text("utf-8"))
KINDS = {"empty", "ip", "syntax", "special-use", "public-suffix", "free-mail", "disposable", "platform"}


@pytest.mark.parametrize("case", CASES, ids=[ascii(case["input"])[:40] for case in CASES])
def test_every_worked_case_of_the_contract_holds(case: dict[str, str | None]) -> None:
    answer = company_domain(case["input"])
    assert (answer.domain, answer.rejected) == (case["domain"], case["rejected"])


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Ada Lale <ada@firma.com.tr>", "firma.com.tr"),
        ("a\u200bda@firma.com\ufeff", "firma.com"),
        ("İSTANBUL.com.tr", "istanbul.com.tr"),
        ("I\u0307stanbul.com.tr", "istanbul.com.tr"),
        ("http://https://firma.com", "firma.com"),
        ("//firma.com/x", "firma.com"),
        ("https://u:p@ss@firma.com/", "firma.com"),
        ("ＡＤＡ＠ｆｉｒｍａ．ｃｏｍ", "firma.com"),
        ("firma.com?x=a@other.com", "firma.com"),
        ("[firma.com]", "firma.com"),
        ("XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de"),
        ("a.b.example", "b.example"),
        ("firma.com:", "firma.com"),
    ],
)
def test_what_people_paste_names_the_company(text: str, domain: str) -> None:
    assert company_domain(text).domain == domain


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (None, "empty"),
        ("  ", "empty"),
        ("mailto:", "empty"),
        ("http://[::1]:80/x", "ip"),
        ("user@[192.168.1.1]", "ip"),
        ("１２７．０．０．１", "ip"),
        ("169.254.169.254:80", "ip"),
        ("0x7f000001", "syntax"),
        ("2130706433", "syntax"),
        ("256.1.1.1", "syntax"),
        ("firma.com:99999", "syntax"),
        ("a.com\x00b", "syntax"),
        ("*.firma.com", "syntax"),
        ("ab--cd.com", "syntax"),
        ("firma.comtr", "syntax"),
        ("javascript:alert(1)", "syntax"),
        ("a" * 100_000, "syntax"),
        ("nas.home", "special-use"),
        ("x.onion", "special-use"),
        ("github.io", "public-suffix"),
        ("co.uk", "public-suffix"),
    ],
)
def test_what_names_no_company_is_rejected_with_its_kind(text: str | None, kind: str) -> None:
    answer = company_domain(text)
    assert (answer.domain, answer.rejected) == (None, kind)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("a@gmail.com", "free-mail"),
        ("a@hotmail.com.tr", "free-mail"),
        ("a@yandex.com.tr", "free-mail"),
        ("a@ttmail.com", "free-mail"),
        ("a@superonline.com", "free-mail"),
        ("a@mail.mynet.com", "free-mail"),
        ("a@mailinator.com", "disposable"),
        ("firma.com", "syntax"),
        ("", "empty"),
    ],
)
def test_a_mailbox_anybody_may_open_names_no_company(address: str, kind: str) -> None:
    assert domain_of_email(address).rejected == kind


@pytest.mark.parametrize(
    "text",
    ["https://tr.linkedin.com/company/x", "facebook.com/x", "firma.wixsite.com/a", "https://sites.google.com/view/x"],
)
def test_a_page_inside_a_platform_names_no_company(text: str) -> None:
    assert domain_of_website(text).domain is None


def test_a_person_who_works_at_a_platform_is_its_employee() -> None:
    assert domain_of_email("a@linkedin.com").domain == "linkedin.com"


def test_an_initial_tenant_domain_is_evidence_and_no_company() -> None:
    answer = company_domain("ada@contoso.mail.onmicrosoft.com")
    assert (answer.domain, answer.tenant) == (None, "contoso.onmicrosoft.com")


def test_the_first_usable_candidate_names_the_referrals_company() -> None:
    found = referral_domain(
        [
            ("contact_email", "a@gmail.com"),
            ("contact_email", "a@contoso.onmicrosoft.com"),
            ("external_id", "1-ABCD"),
            ("external_id", "https://firma.com.tr/x"),
            ("website", "other.com"),
        ]
    )
    assert (found.domain, found.source, found.tenant) == ("firma.com.tr", "external_id", "contoso.onmicrosoft.com")


def test_a_referral_without_a_usable_candidate_says_why() -> None:
    assert referral_domain([]).rejected == "empty"
    assert referral_domain([("external_id", "1-ABCD"), ("contact_email", "a@gmail.com")]).rejected == "free-mail"


def test_an_address_has_one_identity_however_it_is_written() -> None:
    assert email_address("Ada <ADA@Firma.COM>") == "ada@firma.com"
    assert email_hash(" ADA@firma.com ") == email_hash("ada@firma.com")


@settings(deadline=None, max_examples=400)
@given(st.text(max_size=80) | st.from_regex(r"[a-z0-9.@:/\[\]<>%_\-\\ ]{0,40}", fullmatch=True))
def test_no_text_crashes_and_an_answer_is_a_domain_or_a_reason(text: str) -> None:
    for answer in (company_domain(text), domain_of_email(text), domain_of_website(text)):
        assert (answer.domain is None) == (answer.rejected is not None)
        assert answer.rejected is None or answer.rejected in KINDS
        if answer.domain is not None:
            assert answer.domain.isascii()
            assert answer.domain == answer.domain.lower()
            assert len(answer.domain) <= 253


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_an_answer_names_itself(text: str) -> None:
    domain = company_domain(text).domain
    if domain is not None:
        assert company_domain(domain).domain == domain
        assert company_domain(f"https://www.{domain}./x?y#z").domain == domain
        assert company_domain(f"Ada <ada@{domain}>").domain == domain


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_an_address_that_is_read_is_read_the_same_again(text: str) -> None:
    address = email_address(f"{text}@firma.com")
    assert address is None or email_address(address) == address
