"""Pushing a chunk of companies: account, contact, lead, opportunity, each planned, marked, audited, sent, settled.

A record is marked in progress and its attempt audited in one transaction before anything is sent: no audit, no push.
The ledger calls it synced only when the CRM's own row was read back. What is not known to have arrived is looked up
by key before it is sent again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta
from typing import Any

from hunter_orchestration import crash_points
from hunter_orchestration.dynamics.client import DataverseClient, KeyValueError, key_address
from hunter_orchestration.dynamics.items import ChunkResult, Held, Item, Result
from hunter_orchestration.dynamics.mapping import TABLES
from hunter_orchestration.dynamics.plan import plan_create, plan_existing, still_ours
from hunter_orchestration.dynamics.preflight import Organisation
from hunter_orchestration.dynamics.records import Wanted, build
from hunter_orchestration.dynamics.refusals import SignInError, ThrottledError, UnreachableError, fix_of
from hunter_orchestration.dynamics.search import KEY, by_ids, by_keys, by_match, candidate
from hunter_orchestration.dynamics.sending import Sender
from hunter_orchestration.dynamics.values import FieldError, hash_of, same
from hunter_orchestration.errors import HunterError
from hunter_orchestration.store import Connection, Store, crm, leads, runs
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import utc_now

LEASE = "dynamics"
LEASE_SECONDS = 300.0
_ROUNDS = 4
_FIRST_DELAY, _LONGEST_DELAY = 30.0, 3600.0
_SAME = ("wanted_hash", "state", "crm_id", "crm_version", "company_domain", "referral_id", "mapping_version", "error",
         "error_code", "crm_state", "candidates", "acknowledged_hash", "next_attempt_at")  # fmt: skip


class Push:
    """One run of pushing.

    Args:
        token: fencing token of the lease.
        actor: who asked, for the audit.
        force: try rejected records again although nothing about them changed.
        dry_run: plan only; nothing is marked, sent or written.
    """

    def __init__(
        self,
        store: Store,
        client: DataverseClient,
        organisation: Organisation,
        *,
        token: int,
        actor: str,
        run_id: str | None,
        batch_size: int,
        concurrency: int,
        force: bool = False,
        dry_run: bool = False,
    ) -> None:
        self.store = store
        self.client = client
        self.organisation = organisation
        self.stopped: HunterError | None = None
        """Why nothing more is sent in this run."""
        self._token = token
        self._actor = actor
        self._run_id = run_id
        self._batch_size = batch_size
        self._concurrency = concurrency
        self._force = force
        self._dry_run = dry_run
        self._claimed: dict[str, tuple[str, str]] = {}
        self._ids: dict[tuple[str, str], str | None] = {}

    def run_chunk(self, domains: Sequence[str]) -> ChunkResult:
        """Push these companies as far as the organisation lets us.

        Raises:
            LeaseLostError: another run took over; nothing more was written.
        """
        with self.store.read() as connection:
            wanted = build(connection, self.organisation.mapping.mapping, domains)
        crash_points.reach("before_push")
        result = ChunkResult()
        self._ids = {
            key: row["crm_id"] if row["state"] != "deleted_in_crm" else None for key, row in wanted.ledger.items()
        }
        for table in TABLES:
            items = [
                Item(record, wanted.ledger.get(record.identity), self.organisation.renderers[table])
                for record in wanted.records[table]
            ]
            if items and self.stopped is None:
                self._table(table, items, result)
            else:
                for item in items:
                    self._done(item, "deferred", result)
        if self._dry_run:
            for domain, reason in wanted.skipped.items():
                result.plan.append({"domain": domain, "table": "lead", "external_id": domain, "operation": "blocked",
                                    "fields": {}, "kept": {}, "reason": reason})  # fmt: skip
                result.count("skipped")
        else:
            self._conclude(domains, wanted, result)
        return result

    def _table(self, table: str, items: list[Item], result: ChunkResult) -> None:
        todo = [item for item in items if self._begin(item, result)]
        for number in range(_ROUNDS):
            try:
                todo = self._locate(table, todo, result)
            except HunterError as error:
                self._give_up(todo, error, result)
                return
            sends = [item for item in todo if self._plan(item, result)]
            if not sends or self._dry_run:
                break
            if number:
                self.client.pause(number)
            todo = self._send(table, sends, result)
            if self.stopped is not None and todo:
                self._give_up(todo, self.stopped, result)
                return
        else:
            for item in todo:
                self._defer(item, "contended", "The row kept changing while Hunter wrote it.", result)
        self._flush(result)
        for item in items:
            self._ids[item.record.identity] = item.ledger["crm_id"]
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
            self._reject(item, "key_unusable", str(error), "key_unusable", result)
            return False
        except FieldError as error:
            if error.code == "parent_missing":
                self._defer(item, error.code, error.message, result, delay=_LONGEST_DELAY)
            else:
                self._reject(item, error.code, error.message, error.code, result)
            return False
        if ledger["state"] == "deleted_in_crm":
            self._done(item, "deleted_in_crm", result)
            return False
        item.wanted_hash = hash_of(item.wanted)
        unchanged = ledger["wanted_hash"] == item.wanted_hash and ledger["mapping_version"] == self.organisation.version
        if ledger["state"] == "rejected" and unchanged and not self._force:
            self._done(item, "rejected", result)
            return False
        item.recovering = ledger["state"] == "in_progress" or ledger["error_code"] == "answer_lost"
        if item.recovering:
            item.sent = ledger["wanted"] or {}
            item.before = ledger["observed"] or {}
        elif ledger["crm_id"] and ledger["observed"] is not None and ledger["crm_version"]:
            item.held = Held.from_ledger(ledger)
        return True

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
                    self._gone(item, result)
                elif row.master is not None:
                    self._follow(item, row.master, result)
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
                    self._follow(item, row.master, result)
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
                self._merged_away(item, result)
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
                self._conflict(item, [candidate(row) for row in rows], "several_matches", result)

    def _plan(self, item: Item, result: ChunkResult) -> bool:
        """Plan the record; whether something has to be sent."""
        if item.held is None:
            plan = plan_create(item.wanted)
        else:
            acknowledged = still_ours(item.ledger["acknowledged"] or {}, item.held.observed)
            if item.recovering:
                acknowledged |= item.arrived()
            item.acknowledged = acknowledged
            plan = plan_existing(
                item.record.table,
                item.renderer.fields,
                item.wanted,
                acknowledged,
                item.held.observed,
                statecode=item.held.statecode,
                has_key=item.held.has_key or item.held.followed,
                changed_at=item.record.changed_at,
                modified_at=item.held.modified_at,
            )
        item.plan = plan
        item.first_plan = item.first_plan or plan.operation
        if self._dry_run:
            self._show(item, result)
            return False
        if plan.operation in ("create", "update", "adopt"):
            return True
        self._settle_unsent(item, result)
        return False

    def _settle_unsent(self, item: Item, result: ChunkResult) -> None:
        """A record that needs no write: the ledger may still have to learn something."""
        plan, held, row = item.plan, item.held, item.ledger
        assert plan is not None
        assert held is not None
        recovered = item.recovering and plan.operation == "unchanged"
        row.update(held.ledger_values(item.record.table))
        row.update(acknowledged=item.acknowledged, acknowledged_hash=hash_of(item.acknowledged))
        self._wants(item)
        if plan.operation == "blocked":
            row.update(state="skipped", error_code=plan.reason, error=None, fix="closed_in_crm")
        else:
            row.update(state="synced", error_code=None, error=None, fix=None, candidates=None, attempts=0,
                       next_attempt_at=None)  # fmt: skip
        if recovered:
            row["synced_at"] = utc_now()
            result.entries.append(self._entry(item, "recovered", detail="found in the CRM after a lost answer"))
        outcome = "recovered" if recovered else "skipped" if plan.operation == "blocked" else "unchanged"
        self._done(item, outcome, result)

    def _send(self, table: str, items: list[Item], result: ChunkResult) -> list[Item]:
        """Mark, send and settle; returns the records that have to be looked at again."""
        sender = Sender(self.client, self.organisation, table)
        creates = [i for i in items if i.held is None]
        updates = [i for i in items if i.held is not None]
        slices: list[tuple[Callable[[list[Item], datetime], list[Result]], list[Item]]] = []
        slices += [(sender.create, s) for s in chunks(creates, self._batch_size)]
        slices += [(sender.update, s) for s in chunks(updates, self._batch_size)]
        self._mark(items, result)
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
                    self.stopped = self.stopped or error
                    answers = [Result(item, "unsent" if isinstance(error, ThrottledError) else "lost") for item in some]
                crash_points.reach("push_sent")
                again += self._settle(answers, result)
        return again

    def _unless_stopped(
        self, work: Callable[[list[Item], datetime], list[Result]], items: list[Item], now: datetime
    ) -> list[Result]:
        if self.stopped is not None:
            return [Result(item, "unsent") for item in items]
        return work(items, now)

    def _mark(self, items: list[Item], result: ChunkResult) -> None:
        """Say in the ledger and in the audit what is about to be tried."""
        self._flush_into(result)
        until = utc_now() + timedelta(seconds=LEASE_SECONDS)
        entries = []
        for item in items:
            assert item.plan is not None
            row = item.ledger
            item.before = row["observed"] or {}
            item.sent = {name: new for name, (_, new) in item.plan.changes.items()}
            self._wants(item)
            row.update(state="in_progress", attempts=row["attempts"] + 1, lease_owner=self._run_id or self._actor,
                       lease_token=self._token, lease_until=until)  # fmt: skip
            if item.held is not None:
                row.update(item.held.ledger_values(item.record.table))
            entries.append(self._entry(item, "sent", changes=True))
        with self.store.write() as connection:
            runs.renew_lease(connection, LEASE, self._token, LEASE_SECONDS)
            crm.save(connection, [item.ledger for item in items])
            crm.audit(connection, entries)
            leads.refresh_crm_states(connection, (item.record.domain for item in items))
        crash_points.reach("push_marked")

    def _settle(self, answers: list[Result], result: ChunkResult) -> list[Item]:
        again: list[Item] = []
        for answer in answers:
            item = answer.item
            if answer.kind == "written":
                self._written(item, answer, result)
            elif answer.kind in ("lost", "look"):
                # The row is unknown now: it may be there, changed, or gone.
                item.recovering = item.recovering or answer.kind == "lost"
                item.held = None
                code = answer.refusal.code if answer.refusal else None
                item.ledger["error_code"] = "answer_lost" if answer.kind == "lost" else None
                result.entries.append(self._entry(item, "unknown", code=code, answer=answer))
                result.touched[item.record.identity] = item.ledger
                again.append(item)
            elif answer.kind == "refused" and answer.refusal is not None:
                refusal = answer.refusal
                self._reject(item, refusal.code or str(refusal.status), refusal.message, fix_of(refusal), result,
                             status=refusal.status)  # fmt: skip
            elif answer.kind == "duplicate":
                result.entries.append(self._entry(item, "rejected", code="0x80040333", answer=answer))
                self._conflict(item, answer.candidates, "duplicate_refused", result)
            else:
                self._unsent(item, answer, result)
        self._flush(result)
        crash_points.reach("push_acknowledged")
        return again

    def _written(self, item: Item, answer: Result, result: ChunkResult) -> None:
        assert answer.row is not None
        assert item.plan is not None
        item.read(answer.row)
        held = item.held
        assert held is not None
        acknowledged = still_ours(item.acknowledged, held.observed)
        acknowledged |= {n: v for n, v in item.sent.items() if same(v, held.observed.get(n))}
        row = item.ledger
        row.update(held.ledger_values(item.record.table))
        row.update(
            crm_id=held.id, state="synced", acknowledged=acknowledged, acknowledged_hash=hash_of(acknowledged),
            error_code=None, error=None, fix=None, candidates=None, next_attempt_at=None, attempts=0,
            synced_at=utc_now(),
        )  # fmt: skip
        outcome = "recovered" if item.recovering else "confirmed"
        result.entries.append(self._entry(item, outcome, answer=answer))
        names = {"create": "created", "update": "updated", "adopt": "adopted"}
        self._done(item, "recovered" if item.recovering else names[item.plan.operation], result)

    def _unsent(self, item: Item, answer: Result, result: ChunkResult) -> None:
        error = self.stopped
        wait = error.retry_after if isinstance(error, ThrottledError) else None
        code = answer.refusal.code if answer.refusal else "throttled"
        words = answer.refusal.message if answer.refusal else str(error.message if error else "not sent")
        result.entries.append(self._entry(item, "deferred", code=code, answer=answer))
        self._defer(item, code, words, result, delay=wait)

    def _reject(
        self, item: Item, code: str, words: str, fix: str, result: ChunkResult, *, status: int | None = None
    ) -> None:
        item.ledger.update(state="rejected", error_code=code, error=words, fix=fix, next_attempt_at=None)
        self._wants(item)
        if status is not None:
            result.entries.append(self._entry(item, "rejected", code=code, status=status, detail=words))
        self._done(item, "rejected", result)

    def _defer(self, item: Item, code: str, words: str, result: ChunkResult, *, delay: float | None = None) -> None:
        row = item.ledger
        if not (row["state"] == "deferred" and row["error_code"] == code and row["next_attempt_at"]
                and row["next_attempt_at"] > utc_now()):  # fmt: skip
            seconds = delay or min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(row["attempts"], 10))
            row["next_attempt_at"] = utc_now() + timedelta(seconds=seconds * random.uniform(1.0, 1.25))
        # What may have arrived without our knowing stays marked so that it is looked up first.
        code = "answer_lost" if row["error_code"] == "answer_lost" and item.recovering else code
        row.update(state="deferred", error_code=code, error=words, fix="waits_for_next_run")
        self._done(item, "deferred", result)

    def _conflict(self, item: Item, candidates: list[dict[str, Any]], code: str, result: ChunkResult) -> None:
        item.ledger.update(state="conflict", candidates=candidates, error_code=code, fix="choose_candidate",
                           error=f"{len(candidates)} row(s) in the CRM may be this record.", crm_id=None)  # fmt: skip
        self._wants(item)
        self._done(item, "conflict", result)

    def _gone(self, item: Item, result: ChunkResult) -> None:
        item.ledger.update(state="deleted_in_crm", error_code="deleted_in_crm", fix="recreate_on_demand",
                           error="Somebody deleted this record in the CRM.", next_attempt_at=None)  # fmt: skip
        result.entries.append(self._entry(item, "confirmed", operation="read", detail="deleted in the CRM"))
        self._done(item, "deleted_in_crm", result)

    def _follow(self, item: Item, master: str, result: ChunkResult) -> None:
        detail = f"merged in the CRM into {master}"
        result.entries.append(self._entry(item, "confirmed", operation="read", detail=detail))
        item.ledger.update(crm_id=master, crm_version=None, observed=None)
        item.ledger["acknowledged"] = {}
        item.followed = True

    def _merged_away(self, item: Item, result: ChunkResult) -> None:
        """The row bears the key of another record of ours: that record keeps it true."""
        assert item.held is not None
        item.ledger.update(item.held.ledger_values(item.record.table))
        item.ledger.update(state="skipped", error_code="merged_in_crm", error=None, fix="merged_in_crm",
                           acknowledged={}, acknowledged_hash=hash_of({}))  # fmt: skip
        self._wants(item)
        self._done(item, "skipped", result)

    def _give_up(self, items: list[Item], error: HunterError, result: ChunkResult) -> None:
        self.stopped = self.stopped or error
        wait = error.retry_after if isinstance(error, ThrottledError) else None
        for item in items:
            if item.outcome is None:
                self._defer(item, "throttled" if wait else "unreachable", error.message, result, delay=wait)
        self._flush(result)

    def _wants(self, item: Item) -> None:
        item.ledger.update(
            wanted=item.wanted, wanted_hash=item.wanted_hash, mapping_version=self.organisation.version,
            company_domain=item.record.domain, referral_id=item.record.referral_id,
        )  # fmt: skip

    def _done(self, item: Item, outcome: str, result: ChunkResult) -> None:
        item.outcome = outcome
        result.count(outcome)
        planned = {"create": "created", "update": "updated", "adopt": "adopted", "blocked": "skipped"}
        expected = planned.get(item.first_plan or "", item.first_plan)
        if item.first_plan is not None and expected != outcome:
            result.surprises.append(
                {"table": item.record.table, "external_id": item.record.external_id, "planned": item.first_plan,
                 "outcome": outcome}
            )  # fmt: skip
        if self._dry_run:
            if item.plan is None:
                self._show(item, result)
            return
        if any(item.ledger[name] != item.original[name] for name in _SAME):
            item.ledger["changed_at"] = utc_now()
            item.ledger.update(lease_token=self._token, lease_owner=None, lease_until=None)
            result.touched[item.record.identity] = item.ledger

    def _show(self, item: Item, result: ChunkResult) -> None:
        plan = item.plan
        changes = {n: list(c) for n, c in plan.changes.items()} if plan else {}
        if plan is not None and plan.operation == "adopt":
            changes[KEY] = [None, item.record.external_id]
        result.plan.append(
            {
                "domain": item.record.domain,
                "table": item.record.table,
                "external_id": item.record.external_id,
                "operation": plan.operation if plan else "blocked",
                "fields": changes,
                "kept": {n: list(c) for n, c in plan.kept.items()} if plan else {},
                "reason": plan.reason if plan else item.ledger["error_code"] or item.outcome,
            }
        )
        if plan is not None:
            result.count(plan.operation)

    def _entry(
        self,
        item: Item,
        outcome: str,
        *,
        operation: str | None = None,
        changes: bool = False,
        code: str | None = None,
        status: int | None = None,
        detail: str | None = None,
        answer: Result | None = None,
    ) -> dict[str, Any]:
        refusal = answer.refusal if answer else None
        plan = item.plan
        return {
            "at": utc_now(),
            "actor": self._actor,
            "run_id": self._run_id,
            "table_name": item.record.table,
            "external_id": item.record.external_id,
            "company_domain": item.record.domain,
            "operation": operation or (plan.operation if plan and plan.operation != "unchanged" else "read"),
            "fields": {n: list(c) for n, c in plan.changes.items()} if changes and plan else None,
            "outcome": outcome,
            "status": status or (answer.status if answer else None),
            "code": code,
            "detail": detail or (refusal.message if refusal else None),
        }

    def _flush_into(self, result: ChunkResult) -> None:
        """Write what earlier steps left before a new attempt is marked, so that the audit stays in order."""
        if result.touched or result.entries:
            self._flush(result)

    def _flush(self, result: ChunkResult) -> None:
        if self._dry_run or not (result.touched or result.entries):
            return
        with self.store.write() as connection:
            self._write(connection, result)

    def _write(self, connection: Connection, result: ChunkResult) -> None:
        runs.renew_lease(connection, LEASE, self._token, LEASE_SECONDS)
        crm.save(connection, [{**row, "lease_token": self._token} for row in result.touched.values()])
        crm.audit(connection, result.entries)
        leads.refresh_crm_states(connection, (row["company_domain"] for row in result.touched.values()))
        result.changed.update(row["company_domain"] for row in result.touched.values())
        result.touched.clear()
        result.entries.clear()

    def _conclude(self, domains: Sequence[str], wanted: Wanted, result: ChunkResult) -> None:
        """The chunk is over: companies are no longer due, the page is told."""
        for domain, reason in wanted.skipped.items():
            result.count("skipped")
            known = wanted.ledger.get(("lead", domain))
            row = dict(known) if known else crm.blank("lead", domain, domain)
            if row["state"] != "skipped" or row["error_code"] != reason:
                row.update(state="skipped", error_code=reason, error=None, fix=reason, changed_at=utc_now())
                result.touched["lead", domain] = row
        stamps = wanted.stamps if self.stopped is None else {}
        if not (result.touched or result.entries or result.changed or any(stamps.values())):
            return
        with self.store.write() as connection:
            self._write(connection, result)
            crm.clear_due(connection, stamps)
            leads.refresh_crm_states(connection, domains)
            if result.changed:
                runs.emit(connection, "leads_changed", None, {"domains": sorted(result.changed)[:100],
                                                              "count": len(result.changed)})  # fmt: skip
