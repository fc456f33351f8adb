"""First syncs and ticks of Partner Center's referrals: rates, requests, rows written, peak memory.

Usage: python -m benchmarks.ingestion [--first 5000] [--sizes 1000,100000,1000000] [--changes 200] [--postgresql]

First an empty store is filled by a sync, beside a naive peer against the same service: one look-up and one write a row,
a row a transaction. Then, at each size, a store that holds so many referrals already (filled past Hunter's own way of
writing, which would take longer) is read over once with nothing changed, and ticks twice: nothing changed, and
``--changes`` referrals changed. Every measurement is a process of its own; "written" counts the rows that INSERT,
UPDATE and DELETE statements report, triggers aside. The service answers from a process of its own as well.

A million stored referrals take about four minutes in all. ``--postgresql`` starts a server of its own;
``--database`` names a PostgreSQL database to empty and use instead.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ingestion_pages import EPOCH, serve

NAIVE_ROWS = 1_000
OLD_FIRST, OLD_UNCHANGED = 26, 36
"""Referrals a second of the system that Hunter replaces, as it was measured there."""


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

    def refused(self, error: Exception) -> None:
        raise error


def counting(store: Any) -> list[int]:
    """A list whose only number grows with each row that a statement writes, bookkeeping of leases aside."""
    from sqlalchemy import event

    written = [0]

    def count(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        verb, *rest = statement.split(None, 3)
        if verb in ("INSERT", "UPDATE", "DELETE") and not {"leases", "watermarks"} & set(rest):
            written[0] += max(0, cursor.rowcount)

    event.listen(store.engine, "after_cursor_execute", count)
    return written


def sync(port: int, database: str, pipe: Any) -> None:
    """What a tick does: asks, and when there is something fetches, reads and ties it to companies."""
    from hunter_orchestration.companies import stage
    from hunter_orchestration.partner_center.client import PartnerCenterClient
    from hunter_orchestration.partner_center.ingestion import changed_since_watermark, fetch
    from hunter_orchestration.partner_center.reading import read_referrals
    from hunter_orchestration.settings import load_settings
    from hunter_orchestration.store import Store

    store = Store(database)
    client = PartnerCenterClient(load_settings(partner_center_url=f"http://127.0.0.1:{port}"), Bearer())
    written, peak, marks = counting(store), Peak(), [time.perf_counter()]
    decision = changed_since_watermark(store, client)
    fetched = 0
    if decision.run:
        fetched = fetch(store, client, progress=peak).counts["fetched"]
        read_referrals(store, progress=peak)
        marks.append(time.perf_counter())
        stage.run(store, progress=peak)
    peak(0, None)
    marks.append(time.perf_counter())
    pipe.send(
        {
            "run": decision.run,
            "seconds": marks[1] - marks[0],
            "with_companies_seconds": marks[-1] - marks[0],
            "requests": client.requests,
            "fetched": fetched,
            "written": written[0],
            "peak_mb": peak.highest,
        }
    )


def resync(port: int, database: str, pipe: Any) -> None:
    """Everything again with nothing changed: what a backfill of all days does to an unchanged list."""
    from hunter_orchestration.partner_center.client import PartnerCenterClient
    from hunter_orchestration.partner_center.ingestion import fetch
    from hunter_orchestration.settings import load_settings
    from hunter_orchestration.store import Store
    from hunter_orchestration.store.work import Window

    store = Store(database)
    client = PartnerCenterClient(load_settings(partner_center_url=f"http://127.0.0.1:{port}"), Bearer())
    written, peak = counting(store), Peak()
    began = time.perf_counter()
    fetched = fetch(store, client, window=Window(EPOCH, EPOCH + timedelta(days=3650)), progress=peak)
    pipe.send(
        {
            "seconds": time.perf_counter() - began,
            "requests": client.requests,
            "fetched": fetched.counts["fetched"],
            "written": written[0],
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


def emptied(database: str, holding: int = 0) -> None:
    """The newest schema and nothing else, or so many referrals in it."""
    from sqlalchemy import text

    from benchmarks.ingestion_stock import stock
    from hunter_orchestration.store import Store
    from hunter_orchestration.store.migrate import upgrade

    store = Store(database)
    if store.dialect == "postgresql":
        with store.write() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    elif store.url.database:
        for suffix in ("", "-wal", "-shm"):
            Path(store.url.database + suffix).unlink(missing_ok=True)
    upgrade(store)
    if holding:
        stock(store, holding)
    store.close()


def rate(result: dict[str, Any], seconds: str = "seconds") -> float:
    return float(result["fetched"] / result[seconds])


def line(size: int, name: str, result: dict[str, Any], more: str = "") -> None:
    per_second = f"{rate(result):>9,.0f}/s" if result["fetched"] else f"{result['seconds'] * 1000:>8,.0f} ms"
    print(
        f"{size:>9,} {name:<18} {result['fetched']:>9,} rows {per_second} {result['requests']:>6,} requests "
        f"{result['written']:>9,} written {result['peak_mb']:>5.0f} MB  {more}",
        flush=True,
    )


def first_sync(port: int, database: str, size: int, state: Callable[[int, int, int], None]) -> None:
    """An empty store filled, and read over again, beside the naive peer and the system that Hunter replaces."""
    state(size, 0, 0)
    emptied(database)
    peer = apart(naive, port, database)
    print(f"{size:>9,} naive peer         {peer['fetched']:>9,} rows {rate(peer):>9,.0f}/s")
    emptied(database)
    first, again = apart(sync, port, database), apart(resync, port, database)
    for name, result, old in (("first sync", first, OLD_FIRST), ("all unchanged", again, OLD_UNCHANGED)):
        ratios = f"{rate(result) / rate(peer):.1f} x naive, {rate(result) / old:,.0f} x the {old}/s of the old system"
        line(size, name, result, ratios)
    print(f"{size:>9,} with companies     {size:>9,} rows {rate(first, 'with_companies_seconds'):>9,.0f}/s")


def ticks(port: int, database: str, size: int, changes: int, state: Callable[[int, int, int], None]) -> None:
    """A store that holds so many referrals: read over, a tick without a change, and one with some."""
    began = time.perf_counter()
    emptied(database, size)
    print(f"{size:>9,} stored             in {time.perf_counter() - began:.0f} s, past Hunter")
    state(size, 0, 0)
    line(size, "all unchanged", apart(resync, port, database))
    quiet = apart(sync, port, database)
    line(size, "tick, no change", quiet)
    state(size, changes, 1)
    line(size, f"tick, {changes} changed", apart(sync, port, database), f"{-(-changes // 100)} pages of changes")
    assert quiet["run"] is False
    assert (quiet["requests"], quiet["written"]) == (1, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--first", type=int, default=5000, help="referrals of the first sync; 0 leaves it out")
    parser.add_argument("--sizes", default="1000,100000", help="stored referrals, with commas")
    parser.add_argument("--changes", type=int, default=200, help="referrals changed before the last tick")
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL server of its own, not SQLite")
    parser.add_argument("--database", default="", help="URL of a PostgreSQL database to empty and use")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    import requests

    def state(total: int, changes: int, version: int) -> None:
        requests.get(f"http://127.0.0.1:{port}/set?total={total}&changes={changes}&version={version}", timeout=10)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = options.database or f"sqlite:///{folder / 'hunter.db'}"
        if options.postgresql:
            from hunter_orchestration_tests.postgresql import fresh_database, running_server

            folder.chmod(0o755)
            database = stack.enter_context(fresh_database(stack.enter_context(running_server(folder))))
        print(json.dumps({"database": database.partition(":")[0], "load": os.getloadavg()[0]}))
        if options.first:
            first_sync(port, database, options.first, state)
        for size in (int(part) for part in options.sizes.split(",") if part):
            ticks(port, database, size, min(options.changes, size // 2), state)
    ours.send(None)
    server.join(5)


if __name__ == "__main__":
    main()
