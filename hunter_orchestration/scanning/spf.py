"""SPF as RFC 7208 reads it, without a sender: is the record valid, what does it end in, how many lookups does it cost.

Pure functions on texts and answers. Mechanisms whose outcome depends on the message's sender (``ptr``, macros of the
sender) are counted and not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Literal

from hunter_orchestration.scanning.wire import MX, TXT, A, Answer

SpfState = Literal["valid", "none", "multiple", "syntax", "too_many_lookups", "include_missing", "unknown"]

Asked = tuple[str, int]
"""A name and a record type."""

LOOKUP_LIMIT = 10
VOID_LIMIT = 2
_MX_LIMIT = 10
_LONGEST_NAME = 253
_MOST_BYTES = 8192

_VERSION = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_TERM = re.compile(r"([+\-~?]?)([a-z0-9]+)(?::([^ ]*?))?((?:/\d{1,3})?(?://\d{1,3})?)", re.IGNORECASE)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.\-]*)=(.*)", re.IGNORECASE)
_MACRO = re.compile(r"%(?:\{([slodiphcrtv])((?:0*[1-9]\d*)?)(r?)([.\-+,/_=]*)\}|[%_\-])", re.IGNORECASE)
_MACRO_END = re.compile(r"%(?:\{[^{}]*\}|[_\-])\Z")
_OF_EXPLANATIONS = re.compile(r"%\{[crt]", re.IGNORECASE)
_SIGNS = {"%%": "%", "%_": " ", "%-": "%20"}
_NAMED = re.compile(r"(?:include:|redirect=)([^\s;,\"']+)", re.IGNORECASE)
_LITERAL = re.compile(r"[\x21-\x24\x26-\x7e]*\Z")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?\Z")


@dataclass(frozen=True, slots=True)
class Record:
    """One SPF record taken apart. ``problem`` is empty when its syntax is right.

    ``steps`` are what costs a lookup, in order: (kind, target); the target is empty for the domain itself.
    """

    text: str
    problem: str
    all: str | None
    includes: tuple[str, ...]
    redirect: str
    steps: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Finding:
    """What SPF says of a domain. ``lookups`` counts as a receiver would; ``reason`` says why it isn't valid."""

    state: SpfState
    reason: str = ""
    record: str | None = None
    all: str | None = None
    includes: list[str] = field(default_factory=list)
    redirect: str | None = None
    lookups: int = 0
    voids: int = 0


def records_of(texts: Iterable[bytes]) -> list[str]:
    """The SPF records among the TXT records of a name (section 4.5): the version, then a space or the end."""
    found = []
    for raw in texts:
        if raw[:6].lower() == b"v=spf1":
            text = raw[:_MOST_BYTES].decode("latin-1")
            if _VERSION.match(text):
                found.append(text)
    return found


@lru_cache(maxsize=2048)
def parse(text: str) -> Record:
    """Take a record apart (section 4.6.1: one syntax error anywhere makes the whole record void)."""
    problem = ""
    qualifier: str | None = None
    includes: list[str] = []
    redirect = ""
    steps: list[tuple[str, str]] = []
    modifiers: set[str] = set()
    for term in text[6:].split(" "):
        if not term:
            continue
        modifier = _MODIFIER.match(term)
        if modifier and ":" not in modifier[1] and "/" not in modifier[1]:
            name, value = modifier[1].lower(), modifier[2]
            wrong = _modifier_problem(name, value, modifiers)
            if wrong:
                problem = problem or wrong
            elif name == "redirect":
                redirect = value.rstrip(".").lower()
            modifiers.add(name)
            continue
        wrong, kind, sign, target = _mechanism(term)
        if wrong:
            problem = problem or wrong
            continue
        if qualifier is not None:
            continue
        if kind == "all":
            qualifier = (sign or "+") + "all"
        elif kind == "include":
            includes.append(target)
            steps.append((kind, target))
        elif kind in ("a", "mx", "ptr", "exists"):
            steps.append((kind, target))
    if redirect and qualifier is None:
        steps.append(("redirect", redirect))
    return Record(text, problem, qualifier, tuple(includes), redirect, tuple(steps))


def named(record: Record) -> list[str]:
    """The domains a record includes or redirects to: what its author meant, though the syntax be wrong."""
    if record.problem:
        return [target.rstrip(".").lower() for target in _NAMED.findall(record.text)]
    return [*record.includes, record.redirect]


