"""Which companies a run scans: drawn page by page while the engine works, the fresh ones among them left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol

from hunter_orchestration.store import Store
from hunter_orchestration.store import scans as scan_queries
from hunter_orchestration.store.work import StageResult, Window, utc_now

PAGE = 1000
"""Domains drawn at a time."""

Place = tuple[datetime, str]
"""Where a page of what is due ends: by what it is ordered, and the domain."""
Page = list[tuple[str, datetime | None, datetime]]
"""Domain, due stamp as read, and what the page is ordered by."""


class Draw(Protocol):
    """Hands out the pages of one list, each once."""

    def page(self, read: Callable[[Place | None], Page]) -> Page:
        """The next page, which ``read`` gives for the place where the one before ended; empty at the end."""


class OwnDraw:
    """Pages for one process."""

    def __init__(self) -> None:
        self._after: Place | None = None

    def page(self, read: Callable[[Place | None], Page]) -> Page:
        """See ``Draw``."""
        page = read(self._after)
        if page:
            self._after = page[-1][2], page[-1][0]
        return page


class Picking:
    """The domains to scan, as an iterable.

    Args:
        now: what is due by then is scanned.
        window: take the companies whose last activity lies in it instead.
        domains: take these companies instead.
        force: take fresh ones too. A fresh one that isn't taken is given its next date.
        draw: where the pages of what is due or in the window come from.

    Attributes:
        result: where ``picked``, ``fresh`` and ``not_companies`` are counted.
        stamps: due stamps as read, by domain, of what was drawn and is not scanned yet.
    """

    def __init__(
        self,
        store: Store,
        *,
        now: datetime,
        window: Window | None = None,
        domains: Iterable[str] | None = None,
        force: bool = False,
        draw: Draw | None = None,
    ) -> None:
        self.result = StageResult()
        self.stamps: dict[str, datetime | None] = {}
        self._store = store
        self._now, self._window, self._force = now, window, force
        self._domains = domains
        self._draw = draw if draw is not None else OwnDraw()

    def __iter__(self) -> Iterator[str]:
        for page in self._pages() if self._domains is None else self._given(self._domains):
            yield from self._stale(page)

    def reaches(self, domains: int) -> bool:
        """Whether so many companies are due, or in the window."""
        with self._store.read() as connection:
            return scan_queries.reaches(connection, self._now, self._window, domains)

    def _pages(self) -> Iterator[list[str]]:
        while page := self._draw.page(self._read):
            self.stamps.update((domain, stamp) for domain, stamp, _ in page)
            yield [domain for domain, _, _ in page]

    def _read(self, after: Place | None) -> Page:
        with self._store.read() as connection:
            if self._window is not None:
                return scan_queries.in_window(connection, self._window, after, PAGE)
            due = scan_queries.due(connection, self._now, after, PAGE)
        return [(domain, stamp, stamp) for domain, stamp in due]

    def _given(self, domains: Iterable[str]) -> Iterator[list[str]]:
        wanted = list(dict.fromkeys(domains))
        with self._store.read() as connection:
            known = scan_queries.stamps(connection, wanted)
        if missing := len(wanted) - len(known):
            self.result.add("picked", missing)
            self.result.add("not_companies", missing)
        self.stamps.update(known)
        given = list(known)
        for start in range(0, len(given), PAGE):
            yield given[start : start + PAGE]

    def _stale(self, page: list[str]) -> list[str]:
        self.result.add("picked", len(page))
        if self._force:
            return page
        with self._store.read() as connection:
            known = scan_queries.currents(connection, page)
        fresh = {domain: scan["expires_at"] for domain, scan in known.items() if scan["expires_at"] > self._now}
        if not fresh:
            return page
        self.result.add("fresh", len(fresh))
        read = {domain: self.stamps.pop(domain) for domain in fresh}
        moved = [(domain, read[domain], at) for domain, at in fresh.items() if read[domain] != at]
        with self._store.write() as connection:
            scan_queries.schedule(connection, moved)
        return [domain for domain in page if domain not in fresh]


def due_domains(store: Store, limit: int | None = None) -> list[str]:
    """Companies due for a scan, most overdue first."""
    found: list[str] = []
    for domain in Picking(store, now=utc_now(), force=True):
        found.append(domain)
        if limit is not None and len(found) >= limit:
            break
    return found
