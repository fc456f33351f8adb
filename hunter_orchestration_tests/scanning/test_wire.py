"""The message codec, held against dnspython."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunter_orchestration.scanning import wire
from hunter_orchestration.scanning.wire import Answer, ForeignMessageError, WireError, parse_response

NAME = "firma.example"


def response(kind: str, *records: str, owner: str = NAME, name: str = NAME, message_id: int = 7) -> bytes:
    query = dns.message.make_query(name, kind)
    query.id = message_id
    message = dns.message.make_response(query)
    if records:
        message.answer.append(dns.rrset.from_text(owner + ".", 300, "IN", kind, *records))
    return message.to_wire(max_size=65535)


def parsed(data: bytes, qtype: int, name: str = NAME, message_id: int = 7) -> Answer:
    return parse_response(data, message_id, wire.encode_question(name, qtype), name, qtype)


def test_a_query_reads_in_dnspython_as_what_was_asked() -> None:
    query = dns.message.from_wire(wire.encode_query(0xBEEF, wire.encode_question("_dmarc.firma.example", wire.TXT)))
    assert query.id == 0xBEEF
    assert query.question[0].to_text() == "_dmarc.firma.example. IN TXT"
    assert query.flags & dns.flags.RD
    assert query.edns == 0
    assert query.payload == 1232


@pytest.mark.parametrize(
    ("kind", "records", "expected"),
    [
        (
            "MX",
            ["10 MX1.Firma.Example.", "20 mx.other.example."],
            [(10, "mx1.firma.example"), (20, "mx.other.example")],
        ),
        ("MX", ["0 ."], [(0, "")]),
        ("A", ["192.0.2.1"], ["192.0.2.1"]),
        ("AAAA", ["2001:db8::1"], ["2001:db8::1"]),
        ("NS", ["ns1.firma.example."], ["ns1.firma.example"]),
        ("TXT", ['"v=spf1 " "-all"'], [b"v=spf1 -all"]),
        ("TXT", ['"one"'], [b"one"]),
        (
            "SOA",
            ["ns.firma.example. host.firma.example. 7 2 3 4 60"],
            [("ns.firma.example", "host.firma.example", 7, 60)],
        ),
        ("SRV", ["1 2 443 sip.firma.example."], [(1, 2, 443, "sip.firma.example")]),
    ],
)
def test_records_read_as_in_dnspython(kind: str, records: list[str], expected: list[Any]) -> None:
    answer = parsed(response(kind, *records), dns.rdatatype.from_text(kind))
    assert answer.state == "found"
    assert sorted(answer.records) == sorted(expected)
    assert answer.ttl == 300


def test_an_alias_is_followed_within_the_message() -> None:
    query = dns.message.make_query(NAME, "TXT")
    query.id = 7
    message = dns.message.make_response(query)
    message.answer.append(dns.rrset.from_text(NAME + ".", 60, "IN", "CNAME", "a.other.example."))
    message.answer.append(dns.rrset.from_text("a.other.example.", 30, "IN", "CNAME", "b.other.example."))
    message.answer.append(dns.rrset.from_text("b.other.example.", 90, "IN", "TXT", '"x"'))
    answer = parsed(message.to_wire(), wire.TXT)
    assert (answer.records, answer.cnames, answer.ttl) == ([b"x"], ["a.other.example", "b.other.example"], 30)


def test_an_alias_loop_is_unknown_not_absent() -> None:
    query = dns.message.make_query(NAME, "TXT")
    query.id = 7
    message = dns.message.make_response(query)
    message.answer.append(dns.rrset.from_text(NAME + ".", 60, "IN", "CNAME", "a.other.example."))
    message.answer.append(dns.rrset.from_text("a.other.example.", 60, "IN", "CNAME", NAME + "."))
    answer = parsed(message.to_wire(), wire.TXT)
    assert (answer.state, answer.reason) == ("unknown", "cname_loop")


def test_an_alias_that_ends_without_records_and_soa_is_to_be_chased() -> None:
    answer_query = dns.message.make_query(NAME, "TXT")
    answer_query.id = 7
    message = dns.message.make_response(answer_query)
    message.answer.append(dns.rrset.from_text(NAME + ".", 60, "IN", "CNAME", "a.other.example."))
    assert parsed(message.to_wire(), wire.TXT).chase == "a.other.example"


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [(0, "absent", "nodata"), (3, "absent", "nxdomain"), (2, "unknown", "servfail"), (5, "unknown", "refused")],
)
def test_a_failure_is_told_from_an_absence(code: int, state: str, reason: str) -> None:
    query = dns.message.make_query(NAME, "MX")
    query.id = 7
    message = dns.message.make_response(query)
    message.set_rcode(dns.rcode.Rcode(code))
    answer = parsed(message.to_wire(), wire.MX)
    assert (answer.state, answer.reason) == (state, reason)


@pytest.mark.parametrize(("code", "reason"), [(22, "lame"), (6, "dnssec"), (3, "servfail")])
def test_the_resolvers_own_explanation_of_a_failure_is_kept(code: int, reason: str) -> None:
    query = dns.message.make_query(NAME, "MX", use_edns=0)
    query.id = 7
    message = dns.message.make_response(query)
    message.set_rcode(dns.rcode.SERVFAIL)
    message.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode(code), "as it says")])
    assert parsed(message.to_wire(), wire.MX).reason == reason


def test_a_forged_id_and_another_question_are_refused() -> None:
    with pytest.raises(ForeignMessageError):
        parsed(response("MX", "10 mx.evil.example.", message_id=8), wire.MX)
    with pytest.raises(ForeignMessageError):
        parsed(response("MX", "10 mx.evil.example.", name="evil.example", owner="evil.example"), wire.MX)
    with pytest.raises(ForeignMessageError):
        parsed(response("TXT", '"x"'), wire.MX)


def test_records_of_another_owner_are_left_aside() -> None:
    answer = parsed(response("MX", "10 mx.evil.example.", owner="evil.example"), wire.MX)
    assert answer.state == "absent"


@pytest.mark.parametrize("target", [12 + 19, 0xFF, 12 + 21])
def test_compression_that_loops_or_points_forward_is_malformed(target: int) -> None:
    question = wire.encode_question(NAME, wire.MX)
    head = bytes([0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
    offset = len(head) + len(question)
    pointer = {12 + 19: offset, 0xFF: 0x3FFF, 12 + 21: offset + 2}[target]
    record = bytes([0xC0 | pointer >> 8, pointer & 255]) + bytes([0, 15, 0, 1, 0, 0, 0, 60, 0, 4, 0, 10, 0xC0, 12])
    with pytest.raises(WireError):
        parsed(head + question + record, wire.MX)


def test_a_label_with_a_dot_in_it_cannot_pass_for_two_labels() -> None:
    data = b"\x0aaspmx.l.go\x0bogle\\.com.x\x00"
    name, _ = wire.read_name(data, 0)
    assert name == r"aspmx\.l\.go.ogle\\\.com\.x"


@pytest.mark.parametrize("name", ["a" * 64 + ".example", ".".join(["a" * 60] * 5), "ö.example", "a..example"])
def test_a_name_that_cannot_be_asked_for_is_refused(name: str) -> None:
    with pytest.raises(WireError):
        wire.encode_question(name, wire.A)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=600), st.sampled_from(sorted(wire.TYPE_NAMES)))
def test_no_bytes_crash_the_parser(tail: bytes, qtype: int) -> None:
    question = wire.encode_question(NAME, qtype)
    head = bytes([0, 7, 0x81, 0x80, 0, 1]) + tail[:6].ljust(6, b"\x01")
    with contextlib.suppress(WireError):
        parse_response(head + question + tail, 7, question, NAME, qtype)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["MX", "TXT", "A", "NS", "SOA", "CNAME"]))
def test_damaged_answers_are_refused_or_read_as_dnspython_reads_them(seed: int, kind: str) -> None:
    texts = {
        "MX": ["10 mx1.firma.example.", "20 mx2.other.example."],
        "TXT": ['"v=spf1 include:a.example -all"', '"MS=ms12345678" "tail"'],
        "A": ["192.0.2.1", "192.0.2.2"],
        "NS": ["ns1.firma.example.", "ns2.firma.example."],
        "SOA": ["ns.firma.example. host.firma.example. 7 2 3 4 60"],
        "CNAME": ["alias.other.example."],
    }[kind]
    random_source = random.Random(seed)
    data = bytearray(response(kind, *texts))
    question_end = 12 + len(wire.encode_question(NAME, 1))
    for _ in range(random_source.randrange(1, 4)):
        data[random_source.randrange(question_end, len(data))] = random_source.randrange(256)
    try:
        ours = parsed(bytes(data), dns.rdatatype.from_text(kind))
    except WireError:
        return
    try:
        theirs = dns.message.from_wire(bytes(data), ignore_trailing=True)
    except Exception:  # noqa: BLE001 - dnspython refuses more: rdata of types we were not asked for
        return
    owner = dns.name.from_text(NAME)
    found = [rrset for rrset in theirs.answer if rrset.name == owner and rrset.rdtype == dns.rdatatype.from_text(kind)]
    count = len({record.to_digestable() for rrset in found if rrset.rdclass == 1 for record in rrset})
    if ours.state == "found" and not ours.cnames and kind in ("A", "MX"):
        assert len({str(record).lower() for record in ours.records}) == count
