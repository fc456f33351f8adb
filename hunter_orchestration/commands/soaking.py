"""Hunter under load, its processes killed one after another, and the question what became of the data.

Everything is its own: a sandbox, a HUNTER_HOME in a temporary folder, free ports. Nothing of a real installation is
touched.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
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
"""What is killed, in this order; ``run`` is the process of whatever run is under way."""

_TICK_SECONDS = 0.5
_RECOVERY_SECONDS = 120.0
_QUIET_SECONDS = 240.0
_TABLES = ("account", "contact", "lead", "opportunity")


def run(seconds: float, companies: int, database: str) -> dict[str, Any]:
    """Kill for so many seconds, then look.

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
            with _Load(box) as load:
                recovered = _kill_in_turn(installation, seconds)
            return {
                "wrong": _wrong(installation, box),
                "killed": sum(map(len, recovered.values())),
                "changes": load.changes,
                "recovery_seconds": {kind: _times(times) for kind, times in recovered.items() if times},
            }


class _Load:
    """Lets referrals arrive and change while the block lasts."""

    def __init__(self, box: RunningSandbox) -> None:
        self.changes = 0
        self._box = RunningSandbox(box.addresses)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> _Load:
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


def _kill_in_turn(installation: Installation, seconds: float) -> dict[str, list[float]]:
    """Kill, wait until all answer again, and so on; the seconds each recovery took, by kind."""
    recovered: dict[str, list[float]] = defaultdict(list)
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        kind = KINDS[number % len(KINDS)]
        number += 1
        began, moment = time.monotonic(), time.time()
        if kind == "run":
            workers = installation.run_workers()
            for worker in workers:
                worker.kill()
            if not workers:
                continue
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
        recovered[kind].append(time.monotonic() - began)
        time.sleep(min(2.0, max(0.0, end - time.monotonic())))
    return recovered


def _times(times: list[float]) -> dict[str, Any]:
    return {"killed": len(times), "median": round(statistics.median(times), 1), "worst": round(max(times), 1)}


def _wrong(installation: Installation, box: RunningSandbox) -> list[str]:
    """What is lost or doubled once everything has come to rest; nothing when all is well."""
    succeeded = until(lambda: _succeeded(installation), _QUIET_SECONDS, "a sync that succeeds", pause=2)
    assert succeeded
    installation.sync(_QUIET_SECONDS)
    wrong = _lost(installation, box) + _doubled(box)
    box.call("DELETE", "/dataverse/counters")
    run = installation.sync(_QUIET_SECONDS)
    if run["state"] != "succeeded":
        wrong.append(f"The last sync {run['state']}: {run['error']}")
    if written := box.call("GET", "/dataverse/counters")["writes"]:
        wrong.append(f"A sync without a change wrote into Dynamics: {written}")
    compared = installation.ask("POST", "/api/v1/dynamics/reconcile", {}).json()["run"]
    installation.finished(compared["id"], _QUIET_SECONDS)
    wrong += [
        f"Dynamics differs: {one['table']} {one['external_id']} {one['kind']} {one['field'] or ''}".strip()
        for one in installation.get("/dynamics/differences", limit=20)["items"]
    ]
    return wrong


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