def _modifier_problem(name: str, value: str, seen: set[str]) -> str:
    if name in ("redirect", "exp"):
        if name in seen:
            return f"{name}= twice"
        if not _domain_spec(value):
            return f"{name}={value[:60]} names no domain"
        return ""
    return "" if _macro_string(value) else f"{name}= holds a wrong macro"


def _mechanism(term: str) -> tuple[str, str, str, str]:
    """(problem, kind, qualifier, target) of a mechanism."""
    shown = term[:60]
    match = _TERM.fullmatch(term)
    if match is None:
        return f"{shown!r} is no mechanism", "", "", ""
    sign, kind, target, cidr = match[1], match[2].lower(), match[3], match[4]
    if kind in ("ip4", "ip6"):
        return ("" if _address(kind, target or "", cidr) else f"{shown!r} is no address"), kind, sign, ""
    if kind == "all":
        return ("" if target is None and not cidr else f"{shown!r} takes nothing after all"), kind, sign, ""
    if kind in ("include", "exists"):
        right = bool(target) and not cidr and _domain_spec(target)
        return ("" if right else f"{shown!r} names no domain"), kind, sign, (target or "").rstrip(".").lower()
    if kind in ("a", "mx"):
        right = (target is None or _domain_spec(target)) and _cidr(cidr)
        return ("" if right else f"{shown!r} is not well-formed"), kind, sign, (target or "").rstrip(".").lower()
    if kind == "ptr":
        right = (target is None or _domain_spec(target)) and not cidr
        return ("" if right else f"{shown!r} is not well-formed"), kind, sign, (target or "").rstrip(".").lower()
    return f"{shown!r} is no mechanism", "", "", ""


def _cidr(text: str) -> bool:
    if not text:
        return True
    four, _, six = text.partition("//")
    parts = ((four[1:], 32), (six, 128))
    return all(not part or (part == str(int(part)) and int(part) <= most) for part, most in parts)


def _address(kind: str, target: str, cidr: str) -> bool:
    size = cidr[1:]
    if cidr and (not size.isdigit() or size != str(int(size))):
        return False
    try:
        if kind == "ip4":
            IPv4Address(target)
            return not size or int(size) <= 32
        IPv6Address(target)
    except AddressValueError:
        return False
    return "%" not in target and (not size or int(size) <= 128)


def _macro_string(text: str) -> bool:
    return _LITERAL.match(_MACRO.sub("", text)) is not None


def _domain_spec(text: str) -> bool:
    """Section 7.1: macros, and an end that is a top label or a macro. Some are for explanations alone (section 7.2)."""
    if not text or not _macro_string(text):
        return False
    if "%" in text:
        plain = text.replace("%%", "%-")
        if _OF_EXPLANATIONS.search(plain):
            return False
        if _MACRO_END.search(plain):
            return True
    labels = text.rstrip(".").split(".") if not text.endswith("..") else [""]
    top = labels[-1]
    if len(labels) < 2 or not _LABEL.match(top) or top.isdigit() or "_" in top:
        return False
    return "%" in text or all(0 < len(label) < 64 for label in labels)


def expand(target: str, domain: str) -> str | None:
    """A target with the macros of the domain filled in; ``None`` when it depends on the sender.

    One that grows too long loses labels on its left (section 7.3).
    """
    if "%" not in target:
        return target
    unknown = False

    def value(match: re.Match[str]) -> str:
        nonlocal unknown
        if match[1] is None:
            return _SIGNS[match[0]]
        letter, digits, reverse, delimiters = match[1].lower(), match[2], match[3], match[4]
        if letter != "d":
            unknown = True
            return ""
        parts = re.split(f"[{re.escape(delimiters or '.')}]", domain)
        if reverse:
            parts.reverse()
        return ".".join(parts[-int(digits.lstrip("0")[:3]) :] if digits else parts)

    text = _MACRO.sub(value, target)
    if len(text) > _LONGEST_NAME:
        text = text[-_LONGEST_NAME - 1 :].partition(".")[2]
    return None if unknown or " " in text else text.lower()


@lru_cache(maxsize=2048)
def _is_name(text: str) -> bool:
    """Whether what macros made can be asked for (section 4.3)."""
    return all(0 < len(label) < 64 for label in text.removesuffix(".").split("."))


