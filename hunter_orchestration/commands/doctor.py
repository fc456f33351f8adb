"""``hunter doctor``: everything Hunter needs, looked at one by one, each with a sentence and what to do.

Nothing is changed: no migration, no sign-in by a person, no write to Dynamics. A check answers within seconds.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hunter_orchestration.commands.console import FAILED, print_json, say
from hunter_orchestration.errors import HunterError
from hunter_orchestration.settings import Settings, SettingsError, load_settings
from hunter_orchestration.store.engine import Store, StoreError

_PYTHON = (3, 11)
_LITTLE_SPACE, _NO_SPACE = 2 * 10**9, 200 * 10**6
_DRIFT_SECONDS = 60
_WARN_DAYS = 14
_TIMEOUT = 5
_PUBLIC_RESOLVERS = frozenset({
    "8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220",
    "2001:4860:4860::8888", "2001:4860:4860::8844", "2606:4700:4700::1111", "2606:4700:4700::1001", "2620:fe::fe",
})  # fmt: skip
_HEALTH = """{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  workspaceOrError { __typename ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
    __typename ... on PythonError { message } } } } } }"""

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. ``fix`` is empty when there is nothing to do."""

    name: str
    state: State
    sentence: str
    fix: str = ""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON line a check.")] = False) -> None:
    """Check everything Hunter needs and say how to mend it. Exit status 1 when something stops it."""
    findings = []
    for finding in examine():
        findings.append(finding)
        if as_json:
            print_json(asdict(finding))
        else:
            mark = {"ok": "  ok  ", "warning": " warn ", "problem": " STOP "}[finding.state]
            print(
                f"[{mark}] {finding.name}: {finding.sentence}" + (f"\n         → {finding.fix}" if finding.fix else "")
            )
    problems = sum(finding.state == "problem" for finding in findings)
    warnings = sum(finding.state == "warning" for finding in findings)
    if not as_json:
        say(f"{len(findings)} checks, {problems} to mend, {warnings} to look at.")
    if problems:
        raise typer.Exit(FAILED)


def examine() -> Iterator[Finding]:
    """All findings, in the order in which they matter."""
    yield check_python()
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Finding("settings", "problem", str(error), "Mend the named settings in .env or the environment.")
        return
    yield Finding("settings", "ok", "Every setting can be read.")
    for name, check in CHECKS.items():
        yield from _looked(name, check, settings)


def _looked(name: str, check: Check, settings: Settings) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except HunterError as error:
        yield Finding(name, "problem", error.message, error.fix)
    except StoreError as error:
        yield Finding(name, "problem", str(error), "Check HUNTER_DATABASE_URL and that its server runs.")


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


def check_dagster(settings: Settings) -> Iterator[Finding]:
    """Web server, daemon and code location, through the web server's own account of them."""
    import requests

    base = settings.dagster_base_url
    try:
        session = requests.Session()
        session.trust_env = False
        body = session.post(f"{base}/graphql", json={"query": _HEALTH, "variables": {}}, timeout=_TIMEOUT).json()[
            "data"
        ]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        yield Finding(
            "dagster",
            "warning",
            f"Dagster's web server does not answer at {base}.",
            "Start Hunter with hunter up, or the services of deploy/postgres.",
        )
        yield from _code_by_itself()
        return
    yield Finding("dagster", "ok", f"Dagster's web server answers at {base}.")
    sick = [
        daemon["daemonType"]
        for daemon in body["instance"]["daemonHealth"]["allDaemonStatuses"]
        if daemon["required"] and not daemon["healthy"]
    ]
    if sick:
        yield Finding(
            "daemon",
            "problem",
            f"No heartbeat of the daemon's {', '.join(sorted(sick)).lower()}.",
            "Start one dagster-daemon; hunter up does. Its log is HUNTER_HOME/logs/daemon.log.",
        )
    else:
        yield Finding("daemon", "ok", "Every part of the daemon has a fresh heartbeat.")
    entries = body["workspaceOrError"].get("locationEntries", [])
    broken = [entry for entry in entries if (entry["locationOrLoadError"] or {}).get("__typename") == "PythonError"]
    if broken or not entries:
        said = broken[0]["locationOrLoadError"]["message"].strip().splitlines()[-1][:300] if broken else "none is named"
        yield Finding(
            "code location",
            "problem",
            f"Hunter's code is not loaded by Dagster: {said}.",
            "Mend what it says, then reload the location in the Dagster UI (Deployment).",
        )
    else:
        yield Finding("code location", "ok", f"{', '.join(entry['name'] for entry in entries)} is loaded.")


