"""Which row a URL means: GUID, named primary key or alternate key, and what may not stand in one (section 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.rows import Organisation, Row, Values
from hunter_orchestration.sandbox.dataverse.schema import Table

GUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
RESERVED = frozenset("/<>*%&:\\?+")
_BY_ID = re.compile(rf"/?(\w+)\(({GUID.pattern})\)")
_PAIR = re.compile(r"\s*(\w+)\s*=\s*('(?:[^']|'')*'|[^,']+?)\s*(?:,|$)")


@dataclass(slots=True)
class Address:
    """A row of ``table``: by ``row_id``, or by ``key`` (column name to value). ``text`` is the part in parentheses as
    it was sent."""

    table: Table
    row_id: str | None
    key: Values
    text: str


def split_path(path: str) -> list[str]:
    """Segments of a still percent-encoded path, decoded; a slash inside quotes doesn't separate."""
    segments: list[str] = []
    current: list[str] = []
    quoted = False
    for char in path:
        if char == "'":
            quoted = not quoted
        if char == "/" and not quoted:
            segments.append("".join(current))
            current = []
        else:
            current.append(char)
    segments.append("".join(current))
    return [unquote(s) for s in segments if s]


def split_segment(segment: str) -> tuple[str, str | None]:
    """``leads(x)`` as ``("leads", "x")``; ``leads`` as ``("leads", None)``."""
    if segment.endswith(")") and "(" in segment:
        name, _, inner = segment.partition("(")
        return name, inner[:-1]
    return segment, None


def literal(text: str) -> Any:
    """A literal of a key or an option: text, number, true, false, null, GUID or date (as text)."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if GUID.fullmatch(text):
        return text.lower()
    if text in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_address(table: Table, inner: str, refuse_reserved: bool = True) -> Address:
    """The address in the parentheses of ``leads(...)``.

    Raises:
        RefusedError: not a key of the table, or a value that can't stand in a URL.
    """
    if GUID.fullmatch(inner):
        return Address(table, inner.lower(), {}, inner)
    key: Values = {}
    position = 0
    for match in _PAIR.finditer(inner):
        if match.start() != position:
            break
        position = match.end()
        name, value = match.group(1), literal(match.group(2))
        column = table.by_property.get(name)
        if column is None:
            raise errors.undeclared_key(table.name)
        if refuse_reserved and isinstance(value, str) and not RESERVED.isdisjoint(value):
            raise errors.bad_request(
                f"The value of key column '{name}' holds a character that can't be part of a key in a URL."
            )
        key[column.name] = value
    if position != len(inner) or not key:
        raise errors.bad_request(f"Bad Request - Error in query syntax: '({inner})'.")
    if set(key) == {table.id_column}:
        return Address(table, str(key[table.id_column]).lower(), {}, inner)
    if not any(k.status == "Active" and set(k.columns) == set(key) for k in table.keys.values()):
        raise errors.undeclared_key(table.name)
    return Address(table, None, key, inner)


def find(organisation: Organisation, address: Address) -> Row | None:
    """The addressed row, or None."""
    if address.row_id is not None:
        return organisation.data[address.table.name].rows.get(address.row_id)
    return organisation.find_by_key(address.table, address.key)


def demand(organisation: Organisation, address: Address) -> Row:
    """The addressed row.

    Raises:
        RefusedError: 404.
    """
    row = find(organisation, address)
    if row is not None:
        return row
    if address.row_id is not None:
        raise errors.no_record(address.table.name, address.row_id)
    raise errors.no_record_by_key(address.table.name)


def read_reference(organisation: Organisation, text: Any, base: str, refuse_reserved: bool = True) -> tuple[Table, Row]:
    """The row behind ``accounts(guid)``, ``/accounts(key='x')`` or an absolute URL.

    Raises:
        RefusedError: not a reference, or to nothing.
    """
    if not isinstance(text, str):
        raise errors.bad_request("A reference must be the text of an entity's URL.")
    match = _BY_ID.fullmatch(text)
    if match is not None:
        table = organisation.sets.get(match.group(1))
        if table is None:
            raise errors.no_segment(match.group(1))
        row = organisation.data[table.name].rows.get(match.group(2).lower())
        if row is None:
            raise errors.no_record(table.name, match.group(2).lower())
        return table, row
    path = text
    if text.startswith(("http://", "https://")):
        marker = text.find("/api/data/v")
        if not text.startswith(base) and marker < 0:
            raise errors.bad_request(f"'{text}' is not a resource of this organisation.")
        path = text[marker:].split("/", 4)[4] if marker >= 0 else text[len(base) :]
    elif text.startswith("/api/data/v"):
        path = text.split("/", 4)[4]
    segments = split_path(path)
    name, inner = split_segment(segments[0]) if len(segments) == 1 else ("", None)
    if inner is None:
        raise errors.bad_request(f"Invalid reference: '{text}'.")
    table = organisation.sets.get(name)
    if table is None:
        raise errors.no_segment(name)
    address = read_address(table, inner, refuse_reserved)
    row = find(organisation, address)
    if row is None:
        if address.row_id is not None:
            raise errors.no_record(table.name, address.row_id)
        raise errors.no_record_by_key(table.name, 400)
    return table, row
