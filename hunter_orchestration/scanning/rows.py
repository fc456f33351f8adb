"""From findings to a row of ``scans``, and what changed between two of them. Pure functions."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hunter_orchestration.scanning.findings import inputs_of

_STALE = timedelta(days=30)
_READ_BY_SCORING = ("tenant_id", "tenant_agrees")
_M365 = "Microsoft 365"

Findings = Mapping[str, Any]
Scan = Mapping[str, Any]


def tenant_agrees(findings: Findings) -> bool:
    """Whether the mail itself tells of Microsoft 365, as a discovered tenant needs before it counts."""
    return findings["provider"] == "M365" or bool(findings["tells"].get(_M365))


def settled(findings: Findings, tenant_id: str | None) -> dict[str, Any] | None:
    """Findings whose mailbox a discovered tenant settles, or None when it settles nothing.

    Behind a gateway, Microsoft 365 needs two tells that agree; a tenant is one, beside a verification or an SPF
    include. Alone it proves nothing: many who hold their mail elsewhere have one.
    """
    kinds = findings["tells"].get(_M365)
    if tenant_id is None or not kinds or not findings["gateway"] or findings["provider"] not in ("Unknown", "Local"):
        return None
    evidence = sorted({*kinds, "tenant"})
    return {
        **findings,
        "provider": "M365",
        "service": _M365,
        "provider_evidence": evidence,
        "provider_certain": True,
        "tells": {**findings["tells"], _M365: evidence},
    }


def row_of(findings: Findings, *, fresh: timedelta, unknown: timedelta, old: Scan | None) -> dict[str, Any]:
    """The row of ``scans`` for findings, ``is_current`` still to be decided.

    Its end of freshness is drawn from the last tenth of the span, so that a batch does not fall due all at once. A
    tenant discovered before is carried on: the core set doesn't ask for it.
    """
    span = fresh if findings["complete"] else unknown
    tenant_id = old["tenant_id"] if old is not None else None
    findings = settled(findings, tenant_id) or findings
    spf = findings["spf"]
    return {
        "domain": findings["domain"],
        "scanned_at": findings["scanned_at"],
        "expires_at": findings["scanned_at"] + span * random.uniform(0.9, 1.0),
        "is_current": True,
        "complete": findings["complete"],
        "provider": findings["provider"],
        "gateway": findings["gateway"],
        "hoster": findings["hoster"],
        "mx_state": findings["mx_state"],
        "spf_state": spf["state"],
        "spf_all": spf["all"],
        "spf_includes": len(spf["includes"]) if spf["record"] is not None else None,
        "dkim_found": {"found": True, "absent": False}.get(findings["dkim_state"]),
        "dmarc_state": findings["dmarc"]["state"],
        "dmarc_policy": findings["dmarc"]["policy"],
        "tenant_id": tenant_id,
        "tenant_name": findings["tenant_name"],
        "tenant_agrees": tenant_id is not None and tenant_agrees(findings),
        "findings": dict(findings),
        "lookups": findings["lookups"],
        "seconds": findings["seconds"],
    }


def replaces(new: Scan, old: Scan | None) -> bool:
    """Whether a new scan becomes the current one. One with failed lookups doesn't push out a complete one, until
    that is a month old."""
    if old is None or new["complete"] or not old["complete"]:
        return True
    return bool(new["scanned_at"] - old["scanned_at"] > _STALE)


def scoring_differs(new: Scan, old: Scan | None) -> bool:
    """Whether scoring would read anything else than before."""
    if old is None:
        return True
    return inputs_of(new) != inputs_of(old) or any(new[name] != old[name] for name in _READ_BY_SCORING)


def page_differs(new: Scan, old: Scan | None) -> bool:
    """Whether the page's list shows anything else than before."""
    return old is None or any(new[name] != old[name] for name in ("provider", "gateway", "hoster"))


def changes_of(new: Scan, old: Scan | None, old_mx: str | None, at: datetime) -> list[dict[str, Any]]:
    """What changed between two scans, where both know: rows of ``scan_changes``."""
    if old is None:
        return []
    pairs: list[tuple[str, str | None, str | None]] = []
    if new["mx_state"] != "unknown" and old["mx_state"] != "unknown":
        pairs.append(("provider", old["provider"], new["provider"]))
        pairs.append(("gateway", old["gateway"], new["gateway"]))
        pairs.append(("mx", old_mx, mx_text(new["findings"])))
    if new["spf_state"] != "unknown" and old["spf_state"] != "unknown":
        pairs.append(("spf", _spf_text(old), _spf_text(new)))
    if new["dmarc_state"] != "unknown" and old["dmarc_state"] != "unknown":
        pairs.append(("dmarc", _dmarc_text(old), _dmarc_text(new)))
    if new["dkim_found"] is not None and old["dkim_found"] is not None:
        pairs.append(("dkim", _found(old["dkim_found"]), _found(new["dkim_found"])))
    if new["tenant_name"] and old["tenant_name"]:
        pairs.append(("tenant", old["tenant_name"], new["tenant_name"]))
    return [
        {"domain": new["domain"], "at": at, "kind": kind, "old": before, "new": now}
        for kind, before, now in pairs
        if before != now
    ]


def mx_text(findings: Findings) -> str | None:
    """The MX hosts in order of preference, as a change shows them."""
    return ", ".join(host or "." for _, host in findings["mx"])[:500] or None


def _spf_text(scan: Scan) -> str:
    return f"{scan['spf_state']} {scan['spf_all'] or ''}".strip()


def _dmarc_text(scan: Scan) -> str:
    """The policy, or why there is none. No record is not the policy "none"."""
    state = "absent" if scan["dmarc_state"] == "none" else str(scan["dmarc_state"])
    return scan["dmarc_policy"] or state


def _found(value: bool) -> str:
    return "found" if value else "absent"
