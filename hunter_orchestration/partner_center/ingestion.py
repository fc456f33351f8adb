"""Referrals into the store: whether there is anything to fetch, fetching it whole, reading what was fetched.

Fetching keeps payloads as they came; reading turns them into referrals. The two are stages of their own, so that a
payload nobody understands yet is never lost. Order and windows go by Partner Center's stamps, never by our clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

import orjson

from hunter_orchestration import crash_points
from hunter_orchestration.logging import get_logger
from hunter_orchestration.partner_center.models import READER_VERSION, UnreadableError, day_of, identity
from hunter_orchestration.store import Connection, Store, quarantine, raw_leads
from hunter_orchestration.store import referrals as referral_store
from hunter_orchestration.store.raw_leads import Payload
from hunter_orchestration.store.runs import lease, read_watermark, renew_lease, write_watermark
from hunter_orchestration.store.work import Progress, StageResult, Window, utc_now

SOURCE = "partnercenter"
LEASE = "referral_sync"
SCOPE = "referrals"

_LEGS = 5
_FUTURE = timedelta(days=2)
_DROP_SHARE = 0.5
_DROP_FROM = 20

Scrub = Callable[[dict[str, Any]], dict[str, Any]]
"""Removes what must not be kept from a payload before it is hashed and stored."""

_log = get_logger(__name__)


class Page(Protocol):
    """A page of referrals. ``last`` is true for the one that ends the list; ``server_time`` is the service's clock."""

    @property
    def rows(self) -> Sequence[Any]: ...
    @property
    def last(self) -> bool: ...
    @property
    def server_time(self) -> datetime | None: ...


class ReferralSource(Protocol):
    """What ingestion asks of a client."""

    @property
    def requests(self) -> int: ...
    def newest_change(self) -> tuple[str, datetime] | None: ...
    def list_referrals(self, start: datetime | None, end: datetime | None) -> Iterator[Page]: ...


@dataclass(frozen=True, slots=True)
class SyncDecision:
    """Whether to start a run, and why.

    ``first_day`` and ``last_day`` are the partitions it covers; ``first_day`` is ``None`` for "from the beginning".
    """

    run: bool
    reason: str
    first_day: date | None = None
    last_day: date | None = None


def decide(
    *,
    watermark: datetime | None,
    newest: tuple[str, datetime] | None,
    newest_is_stored: bool,
    unread: bool,
    overlap: timedelta,
    now: datetime,
) -> SyncDecision:
    """The decision itself, from what was seen alone.

    Args:
        newest: id and stamp of the referral that changed last.
        newest_is_stored: whether the store holds that referral with that stamp.
        unread: whether fetched payloads still wait to be read.
    """
    today = max(day_of(now), day_of(newest[1]) if newest and newest[1] < now + _FUTURE else day_of(now))
    first = day_of(watermark - overlap) if watermark else None
    if newest is None:
        if watermark is not None:
            return SyncDecision(True, "Partner Center returned no referral at all.", first, today)
        if unread:
            return SyncDecision(True, "Fetched payloads wait to be read.", None, today)
        return SyncDecision(False, "Partner Center holds no referrals yet.")
    if not newest_is_stored:
        reason = f"Changes since {watermark:%Y-%m-%d %H:%M:%S} UTC." if watermark else "First sync."
        return SyncDecision(True, reason, first, today)
    if unread:
        return SyncDecision(True, "Fetched payloads wait to be read.", first, today)
    return SyncDecision(False, f"Nothing changed since {newest[1]:%Y-%m-%d %H:%M:%S} UTC.")


def changed_since_watermark(
    store: Store, client: ReferralSource, *, overlap_minutes: int = 10, now: datetime | None = None
) -> SyncDecision:
    """Ask Partner Center for its newest change, in one request, and decide."""
    newest = client.newest_change()
    with store.read() as connection:
        watermark = _watermark(read_watermark(connection, SOURCE, SCOPE))
        stored = newest is not None and raw_leads.knows(connection, SOURCE, *newest)
        unread = raw_leads.has_pending(connection, SOURCE)
    if watermark is None and newest is not None:
        stored = False
    return decide(
        watermark=watermark,
        newest=newest,
        newest_is_stored=stored,
        unread=unread,
        overlap=timedelta(minutes=overlap_minutes),
        now=now or utc_now(),
    )


