"""DNS messages on the wire, as little of RFC 1035 and RFC 6891 as a fast answer needs."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Any

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
"""An OPT record that offers 1232 octets, the size resolvers agreed on in 2020."""
SERVER_LIMIT = 1232
_POINTER = b"\xc0\x0c"


@dataclass(slots=True)
class Query:
    """One parsed query. ``question`` is the question section as received; ``key`` the same in lower case."""

    id: bytes
    recursion: int
    question: bytes
    key: bytes
    name: str
    kind: int
    limit: int
    edns: bool


@dataclass(slots=True)
class Answer:
    """Everything of a reply that does not depend on who asks."""

    rcode: int
    answers: int
    authorities: int
    body: bytes


def parse_query(packet: bytes) -> Query | None:
    """Parse a query with one question; None when it is none."""
    if len(packet) < 17 or packet[2] & 0x80 or packet[4:6] != b"\x00\x01":
        return None
    at = 12
    size = len(packet)
    while True:
        length = packet[at]
        if length == 0:
            break
        at += length + 1
        if length > 63 or at >= size:
            return None
    end = at + 5
    if end > size:
        return None
    question = packet[12:end]
    edns = False
    limit = 512
    if packet[10:12] != b"\x00\x00" and packet[end : end + 3] == b"\x00\x00\x29" and end + 5 <= size:
        edns = True
        limit = max(512, min(SERVER_LIMIT, packet[end + 3] << 8 | packet[end + 4]))
    key = question[:-4].lower() + question[-4:]
    return Query(packet[:2], packet[2] & 1, question, key, "", question[-4] << 8 | question[-3], limit, edns)


def name_of(question: bytes) -> str:
    """The name of a question section, lower case, without the last dot."""
    labels, at = [], 0
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode("latin-1").lower())
        at += question[at] + 1
    return ".".join(labels)


def wire_name(name: str) -> bytes:
    """A name in wire form.

    Raises:
        ValueError: a label of more than 63 octets or an empty one.
    """
    name = name.rstrip(".")
    if not name:
        return b"\x00"
    out = bytearray()
    for label in name.split("."):
        raw = label.encode("latin-1")
        if not 0 < len(raw) < 64:
            raise ValueError(f"bad label in {name!r}")
        out += bytes((len(raw),)) + raw
    return bytes(out) + b"\x00"


def rdata(kind: str, data: Any) -> bytes:
    """Record data in wire form.

    Raises:
        ValueError: the data does not fit the type.
    """
    match kind:
        case "A" | "AAAA":
            return ipaddress.ip_address(data).packed
        case "MX":
            return struct.pack(">H", int(data[0])) + wire_name(data[1])
        case "TXT":
            strings = [data] if isinstance(data, str) else data
            raws = [s.encode("latin-1", "replace") for s in strings]
            parts = [raw[i : i + 255] for raw in raws for i in range(0, max(len(raw), 1), 255)]
            return b"".join(bytes((len(part),)) + part for part in parts)
        case "CNAME" | "NS" | "PTR":
            return wire_name(data)
        case "SRV":
            return struct.pack(">HHH", int(data[0]), int(data[1]), int(data[2])) + wire_name(data[3])
    raise ValueError(f"records of type {kind} can't be served")


def record(owner: bytes | None, kind: str, data: Any, ttl: int) -> bytes:
    """One resource record; owner None is the name that was asked for."""
    raw = rdata(kind, data)
    return (owner or _POINTER) + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(raw)) + raw


def soa(zone: str, ttl: int = 300) -> bytes:
    """The SOA record of a negative answer; ``ttl`` is how long it may be remembered (RFC 2308)."""
    raw = (
        wire_name("ns1.sandbox.test")
        + wire_name("hostmaster.sandbox.test")
        + struct.pack(">IIIII", 1, 7200, 900, 1209600, ttl)
    )
    return wire_name(zone) + struct.pack(">HHIH", 6, 1, ttl, len(raw)) + raw


def reply(query: Query, answer: Answer, *, limited: bool) -> bytes:
    """A whole message; over UDP (``limited``) what does not fit is cut and TC set."""
    tail = OPT if query.edns else b""
    extra = 1 if query.edns else 0
    if limited and 12 + len(query.question) + len(answer.body) + len(tail) > query.limit:
        head = struct.pack(">BBHHHH", 0x82 | query.recursion, 0x80 | answer.rcode, 1, 0, 0, extra)
        return query.id + head + query.question + tail
    head = struct.pack(
        ">BBHHHH", 0x80 | query.recursion, 0x80 | answer.rcode, 1, answer.answers, answer.authorities, extra
    )
    return query.id + head + query.question + answer.body + tail
