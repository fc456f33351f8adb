"""Pushing a chunk of companies: account, contact, lead, opportunity, each planned, marked, audited, sent, settled.

A record is marked in progress and its attempt audited in one transaction before anything is sent: no audit, no push.
The ledger calls it synced only when the CRM's own row was read back. What is not known to have arrived is looked up
by key before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import datetime
from typing import Any

from hunter_orchestration import crash_points
from hunter_orchestration.dynamics.book import LONGEST_DELAY, Book
from hunter_orchestration.dynamics.client import KeyValueError, key_address
from hunter_orchestration.dynamics.descriptions import Descriptions
from hunter_orchestration.dynamics.items import ChunkResult, Held, Item, Result
from hunter_orchestration.dynamics.mapping import KEY, TABLES
from hunter_orchestration.dynamics.plan import plan_create, plan_existing, still_ours
from hunter_orchestration.dynamics.records import build
from hunter_orchestration.dynamics.refusals import SignInError, ThrottledError, UnreachableError
from hunter_orchestration.dynamics.search import by_ids, by_keys, by_match, candidate
from hunter_orchestration.dynamics.sending import Sender
from hunter_orchestration.dynamics.session import Session
from hunter_orchestration.dynamics.values import FieldError, hash_of
from hunter_orchestration.errors import HunterError
from hunter_orchestration.store import crm
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import utc_now

_ROUNDS = 4


class Push:
    """One run of pushing.

    Args:
        force: try rejected records again although nothing about them changed.
        dry_run: plan only; nothing is marked, sent or written.
    """

    def __init__(
        self,
        session: Session,
        descriptions: Descriptions,
        *,
        batch_size: int,
        concurrency: int,
        force: bool = False,
        dry_run: bool = False,
    ) -> None:
        self.store, self.client, self.organisation = session.store, session.client, session.organisation
        self.book = Book(session, dry_run=dry_run)
        self._descriptions = descriptions
        self._batch_size = batch_size
        self._concurrency = concurrency
        self._force = force
        self._dry_run = dry_run
        self._claimed: dict[str, tuple[str, str]] = {}
        self._ids: dict[tuple[str, str], str | None] = {}

    @property
    def stopped(self) -> HunterError | None:
        """Why nothing more is sent in this run."""
        return self.book.stopped

    def run_chunk(self, domains: Sequence[str]) -> ChunkResult:
        """Push these companies as far as the organisation lets us.

        Raises:
            LeaseLostError: another run took over; nothing more was written.
        """
        with self.store.read() as connection:
            wanted = build(connection, self.organisation.mapping.mapping, self._descriptions, domains)
        crash_points.reach("before_push")
        result = ChunkResult()
        self._ids = {key: _standing_id(row) for key, row in wanted.ledger.items()}
        all_items = {
            table: [
                Item(record, wanted.ledger.get(record.identity), self.organisation.renderers[table])
                for record in wanted.records[table]
            ]
            for table in TABLES
        }
        self.book.announce([item for items in all_items.values() for item in items if item.known is None])
        for table, items in all_items.items():
            if items and self.book.stopped is None:
                self._table(table, items, result)
            else:
                for item in items:
                    self.book.done(item, "deferred", result)
        if self._dry_run:
            for domain, reason in wanted.skipped.items():
                result.plan.append({"domain": domain, "table": "lead", "external_id": domain, "operation": "blocked",
                                    "fields": {}, "kept": {}, "reason": reason})  # fmt: skip
                result.count("skipped")
        else:
            self.book.conclude(domains, wanted, result)
        return result

    def _table(self, table: str, items: list[Item], result: ChunkResult) -> None:
        todo = [item for item in items if self._begin(item, result)]
        for number in range(_ROUNDS):
            try:
                todo = self._locate(table, todo, result)
            except HunterError as error:
                self.book.give_up(todo, error, result)
                return
            sends = [item for item in todo if self._plan(item, result)]
            if not sends or self._dry_run:
                break
            if number:
                self.client.pause(number)
            todo = self._send(table, sends, result)
            if self.book.stopped is not None and todo:
                self.book.give_up(todo, self.book.stopped, result)
                return
        else:
            for item in todo:
                if item.refusal is not None and item.refusal.kind == "gone":
                    words = f"Something it refers to is not in the CRM any more: {item.refusal.message}"
                    self.book.defer(item, "parent_missing", words, result)
                else:
                    self.book.defer(item, "contended", "The row kept changing while Hunter wrote it.", result)
        self.book.flush(result)
        for item in items:
            self._ids[item.record.identity] = _standing_id(item.ledger)
            if self._dry_run and item.plan is not None and item.plan.operation == "create":
                self._ids[item.record.identity] = f"new {table} {item.record.external_id}"

    def _begin(self, item: Item, result: ChunkResult) -> bool:
        """Whether there is anything to find out in the CRM about this record."""
        ledger = item.ledger
        parents = {s: self._ids.get(identity) for s, identity in item.record.parents.items()}
        try:
            key_address("x", KEY, item.record.external_id)
            item.wanted = item.renderer.wanted({**item.record.facts, **parents})
        except KeyValueError as error:
            self.book.reject(item, "key_unusable", str(error), "key_unusable", result)
            return False
        except FieldError as error:
            if error.code == "parent_missing":
                self.book.defer(item, error.code, self._parent_words(item, error), result, delay=LONGEST_DELAY)
            else:
                self.book.reject(item, error.code, error.message, error.code, result)
            return False
        if ledger["state"] == "deleted_in_crm":
            self.book.done(item, "deleted_in_crm", result)
            return False
        item.wanted_hash = hash_of(item.wanted)
        unchanged = ledger["wanted_hash"] == item.wanted_hash and ledger["mapping_version"] == self.organisation.version
        if ledger["state"] == "rejected" and unchanged and not self._force:
            self.book.done(item, "rejected", result)
            return False
        item.recovering = ledger["state"] == "in_progress" or ledger["error_code"] == "answer_lost"
        if item.recovering:
            item.sent = ledger["wanted"] or {}
            item.before = ledger["observed"] or {}
        elif ledger["crm_id"] and ledger["crm_version"] and item.wanted.keys() <= (ledger["observed"] or {}).keys():
            # A field that the mapping took up since was never looked at: what people put there is not known.
            item.held = Held.from_ledger(ledger)
        return True

    def _parent_words(self, item: Item, error: FieldError) -> str:
        """Which record a record waits for, and why that is not there."""
        table, external_id = item.record.parents[item.renderer.fields[error.field].source[0]]
        with self.store.read() as connection:
            parent = crm.record(connection, table, external_id)
        deleted = parent is not None and parent["state"] == "deleted_in_crm"
        why = "which somebody deleted in the CRM" if deleted else "which is not in the CRM"
        return f"It needs the {table} {external_id}, {why}."

    def _locate(self, table: str, todo: list[Item], result: ChunkResult) -> list[Item]:
        """Find the rows of records whose row is not known, or no longer; returns those that can be planned."""
        renderer = self.organisation.renderers[table]
        left: list[Item] = []
        unseen = [i for i in todo if i.held is None and i.ledger["crm_id"]]
        for _ in range(5):
            if not unseen:
                break
            rows = by_ids(self.client, renderer, {i.ledger["crm_id"] for i in unseen})
            following = []
            for item in unseen:
                row = rows.get(item.ledger["crm_id"])
                if row is None:
                    self.book.gone(item, result)
                elif row.master is not None:
                    self.book.follow(item, row.master, result)
                    following.append(item)
                else:
                    item.read(row)
            unseen = following
        unknown = [i for i in todo if i.held is None and not i.ledger["crm_id"]]
        if unknown:
            found = by_keys(self.client, renderer, (i.record.external_id for i in unknown))
            for item in unknown:
                row = found.get(item.record.external_id.lower())
                if row is None:
                    continue
                item.ledger["crm_id"] = row.id
                if row.master is not None:
                    self.book.follow(item, row.master, result)
                else:
                    item.read(row)
            self._match(table, [i for i in unknown if not i.ledger["crm_id"]], result)
            merged = [i for i in unknown if i.held is None and i.ledger["crm_id"] and i.outcome is None]
            if merged:
                self._locate(table, merged, result)
        for item in todo:
            if item.outcome is not None:
                continue
            if item.held is not None and item.held.foreign_key:
                self.book.merged_away(item, result)
                continue
            left.append(item)
        return left

    def _match(self, table: str, unknown: list[Item], result: ChunkResult) -> None:
        """Recognise rows that sales made before Hunter came."""
        rules = self.organisation.mapping.mapping.tables[table].match  # type: ignore[index]
        open_to_match = [i for i in unknown if i.ledger["error_code"] != "create_new"]
        if not rules or not open_to_match:
            return
        renderer = self.organisation.renderers[table]
        found = by_match(self.client, renderer, rules, [i.record for i in open_to_match])
        if not found:
            return
        with self.store.read() as connection:
            owned = crm.by_crm_ids(connection, table, [row.id for rows in found.values() for row in rows])
        claims: dict[str, int] = {}
        for rows in found.values():
            for row in rows:
                claims[row.id] = claims.get(row.id, 0) + 1
        for item in open_to_match:
            rows = [
                row for row in found.get(item.record.external_id, ())
                if row.id not in owned and self._claimed.get(row.id, item.record.identity) == item.record.identity
            ]  # fmt: skip
            if len(rows) == 1 and claims[rows[0].id] == 1:
                self._claimed[rows[0].id] = item.record.identity
                item.read(rows[0])
                item.ledger["crm_id"] = rows[0].id
            elif rows:
                self.book.conflict(item, [candidate(row) for row in rows], "several_matches", result)

    def _plan(self, item: Item, result: ChunkResult) -> bool:
        """Plan the record; whether something has to be sent."""
        if item.held is None:
            plan = plan_create(item.wanted)
        else:
            acknowledged = still_ours(item.ledger["acknowledged"] or {}, item.held.observed)
            if item.recovering:
                acknowledged |= item.arrived()
            item.acknowledged = acknowledged
            item.held.give_in(item.wanted)
            plan = plan_existing(
                item.record.table,
                item.renderer.fields,
                item.wanted,
                acknowledged,
                item.held.observed,
                altered=item.held.altered,
                statecode=item.held.statecode,
                reopen=self.organisation.mapping.mapping.reopen,
                has_key=item.held.has_key or item.held.followed,
                changed_at=item.record.changed_at,
                modified_at=item.held.modified_at,
            )
        item.plan = plan
        item.first_plan = item.first_plan or plan.operation
        if self._dry_run:
            self.book.show(item, result)
            return False
        if plan.operation in ("create", "update", "adopt"):
            return True
        self.book.settle_unsent(item, result)
        return False

    def _send(self, table: str, items: list[Item], result: ChunkResult) -> list[Item]:
        """Mark, send and settle; returns the records that have to be looked at again."""
        sender = Sender(self.client, self.organisation, table)
        creates = [i for i in items if i.held is None]
        updates = [i for i in items if i.held is not None]
        slices: list[tuple[Callable[[list[Item], datetime], list[Result]], list[Item]]] = []
        slices += [(sender.create, s) for s in chunks(creates, self._batch_size)]
        slices += [(sender.update, s) for s in chunks(updates, self._batch_size)]
        self.book.mark(items, result)
        again: list[Item] = []
        now = utc_now()
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="dynamics") as pool:
            futures: dict[Future[list[Result]], list[Item]] = {
                pool.submit(self._unless_stopped, work, some, now): some for work, some in slices
            }
            for future in as_completed(futures):
                some = futures[future]
                try:
                    answers = future.result()
                except (ThrottledError, UnreachableError, SignInError) as error:
                    self.book.stopped = self.book.stopped or error
                    answers = [Result(item, "unsent" if isinstance(error, ThrottledError) else "lost") for item in some]
                crash_points.reach("push_sent")
                again += self.book.settle(answers, result)
        return again

    def _unless_stopped(
        self, work: Callable[[list[Item], datetime], list[Result]], items: list[Item], now: datetime
    ) -> list[Result]:
        if self.book.stopped is not None:
            return [Result(item, "unsent") for item in items]
        return work(items, now)


def _standing_id(row: Mapping[str, Any]) -> str | None:
    """GUID by which other rows may refer to a record; none once somebody deleted its row."""
    return row["crm_id"] if row["state"] != "deleted_in_crm" else None
