"""What a push carries through its steps: a record with its ledger row, the CRM's row, the plan, the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hunter_orchestration.dynamics.plan import CLOSED, Plan, crm_state
from hunter_orchestration.dynamics.records import Record
from hunter_orchestration.dynamics.refusals import Refusal
from hunter_orchestration.dynamics.search import CrmRow
from hunter_orchestration.dynamics.values import Renderer, same
from hunter_orchestration.store import crm

_PATIENCE = 3
"""How many times running the same value is written over before it counts as the CRM's own doing."""

DELETED = {
    "state": "deleted_in_crm",
    "error_code": "deleted_in_crm",
    "error": "Somebody deleted this record in the CRM.",
    "fix": "recreate_on_demand",
    "next_attempt_at": None,
}
"""The ledger's columns of a record whose row is gone."""

_STATECODES = {(table, name): code for (table, code), name in CLOSED.items()}


@dataclass(slots=True)
class Held:
    """What the CRM holds of a record, as last read.

    ``foreign_key``: the row bears another record's external id. ``followed``: the row is the winner of a merge and
    bears no key of ours, because the loser, which is never written, still does. ``altered``: by field what Hunter wrote
    and what the CRM made of it, where a plug-in or workflow there rewrites values. ``overruled``: by field the value
    that Hunter wrote over last, with what, and how many times running.
    """

    id: str
    etag: str
    observed: dict[str, Any]
    statecode: int
    has_key: bool
    foreign_key: bool
    modified_at: datetime | None
    followed: bool = False
    altered: dict[str, list[Any]] = field(default_factory=dict)
    overruled: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def from_row(
        cls,
        renderer: Renderer,
        row: CrmRow,
        external_id: str,
        before: Mapping[str, Any] | None = None,
        *,
        followed: bool = False,
    ) -> Held:
        """From a row just read; ``before`` is what the ledger remembers of the same row."""
        key = row.external_id.lower() if row.external_id else None
        known = before or {}
        followed = key is None and (followed or bool(known.get("followed")))
        return cls(row.id, row.etag, renderer.observed(row.values), row.statecode, key is not None,
                   key not in (None, external_id.lower()), row.modified_at, followed,
                   dict(known.get("altered") or {}), dict(known.get("overruled") or {}))  # fmt: skip

    @classmethod
    def from_ledger(cls, row: dict[str, Any]) -> Held:
        """From what the ledger remembers; If-Match proves it when something is written."""
        observed = dict(row["observed"])
        modified = observed.pop("modifiedon", None)
        followed = observed.pop("followed", False)
        altered, overruled = observed.pop("altered", None) or {}, observed.pop("overruled", None) or {}
        statecode = _STATECODES.get((row["table_name"], row["crm_state"] or ""), 0)
        return cls(row["crm_id"], row["crm_version"], observed, statecode, not followed,
                   row["error_code"] == "merged_in_crm", datetime.fromisoformat(modified) if modified else None,
                   followed, altered, overruled)  # fmt: skip

    def ledger_values(self, table: str) -> dict[str, Any]:
        """The columns of the ledger that remember this."""
        observed = dict(self.observed)
        if self.modified_at is not None:
            observed["modifiedon"] = self.modified_at.isoformat()
        if self.followed:
            observed["followed"] = True
        if self.altered:
            observed["altered"] = self.altered
        if self.overruled:
            observed["overruled"] = self.overruled
        return {"crm_id": self.id, "crm_version": self.etag, "observed": observed,
                "crm_state": crm_state(table, self.statecode)}  # fmt: skip

    def overrule(self, name: str, theirs: Any, ours: Any) -> None:
        """Hunter's value took the place of one that was not Hunter's."""
        before, instead, times = self.overruled.get(name, (None, None, 0))
        again = same(before, theirs) and same(instead, ours)
        self.overruled[name] = [theirs, ours, times + 1 if again else 1]

    def give_in(self, wanted: Mapping[str, Any]) -> None:
        """What came back in spite of being written over again and again is the work of a rule in the CRM, which acts
        later than a plug-in does: it stays until Hunter wants another value."""
        for name, (theirs, ours, times) in self.overruled.items():
            if times >= _PATIENCE and same(self.observed.get(name), theirs) and same(wanted.get(name), ours):
                self.altered[name] = [ours, theirs]

    def rewrites(self, name: str, ours: Any) -> bool:
        """Whether the CRM holds what it makes of this value of Hunter's."""
        pair = self.altered.get(name)
        return pair is not None and same(pair[0], ours) and same(pair[1], self.observed.get(name))


@dataclass(slots=True)
class Item:
    """One record on its way. ``recovering``: an earlier attempt may have arrived without our knowing. ``refusal``: why
    its row has to be looked at again."""

    record: Record
    known: dict[str, Any] | None
    renderer: Renderer
    ledger: dict[str, Any] = field(init=False)
    original: dict[str, Any] = field(init=False)
    wanted: dict[str, Any] = field(default_factory=dict)
    wanted_hash: str | None = None
    held: Held | None = None
    plan: Plan | None = None
    first_plan: str | None = None
    acknowledged: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    recovering: bool = False
    followed: bool = False
    outcome: str | None = None
    refusal: Refusal | None = None

    def __post_init__(self) -> None:
        record = self.record
        if self.known is None:
            self.ledger = crm.blank(record.table, record.external_id, record.domain, record.referral_id)
            self.original = {**self.ledger, "state": None}
        else:
            self.ledger = dict(self.known)
            self.original = dict(self.known)
            self.followed = bool((self.ledger["observed"] or {}).get("followed"))

    def read(self, row: CrmRow) -> None:
        """Take over a row that was just read."""
        before = self.ledger["observed"]
        if self.held is not None:
            before = {"altered": self.held.altered, "overruled": self.held.overruled}
        self.held = Held.from_row(self.renderer, row, self.record.external_id, before, followed=self.followed)

    def arrived(self) -> dict[str, Any]:
        """Fields of a lost attempt that the CRM holds now and did not hold before: ours."""
        if self.held is None:
            return {}
        observed = self.held.observed
        return {
            n: v for n, v in self.sent.items()
            if v is not None and same(v, observed.get(n)) and not same(v, self.before.get(n))
        }  # fmt: skip


ResultKind = Literal["written", "lost", "look", "refused", "duplicate", "unsent"]


@dataclass(slots=True)
class Result:
    """What became of one record that was sent.

    ``written``: read back as ``row`` · ``lost``: may have arrived · ``look``: the row is not what we thought ·
    ``refused`` with the reason · ``duplicate`` with ``candidates`` · ``unsent``: later.
    """

    item: Item
    kind: ResultKind
    row: CrmRow | None = None
    refusal: Refusal | None = None
    candidates: list[dict[str, Any]] = field(default_factory=list)
    status: int | None = None


@dataclass(slots=True)
class ChunkResult:
    """Outcomes of a chunk, and what is not written yet."""

    outcomes: Counter[str] = field(default_factory=Counter)
    plan: list[dict[str, Any]] = field(default_factory=list)
    surprises: list[dict[str, Any]] = field(default_factory=list)
    touched: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)

    def count(self, outcome: str) -> None:
        """Count one record."""
        self.outcomes[outcome] += 1
