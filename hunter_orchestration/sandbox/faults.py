"""The switchboard that all services of the sandbox share: faults that break answers, counters that tell what was asked.

A fault names a service and a kind. The kinds in ``HTTP_KINDS`` are played by the dispatcher for every HTTP service; a
service plays its own kinds by asking ``take`` with them. ``settings`` holds what is not a fault but a way to behave
(page size, role of the signed-in user, ...); every service declares its defaults there.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

HTTP_KINDS = frozenset(
    {
        "status",  # answer with params: status, headers, body (JSON value or text), retry_after
        "reset",  # the connection is reset before an answer
        "half_body",  # headers promise the whole body, half of it comes, then the connection closes
        "invalid_json",  # 200 with JSON that ends in the middle of a string
        "html",  # an HTML error page with params: status (default 200)
        "truncated_gzip",  # Content-Encoding: gzip, cut in the middle
        "slow",  # the true answer after params: seconds
        "drop_after_commit",  # the request is carried out, the connection is reset instead of the answer
    }
)
"""Kinds that work on any HTTP service (``partner_center``, ``entra``, ``dataverse``, ``rdap``)."""


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong.

    Args:
        service: ``partner_center``, ``entra``, ``dataverse``, ``rdap``, ``dns`` or ``*``.
        kind: one of ``HTTP_KINDS`` or a kind of the service.
        times: how many requests it hits before it is gone; None until cleared.
        after: how many matching requests pass unharmed first.
        method: HTTP method or DNS record type; None is any.
        path: regular expression searched in path and query, or in the DNS name; None is any.
        params: what the kind needs.
    """

    service: str
    kind: str
    times: int | None = 1
    after: int = 0
    method: str | None = None
    path: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0
    hits: int = 0
    _pattern: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        self._pattern = re.compile(self.path) if self.path else None

    def matches(self, service: str, method: str, path: str) -> bool:
        return (
            (self.service in (service, "*"))
            and (self.method is None or self.method.upper() == method)
            and (self._pattern is None or self._pattern.search(path) is not None)
        )


class Faults:
    """All faults, settings and counters of one sandbox. Used from its event loop only."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)
        self.settings: dict[str, dict[str, Any]] = {}
        self._defaults: dict[str, dict[str, Any]] = {}
        self.counters: dict[str, Counter[str]] = {}

    def declare(self, service: str, **defaults: Any) -> dict[str, Any]:
        """Declare a service's settings with their defaults; the live dictionary comes back."""
        self._defaults.setdefault(service, {}).update(defaults)
        settings = self.settings.setdefault(service, {})
        for name, value in defaults.items():
            settings.setdefault(name, value)
        return settings

    def configure(self, service: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings.

        Raises:
            KeyError: the service has no setting of that name.
        """
        known = self._defaults.get(service, {})
        for name in values:
            if name not in known:
                raise KeyError(f"{service} has no setting {name!r}; it has {', '.join(sorted(known)) or 'none'}")
        self.settings[service].update(values)
        return self.settings[service]

    def add(self, fault: Fault) -> Fault:
        """Switch a fault on; it gets an id."""
        fault.id = next(self._ids)
        self._faults[fault.id] = fault
        return fault

    def remove(self, fault_id: int) -> bool:
        """Switch one fault off; False when it was gone already."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self, service: str | None = None) -> None:
        """Switch off the faults and reset the settings of one service, or of all."""
        for fault in [f for f in self._faults.values() if service in (None, f.service)]:
            del self._faults[fault.id]
        for name in self.settings if service is None else [service]:
            self.settings.setdefault(name, {}).clear()
            self.settings[name].update(self._defaults.get(name, {}))

    def active(self) -> list[Fault]:
        return list(self._faults.values())

    def any(self, service: str) -> bool:
        """Whether a fault of this service is on: the fast way out of hot paths."""
        return any(f.service in (service, "*") for f in self._faults.values()) if self._faults else False

    def take(self, service: str, method: str, path: str, kinds: Collection[str]) -> Fault | None:
        """The first fault of these kinds that hits this request, used up by one; None when all is well."""
        for fault in self._faults.values():
            if fault.kind not in kinds or not fault.matches(service, method, path):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.hits += 1
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self._faults[fault.id]
            return fault
        return None

    def count(self, service: str, what: str) -> None:
        """Count a request; ``what`` is e.g. ``GET /v1.0/engagements/referrals``."""
        counter = self.counters.get(service)
        if counter is None:
            counter = self.counters[service] = Counter()
        counter[what] += 1
