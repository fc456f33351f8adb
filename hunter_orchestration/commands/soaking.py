"""Hunter under load, its processes killed one after another, and the question what became of the data.

Everything is its own: a sandbox, a HUNTER_HOME in a temporary folder, free ports. Nothing of a real installation is
touched.
"""

from __future__ import annotations

import itertools
import shlex
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from hunter_orchestration.commands.console import say
from hunter_orchestration.commands.installation import (
    Installation,
    environment_for,
    running,
    start_up,
    until,
)
from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox

KINDS = ("daemon", "code", "webserver", "api", "run")
"""What is killed, in this order; ``run`` is the process of whatever run is under way, if there is one."""

_TICK_SECONDS = 0.5
_RECOVERY_SECONDS = 120.0
_QUIET_SECONDS = 240.0
_TABLES = ("account", "contact", "lead", "opportunity")


def run(seconds: float, companies: int, database: str, restart_database: str = "") -> dict[str, Any]:
    """Kill for so many seconds, then look.

    Args:
        database: URL of an empty database; empty for SQLite.
        restart_database: a command that ends the database's server hard and starts it again, taken in turn too.

    Returns:
        killed, changes (ticks of the invented world meanwhile), recovery_seconds {kind: {killed, median, worst}},
        wrong (sentences; none when all is well).

    Raises:
        NotInTimeError: something did not come back by itself.
    """
    with (
        tempfile.TemporaryDirectory(prefix="hunter-soak-") as folder,
        running_sandbox(companies=companies) as box,
    ):
        box.call("POST", "/dataverse/prepare", {})
        with running(start_up(environment_for(box, Path(folder), database or None))) as installation:
            say(f"Hunter is up; killing its processes for {seconds:.0f} s.")
            with Load(box) as load:
                recovered = kill_in_turn(installation, seconds, restart_database)
            return {
                "wrong": wrong(installation, box),
                "killed": sum(map(len, recovered.values())),
                "changes": load.changes,
                "recovery_seconds": {kind: _times(times) for kind, times in recovered.items() if times},
            }


class Load:
    """Lets referrals arrive and change while the block lasts."""

    def __init__(self, box: RunningSandbox) -> None:
        self.changes = 0
        self._box = RunningSandbox(box.addresses)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(_TICK_SECONDS):
            with suppress(requests.ConnectionError):
                self._box.tick()
                self.changes += 1


def kill_in_turn(installation: Installation, seconds: float, restart_database: str = "") -> dict[str, list[float]]:
    """Kill, wait until all answer again, and so on; the seconds each recovery took, by kind.

    A killed run has recovered when a later run has succeeded, so its time is that of a tick and a whole run too.
    """
    recovered: dict[str, list[float]] = defaultdict(list)
    end = time.monotonic() + seconds
    turns = itertools.cycle((*KINDS, "database") if restart_database else KINDS)
    while time.monotonic() < end:
        kind = next(turns)
        began, moment = time.monotonic(), time.time()
        if kind == "run":
            workers = installation.run_workers()
            for worker in workers:
                worker.kill()
            if not workers:
                continue
        elif kind == "database":
            subprocess.run(shlex.split(restart_database), check=True, capture_output=True, timeout=_RECOVERY_SECONDS)
        else:
            killed = installation.kill(kind)

            def replaced(kind: str = kind, killed: int = killed) -> bool:
                process = installation.process(kind)
                return process is not None and process.pid != killed

            until(replaced, _RECOVERY_SECONDS, f"a new {kind}")
        until(installation.ready, _RECOVERY_SECONDS, f"an installation that answers after its {kind} was killed")
        if kind == "daemon":

            def beats(moment: float = moment) -> bool:
                return installation.beats_since(moment)

            until(beats, _RECOVERY_SECONDS, "a heartbeat of every daemon")
        if kind == "run":

            def works(moment: float = moment) -> bool:
                return _succeeded_since(installation, moment)

            until(works, _RECOVERY_SECONDS, "a run that succeeds after one was killed")
        recovered[kind].append(time.monotonic() - began)
        time.sleep(min(2.0, max(0.0, end - time.monotonic())))
    return recovered


def _succeeded_since(installation: Installation, moment: float) -> bool:
    """Whether a run that started after this time (seconds since 1970) has succeeded."""
    runs = installation.get("/runs", limit=10)["items"]
    started = [run["started_at"] for run in runs if run["state"] == "succeeded" and run["started_at"]]
    return any(datetime.fromisoformat(at).timestamp() > moment for at in started)


def _times(times: list[float]) -> dict[str, Any]:
    return {"killed": len(times), "median": round(statistics.median(times), 1), "worst": round(max(times), 1)}


def wrong(installation: Installation, box: RunningSandbox) -> list[str]:
    """What is lost or doubled once everything has come to rest; nothing when all is well."""
    succeeded = until(lambda: _succeeded(installation), _QUIET_SECONDS, "a sync that succeeds", pause=2)
    assert succeeded
    installation.sync(_QUIET_SECONDS)
    found = _lost(installation, box) + _doubled(box)
    box.call("DELETE", "/dataverse/counters")
    run = installation.sync(_QUIET_SECONDS)
    if run["state"] != "succeeded":
        found.append(f"The last sync {run['state']}: {run['error']}")
    if written := box.call("GET", "/dataverse/counters")["writes"]:
        found.append(f"A sync without a change wrote into Dynamics: {written}")
    compared = installation.press("/dynamics/reconcile", _QUIET_SECONDS)["run"]
    installation.finished(compared["id"], _QUIET_SECONDS)
    found += [
        f"Dynamics differs: {one['table']} {one['external_id']} {one['kind']} {one['field'] or ''}".strip()
        for one in installation.get("/dynamics/differences", limit=20)["items"]
    ]
    return found


def _succeeded(installation: Installation) -> bool:
    installation.quiet(_QUIET_SECONDS)
    return bool(installation.sync(_QUIET_SECONDS)["state"] == "succeeded")


def _lost(installation: Installation, box: RunningSandbox) -> list[str]:
    """Referrals that Partner Center lists and Hunter neither has nor quarantined, or has in another state."""
    held = {item["id"]: item for item in _all(installation, "/referrals")}
    quarantined = {item["external_id"] for item in _all(installation, "/quarantine")}
    wrong = []
    for fact in box.referrals():
        if fact["kind"] == "microsoft_side" or fact["id"] in quarantined:
            continue
        known = held.get(fact["id"])
        if known is None:
            wrong.append(f"The referral {fact['id']} is lost.")
        elif known["status"] != fact["status"]:
            wrong.append(f"The referral {fact['id']} is {fact['status']}, and shown as {known['status']}.")
    return wrong


def _doubled(box: RunningSandbox) -> list[str]:
    """External keys that stand in Dynamics more than once."""
    wrong = []
    for table in _TABLES:
        rows = box.call("GET", f"/dataverse/tables/{table}/rows", limit=1_000_000)["rows"]
        keys = Counter(row["hnt_externalid"] for row in rows if row.get("hnt_externalid"))
        wrong += [f"{table} {key} is in Dynamics {count} times." for key, count in keys.items() if count > 1]
    return wrong


def _all(installation: Installation, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = installation.get(path, **query)
        items += page["items"]
        if not page["next"]:
            return items
        query["cursor"] = page["next"]
