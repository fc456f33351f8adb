"""An authoritative server on loopback that answers what a test tells it to, with real packets over UDP and TCP."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Reply = list[bytes]
Special = Callable[[dns.message.Message, bytes], Reply | None]
"""Gets the query and a well-formed answer to it; gives the datagrams to send instead, or None for that answer."""


@dataclass
class LoopbackDns:
    """``records`` maps a name to its records as ``TYPE rdata`` texts; ``special`` a name to its odd behaviour."""

    records: dict[str, list[str]] = field(default_factory=dict)
    special: dict[str, Special] = field(default_factory=dict)
    everything: Special | None = None
    tcp: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    sources: set[int] = field(default_factory=set)
    ids: list[int] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, query: dns.message.Message) -> bytes:
        """Records of the name, following aliases; NXDOMAIN with an SOA where neither the name nor a child exists."""
        response = dns.message.make_response(query)
        question = query.question[0]
        name = question.name.to_text().rstrip(".").lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        hops = 0
        while hops < 12:
            texts = self.records.get(name, self._wildcard(name))
            alias = [text for text in texts if text.startswith("CNAME ")]
            if not alias or kind == "CNAME":
                break
            response.answer.append(dns.rrset.from_text(f"{name}.", 300, "IN", "CNAME", alias[0][6:]))
            name = alias[0][6:].rstrip(".").lower()
            hops += 1
        found = [text.partition(" ")[2] for text in texts if text.startswith(kind + " ")]
        if found:
            response.answer.append(dns.rrset.from_text(f"{name}.", 300, "IN", kind, *found))
        else:
            if not texts and not any(other.endswith("." + name) for other in self.records):
                response.set_rcode(dns.rcode.NXDOMAIN)
            zone = ".".join(name.split(".")[-2:]) or "root.example"
            soa = dns.rrset.from_text(f"{zone}.", 300, "IN", "SOA", f"ns.{zone}. host.{zone}. 1 2 3 4 60")
            response.authority.append(soa)
        response.flags |= dns.flags.RA
        return response.to_wire(max_size=65535)

    def _wildcard(self, name: str) -> list[str]:
        if any(other.endswith("." + name) for other in self.records):
            return []
        parent = name.partition(".")[2]
        while parent:
            if "*." + parent in self.records:
                return self.records["*." + parent]
            if parent in self.records:
                return []
            parent = parent.partition(".")[2]
        return []

    def replies(self, data: bytes, *, udp: bool) -> Reply:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text().rstrip(".").lower()
        self.asked.append((name, dns.rdatatype.to_text(query.question[0].rdtype)))
        self.ids.append(query.id)
        wire = self.answer(query)
        special = self.special.get(name, self.everything)
        if special is not None and udp:
            sent = special(query, wire)
            if sent is not None:
                return sent
        if udp and len(wire) > max(query.payload, 512):
            return [truncated(query)]
        return [wire]


def truncated(query: dns.message.Message) -> bytes:
    """An empty answer with the TC bit."""
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC
    return response.to_wire()


def rcode(code: int) -> Special:
    """Always this response code."""

    def special(query: dns.message.Message, _wire: bytes) -> Reply:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.Rcode(code))
        return [response.to_wire()]

    return special


def silence(_query: dns.message.Message, _wire: bytes) -> Reply:
    """No answer at all."""
    return []


@contextmanager
def serving(**options: object) -> Iterator[LoopbackDns]:
    """A running server on a free port of loopback."""
    server = LoopbackDns(**options)  # type: ignore[arg-type]
    udp, tcp = _pair(server.tcp)
    server.port = udp.getsockname()[1]
    stop = threading.Event()
    threads = [threading.Thread(target=_serve_udp, args=(server, udp, stop))]
    if tcp is not None:
        threads.append(threading.Thread(target=_serve_tcp, args=(server, tcp, stop)))
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        udp.close()
        if tcp is not None:
            tcp.close()


def _pair(with_tcp: bool) -> tuple[socket.socket, socket.socket | None]:
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(0.05)
        if not with_tcp:
            return udp, None
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            tcp.bind(udp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
            continue
        tcp.listen(16)
        tcp.settimeout(0.05)
        return udp, tcp


def _serve_udp(server: LoopbackDns, sock: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            data, source = sock.recvfrom(65535)
        except TimeoutError:
            continue
        server.sources.add(source[1])
        for reply in server.replies(data, udp=True):
            sock.sendto(reply, source)


def _serve_tcp(server: LoopbackDns, listener: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with connection:
            connection.settimeout(2)
            size = struct.unpack(">H", connection.recv(2))[0]
            data = connection.recv(size)
            reply = server.replies(data, udp=False)[0]
            connection.sendall(struct.pack(">H", len(reply)) + reply)
