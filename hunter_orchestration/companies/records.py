"""One record of a file, the API or a form: its canonical shape, its identity, and the domain it names.

A record is a mapping of the names in ``FIELDS`` to text or nothing. A given domain beats a website, that beats an
e-mail address.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

from hunter_orchestration.companies.country_names import country_code
from hunter_orchestration.companies.domains import (
    DomainAnswer,
    Rejected,
    domain_of_email,
    domain_of_website,
    email_address,
    email_hash,
)
from hunter_orchestration.companies.naming import clean

READER_VERSION = 1

FIELDS = (
    "domain",
    "website",
    "email",
    "company",
    "country",
    "city",
    "address",
    "size",
    "phone",
    "first_name",
    "last_name",
    "title",
    "tenant_id",
    "notes",
)
"""What a record may hold."""

_COMPANY = ("company", "country", "city", "address", "size", "phone", "website", "tenant_id", "notes")
_PERSON = ("first_name", "last_name", "phone", "title")
_GUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?", re.IGNORECASE)
_SEVERAL = re.compile(r"[;,|\s]+")


def canonical(values: Mapping[str, Any]) -> dict[str, str]:
    """The record without empty cells, control characters and unknown fields, in a fixed order."""
    record: dict[str, str] = {}
    for name in FIELDS:
        text = clean(values.get(name))
        if text is not None:
            record[name] = text
    return record


def record_domain(record: Mapping[str, Any]) -> DomainAnswer:
    """The domain a record names, or the most telling reason why none: the first that is neither empty nor mere text."""
    rejected: Rejected = "empty"
    for name in ("domain", "website", "email"):
        for text in _several(record.get(name)):
            answer = domain_of_email(text) if name == "email" else domain_of_website(text)
            if answer.domain is not None:
                return answer
            if answer.rejected is not None and rejected in ("empty", "syntax") and answer.rejected != "empty":
                rejected = answer.rejected
    return DomainAnswer(None, rejected)


def _several(text: object) -> list[str]:
    """A cell whole, then its parts where it lists several."""
    if not isinstance(text, str) or not text:
        return []
    parts = [part for part in _SEVERAL.split(text) if "." in part]
    return [text, *parts] if len(parts) > 1 else [text]


def record_parts(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What a record says of the company, and the person it names, if it gives an address."""
    fields: dict[str, Any] = {name: record[name] for name in _COMPANY if record.get(name)}
    fields |= {"country": country_code(fields.get("country")), "tenant_id": tenant_id(fields.get("tenant_id"))}
    fields = {name: value for name, value in fields.items() if value}
    address = next(filter(None, map(email_address, _several(record.get("email")))), None)
    if address is None:
        return fields, None
    return fields, {"email": address} | {name: record[name] for name in _PERSON if record.get(name)}


def record_key(record: Mapping[str, Any], domain: str) -> str:
    """The record's own key: its domain, with the hash of the address where it names a person."""
    address = next(filter(None, map(email_address, _several(record.get("email")))), None)
    return f"{domain}#{email_hash(address)[:16]}" if address else domain


def record_hash(record: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical record, hex."""
    return hashlib.sha256(orjson.dumps(dict(record), option=orjson.OPT_SORT_KEYS)).hexdigest()


def tenant_id(text: str | None) -> str | None:
    """A tenant's GUID in lower case; ``None`` for anything else."""
    found = _GUID.fullmatch((text or "").strip())
    return found[1].lower() if found else None
