"""The books of a push: what is marked before anything is sent, what became of it, and what the audit says.

Everything a chunk has to write is collected in its ``ChunkResult`` and written in one transaction together with the
state the page shows; the lease is renewed in the same transaction, so that a run that lost it writes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from hunter_orchestration import crash_points
from hunter_orchestration.dynamics.items import DELETED, ChunkResult, Item, Result
from hunter_orchestration.dynamics.mapping import KEY
from hunter_orchestration.dynamics.plan import still_ours
from hunter_orchestration.dynamics.records import Wanted
from hunter_orchestration.dynamics.refusals import ThrottledError, fix_of
from hunter_orchestration.dynamics.session import LEASE_SECONDS, Session
from hunter_orchestration.dynamics.values import hash_of, same
from hunter_orchestration.errors import HunterError
from hunter_orchestration.store import Connection, crm, leads, runs
from hunter_orchestration.store.work import utc_now

LONGEST_DELAY = 3600.0
_FIRST_DELAY = 30.0
_SAME = ("wanted_hash", "state", "crm_id", "crm_version", "company_domain", "referral_id", "mapping_version", "error",
         "error_code", "crm_state", "candidates", "acknowledged_hash", "next_attempt_at")  # fmt: skip


_UNSENT = ("pending", "deferred", "rejected")


class Book:
    """Keeps ledger and audit for one run.

    Args:
        dry_run: nothing is marked or written.
    """

    def __init__(self, session: Session, *, dry_run: bool) -> None:
        self.store, self.organisation = session.store, session.organisation
        self.dry_run = dry_run
        self.stopped: HunterError | None = None
        """Why nothing more is sent in this run."""
        self._session = session

    def settle_unsent(self, item: Item, result: ChunkResult) -> None:
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
            row.update(state="synced", candidates=None, attempts=0, next_attempt_at=None,
                       **_told(plan.rewritten))  # fmt: skip
        if recovered:
            row["synced_at"] = utc_now()
            result.entries.append(self._entry(item, "recovered", detail="found in the CRM after a lost answer"))
        outcome = "recovered" if recovered else "skipped" if plan.operation == "blocked" else "unchanged"
        self.done(item, outcome, result)

    def announce(self, items: list[Item]) -> None:
        """Enter records that were never tried as pending, all tables at once: a company whose account has arrived is
        not called synced while its lead is still to come, even when the run dies in between."""
        if self.dry_run or not items:
            return
        with self.store.write() as connection:
            self._session.renew(connection)
            crm.save(connection, [{**item.ledger, "lease_token": self._session.token} for item in items])
            leads.refresh_crm_states(connection, (item.record.domain for item in items))
        crash_points.reach("push_announced")

    def mark(self, items: list[Item], result: ChunkResult) -> None:
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
            row.update(state="in_progress", attempts=row["attempts"] + 1, lease_owner=self._session.owner,
                       lease_token=self._session.token, lease_until=until)  # fmt: skip
            if item.held is not None:
                row.update(item.held.ledger_values(item.record.table))
            entries.append(self._entry(item, "sent", changes=True))
        with self.store.write() as connection:
            self._session.renew(connection)
            crm.save(connection, [item.ledger for item in items])
            crm.audit(connection, entries)
            leads.refresh_crm_states(connection, (item.record.domain for item in items))
        crash_points.reach("push_marked")

    def settle(self, answers: list[Result], result: ChunkResult) -> list[Item]:
        """Take the answers in and write what became of each; returns the records to be looked at again."""
        again: list[Item] = []
        for answer in answers:
            item = answer.item
            if answer.kind == "written":
                self._written(item, answer, result)
            elif answer.kind in ("lost", "look"):
                # The row is unknown now: it may be there, changed, or gone.
                item.recovering = item.recovering or answer.kind == "lost"
                item.held, item.refusal = None, answer.refusal
                code = answer.refusal.code if answer.refusal else None
                item.ledger["error_code"] = "answer_lost" if answer.kind == "lost" else None
                result.entries.append(self._entry(item, "unknown", code=code, answer=answer))
                result.touched[item.record.identity] = item.ledger
                again.append(item)
            elif answer.kind == "refused" and answer.refusal is not None:
                refusal = answer.refusal
                self.reject(item, refusal.code or str(refusal.status), refusal.message, fix_of(refusal), result,
                             status=refusal.status)  # fmt: skip
            elif answer.kind == "duplicate":
                result.entries.append(self._entry(item, "rejected", code="0x80040333", answer=answer))
                self.conflict(item, answer.candidates, "duplicate_refused", result)
            else:
                self._unsent(item, answer, result)
        self.flush(result)
        crash_points.reach("push_acknowledged")
        return again

    def _written(self, item: Item, answer: Result, result: ChunkResult) -> None:
        assert answer.row is not None
        assert item.plan is not None
        item.read(answer.row)
        held = item.held
        assert held is not None
        acknowledged = still_ours(item.acknowledged, held.observed)
        arrived = {n for n, v in item.sent.items() if same(v, held.observed.get(n))}
        acknowledged |= {n: item.sent[n] for n in arrived}
        altered = {n: [v, held.observed.get(n)] for n, v in item.sent.items() if n not in arrived and v is not None}
        for name, (old, new) in item.plan.changes.items():
            if old is not None and not same(item.acknowledged.get(name), old):
                held.overrule(name, old, new)
        held.altered = {n: pair for n, pair in held.altered.items() if n not in item.sent} | altered
        row = item.ledger
        row.update(held.ledger_values(item.record.table))
        row.update(
            crm_id=held.id, state="synced", acknowledged=acknowledged, acknowledged_hash=hash_of(acknowledged),
            error_code=None, error=None, fix=None, candidates=None, next_attempt_at=None, attempts=0,
            synced_at=utc_now(),
        )  # fmt: skip
        row.update(_told(held.altered))
        outcome = "recovered" if item.recovering else "confirmed"
        entry = self._entry(item, outcome, answer=answer, detail=row["error"])
        if altered:
            # What was sent, and what the CRM made of it.
            entry["fields"] = altered
            result.surprises.append(
                {"table": item.record.table, "external_id": item.record.external_id, "planned": item.first_plan,
                 "outcome": "altered_in_crm", "fields": altered}
            )  # fmt: skip
        result.entries.append(entry)
        names = {"create": "created", "update": "updated", "adopt": "adopted"}
        self.done(item, "recovered" if item.recovering else names[item.plan.operation], result)

    def _unsent(self, item: Item, answer: Result, result: ChunkResult) -> None:
        error = self.stopped
        wait = error.retry_after if isinstance(error, ThrottledError) else None
        code = answer.refusal.code if answer.refusal else "throttled"
        words = answer.refusal.message if answer.refusal else str(error.message if error else "not sent")
        result.entries.append(self._entry(item, "deferred", code=code, answer=answer))
        self.defer(item, code, words, result, delay=wait)

    def reject(
        self, item: Item, code: str, words: str, fix: str, result: ChunkResult, *, status: int | None = None
    ) -> None:
        """The record is refused, by the CRM or by our own check: it waits until something about it changes."""
        item.ledger.update(state="rejected", error_code=code, error=words, fix=fix, next_attempt_at=None)
        self._wants(item)
        if status is not None:
            result.entries.append(self._entry(item, "rejected", code=code, status=status, detail=words))
        self.done(item, "rejected", result)

    def defer(self, item: Item, code: str, words: str, result: ChunkResult, *, delay: float | None = None) -> None:
        """The record is tried again later: after ``delay`` seconds, or by exponential backoff; with jitter."""
        row = item.ledger
        if not (row["state"] == "deferred" and row["error_code"] == code and row["next_attempt_at"]
                and row["next_attempt_at"] > utc_now()):  # fmt: skip
            seconds = delay or min(LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(row["attempts"], 10))
            row["next_attempt_at"] = utc_now() + timedelta(seconds=seconds * random.uniform(1.0, 1.25))
        # What may have arrived without our knowing stays marked so that it is looked up first.
        code = "answer_lost" if row["error_code"] == "answer_lost" and item.recovering else code
        row.update(state="deferred", error_code=code, error=words, fix="waits_for_next_run")
        self.done(item, "deferred", result)

    def conflict(self, item: Item, candidates: list[dict[str, Any]], code: str, result: ChunkResult) -> None:
        """Several rows may be the record: a person chooses."""
        item.ledger.update(state="conflict", candidates=candidates, error_code=code, fix="choose_candidate",
                           error=f"{len(candidates)} row(s) in the CRM may be this record.", crm_id=None)  # fmt: skip
        self._wants(item)
        self.done(item, "conflict", result)

    def gone(self, item: Item, result: ChunkResult) -> None:
        """The row was deleted in the CRM; it is not made again unless somebody asks."""
        item.ledger.update(DELETED)
        result.entries.append(self._entry(item, "confirmed", operation="read", detail="deleted in the CRM"))
        self.done(item, "deleted_in_crm", result)

    def follow(self, item: Item, master: str, result: ChunkResult) -> None:
        """The row was merged away: its winner stands for it from now on."""
        detail = f"merged in the CRM into {master}"
        result.entries.append(self._entry(item, "confirmed", operation="read", detail=detail))
        item.ledger.update(crm_id=master, crm_version=None, observed=None)
        item.ledger["acknowledged"] = {}
        item.followed = True

    def merged_away(self, item: Item, result: ChunkResult) -> None:
        """The row bears the key of another record of ours: that record keeps it true."""
        assert item.held is not None
        item.ledger.update(item.held.ledger_values(item.record.table))
        item.ledger.update(state="skipped", error_code="merged_in_crm", error=None, fix="merged_in_crm",
                           acknowledged={}, acknowledged_hash=hash_of({}))  # fmt: skip
        self._wants(item)
        self.done(item, "skipped", result)

    def give_up(self, items: list[Item], error: HunterError, result: ChunkResult) -> None:
        """Nothing more is sent in this run: these records wait for the next."""
        self.stopped = self.stopped or error
        wait = error.retry_after if isinstance(error, ThrottledError) else None
        for item in items:
            if item.outcome is None:
                self.defer(item, "throttled" if wait else "unreachable", error.message, result, delay=wait)
        self.flush(result)

    def _wants(self, item: Item) -> None:
        item.ledger.update(
            wanted=item.wanted, wanted_hash=item.wanted_hash, mapping_version=self.organisation.version,
            company_domain=item.record.domain, referral_id=item.record.referral_id,
        )  # fmt: skip

    def done(self, item: Item, outcome: str, result: ChunkResult) -> None:
        """The record has its outcome; the ledger row is kept for writing when anything about it is new."""
        item.outcome = outcome
        result.count(outcome)
        planned = {"create": "created", "update": "updated", "adopt": "adopted", "blocked": "skipped"}
        expected = planned.get(item.first_plan or "", item.first_plan)
        if item.first_plan is not None and expected != outcome:
            result.surprises.append(
                {"table": item.record.table, "external_id": item.record.external_id, "planned": item.first_plan,
                 "outcome": outcome}
            )  # fmt: skip
        if self.dry_run:
            if item.plan is None:
                self.show(item, result)
            return
        if any(item.ledger[name] != item.original[name] for name in _SAME):
            item.ledger["changed_at"] = utc_now()
            item.ledger.update(lease_token=self._session.token, lease_owner=None, lease_until=None)
            result.touched[item.record.identity] = item.ledger

    def show(self, item: Item, result: ChunkResult) -> None:
        """Add the record to the plan of a dry run."""
        plan = item.plan
        changes = plan.told() if plan else {}
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
                "rewritten": sorted(plan.rewritten) if plan else [],
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
        plan, record = item.plan, item.record
        return self._session.entry(
            {"table_name": record.table, "external_id": record.external_id, "company_domain": record.domain},
            operation or (plan.operation if plan and plan.operation != "unchanged" else "read"),
            outcome,
            fields=plan.told() if changes and plan else None,
            status=status or (answer.status if answer else None),
            code=code,
            detail=detail or (refusal.message if refusal else None),
        )

    def _flush_into(self, result: ChunkResult) -> None:
        """Write what earlier steps left before a new attempt is marked, so that the audit stays in order."""
        if result.touched or result.entries:
            self.flush(result)

    def flush(self, result: ChunkResult) -> None:
        """Write what was collected."""
        if self.dry_run or not (result.touched or result.entries):
            return
        with self.store.write() as connection:
            self._write(connection, result)

    def _write(self, connection: Connection, result: ChunkResult) -> None:
        self._session.renew(connection)
        crm.save(connection, [{**row, "lease_token": self._session.token} for row in result.touched.values()])
        crm.audit(connection, result.entries)
        leads.refresh_crm_states(connection, (row["company_domain"] for row in result.touched.values()))
        result.changed.update(row["company_domain"] for row in result.touched.values())
        result.touched.clear()
        result.entries.clear()

    def conclude(self, domains: Sequence[str], wanted: Wanted, result: ChunkResult) -> None:
        """The chunk is over: companies are no longer due, the page is told."""
        for domain, reason in wanted.skipped.items():
            result.count("skipped")
            known = wanted.ledger.get(("lead", domain))
            row = dict(known) if known else crm.blank("lead", domain, domain)
            if row["state"] != "skipped" or row["error_code"] != reason:
                row.update(state="skipped", error_code=reason, error=None, fix=reason, changed_at=utc_now())
                result.touched["lead", domain] = row
        stamps = wanted.stamps if self.stopped is None else {}
        dropped = _never_sent(wanted)
        if not (result.touched or result.entries or result.changed or dropped or any(stamps.values())):
            return
        with self.store.write() as connection:
            self._write(connection, result)
            crm.drop(connection, dropped)
            crm.clear_due(connection, stamps)
            leads.refresh_crm_states(connection, domains)
            if result.changed:
                runs.emit(connection, "leads_changed", None, {"domains": sorted(result.changed)[:100],
                                                              "count": len(result.changed)})  # fmt: skip


def _told(altered: Mapping[str, Any]) -> dict[str, Any]:
    """What the ledger says of a record that arrived: whether the CRM changed something about it at once."""
    if not altered:
        return {"error_code": None, "error": None, "fix": None}
    words = f"The CRM changes what Hunter writes in {', '.join(sorted(altered))}."
    return {"error_code": "altered_in_crm", "error": words, "fix": "altered_in_crm"}


def _never_sent(wanted: Wanted) -> list[tuple[str, str]]:
    """Records that were announced, never sent, and are not wanted any more: a deal whose score fell meanwhile."""
    asked = {record.identity for records in wanted.records.values() for record in records}
    return [
        identity for identity, row in wanted.ledger.items()
        if identity not in asked and row["company_domain"] in wanted.stamps
        and row["state"] in _UNSENT and row["crm_id"] is None and not row["attempts"]
    ]  # fmt: skip
