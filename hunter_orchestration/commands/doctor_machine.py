"""What ``hunter doctor`` looks at on this machine: folders, database, ports and the files people edit."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hunter_orchestration.commands.findings import Finding, State
from hunter_orchestration.errors import HunterError
from hunter_orchestration.settings import Settings, SettingsError
from hunter_orchestration.store.engine import Store

_PYTHON = (3, 11)
_LITTLE_SPACE, _NO_SPACE = 2 * 10**9, 200 * 10**6
_TIMEOUT = 5


def check_python() -> Finding:
    """The interpreter."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < _PYTHON:
        return Finding(
            "python",
            "problem",
            f"This is Python {found}; Hunter needs 3.11 or newer.",
            "Make the environment anew: make clean up PYTHON=python3.11.",
        )
    return Finding("python", "ok", f"Python {found}.")


def check_home(settings: Settings) -> Iterator[Finding]:
    """HUNTER_HOME: there, ours, and with space left."""
    home = settings.home.absolute()
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        yield Finding(
            "home",
            "problem",
            f"{nearest} can't be written to.",
            "Set HUNTER_HOME to a folder of your own, or give this user the right to write there.",
        )
        return
    free = shutil.disk_usage(nearest).free
    state: State = "problem" if free < _NO_SPACE else "warning" if free < _LITTLE_SPACE else "ok"
    fix = (
        "Free some space: databases and Dagster's runs grow here; see the retention settings." if state != "ok" else ""
    )
    yield Finding("home", state, f"{home} has {free / 1e9:.1f} GB free.", fix)


def check_database(settings: Settings) -> Iterator[Finding]:
    """Reachable, at the newest schema, writable."""
    from hunter_orchestration.store.migrate import current_version, newest_version
    from hunter_orchestration.store.runs import lease

    path = settings.store_url.removeprefix("sqlite:///")
    if settings.store_url.startswith("sqlite:///") and not Path(path).exists():
        yield Finding(
            "database",
            "warning",
            f"There is no database at {path} yet.",
            "hunter up makes it; so does hunter db upgrade.",
        )
        return
    store = Store(settings.store_url)
    try:
        version = current_version(store)
        if version != newest_version():
            yield Finding(
                "database",
                "problem",
                f"{store.shown_url} is at schema {version or 'none'}; this Hunter needs {newest_version()}.",
                "Run hunter db upgrade. A newer schema than Hunter's own means: update Hunter.",
            )
            return
        from sqlalchemy.exc import DBAPIError

        try:
            with lease(store, "doctor", f"doctor:{os.getpid()}", 1):
                pass
        except DBAPIError as error:
            yield Finding(
                "database",
                "problem",
                f"{store.shown_url} can't be written to ({type(error.orig).__name__}).",
                "Check the file's owner and the disk, or the rights of the database user.",
            )
            return
        yield Finding("database", "ok", f"{store.shown_url} is at schema {version} and can be written to.")
    finally:
        store.close()


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Each port is Hunter's own or free."""
    for port, setting, path, ours in (
        (settings.api_port, "HUNTER_API_PORT", "/healthz/live", "The page"),
        (settings.dagster_port, "HUNTER_DAGSTER_PORT", "/server_info", "Dagster's web server"),
    ):
        name = f"port {port}"
        if not port or not _is_taken(port):
            yield Finding(name, "ok", "Free.")
        elif _status(f"http://127.0.0.1:{port}{path}") == 200:
            yield Finding(name, "ok", f"{ours} answers here.")
        else:
            yield Finding(
                name,
                "problem",
                f"Another program listens on port {port}.",
                f"Stop it, or set {setting} to a free port.",
            )


def check_files(settings: Settings) -> Iterator[Finding]:
    """The files people edit: rules, mapping, briefing, offers, alerts."""
    from hunter_orchestration.alerts.targets import read_targets
    from hunter_orchestration.dynamics.mapping import load_mapping
    from hunter_orchestration.scoring.rules import read_rules
    from hunter_orchestration.scoring.templates import read_sources

    reads: list[tuple[str, Callable[[], Any]]] = [
        ("rules file", lambda: read_rules(settings.rules_file)),
        ("mapping file", lambda: load_mapping(settings.mapping_file)),
        ("briefing file", lambda: read_sources(settings.briefing_file, None)),
        ("offers file", lambda: read_sources(None, settings.offers_file)),
        ("alerts file", lambda: read_targets(settings.alerts_file)),
    ]
    for name, read in reads:
        try:
            read()
        except HunterError as error:
            yield Finding(name, "problem", error.message, error.fix)
        else:
            yield Finding(name, "ok", "It can be used.")
    yield from _missing(settings)


def _missing(settings: Settings) -> Iterator[Finding]:
    """What settings name and this user can't use; a service would find out when it needs it, hours later."""
    for setting, path in (
        ("HUNTER_MMDB_PATH", settings.mmdb_path),
        ("HUNTER_WEBHOOK_ROOT_CERTIFICATE", settings.webhook_root_certificate),
        ("HUNTER_CLIENT_CERTIFICATE", settings.client_certificate),
    ):
        if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
            yield Finding(
                setting, "problem", f"{path} is no file that can be read.", "Name another, or leave it empty."
            )
    folder = settings.import_folder
    if folder is not None and not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        yield Finding(
            "HUNTER_IMPORT_FOLDER",
            "problem",
            f"{folder} is no folder that can be written to; files that were taken are moved within it.",
            "Make it and give it to this user. The services of deploy/postgres may write below HUNTER_HOME only.",
        )


def check_page(settings: Settings) -> Iterator[Finding]:
    """The page is on loopback, or asks people to sign in."""
    from hunter_orchestration.loopback import is_loopback
    from hunter_orchestration.web.people import check_exposure

    try:
        check_exposure(settings)
    except SettingsError as error:
        yield Finding("page", "problem", str(error), "Set what it names; until then the page does not start.")
        return
    who = "this machine only" if is_loopback(settings.api_host) else "people who sign in"
    yield Finding("page", "ok", f"It listens on {settings.api_host}, for {who}.")


def page_answers(settings: Settings) -> bool:
    """Whether Hunter's page runs on this machine."""
    return bool(settings.api_port) and _status(f"http://127.0.0.1:{settings.api_port}/healthz/live") == 200


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _status(url: str) -> int | None:
    import requests

    session = requests.Session()
    session.trust_env = False
    try:
        return session.get(url, timeout=_TIMEOUT).status_code
    except requests.RequestException:
        return None