def _code_by_itself() -> Iterator[Finding]:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "import hunter_orchestration.definitions"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1][:300]
        yield Finding(
            "code location",
            "problem",
            f"Hunter's definitions do not load: {said}.",
            "Install the pinned requirements again: make up does.",
        )
    else:
        yield Finding("code location", "ok", f"Hunter's definitions load in {time.monotonic() - started:.1f} s.")


def check_clock(settings: Settings) -> Iterator[Finding]:
    """Our clock against Partner Center's."""
    if not settings.partner_center_enabled:
        return
    import requests

    from hunter_orchestration.partner_center.client import checked_origin

    url = checked_origin(settings.partner_center_url, "HUNTER_PARTNER_CENTER_URL")
    try:
        answer = requests.get(f"{url}/v1.0/engagements/referrals", timeout=_TIMEOUT, allow_redirects=False)
        said = parsedate_to_datetime(answer.headers["Date"])
    except requests.RequestException as error:
        yield Finding(
            "partner center",
            "problem",
            f"{url} can't be reached ({type(error).__name__}).",
            "Check the network, a proxy (HTTPS_PROXY) and HUNTER_PARTNER_CENTER_URL.",
        )
        return
    except (KeyError, ValueError):
        yield Finding("clock", "warning", f"{url} does not tell the time.", "Check this machine's clock by hand.")
        return
    yield Finding("partner center", "ok", f"{url} answers.")
    drift = (datetime.now(UTC) - said).total_seconds()
    if abs(drift) > _DRIFT_SECONDS:
        yield Finding(
            "clock",
            "warning",
            f"This machine's clock is {abs(drift):.0f} s {'ahead of' if drift > 0 else 'behind'} Partner Center's.",
            "Tokens and expiry dates depend on it: timedatectl set-ntp true.",
        )
    else:
        yield Finding("clock", "ok", f"Within {max(1, round(abs(drift)))} s of Partner Center's.")


def check_resolvers(settings: Settings) -> Iterator[Finding]:
    """Each resolver answers, and none is a public one that bans whoever asks as much as a scan does."""
    import dns.exception
    import dns.message
    import dns.query

    from hunter_orchestration.scanning.resolvers import parse_address, system_addresses

    addresses = [parse_address(text) for text in settings.dns_servers] or system_addresses()
    if not addresses:
        yield Finding(
            "resolvers",
            "problem",
            "The system names no resolver.",
            "Set HUNTER_DNS_SERVERS, best to a local unbound (deploy/unbound.conf).",
        )
    dead = 0
    for address in addresses:
        name = f"resolver {address}"
        try:
            dns.query.udp(dns.message.make_query(".", "NS"), address.host, timeout=2, port=address.port)
        except (OSError, dns.exception.DNSException) as error:
            dead += 1
            yield Finding(
                name,
                "problem" if dead == len(addresses) else "warning",
                f"It does not answer ({type(error).__name__}).",
                "Check HUNTER_DNS_SERVERS and the firewall; UDP and TCP port 53 are both needed.",
            )
            continue
        if address.host in _PUBLIC_RESOLVERS:
            yield Finding(
                name,
                "warning",
                "A public resolver: it limits and bans whoever asks as much as a scan does.",
                "Run a local unbound (deploy/unbound.conf) and set HUNTER_DNS_SERVERS to it.",
            )
        else:
            yield Finding(name, "ok", "It answers.")


