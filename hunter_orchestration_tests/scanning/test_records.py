"""SPF, DMARC and DKIM records, as their standards read them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunter_orchestration.scanning import dkim, dmarc, extended, spf
from hunter_orchestration.scanning.wire import MX, TXT, A, Answer

RSA_2048 = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"
    + base64.b64encode(b"\xc1" + bytes(range(1, 256)) + b"\x02\x03\x01\x00\x01").decode()
)


def rsa_key(bits: int) -> str:
    """A bare RSAPublicKey, the other form in which keys are published."""
    modulus = b"\x00\xc1" + bytes(bits // 8 - 1)
    body = b"\x02\x82" + len(modulus).to_bytes(2, "big") + modulus + b"\x02\x03\x01\x00\x01"
    return base64.b64encode(b"\x30\x82" + len(body).to_bytes(2, "big") + body).decode()


def txt(*texts: str) -> Answer:
    answer = Answer("found" if texts else "absent", "" if texts else "nodata", 0)
    answer.records = [text.encode("latin-1") for text in texts]
    return answer


def evaluated(record: str | list[str], included: dict[str, str | Answer] | None = None) -> spf.Finding:
    texts = [record] if isinstance(record, str) else record
    answers = {name: value if isinstance(value, Answer) else txt(value) for name, value in (included or {}).items()}
    finding, needed = spf.evaluate("firma.example", txt(*texts), answers)
    assert not [name for name, qtype in needed if qtype == TXT]
    return finding


@pytest.mark.parametrize(
    ("record", "state", "end"),
    [
        ("v=spf1 -all", "valid", "-all"),
        ("V=SPF1 mx ~ALL", "valid", "~all"),
        ("v=spf1 a mx/24 a:mail.firma.example/28//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?all", "valid", "?all"),
        ("v=spf1 all", "valid", "+all"),
        ("v=spf1", "valid", None),
        ("v=spf1 mx -all a", "valid", "-all"),
        ("v=spf1 exists:%{i}._spf.%{d2} -all", "valid", "-all"),
        ("v=spf1 unknown-modifier=x -all", "valid", "-all"),
        ("v=spf10 -all", "none", None),
        ("spf1 -all", "none", None),
        ("v=spf1 ipv4:192.0.2.1 -all", "syntax", "-all"),
        ("v=spf1 ip4:192.0.2.256 -all", "syntax", "-all"),
        ("v=spf1 ip4:192.0.2.0/33 -all", "syntax", "-all"),
        ("v=spf1 include: -all", "syntax", "-all"),
        ("v=spf1 a:/24 -all", "syntax", "-all"),
        ("v=spf1 mx,a -all", "syntax", "-all"),
        ("v=spf1 redirect=a.example redirect=b.example", "syntax", None),
        ("v=spf1 exists:%{x}.a.example -all", "syntax", "-all"),
        ("v=spf1 exists:%{d0}.a.example -all", "syntax", "-all"),
        ("v=spf1 exists:%{d}.a} -all", "syntax", "-all"),
        ("v=spf1 exists:%{T}.a.example -all", "syntax", "-all"),
        ("v=spf1 -all exp=%{r}.a.example", "syntax", "-all"),
        ("v=spf1 -all exp=%{ir}.%%{r}.a.example", "valid", "-all"),
        ("v=spf1 -all exp=%{o}", "valid", "-all"),
        ("v=spf1 include:über.example -all", "syntax", "-all"),
        ("v=spf1 include:%{d}..x.example -all", "syntax", "-all"),
        ("v=spf1 a:%{d}..x.example exists:%{d}..y.example mx:%{d}..z.example -all", "valid", "-all"),
        ("v=spf1 --all", "syntax", None),
    ],
)
def test_an_spf_record_is_judged_by_its_syntax(record: str, state: str, end: str | None) -> None:
    finding = evaluated(record)
    assert (finding.state, finding.all) == (state, end)


def test_two_spf_records_are_multiple_and_other_texts_do_not_count() -> None:
    assert evaluated(["v=spf1 -all", "v=spf1 mx ~all"]).state == "multiple"
    assert evaluated(["v=spf1 -all", "v=spf10 x", "google-site-verification=x"]).state == "valid"


def test_nested_includes_count_and_the_eleventh_lookup_is_one_too_many() -> None:
    chain: dict[str, str | Answer] = {f"s{i}.example": f"v=spf1 include:s{i + 1}.example ~all" for i in range(1, 10)}
    chain["s10.example"] = "v=spf1 ip4:192.0.2.1 ~all"
    finding = evaluated("v=spf1 include:s1.example -all", chain)
    assert (finding.state, finding.lookups) == ("valid", 10)
    chain["s10.example"] = "v=spf1 a ~all"
    assert evaluated("v=spf1 include:s1.example -all", chain).state == "too_many_lookups"


def test_an_include_that_includes_itself_ends() -> None:
    finding = evaluated("v=spf1 include:loop.example -all", {"loop.example": "v=spf1 include:loop.example -all"})
    assert finding.state == "too_many_lookups"


def test_what_comes_first_in_order_decides() -> None:
    answers = {"gone.example": txt(), "s.example": txt("v=spf1 a a a a a a a a a a a -all")}
    first, _ = spf.evaluate("f.example", txt("v=spf1 include:gone.example include:s.example -all"), answers)
    second, _ = spf.evaluate("f.example", txt("v=spf1 include:s.example include:gone.example -all"), answers)
    assert (first.state, second.state) == ("include_missing", "too_many_lookups")


def test_an_include_that_fails_makes_spf_unknown_not_wrong() -> None:
    finding = evaluated("v=spf1 include:slow.example -all", {"slow.example": Answer("unknown", "timeout")})
    assert (finding.state, finding.all, finding.record) == ("unknown", "-all", "v=spf1 include:slow.example -all")


def test_a_redirect_counts_and_is_ignored_beside_all() -> None:
    finding = evaluated("v=spf1 redirect=_spf.example", {"_spf.example": "v=spf1 -all"})
    assert (finding.state, finding.all, finding.redirect, finding.lookups) == ("valid", None, "_spf.example", 1)
    assert evaluated("v=spf1 -all redirect=_spf.example").lookups == 0
    finding = evaluated("v=spf1 REDIRECT=_SPF.Posta.Example.", {"_spf.posta.example": "v=spf1 -all"})
    assert (finding.state, finding.redirect) == ("valid", "_spf.posta.example")


def test_macros_of_the_domain_are_filled_in_and_those_of_the_sender_are_left() -> None:
    assert spf.expand("%{d}._spf.example", "firma.example") == "firma.example._spf.example"
    assert spf.expand("%{d1r}.x.example", "firma.example") == "firma.x.example"
    assert spf.expand("%{d01}.x.example", "firma.example") == "example.x.example"
    assert spf.expand("%{d}.%%{d}%-.example", "firma.example") == "firma.example.%{d}%20.example"
    assert spf.expand("%{i}.x.example", "firma.example") is None


def test_a_name_that_macros_make_too_long_loses_labels_on_its_left() -> None:
    # Of 20 times 14 characters and 13, 17 times and the 13 fit into 253.
    assert spf.expand("%{d}." * 20 + "posta.example", "firma.example") == "firma.example." * 17 + "posta.example"


def test_more_than_two_lookups_that_find_nothing_are_too_many() -> None:
    empty = Answer("absent", "nodata")
    hosts = {("f.example", A): empty, ("f.example", MX): empty}
    finding, _ = spf.evaluate("f.example", txt("v=spf1 a mx a -all"), {}, hosts)
    assert finding.state == "too_many_lookups"
    finding, _ = spf.evaluate("f.example", txt("v=spf1 a mx -all"), {}, hosts)
    assert (finding.state, finding.voids) == ("valid", 2)


def test_hosts_are_asked_for_only_when_they_could_break_the_limit_of_voids() -> None:
    record = txt("v=spf1 a:%{d}.x.example mx:y.example exists:%{i}.z.example include:i.example -all")
    included = {"i.example": txt("v=spf1 a -all")}
    _, needed = spf.evaluate("f.example", record, included)
    assert needed == {("f.example.x.example", A), ("y.example", MX), ("i.example", A)}
    empty = Answer("absent", "nxdomain")
    finding, needed = spf.evaluate("f.example", record, included, dict.fromkeys(needed, empty))
    assert (finding.state, needed) == ("too_many_lookups", set())
    _, needed = spf.evaluate("f.example", txt("v=spf1 a:x.example mx:y.example -all"), {})
    assert not needed


@pytest.mark.parametrize(
    ("texts", "state", "policy", "pct"),
    [
        (["v=DMARC1; p=reject"], "valid", "reject", 100),
        (["v=DMARC1; p=Reject; sp=none"], "valid", "reject", 100),
        (["v=DMARC1; p = quarantine ; pct = 25"], "valid", "quarantine", 25),
        (["v=DMARC1;p=none;rua=mailto:a@b.example"], "valid", "none", 100),
        (["v=DMARC1; p=reject; pct=250"], "valid", "reject", 100),
        (["v=DMARC1; p=reject; pct=007"], "valid", "reject", 7),
        (["v=DMARC1; p=reject; pct=0000050"], "valid", "reject", 100),
        (["v=DMARC1; p=reject", "v=DMARC1; p=none"], "multiple", None, None),
        (["v=DMARC1; p=reject", "v=spf1 -all"], "valid", "reject", 100),
        (["p=reject; v=DMARC1"], "malformed", None, None),
        (["v=DMARC1 p=reject"], "malformed", None, None),
        (["v=dmarc1; p=reject"], "malformed", None, None),
        (["v=DMARC1; p=rejct"], "malformed", None, None),
        (["v=DMARC1; p=rejct; rua=mailto:a@b.example"], "bad_policy", "none", 100),
        (["v=DMARC1; rua=mailto:a@b.example"], "bad_policy", "none", 100),
        (["v=DMARC1; rua=nowhere"], "malformed", None, None),
        (["v=DMARC1; p=reject; sp=rejct; rua=mailto:a@b.example"], "bad_policy", "none", 100),
        (["v=DMARC1; p=reject; np=rejct"], "malformed", None, None),
        (["v=DMARC1; p=reject; P=reject; rua=mailto:a@b.example"], "malformed", None, None),
        (["v=DMARC1; v=DMARC1; p=reject"], "malformed", None, None),
        (["v=DMARC1; p=reject; sp=none; np=Reject"], "valid", "reject", 100),
        (["v=spf1 -all"], "none", None, None),
        ([], "none", None, None),
    ],
)
def test_a_dmarc_record_is_read_by_its_standard(
    texts: list[str], state: str, policy: str | None, pct: int | None
) -> None:
    finding = dmarc.parse(texts)
    assert (finding.state, finding.policy, finding.pct) == (state, policy, pct)


@pytest.mark.parametrize(
    ("uri", "reachable"),
    [
        ("mailto:a@b.example", True),
        ("MAILTO:a@b.example!10m", True),
        ("https://collect.example/dmarc", True),
        ("mailto:a@b.example!10x", False),
        ("mailto:a@b.example!", False),
        ("mailto:a@b", False),
        ("mailto:a@.b", False),
        ("mailto:a@b@c.example", False),
        ("mailto:@b.example", False),
        ("mailto:a b@c.example", False),
        ("a@b.example", False),
        # Read in one pass: an expression that goes back and forth would take minutes over these.
        ("mailto:a@b" + ".a" * 100_000 + " !", False),
        ("mailto:a@b" + "." * 200_000 + "!x", False),
    ],
)
def test_an_address_of_reports_is_told_from_what_is_none(uri: str, reachable: bool) -> None:
    assert bool(dmarc.parse([f"v=DMARC1; p=none; rua={uri}"]).rua) is reachable


def test_a_key_with_long_runs_of_blanks_is_read_in_one_pass() -> None:
    key = dkim.parse("v=DKIM1; t=" + " " * 100_000 + "y" + "\n" * 100_000 + "; p=AAAA")
    assert (key.state, key.testing) == ("usable", True)


def test_the_subdomain_policy_is_told_beside_the_policy() -> None:
    finding = dmarc.parse(["v=DMARC1; p=reject; sp=none; np=Quarantine; t=y"])
    assert (finding.policy, finding.subdomain_policy) == ("reject", "none")
    assert (finding.nonexistent_policy, finding.testing) == ("quarantine", True)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (f"v=DKIM1; k=rsa; p={RSA_2048}", "usable"),
        (f"p={RSA_2048}", "usable"),
        ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "usable"),
        ("v=DKIM1; k=rsa; p=", "revoked"),
        ("v=DKIM1; p=!!!", "broken"),
        ("v=DKIM1; k=rsa", "broken"),
        ("v=DKIM1; k=dsa; p=AAAA", "broken"),
        ("v=DKIM1; s=tlsrpt; p=AAAA", "broken"),
        ("v=DKIM1; s=tlsrpt : email; p=AAAA", "usable"),
        ("v=DKIM2; p=AAAA", "broken"),
        ("k=rsa; v=DKIM1; p=AAAA", "broken"),
        ("V=DKIM1; K=rsa; P=AAAA", "broken"),
        ("v=DKIM1; h=sha1; p=AAAA", "broken"),
        ("v=DKIM1; h=sha1 : sha256; p=AAAA", "usable"),
        ("v=spf1 -all", "absent"),
        ("v=DMARC1; p=none", "absent"),
        ("o=~", "absent"),
        ("", "absent"),
    ],
)
def test_a_dkim_key_is_usable_revoked_broken_or_none(text: str, state: str) -> None:
    assert dkim.parse(text).state == state


def test_the_size_of_an_rsa_key_is_told() -> None:
    assert dkim.parse(f"v=DKIM1; p={RSA_2048}").bits == 2048


def test_an_rsa_key_shorter_than_1024_bits_is_of_no_use() -> None:
    short, least = dkim.parse(f"p={rsa_key(512)}"), dkim.parse(f"p={rsa_key(1024)}")
    assert (short.state, short.bits) == ("broken", 512)
    assert (least.state, least.bits) == ("usable", 1024)


def test_an_alias_that_leads_nowhere_is_broken_and_a_timeout_unknown() -> None:
    dangling = Answer("absent", "nxdomain", 3)
    dangling.cnames = ["selector1-f-example._domainkey.f.onmicrosoft.com"]
    assert dkim.read(dangling).state == "broken"
    assert dkim.read(Answer("unknown", "timeout")).state == "unknown"


@pytest.mark.parametrize(
    ("name", "texts", "state"),
    [
        ("mta_sts", ["v=STSv1; id=20260101T000000;"], "found"),
        ("mta_sts", ["v=STSv1 ; id = a1", "v=spf1 -all"], "found"),
        ("mta_sts", ["v=STSv1; id=a-b"], "absent"),
        ("mta_sts", ["v=STSv1;"], "absent"),
        ("mta_sts", ["v=STSv1; id=1", "v=STSv1; id=2"], "absent"),
        ("mta_sts", ["v=STSv12; id=1"], "absent"),
        ("tls_rpt", ["v=TLSRPTv1; rua=mailto:tls@firma.example"], "found"),
        ("tls_rpt", ["v=TLSRPTv1; rua=https://firma.example/tls"], "found"),
        ("tls_rpt", ["v=TLSRPTv1"], "absent"),
        ("bimi", ["v=BIMI1; l=https://firma.example/logo.svg; a="], "found"),
        ("bimi", ["v=BIMI1; l=; a=;"], "absent"),
        ("bimi", [], "absent"),
    ],
)
def test_the_records_of_mail_transport_count_when_they_are_whole_and_alone(
    name: str, texts: list[str], state: str
) -> None:
    found, record = extended._policy(txt(*texts), name)
    assert found == state
    assert bool(record) is any(text.startswith(("v=STSv1;", "v=STSv1 ;", "v=TLSRPTv1;", "v=BIMI1;")) for text in texts)


@pytest.mark.parametrize(
    ("target", "tenant"),
    [
        ("selector1-contoso-example._domainkey.contoso.onmicrosoft.com", "contoso"),
        ("selector2-contoso-example._domainkey.contoso.n-v1.dkim.mail.microsoft", "contoso"),
        ("selector1-contoso-example._domainkey.contoso.onmicrosoft.com.evil.example", None),
        ("k1.domainkey.u1.wl.sendgrid.net", None),
    ],
)
def test_the_tenant_is_read_from_both_styles_of_alias(target: str, tenant: str | None) -> None:
    assert dkim.tenant_of([target]) == tenant


_GRAMMAR = (
    "v=spf1 V=SPF1 include: redirect= exists: %{d} %{ir} %{ %% all -all ip4: ip6: /24 //64 :: a mx ptr v=DMARC1 ; p="
    " sp= pct= rua= mailto: reject none k= rsa v=DKIM1 AAAA== = : / . ,"
)
_PIECES = st.sampled_from([*_GRAMMAR.split(), "\x00", "\xff", "ä", "\t"])
_JOINED = st.lists(_PIECES, max_size=20)
_TEXTS = st.one_of(st.text(max_size=80), _JOINED.map(" ".join), _JOINED.map("".join))


@settings(max_examples=600, deadline=None)
@given(_TEXTS)
def test_no_text_crashes_a_record_parser(text: str) -> None:
    assert spf.parse(f"v=spf1 {text}").text
    raw = Answer("found", "", 0)
    raw.records = [text.encode("utf-8", "surrogatepass")]
    spf.evaluate("firma.example", raw, {})
    dmarc.read(raw)
    dkim.read(raw)
