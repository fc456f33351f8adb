"""Hunter's services started one by one, as service units start them; ``hunter up`` is in commands.installation."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from hunter_orchestration.commands.installation import SCRIPTS, Installation
from hunter_orchestration.sandbox.running import spare_port

ROOT = Path(__file__).resolve().parents[2]


def start_split(environment: Mapping[str, str], dagster_url: str) -> Installation:
    """Each process by itself, as service units start them, with Dagster's own storage in PostgreSQL."""
    home = Path(environment["HUNTER_HOME"])
    for name in ("dagster", "logs", "run"):
        (home / name).mkdir(parents=True, exist_ok=True)
    parts = urlsplit(dagster_url)
    shutil.copyfile(ROOT / "deploy" / "postgres" / "dagster.yaml", home / "dagster" / "dagster.yaml")
    workspace = home / "run" / "workspace.yaml"
    code_port = spare_port()
    workspace.write_text(
        f"load_from:\n  - grpc_server:\n      host: 127.0.0.1\n      port: {code_port}\n      location_name: hunter\n"
    )
    made = Installation(
        {
            **environment,
            "DAGSTER_HOME": str(home / "dagster"),
            "DAGSTER_PG_HOST": str(parts.hostname),
            "DAGSTER_PG_PORT": str(parts.port),
            "DAGSTER_PG_USER": str(parts.username),
            "DAGSTER_PG_PASSWORD": "",
            "DAGSTER_PG_DB": parts.path[1:],
            "DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": "5",
            "CODE_PORT": str(code_port),
        }
    )
    for kind in ("code", "api", "daemon", "webserver"):
        start_one(made, kind)
    return made


def start_one(installation: Installation, kind: str) -> None:
    """Start one process, as a service manager does after its end."""
    environment, home = installation.environment, installation.home
    workspace = str(home / "run" / "workspace.yaml")
    commands = {
        "code": [str(SCRIPTS / "dagster"), "api", "grpc", "-h", "127.0.0.1", "-p", environment["CODE_PORT"],
                 "-m", "hunter_orchestration.definitions", "--location-name", "hunter"],
        "api": [sys.executable, "-m", "hunter_orchestration.web"],
        "daemon": [str(SCRIPTS / "dagster-daemon"), "run", "-w", workspace],
        "webserver": [str(SCRIPTS / "dagster-webserver"), "-h", "127.0.0.1", "-p", environment["HUNTER_DAGSTER_PORT"],
                      "-w", workspace],
    }  # fmt: skip
    with (home / "logs" / f"{kind}.log").open("ab") as log:
        installation.started[kind] = subprocess.Popen(
            commands[kind], env=environment, cwd=ROOT, stdout=log, stderr=log, preexec_fn=_as_service_managers_do
        )


def _as_service_managers_do() -> None:
    """Dagster ends on SIGTERM as on SIGINT, which a shell's background job inherits as ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