def check_sign_in(settings: Settings) -> Iterator[Finding]:
    """Whether Partner Center can be asked without a person, and for how long."""
    from hunter_orchestration.partner_center.sign_in import sign_in_status
    from hunter_orchestration.partner_center.token_cache import refuse_readable

    refuse_readable(settings.home / "tokens.bin")
    if not settings.partner_center_enabled:
        yield Finding("sign-in", "ok", "Partner Center is off (HUNTER_PARTNER_CENTER_ENABLED).")
        return
    status = sign_in_status(settings)
    if not status.signed_in:
        yield Finding(
            "sign-in",
            "problem",
            status.problem or "Nobody is signed in to Partner Center.",
            "Run hunter login as a user with the Referrals admin role.",
        )
        return
    who = f"{status.account or 'the app registration'} by {status.method.replace('_', ' ')}"
    if status.days_left is not None and status.days_left < _WARN_DAYS:
        yield Finding(
            "sign-in", "warning", f"{who}; ends in {status.days_left} days unless it is used.", "Run hunter login."
        )
    elif status.sees == "own":
        yield Finding(
            "sign-in",
            "warning",
            f"{who} sees only its own referrals.",
            "Sign in with the Referrals admin role to see every referral.",
        )
    else:
        yield Finding("sign-in", "ok", f"Signed in as {who}.")


def check_dynamics(settings: Settings) -> Iterator[Finding]:
    """Whether the organisation can hold what the mapping writes."""
    if not settings.dynamics_enabled:
        yield Finding("dynamics", "ok", "Dynamics 365 is off (HUNTER_DYNAMICS_ENABLED).")
        return
    if not settings.dynamics_url:
        yield Finding(
            "dynamics",
            "problem",
            "Dynamics 365 is on, but HUNTER_DYNAMICS_URL is empty.",
            "Set it to the organisation's address, e.g. https://contoso.crm4.dynamics.com.",
        )
        return
    from hunter_orchestration.dynamics import preflight, stage
    from hunter_orchestration.dynamics.mapping import load_mapping

    with stage.connected(settings) as client:
        report = preflight.check(client, load_mapping(settings.mapping_file))
    for finding in report.findings:
        where = f"{finding.table}.{finding.field}" if finding.field else finding.table
        state: State = "problem" if finding.level == "error" else "warning"
        yield Finding("dynamics", state, f"{where}: {finding.problem}.", finding.fix)
    if not report.findings:
        yield Finding("dynamics", "ok", f"{settings.dynamics_url} can hold all {len(report.fields)} mapped fields.")


def check_files(settings: Settings) -> Iterator[Finding]:
    """The files people edit: rules, mapping, briefing, offers, alerts."""
    from hunter_orchestration.alerts.targets import read_targets
    from hunter_orchestration.dynamics.mapping import load_mapping
    from hunter_orchestration.scoring.rules import read_rules

    reads: list[tuple[str, Callable[[], Any]]] = [
        ("rules file", lambda: read_rules(settings.rules_file)),
        ("mapping file", lambda: load_mapping(settings.mapping_file)),
        ("alerts file", lambda: read_targets(settings.alerts_file)),
    ]
    for name, read in reads:
        try:
            read()
        except HunterError as error:
            yield Finding(name, "problem", error.message, error.fix)
        else:
            yield Finding(name, "ok", "It can be used.")


def check_page(settings: Settings) -> Iterator[Finding]:
    """The page is on loopback, or asks people to sign in."""
    from hunter_orchestration.web.guard import is_loopback
    from hunter_orchestration.web.people import check_exposure

    try:
        check_exposure(settings)
    except SettingsError as error:
        yield Finding("page", "problem", str(error), "Set what it names; until then the page does not start.")
        return
    who = "this machine only" if is_loopback(settings.api_host) else "people who sign in"
    yield Finding("page", "ok", f"It listens on {settings.api_host}, for {who}.")


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


Check = Callable[[Settings], Iterator[Finding]]
CHECKS: dict[str, Check] = {
    "home": check_home,
    "database": check_database,
    "ports": check_ports,
    "dagster": check_dagster,
    "clock": check_clock,
    "resolvers": check_resolvers,
    "sign-in": check_sign_in,
    "dynamics": check_dynamics,
    "files": check_files,
    "page": check_page,
}
