"""Pure decisions: what Hunter wants, what the ledger remembers and what the CRM holds, in; what to write, out.

The rules of the mapping decide per field. What a person put in the CRM is theirs under ``crm-wins-unless-empty``:
Hunter writes there only while the field is empty or still holds what Hunter wrote last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hunter_orchestration.dynamics.mapping import FieldMapping
from hunter_orchestration.dynamics.values import same

Operation = Literal["create", "update", "adopt", "unchanged", "blocked"]
Change = tuple[Any, Any]
"""(old, new)"""

CLOSED = {
    ("lead", 1): "qualified",
    ("lead", 2): "disqualified",
    ("opportunity", 1): "won",
    ("opportunity", 2): "lost",
    ("account", 1): "inactive",
    ("contact", 1): "inactive",
}
"""States in which Hunter leaves a row alone (contract section 11)."""


def crm_state(table: str, statecode: int | None) -> str:
    """open, qualified, disqualified, won, lost, active or inactive."""
    if not statecode:
        return "open" if table in ("lead", "opportunity") else "active"
    return CLOSED.get((table, statecode), "inactive")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with one record.

    ``changes`` maps a field to (old, new); ``kept`` maps a field that stays the CRM's to (theirs, ours), and
    ``rewritten`` those of them that the CRM made of what Hunter wrote; ``reason`` says why a record is blocked.
    ``reopens``: the row is closed and is opened again with the change.
    """

    operation: Operation
    changes: Mapping[str, Change] = field(default_factory=dict)
    kept: Mapping[str, Change] = field(default_factory=dict)
    rewritten: Mapping[str, Change] = field(default_factory=dict)
    reason: str | None = None
    reopens: bool = False

    def told(self) -> dict[str, list[Any]]:
        """What would change or changes, as a plan shows it and the audit keeps it."""
        state: dict[str, list[Any]] = {"statecode": ["closed", "open"]} if self.reopens else {}
        return state | {name: list(change) for name, change in self.changes.items()}


def plan_create(wanted: Mapping[str, Any]) -> Plan:
    """The plan for a record the CRM doesn't have: everything Hunter knows."""
    return Plan("create", {name: (None, value) for name, value in wanted.items() if value is not None})


def plan_existing(
    table: str,
    fields: Mapping[str, FieldMapping],
    wanted: Mapping[str, Any],
    acknowledged: Mapping[str, Any],
    observed: Mapping[str, Any],
    *,
    altered: Mapping[str, Sequence[Any]] | None = None,
    statecode: int | None = 0,
    reopen: Sequence[str] = (),
    has_key: bool = True,
    changed_at: datetime | None = None,
    modified_at: datetime | None = None,
) -> Plan:
    """The plan for a record the CRM has.

    Args:
        acknowledged: what Hunter wrote and the CRM confirmed, by field.
        observed: what the CRM holds now.
        altered: what Hunter wrote, and what the CRM made of it at once, by field. Writing it again would only have it
            altered again, so it stays until Hunter wants something else.
        reopen: closed states in which a change opens the row again.
        has_key: the row bears our external id; else it is being adopted.
        changed_at, modified_at: when Hunter learnt its values, and when the CRM's row changed last (``newest``).
    """
    changes: dict[str, Change] = {}
    kept: dict[str, Change] = {}
    rewritten: dict[str, Change] = {}
    for name, ours in wanted.items():
        theirs = observed.get(name)
        if same(ours, theirs):
            continue
        mine = name in acknowledged and same(acknowledged[name], theirs)
        written = (altered or {}).get(name)
        if written is not None and same(written[1], theirs):
            if same(written[0], ours):
                kept[name] = rewritten[name] = (theirs, ours)
                continue
            mine = True
        if _writes(fields[name].rule, ours, theirs, mine, changed_at, modified_at):
            changes[name] = (theirs, ours)
        elif ours is not None:
            kept[name] = (theirs, ours)
    if any(fields[name].transform == "currency" and name not in rewritten for name in kept):
        # Somebody chose another currency there; an amount of ours would be read in theirs.
        for name in [name for name in changes if fields[name].transform == "money"]:
            kept[name] = changes.pop(name)
    state = crm_state(table, statecode)
    if statecode and state in reopen and changes and has_key:
        return Plan("update", changes, kept, rewritten, reopens=True)
    if statecode:
        return Plan("blocked" if changes or not has_key else "unchanged", {}, kept, rewritten, f"closed_{state}")
    if not has_key:
        return Plan("adopt", changes, kept, rewritten)
    return Plan("update" if changes else "unchanged", changes, kept, rewritten)


def _writes(
    rule: str, ours: Any, theirs: Any, mine: bool, changed_at: datetime | None, modified_at: datetime | None
) -> bool:
    """``mine``: the CRM still holds what Hunter wrote."""
    if rule == "create-only":
        return False
    if ours is None:
        # Knowing nothing is no reason to wipe a field, unless Hunter filled it itself.
        return rule == "hunter-wins" and mine and theirs is not None
    if rule == "hunter-wins" or theirs is None or mine:
        return True
    if rule == "newest" and changed_at is not None and modified_at is not None:
        return changed_at > modified_at
    return False


def still_ours(acknowledged: Mapping[str, Any], observed: Mapping[str, Any]) -> dict[str, Any]:
    """What Hunter wrote and the CRM still holds: a field that somebody changed is theirs from then on."""
    return {n: v for n, v in acknowledged.items() if n not in observed or same(v, observed[n])}
