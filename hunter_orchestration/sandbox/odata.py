"""The OData that the referrals list understands (contract, section 9, item 3); anything else is refused.

``$filter``: eq, ne, gt, ge, lt, le, and, or, parentheses, nested paths with ``/``, ``any`` lambdas over arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hunter_orchestration.sandbox.names import words
from hunter_orchestration.sandbox.stamps import STAMP, parse_stamp

Read = Callable[[str], Any]
"""Gives the value of a top-level field of the row under test."""
Test = Callable[[Read], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<guid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"
    r"|(?P<stamp>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][\w]*)"
    r"|(?P<mark>[()/:,]))"
)
_STAMP_FIELDS = {
    "createdDateTime",
    "updatedDateTime",
    "expirationDateTime",
    "acceptedDateTime",
    "closedDateTime",
    "details/closingDateTime",
}
FIELDS = frozenset(
    words("""
id engagementId name organizationId organizationName mpnId externalReferenceId createdDateTime updatedDateTime
expirationDateTime acceptedDateTime closedDateTime status substatus statusReason type qualification direction
referralSource callToAction quality isSpam favorite campaignId referralProgram salesStage registrationStatus
email eTag target links trackingInfo registrations customerProfile consent details inviteContext team
lastModifiedVia lastRunId createdVia dealSensitivity tags
""")
)
"""Top-level properties of the resource; ``email`` is the documented short form of a team member's address."""
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: a is not None and b is not None and bool(a > b),
    "ge": lambda a, b: a is not None and b is not None and bool(a >= b),
    "lt": lambda a, b: a is not None and b is not None and bool(a < b),
    "le": lambda a, b: a is not None and b is not None and bool(a <= b),
}


class QueryError(ValueError):
    """The query can't be understood; the message says where."""


@dataclass(slots=True)
class Filter:
    """A parsed ``$filter``. The bounds (ticks, both ends inclusive) hold for every row that passes."""

    test: Test | None
    updated_from: int | None = None
    updated_to: int | None = None
    engagement: str | None = None


@dataclass(slots=True)
class _Node:
    test: Test
    updated_from: int | None = None
    updated_to: int | None = None
    engagement: str | None = None
    exact: bool = False
    """Whether the bounds say all that the test says, so that the test need not run."""


def parse_filter(text: str, dates: str = "both") -> Filter:
    """Parse a ``$filter``.

    Args:
        dates: which form of a date-time is taken: bare, quoted or both.

    Raises:
        QueryError: not in the grammar.
    """
    parser = _Parser(text, dates)
    node = parser.either()
    parser.end()
    return Filter(None if node.exact else node.test, node.updated_from, node.updated_to, node.engagement)


