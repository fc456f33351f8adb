"""Fetched payloads into referrals: current state by id, history of changes, quarantine for what can't be understood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from hunter_orchestration.partner_center.ingestion import SOURCE, payload_hash
from hunter_orchestration.partner_center.models import READER_VERSION, ReferralRecord, UnreadableError, identity, read
from hunter_orchestration.store import Connection, Store, quarantine, raw_leads
from hunter_orchestration.store import referrals as referral_store
from hunter_orchestration.store.raw_leads import Payload
from hunter_orchestration.store.runs import lease, renew_lease
from hunter_orchestration.store.work import Progress, StageResult, Window, utc_now

LEASE = "referral_read"

_CHUNK = 500
_FIELDS = [field.name for field in fields(ReferralRecord)]
_SEEN_VALUES = 20


def read_referrals(
    store: Store,
    *,
    window: Window | None = None,
    reader_version: int = READER_VERSION,
    run_id: str = "",
    progress: Progress | None = None,
) -> StageResult:
    """Read every payload that waits, in the order of the source's stamps, a chunk a transaction.

    A payload older than the one a referral was read from never overwrites it. With a window, payloads whose stamp lies
    in it are read, those read before included. Entries of quarantine that another version of the reader judged are
    tried again first. Each referral written is due for the companies stage.

    Counts: picked = stored + superseded + quarantined; history and resolved count rows of their own.

    Raises:
        LeaseHeldError: another run is reading.
    """
    with lease(store, LEASE, run_id) as token:
        reading = _Reading(store, token, reader_version)
        reading.retry_quarantine()
        done = 0
        for chunk in _ahead(reading.chunks(window)):
            reading.take(chunk)
            done += chunk.rows
            if progress:
                progress(done, None)
    result = reading.result
    result.facts["unknown_values"] = {name: sorted(values) for name, values in sorted(reading.unknown.items())}
    return result


@dataclass(frozen=True, slots=True)
class _Understood:
    """A chunk of payloads in the order of the source's stamps, each as a record or as the reason why not."""

    rows: int
    good: list[tuple[Mapping[str, Any], ReferralRecord]]
    bad: list[tuple[Mapping[str, Any], UnreadableError]]


def _understood(rows: Sequence[Mapping[str, Any]]) -> _Understood:
    chunk = _Understood(len(rows), [], [])
    for row in sorted(rows, key=_order):
        try:
            chunk.good.append((row, read(row["payload"])))
        except UnreadableError as error:
            chunk.bad.append((row, error))
    return chunk


