"""A running installation watched from outside: its processes, found by their HUNTER_HOME, and its API.

For ``hunter soak``, which kills them one after another, and for tests that do the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests

from hunter_orchestration.errors import TransientError
from hunter_orchestration.sandbox.running import RunningSandbox, spare_port
from hunter_orchestration.store.work import utc_now

T = TypeVar("T")
SCRIPTS = Path(sys.executable).parent
KINDS = {"code": "api grpc", "daemon": "dagster-daemon", "webserver": "dagster-webserver",
         "api": "hunter_orchestration.web", "supervisord": "supervisor.supervisord"}  # fmt: skip
"""Each process and the words of its command line that tell it."""


class NotInTimeError(TransientError):
    """Something that was waited for did not happen."""


def until(answer: Callable[[], T], seconds: float, what: str, pause: float = 0.25) -> T:
    """Ask until the answer is true; an answer that can't be had counts as no.

    Raises:
        NotInTimeError: it did not become true in time; the message tells the last answer.
    """
    last: object = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = answer()
            if found:
                return found
            last = found
        except (requests.RequestException, OSError, KeyError, TypeError) as error:
            # TypeError: a GraphQL answer without data, as while the database is away.
            last = error
        time.sleep(pause)
    raise NotInTimeError(f"{what} did not happen within {seconds:.0f} s; last seen: {last!r}")


def environment_for(box: RunningSandbox, home: Path, database_url: str | None = None, **more: str) -> dict[str, str]:
    """Variables of an installation that talks to a sandbox as it would to Microsoft."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HUNTER_", "DAGSTER_"))},
        **box.settings(),
        "HUNTER_REFRESH_TOKEN": box.refresh_token(),
        "HUNTER_HOME": str(home),
        "HUNTER_ENVIRONMENT": "development",
        "HUNTER_DEVELOPMENT_POLL_SECONDS": "5",
        # Older referrals come all the same; a long range of days costs a first run an event a day and stage.
        "HUNTER_FIRST_DAY": (utc_now().date() - timedelta(days=3)).isoformat(),
        "HUNTER_PARTNER_CENTER_ENABLED": "true",
        "HUNTER_DYNAMICS_ENABLED": "true",
        "HUNTER_API_PORT": str(spare_port()),
        "HUNTER_DAGSTER_PORT": str(spare_port()),
        **({"HUNTER_DATABASE_URL": database_url} if database_url else {}),
        **more,
    }


