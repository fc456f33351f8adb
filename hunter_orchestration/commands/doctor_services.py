"""What ``hunter doctor`` asks of others: Dagster, Partner Center, resolvers, sign-in, Dynamics."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from hunter_orchestration.commands.findings import Finding, State
from hunter_orchestration.errors import HunterError
from hunter_orchestration.settings import Settings

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


def check_instance(settings: Settings) -> Iterator[Finding]:
    """Dagster's instance settings and the database they name."""
    folder = settings.home.absolute() / "dagster"
    if not (folder / "dagster.yaml").exists():
        told = "hunter up makes it. For the services of deploy/postgres, copy deploy/postgres/dagster.yaml there."
        state: State = "warning" if folder.exists() else "ok"
        yield Finding("dagster.yaml", state, f"There is none in {folder} yet.", told if folder.exists() else "")
        return
    from hunter_orchestration.defs.instance import troubles

    found = list(troubles(folder))
    for trouble in found:
        yield Finding("dagster.yaml", "problem" if trouble.stops else "warning", trouble.sentence, trouble.fix)
    if not found:
        yield Finding("dagster.yaml", "ok", f"{folder / 'dagster.yaml'} can be used, and its database answers.")


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

    try:
        url = checked_origin(settings.partner_center_url, "HUNTER_PARTNER_CENTER_URL")
    except HunterError as error:
        yield Finding("partner center", "problem", error.message, error.fix)
        return
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
    """Whether Partner Center can be asked without a person, and for how long: a token is asked for as a sync does."""
    from hunter_orchestration.partner_center.sign_in import Tokens, sign_in_status
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
        return
    Tokens(settings).token()
    if status.sees == "own":
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
    from hunter_orchestration.dynamics import preflight
    from hunter_orchestration.dynamics.mapping import load_mapping
    from hunter_orchestration.dynamics.session import connected

    with connected(settings) as client:
        report = preflight.check(client, load_mapping(settings.mapping_file))
    for finding in report.findings:
        where = f"{finding.table}.{finding.field}" if finding.field else finding.table
        state: State = "problem" if finding.level == "error" else "warning"
        yield Finding("dynamics", state, f"{where}: {finding.problem}.", finding.fix)
    if not report.findings:
        yield Finding("dynamics", "ok", f"{settings.dynamics_url} can hold all {len(report.fields)} mapped fields.")