def _ahead(chunks: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[_Understood]:
    """Chunks understood one ahead of the caller, who waits for the database meanwhile."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-referrals") as pool:
        waiting: Future[_Understood] | None = None
        for chunk in chunks:
            coming = pool.submit(_understood, chunk)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()


class _Reading:
    def __init__(self, store: Store, token: int, reader_version: int) -> None:
        self.store, self.token, self.version = store, token, reader_version
        self.unknown: dict[str, set[str]] = defaultdict(set)
        self.result = StageResult(
            counts={"picked": 0, "stored": 0, "superseded": 0, "quarantined": 0, "history": 0, "resolved": 0}
        )

    def retry_quarantine(self) -> None:
        with self.store.write() as connection:
            renew_lease(connection, LEASE, self.token)
            quarantine.reopen_older(connection, SOURCE, self.version)
            after = 0
            while entries := quarantine.nameless(connection, SOURCE, self.version, after_id=after, limit=_CHUNK):
                self._name(connection, entries)
                after = entries[-1]["id"]

    def _name(self, connection: Connection, entries: Sequence[Mapping[str, Any]]) -> None:
        now = utc_now()
        named: list[Payload] = []
        resolved: list[str] = []
        still: list[dict[str, Any]] = []
        for entry in entries:
            try:
                external_id, updated_at = identity(entry["payload"])
                named.append(Payload(external_id, payload_hash(entry["payload"]), entry["payload"], updated_at))
                resolved.append(entry["external_id"])
            except UnreadableError as error:
                kept = {key: entry[key] for key in ("source", "external_id", "raw_lead_id", "payload")}
                still.append(kept | {"reason": error.reason, "detail": error.detail})
        raw_leads.keep(connection, SOURCE, named, now=now, pass_started=now)
        self.result.add("resolved", quarantine.resolve(connection, SOURCE, resolved, now=now))
        quarantine.put(connection, still, reader_version=self.version, now=now)

    def chunks(self, window: Window | None) -> Iterator[Sequence[Mapping[str, Any]]]:
        started = utc_now()
        after = 0
        while True:
            with self.store.read() as connection:
                rows = raw_leads.pending(connection, SOURCE, window=window, after_id=after, limit=_CHUNK)
            if not rows:
                break
            yield rows
            after = rows[-1]["id"]
        if window is None:
            return
        place: tuple[datetime, str] | None = None
        while True:
            with self.store.read() as connection:
                # Those this run read as waiting ones need no second reading.
                rows = raw_leads.read_before(connection, window, started, after=place, limit=_CHUNK)
            if not rows:
                break
            place = (rows[-1]["referral_updated_at"], rows[-1]["external_id"])
            yield rows

    def take(self, chunk: _Understood) -> None:
        """Write all that comes of one chunk in one transaction."""
        now = utc_now()
        outcomes: dict[str, list[tuple[int, datetime]]] = defaultdict(list)
        with self.store.write() as connection:
            renew_lease(connection, LEASE, self.token)
            self._save(connection, chunk.good, chunk.bad, outcomes, now)
            for outcome, marks in outcomes.items():
                raw_leads.mark_read(connection, marks, outcome, reader_version=self.version, now=now)
        self.result.add("picked", chunk.rows)
        for outcome, marks in outcomes.items():
            self.result.add(outcome, len(marks))

    def _save(
        self,
        connection: Connection,
        read_rows: Sequence[tuple[Mapping[str, Any], ReferralRecord]],
        bad: Sequence[tuple[Mapping[str, Any], UnreadableError]],
        outcomes: dict[str, list[tuple[int, datetime]]],
        now: datetime,
    ) -> None:
        ids = {record.id for _, record in read_rows} | {row["external_id"] for row, _ in bad}
        standing = referral_store.standing(connection, sorted(ids))
        newest: dict[str, tuple[Any, ...]] = {
            key: (row["updated_at"], row["raw_seen_at"] or datetime.min.replace(tzinfo=now.tzinfo), row["raw_lead_id"])
            for key, row in standing.items()
        }
        state: dict[str, tuple[Any, ...]] = {
            key: (row["status"], row["substatus"], row["deal_value"], row["currency"]) for key, row in standing.items()
        }
        saved: dict[str, dict[str, Any]] = {}
        history: list[dict[str, Any]] = []
        for row, record in read_rows:
            rank = (record.updated_at, row["seen_at"], row["id"])
            if record.id in newest and rank < newest[record.id]:
                outcomes["superseded"].append((row["id"], row["seen_at"]))
                continue
            newest[record.id] = rank
            outcomes["stored"].append((row["id"], row["seen_at"]))
            for name, value in (record.unknown_values or {}).items():
                if len(self.unknown[name]) < _SEEN_VALUES:
                    self.unknown[name].add(value)
            known = (record.status, record.substatus, record.deal_value, record.currency)
            if state.get(record.id) != known:
                state[record.id] = known
                history.append(_history(record, now))
            saved[record.id] = {
                **{name: getattr(record, name) for name in _FIELDS},
                "raw_lead_id": row["id"],
                "synced_at": now,
                "company_due_at": now,
            }
        referral_store.save(connection, list(saved.values()), history)
        self.result.add("history", len(history))
        entries: dict[str, dict[str, Any]] = {}
        for row, error in bad:
            stamp = row["source_updated_at"]
            overtaken = stamp is not None and row["external_id"] in newest and stamp < newest[row["external_id"]][0]
            outcomes["superseded" if overtaken else "quarantined"].append((row["id"], row["seen_at"]))
            if not overtaken:
                entries[row["external_id"]] = _entry(row, error)
        understood = sorted((set(saved) | {row["external_id"] for row, _ in bad}) - set(entries))
        self.result.add("resolved", quarantine.resolve(connection, SOURCE, understood, now=now))
        quarantine.put(connection, list(entries.values()), reader_version=self.version, now=now)


def _order(row: Mapping[str, Any]) -> tuple[float, datetime, int]:
    stamp = row["source_updated_at"]
    return (stamp.timestamp() if stamp else float("-inf")), row["seen_at"], row["id"]


def _entry(row: Mapping[str, Any], error: UnreadableError) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "external_id": row["external_id"],
        "raw_lead_id": row["id"],
        "reason": error.reason,
        "detail": error.detail,
        "payload": None,
    }


def _history(record: ReferralRecord, now: datetime) -> dict[str, Any]:
    return {
        "referral_id": record.id,
        "at": record.updated_at,
        "status": record.status,
        "substatus": record.substatus,
        "deal_value": record.deal_value,
        "currency": record.currency,
        "recorded_at": now,
    }
