"""The stage ``domain_scans``: companies due for a scan are scanned, stored, and handed to scoring.

One stream: due companies are drawn page by page while the engine works, and results are committed as they come, by the
thousand, or every few seconds where the network is slower, so that a slow domain holds up nobody. Each commit appends
the scans, moves ``is_current``, sets the next due time against the stamp that was read, marks scoring and refreshes the
page's rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from hunter_orchestration import crash_points
from hunter_orchestration.errors import TransientError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.scanning import rows
from hunter_orchestration.scanning.engine import Engine
from hunter_orchestration.scanning.scanner import engine_of, scan_domains
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Connection, Store, leads, runs
from hunter_orchestration.store import scans as scan_queries
from hunter_orchestration.store.work import Progress, StageResult, Window, utc_now

COMMIT_EVERY = 1000
_COMMIT_SECONDS = 5.0
_PAGE = 1000
_LEAST_SAMPLE = 20
_MOST_UNKNOWN = 0.5

_log = get_logger(__name__)


class DeadResolverError(TransientError):
    """Most lookups failed: it is the resolver, not the domains. Old scans stay current and nothing is passed on.

    Args:
        failed: domains without an answer. total: domains of the batch. resolvers: their addresses.
    """

    def __init__(self, failed: int, total: int, resolvers: list[str]) -> None:
        super().__init__(
            f"{failed} of {total} domains got no answer from {', '.join(resolvers)}.",
            "Check HUNTER_DNS_SERVERS and that the resolver is reachable; scans and scores stay as they were.",
        )
        self.failed, self.total, self.resolvers = failed, total, resolvers

    def __reduce__(self) -> tuple[Any, ...]:
        return DeadResolverError, (self.failed, self.total, self.resolvers)


def run(
    store: Store,
    settings: Settings,
    *,
    window: Window | None = None,
    domains: Iterable[str] | None = None,
    force: bool = False,
    extended: bool = False,
    progress: Progress | None = None,
    run_id: str | None = None,
) -> StageResult:
    """Scan what is due.

    Args:
        window: scan the companies whose last activity lies in it, fresh or not.
        domains: look at these companies only; those that aren't companies are counted as ``not_companies``.
        force: scan fresh ones too.
        extended: add registration, tenant, mail transport, DNSSEC and network of what was scanned.
        progress: called with the companies done.
        run_id: for the log.

    Returns:
        counts: picked = scanned + kept + fresh (+ not_companies); ``kept`` had failures now and keep their older
        complete scan; of scanned: new, changed, unchanged; ``unknown`` had failed lookups. facts: lookups, seconds,
        domains_per_second, unknown_share, resolvers.

    Raises:
        DeadResolverError: see there; what was committed before stays.
    """
    result = StageResult()
    started = time.monotonic()
    now = utc_now()
    stamps: dict[str, datetime | None] = {}
    picked = _picked(store, result, now, stamps, window, domains, force or window is not None)
    fresh = timedelta(days=settings.scan_ttl_days)
    unknown = timedelta(hours=settings.scan_unknown_ttl_hours)
    lookups = 0
    batch: list[dict[str, Any]] = []
    done = 0
    committed = started
    told: list[str] = []
    crash_points.reach("before_scan")
    with engine_of(settings) as engine:
        for findings in scan_domains(engine, picked):
            batch.append(findings)
            if extended:
                told.append(findings["domain"])
            waited = time.monotonic() - committed >= _COMMIT_SECONDS and len(batch) >= _LEAST_SAMPLE
            if len(batch) >= COMMIT_EVERY or waited:
                lookups += _commit(store, engine, result, batch, stamps, fresh, unknown)
                done += len(batch)
                batch = []
                committed = time.monotonic()
                if progress is not None:
                    progress(done, None)
        if batch:
            lookups += _commit(store, engine, result, batch, stamps, fresh, unknown)
            done += len(batch)
        if progress is not None and done:
            progress(done, done)
        resolvers = {
            resolver.label: {"sent": resolver.sent, "answered": resolver.answered, "lost": resolver.lost}
            for resolver in engine.resolvers
        }
    seconds = time.monotonic() - started
    result.facts.update(
        lookups=lookups,
        seconds=round(seconds, 3),
        domains_per_second=round(done / seconds, 1) if seconds else 0.0,
        unknown_share=round(result.counts.get("unknown", 0) / done, 4) if done else 0.0,
        resolvers=resolvers,
    )
    if extended and told:
        from hunter_orchestration.scanning import extended as lane

        lane.run(store, settings, told, result, progress=progress)
    if done:
        _log.info("Domains scanned", run_id=run_id, **result.counts)
    return result


def scan_chunk(
    store: Store, settings: Settings, domains: Iterable[str], *, force: bool = False, run_id: str | None = None
) -> StageResult:
    """One worker's share of ``due_domains``: ``run`` over these companies alone."""
    return run(store, settings, domains=domains, force=force, run_id=run_id)