class _Walk:
    """One evaluation: walks the tree in order and stops at the first thing that voids the record.

    ``open`` holds the hosts not asked for yet, once for each term that names them.
    """

    def __init__(self, answers: Mapping[str, Answer], hosts: Mapping[Asked, Answer], domain: str) -> None:
        self.answers = answers
        self.hosts = hosts
        self.domain = domain
        self.lookups = 0
        self.voids = 0
        self.texts: set[str] = set()
        self.open: list[Asked] = []
        self.failed = ""

    def needed(self) -> set[Asked]:
        """Texts still to be read, and hosts only when enough of them are open to break the limit of voids."""
        needed = {(name, TXT) for name in self.texts}
        return needed.union(self.open) if self.voids + len(self.open) > VOID_LIMIT else needed

    def over(self, record: Record, domain: str) -> tuple[SpfState, str] | None:
        if record.problem:
            where = "" if domain == self.domain else f"in {domain}: "
            return "syntax", where + record.problem
        for kind, target in record.steps:
            self.lookups += 1
            if self.lookups > LOOKUP_LIMIT:
                return "too_many_lookups", f"more than {LOOKUP_LIMIT} DNS lookups"
            if kind in ("include", "redirect"):
                problem = self._into(kind, target, domain)
                if problem:
                    return problem
            elif kind != "ptr":
                problem = self._host(kind, target, domain)
                if problem:
                    return problem
        return None

    def _host(self, kind: str, target: str, domain: str) -> tuple[SpfState, str] | None:
        """A term whose lookup may find nothing (section 4.6.4)."""
        name = expand(target, domain) if target else domain
        if name is None or not _is_name(name):
            return None
        asked = name, MX if kind == "mx" else A
        answer = self.hosts.get(asked)
        if answer is None:
            self.open.append(asked)
            return None
        if answer.state == "unknown":
            return None
        if answer.state == "absent":
            self.voids += 1
            if self.voids > VOID_LIMIT:
                return "too_many_lookups", f"more than {VOID_LIMIT} lookups that find nothing"
        elif kind == "mx" and len(answer.records) > _MX_LIMIT:
            return "too_many_lookups", f"mx names more than {_MX_LIMIT} hosts"
        return None

    def _into(self, kind: str, target: str, domain: str) -> tuple[SpfState, str] | None:
        name = expand(target, domain)
        if name is None:
            return None
        if not _is_name(name):
            return "syntax", f"{kind} {name[:60]!r} names no domain"
        answer = self.answers.get(name)
        if answer is None:
            self.texts.add(name)
            return None
        if answer.state == "unknown":
            self.failed = self.failed or f"{kind} {name}: {answer.reason}"
            return None
        texts = records_of(answer.records)
        if not texts:
            return "include_missing", f"{kind} {name} has no SPF record"
        if len(texts) > 1:
            return "syntax", f"{kind} {name} has {len(texts)} SPF records"
        return self.over(parse(texts[0]), name)


def evaluate(
    domain: str, txt: Answer, answers: Mapping[str, Answer], hosts: Mapping[Asked, Answer] | None = None
) -> tuple[Finding, set[Asked]]:
    """Evaluate a domain's SPF from the answers known so far.

    Args:
        domain: the domain. txt: its TXT answer.
        answers: TXT answers of included names.
        hosts: answers for the hosts of ``a``, ``mx`` and ``exists``, for the limit of void lookups.

    Returns:
        The finding, and what is still to be looked up; ask for it and evaluate again.
    """
    if txt.state == "unknown":
        return Finding("unknown", txt.reason), set()
    texts = records_of(txt.records)
    if not texts:
        return Finding("none"), set()
    if len(texts) > 1:
        return Finding("multiple", f"{len(texts)} SPF records", record=texts[0]), set()
    record = parse(texts[0])
    walk = _Walk(answers, hosts or {}, domain)
    problem = walk.over(record, domain)
    needed = walk.needed()
    finding = Finding(
        "valid",
        record=record.text,
        all=record.all,
        includes=list(record.includes),
        redirect=record.redirect or None,
        lookups=walk.lookups,
        voids=walk.voids,
    )
    if problem:
        finding.state, finding.reason = problem
        # What is still needed precedes the fault in order, and may come first.
        return finding, needed
    if walk.failed and not needed:
        finding.state, finding.reason = "unknown", walk.failed
    return finding, needed
