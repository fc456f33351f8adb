"""Findings: what is stored and told of a scan, built from what the lookups gave. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hunter_orchestration.scanning.gathered import Gathered
from hunter_orchestration.scanning.wire import AAAA, CNAME, NS, PTR, TYPE_NAMES, A, shown

MOST_RECORDS = 40
MOST_CHARACTERS = 2048
_MOST_EVIDENCE_CHARACTERS = 24_000
_PLAIN = frozenset((A, AAAA, NS, CNAME, PTR))
"""Types whose records are texts already."""


def told(gathered: Gathered, lookups: int, seconds: float) -> dict[str, Any]:
    """A scan as ``hunter scan --json`` prints and ``scans.findings`` keeps it.

    Keys of the fixed shape: domain, provider, gateway, hoster, mx_state, spf, dmarc, dkim, tenant_name, tenant_id,
    lookups, seconds. Besides: service (the provider's own name), dns_host, mx, a, ns, zone, dkim_state, dkim_keys,
    dkim_unknown, wildcard, tells, provider_evidence, provider_certain, complete, unknown, scanned_at, evidence.
    """
    spf, dmarc, holder = gathered.spf, gathered.dmarc, gathered.holder
    mx = mx_state(gathered)
    there = {name: key for name, key in gathered.keys.items() if key.state not in ("absent", "unknown")}
    zone = None
    for _, answer in gathered.asked:
        if answer.soa:
            zone = answer.soa
            break
    return {
        "domain": gathered.domain,
        "provider": holder.provider,
        "service": holder.service,
        "gateway": holder.gateway,
        "hoster": holder.hoster,
        "dns_host": gathered.dns_host,
        "provider_evidence": holder.evidence,
        "provider_certain": holder.certain,
        "mx_state": mx,
        "mx": [list(pair) for pair in sorted(gathered.mx.records)[:MOST_RECORDS]],
        "implicit_mx": mx == "absent" and gathered.a is not None and gathered.a.state == "found",
        "spf": {
            "state": spf.state,
            "all": spf.all,
            "includes": [_cut(name) for name in spf.includes[:MOST_RECORDS]],
            "record": _cut(spf.record),
            "reason": _cut(spf.reason) or "",
            "redirect": _cut(spf.redirect),
            "lookups": spf.lookups,
            "voids": spf.voids,
        },
        "dmarc": {
            "state": dmarc.state,
            "policy": dmarc.policy,
            "pct": dmarc.pct,
            "record": _cut(dmarc.record),
            "reason": _cut(dmarc.reason) or "",
            "subdomain_policy": dmarc.subdomain_policy,
            "nonexistent_policy": dmarc.nonexistent_policy,
            "testing": dmarc.testing,
            "rua": [_cut(uri) for uri in dmarc.rua[:10]],
            "at": dmarc.at,
            "problems": [_cut(problem) for problem in dmarc.problems[:10]],
        },
        "dkim": {name: key.state for name, key in there.items()},
        "dkim_state": dkim_state(gathered),
        "dkim_keys": {
            name: {"kind": key.kind, "bits": key.bits, "testing": key.testing, "reason": key.reason}
            for name, key in there.items()
        },
        "dkim_unknown": [name for name, key in gathered.keys.items() if key.state == "unknown"],
        "wildcard": gathered.wildcard,
        "tenant_name": gathered.tenant_name,
        "tenant_id": None,
        "tells": {name: sorted(kinds) for name, kinds in gathered.tells.by.items()},
        "a": gathered.a.records[:MOST_RECORDS] if gathered.a is not None else [],
        "ns": gathered.ns.records[:MOST_RECORDS] if gathered.ns is not None else [],
        "zone": zone,
        "complete": not gathered.failed,
        "unknown": [{"name": name, "reason": reason} for name, reason in gathered.failed[:MOST_RECORDS]],
        "lookups": lookups,
        "seconds": round(seconds, 4),
        "scanned_at": datetime.now(UTC),
        "evidence": _evidence(gathered),
    }


def mx_state(gathered: Gathered) -> str:
    """found, absent, null (RFC 7505), nxdomain or unknown."""
    mx = gathered.mx
    if mx.state == "found":
        return "null" if all(not host for _, host in mx.records) else "found"
    if mx.state == "absent":
        return "nxdomain" if mx.reason == "nxdomain" else "absent"
    return "unknown"


def dkim_state(gathered: Gathered) -> str:
    """found when a key is usable; unknown when none is and a selector did not answer; else absent."""
    states = {key.state for key in gathered.keys.values()}
    if "usable" in states:
        return "found"
    if gathered.dkim_absent:
        return "absent"
    return "unknown" if "unknown" in states or not gathered.keys else "absent"


def _cut(text: str | None) -> str | None:
    if not text:
        return text
    text = text[:MOST_CHARACTERS]
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def _evidence(gathered: Gathered) -> list[dict[str, Any]]:
    evidence = []
    left = _MOST_EVIDENCE_CHARACTERS
    for question, answer in gathered.asked:
        qtype = question.qtype
        texts: list[str] = []
        if answer.records:
            texts = answer.records[:MOST_RECORDS]
            if qtype not in _PLAIN:
                texts = [shown(record, qtype) for record in texts]
            size = sum(map(len, texts))
            if size > MOST_CHARACTERS or size > left:
                texts, size = _within(texts, left)
            left -= size
        entry: dict[str, Any] = {
            "name": question.name,
            "type": TYPE_NAMES.get(qtype) or str(qtype),
            "state": answer.state,
            "records": texts,
            "ttl": answer.ttl,
            "resolver": answer.resolver,
            "at": answer.at,
        }
        if answer.reason:
            entry["reason"] = answer.reason
        if answer.cnames:
            entry["cnames"] = answer.cnames[:MOST_RECORDS]
        evidence.append(entry)
    return evidence


def _within(texts: list[str], left: int) -> tuple[list[str], int]:
    """Texts cut each to the most characters of one and together to what is left; and how many they have."""
    kept: list[str] = []
    size = 0
    for text in texts:
        kept.append(text[: min(MOST_CHARACTERS, left - size)])
        size += len(kept[-1])
    return kept, size


def inputs_of(scan: Mapping[str, Any]) -> dict[str, Any]:
    """What scoring reads of a row of ``scans``.

    Returns:
        provider; mx, spf, dkim: True, False, or None for unknown; dmarc: reject, quarantine, none, absent or None;
        spf_includes: a number. A record that is there but faulty is found; a faulty DMARC record asks for nothing,
        hence absent, except a wrong policy with a valid rua, which counts as none (RFC 7489 section 6.6.3).
    """
    mx = {"found": True, "unknown": None}.get(scan["mx_state"], False)
    spf = {"none": False, "unknown": None}.get(scan["spf_state"], True)
    if scan["spf_state"] == "unknown" and scan["spf_includes"] is not None:
        spf = True
    dmarc: str | None
    if scan["dmarc_state"] == "unknown":
        dmarc = None
    elif scan["dmarc_state"] in ("valid", "bad_policy"):
        dmarc = scan["dmarc_policy"] or "none"
    else:
        dmarc = "absent"
    return {
        "provider": scan["provider"],
        "mx": mx,
        "spf": spf,
        "dkim": scan["dkim_found"],
        "dmarc": dmarc,
        "spf_includes": scan["spf_includes"] or 0,
    }
