"""Referrals per second, peak memory, requests and rows touched, at several sizes of the store.

Usage: python benchmarks/ingestion.py [--sizes 1000,100000] [--changes 200] [--database URL]

Three runs a size, each in a process of its own: a first sync, a second one with nothing changed, and one tick with a
few changes. Beside them, in the same run and against the same service, a naive peer: one page a transaction, one
look-up and one write a row. The service is a page server on loopback that answers from prepared bytes, so that what is
measured is Hunter, not the stand-in. ``--database`` names an empty PostgreSQL database; its tables are dropped first.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import psutil

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
PAGE = 100
NAIVE_ROWS = 1_000


def referral(number: int, version: int = 0, at: int | None = None) -> dict[str, Any]:
    """An invented referral of ordinary size; the stamps of two numbers are a minute apart."""
    stamp = (EPOCH + timedelta(minutes=number if at is None else at)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    return {
        "id": f"00000000-0000-4000-8000-{number:012x}",
        "engagementId": f"10000000-0000-4000-8000-{number:012x}",
        "name": f"Deal {number}",
        "organizationId": "c4b965db-cca9-59f3-9c3d-e07a2e4fa44d",
        "createdDateTime": stamp,
        "updatedDateTime": stamp,
        "expirationDateTime": None,
        "status": "Active" if version else "New",
        "substatus": "Accepted" if version else "Pending",
        "qualification": "SalesQualified",
        "type": "Shared",
        "direction": "Incoming",
        "eTag": f'"{number}-{version}"',
        "mpnId": "1000001",
        "tags": [],
        "customerProfile": {
            "name": f"Company {number} A.Ş.",
            "size": "10to50employees",
            "address": {"addressLine1": "Cadde 1", "city": "İzmir", "state": None, "country": "TR"},
            "team": [{"firstName": "Ada", "lastName": "Örnek", "email": f"ada@company{number}.example"}],
            "ids": [{"profileType": "External", "id": f"1-{number}"}],
        },
        "consent": {"consentToToShareInfoWithOthers": True, "consentToContact": True},
        "details": {
            "notes": "Wants to move its mail.",
            "dealValue": 1000 + number,
            "currency": "TRY",
            "requirements": {"products": [{"id": "Microsoft365"}], "services": [], "solutions": []},
        },
        "team": [],
        "inviteContext": {"invitedBy": {"organizationId": "msft", "organizationName": "Microsoft"}},
    }


class Pages(BaseHTTPRequestHandler):
    """Pages of ``total`` referrals in the order of their stamps, the last ``changes`` numbers changed after them."""

    protocol_version = "HTTP/1.1"
    total, changes, version = 0, 0, 0

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if self.path.startswith("/set"):
            Pages.total, Pages.changes, Pages.version = (
                int(query["total"]),
                int(query["changes"]),
                int(query["version"]),
            )
            self._send(b"{}")
            return
        if "$skiptoken" in query:
            first = int(query["$skiptoken"])
        else:
            first = self._first(query.get("$filter", ""))
        if "desc" in query.get("$orderby", ""):
            self._send(orjson.dumps({"value": [self._row(self.total - 1)] if self.total else []}))
            return
        rows = [self._row(position) for position in range(first, min(first + PAGE, self.total))]
        body: dict[str, Any] = {"value": rows}
        if first + PAGE < self.total:
            host = self.headers["Host"]
            body["@odata.nextLink"] = f"http://{host}/v1.0/engagements/referrals?$skiptoken={first + PAGE}"
        self._send(orjson.dumps(body))

    def _row(self, position: int) -> dict[str, Any]:
        # Changed referrals are the first ones, moved behind all others.
        number = (position + self.changes) % self.total
        moved = number < self.changes
        return referral(number, self.version if moved else 0, self.total + number if moved else None)

    def _first(self, condition: str) -> int:
        if " ge " not in condition:
            return 0
        minute = (datetime.fromisoformat(condition.split(" ge ")[1].split(" ")[0]) - EPOCH) / timedelta(minutes=1)
        return max(0, int(minute) - self.changes)

    def _send(self, content: bytes) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        return


def serve(pipe: Any) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    pipe.send(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.recv()


class Peak:
    """Most memory of our own, in MB, as seen after each page and chunk: SQLite's mapping of its file is not counted."""

    def __init__(self) -> None:
        self.highest = 0.0
        self._process = psutil.Process()

    def __call__(self, _done: int, _total: int | None) -> None:
        memory = self._process.memory_info()
        self.highest = max(self.highest, (memory.rss - memory.shared) / 2**20)


class Bearer:
    def token(self, *, force: bool = False) -> str:
        return "benchmark"


def sync(port: int, database: str, pipe: Any) -> None:
    """One sync in a process of its own."""
    from hunter_orchestration.partner_center.client import PartnerCenterClient
    from hunter_orchestration.partner_center.ingestion import changed_since_watermark, fetch
    from hunter_orchestration.partner_center.reading import read_referrals
    from hunter_orchestration.settings import Settings
    from hunter_orchestration.store import Store

    store = Store(database)
    client = PartnerCenterClient(Settings(partner_center_url=f"http://127.0.0.1:{port}"), Bearer())
    peak = Peak()
    began = time.perf_counter()
    decision = changed_since_watermark(store, client)
    decided = client.requests
    fetched = fetch(store, client, progress=peak)
    fetched_seconds = time.perf_counter() - began
    taken = read_referrals(store, progress=peak)
    seconds = time.perf_counter() - began
    pipe.send(
        {
            "run": decision.run,
            "tick_requests": decided,
            "seconds": seconds,
            "fetch_seconds": fetched_seconds,
            "requests": fetched.facts["requests"],
            "fetched": fetched.counts["fetched"],
            "touched": fetched.counts["stored"] + taken.counts["stored"],
            "peak_mb": peak.highest,
        }
    )