def fetch(
    store: Store,
    client: ReferralSource,
    *,
    window: Window | None = None,
    run_id: str = "",
    overlap_minutes: int = 10,
    progress: Progress | None = None,
    scrub: Scrub | None = None,
) -> StageResult:
    """Fetch referrals and keep every payload once.

    Without a window everything from the watermark (less the overlap) on; the watermark moves when the pass is whole.
    With one, exactly that span; the watermark stays. A referral that changes while pages are read leaves its place
    and may push another over a page's edge, unseen: when one that was seen comes again under a newer stamp, the list
    is read again from its earlier stamp, until a pass sees none move. Should that not end, the watermark waits there.

    Counts: fetched = stored + unchanged + quarantined.

    Raises:
        LeaseHeldError: another run is fetching; its name is in ``owner``.
        LeaseLostError: this run was paused and another took over.
        PermanentError, TransientError: as the client raises them; what was stored before stays.
    """
    with lease(store, LEASE, run_id) as token:
        return _Fetch(store, client, token, scrub, progress).run(window, timedelta(minutes=overlap_minutes))


class _Fetch:
    def __init__(
        self, store: Store, client: ReferralSource, token: int, scrub: Scrub | None, progress: Progress | None
    ) -> None:
        self.store, self.client, self.token = store, client, token
        self.scrub, self.progress = scrub, progress
        self.result = StageResult(counts={"fetched": 0, "stored": 0, "unchanged": 0, "quarantined": 0})
        self.newest: datetime | None = None
        self.newest_elsewhere: tuple[str, datetime] | None = None
        self.pages = 0

    def run(self, window: Window | None, overlap: timedelta) -> StageResult:
        asked_before = self.client.requests
        with self.store.read() as connection:
            watermark = _watermark(read_watermark(connection, SOURCE, SCOPE))
            start = window.start if window else (watermark - overlap if watermark else None)
            end = window.end if window else None
            expected = referral_store.count_changed_in(connection, start, end) if window is not None or watermark else 0
        self.newest = watermark
        fetched_first = self._legs(start, end, moves_watermark=window is None)
        crash_points.reach("after_store")
        facts = self.result.facts
        facts["pages"] = self.pages
        facts["requests"] = self.client.requests - asked_before
        facts["expected"] = expected
        facts["watermark"] = self.newest.isoformat() if self.newest and window is None else None
        facts["sudden_drop"], facts["sudden_drop_detail"] = self._drop(window, watermark, expected, fetched_first)
        return self.result

    def _legs(self, start: datetime | None, end: datetime | None, *, moves_watermark: bool) -> int:
        fetched_first = 0
        moved_total = 0
        since = start
        for leg in range(_LEGS):
            moved_from = self._leg(since, end, moves_watermark=moves_watermark, last_try=leg == _LEGS - 1)
            if leg == 0:
                fetched_first = self.result.counts["fetched"]
            if moved_from is None:
                break
            moved_total += 1
            since = moved_from if start is None else max(start, moved_from)
        self.result.facts["passes"] = min(moved_total + 1, _LEGS)
        self.result.facts["settled"] = moved_total < _LEGS
        return fetched_first

    def _leg(
        self, start: datetime | None, end: datetime | None, *, moves_watermark: bool, last_try: bool
    ) -> datetime | None:
        """One pass over the list; returns where to start again, ``None`` when no row moved."""
        started = utc_now()
        server_started: datetime | None = None
        moved_from: datetime | None = None
        for page in self.client.list_referrals(start, end):
            self.pages += 1
            server_started = server_started or page.server_time
            crash_points.reach("after_fetch")
            with self.store.write() as connection:
                renew_lease(connection, LEASE, self.token)
                moved = self._keep(connection, page, started, server_started, start)
                moved_from = _earliest(moved_from, moved)
                if page.last and moves_watermark:
                    # A pass that never came to rest vouches only for what lies before the first row that moved.
                    reached = self.newest if moved_from is None else (moved_from if last_try else None)
                    self._advance(connection, reached)
                crash_points.reach("before_store")
            if self.progress:
                self.progress(self.result.counts["fetched"], None)
        if end is not None and moved_from is None and server_started is not None:
            # What changes now leaves a closed span for good: nothing in the span tells, only the newest change does.
            newest = self.client.newest_change()
            seen_before, self.newest_elsewhere = self.newest_elsewhere, newest
            if newest is not None and newest[1] >= server_started and newest != seen_before:
                return start
        return moved_from

    def _keep(
        self,
        connection: Connection,
        page: Page,
        started: datetime,
        server_started: datetime | None,
        listed_from: datetime | None,
    ) -> datetime | None:
        now = utc_now()
        payloads: list[Payload] = []
        nameless: dict[str, dict[str, Any]] = {}
        horizon = (page.server_time or now) + _FUTURE
        for row in page.rows:
            try:
                payload = self._payload(row)
            except UnreadableError as error:
                entry = _nameless(row, error)
                nameless[entry["external_id"]] = entry
                self.result.add("quarantined")
                continue
            payloads.append(payload)
            # A stamp far ahead of the service's own clock is a mistake of that row; it must not hide all others.
            if payload.updated_at and payload.updated_at < horizon:
                self.newest = max(self.newest or payload.updated_at, payload.updated_at)
        kept = raw_leads.keep(
            connection,
            SOURCE,
            payloads,
            now=now,
            pass_started=started,
            changing_since=server_started,
            listed_from=listed_from,
        )
        self.result.add("fetched", len(page.rows))
        self.result.add("stored", kept.stored)
        self.result.add("unchanged", kept.unchanged)
        if nameless:
            fresh = set(nameless) - quarantine.known(connection, SOURCE, list(nameless))
            rows = [nameless[key] for key in sorted(fresh)]
            quarantine.put(connection, rows, reader_version=READER_VERSION, now=now)
        return kept.moved_from

    def _payload(self, row: Any) -> Payload:
        external_id, updated_at = identity(row)
        if self.scrub is not None:
            row = self.scrub(row)
        return Payload(external_id, payload_hash(row), row, updated_at)

    def _advance(self, connection: Connection, reached: datetime | None) -> None:
        before = _watermark(read_watermark(connection, SOURCE, SCOPE))
        if reached is not None and (before is None or reached > before):
            write_watermark(connection, SOURCE, SCOPE, reached.isoformat())

    def _drop(
        self, window: Window | None, watermark: datetime | None, expected: int, fetched: int
    ) -> tuple[bool, str | None]:
        """Whether Partner Center gave far less than it must.

        From the watermark on, everything we hold is either still there or has moved to a later stamp, which is in the
        list too; a day in the past may have emptied, so there only the whole list being empty counts.
        """
        if window is not None:
            lost = fetched == 0 and expected > 0 and self.client.newest_change() is None
        else:
            lost = watermark is not None and expected > 0 and fetched == 0
            lost = lost or (expected >= _DROP_FROM and fetched < expected * _DROP_SHARE)
        if not lost:
            return False, None
        detail = (
            f"Partner Center returned {fetched} referrals where at least {expected} are known. Nothing was deleted. "
            "Check that the account still has the role Referrals Admin: hunter login --status."
        )
        _log.error("sudden drop of referrals", fetched=fetched, expected=expected)
        return True, detail


def _earliest(first: datetime | None, second: datetime | None) -> datetime | None:
    return min(first, second) if first and second else first or second


def payload_hash(payload: Any) -> str:
    """SHA-256 of a payload's meaning, hex: keys sorted, no spaces.

    Raises:
        UnreadableError: nested too deeply, or text that is no Unicode.
    """
    try:
        return sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()
    except (TypeError, RecursionError) as error:
        raise UnreadableError("not_encodable", f"The row can't be written as JSON: {type(error).__name__}.") from None


def _nameless(row: Any, error: UnreadableError) -> dict[str, Any]:
    try:
        encoded, kept = orjson.dumps(row, option=orjson.OPT_SORT_KEYS), row
    except (TypeError, RecursionError):
        text = repr(row)
        encoded, kept = text.encode("utf-8", "replace"), {"text": text.encode("utf-8", "replace").decode()}
    return {
        "source": SOURCE,
        "external_id": f"sha256:{sha256(encoded).hexdigest()}",
        "raw_lead_id": None,
        "reason": error.reason,
        "detail": error.detail,
        "payload": kept,
    }


def _watermark(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
