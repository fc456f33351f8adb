"""The world's DNS: a resolver over UDP and TCP that knows every name of the world and nothing else.

Fault kinds of the service ``dns`` (``method`` is a record type, ``path`` is searched in the name):
    servfail, refused, nxdomain; timeout (no answer; with times null and no path a dead resolver); slow (seconds);
    forged_id (a forged answer with another id comes first); truncate (TC on every UDP answer); tcp_refused (TCP
    connections are reset); cname_loop; huge_txt (64 kB of TXT); wildcard (every name exists with TXT and A).
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from typing import Any

from hunter_orchestration.sandbox.dns_providers import GATEWAY_HOST, Records, provider_records, reverse_name
from hunter_orchestration.sandbox.dns_wire import (
    NOERROR,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    TYPE_NAMES,
    Answer,
    Query,
    name_of,
    parse_query,
    rdata,
    record,
    reply,
    soa,
    wire_name,
)
from hunter_orchestration.sandbox.faults import Fault, Faults
from hunter_orchestration.sandbox.names import mix
from hunter_orchestration.sandbox.world import World
from hunter_orchestration.sandbox.zone_policies import Zone
from hunter_orchestration.sandbox.zones import address_of, build_zone

KINDS = frozenset(
    {
        "servfail",
        "refused",
        "nxdomain",
        "timeout",
        "slow",
        "forged_id",
        "truncate",
        "cname_loop",
        "huge_txt",
        "wildcard",
    }
)
_ELSEWHERE = re.compile(
    r"(?:selector[12]-|dkim-)?(?P<dashed>[a-z0-9-]+)-(?P<tld>example|test)"
    r"\.(?:mail\.protection\.outlook\.com|[a-z]-v1\.mx\.microsoft|mcsv\.net|dmarc-vendor\.test"
    r"|_domainkey\.t\d+\.(?:onmicrosoft\.com|[a-z]-v1\.dkim\.mail\.microsoft))"
)
"""Names outside a company's domain that belong to it: where its DKIM, DMARC and MX records point to."""
_TTLS = (300, 3600, 14400, 86400)
_ZONES = 20_000
_ANSWERS = 200_000
_FORGED = Answer(NOERROR, 1, 0, record(None, "TXT", "v=spf1 include:forged.attacker.example -all", 86400))


class ServfailError(Exception):
    """The name's servers do not answer."""


