"""The resolver, asked with dnspython over real sockets."""

from __future__ import annotations

import socket

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration.sandbox.zones import build_zone

SEED = 7


def ask(
    box: RunningSandbox, name: str, kind: str, *, tcp: bool = False, edns: bool = True, timeout: float = 5
) -> dns.message.Message:
    host, port = box.dns.split(":")
    query = dns.message.make_query(name, kind, use_edns=0 if edns else -1, payload=4096)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, host, timeout=timeout, port=int(port))  # type: ignore[operator,no-any-return]


def texts(message: dns.message.Message, kind: str) -> list[str]:
    wanted = dns.rdatatype.from_text(kind)
    return sorted(record.to_text() for rrset in message.answer if rrset.rdtype == wanted for record in rrset)


def test_every_record_of_every_zone_is_answered(box: RunningSandbox) -> None:
    asked = 0
    for index in range(120):
        zone = build_zone(SEED, index)
        for name, records in zone.names.items():
            for kind, data in records.items():
                answer = ask(box, name, kind, tcp=True)
                assert answer.rcode() == dns.rcode.NOERROR
                assert len(set(texts(answer, kind))) == len(set(map(str, data))), (name, kind)
                asked += 1
    assert asked > 700


def test_mail_exchangers_are_those_of_the_truth(box: RunningSandbox) -> None:
    for truth in box.truths()[:200]:
        answer = ask(box, truth["domain"], "MX")
        if truth["provider"] == "SERVFAIL":
            assert answer.rcode() == dns.rcode.SERVFAIL
        elif truth["provider"] == "NXDOMAIN":
            assert answer.rcode() == dns.rcode.NXDOMAIN
            assert answer.authority[0].rdtype == dns.rdatatype.SOA
        elif truth["provider"] == "NullMX":
            assert texts(answer, "MX") == ["0 ."]
        else:
            assert texts(answer, "MX") == sorted(f"{p} {h}." for p, h in truth["mx"]) or any(
                record != record.lower() for record in texts(answer, "MX")
            )


def test_providers_stand_behind_their_names(box: RunningSandbox) -> None:
    assert "include:_netblocks.google.com" in texts(ask(box, "_spf.google.com", "TXT"), "TXT")[0]
    address = texts(ask(box, "aspmx.l.google.com", "A"), "A")[0]
    reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    assert texts(ask(box, reverse, "PTR"), "PTR") == ["aspmx.l.google.com."]
    assert ask(box, "missing.nowhere.invalid", "TXT").rcode() == dns.rcode.NXDOMAIN
    assert ask(box, "www.somewhere-real.org", "A").rcode() == dns.rcode.NXDOMAIN


def test_dkim_cnames_are_followed_to_the_key(box: RunningSandbox) -> None:
    found = next(t for t in box.truths() if t["provider"] == "M365" and "selector1" in t["dkim"])
    answer = ask(box, f"selector1._domainkey.{found['domain']}", "TXT", tcp=True)
    assert [rrset.rdtype.name for rrset in answer.answer] == ["CNAME", "TXT"]
    assert "v=DKIM1" in texts(answer, "TXT")[0]
    assert found["tenant_name"] in texts(answer, "CNAME")[0]


def test_the_case_of_a_question_is_kept_and_does_not_matter(box: RunningSandbox) -> None:
    domain = next(t["domain"] for t in box.truths() if t["provider"] == "Google")
    answer = ask(box, domain.upper(), "MX")
    assert answer.question[0].name.to_text() == domain.upper() + "."
    assert texts(answer, "MX") == texts(ask(box, domain, "MX"), "MX")


def test_a_name_between_names_exists_without_records(box: RunningSandbox) -> None:
    found = next(t for t in box.truths() if t["dkim"])
    answer = ask(box, f"_domainkey.{found['domain']}", "TXT")
    assert answer.rcode() == dns.rcode.NOERROR
    assert not answer.answer


def test_long_answers_are_truncated_and_whole_over_tcp(box: RunningSandbox) -> None:
    name = "long.karadut.example"
    box.records(name, {"TXT": [f"{number:02d}" + "x" * 200 for number in range(12)]})
    for edns in (True, False):
        assert ask(box, name, "TXT", edns=edns).flags & dns.flags.TC
    assert len(texts(ask(box, name, "TXT", tcp=True), "TXT")) == 12
    box.records(name, None)
    assert ask(box, name, "TXT").rcode() == dns.rcode.NXDOMAIN


