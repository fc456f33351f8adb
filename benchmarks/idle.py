"""What Hunter costs while nothing happens: CPU and memory of everything ``hunter up`` starts, the sandbox included.

The same processes as in demo mode, over the same 500 companies, with a world in which nothing changes. Figures are
for this machine as it is: run it with nothing else going on. The limits are the README's: 10 % of a core and 1 GB.

    python -m benchmarks.idle --seconds 180
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from pathlib import Path

import psutil

from hunter_orchestration.commands.installation import KINDS, Installation, environment_for, running, start_up, until
from hunter_orchestration.sandbox.running import running_sandbox

_CORE_SHARE, _BYTES = 0.10, 10**9
_SETTLES_SECONDS = 30


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--companies", type=int, default=500)
    parser.add_argument("--poll", type=int, default=30, help="seconds between two looks at Partner Center")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="hunter-idle-") as home,
        running_sandbox(companies=asked.companies) as box,
    ):
        box.call("POST", "/dataverse/prepare", {})
        environment = environment_for(box, Path(home), HUNTER_DEVELOPMENT_POLL_SECONDS=str(asked.poll))
        with running(start_up(environment)) as installation:
            until(lambda: installation.get("/runs", limit=1)["items"], 120, "the first sync")
            installation.quiet(300)
            time.sleep(_SETTLES_SECONDS)
            runs = len(installation.get("/runs", limit=100)["items"])
            print(json.dumps(_measured(installation, asked.seconds, runs), indent=2))


def _measured(installation: Installation, seconds: float, runs: int) -> dict[str, object]:
    processes = {process.pid: process for process in (*installation.processes(), *psutil.Process().children())}
    before = {pid: _cpu(process) for pid, process in processes.items()}
    began = time.monotonic()
    time.sleep(seconds)
    lasted = time.monotonic() - began
    shares: dict[str, float] = {}
    resident: dict[str, int] = {}
    proportional = 0
    for pid, process in processes.items():
        with contextlib.suppress(psutil.Error):
            name = _named(process)
            shares[name] = shares.get(name, 0) + (_cpu(process) - before[pid]) / lasted
            memory = process.memory_full_info()
            resident[name] = resident.get(name, 0) + memory.rss
            proportional += memory.pss
    started = len(installation.get("/runs", limit=100)["items"]) - runs
    return {
        "seconds": round(lasted),
        "core_percent": {name: round(100 * share, 2) for name, share in sorted(shares.items())},
        "core_percent_together": round(100 * sum(shares.values()), 2),
        "resident_mb": {name: size // 10**6 for name, size in sorted(resident.items())},
        "resident_mb_together": sum(resident.values()) // 10**6,
        "proportional_mb_together": proportional // 10**6,
        "within_limits": sum(shares.values()) < _CORE_SHARE and sum(resident.values()) < _BYTES,
        "runs_started_meanwhile": started,
        "load_average": os.getloadavg()[0],
    }


def _cpu(process: psutil.Process) -> float:
    """CPU seconds of a process and of the children it has seen end."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _named(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    if "hunter_orchestration.sandbox" in line:
        return "sandbox"
    return next((kind for kind, words in KINDS.items() if words in line), "up")


if __name__ == "__main__":
    main()
