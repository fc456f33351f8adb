"""The provider table: which service a host name, an SPF include or an alias belongs to. Pure functions on names.

Matching is label-wise on suffixes: ``mail.outlook.com.spoof.ru`` belongs to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from hunter_orchestration.errors import PermanentError

_FILE = Path(__file__).with_name("providers.yaml")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS = ("mailbox", "gateway", "hoster", "sender")
_CATEGORIES = ("M365", "Google", "Yandex", "Zoho", "Amazon", "SendGrid", "Mailgun", "Other")
_SUFFIXES = ("mx", "ns", "ptr", "spf", "autodiscover", "dkim")
_PATTERNS = {"mx_pattern": "mx", "ns_pattern": "ns"}
_REMEMBERED = 8192
_KEYS = {"name", "kind", "provider", "txt", "selectors", "grade", "source", *_PATTERNS, *_SUFFIXES}


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A row of the table. ``provider`` is the category of scoring; ``Hosting`` for a hoster, empty for the rest."""

    name: str
    kind: str
    provider: str
    selectors: tuple[str, ...]
    txt: tuple[bytes, ...]
    source: str


class ProviderTable:
    """The rows by what they are recognised by.

    ``match(where, host)`` is the service a name belongs to, or None; ``where`` is one of mx, ns, ptr, spf,
    autodiscover, dkim.

    Raises:
        PermanentError: a row is wrong; the message names it and the reason.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.services: list[Service] = []
        self.by: dict[str, dict[str, Service]] = {name: {} for name in _SUFFIXES}
        # The same few thousand hosts serve most domains.
        self.match = lru_cache(_REMEMBERED)(self._match)
        self.patterns: dict[str, list[tuple[re.Pattern[str], Service]]] = {where: [] for where in _PATTERNS.values()}
        for row in document.get("services", []):
            self._add(row)
        selectors = document.get("selectors", {})
        self.first_selectors: tuple[str, ...] = tuple(map(str, selectors.get("first", ())))
        self.more_selectors: tuple[str, ...] = tuple(map(str, selectors.get("then", ())))
        self.verifying = [(start, service) for service in self.services for start in service.txt]
        self._verifications = tuple(start for start, _ in self.verifying)
        self.with_selectors = [service for service in self.services if service.selectors]

    def _add(self, row: Mapping[str, Any]) -> None:
        name = str(row.get("name", "?"))
        unknown = set(row) - _KEYS
        kind = row.get("kind")
        provider = row.get("provider", "Hosting" if kind == "hoster" else "")
        if unknown or kind not in _KINDS or not row.get("source") or row.get("grade") not in ("A", "B", "C"):
            what = f"unknown keys {sorted(unknown)}" if unknown else "it needs kind, grade and source"
            raise PermanentError(f"The provider table's row {name} is wrong: {what}.", "Mend providers.yaml.")
        if kind == "mailbox" and provider not in _CATEGORIES:
            raise PermanentError(f"The provider table's row {name} names no known category.", "Mend providers.yaml.")
        service = Service(
            name,
            kind,
            provider,
            tuple(map(str, row.get("selectors", ()))),
            tuple(str(start).encode() for start in row.get("txt", ())),
            str(row["source"]),
        )
        self.services.append(service)
        for where in _SUFFIXES:
            for suffix in row.get(where, ()):
                taken = self.by[where].setdefault(str(suffix).lower(), service)
                if taken is not service:
                    raise PermanentError(
                        f"The provider table gives {suffix} to {taken.name} and {name}.", "Mend providers.yaml."
                    )
        for key, where in _PATTERNS.items():
            if key in row:
                self.patterns[where].append((re.compile(rf"(?:.*\.)?{row[key]}", re.IGNORECASE), service))

    def _match(self, where: str, host: str) -> Service | None:
        table = self.by[where]
        name = host.rstrip(".")
        while name:
            found = table.get(name)
            if found is not None:
                return found
            _, _, name = name.partition(".")
        for pattern, service in self.patterns.get(where, ()):
            if pattern.fullmatch(host):
                return service
        return None

    def verified(self, texts: Iterable[bytes]) -> list[Service]:
        """Services whose verification records are among the TXT records."""
        found: list[Service] = []
        for text in texts:
            if not text.startswith(self._verifications):
                continue
            for start, service in self.verifying:
                if text.startswith(start) and service not in found:
                    found.append(service)
        return found


@cache
def provider_table() -> ProviderTable:
    """The table that comes with Hunter, read once."""
    return ProviderTable(yaml.load(_FILE.read_text(encoding="utf-8"), Loader=_LOADER))  # noqa: S506 - a safe loader
