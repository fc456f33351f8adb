"""The engine against a server that misbehaves in every way a test can think of."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import dns.message
import pytest

from hunter_orchestration.scanning import tcp
from hunter_orchestration.scanning.engine import Engine
from hunter_orchestration.scanning.resolvers import Address, parse_address
from hunter_orchestration.scanning.tasks import Question, Task
from hunter_orchestration.scanning.wire import MX, TXT, A, Answer
from hunter_orchestration_tests.scanning.dns_server import LoopbackDns, Reply, rcode, serving, silence, truncated

BIG = " ".join(f'"{"x" * 250}"' for _ in range(258))


def ask(servers: LoopbackDns | list[LoopbackDns], *questions: Question) -> list[Answer]:
    def task() -> Task[list[Answer]]:
        return (yield list(questions))

    servers = servers if isinstance(servers, list) else [servers]
    with Engine([parse_address(server.address) for server in servers], first_timeout=0.1) as engine:
        return next(iter(engine.run([("x", task())]))).result  # type: ignore[no-any-return]


def test_an_answer_comes_with_its_resolver_time_and_ttl() -> None:
    with serving(records={"firma.example": ["MX 10 mx.firma.example."]}) as server:
        (answer,) = ask(server, Question("firma.example", MX))
        assert (answer.state, answer.records, answer.ttl) == ("found", [(10, "mx.firma.example")], 300)
        assert answer.resolver == server.address
        assert abs(answer.at - time.time()) < 60


def test_a_lost_datagram_is_sent_again_until_it_is_answered() -> None:
    seen: list[int] = []

    def second_time(query: dns.message.Message, _wire: bytes) -> Reply | None:
        seen.append(query.id)
        return [] if len(seen) < 2 else None

    with serving(records={"firma.example": ["A 192.0.2.1"]}, special={"firma.example": second_time}) as server:
        (answer,) = ask(server, Question("firma.example", A))
    assert answer.records == ["192.0.2.1"]
    assert len(set(seen)) == 2


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(rcode(2), "servfail"), (rcode(4), "notimp"), (silence, "timeout")],
)
def test_a_lookup_that_fails_is_unknown_and_the_others_go_on(behaviour: Any, reason: str) -> None:
    with serving(records={"ok.example": ["A 192.0.2.1"]}, special={"bad.example": behaviour}) as server:
        bad, good = ask(server, Question("bad.example", A, tries=2), Question("ok.example", A))
    assert (bad.state, bad.reason) == ("unknown", reason)
    assert good.state == "found"


def test_a_refusal_is_asked_again_and_never_taken_for_no() -> None:
    left = [3]

    def sometimes(query: dns.message.Message, wire: bytes) -> Reply | None:
        left[0] -= 1
        return rcode(5)(query, wire) if left[0] >= 0 else None

    with serving(records={"firma.example": ["A 192.0.2.1"]}, special={"firma.example": sometimes}) as server:
        (answer,) = ask(server, Question("firma.example", A))
    assert answer.records == ["192.0.2.1"]


def test_a_truncated_answer_comes_whole_over_tcp_up_to_64_kilobytes() -> None:
    with serving(records={"big.example": [f"TXT {BIG}"]}) as server:
        (answer,) = ask(server, Question("big.example", TXT))
    assert answer.state == "found"
    assert len(answer.records[0]) == 250 * 258


def test_truncation_with_tcp_refused_is_unknown() -> None:
    with serving(tcp=False, everything=lambda query, _: [truncated(query)]) as server:
        (answer,) = ask(server, Question("big.example", TXT))
    assert (answer.state, answer.reason) == ("unknown", "tcp_refused")


def test_truncation_with_tcp_that_says_nothing_is_soon_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "_SECONDS", 0.2)
    with (
        serving(tcp=False, everything=lambda query, _: [truncated(query)]) as server,
        socket.create_server(("127.0.0.1", server.port)),
    ):
        started = time.monotonic()
        (answer,) = ask(server, Question("big.example", TXT))
    assert (answer.state, answer.reason) == ("unknown", "tcp_timeout")
    assert time.monotonic() - started < 1.5


def test_forged_answers_are_ignored_and_the_true_one_is_taken() -> None:
    def forged(query: dns.message.Message, wire: bytes) -> Reply:
        other_id = bytes([wire[0] ^ 0xFF, wire[1]]) + wire[2:]
        evil = dns.message.make_response(dns.message.make_query("evil.example", "A"))
        evil.id = query.id
        return [b"", b"\x00" * 5, other_id, evil.to_wire(), wire]

    with serving(records={"firma.example": ["A 192.0.2.1"]}, special={"firma.example": forged}) as server:
        (answer,) = ask(server, Question("firma.example", A))
    assert answer.records == ["192.0.2.1"]


def test_a_compression_loop_is_unknown() -> None:
    def looping(_query: dns.message.Message, wire: bytes) -> Reply:
        end = wire.index(b"\x00\x00\x01\x00\x01", 12) + 5
        head = wire[:6] + b"\x00\x01\x00\x00\x00\x00"
        pointer = bytes([0xC0, end & 255])
        return [head + wire[12:end] + pointer + b"\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x02\x03\x04"]

    with serving(records={"firma.example": ["A 192.0.2.1"]}, special={"firma.example": looping}) as server:
        (answer,) = ask(server, Question("firma.example", A, tries=2))
    assert (answer.state, answer.reason) == ("unknown", "malformed")


def test_an_alias_loop_across_answers_ends() -> None:
    def alias(target: str) -> Callable[[dns.message.Message, bytes], Reply]:
        def special(query: dns.message.Message, _wire: bytes) -> Reply:
            response = dns.message.make_response(query)
            name = query.question[0].name
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", target))
            return [response.to_wire()]

        return special

    special = {"a.example": alias("b.example."), "b.example": alias("a.example.")}
    with serving(special=special) as server:
        (answer,) = ask(server, Question("a.example", A))
        assert len(server.asked) < 20
    assert (answer.state, answer.reason) == ("unknown", "cname_loop")


def test_ids_and_ports_are_spread() -> None:
    records = {f"d{i}.example": ["A 192.0.2.1"] for i in range(150)}
    with serving(records=records) as server:
        answers = ask(server, *[Question(name, A) for name in list(records)[:90]])
        assert all(answer.state == "found" for answer in answers)
        assert len(set(server.ids)) > 80
        assert len(server.sources) > 12


def test_what_many_need_is_asked_once() -> None:
    def task() -> Task[str]:
        return (yield [Question("spf.provider.example", TXT, shared=True)])[0].state

    with serving(records={"spf.provider.example": ['TXT "v=spf1 -all"']}) as server:
        with Engine([parse_address(server.address)]) as engine:
            first = list(engine.run((i, task()) for i in range(40)))
            second = list(engine.run((i, task()) for i in range(40)))
        assert {end.result for end in first + second} == {"found"}
        assert len(server.asked) == 1


def test_a_dead_resolver_ends_soon_and_says_so() -> None:
    def task(name: str) -> Task[Answer]:
        return (yield [Question(name, A)])[0]

    with (
        serving(everything=silence) as server,
        Engine([parse_address(server.address)], patience=0.1, first_timeout=0.1) as engine,
    ):
        before = time.monotonic()
        ends = list(engine.run((i, task(f"d{i}.example")) for i in range(2000)))
        assert time.monotonic() - before < 60
    assert {end.result.state for end in ends} == {"unknown"}
    assert "resolver_dead" in {end.result.reason for end in ends}


def test_a_closed_port_is_found_out_at_once() -> None:
    def task(name: str) -> Task[Answer]:
        return (yield [Question(name, A)])[0]

    with serving() as server:
        port = server.port
    with Engine([Address("127.0.0.1", port)], patience=0.1, first_timeout=0.1) as engine:
        ends = list(engine.run((i, task(f"d{i}.example")) for i in range(50)))
    assert {end.result.state for end in ends} == {"unknown"}


def test_another_resolver_takes_over_from_one_that_is_silent() -> None:
    records = {f"d{i}.example": ["A 192.0.2.1"] for i in range(60)}
    with serving(everything=silence) as dead, serving(records=records) as alive:
        answers = ask([dead, alive], *[Question(name, A) for name in records])
    assert all(answer.state == "found" for answer in answers)


def test_a_task_cannot_ask_without_end() -> None:
    def endless() -> Task[int]:
        asked = 0
        while True:
            (answer,) = yield [Question(f"n{asked}.example", A)]
            asked += 1
            if answer.reason == "gave_up":
                return asked

    with serving() as server, Engine([parse_address(server.address)]) as engine:
        (end,) = engine.run([("x", endless())])
    assert end.result < 200


@pytest.mark.parametrize("text", ["resolver.example", "127.0.0.1:0", "127.0.0.1:99999", "", "1.2.3"])
def test_an_address_that_is_no_resolver_is_refused(text: str) -> None:
    from hunter_orchestration.errors import PermanentError

    with pytest.raises(PermanentError):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("9.9.9.9", "9.9.9.9", 53), ("127.0.0.1:5353", "127.0.0.1", 5353), ("[::1]:53", "::1", 53), ("::1", "::1", 53)],
)
def test_addresses_are_read(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host, port)


def test_without_a_way_to_the_resolver_lookups_end_as_unknown() -> None:
    """A broadcast address is refused by the system at once, as every address is without a network."""

    def task() -> Task[list[Answer]]:
        return (yield [Question("firma.example", A)])

    with Engine([Address("255.255.255.255")]) as engine:
        (answer,) = next(iter(engine.run([("x", task())]))).result
    assert answer.state == "unknown"