def resync(port: int, database: str, pipe: Any) -> None:
    """Everything again with nothing changed: what a backfill of all days does to an unchanged list."""
    from hunter_orchestration.partner_center.client import PartnerCenterClient
    from hunter_orchestration.partner_center.ingestion import fetch
    from hunter_orchestration.settings import Settings
    from hunter_orchestration.store import Store
    from hunter_orchestration.store.work import Window

    store = Store(database)
    client = PartnerCenterClient(Settings(partner_center_url=f"http://127.0.0.1:{port}"), Bearer())
    peak = Peak()
    began = time.perf_counter()
    fetched = fetch(store, client, window=Window(EPOCH, EPOCH + timedelta(days=3650)), progress=peak)
    pipe.send(
        {
            "seconds": time.perf_counter() - began,
            "requests": fetched.facts["requests"],
            "fetched": fetched.counts["fetched"],
            "touched": fetched.counts["stored"],
            "peak_mb": peak.highest,
        }
    )


def naive(port: int, database: str, pipe: Any) -> None:
    """The peer: reads the same pages, and looks up, reads and writes each referral by itself."""
    import requests

    from hunter_orchestration.partner_center.models import read
    from hunter_orchestration.store import Store, referrals

    store = Store(database)
    session = requests.Session()
    url: str | None = f"http://127.0.0.1:{port}/v1.0/engagements/referrals?$orderby=updatedDateTime asc"
    began, rows = time.perf_counter(), 0
    now = datetime.now(UTC)
    while url and rows < NAIVE_ROWS:
        body = session.get(url, timeout=60).json()
        for payload in body["value"]:
            record = read(payload)
            with store.write() as connection:
                referrals.standing(connection, [record.id])
                row = {name: getattr(record, name) for name in record.__slots__}
                referrals.save(connection, [row | {"raw_lead_id": 0, "synced_at": now, "company_due_at": now}], [])
            rows += 1
        url = body.get("@odata.nextLink")
    pipe.send({"seconds": time.perf_counter() - began, "fetched": rows})


def apart(work: Callable[..., None], *arguments: Any) -> dict[str, Any]:
    """Run in a fresh process, so that its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(*arguments, theirs))
    process.start()
    result: dict[str, Any] = ours.recv()
    process.join()
    return result


def fresh(database: str) -> None:
    from sqlalchemy import text

    from hunter_orchestration.store import Store
    from hunter_orchestration.store.migrate import upgrade

    store = Store(database)
    if store.dialect == "postgresql":
        with store.write() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    upgrade(store)
    store.close()


def rate(result: dict[str, Any]) -> float:
    return float(result["fetched"] / result["seconds"])


def line(size: int, name: str, result: dict[str, Any], peer: dict[str, Any]) -> None:
    print(
        f"{size:>9,} {name:<18} {result['fetched']:>9,} rows {rate(result):>9,.0f}/s {result['requests']:>6,} requests "
        f"{result['touched']:>9,} touched  {result['peak_mb']:>5.0f} MB  {rate(result) / rate(peer):>6.1f} x naive",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="1000,100000", help="stored referrals, with commas; 1000000 takes minutes")
    parser.add_argument("--changes", type=int, default=200, help="referrals changed before the last run")
    parser.add_argument("--database", default="", help="URL of a PostgreSQL database to empty and use; default SQLite")
    parser.add_argument("--json", action="store_true", help="also print each result as a JSON line")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    import requests

    def state(total: int, changes: int, version: int) -> None:
        requests.get(f"http://127.0.0.1:{port}/set?total={total}&changes={changes}&version={version}", timeout=10)

    for size in (int(part) for part in options.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            database = options.database or f"sqlite:///{Path(folder) / 'hunter.db'}"
            fresh(database)
            state(size, 0, 0)
            peer = apart(naive, port, database)
            print(f"{size:>9,} naive peer         {peer['fetched']:>9,} rows {rate(peer):>9,.0f}/s")
            fresh_folder = Path(folder) / "second.db"
            database = options.database or f"sqlite:///{fresh_folder}"
            fresh(database)
            results = {"first sync": apart(sync, port, database), "all unchanged": apart(resync, port, database)}
            results["tick, no change"] = apart(sync, port, database)
            changes = min(options.changes, size // 2)
            state(size, changes, 1)
            results[f"tick, {changes} changed"] = apart(sync, port, database)
            for name, result in results.items():
                line(size, name, result, peer)
                if options.json:
                    print(json.dumps({"stored": size, "name": name, **result}))
            assert results["tick, no change"]["run"] is False
            assert results["tick, no change"]["tick_requests"] == 1
    ours.send(None)
    server.join(5)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
