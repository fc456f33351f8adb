"""Who holds the mailboxes: from all MX hosts, and behind a gateway from the other tells. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from hunter_orchestration.scanning.providers import ProviderTable, Service

_LEFTOVER = re.compile(r"ms\d+\.msv1\.invalid")
_STRONG = frozenset({"mx", "autodiscover", "dkim", "enterpriseregistration", "lyncdiscover", "tenant"})


@dataclass(slots=True)
class Tells:
    """What points to a service, beside the MX: service name to kinds of tell (spf, txt, dkim, autodiscover …)."""

    by: dict[str, set[str]] = field(default_factory=dict)

    def add(self, service: Service, kind: str) -> None:
        """Note a tell."""
        self.by.setdefault(service.name, set()).add(kind)


@dataclass(slots=True)
class Holder:
    """Who holds the mailboxes. ``evidence`` says by what, in a few words each."""

    provider: str
    service: str | None = None
    gateway: str | None = None
    hoster: str | None = None
    evidence: list[str] = field(default_factory=list)
    certain: bool = True


def useful_hosts(domain: str, mx: Sequence[tuple[int, str]]) -> list[str]:
    """MX hosts by preference, without leftovers of a verification and the null host."""
    return [host for _, host in sorted(mx) if host and not _LEFTOVER.fullmatch(host)]


def is_own(host: str, domain: str) -> bool:
    """Whether a host lies in the domain itself."""
    return host == domain or host.endswith("." + domain)


def by_mx(table: ProviderTable, domain: str, hosts: Sequence[str]) -> Holder | None:
    """What the MX hosts alone say; ``None`` when only gateways or the domain's own names are there.

    Of several services the one of the best preference counts, a mailbox service before a hoster.
    """
    gateway: str | None = None
    mailbox: tuple[Service, str] | None = None
    hoster: tuple[Service, str] | None = None
    other = ""
    for host in hosts:
        service = table.match("mx", host)
        if service is None:
            if not is_own(host, domain):
                other = other or host
        elif service.kind == "gateway":
            gateway = gateway or service.name
        elif service.kind == "hoster":
            hoster = hoster or (service, host)
        elif mailbox is None:
            mailbox = service, host
    if mailbox is not None:
        service, host = mailbox
        return Holder(service.provider, service.name, gateway, None, [f"mx {host}"])
    if hoster is not None:
        service, host = hoster
        return Holder("Hosting", service.name, gateway, service.name, [f"mx {host}"])
    if gateway is not None:
        return Holder("Unknown", None, gateway, None, [], certain=False)
    if other and not any(is_own(host, domain) for host in hosts):
        return Holder("Other", None, None, None, [f"mx {other}"])
    return None


def by_tells(table: ProviderTable, tells: Tells) -> Holder | None:
    """The mailbox service the other tells agree on.

    Microsoft 365 needs two that agree: a verification outlives a move, an SPF include may serve a subsidiary. The
    others need one that is more than a verification.
    """
    best: tuple[int, Service] | None = None
    for service in table.services:
        kinds = tells.by.get(service.name)
        if not kinds or service.kind not in ("mailbox", "hoster"):
            continue
        if service.provider in ("SendGrid", "Mailgun", "Amazon"):
            continue  # their includes and keys are of senders, not of mailboxes
        enough = len(kinds) >= 2 if service.provider == "M365" else bool(kinds - {"txt", "ns"})
        if not enough:
            continue
        weight = len(kinds) + 2 * len(kinds & _STRONG)
        if best is None or weight > best[0]:
            best = weight, service
    if best is None:
        return None
    service = best[1]
    hoster = service.name if service.kind == "hoster" else None
    return Holder(service.provider, service.name, None, hoster, sorted(tells.by[service.name]))
