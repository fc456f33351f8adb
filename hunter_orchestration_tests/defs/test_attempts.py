"""What may pass is tried again; what a person ended is not."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from hunter_orchestration.definitions import build_defs
from hunter_orchestration.defs.partitions import TICK, range_tags
from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.runs import latest_runs
from hunter_orchestration_tests.scanning.dns_server import LoopbackDns, Special, rcode, serving
from hunter_orchestration_tests.scanning.test_stage import GOOGLE, given_companies

pytestmark = pytest.mark.slow

DOMAINS = [f"d{number}.example" for number in range(25)]


@pytest.fixture
def own_store() -> Iterator[Store]:
    opened = Store(load_settings().store_url)
    upgrade(opened)
    given_companies(opened, *DOMAINS)
    yield opened
    opened.close()


def retries(instance: dg.DagsterInstance) -> int:
    run = instance.get_runs(limit=1)[0]
    return len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY))


def ended(store: Store) -> list[tuple[str, str]]:
    """State and error of each recorded scan, newest first."""
    with store.read() as connection:
        return [(row["state"], row["error"] or "") for row in latest_runs(connection, "domain_scans")]


def rescan(instance: dg.DagsterInstance, server: LoopbackDns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUNTER_DNS_SERVERS", server.address)
    today = datetime.now(UTC).date()
    job = build_defs(load_settings()).resolve_job_def("rescan_domains")
    job.execute_in_process(instance=instance, tags={**range_tags(today, today), TICK: "1"})


def test_a_run_that_is_ended_ends(
    instance: dg.DagsterInstance, own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def ending(_query: object, _wire: bytes) -> list[bytes]:
        """What Dagster does when somebody ends a run, in the midst of a scan."""
        if not asked.is_set():
            asked.set()
            instance.report_run_canceling(instance.get_runs(limit=1)[0])
            os.kill(os.getpid(), signal.SIGINT)
        return []

    with serving(everything=ending) as server, pytest.raises(DagsterExecutionInterruptedError):
        rescan(instance, server, monkeypatch)
    assert instance.get_runs(limit=1)[0].status == dg.DagsterRunStatus.CANCELED
    assert retries(instance) == 0
    [(state, error)] = ended(own_store)
    assert state == "failed"
    assert error == "The run was ended before it was done. The next run goes on where it stopped."


def test_a_resolver_that_comes_back_is_asked_by_the_next_attempt(
    instance: dg.DagsterInstance, own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MX twice and TXT twice is what a domain is asked for that can't be looked up.
    sick: list[Special] = [rcode(2)] * 4 * len(DOMAINS)

    def recovering(query: object, wire: bytes) -> list[bytes] | None:
        return sick.pop()(query, wire) if sick else None  # type: ignore[arg-type]

    with serving(records=dict.fromkeys(DOMAINS, GOOGLE), everything=recovering) as server:
        rescan(instance, server, monkeypatch)
    assert retries(instance) == 1
    [second, first] = ended(own_store)
    assert second == ("succeeded", "")
    assert first[0] == "failed"
    assert "HUNTER_DNS_SERVERS" in first[1]
