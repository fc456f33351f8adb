"""A run whose process was killed: found out by its process, and cleared up so that the next run need not wait."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from sqlalchemy import insert, select

from hunter_orchestration.defs.launching import process_lives
from hunter_orchestration.store import Store
from hunter_orchestration.store.runs import (
    LeaseHeldError,
    LeaseLostError,
    acquire_lease,
    bury,
    events_after,
    latest_runs,
    renew_lease,
)
from hunter_orchestration.store.tables.operations import leases, sync_runs
from hunter_orchestration.store.work import utc_now


def test_a_dead_run_frees_what_it_held_and_counts_as_failed(store: Store) -> None:
    token = acquire_lease(store, "dynamics", "dead-run", 300)
    other = acquire_lease(store, "referral_sync", "live-run", 300)
    with store.write() as connection:
        for run_id in ("dead-run", "live-run"):
            connection.execute(
                insert(sync_runs).values(kind="raw_leads", run_id=run_id, state="running", started_at=utc_now())
            )
    with pytest.raises(LeaseHeldError):
        acquire_lease(store, "dynamics", "next-run")

    bury(store, "dead-run")
    assert acquire_lease(store, "dynamics", "next-run") > token
    with pytest.raises(LeaseLostError), store.write() as connection:
        renew_lease(connection, "dynamics", token)
    with store.write() as connection:
        renew_lease(connection, "referral_sync", other)
    with store.read() as connection:
        states = {row["run_id"]: (row["state"], row["error"]) for row in latest_runs(connection)}
        told = [dict(event) for event in events_after(connection, 0)]
        owners = set(connection.execute(select(leases.c.owner)).scalars())
    assert states["live-run"] == ("running", None)
    assert states["dead-run"][0] == "failed"
    assert "ended from outside" in states["dead-run"][1]
    assert [event["body"]["run_id"] for event in told if event["kind"] == "stage_finished"] == ["dead-run"]
    assert owners == {"next-run", "live-run"}


def test_a_process_counts_as_the_run_only_while_it_is_the_same_one() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    said_at = time.time()
    try:
        assert process_lives(process.pid, said_at)
        # Another process got the number of one that had said so an hour before it was born.
        assert not process_lives(process.pid, said_at - 3600)
    finally:
        process.kill()
    # Dead, yet not collected by us, hence a zombie; then gone.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not process_lives(process.pid, said_at)
    process.wait()
    assert not process_lives(process.pid, said_at)
    assert process_lives(os.getpid(), said_at)
