"""From a new referral in Partner Center to the lead on the page and the record in Dynamics.

Starts ``hunter up`` in demo mode on free ports with an empty home, waits for the first sync, then adds referrals at
random moments and watches the store. The 30-second sensor is measured; the 10-minute schedule differs only in the wait
for its tick, so its figures are those of the run plus a wait drawn evenly from 0 to 600 s, and are marked as computed.

    python -m benchmarks.latency --referrals 12
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select

from hunter_orchestration.sandbox.running import CONTROL_OFFSET, DNS_OFFSET, RunningSandbox, spare_port
from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.crm import crm_records
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.operations import sync_runs
from hunter_orchestration.store.tables.referrals import referrals

_FIRST_SYNC_SECONDS = 240
_GIVE_UP_SECONDS = 180
_POLL = 0.1


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--referrals", type=int, default=12)
    parser.add_argument("--spacing", type=float, default=15, help="seconds between two referrals, on average")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hunter-latency-") as home:
        ports = {name: spare_port() for name in ("HUNTER_API_PORT", "HUNTER_DAGSTER_PORT")}
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HUNTER_")},
            **{name: str(port) for name, port in ports.items()},
            "HUNTER_HOME": home, "HUNTER_DEMO": "true", "HUNTER_DEMO_COMPANIES": "100",
            "HUNTER_SANDBOX_PORT": str(spare_port(beside=(DNS_OFFSET, CONTROL_OFFSET))),
        }  # fmt: skip
        command = [str(Path(sys.executable).with_name("hunter")), "up"]
        up = subprocess.Popen(command, env=environment, cwd=home, stderr=subprocess.DEVNULL)
        try:
            print(json.dumps(_measured(Path(home), asked), indent=2))
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)


def _measured(home: Path, asked: argparse.Namespace) -> dict[str, object]:
    store = Store(f"sqlite:///{home / 'hunter.db'}")
    _wait_for_first_sync(home, store)
    sandbox = RunningSandbox(json.loads((home / "logs" / "sandbox.out").read_text().splitlines()[-1]))
    chance = random.Random(asked.seed)
    waiting: dict[str, tuple[datetime, str]] = {}
    visible: dict[str, float] = {}
    pushed: dict[str, float] = {}
    left, next_at, until = asked.referrals, time.monotonic(), time.monotonic() + asked.referrals * asked.spacing
    while (left or len(pushed) < len(waiting)) and time.monotonic() < until + _GIVE_UP_SECONDS:
        now = time.monotonic()
        if left and now >= next_at:
            added = sandbox.add_referral()
            if added.get("expected_domain"):
                waiting[added["id"]] = (datetime.now(UTC), added["expected_domain"])
                left -= 1
            next_at = now + chance.uniform(0, 2 * asked.spacing)
        _look(store, waiting, visible, pushed)
        time.sleep(_POLL)
    with store.read() as connection:
        runs = connection.execute(select(sync_runs.c.run_id, sync_runs.c.started_at, sync_runs.c.finished_at)).all()
    store.close()
    lengths: dict[str, list[float]] = {}
    for run_id, started, finished in runs:
        if finished is not None:
            lengths.setdefault(run_id, []).extend((started.timestamp(), finished.timestamp()))
    run_seconds = sorted(max(stamps) - min(stamps) for stamps in lengths.values())[1:] or [0.0]
    # The measured times hold a wait drawn from 0 to 30 s, 15 s on average, which the slower schedule's replaces.
    slow = [chance.uniform(0, 600) + value - 15 for value in list(visible.values()) * 100]
    return {
        "referrals": len(waiting),
        "arrived": len(pushed),
        "every_30_s_measured": {
            "lead_visible_s": _spread(visible.values()),
            "record_in_crm_s": _spread(pushed.values()),
        },
        "every_10_min_computed": {"lead_visible_s": _spread(max(0.0, value) for value in slow)},
        "first_to_last_stage_of_a_run_s": _spread(run_seconds),
    }


def _look(
    store: Store, waiting: dict[str, tuple[datetime, str]], visible: dict[str, float], pushed: dict[str, float]
) -> None:
    """A lead is visible when its row on the page changed after the referral was added and the referral is stored."""
    open_ids = [referral for referral in waiting if referral not in pushed]
    domains = [waiting[referral][1] for referral in open_ids]
    if not open_ids:
        return
    with store.read() as connection:
        query = select(referrals.c.id).where(referrals.c.id.in_(open_ids))
        stored = set(connection.execute(query).scalars())
        query = select(leads.c.domain, leads.c.changed_at).where(leads.c.domain.in_(domains), leads.c.score >= 0)
        shown = {row.domain: row.changed_at for row in connection.execute(query)}
        query = select(crm_records.c.company_domain, func.max(crm_records.c.synced_at).label("at")).where(
            crm_records.c.company_domain.in_(domains)
        )
        synced = {
            row.company_domain: row.at for row in connection.execute(query.group_by(crm_records.c.company_domain))
        }
    for referral in open_ids:
        added_at, domain = waiting[referral]
        if referral in stored and shown.get(domain, added_at) > added_at:
            visible.setdefault(referral, (datetime.now(UTC) - added_at).total_seconds())
        if referral in visible and (synced.get(domain) or added_at) > added_at:
            pushed[referral] = (datetime.now(UTC) - added_at).total_seconds()


def _wait_for_first_sync(home: Path, store: Store) -> None:
    until = time.monotonic() + _FIRST_SYNC_SECONDS
    while time.monotonic() < until:
        if (home / "hunter.db").exists():
            with store.read() as connection:
                tables = connection.exec_driver_sql(
                    "SELECT count(*) FROM sqlite_master WHERE name='sync_runs'"
                ).scalar()
                done = (
                    tables
                    and connection.execute(
                        select(sync_runs.c.id).where(
                            sync_runs.c.kind == "dynamics_records", sync_runs.c.state == "succeeded"
                        )
                    ).first()
                )
            if done:
                return
        time.sleep(0.5)
    raise SystemExit("Hunter did not finish its first sync.")


def _spread(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        "p50": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 1),
        "n": len(ordered),
    }


if __name__ == "__main__":
    main()
