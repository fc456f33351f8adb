"""A long list scanned by several processes: each domain once, nothing lost with a process, nobody left behind."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from sqlalchemy import func, select

from hunter_orchestration.scanning import picking, stage
from hunter_orchestration.scanning.sockets import SOCKETS_PER_RESOLVER
from hunter_orchestration.scanning.team import LostProcessError, processes_for
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.scans import scans as scans_table
from hunter_orchestration.store.work import Window, utc_now
from hunter_orchestration_tests.scanning.dns_server import LoopbackDns, rcode, serving
from hunter_orchestration_tests.scanning.test_stage import given_companies

pytestmark = pytest.mark.slow

LONG = [f"d{number}.example" for number in range(5200)]


def settings_for(server: LoopbackDns, **more: Any) -> Settings:
    """Few questions at once: the server is slow and its queue short."""
    return load_settings(dns_servers=[server.address], scan_processes=2, scan_concurrency=40, **more)


@contextmanager
def waiting_for_two() -> Iterator[LoopbackDns]:
    """A server that takes its time until a second process asks: the first must not be done before that has started."""

    def special(_query: object, _wire: bytes) -> None:
        if len(server.sources) <= SOCKETS_PER_RESOLVER:
            time.sleep(0.004)

    with serving(everything=special) as server:
        yield server


def scanned(store: Store) -> dict[str, int]:
    """How often each domain was."""
    query = select(scans_table.c.domain, func.count()).group_by(scans_table.c.domain)
    with store.read() as connection:
        return dict(map(tuple, connection.execute(query)))


def children() -> list[psutil.Process]:
    """Processes of ours that scan along."""
    return [child for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]


def test_each_domain_of_a_long_list_is_scanned_once(store: Store) -> None:
    given_companies(store, *LONG)
    told: list[int] = []
    with waiting_for_two() as server:
        result = stage.run(store, settings_for(server), progress=lambda done, _total: told.append(done))
        assert len(server.sources) > SOCKETS_PER_RESOLVER
    assert result.counts == {"picked": 5200, "scanned": 5200, "new": 5200}
    assert result.facts["processes"] == 2
    assert result.facts["lookups"] == 5200
    assert result.facts["resolvers"][server.address]["sent"] >= 5200
    assert scanned(store) == dict.fromkeys(LONG, 1)
    assert picking.due_domains(store) == []
    assert told == sorted(told)
    assert told[-1] == 5200
    assert not children()


def test_a_long_window_is_shared_too_and_scans_fresh_ones_again(sqlite_store: Store) -> None:
    began = utc_now()
    given_companies(sqlite_store, *LONG)
    with serving() as server:
        stage.run(sqlite_store, settings_for(server))
        result = stage.run(sqlite_store, settings_for(server), window=Window(began, utc_now()))
    assert result.counts == {"picked": 5200, "scanned": 5200, "unchanged": 5200}
    assert scanned(sqlite_store) == dict.fromkeys(LONG, 2)


def test_what_a_killed_process_had_not_stored_is_scanned_by_the_next_run(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_companies(sqlite_store, *LONG)
    with waiting_for_two() as server:
        # Read as a process starts: it is the other one that is killed, before its first batch is stored.
        monkeypatch.setenv("HUNTER_CRASH_AT", "after_scan")
        with pytest.raises(LostProcessError, match="memory"):
            stage.run(sqlite_store, settings_for(server))
        monkeypatch.delenv("HUNTER_CRASH_AT")
        left = set(picking.due_domains(sqlite_store))
        assert left == set(LONG) - scanned(sqlite_store).keys()
        assert len(left) >= stage.COMMIT_EVERY
        stage.run(sqlite_store, settings_for(server))
    assert scanned(sqlite_store) == dict.fromkeys(LONG, 1)


def test_a_dead_resolver_ends_them_all_and_changes_nothing(sqlite_store: Store) -> None:
    given_companies(sqlite_store, *LONG)
    with serving(everything=rcode(2)) as dead, pytest.raises(stage.DeadResolverError):
        stage.run(sqlite_store, settings_for(dead))
    assert scanned(sqlite_store) == {}
    assert len(picking.due_domains(sqlite_store)) == len(LONG)
    assert not children()


def test_the_others_go_with_the_process_that_began(sqlite_store: Store) -> None:
    given_companies(sqlite_store, *LONG)
    program = (
        "import sys\n"
        "from hunter_orchestration.scanning import stage\n"
        "from hunter_orchestration.settings import load_settings\n"
        "from hunter_orchestration.store import Store\n"
        "if __name__ == '__main__':\n"
        "    stage.run(Store(sys.argv[1]), load_settings(dns_servers=[sys.argv[2]], scan_processes=3))\n"
    )
    with serving(everything=lambda _query, _wire: time.sleep(0.01)) as slow:
        url = sqlite_store.url.render_as_string()
        with subprocess.Popen([sys.executable, "-c", program, url, slow.address]) as run:
            ends = time.monotonic() + 40
            while len(there := children()) < 2 and time.monotonic() < ends:
                time.sleep(0.05)
            run.kill()
        gone, alive = psutil.wait_procs(there, timeout=15)
    assert len(gone) >= 2
    assert not alive


def test_what_ends_one_process_is_told_to_another() -> None:
    for error in (LostProcessError(), stage.DeadResolverError(30, 40, ["192.0.2.53:53"])):
        told = pickle.loads(pickle.dumps(error))
        assert (type(told), str(told)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("servers", "asked_for", "domains", "several"),
    [
        (["127.0.0.1:5353"], 0, 5000, True),
        (["127.0.0.1:5353"], 0, 4999, False),
        (["127.0.0.1:5353", "192.0.2.53"], 0, 9000, False),
        (["192.0.2.53"], 0, 9000, False),
        (["192.0.2.53"], 3, 9000, True),
        (["127.0.0.1:5353"], 1, 9000, False),
    ],
)
def test_only_the_local_resolver_is_asked_by_several_unless_told_to(
    servers: list[str], asked_for: int, domains: int, several: bool
) -> None:
    settings = load_settings(dns_servers=servers, scan_processes=asked_for)
    by_cores = min(len(os.sched_getaffinity(0)), 4)
    assert processes_for(settings, lambda least: domains >= least) == ((asked_for or by_cores) if several else 1)