class _Parser:
    def __init__(self, text: str, dates: str = "both") -> None:
        self.text = text
        self.dates = {"bare": ("stamp",), "quoted": ("string",)}.get(dates, ("stamp", "string"))
        self.tokens: list[tuple[str, str]] = []
        self.place = 0
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise QueryError(f"Syntax error at position {at} in '{text}'.")
            self.tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "")

    def next(self) -> tuple[str, str]:
        token = self.peek()
        self.place += 1
        return token

    def mark(self, mark: str) -> None:
        if self.next() != ("mark", mark):
            raise QueryError(f"'{mark}' expected in '{self.text}'.")

    def end(self) -> None:
        if self.peek()[0] != "end":
            raise QueryError(f"Unexpected '{self.peek()[1]}' in '{self.text}'.")

    def either(self, variable: str | None = None) -> _Node:
        node = self.both(variable)
        while self.peek() == ("name", "or"):
            self.next()
            left, right = node.test, self.both(variable).test
            node = _Node(lambda read, a=left, b=right: a(read) or b(read))  # type: ignore[misc]
        return node

    def both(self, variable: str | None) -> _Node:
        node = self.single(variable)
        while self.peek() == ("name", "and"):
            self.next()
            left, right = node, self.single(variable)
            node = _Node(
                lambda read, a=left.test, b=right.test: a(read) and b(read),  # type: ignore[misc]
                _latest(left.updated_from, right.updated_from),
                _earliest(left.updated_to, right.updated_to),
                left.engagement or right.engagement,
                left.exact and right.exact,
            )
        return node

    def single(self, variable: str | None) -> _Node:
        if self.peek() == ("mark", "("):
            self.next()
            node = self.either(variable)
            self.mark(")")
            return node
        return self.comparison(variable)

    def comparison(self, variable: str | None) -> _Node:
        path = [self.name()]
        while self.peek() == ("mark", "/"):
            self.next()
            part = self.name()
            if part == "any" and self.peek() == ("mark", "("):
                return self.lambda_any(path, variable)
            path.append(part)
        if variable is not None:
            if path[0] != variable or len(path) < 2:
                raise QueryError(f"'{'/'.join(path)}' does not start with the range variable '{variable}'.")
            path = path[1:]
        elif path[0] not in FIELDS:
            raise QueryError(f"Could not find a property named '{path[0]}'.")
        kind, operator = self.next()
        compare = _COMPARE.get(operator) if kind == "name" else None
        if compare is None:
            raise QueryError(f"A comparison operator was expected after '{'/'.join(path)}', not '{operator}'.")
        full = "/".join(path)
        value = self.literal(full if variable is None else "")
        return _compared(path, full, operator, compare, value, variable)

    def lambda_any(self, path: list[str], variable: str | None) -> _Node:
        if variable is not None:
            raise QueryError("Nested lambdas are not supported.")
        self.mark("(")
        name = self.name()
        self.mark(":")
        inner = self.either(name).test
        self.mark(")")

        def test(read: Read) -> bool:
            items = _walk(read(path[0]), path[1:])
            return isinstance(items, list) and any(inner(i.get) for i in items if isinstance(i, dict))

        if path[0] not in FIELDS:
            raise QueryError(f"Could not find a property named '{path[0]}'.")
        return _Node(test)

    def name(self) -> str:
        kind, text = self.next()
        if kind != "name":
            raise QueryError(f"A property name was expected, not '{text}'.")
        return text

    def literal(self, path: str) -> Any:
        kind, text = self.next()
        if path in _STAMP_FIELDS and text != "null":
            # Unquoted is OData's rule; quoted is what docs that type it as a string suggest (section 2).
            ticks = parse_stamp(text.strip("'")) if kind in self.dates else None
            if ticks is None:
                raise QueryError(f"'{text}' is not a date-time.")
            return ticks
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "guid":
            return text
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "name" and text in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text]
        if kind == "stamp" and STAMP.match(text):
            return text
        raise QueryError(f"A literal was expected, not '{text or 'the end'}'.")


def _compared(
    path: list[str], full: str, operator: str, compare: Callable[[Any, Any], bool], value: Any, variable: str | None
) -> _Node:
    first, rest = path[0], path[1:]
    if variable is None and full == "email":
        wanted = str(value).casefold()

        def by_mail(read: Read) -> bool:
            team = read("team") or []
            found = any(isinstance(m, dict) and str(m.get("email") or "").casefold() == wanted for m in team)
            return found if operator == "eq" else not found

        if operator not in ("eq", "ne"):
            raise QueryError("email can be compared with eq and ne only.")
        return _Node(by_mail)
    if variable is None and full in _STAMP_FIELDS:

        def by_stamp(read: Read) -> bool:
            return compare(parse_stamp(_walk(read(first), rest)), value)

        node = _Node(by_stamp)
        if full == "updatedDateTime" and value is not None and operator != "ne":
            node.exact = True
            if operator in ("ge", "gt", "eq"):
                node.updated_from = value + (operator == "gt")
            if operator in ("le", "lt", "eq"):
                node.updated_to = value - (operator == "lt")
        return node
    guid = first in ("id", "engagementId")

    def plain(read: Read) -> bool:
        found = _walk(read(first), rest)
        if guid and isinstance(found, str) and isinstance(value, str):
            return compare(found.lower(), value.lower())
        if isinstance(found, (dict, list)):
            return False
        if found is not None and value is not None and isinstance(found, str) != isinstance(value, str):
            return operator == "ne"
        return compare(found, value)

    return _Node(
        plain, engagement=str(value) if full == "engagementId" and operator == "eq" and variable is None else None
    )


def _walk(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _latest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)


def _earliest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def parse_order(text: str) -> tuple[str, bool]:
    """Parse ``$orderby``: field and whether descending.

    Raises:
        QueryError: a field other than createdDateTime and updatedDateTime, or more than one.
    """
    match = re.fullmatch(r"\s*(createdDateTime|updatedDateTime)(?:\s+(asc|desc))?\s*", text)
    if match is None:
        raise QueryError(f"$orderby can be createdDateTime or updatedDateTime with asc or desc, not '{text}'.")
    return match.group(1), match.group(2) == "desc"


def parse_select(text: str) -> list[str]:
    """Parse ``$select``: names of top-level properties, or of nested ones, of which the first part counts.

    Raises:
        QueryError: an unknown property.
    """
    names = [part.strip().split("/")[0] for part in text.split(",")]
    for name in names:
        if name not in FIELDS:
            raise QueryError(f"Could not find a property named '{name}'.")
    return list(dict.fromkeys(names))
