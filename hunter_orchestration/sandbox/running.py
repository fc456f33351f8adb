"""A sandbox in a process of its own, for tests and benchmarks, with a small client for its control port."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import requests

from hunter_orchestration.errors import TransientError

DNS_OFFSET, CONTROL_OFFSET = 53, 80
_START_SECONDS = 60
_TRIES = 5
_SPARE = range(15_000, 32_000)


class SandboxNotStartedError(TransientError):
    """The sandbox's process ended, or did not answer in time."""


class _PortLostError(SandboxNotStartedError):
    """One of its ports was taken."""


class RunningSandbox:
    """Addresses of a running sandbox and what a test does with it. All calls go to the control port over HTTP.

    ``authority``, ``partner_center``, ``dynamics``, ``dns``, ``rdap``, ``control``, ``tenant``, ``client_id`` and
    ``client_secret`` are those of the line that ``hunter sandbox`` prints.
    """

    authority: str
    partner_center: str
    dynamics: str
    dns: str
    rdap: str
    control: str
    tenant: str
    client_id: str
    client_secret: str

    def __init__(self, addresses: Mapping[str, str], process: subprocess.Popen[bytes] | None = None) -> None:
        self.addresses = dict(addresses)
        self.process = process
        self._session = requests.Session()
        self._session.trust_env = False
        for name, value in addresses.items():
            setattr(self, name, value)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request to the control port; JSON in and out.

        Raises:
            requests.HTTPError: the control port refused, with its reason.
        """
        response = self._session.request(method, self.control + path, json=body, params=query or None, timeout=120)
        if response.status_code >= 400:
            raise requests.HTTPError(f"{response.status_code} {method} {path}: {response.text}", response=response)
        return response.json()

    def reset(self) -> None:
        """Start over: world, clock, faults, settings, counters, DNS and revoked tokens; Dataverse keeps its rows."""
        self.call("POST", "/reset")

    # ---- faults and settings

    def fault(
        self,
        service: str,
        kind: str,
        *,
        times: int | None = 1,
        after: int = 0,
        method: str | None = None,
        path: str | None = None,
        **params: Any,
    ) -> int:
        """Switch a fault on, e.g. ``fault("partner_center", "status", status=429, retry_after=1)``, and tell its id."""
        body = {"service": service, "kind": kind, "times": times, "after": after, "method": method, "path": path}
        added: dict[str, Any] = self.call("POST", "/faults", {**body, "params": params})
        return int(added["id"])

    def clear(self, service: str | None = None) -> None:
        """Switch off all faults and put all settings back."""
        self.call("DELETE", "/faults", **({"service": service} if service else {}))

    def configure(self, service: str, **settings: Any) -> dict[str, Any]:
        """Change settings of a service, e.g. ``configure("partner_center", page_size=25)``."""
        changed: dict[str, Any] = self.call("PATCH", f"/settings/{service}", settings)
        return changed

    def counters(self, *, detail: bool = False) -> dict[str, Any]:
        """Requests by service since the last ``reset_counters``."""
        counted: dict[str, Any] = self.call("GET", "/counters", **({"detail": "true"} if detail else {}))
        return counted

    def reset_counters(self) -> None:
        self.call("DELETE", "/counters")

    # ---- clock

    def now(self) -> datetime:
        return _time(self.call("GET", "/clock")["now"])

    def advance(self, seconds: float) -> datetime:
        return _time(self.call("POST", "/clock", {"advance": seconds})["now"])

    def set_clock(self, when: datetime) -> datetime:
        return _time(self.call("POST", "/clock", {"set": when.isoformat()})["now"])

    def freeze(self, frozen: bool = True) -> None:
        self.call("POST", "/clock", {"frozen": frozen})

    # ---- world

    def add_referral(
        self,
        *,
        kind: str | None = None,
        domain: str | None = None,
        changes: Mapping[str, Any] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Add a referral; facts about it come back (``id``, ``kind``, ``expected_domain``, …)."""
        body = {"kind": kind, "domain": domain, "changes": dict(changes or {}), "document": document}
        added: dict[str, Any] = self.call("POST", "/referrals", body)
        return added

    def change_referral(self, referral_id: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Change a referral as somebody in Partner Center would."""
        changed: dict[str, Any] = self.call("PATCH", f"/referrals/{referral_id}", {"changes": changes})
        return changed

    def referral(self, referral_id: str) -> dict[str, Any]:
        """The referral as Partner Center would answer it."""
        found: dict[str, Any] = self.call("GET", f"/referrals/{referral_id}")
        return found

    def referrals(self) -> list[dict[str, Any]]:
        """Facts about all referrals."""
        facts: list[dict[str, Any]] = []
        while page := self.call("GET", "/referrals", offset=len(facts), limit=10_000):
            facts += page
        return facts

    def tick(self, times: int = 1) -> dict[str, Any]:
        """Let a little happen."""
        happened: dict[str, Any] = self.call("POST", "/tick", {"times": times})
        return happened

    def burst(self, count: int = 6_000) -> str:
        """Give so many referrals one updatedDateTime, which comes back."""
        return str(self.call("POST", "/burst", {"count": count})["updatedDateTime"])

    def truths(self) -> list[dict[str, Any]]:
        """What a scan of every domain should find."""
        facts: list[dict[str, Any]] = []
        while page := self.call("GET", "/truth", offset=len(facts), limit=10_000):
            facts += page
        return facts

    def truth(self, domain: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/truth/{domain}")
        return found

    def records(self, name: str, records: Mapping[str, Sequence[Any]] | None) -> None:
        """Set the DNS records of a name; None gives it back to the world."""
        self.call("PUT", f"/dns/{name}", {"records": records})

    # ---- identity

    def refresh_token(self, user: str = "admin", *, mfa: bool = True) -> str:
        """A refresh token as a finished sign-in of ``admin`` or ``user`` leaves it."""
        return str(self.call("POST", "/entra/refresh-tokens", {"user": user, "mfa": mfa})["refresh_token"])

    def revoke(self, *refresh_tokens: str, access_tokens: bool = False) -> None:
        self.call("POST", "/entra/revoke", {"refresh_tokens": refresh_tokens, "access_tokens": access_tokens})

    def access_token(self, user: str = "admin", scope: str = "https://api.partner.microsoft.com/.default") -> str:
        """An access token of this user, for Partner Center if not told otherwise, for tests that speak HTTP."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token(user),
            "scope": scope,
        }
        response = self._session.post(f"{self.authority}/{self.tenant}/oauth2/v2.0/token", data=form, timeout=30)
        response.raise_for_status()
        return str(response.json()["access_token"])

    def settings(self) -> dict[str, str]:
        """``HUNTER_*`` variables that point Hunter at this sandbox."""
        return {
            "HUNTER_AUTHORITY_URL": self.authority,
            "HUNTER_PARTNER_CENTER_URL": self.partner_center,
            "HUNTER_DYNAMICS_URL": self.dynamics,
            "HUNTER_DNS_SERVERS": self.dns,
            "HUNTER_RDAP_URL": self.rdap,
            "HUNTER_TENANT_ID": self.tenant,
            "HUNTER_CLIENT_ID": self.client_id,
            "HUNTER_CLIENT_SECRET": self.client_secret,
        }


