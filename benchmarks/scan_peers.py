"""A peer of the scanner, run by a Python that has it (an environment to throw away; Hunter depends on none of them).

    python benchmarks/scan_peers.py checkdmarc|pycares IP PORT < work.json

work.json holds ``domains`` and ``questions`` ([name, type], those that the scanner asked). Prints one JSON object:
wall and CPU seconds, domains, lookups.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

IN_FLIGHT = 400


def checkdmarc(work: dict[str, Any], host: str, port: int) -> int:
    """SPF, DMARC, MX, NS and more of each domain, one after another, as that tool does it."""
    import checkdmarc as peer
    import dns.resolver

    class Counting(dns.resolver.Resolver):
        asked = 0

        def resolve(self, *arguments: Any, **named: Any) -> Any:
            self.asked += 1
            return super().resolve(*arguments, **named)

    resolver = Counting(configure=False)
    resolver.nameservers, resolver.port = [host], port
    resolver.lifetime = resolver.timeout = 3.0
    for domain in work["domains"]:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            peer.check_domains([domain], resolver=resolver, skip_tls=True, timeout=3.0)
    return resolver.asked


def pycares(work: dict[str, Any], host: str, port: int) -> int:
    """The scanner's questions through c-ares, so many at a time."""
    import pycares as peer

    types = {name: getattr(peer, f"QUERY_TYPE_{name}") for name in ("A", "MX", "NS", "TXT", "PTR")}
    channel = peer.Channel(servers=[host], udp_port=port, tcp_port=port, timeout=3.0, tries=3, lookups="b")
    room = threading.Semaphore(IN_FLIGHT)
    for name, kind in work["questions"]:
        room.acquire()
        channel.query(name, types[kind], callback=lambda *_: room.release())
    for _ in range(IN_FLIGHT):
        room.acquire()
    channel.close()
    return len(work["questions"])


PEERS: dict[str, Callable[[dict[str, Any], str, int], int]] = {"checkdmarc": checkdmarc, "pycares": pycares}


def main() -> None:
    name, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    work = json.load(sys.stdin)
    PEERS[name]({"domains": work["domains"][:1], "questions": work["questions"][:1]}, host, port)
    wall, cpu = time.perf_counter(), time.process_time()
    lookups = PEERS[name](work, host, port)
    told = {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "domains": len(work["domains"]),
        "lookups": lookups,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
