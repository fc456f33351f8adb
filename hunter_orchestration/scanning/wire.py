"""The DNS message codec of the scanner: queries out, answers in (RFC 1035, EDNS of RFC 6891).

Only what a stub resolver needs: one question a message, the answer section followed along its CNAMEs, the SOA of a
negative answer. Every length is checked, names can't loop, and nothing here touches a socket.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any, Literal

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, DS, DNSKEY = 1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 48
TYPE_NAMES = {
    A: "A",
    NS: "NS",
    CNAME: "CNAME",
    SOA: "SOA",
    PTR: "PTR",
    MX: "MX",
    TXT: "TXT",
    AAAA: "AAAA",
    SRV: "SRV",
    DS: "DS",
    DNSKEY: "DNSKEY",
}
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
EDNS_SIZE = 1232

State = Literal["found", "absent", "unknown"]

_OPT = b"\x00\x00\x29" + struct.pack(">HIH", EDNS_SIZE, 0, 0)
_HEAD_EDNS = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
_HEAD_PLAIN = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
_SAFE = b"abcdefghijklmnopqrstuvwxyz0123456789-_ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_RR = struct.Struct(">HHIH")
_HEADER = struct.Struct(">HHHHHH")
_OPT_TYPE, _EDE_OPTION = 41, 15
# RFC 8914: 6 to 12 are DNSSEC failures, 22 no reachable authority, 23 network error.
_EXTENDED_ERRORS = {**dict.fromkeys(range(6, 13), "dnssec"), 22: "lame", 23: "lame"}
_MAX_HOPS = 16
_MAX_TTL = 7 * 86400


class WireError(ValueError):
    """The message is not well-formed DNS."""


class ForeignMessageError(WireError):
    """The message does not answer the question asked: somebody else's, or forged."""


class Answer:
    """What one lookup gave.

    Attributes:
        state: ``found``; ``absent`` (the DNS said so); ``unknown`` (the lookup failed).
        reason: ``nxdomain`` or ``nodata`` when absent; why when unknown: timeout, servfail, refused, truncated,
            cname_loop, malformed, resolver_dead, gave_up …; empty when found.
        records: by type: A, AAAA, NS, CNAME, PTR text; MX ``(preference, host)``; TXT the joined bytes;
            SOA ``(primary, mailbox, serial, minimum)``; SRV ``(priority, weight, port, host)``; else the raw bytes.
            Names are lower case without the final dot, odd bytes escaped as in zone files.
        ttl: seconds, of the shortest-lived record that led here; of the negative answer's SOA when absent.
        cnames: targets in order, when the name was an alias.
        rcode: the response code; -1 without a response.
        truncated: the message had its TC bit set.
        chase: name still to be looked up because the resolver stopped at an alias.
        resolver: who answered, ``host:port``. at: POSIX time of the answer.
    """

    __slots__ = ("at", "chase", "cnames", "rcode", "reason", "records", "resolver", "soa", "state", "truncated", "ttl")

    def __init__(self, state: State, reason: str = "", rcode: int = -1) -> None:
        self.state: State = state
        self.reason = reason
        self.rcode = rcode
        self.records: list[Any] = []
        self.cnames: list[str] = []
        self.ttl = 0
        self.soa: str = ""
        self.truncated = False
        self.chase = ""
        self.resolver = ""
        self.at = 0.0


def _end(qtype: int) -> bytes:
    return bytes((qtype >> 8, qtype & 255, 0, 1))


_ENDS = {qtype: _end(qtype) for qtype in TYPE_NAMES}


def encode_name(name: str) -> bytes:
    """The wire form of an ASCII name.

    Raises:
        WireError: a label is empty or longer than 63 bytes, the name longer than 255, or not ASCII.
    """
    label, dot, rest = name.partition(".")
    wire = _label(label) + _encoded(rest) if dot and label else _encoded(name)
    if len(wire) > 255:
        raise WireError(f"a name of {len(wire)} bytes")
    return wire


def _label(label: str) -> bytes:
    if not label.isascii():
        raise WireError(f"not an ASCII name: {label!r}")
    size = len(label)
    if not 0 < size < 64:
        raise WireError(f"a label of {size} bytes")
    return b"%c%b" % (size, label.encode())


@lru_cache(maxsize=4096)
def _encoded(name: str) -> bytes:
    """The names of one domain share their ends, so these are kept for a while."""
    if name in ("", "."):
        return b"\x00"
    return b"".join(map(_label, name.removesuffix(".").split("."))) + b"\x00"


def encode_question(name: str, qtype: int) -> bytes:
    """The question section for a name and type, class IN.

    Raises:
        WireError: as ``encode_name``.
    """
    return encode_name(name) + (_ENDS.get(qtype) or _end(qtype))


