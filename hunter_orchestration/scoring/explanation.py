"""The explanation of a score: each point with the records it rests on, and what the unknown could still make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from hunter_orchestration.scoring.engine import Inputs, score
from hunter_orchestration.scoring.rules import PROVIDERS, Rules

_MOST_ENTRIES = 20
_ASKED = {"mx": ("mx",), "provider": ("provider", "mx"), "spf": ("spf",), "dkim": ("dkim",), "dmarc": ("dmarc",)}
"""Inputs whose answers decide a point."""

Entry = Mapping[str, Any]


def evidenced(
    breakdown: Sequence[Mapping[str, Any]],
    findings: Mapping[str, Any] | None,
    inputs: Inputs | None = None,
    rules: Rules | None = None,
) -> list[dict[str, Any]]:
    """Every point with its evidence.

    Args:
        breakdown: ``scores.breakdown``.
        findings: ``scans.findings`` of the current scan; ``None`` when there is none.
        inputs, rules: what the score was computed from; with both, a point that rests on an unknown tells what its
            answer could make of the whole.

    Returns:
        The points in their order, each with ``evidence`` (entries of ``findings.evidence``: name, type, state,
        records, ttl, resolver, at; at most 20), ``told_by`` (for the provider: what told it, in words) and
        ``could_change`` ({score: [least, most], categories} or ``None``). Points that no record decides, such as an
        open co-sell, have no evidence.
    """
    found = findings or {}
    told = []
    for point in breakdown:
        rule = str(point["rule"])
        asked = _ASKED.get(rule, ())
        told.append(
            {
                **point,
                "evidence": _evidence(rule, str(point["state"]), found),
                "told_by": list(found.get("provider_evidence") or ()) if rule == "provider" else [],
                "could_change": _could_change(inputs, rules, asked, point["state"])
                if inputs and rules and asked
                else None,
            }
        )
    return told


def reach(inputs: Inputs, rules: Rules) -> dict[str, Any]:
    """What the answers to everything unknown could make of a lead.

    Returns:
        score: [least, most]; categories: those it could fall into, first to last; unknown: names of the inputs that
        are not known. A complete score reaches itself alone.
    """
    names = _unknown(inputs)
    return {**_range(_answers(inputs, names, rules), rules), "unknown": list(names)}


def _could_change(inputs: Inputs, rules: Rules, asked: Iterable[str], state: object) -> dict[str, Any] | None:
    open_names = [name for name in _unknown(inputs) if name in asked]
    return _range(_answers(inputs, open_names, rules), rules) if open_names or state == "unknown" else None


def _range(possible: Iterable[Inputs], rules: Rules) -> dict[str, Any]:
    outcomes = [score(one, rules) for one in possible]
    scores = [outcome.score for outcome in outcomes]
    return {
        "score": [min(scores), max(scores)],
        "categories": sorted({outcome.priority_category for outcome in outcomes}),
    }


def _unknown(inputs: Inputs) -> list[str]:
    """Inputs whose answer is missing and would count."""
    if inputs.mx is False and not inputs.tenant_known:
        return []
    names = [name for name in ("mx", "spf", "dkim", "dmarc") if getattr(inputs, name) is None]
    if inputs.tenant_known:
        # Whether there is mail decides nothing then, nor does the provider: the tenant makes it Microsoft 365.
        return [name for name in names if name != "mx"]
    return ["provider", *names] if inputs.provider == "Unknown" else names


def _answers(inputs: Inputs, names: Sequence[str], rules: Rules) -> Iterator[Inputs]:
    """The inputs with every combination of answers to these names."""
    too_many = rules.points.many_spf_includes.more_than + 1
    possible: dict[str, tuple[dict[str, Any], ...]] = {
        "provider": tuple({"provider": provider} for provider in PROVIDERS),
        "mx": ({"mx": True}, {"mx": False}),
        "spf": ({"spf": False, "spf_includes": 0}, {"spf": True, "spf_includes": 0},
                {"spf": True, "spf_includes": too_many}),
        "dkim": ({"dkim": True}, {"dkim": False}),
        "dmarc": tuple({"dmarc": policy} for policy in ("reject", "quarantine", "none", "absent")),
    }  # fmt: skip
    for combination in product(*(possible[name] for name in names)):
        changed: dict[str, Any] = {}
        for answer in combination:
            changed |= answer
        yield replace(inputs, **changed)


def _evidence(rule: str, state: str, findings: Mapping[str, Any]) -> list[Entry]:
    wanted = _WANTED.get(rule)
    if wanted is None:
        return []
    domain = str(findings.get("domain") or "")
    entries = [entry for entry in findings.get("evidence") or () if wanted(entry, domain)]
    if rule == "dkim" and state != "absent":
        kept = "found" if state == "found" else "unknown"
        entries = [entry for entry in entries if entry["state"] == kept]
    if rule in ("spf", "many_spf_includes") and state != "absent":
        entries = [_spf_only(entry) for entry in entries]
    return entries[:_MOST_ENTRIES]


def _mail(entry: Entry, domain: str) -> bool:
    return bool(entry["type"] == "MX" and entry["name"] == domain)


def _spf(entry: Entry, domain: str) -> bool:
    return bool(entry["type"] == "TXT" and entry["name"] == domain)


def _dkim(entry: Entry, domain: str) -> bool:
    """A selector's record, or the name above all of them: when that is not there, no selector is asked for."""
    name, above = str(entry["name"]), f"_domainkey.{domain}"
    return name == above or name.endswith(f".{above}")


def _dmarc(entry: Entry, _domain: str) -> bool:
    return str(entry["name"]).startswith("_dmarc.")


def _spf_or_dkim(entry: Entry, domain: str) -> bool:
    return _spf(entry, domain) or _dkim(entry, domain)


_WANTED: Mapping[str, Callable[[Entry, str], bool]] = {
    "provider": _mail,
    "no_mail": _mail,
    "mx": _mail,
    "spf": _spf,
    "many_spf_includes": _spf,
    "dkim": _dkim,
    "dmarc": _dmarc,
    "unprotected_hosting": _spf_or_dkim,
}


def _spf_only(entry: Entry) -> Entry:
    records = [record for record in entry["records"] if "v=spf1" in str(record).lower()]
    return {**entry, "records": records} if records else entry