class Resolver:
    """Finds answers for names of the world and remembers them."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self._providers = provider_records()
        self._overrides: dict[str, Records] = {}
        self._zones: OrderedDict[int, Zone] = OrderedDict()
        self._answers: dict[bytes, Answer] = {}

    def override(self, name: str, records: dict[str, list[Any]] | None) -> None:
        """Give a name other records than the world's; None gives it back.

        Raises:
            ValueError: data that can't be put on the wire.
        """
        name = name.lower().rstrip(".")
        if records is None:
            self._overrides.pop(name, None)
        else:
            known: Records = {kind.upper(): list(data) for kind, data in records.items()}
            for kind, values in known.items():
                for value in values:
                    rdata(kind, value)
            self._overrides[name] = known
        self._answers.clear()

    def forget(self) -> None:
        """Take all overrides back and forget all answers."""
        self._overrides.clear()
        self._answers.clear()

    def answer(self, query: Query) -> Answer:
        """The answer to a query, from memory when it was asked before."""
        found = self._answers.get(query.key)
        if found is None:
            if len(self._answers) > _ANSWERS:
                self._answers.clear()
            found = self._answers[query.key] = self._resolve(name_of(query.question), query.kind)
        return found

    def _resolve(self, name: str, kind: int) -> Answer:
        wanted = TYPE_NAMES.get(kind, "")
        body, count, owner, current = b"", 0, None, name
        seen = {name}
        try:
            while True:
                records, zone = self.records(current)
                ttl = _TTLS[mix(len(current) * 31 + self.world.seed) % len(_TTLS)]
                if records is None:
                    return Answer(NXDOMAIN, count, 1, body + soa(zone))
                data = records.get(wanted, [])
                if data:
                    parts = [record(owner, wanted, value, ttl) for value in data]
                    return Answer(NOERROR, count + len(parts), 0, body + b"".join(parts))
                targets = records.get("CNAME")
                if not targets:
                    return Answer(NOERROR, count, 1, body + soa(zone))
                target = str(targets[0]).lower().rstrip(".")
                body += record(owner, "CNAME", target, ttl)
                count += 1
                if target in seen:
                    return Answer(SERVFAIL, 0, 0, b"")
                seen.add(target)
                owner, current = wire_name(target), target
        except ServfailError:
            return Answer(SERVFAIL, 0, 0, b"")

    def records(self, name: str) -> tuple[Records | None, str]:
        """Records of a name (None: it does not exist) and the zone that says so.

        Raises:
            ServfailError: the zone does not answer.
        """
        overridden = self._overrides.get(name)
        if overridden is not None:
            return overridden, name
        provider = self._providers.get(name)
        if provider is not None:
            return provider, name
        labels = name.rsplit(".", 2)
        if labels[-1] in ("example", "test") and len(labels) > 1:
            index = self.world.company_index(".".join(labels[-2:]))
            if index is not None:
                return self._company_records(index, name), ".".join(labels[-2:])
        elsewhere = _ELSEWHERE.fullmatch(name)
        if elsewhere is not None:
            index = self.world.company_index(f"{elsewhere['dashed']}.{elsewhere['tld']}")
            return (self._zone(index).names.get(name) if index is not None else None), name.split(".", 1)[1]
        if GATEWAY_HOST.match(name):
            return {"A": [f"192.0.2.{mix(len(name) + sum(name.encode())) % 254 + 1}"]}, name
        if name.endswith(".in-addr.arpa"):
            return self._reverse(name), "in-addr.arpa"
        return None, labels[-1] if labels[-1] else "."

    def _zone(self, index: int) -> Zone:
        zone = self._zones.get(index)
        if zone is None:
            zone = self._zones[index] = build_zone(self.world.seed, index)
            if len(self._zones) > _ZONES:
                self._zones.popitem(last=False)
        return zone

    def _company_records(self, index: int, name: str) -> Records | None:
        zone = self._zone(index)
        if zone.truth.category == "servfail":
            raise ServfailError(name)
        if zone.truth.category == "nxdomain":
            return None
        found = zone.names.get(name)
        if found is not None:
            return found
        if name == zone.truth.domain or any(owner.endswith("." + name) for owner in zone.names):
            return {}
        if any(owner.endswith("." + name) for owner in self._overrides):
            return {}
        return {"TXT": [(zone.wildcard_txt,)]} if zone.wildcard_txt else None

    def _reverse(self, name: str) -> Records | None:
        octets = name.removesuffix(".in-addr.arpa").split(".")
        if len(octets) != 4 or not all(o.isdigit() and int(o) < 256 for o in octets):
            return None
        d, c, b, a = (int(o) for o in octets)
        index = (b - 18) << 16 | c << 8 | d
        if (
            a != 198
            or b not in (18, 19)
            or index >= len(self.world.companies)
            or reverse_name(address_of(index)) != name
        ):
            return None
        zone = self._zone(index)
        host = f"mail.{zone.truth.domain}"
        owned = zone.truth.provider == "Local" and host in zone.names and mix(index) % 10 < 6
        return {"PTR": [host]} if owned else None


class DnsServer:
    """Answers packets; the transports below hand them over."""

    def __init__(self, resolver: Resolver, faults: Faults) -> None:
        self.resolver = resolver
        self.faults = faults
        self._transports: list[asyncio.BaseTransport] = []
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen on UDP and TCP.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Tcp(self), host, port)
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(host, port))
        self._transports.append(transport)

    def stop(self) -> None:
        for transport in self._transports:
            transport.close()
        if self._server is not None:
            self._server.close()

    def replies(self, packet: bytes, *, tcp: bool) -> tuple[list[bytes], float]:
        """The messages to send for a packet, and after how many seconds."""
        query = parse_query(packet)
        if query is None:
            if len(packet) < 12 or packet[2] & 0x80:
                return [], 0
            return [packet[:2] + b"\x80\x81" + b"\x00" * 8], 0
        kind_name = TYPE_NAMES.get(query.kind, "other")
        self.faults.count("dns", kind_name)
        if self.faults.any("dns"):
            fault = self.faults.take("dns", kind_name, name_of(query.question), KINDS)
            if fault is not None:
                return self._faulty(fault, query, tcp)
        return [reply(query, self.resolver.answer(query), limited=not tcp)], 0

    def _faulty(self, fault: Fault, query: Query, tcp: bool) -> tuple[list[bytes], float]:
        def plain(rcode: int) -> tuple[list[bytes], float]:
            return [reply(query, Answer(rcode, 0, 0, b""), limited=not tcp)], 0

        true = self.resolver.answer(query)
        name = name_of(query.question)
        match fault.kind:
            case "timeout":
                return [], 0
            case "servfail":
                return plain(SERVFAIL)
            case "refused":
                return plain(REFUSED)
            case "nxdomain":
                return plain(NXDOMAIN)
            case "slow":
                return [reply(query, true, limited=not tcp)], float(fault.params.get("seconds", 1))
            case "forged_id":
                forged = Query(
                    bytes(o ^ 0x5A for o in query.id), 1, query.question, query.key, name, query.kind, 1232, query.edns
                )
                return [reply(forged, _FORGED, limited=not tcp), reply(query, true, limited=not tcp)], 0
            case "truncate":
                if tcp:
                    return [reply(query, true, limited=False)], 0
                message = bytearray(reply(query, Answer(true.rcode, 0, 0, b""), limited=False))
                message[2] |= 0x02
                return [bytes(message)], 0
            case "cname_loop":
                other = f"loop.{name}"
                body = record(None, "CNAME", other, 60) + record(wire_name(other), "CNAME", name, 60)
                return [reply(query, Answer(NOERROR, 2, 0, body), limited=not tcp)], 0
            case "huge_txt":
                body = record(None, "TXT", ("x" * 255,) * 253, 60)
                return [reply(query, Answer(NOERROR, 1, 0, body), limited=not tcp)], 0
        # wildcard: a resolver that knows every name, as hotel networks and some registries have it
        if true.answers:
            return [reply(query, true, limited=not tcp)], 0
        lies = {1: ("A", "198.51.100.66"), 16: ("TXT", "v=spf1 -all")}
        if query.kind not in lies:
            return plain(NOERROR)
        return [reply(query, Answer(NOERROR, 1, 0, record(None, *lies[query.kind], 60)), limited=not tcp)], 0

    def tcp_refused(self) -> bool:
        return self.faults.any("dns") and self.faults.take("dns", "TCP", "", {"tcp_refused"}) is not None


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self.server = server
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        messages, delay = self.server.replies(data, tcp=False)
        if delay:
            asyncio.get_running_loop().call_later(delay, self._send, messages, addr)
        else:
            self._send(messages, addr)

    def _send(self, messages: list[bytes], addr: Any) -> None:
        if self.transport is not None and not self.transport.is_closing():
            for message in messages:
                self.transport.sendto(message, addr)


class _Tcp(asyncio.Protocol):
    def __init__(self, server: DnsServer) -> None:
        self.server = server
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        if self.server.tcp_refused():
            assert self.transport is not None
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= 2:
            size = int.from_bytes(self.buffer[:2], "big")
            if len(self.buffer) < size + 2:
                return
            packet, self.buffer = self.buffer[2 : size + 2], self.buffer[size + 2 :]
            messages, delay = self.server.replies(packet, tcp=True)
            if delay:
                asyncio.get_running_loop().call_later(delay, self._send, messages)
            else:
                self._send(messages)

    def _send(self, messages: list[bytes]) -> None:
        if self.transport is not None and not self.transport.is_closing():
            for message in messages:
                self.transport.write(len(message).to_bytes(2, "big") + message)
