"""``hunter up``: Hunter's processes, watched by supervisor, ended together.

In demo mode the sandbox starts first and tells its addresses; the others get them through their environment. When
this process ends, whatever the reason, nothing it started outlives it by more than some seconds.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import orjson
import psutil
from pydantic_settings import DotEnvSettingsSource

from hunter_orchestration.commands import demo as demos
from hunter_orchestration.commands.console import say
from hunter_orchestration.errors import PermanentError
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade

ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 12
_CALLS_END_SECONDS = 3
"""How long the code server lets calls finish before it ends; Dagster's own choice is a minute."""
_START_SECONDS = 120
_SOCKET_PATH_LIMIT = 100
EVENT_BATCH, EVENTS_A_BATCH = "DAGSTER_EVENT_BATCH_SIZE", "500"
"""How many events of days Dagster writes at once; without it each has a transaction of its own."""


class LaunchError(PermanentError):
    """Hunter can't be started as it is configured."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process: its name, its command line, and its priority: the smallest starts first and ends last."""

    name: str
    command: tuple[str, ...]
    priority: int


def launch(settings: Settings) -> int:
    """Start everything and stay until told to stop; returns the exit status.

    Raises:
        LaunchError: a port is in use, or a process did not start; the message names it.
    """
    demo = demos.is_demo(settings)
    home = settings.home.absolute()
    _check_ports(settings, demo)
    store = Store(settings.store_url)
    upgrade(store)
    store.close()
    for folder in ("dagster", "logs", "run", "sandbox"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    settle_dagster(home / "dagster")
    supervisor = _Supervisor(home)
    stopped = _Signals()
    preparing = _preparing(home / "dagster")
    try:
        environment = {
            **_paths(settings),
            "DAGSTER_HOME": str(home / "dagster"),
            "HUNTER_HOME": str(home),
            EVENT_BATCH: EVENTS_A_BATCH,
            "DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": str(_CALLS_END_SECONDS),
        }
        programs: list[Program] = []
        if demo:
            programs.append(_sandbox(settings, home))
            supervisor.configure(programs, environment)
            supervisor.start()
            addresses = _demo_environment(supervisor, stopped)
            environment |= addresses
            demos.leave(home, addresses, supervisor.number)
        _await(preparing)
        programs += _engine(settings, home)
        supervisor.configure(programs, environment)
        supervisor.start()
        return _watch(supervisor, settings, stopped, demo)
    finally:
        preparing.kill()
        demos.take_away(home)
        supervisor.stop()


def _paths(settings: Settings) -> dict[str, str]:
    """Files and folders of the settings, whole: the processes do not start where this command did."""
    return {f"HUNTER_{name.upper()}": str(value.absolute()) for name, value in settings if isinstance(value, Path)}


def _inherited() -> dict[str, str]:
    """This process's environment, and what the .env of its folder adds to it: theirs is another folder."""
    written = DotEnvSettingsSource(Settings).env_vars
    ours = {name.upper(): value for name, value in written.items() if name.startswith("hunter_") and value}
    return ours | {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}


def settle_dagster(folder: Path) -> None:
    """Write the instance settings of the embedded default, with what needs the folder's own path.

    A file that names another storage is an operator's own, such as that of deploy/postgres, and stays as it is.
    """
    file = folder / "dagster.yaml"
    if file.exists() and re.search(r"(?m)^storage:", file.read_text(encoding="utf-8", errors="replace")):
        return
    text = (ROOT / "dagster.yaml").read_text(encoding="utf-8")
    log = {
        "module": "hunter_orchestration.defs.event_log",
        "class": "BatchingEventLog",
        "config": {"base_dir": str(folder / "history" / "runs")},
    }
    # JSON is YAML, too.
    file.write_bytes(text.encode() + b"\nevent_log_storage: " + orjson.dumps(log) + b"\n")


def _preparing(folder: Path) -> subprocess.Popen[bytes]:
    """Dagster's databases, made or mended while the sandbox starts; at once done when they are fine."""
    return subprocess.Popen(
        [sys.executable, "-m", "hunter_orchestration.defs.instance", str(folder)],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _await(preparing: subprocess.Popen[bytes]) -> None:
    try:
        status: int | None = preparing.wait(_START_SECONDS)
    except subprocess.TimeoutExpired:
        status = None
    if status != 0:
        raise LaunchError(
            "Dagster's own databases could not be made.",
            "Look at HUNTER_HOME/dagster; it holds the history of runs only and may be removed.",
        )


def _sandbox(settings: Settings, home: Path) -> Program:
    command = (
        sys.executable, "-m", "hunter_orchestration.sandbox", "--port-base", str(settings.sandbox_port),
        "--companies", str(settings.demo_companies), "--live", "--state", str(home / "sandbox"),
    )  # fmt: skip
    return Program("sandbox", command, 10)


def _engine(settings: Settings, home: Path) -> list[Program]:
    scripts = Path(sys.executable).parent
    code = _code_socket(home)
    workspace = home / "run" / "workspace.yaml"
    workspace.write_text(f"load_from:\n  - grpc_server:\n      socket: {code}\n      location_name: hunter\n")
    host_port = ("-h", "127.0.0.1", "-p", str(settings.dagster_port))
    return [
        Program(
            "code",
            (str(scripts / "dagster"), "api", "grpc", "--socket", str(code), "-m", "hunter_orchestration.definitions",
             "--location-name", "hunter"),
            20,
        ),
        Program("api", (sys.executable, "-m", "hunter_orchestration.web"), 20),
        Program("daemon", (str(scripts / "dagster-daemon"), "run", "-w", str(workspace)), 30),
        Program("webserver", (str(scripts / "dagster-webserver"), *host_port, "-w", str(workspace)), 30),
    ]  # fmt: skip


def _code_socket(home: Path) -> Path:
    path = home / "run" / "code.sock"
    if len(str(path)) <= _SOCKET_PATH_LIMIT:
        return path
    # A socket's path has a limit of about 100 characters that a deep HUNTER_HOME exceeds.
    return Path(f"/tmp/hunter-{os.getuid()}-{abs(hash(str(home))) % 10**8}.sock")  # noqa: S108


class _Signals:
    """Remembers that SIGINT or SIGTERM came. Children start with the default handlers."""

    def __init__(self) -> None:
        self.came = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True


class _Supervisor:
    """supervisord below HUNTER_HOME/run, in a session of its own so that all of it can be found and ended."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "run" / "supervisord.conf"
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, programs: list[Program], environment: Mapping[str, str]) -> None:
        run, logs = self.home / "run", self.home / "logs"
        control = run / "supervisor.sock"
        if len(str(control)) > _SOCKET_PATH_LIMIT:
            control = Path(f"/tmp/hunter-{os.getuid()}-{os.getpid()}.sock")  # noqa: S108
        shared = ",".join(f'{name}="{value.replace("%", "%%")}"' for name, value in environment.items())
        lines = [
            "[unix_http_server]", f"file={control}", "chmod=0700",
            "[supervisord]", "nodaemon=true", f"pidfile={run / 'supervisord.pid'}",
            f"logfile={logs / 'supervisord.log'}", "logfile_maxbytes=5MB", "logfile_backups=1", "loglevel=warn",
            f"childlogdir={logs}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
            "[supervisorctl]", f"serverurl=unix://{control}",
        ]  # fmt: skip
        for program in programs:
            log = logs / f"{program.name}.log"
            lines += [
                f"[program:{program.name}]", f"command={' '.join(_quoted(part) for part in program.command)}",
                f"priority={program.priority}", f"directory={ROOT}", "autorestart=true",
                f"environment={'' if program.name == 'sandbox' else shared}",
                "startsecs=2", "startretries=20", "stopsignal=TERM", "stopwaitsecs=6", "stopasgroup=true",
                "killasgroup=true", f"stdout_logfile={logs / program.name}.out", f"stderr_logfile={log}",
                "stdout_logfile_maxbytes=5MB", "stderr_logfile_maxbytes=10MB", "stdout_logfile_backups=1",
                "stderr_logfile_backups=2",
            ]  # fmt: skip
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.config.chmod(0o600)

    def start(self) -> None:
        """Start supervisord, or make a running one take the new configuration."""
        if self.process is not None:
            self._control("update")
            return
        self._end_leftovers()
        (self.home / "logs" / "sandbox.out").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.config)],
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=_inherited(),
        )  # fmt: skip

    def _control(self, *words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self.config), *words],
            check=False, capture_output=True, timeout=60,
        )  # fmt: skip

    def _end_leftovers(self) -> None:
        """End what a killed ``hunter up`` left running on this HUNTER_HOME."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            left = psutil.Process(int((self.home / "run" / "supervisord.pid").read_text()))
            if str(self.config) in left.cmdline():
                _end(left.pid)

    @property
    def number(self) -> int:
        """Its process id."""
        return self.process.pid if self.process is not None else 0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        if self.process is not None:
            _end(self.process.pid)
            self.process.wait()


def _end(leader: int) -> None:
    """End a supervisord and everything in its session: politely first, then by force."""
    session = _session(leader)
    with contextlib.suppress(ProcessLookupError):
        os.kill(leader, signal.SIGTERM)
    _gone, alive = psutil.wait_procs(session, timeout=_STOP_SECONDS)
    for process in {*alive, *_session(leader)}:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _session(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if process.pid == leader or os.getsid(process.pid) == leader:
                found.append(process)
    return found


def _quoted(part: str) -> str:
    return '"' + part.replace("%", "%%").replace('"', '\\"') + '"'


def _demo_environment(supervisor: _Supervisor, stopped: _Signals) -> dict[str, str]:
    """Wait for the sandbox's line of addresses and turn it into settings."""
    said = supervisor.home / "logs" / "sandbox.out"
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and supervisor.alive and not stopped.came:
        with contextlib.suppress(OSError, ValueError, IndexError):
            addresses = orjson.loads(said.read_bytes().splitlines()[-1])
            _prepare_organisation(addresses["control"])
            return {
                "HUNTER_DEMO": "true",
                "HUNTER_ENVIRONMENT": "development",
                "HUNTER_PARTNER_CENTER_ENABLED": "true",
                "HUNTER_DYNAMICS_ENABLED": "true",
                "HUNTER_AUTHORITY_URL": addresses["authority"],
                "HUNTER_PARTNER_CENTER_URL": addresses["partner_center"],
                "HUNTER_DYNAMICS_URL": addresses["dynamics"],
                "HUNTER_DNS_SERVERS": addresses["dns"],
                "HUNTER_RDAP_URL": addresses["rdap"],
                "HUNTER_TENANT_ID": addresses["tenant"],
                "HUNTER_CLIENT_ID": addresses["client_id"],
                "HUNTER_CLIENT_SECRET": addresses["client_secret"],
            }
        time.sleep(0.1)
    raise LaunchError("The sandbox did not start.", f"See {supervisor.home / 'logs' / 'sandbox.log'}.")


def _prepare_organisation(control: str) -> None:
    """Give the sandbox's Dynamics the columns and keys that `hunter dynamics setup` makes in a real organisation."""
    asked = urllib.request.Request(f"{control}/dataverse/prepare", data=b"{}", method="POST")  # noqa: S310
    asked.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(asked, timeout=10):  # noqa: S310
        return


def _check_ports(settings: Settings, demo: bool) -> None:
    wanted = [(settings.api_port, "HUNTER_API_PORT"), (settings.dagster_port, "HUNTER_DAGSTER_PORT")]
    if demo:
        wanted += [(settings.sandbox_port + offset, "HUNTER_SANDBOX_PORT") for offset in (0, 53, 80)]
    for port, name in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise LaunchError(
                    f"Port {port} is in use by another program.",
                    f"Stop it (is Hunter already running?), or set {name} to a free port.",
                ) from None


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.3):
        return True
    return False


def _watch(supervisor: _Supervisor, settings: Settings, stopped: _Signals, demo: bool) -> int:
    """Say when all answer, then stay until a signal comes or supervisor ends."""
    until = time.monotonic() + _START_SECONDS
    ports = (settings.api_port, settings.dagster_port)
    told = False
    while not stopped.came:
        if not supervisor.alive:
            raise LaunchError(
                "Hunter's processes ended unexpectedly.", f"See {supervisor.home / 'logs' / 'supervisord.log'}."
            )
        if not told and all(_answers(port) for port in ports):
            _announce(settings, demo)
            told = True
        elif not told and time.monotonic() > until:
            missing = ", ".join(str(port) for port in ports if not _answers(port))
            raise LaunchError(f"Nothing answers on port {missing}.", f"See {supervisor.home / 'logs'}.")
        time.sleep(0.2 if not told else 1)
    say("Hunter is stopping…")
    return 0


def _announce(settings: Settings, demo: bool) -> None:
    page = f"http://127.0.0.1:{settings.api_port}"
    say(f"  Mini UI     {page}")
    say(f"  Dagster UI  http://127.0.0.1:{settings.dagster_port}")
    say(f"  API docs    {page}/api/docs")
    if demo:
        say("Hunter is up in demo mode: a sandbox on this machine plays Microsoft's services. Ctrl-C stops everything.")
    else:
        say("Hunter is up and talks to Microsoft's services. Ctrl-C stops everything.")