def due_domains(store: Store, *, window: Window | None = None, limit: int | None = None) -> list[str]:
    """Companies due for a scan, to be split among workers."""
    stamps: dict[str, datetime | None] = {}
    found: list[str] = []
    for domain in _pages(store, utc_now(), stamps, window):
        found.append(domain)
        if limit is not None and len(found) >= limit:
            break
    return found


def _picked(
    store: Store,
    result: StageResult,
    now: datetime,
    stamps: dict[str, datetime | None],
    window: Window | None,
    domains: Iterable[str] | None,
    force: bool,
) -> Iterator[str]:
    """Domains to scan, a page at a time; the fresh ones among them are only given their next date."""
    source = _pages(store, now, stamps, window) if domains is None else _given(store, result, stamps, domains)
    page: list[str] = []
    for domain in source:
        page.append(domain)
        if len(page) >= _PAGE:
            yield from _stale(store, result, now, stamps, page, force)
            page = []
    yield from _stale(store, result, now, stamps, page, force)


def _pages(store: Store, now: datetime, stamps: dict[str, datetime | None], window: Window | None) -> Iterator[str]:
    after: tuple[datetime, str] | None = None
    while True:
        with store.read() as connection:
            if window is None:
                page = [
                    (domain, stamp, stamp or now) for domain, stamp in scan_queries.due(connection, now, after, _PAGE)
                ]
            else:
                page = scan_queries.in_window(connection, window, after, _PAGE)
        for domain, stamp, _ in page:
            stamps[domain] = stamp
            yield domain
        if len(page) < _PAGE:
            return
        after = page[-1][2], page[-1][0]


def _given(
    store: Store, result: StageResult, stamps: dict[str, datetime | None], domains: Iterable[str]
) -> Iterator[str]:
    wanted = list(dict.fromkeys(domains))
    with store.read() as connection:
        known = scan_queries.stamps(connection, wanted)
    missing = len(wanted) - len(known)
    if missing:
        result.add("picked", missing)
        result.add("not_companies", missing)
    for domain, stamp in known.items():
        stamps[domain] = stamp
        yield domain


def _stale(
    store: Store,
    result: StageResult,
    now: datetime,
    stamps: dict[str, datetime | None],
    page: list[str],
    force: bool,
) -> Iterator[str]:
    if not page:
        return
    result.add("picked", len(page))
    if force:
        yield from page
        return
    with store.read() as connection:
        known = scan_queries.currents(connection, page)
    fresh = [
        (domain, stamps[domain], known[domain]["expires_at"]) for domain in page if _is_fresh(known.get(domain), now)
    ]
    if fresh:
        result.add("fresh", len(fresh))
        moved = [row for row in fresh if row[1] != row[2]]
        with store.write() as connection:
            scan_queries.schedule(connection, moved)
    skipped = {row[0] for row in fresh}
    for domain in skipped:
        stamps.pop(domain, None)
    yield from (domain for domain in page if domain not in skipped)


def _is_fresh(scan: Any, now: datetime) -> bool:
    return scan is not None and scan["expires_at"] > now


