"""Throw damaged and random input at the scanner's parsers: messages, SPF, DMARC, DKIM, names.

    python benchmarks/fuzz_scanner.py [--inputs 1000000] [--seed 1]

Half of the inputs are true records or messages with bytes changed, cut, doubled or swapped; the rest is put together
from pieces of the grammar, some of them stretched to the size of a message. A parser may refuse an input in its own
words; anything else ends the run with the seed and the input. A parser that takes long is a fault too: an input of more
than 20 ms of CPU time is shown and makes the run fail.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Callable

import dns.message
import dns.rrset

from hunter_orchestration.scanning import dkim, dmarc, spf, wire

SLOW_SECONDS = 0.02
LONGEST = 8000
NAME = "firma.example"
TEXTS = [
    b"v=spf1 include:spf.protection.outlook.com a mx/24 ip4:192.0.2.0/24 ip6:2001:db8::/32 exists:%{i}._spf.%{d2} ~all",
    b"v=spf1 redirect=_spf.yandex.net",
    b"v=DMARC1; p=quarantine; sp=none; pct=25; rua=mailto:a@b.example,mailto:c@d.example!10m; fo=1; adkim=s",
    b"v=DKIM1; k=rsa; t=y:s; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC7vbqajDw4o6gJy8UtmIbkcpnkO3Kwc4qsEnSZp",
    b"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
]
PIECES = (
    b"v=spf1 |V=SPF1|v=DMARC1;|v=DKIM1;| p=|p =|reject|none|quarantine|; |;|=|:|/|//|%{|}|%{d}|%{ir.}|%%|include:"
    b"|redirect=|exists:|a|mx|ptr|all|-|~|?|+|ip4:|ip6:|1.2.3.4|::1|/33|pct=|rua=mailto:|@|.example|k=rsa|AAAA|=="
    b"|\x00|\xff|\xc3\xbc|\t| "
).split(b"|")
RECORDS = {
    "MX": ["10 mx1.firma.example.", "20 mx2.other.example."],
    "TXT": ['"v=spf1 -all"', '"a" "b" "c"'],
    "A": ["192.0.2.1"],
    "AAAA": ["2001:db8::1"],
    "NS": ["ns1.firma.example."],
    "SOA": ["ns.firma.example. host.firma.example. 7 2 3 4 60"],
    "SRV": ["1 2 443 sip.firma.example."],
    "CNAME": ["alias.other.example."],
}
TYPES = {text: number for number, text in wire.TYPE_NAMES.items()}


def messages() -> list[tuple[bytes, int]]:
    """True answers of every type, and one with aliases."""
    found = []
    for kind, records in RECORDS.items():
        query = dns.message.make_query(NAME, kind)
        query.id = 7
        message = dns.message.make_response(query)
        message.answer.append(dns.rrset.from_text(NAME + ".", 300, "IN", kind, *records))
        soa = dns.rrset.from_text("example.", 300, "IN", "SOA", "ns.example. host.example. 1 2 3 4 60")
        message.authority.append(soa)
        found.append((message.to_wire(), TYPES[kind]))
    return found


def damaged(data: bytes, source: random.Random, start: int = 0) -> bytes:
    """The input with one to five small damages behind ``start``."""
    raw = bytearray(data)
    for _ in range(source.randrange(1, 6)):
        if len(raw) <= start:
            break
        at = source.randrange(start, len(raw))
        action = source.randrange(5)
        if action == 0:
            raw[at] = source.randrange(256)
        elif action == 1:
            del raw[at : at + source.randrange(1, 8)]
        elif action == 2:
            raw[at:at] = raw[start : start + source.randrange(1, 40)]
        elif action == 3:
            raw[at] = source.choice((0, 12, 63, 64, 127, 192, 193, 255))
        else:
            raw[at:at] = source.choice(PIECES)
    return bytes(raw)


def text(source: random.Random) -> bytes:
    if source.random() < 0.02:
        stretch = source.choice(PIECES) * source.randrange(1, 4000)
        whole = source.choice(TEXTS)
        at = source.randrange(len(whole))
        return damaged(whole[:at] + stretch[:LONGEST] + whole[at:], source)
    if source.random() < 0.5:
        return damaged(source.choice(TEXTS), source)
    return b"".join(source.choice(PIECES) for _ in range(source.randrange(24)))


def try_message(source: random.Random, true: list[tuple[bytes, int]]) -> bytes:
    data, qtype = source.choice(true)
    question = wire.encode_question(NAME, qtype)
    data = damaged(data, source, 2 if source.random() < 0.1 else 12 + len(question))
    with contextlib.suppress(wire.WireError):
        wire.parse_response(data, 7, question, NAME, qtype)
    return data


def try_record(source: random.Random, read: Callable[[wire.Answer], object]) -> bytes:
    data = text(source)
    answer = wire.Answer("found", "", 0)
    answer.records = [data, b"v=spf1 -all"][: source.randrange(1, 3)]
    read(answer)
    return data


def try_name(source: random.Random) -> bytes:
    data = text(source)
    name = data.decode("latin-1")
    for spelt in (name, data.decode("utf-8", "replace")):
        with contextlib.suppress(wire.WireError):
            wire.encode_name(spelt)
    spf.expand(name, NAME)
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    true = messages()
    tries: list[Callable[[random.Random], bytes]] = [
        lambda source: try_message(source, true),
        lambda source: try_record(source, lambda answer: spf.evaluate(NAME, answer, {})),
        lambda source: try_record(source, dmarc.read),
        lambda source: try_record(source, dkim.read),
        try_name,
    ]
    source = random.Random(options.seed)
    started = time.perf_counter()
    slowest, slow = 0.0, 0
    for number in range(options.inputs):
        before = time.thread_time()
        try:
            data = tries[number % len(tries)](source)
        except Exception:
            print(f"input {number} of seed {options.seed} broke a parser", file=sys.stderr)
            raise
        taken = time.thread_time() - before
        slowest = max(slowest, taken)
        if taken > SLOW_SECONDS:
            slow += 1
            print(f"input {number} of seed {options.seed} took {taken:.3f} s: {data[:80]!r}", file=sys.stderr)
    seconds = time.perf_counter() - started
    told = f"{slow} were slow" if slow else "none was slow"
    print(
        f"{options.inputs} inputs, none broke a parser, {told}; {seconds:.0f} s, slowest {slowest * 1000:.1f} ms of CPU"
    )
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