@contextmanager
def running_sandbox(
    *,
    companies: int = 50,
    seed: int = 1,
    now: datetime | None = None,
    live: bool = False,
    state: Path | None = None,
    port_base: int | None = None,
) -> Iterator[RunningSandbox]:
    """Start a sandbox in a process of its own on free ports and stop it at the end.

    Raises:
        SandboxNotStartedError: it did not answer within a minute.
    """
    for left in range(_TRIES - 1 if port_base is None else 0, -1, -1):
        try:
            process, addresses = _started(
                port_base or spare_port(beside=(DNS_OFFSET, CONTROL_OFFSET)), companies, seed, now, live, state
            )
            break
        except _PortLostError:
            # Somebody took a port between the look and the start.
            if not left:
                raise
    try:
        yield RunningSandbox(addresses, process)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _started(
    base: int, companies: int, seed: int, now: datetime | None, live: bool, state: Path | None
) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    command = [sys.executable, "-m", "hunter_orchestration.sandbox", "--port-base", str(base)]
    command += ["--companies", str(companies), "--seed", str(seed)]
    command += ["--now", now.isoformat()] if now else []
    command += ["--live"] if live else []
    command += ["--state", str(state)] if state else []
    # Files, not pipes: what the sandbox prints can't block it.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        until = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < until:
            output.seek(0)
            line = output.readline()
            if line.endswith(b"\n"):
                addresses: dict[str, str] = orjson.loads(line)
                return process, addresses
            time.sleep(0.02)
        process.kill()
        process.wait()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip()
    failure = _PortLostError if "--port-base" in said and process.returncode == 1 else SandboxNotStartedError
    raise failure(f"The sandbox did not start: {said[-2000:] or 'it said nothing'}")


def spare_port(*, beside: Sequence[int] = ()) -> int:
    """A port N such that N and every N + ``beside`` are free just now, by TCP and by UDP.

    Below the range that the system gives out by itself (RFC 6335 6 starts it at 49152, Linux at 32768): nobody who
    asks for any port is given it between this answer and the moment, seconds later, when a service opens it, nor
    while a killed service is away.
    """
    while True:
        base = _SPARE.start + secrets.randbelow(len(_SPARE))
        if all(_is_spare(base + offset) for offset in (0, *beside)):
            return base


def _is_spare(port: int) -> bool:
    try:
        with socket.socket() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", port))
            datagram.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def _time(text: str) -> datetime:
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{(fraction + '000000')[:6]}+00:00")
