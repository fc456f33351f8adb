"""The stage ``domain_scans``: companies due for a scan are scanned, stored, and handed to scoring.

One stream: due companies are drawn page by page while the engine works, and results are committed as they come, by the
thousand, or every few seconds where the network is slower, so that a slow domain holds up nobody. Each commit appends
the scans, moves ``is_current``, sets the next due time against the stamp that was read, marks scoring and refreshes the
page's rows. A long list is shared by several processes (``team``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hunter_orchestration import crash_points
from hunter_orchestration.errors import TransientError
from hunter_orchestration.logging import get_logger
from hunter_orchestration.scanning import rows
from hunter_orchestration.scanning.engine import Engine
from hunter_orchestration.scanning.picking import PAGE, Picking
from hunter_orchestration.scanning.scanner import engine_of, scan_domains
from hunter_orchestration.scanning.team import Share, SharedDraw, Team, processes_for
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Connection, Store, leads, runs
from hunter_orchestration.store import scans as scan_queries
from hunter_orchestration.store.work import Progress, StageResult, Window, utc_now

COMMIT_EVERY = 1000
_COMMIT_SECONDS = 5.0
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
        domains_per_second, unknown_share, processes, resolvers.

    Raises:
        DeadResolverError: see there; what was committed before stays.
    """
    started = time.monotonic()
    crash_points.reach("before_scan")
    picks = partial(Picking, now=utc_now(), window=window, force=force or window is not None)
    told: list[str] = []
    processes = 1 if domains is not None or extended else processes_for(settings, picks(store).reaches)
    if processes == 1:
        scanning = _Scanning(store, settings, picks(store, domains=domains))
        scanning.work(progress, told if extended else None)
        result = scanning.result
    else:
        result = _together(processes, store, settings, picks, progress)
    seconds = time.monotonic() - started
    done = result.counts.get("scanned", 0) + result.counts.get("kept", 0)
    if progress is not None and done:
        progress(done, done)
    result.facts.update(
        seconds=round(seconds, 3),
        domains_per_second=round(done / seconds, 1) if seconds else 0.0,
        unknown_share=round(result.counts.get("unknown", 0) / done, 4) if done else 0.0,
        processes=processes,
    )
    if told:
        from hunter_orchestration.scanning import extended as lane

        lane.run(store, settings, told, result, progress=progress)
    if done:
        _log.info("Domains scanned", run_id=run_id, **result.counts)
    return result


def _together(
    processes: int, store: Store, settings: Settings, picks: Callable[..., Picking], progress: Progress | None
) -> StageResult:
    """Scan what is due or in the window in several processes, this one among them, that share what one may do."""
    shared = {"scan_concurrency": max(settings.scan_concurrency // processes, 1)}
    if ceiling := settings.scan_queries_per_second:
        shared["scan_queries_per_second"] = max(ceiling // processes, 1)
    settings = settings.model_copy(update=shared)
    with Team(processes - 1, Share(store, settings, partial(_scan_share, picks))) as team:
        scanning = _Scanning(store, settings, picks(store, draw=team.draw))

        def tell(done: int, _total: int | None = None) -> None:
            team.check()
            team.draw.tell(done)
            if progress is not None:
                progress(team.draw.done, None)

        scanning.work(tell)
        for share in team.results(lambda: tell(scanning.done)):
            _add(scanning.result, share)
        return scanning.result


def _scan_share(picks: Callable[..., Picking], store: Store, settings: Settings, draw: SharedDraw) -> StageResult:
    """What another process does of a long list."""
    scanning = _Scanning(store, settings, picks(store, draw=draw))
    scanning.work(lambda done, _total: draw.tell(done))
    return scanning.result


def _add(result: StageResult, share: StageResult) -> None:
    """Add what another process did."""
    for outcome, count in share.counts.items():
        result.add(outcome, count)
    result.facts["lookups"] += share.facts["lookups"]
    ours = result.facts["resolvers"]
    for label, figures in share.facts["resolvers"].items():
        ours[label] = {name: ours[label][name] + figure for name, figure in figures.items()}


class _Scanning:
    """One process's scan: the engine over what is picked, committed as it comes.

    Attributes:
        result: counts, a sample, and the facts ``lookups`` and ``resolvers``. done: domains committed.
    """

    def __init__(self, store: Store, settings: Settings, picking: Picking) -> None:
        self.result = picking.result
        self.done = 0
        self._store, self._settings, self._picking = store, settings, picking

    def work(self, progress: Progress | None, told: list[str] | None = None) -> None:
        """Scan until nothing is left; ``told`` is given the domains.

        Raises:
            DeadResolverError: see there; what was committed before stays.
        """
        lookups = 0
        batch: list[dict[str, Any]] = []
        committed = time.monotonic()
        with engine_of(self._settings) as engine:
            # By the page: what one process of several has drawn the others can't do.
            for findings in scan_domains(engine, self._picking, drawn=PAGE):
                batch.append(findings)
                if told is not None:
                    told.append(findings["domain"])
                waited = time.monotonic() - committed >= _COMMIT_SECONDS and len(batch) >= _LEAST_SAMPLE
                if len(batch) >= COMMIT_EVERY or waited:
                    lookups += self._commit(engine, batch)
                    batch = []
                    committed = time.monotonic()
                    if progress is not None:
                        progress(self.done, None)
            if batch:
                lookups += self._commit(engine, batch)
            resolvers = {
                resolver.label: {"sent": resolver.sent, "answered": resolver.answered, "lost": resolver.lost}
                for resolver in engine.resolvers
            }
        self.result.facts.update(lookups=lookups, resolvers=resolvers)

    def _commit(self, engine: Engine, batch: list[dict[str, Any]]) -> int:
        lookups = _commit(self._store, self._settings, engine, self.result, batch, self._picking.stamps)
        self.done += len(batch)
        return lookups


def scan_chunk(
    store: Store, settings: Settings, domains: Iterable[str], *, force: bool = False, run_id: str | None = None
) -> StageResult:
    """One worker's share of ``due_domains``: ``run`` over these companies alone."""
    return run(store, settings, domains=domains, force=force, run_id=run_id)


def _commit(
    store: Store,
    settings: Settings,
    engine: Engine,
    result: StageResult,
    batch: list[dict[str, Any]],
    stamps: dict[str, datetime | None],
) -> int:
    refuse_dead_resolver(engine, batch)
    crash_points.reach("after_scan")
    now = utc_now()
    fresh, unknown = timedelta(days=settings.scan_ttl_days), timedelta(hours=settings.scan_unknown_ttl_hours)
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
        _commit(store, settings, engine, result, kept, stamps)
    return result