def encode_query(message_id: int, question: bytes, *, edns: bool = True) -> bytes:
    """A recursive query with a question of ``encode_question``."""
    head = bytes((message_id >> 8, message_id & 255))
    return head + _HEAD_EDNS + question + _OPT if edns else head + _HEAD_PLAIN + question


def read_name(data: bytes, offset: int, asked: str = "") -> tuple[str, int]:
    """The name at an offset and the offset behind it.

    Compression pointers must point backwards (RFC 1035 section 4.1.4), which makes loops impossible.

    Args:
        asked: the name of the question, lower case, which most pointers lead into; it needs no reading again.

    Raises:
        WireError: out of bounds, a forward pointer, a reserved label type, or over 255 bytes.
    """
    parts: list[str] = []
    behind = -1
    size = 1
    limit = offset
    try:
        while True:
            length = data[offset]
            if length == 0:
                return ".".join(parts), (offset + 1 if behind < 0 else behind)
            if length >= 192:
                target = (length & 63) << 8 | data[offset + 1]
                if behind < 0:
                    behind = offset + 2
                if target >= limit:
                    raise WireError("a compression pointer that does not point backwards")
                at = target - 12
                if 0 <= at < len(asked) and (at == 0 or asked[at - 1] == "."):
                    if size + len(asked) - at + 1 > 255:
                        raise WireError("a label or name out of bounds")
                    parts.append(asked[at:])
                    return ".".join(parts), behind
                offset = limit = target
                continue
            if length >= 64:
                raise WireError(f"reserved label type {length >> 6}")
            end = offset + 1 + length
            label = data[offset + 1 : end]
            size += length + 1
            if len(label) != length or size > 255:
                raise WireError("a label or name out of bounds")
            parts.append(_escaped(label) if label.translate(None, _SAFE) else label.decode().lower())
            offset = end
    except IndexError:
        raise WireError("a name runs over the end") from None


def _escaped(label: bytes) -> str:
    parts = []
    for byte in label.lower():
        if byte in b'".;\\@$()':
            parts.append(f"\\{byte:c}")
        elif 33 <= byte < 127:
            parts.append(chr(byte))
        else:
            parts.append(f"\\{byte:03d}")
    return "".join(parts)


def parse_response(data: bytes, message_id: int, question: bytes, name: str, qtype: int) -> Answer:
    """The answer a message gives to our question.

    Args:
        data: the message as received.
        message_id: of the query. question: its question section. name: its name, lower case.
        qtype: the type asked for.

    Raises:
        ForeignMessageError: id, flags or question are not those of our query; to be ignored.
        WireError: malformed.
    """
    if len(data) < 12:
        raise ForeignMessageError("shorter than a header")
    got_id, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(data)
    if got_id != message_id or flags & 0xF800 != 0x8000:
        raise ForeignMessageError("another message's id, or not a response")
    offset = 12 + len(question)
    echoed = data[12:offset]
    if questions != 1 or (echoed != question and echoed.lower() != question.lower()):
        raise ForeignMessageError("another question")
    rcode = flags & 15
    if rcode not in (NOERROR, NXDOMAIN):
        reason = {SERVFAIL: "servfail", REFUSED: "refused", FORMERR: "formerr", NOTIMP: "notimp"}.get(
            rcode, f"rcode_{rcode}"
        )
        if rcode == SERVFAIL:
            reason = _EXTENDED_ERRORS.get(_extended_error(data, offset, answers + authorities + additionals), reason)
        return Answer("unknown", reason, rcode)
    if flags & 0x0200:
        answer = Answer("unknown", "truncated", rcode)
        answer.truncated = True
        return answer
    try:
        return _parsed(data, offset, answers, authorities, rcode, name, qtype)
    except (struct.error, IndexError):
        raise WireError("a record runs over the end") from None


def _extended_error(data: bytes, offset: int, records: int) -> int:
    """The extended error code (RFC 8914) of a message, -1 without one. What can't be read says nothing."""
    try:
        for _ in range(records):
            _, offset = read_name(data, offset)
            rtype, _, _, length = _RR.unpack_from(data, offset)
            offset += 10
            end = offset + length
            while rtype == _OPT_TYPE and offset + 6 <= end:
                option, size = struct.unpack_from(">HH", data, offset)
                if option == _EDE_OPTION:
                    return int.from_bytes(data[offset + 4 : offset + 6], "big")
                offset += 4 + size
            offset = end
    except (WireError, struct.error):
        return -1
    return -1