@dataclass
class Installation:
    """Hunter's processes over one HUNTER_HOME. ``leader`` is what an operator would end to end all of it."""

    environment: Mapping[str, str]
    leader: subprocess.Popen[bytes] | None = None
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self._session.trust_env = False

    @property
    def home(self) -> Path:
        """HUNTER_HOME."""
        return Path(self.environment["HUNTER_HOME"])

    # ---- what a page does

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        """One request to the API."""
        address = f"http://127.0.0.1:{self.environment['HUNTER_API_PORT']}{path}"
        return self._session.request(method, address, json=body, params=query or None, timeout=20)

    def get(self, path: str, **query: Any) -> Any:
        """What the API answers, which must be a success."""
        response = self.ask("GET", f"/api/v1{path}", **query)
        response.raise_for_status()
        return response.json()

    def lead(self, domain: str) -> dict[str, Any] | None:
        """A lead with its score and the state of its records, once there is one."""
        response = self.ask("GET", f"/api/v1/leads/{domain}")
        if response.status_code == 404:
            return None
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    def press(self, path: str, seconds: float = 90) -> dict[str, Any]:
        """Press a button that starts a run; again while the engine does not answer, as on a busy machine."""
        end = time.monotonic() + seconds
        while (answer := self.ask("POST", f"/api/v1{path}", {})).status_code == 503 and time.monotonic() < end:
            time.sleep(1)
        answer.raise_for_status()
        pressed: dict[str, Any] = answer.json()
        return pressed

    def sync(self, seconds: float = 90) -> dict[str, Any]:
        """Press "Sync now" and wait for the run's end; a run that was going on already is waited for first."""
        end = time.monotonic() + seconds
        while True:
            pressed = self.press("/referrals/sync", end - time.monotonic())
            run = self.finished(pressed["run"]["id"], end - time.monotonic())
            if not pressed["joined"]:
                return run

    def finished(self, run_id: str, seconds: float = 90) -> dict[str, Any]:
        """A run once it has ended."""

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = self.get(f"/runs/{run_id}")
            return run if run["state"] in ("succeeded", "failed", "cancelled") else None

        found = until(ended, seconds, f"the end of run {run_id}")
        assert found is not None
        return found

    def quiet(self, seconds: float = 90) -> None:
        """Wait until no run is going on or queued."""

        def idle() -> bool:
            return not [run for run in self.get("/runs", limit=20)["items"] if run["finished_at"] is None]

        until(idle, seconds, "a moment without a run")

    def ready(self) -> bool:
        """Whether page, engine and code location all answer."""
        if self.ask("GET", "/healthz/ready").status_code != 200:
            return False
        query = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError "
        query += "{ __typename } } } } }"
        address = f"http://127.0.0.1:{self.environment['HUNTER_DAGSTER_PORT']}/graphql"
        answer = self._session.post(address, json={"query": query}, timeout=10).json()
        entries = answer["data"]["workspaceOrError"]["locationEntries"]
        return [entry["locationOrLoadError"]["__typename"] for entry in entries] == ["RepositoryLocation"]

    def beats_since(self, moment: float) -> bool:
        """Whether the engine's daemons said after this time (seconds since 1970) that they are well."""
        query = "{ instance { daemonHealth { allDaemonStatuses { required healthy lastHeartbeatTime } } } }"
        address = f"http://127.0.0.1:{self.environment['HUNTER_DAGSTER_PORT']}/graphql"
        answer = self._session.post(address, json={"query": query}, timeout=10).json()
        states = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(
            state["healthy"] and (state["lastHeartbeatTime"] or 0) > moment for state in states if state["required"]
        )

    # ---- what an operator does

    def processes(self) -> list[psutil.Process]:
        """Every process of this installation, found by its HUNTER_HOME; our own are not among them."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                mine = process.environ().get("HUNTER_HOME") == str(self.home)
                if mine and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def process(self, kind: str) -> psutil.Process | None:
        """The process of a kind (see KINDS), the one that started the others of its kind."""
        matching = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if KINDS[kind] in " ".join(process.cmdline()):
                    matching.append(process)
        ids = {process.pid for process in matching}
        tops = [process for process in matching if process.ppid() not in ids]
        return min(tops, key=lambda process: process.create_time(), default=None)

    def run_workers(self) -> list[psutil.Process]:
        """The processes that execute runs."""
        code = self.process("code")
        workers = []
        # Any of them may end while it is looked at.
        with contextlib.suppress(psutil.Error):
            for child in code.children(recursive=True) if code is not None else []:
                with contextlib.suppress(psutil.Error):
                    if "spawn_main" in " ".join(child.cmdline()):
                        workers.append(child)
        return workers

    def kill(self, kind: str) -> int:
        """kill -9 of one process; tells its id."""
        process = until(lambda: self.process(kind), 20, f"a process {kind}")
        assert process is not None
        process.kill()
        return process.pid

    def end(self, number: int = signal.SIGTERM, seconds: float = 15) -> float:
        """End all as an operator does; tells the seconds until no process was left."""
        began = time.monotonic()
        for process in [self.leader, *self.started.values()]:
            if process is not None and process.poll() is None:
                process.send_signal(number)
        for process in [self.leader, *self.started.values()]:
            if process is not None:
                process.wait(seconds)
        until(lambda: not self.processes(), seconds, "the end of every process", pause=0.1)
        return time.monotonic() - began

    def end_by_force(self) -> None:
        """Leave nothing behind, whatever happened."""
        for _ in range(3):
            for process in self.processes():
                with contextlib.suppress(psutil.Error):
                    process.kill()
        for child in [self.leader, *self.started.values()]:
            if child is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(5)

    def logs(self) -> str:
        """The ends of the log files, for a failed test."""
        said = []
        for path in sorted(self.home.glob("logs/*")):
            lines = path.read_text(errors="replace").splitlines()[-15:]
            said.append("\n".join([f"== {path.name}", *lines]))
        return "\n".join(said)


def start_up(environment: Mapping[str, str]) -> Installation:
    """``hunter up`` as it is; its words go to ``up.log`` below HUNTER_HOME."""
    home = Path(environment["HUNTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.log").open("wb") as log:
        leader = subprocess.Popen([str(SCRIPTS / "hunter"), "up"], env=environment, cwd=home, stdout=log, stderr=log)
    return Installation(environment, leader)


@contextlib.contextmanager
def running(made: Installation, seconds: float = 240) -> Iterator[Installation]:
    """Wait until an installation answers; whatever happens, nothing of it stays."""
    try:
        try:
            until(made.ready, seconds, "an installation that answers")
        except NotInTimeError as error:
            raise NotInTimeError(f"{error}\n{made.logs()}") from None
        yield made
    finally:
        made.end_by_force()
