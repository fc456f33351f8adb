"""DMARC policy records as RFC 7489 and its successor (RFC 9989) read them. Pure functions on texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from hunter_orchestration.scanning.wire import Answer

DmarcState = Literal["valid", "none", "malformed", "multiple", "bad_policy", "unknown"]
POLICIES = ("none", "quarantine", "reject")

_MOST_BYTES = 8192
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_LOOKS = re.compile(r"v\s*=\s*dmarc", re.IGNORECASE)
_SIZE = re.compile(r"[0-9]+[kmgt]?", re.IGNORECASE)
_PERCENT = re.compile(r"[0-9]{1,3}")
_SPACE = re.compile(r"\s")
_URI = re.compile(r"[a-z][a-z0-9+.\-]*:\S+\Z", re.IGNORECASE)


@dataclass(slots=True)
class Finding:
    """What DMARC says of a domain.

    ``state`` ``bad_policy``: p is missing, or p, sp or np is wrong, yet a valid rua is there: counts as none (RFC 7489
    section 6.6.3, RFC 9989 section 4.10.1).
    ``at`` is the name the record was found at. ``problems`` are what a careful reader would mend.
    """

    state: DmarcState
    policy: str | None = None
    subdomain_policy: str | None = None
    nonexistent_policy: str | None = None
    pct: int | None = None
    rua: list[str] = field(default_factory=list)
    record: str | None = None
    reason: str = ""
    at: str | None = None
    testing: bool = False
    problems: list[str] = field(default_factory=list)


def read(answer: Answer) -> Finding:
    """The finding of a TXT answer of ``_dmarc``."""
    if answer.state == "unknown":
        return Finding("unknown", reason=answer.reason)
    if answer.state == "absent":
        return Finding("none")
    return parse(raw[:_MOST_BYTES].decode("utf-8", "replace") for raw in answer.records)


def parse(texts: Iterable[str]) -> Finding:
    """The finding of the TXT records of one name. Texts that aren't DMARC are left aside."""
    valid: list[str] = []
    near: list[str] = []
    for text in texts:
        if _VERSION.match(text):
            valid.append(text)
        elif _LOOKS.search(text):
            near.append(text)
    if len(valid) > 1:
        return Finding("multiple", record=valid[0], reason=f"{len(valid)} DMARC records")
    if valid:
        return _record(valid[0])
    if near:
        first = _LOOKS.match(near[0]) is not None
        reason = "the version is not followed by ;" if first else "v=DMARC1 does not come first"
        return Finding("malformed", record=near[0], reason=reason)
    return Finding("none")


def _reachable(uri: str) -> bool:
    """Whether an address of ``rua`` is one. By plain cuts: an expression would go back and forth over a hostile one."""
    if uri[:7].lower() != "mailto:":
        return _URI.match(uri) is not None
    address, limited, size = uri[7:].partition("!")
    local, _, host = address.partition("@")
    if limited and not _SIZE.fullmatch(size):
        return False
    return bool(local) and "." in host[1:-1] and "@" not in host and not _SPACE.search(address)


def _record(text: str) -> Finding:
    version, *parts = text.split(";")
    tags: dict[str, str] = {"v": version}
    problems: list[str] = []
    for part in parts:
        name, separator, value = part.partition("=")
        name = name.strip().lower()
        if not name and not separator:
            continue
        if not separator:
            problems.append(f"{part.strip()[:40]!r} has no value")
            continue
        if name in tags:
            # RFC 6376 section 3.2, which RFC 7489 section 6.3 follows: the entire list is invalid.
            return Finding("malformed", record=text, reason=f"{name} is given twice")
        tags[name] = value.strip()
    rua = [uri.strip() for uri in tags.get("rua", "").split(",") if uri.strip()]
    reachable = [uri for uri in rua if _reachable(uri)]
    finding = Finding("valid", record=text, rua=reachable, problems=problems)
    if len(reachable) < len(rua):
        problems.append("rua holds something that is no address")
    policies = {name: tags[name].lower() for name in ("p", "sp", "np") if name in tags}
    wrong = [name for name, policy in policies.items() if policy not in POLICIES]
    policy = policies.get("p", "none")
    if wrong or "p" not in policies:
        finding.reason = f"{wrong[0]}={tags[wrong[0]][:40]} is no policy" if wrong else "p is missing"
        if not reachable:
            finding.state = "malformed"
            return finding
        finding.state, policy = "bad_policy", "none"
    finding.policy = policy
    finding.subdomain_policy = policies.get("sp") if "sp" not in wrong else None
    finding.nonexistent_policy = policies.get("np") if "np" not in wrong else None
    finding.pct = 100
    if "pct" in tags:
        if _PERCENT.fullmatch(tags["pct"]) and int(tags["pct"]) <= 100:
            finding.pct = int(tags["pct"])
        else:
            problems.append(f"pct={tags['pct'][:20]} is no percentage")
    finding.testing = tags.get("t", "").lower() == "y"
    return finding
