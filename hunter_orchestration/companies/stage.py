"""The stage ``companies``: referrals and other records that changed are tied to companies, and those rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from hunter_orchestration.companies import deriving
from hunter_orchestration.companies.records import READER_VERSION, record_domain, record_parts
from hunter_orchestration.store import Connection, Store, companies, company_evidence, quarantine, runs, suppressions
from hunter_orchestration.store.suppressions import Suppressed
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import Progress, StageResult, Window, utc_now

_CHUNK = 1000
_MOST_HELD = 200_000
"""Referrals decided before their companies are rebuilt; bounds the memory of a first sync."""

_Due = dict[str, Any]
_COUNTS = (
    "picked",
    "linked",
    "needs_domain",
    "recorded",
    "quarantined",
    "suppressed",
    "created",
    "changed",
    "removed",
    "decisions",
)


def run(store: Store, *, window: Window | None = None, progress: Progress | None = None) -> StageResult:
    """Tie to companies what is due; with a window, also what last changed in it.

    Returns:
        counts: picked = linked + needs_domain + recorded + quarantined + suppressed; companies created, changed and
        removed; decisions that became others.
    """
    result = StageResult(counts=dict.fromkeys(_COUNTS, 0))
    _referrals(store, result, window, progress)
    _records(store, result, window, progress)
    return result


def _referrals(store: Store, result: StageResult, window: Window | None, progress: Progress | None) -> None:
    """Decide for all that is due, then rebuild each company once, however many of its referrals changed.

    A referral stays due until its company is rebuilt, so a stop in between loses nothing.
    """
    started = utc_now()
    after: tuple[datetime, str] | None = None
    stamp = "company_due_at" if window is None else "updated_at"
    waiting: dict[str, list[_Due]] = {}
    held = settled = 0
    while True:
        with store.write() as connection:
            companies.lock_writers(connection)
            if window is None:
                rows = company_evidence.due_referrals(connection, after, started, _CHUNK)
            else:
                rows = company_evidence.referrals_in(connection, window, after, _CHUNK)
            if rows:
                _decide(connection, result, rows, waiting)
        held += len(rows)
        picked = result.counts["picked"]
        if progress is not None and rows:
            # Settled is a referral whose company is rebuilt; how many there are is known when all are decided.
            progress(settled, picked)
        if len(rows) < _CHUNK or held >= _MOST_HELD:
            settled = picked - sum(map(len, waiting.values()))
            for done in _rebuild(store, result, waiting):
                settled += done
                if progress is not None:
                    progress(settled, picked)
            waiting, held = {}, 0
        if len(rows) < _CHUNK:
            return
        after = rows[-1][stamp], rows[-1]["id"]


def _decide(
    connection: Connection, result: StageResult, rows: Sequence[Mapping[Any, Any]], waiting: dict[str, list[_Due]]
) -> None:
    suppressed = suppressions.load(connection)
    decisions = deriving.decide(connection, rows, suppressed)
    homeless = []
    for row in rows:
        company = decisions.companies[row["id"]]
        if company is None:
            homeless.append(row)
        else:
            due = waiting.setdefault(company, [])
            if row["company_due_at"] is not None:
                due.append({"id": row["id"], "company_due_at": row["company_due_at"]})
    company_evidence.clear_due(connection, homeless)
    # Companies that a referral left are rebuilt with the decision: nothing would name them afterwards.
    left = decisions.affected - {company for company in decisions.companies.values() if company is not None}
    _count(connection, result, deriving.rebuild(connection, left, utc_now(), suppressed))
    result.add("picked", len(rows))
    result.add("needs_domain", len(homeless))
    result.add("linked", len(rows) - len(homeless))
    result.add("decisions", decisions.changed)


def _rebuild(store: Store, result: StageResult, waiting: Mapping[str, Sequence[_Due]]) -> Iterator[int]:
    """Rebuild companies a chunk at a time; yields of how many referrals."""
    for domains in chunks(sorted(waiting), _CHUNK):
        with store.write() as connection:
            companies.lock_writers(connection)
            company_evidence.clear_due(connection, [due for domain in domains for due in waiting[domain]])
            # A referral that changed is news for the CRM even where its company's own row stays as it was.
            pushed = [domain for domain in domains if waiting[domain]]
            suppressed = suppressions.load(connection)
            _count(connection, result, deriving.rebuild(connection, domains, utc_now(), suppressed, pushed=pushed))
        yield sum(len(waiting[domain]) for domain in domains)


def _count(connection: Connection, result: StageResult, rebuilt: deriving.Rebuilt) -> None:
    result.add("created", len(rebuilt.created))
    result.add("changed", len(rebuilt.changed))
    result.add("removed", len(rebuilt.removed))
    if len(result.sample) < 5:
        result.sample += [{"domain": domain} for domain in rebuilt.created[:5]]
    touched = len(rebuilt.created) + len(rebuilt.changed) + len(rebuilt.removed)
    if touched:
        runs.emit(connection, "leads_changed", None, {"domains": touched, "by": "companies"})


def _records(store: Store, result: StageResult, window: Window | None, progress: Progress | None) -> None:
    # One source at a time: the index of what waits leads by source, and keys of two sources never meet.
    reads: list[Callable[..., Sequence[Mapping[Any, Any]]]] = [
        partial(company_evidence.waiting_records, source=source) for source in company_evidence.RECORD_SOURCES
    ]
    if window is not None:
        reads = [partial(company_evidence.records_in, window=window)]
    for read in reads:
        after = 0
        while True:
            with store.write() as connection:
                companies.lock_writers(connection)
                rows = read(connection, after_id=after, limit=_CHUNK)
                if rows:
                    take_records(connection, result, rows)
            if progress is not None and rows:
                progress(result.counts["picked"], None)
            if len(rows) < _CHUNK:
                break
            after = rows[-1]["id"]


def take_records(connection: Connection, result: StageResult, rows: Sequence[Mapping[Any, Any]]) -> None:
    """Read records of files, the API and forms, and rebuild the companies they name, in the caller's transaction."""
    now = utc_now()
    suppressed = suppressions.load(connection)
    newest: dict[tuple[str, str], tuple[Mapping[Any, Any], str]] = {}
    marks: list[tuple[int, datetime, str]] = []
    bad: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row["seen_at"], row["id"])):
        outcome, domain = _judged(row, suppressed)
        marks.append((row["id"], row["seen_at"], outcome))
        result.add({"stored": "recorded"}.get(outcome, outcome))
        if outcome == "quarantined":
            bad.append(_entry(row))
        elif domain is not None:
            newest[row["source"], row["external_id"]] = row, domain
    known = company_evidence.mentions(connection, newest)
    ends = companies.standing_for(connection, {domain for _, domain in newest.values()})
    saved: list[dict[str, Any]] = []
    affected: set[str] = set()
    for key, (row, domain) in newest.items():
        old = known.get(key)
        if old is not None and (old["last_at"], old["raw_lead_id"]) > (row["seen_at"], row["id"]):
            continue
        fields, contact = record_parts(row["payload"])
        mention = {
            "source": key[0],
            "external_id": key[1],
            "raw_lead_id": row["id"],
            "domain": domain,
            "company_domain": ends.get(domain, domain),
            "fields": fields,
            "contact": None if contact is None or suppressed.email(contact["email"]) else contact,
            "first_at": old["first_at"] if old is not None else row["received_at"],
            "last_at": row["seen_at"],
        }
        saved.append(mention)
        affected.add(mention["company_domain"])
        if old is not None:
            affected.add(old["company_domain"])
    company_evidence.save_mentions(connection, saved)
    company_evidence.mark_records(connection, marks, reader_version=READER_VERSION, now=now)
    quarantine.put(connection, bad, reader_version=READER_VERSION, now=now)
    _count(connection, result, deriving.rebuild(connection, affected, now, suppressed))
    result.add("picked", len(rows))


def _judged(row: Mapping[Any, Any], suppressed: Suppressed) -> tuple[str, str | None]:
    answer = record_domain(row["payload"])
    if answer.domain is None:
        return "quarantined", None
    if suppressed.domain(answer.domain):
        return "suppressed", None
    return "stored", answer.domain


def _entry(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "source": row["source"],
        "external_id": row["external_id"],
        "raw_lead_id": row["id"],
        "reason": "no_domain",
        "detail": "The record names no company domain: its domain, website and e-mail address are empty or unusable.",
        "payload": None,
    }