def _parsed(data: bytes, offset: int, answers: int, authorities: int, rcode: int, name: str, qtype: int) -> Answer:
    found: dict[str, tuple[list[Any], int]] = {}
    aliases: dict[str, tuple[str, int]] = {}
    size = len(data)
    for _ in range(answers):
        if data[offset] == 192 and data[offset + 1] == 12:
            owner = name
            offset += 2
        else:
            owner, offset = read_name(data, offset, name)
        rtype, rclass, ttl, length = _RR.unpack_from(data, offset)
        offset += 10
        end = offset + length
        if end > size:
            raise WireError("a record runs over the end")
        if rclass == 1:
            if ttl > _MAX_TTL:
                ttl = 0 if ttl > 0x7FFFFFFF else _MAX_TTL
            if rtype == qtype:
                value = _rdata(data, offset, end, rtype, name)
                if owner in found:
                    records, least = found[owner]
                    records.append(value)
                    if ttl < least:
                        found[owner] = records, ttl
                else:
                    found[owner] = [value], ttl
            elif rtype == CNAME and owner not in aliases:
                target, behind = read_name(data, offset, name)
                if behind != end:
                    raise WireError("an alias of the wrong length")
                aliases[owner] = target, ttl
        offset = end
    answer = Answer("found", "", rcode)
    least_ttl = _MAX_TTL
    current = name
    while current in aliases and current not in found:
        current, ttl = aliases[current]
        least_ttl = min(least_ttl, ttl)
        answer.cnames.append(current)
        if len(answer.cnames) > _MAX_HOPS or current == name:
            answer.state, answer.reason = "unknown", "cname_loop"
            return answer
    if current in found:
        answer.records, ttl = found[current]
        answer.ttl = min(least_ttl, ttl)
        return answer
    answer.soa, negative_ttl = _negative(data, offset, authorities, name)
    answer.ttl = min(least_ttl, negative_ttl)
    if rcode == NOERROR and answer.cnames and not answer.soa:
        answer.chase = current
    answer.state = "absent"
    answer.reason = "nxdomain" if rcode == NXDOMAIN else "nodata"
    return answer


def _negative(data: bytes, offset: int, authorities: int, name: str) -> tuple[str, int]:
    """Owner of the SOA in the authority section and the time a negative answer lives (RFC 2308)."""
    for _ in range(authorities):
        start = offset
        offset = offset + 2 if data[offset] >= 192 else read_name(data, offset)[1]
        rtype, _, ttl, length = _RR.unpack_from(data, offset)
        offset += 10
        if rtype == SOA:
            if length < 20 or offset + length > len(data):
                raise WireError("an SOA of the wrong length")
            minimum = int.from_bytes(data[offset + length - 4 : offset + length], "big")
            return read_name(data, start, name)[0] or ".", min(ttl, minimum, _MAX_TTL)
        offset += length
    return "", 0


def _rdata(data: bytes, offset: int, end: int, rtype: int, name: str) -> Any:
    if rtype == TXT:
        if offset + 1 + data[offset] == end:
            return data[offset + 1 : end]
        parts = []
        while offset < end:
            start = offset + 1
            offset = start + data[offset]
            parts.append(data[start:offset])
        if offset != end:
            raise WireError("a string runs over its record")
        return b"".join(parts)
    if rtype == MX:
        host, behind = read_name(data, offset + 2, name)
        if behind != end:
            raise WireError("an MX of the wrong length")
        return data[offset] << 8 | data[offset + 1], host
    if rtype == A:
        if end - offset != 4:
            raise WireError("an address of the wrong length")
        return ".".join(map(str, data[offset:end]))
    if rtype in (NS, CNAME, PTR):
        host, behind = read_name(data, offset, name)
        if behind != end:
            raise WireError("a name of the wrong length")
        return host
    if rtype == AAAA:
        if end - offset != 16:
            raise WireError("an address of the wrong length")
        return str(IPv6Address(data[offset:end]))
    if rtype == SOA:
        primary, offset = read_name(data, offset, name)
        mailbox, offset = read_name(data, offset, name)
        if end - offset != 20:
            raise WireError("an SOA of the wrong length")
        serial, _, _, _, minimum = struct.unpack_from(">IIIII", data, offset)
        return primary, mailbox, serial, minimum
    if rtype == SRV:
        priority, weight, port = struct.unpack_from(">HHH", data, offset)
        host, behind = read_name(data, offset + 6, name)
        if behind != end:
            raise WireError("an SRV of the wrong length")
        return priority, weight, port, host
    return data[offset:end]


def shown(record: Any, qtype: int) -> str:
    """A record as text for people and evidence; control characters and NUL replaced."""
    if isinstance(record, bytes):
        text = record.decode("utf-8", "replace") if qtype == TXT else record.hex()
        return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)
    if isinstance(record, tuple):
        return " ".join(str(part) if part != "" else "." for part in record)
    return str(record)