def _commit(
    store: Store,
    engine: Engine,
    result: StageResult,
    batch: list[dict[str, Any]],
    stamps: dict[str, datetime | None],
    fresh: timedelta,
    unknown: timedelta,
) -> int:
    refuse_dead_resolver(engine, batch)
    crash_points.reach("after_scan")
    now = utc_now()
    with store.write() as connection:
        _write(connection, result, batch, stamps, fresh, unknown, now)
    if len(result.sample) < 5:
        result.sample += [
            {name: item[name] for name in ("domain", "provider", "gateway", "mx_state")} for item in batch[:5]
        ]
    return sum(item["lookups"] for item in batch)


def refuse_dead_resolver(engine: Engine, batch: list[dict[str, Any]]) -> None:
    """Raise when the failures of a batch say more about the resolver than about the domains.

    Raises:
        DeadResolverError: more than half of at least twenty, or every one while no resolver said anything.
    """
    failed = sum(item["mx_state"] == "unknown" for item in batch)
    silent = not any(resolver.answered for resolver in engine.resolvers)
    if (len(batch) >= _LEAST_SAMPLE and failed > len(batch) * _MOST_UNKNOWN) or (silent and failed == len(batch)):
        raise DeadResolverError(failed, len(batch), [resolver.label for resolver in engine.resolvers])


def _write(
    connection: Connection,
    result: StageResult,
    batch: list[dict[str, Any]],
    stamps: dict[str, datetime | None],
    fresh: timedelta,
    unknown: timedelta,
    now: datetime,
) -> None:
    scan_queries.lock_writers(connection)
    olds = scan_queries.currents(connection, (item["domain"] for item in batch), findings=True)
    appended, superseded, changes, planned = [], [], [], []
    rescored, shown = [], []
    for findings in batch:
        domain = findings["domain"]
        old = olds.get(domain)
        row = rows.row_of(findings, fresh=fresh, unknown=unknown, old=old)
        appended.append(row)
        planned.append((domain, stamps.pop(domain, None), row["expires_at"]))
        if not row["complete"]:
            result.add("unknown")
        if not rows.replaces(row, old):
            row["is_current"] = False
            result.add("kept")
            continue
        result.add("scanned")
        if old is not None:
            superseded.append(old["id"])
        found = rows.changes_of(row, old, rows.mx_text(old["findings"]) if old is not None else None, now)
        changes += found
        result.add("new" if old is None else "changed" if found else "unchanged")
        if rows.scoring_differs(row, old):
            rescored.append(domain)
        if rows.page_differs(row, old):
            shown.append(domain)
    scan_queries.append(connection, appended, superseded, changes)
    scan_queries.schedule(connection, planned)
    scan_queries.mark_for_scoring(connection, rescored, now)
    if shown:
        leads.refresh_scanned(connection, shown)
        runs.emit(connection, "leads_changed", None, {"domains": len(shown), "by": "domain_scans"})


def stored_fresh(store: Store, domains: list[str]) -> dict[str, dict[str, Any]]:
    """Findings of the current scans that are still fresh, by domain."""
    now = utc_now()
    with store.read() as connection:
        known = scan_queries.currents(connection, domains, findings=True)
    return {
        domain: scan["findings"] | {"scanned_at": scan["scanned_at"], "tenant_id": scan["tenant_id"]}
        for domain, scan in known.items()
        if scan["expires_at"] > now
    }


def keep(store: Store, settings: Settings, engine: Engine, batch: list[dict[str, Any]]) -> StageResult:
    """Store findings got outside the stage, of those domains that are companies.

    Raises:
        DeadResolverError: the resolver failed, not the domains.
    """
    result = StageResult()
    with store.read() as connection:
        stamps = scan_queries.stamps(connection, (item["domain"] for item in batch))
    kept = [item for item in batch if item["domain"] in stamps]
    if kept:
        fresh, unknown = timedelta(days=settings.scan_ttl_days), timedelta(hours=settings.scan_unknown_ttl_hours)
        _commit(store, engine, result, kept, stamps, fresh, unknown)
    return result
