"""Pushing leads with accounts, contacts and opportunities: requests a record, records a second, memory.

    python benchmarks/dynamics.py 10000

Prints pushes (first, changed scores, unchanged, nothing due) and reading back, and next to them the way of one request
a record: POST of the same rows, one by one, over one kept-alive connection, in the same run against the same sandbox.
Every answer takes 20 ms longer than it must, as no organisation is on the machine that pushes.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from hunter_orchestration.dynamics import stage
from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.work import StageResult
from hunter_orchestration_tests.dynamics.world import add_companies, change_score, domain_of

_ONE_BY_ONE = 200
_LATENCY_MS = 20
_CHUNK = 2000


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder, running_sandbox(companies=1) as box:
        store = Store(f"sqlite:///{Path(folder) / 'hunter.db'}")
        upgrade(store)
        box.call("POST", "/dataverse/reset", {"prepared": True})
        box.configure("dataverse", latency_ms=_LATENCY_MS)
        named = {name.removeprefix("HUNTER_").lower(): value for name, value in box.settings().items()}
        settings = load_settings(**{**named, "dynamics_enabled": True})
        for start in range(0, number, _CHUNK):
            add_companies(store, range(start, min(number, start + _CHUNK)))
        first = push("first push", store, settings, box, number)
        for n in range(number):
            change_score(store, domain_of(n), score=90)
        push("every score changed", store, settings, box, number)
        with store.write() as connection:
            connection.exec_driver_sql("UPDATE companies SET push_due_at = activity_at")
        push("nothing changed", store, settings, box, number)
        push("nothing due", store, settings, box, number)
        read_back("pull, everything", lambda: stage.pull(store, settings), box, "read")
        read_back("pull, nothing changed", lambda: stage.pull(store, settings), box, "read")
        read_back("reconcile", lambda: stage.reconcile(store, settings), box, "claimed")
        single = one_by_one(settings, box)
        print(f"\none request a record: {single:,.0f} records/s, 1.0 requests/record")
        print(f"Hunter against it: {first / single:.1f} times the records a second")
        print("against 10 leads/s (with all four tables): "
              f"{first / 4 / 10:.0f} times the leads a second")  # fmt: skip


def push(name: str, store: Store, settings: Settings, box: RunningSandbox, number: int) -> float:
    """One push; records a second."""
    box.reset_counters()
    box.call("DELETE", "/dataverse/counters")
    started = time.perf_counter()
    result = stage.push(store, settings, run_id="benchmark")
    seconds = time.perf_counter() - started
    records = sum(result.counts[n] for n in stage.OUTCOMES)
    counted: dict[str, Any] = box.call("GET", "/dataverse/counters")
    sent = box.counters().get("dataverse", 0)
    written = sum(sum(kinds.values()) for kinds in counted["writes"].values())
    broken = counted["limits_broken"]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:22} {seconds:7.1f} s  {records / seconds:8,.0f} records/s  {number / seconds:7,.0f} leads/s  "
        f"{sent:5} requests ({sent / records if records else 0:.4f}/record)  {written:6} rows written  "
        f"limits broken: {broken or 'none'}  peak {memory:.0f} MB"
    )
    return records / seconds


def read_back(name: str, work: Callable[[], StageResult], box: RunningSandbox, counted: str) -> None:
    """Reading what the organisation holds."""
    box.reset_counters()
    started = time.perf_counter()
    rows = work().counts[counted]
    seconds = time.perf_counter() - started
    sent = box.counters().get("dataverse", 0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:22} {seconds:7.1f} s  {rows / seconds:8,.0f} records/s  {sent:24} requests  peak {memory:.0f} MB")


def one_by_one(settings: Settings, box: RunningSandbox) -> float:
    """Records a second of one POST a record."""
    with DataverseClient(settings) as client:
        client.get("WhoAmI")
        token = client.bearer()
    session = requests.Session()
    session.trust_env = False
    session.headers.update({"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    started = time.perf_counter()
    for n in range(_ONE_BY_ONE):
        body = {"subject": f"Lead {n}", "companyname": f"Company {n}", "lastname": "Yılmaz",
                "emailaddress1": f"info@one-{n}.example"}  # fmt: skip
        session.post(f"{box.dynamics}/api/data/v9.2/leads", json=body, timeout=30).raise_for_status()
    return _ONE_BY_ONE / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