def test_records_set_by_hand_shadow_the_world(box: RunningSandbox) -> None:
    domain = next(t["domain"] for t in box.truths() if t["provider"] == "Local")
    box.records(domain, {"MX": [[5, "mx.new.example"]], "TXT": ["v=spf1 -all"], "A": ["198.18.0.1"]})
    assert texts(ask(box, domain, "MX"), "MX") == ["5 mx.new.example."]
    box.records(domain, None)
    assert texts(ask(box, domain, "MX"), "MX") == [f"10 mail.{domain}."]


def _faulty(box: RunningSandbox, kind: str, **params: object) -> str:
    domain: str = next(t["domain"] for t in box.truths() if t["provider"] == "M365")
    box.fault("dns", kind, times=None, path=f"{domain}$", **params)
    return domain


@pytest.mark.parametrize("kind", ["servfail", "refused", "nxdomain"])
def test_a_name_can_be_made_to_fail(box: RunningSandbox, kind: str) -> None:
    domain = _faulty(box, kind)
    assert dns.rcode.to_text(ask(box, domain, "MX").rcode()) == kind.upper()
    other = next(t["domain"] for t in box.truths() if t["provider"] == "Google")
    assert ask(box, other, "MX").rcode() == dns.rcode.NOERROR


def test_a_dead_resolver_says_nothing(box: RunningSandbox) -> None:
    box.fault("dns", "timeout", times=None)
    with pytest.raises(dns.exception.Timeout):
        ask(box, "anything.example", "A", timeout=0.2)


def test_truncation_and_a_closed_tcp_port(box: RunningSandbox) -> None:
    domain = _faulty(box, "truncate")
    assert ask(box, domain, "MX").flags & dns.flags.TC
    assert texts(ask(box, domain, "MX", tcp=True), "MX")
    box.fault("dns", "tcp_refused", times=None)
    with pytest.raises((OSError, EOFError)):
        ask(box, domain, "MX", tcp=True)


def test_a_forged_answer_comes_first_with_another_id(box: RunningSandbox) -> None:
    domain = _faulty(box, "forged_id")
    host, port = box.dns.split(":")
    query = dns.message.make_query(domain, "TXT")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(5)
        channel.sendto(query.to_wire(), (host, int(port)))
        first, second = channel.recv(4096), channel.recv(4096)
    assert first[:2] != query.to_wire()[:2]
    assert b"forged" in first
    assert second[:2] == query.to_wire()[:2]


def test_loops_floods_and_lies(box: RunningSandbox) -> None:
    domain = _faulty(box, "cname_loop")
    assert [rrset.rdtype.name for rrset in ask(box, domain, "TXT").answer] == ["CNAME", "CNAME"]
    box.clear("dns")
    _faulty(box, "huge_txt")
    assert ask(box, domain, "TXT").flags & dns.flags.TC
    assert len(ask(box, domain, "TXT", tcp=True).to_wire(max_size=65535)) > 60_000
    box.clear("dns")
    _faulty(box, "wildcard")
    assert texts(ask(box, f"nothing-here.{domain}", "TXT"), "TXT") == ['"v=spf1 -all"']


def test_broken_packets_are_answered_or_ignored_but_never_fatal(box: RunningSandbox) -> None:
    host, port = box.dns.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        for packet in (
            b"",
            b"\x00",
            b"\xff" * 40,
            bytes(12),
            bytes(11) + b"\x3f" * 20,
            b"\x00\x01\x01\x00\x00\x01" + bytes(6) + b"\xc0\x0c\x00\x01\x00\x01",
        ):
            channel.sendto(packet, (host, int(port)))
    assert ask(box, "aspmx.l.google.com", "A").rcode() == dns.rcode.NOERROR


def test_queries_are_counted(box: RunningSandbox) -> None:
    ask(box, "aspmx.l.google.com", "A")
    ask(box, "aspmx.l.google.com", "MX")
    assert box.counters()["dns"] == 2
    assert box.counters(detail=True)["dns"] == {"A": 1, "MX": 1}
