"""How fast the sandbox serves what the product reads: ``python benchmarks/sandbox.py [COMPANIES]``.

Prints start, memory, referrals a second (one connection, pages of 100, answers parsed) and DNS queries a second (50 in
flight), and the same referrals from a static list of the same pages served by the standard library's HTTP server, so
that the figure can be read against a peer of the same run.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dns.message
import orjson
import psutil
import requests

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox

PAGES = 200
IN_FLIGHT = 50


def pages(box: RunningSandbox) -> Iterator[bytes]:
    """Encoded list pages, oldest change first."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {box.access_token()}"
    link: str | None = box.partner_center + "/v1.0/engagements/referrals?$orderby=updatedDateTime asc"
    for _ in range(PAGES):
        if link is None:
            return
        content = session.get(link, timeout=60).content
        link = orjson.loads(content).get("@odata.nextLink")
        yield content


def peer(contents: list[bytes]) -> float:
    """Seconds that a static server takes for the same pages."""

    class Static(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = contents[int(self.path.lstrip("/"))]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the benchmark prints its own lines."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Static)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    session = requests.Session()
    started = time.perf_counter()
    for number in range(len(contents)):
        orjson.loads(session.get(f"http://127.0.0.1:{server.server_port}/{number}", timeout=60).content)
    seconds = time.perf_counter() - started
    server.shutdown()
    return seconds


def queries(box: RunningSandbox) -> list[bytes]:
    domains = [one["domain"] for one in box.call("GET", "/companies", limit=3_000)]
    plan = (("", "MX"), ("", "TXT"), ("_dmarc.", "TXT"), ("selector1._domainkey.", "TXT"), ("", "A"))
    return [dns.message.make_query(prefix + domain, kind).to_wire() for domain in domains for prefix, kind in plan]


def ask(box: RunningSandbox, packets: list[bytes]) -> float:
    """Seconds for all answers."""
    host, port = box.dns.split(":")
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    channel.connect((host, int(port)))
    channel.settimeout(2)
    started = time.perf_counter()
    sent = answered = 0
    while answered < len(packets):
        while sent < len(packets) and sent - answered < IN_FLIGHT:
            channel.send(packets[sent])
            sent += 1
        channel.recv(4096)
        answered += 1
    return time.perf_counter() - started


def main() -> None:
    companies = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    started = time.perf_counter()
    with running_sandbox(companies=companies) as box:
        figures: dict[str, object] = {"companies": companies, "start_s": round(time.perf_counter() - started, 2)}
        assert box.process is not None
        process = psutil.Process(box.process.pid)
        started = time.perf_counter()
        contents = list(pages(box))
        seconds = time.perf_counter() - started
        referrals = sum(len(orjson.loads(content)["value"]) for content in contents)
        figures["referrals_per_s"] = round(referrals / seconds)
        figures["share_of_static_server"] = round(peer(contents) / seconds, 2)
        packets = queries(box)
        figures["dns_cold_per_s"] = round(len(packets) / ask(box, packets))
        figures["dns_warm_per_s"] = round(len(packets) / ask(box, packets))
        figures["resident_mb"] = process.memory_info().rss >> 20
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
