"""Sending one slice of records: in bulk where all are expected to pass, one by one in a batch where not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hunter_orchestration.dynamics.batch import Answer, Part
from hunter_orchestration.dynamics.client import DataverseClient, key_address
from hunter_orchestration.dynamics.items import Item, Result
from hunter_orchestration.dynamics.mapping import KEY
from hunter_orchestration.dynamics.preflight import Organisation
from hunter_orchestration.dynamics.refusals import (
    CrmRefusedError,
    Refusal,
    ThrottledError,
    UnreachableError,
    read_refusal,
)
from hunter_orchestration.dynamics.search import by_keys, by_match, candidate, row_of, select_of

_WHOLE_ROW = "return=representation"
_OPEN = {"statecode": 0, "statuscode": 1}
"""New for a lead, In Progress for an opportunity (contract section 11)."""


class Sender:
    """Sends records of one table. Safe to use from several threads."""

    def __init__(self, client: DataverseClient, organisation: Organisation, table: str) -> None:
        self.client = client
        self.renderer = organisation.renderers[table]
        self.mapped = organisation.mapping.mapping.tables[table]  # type: ignore[index]
        self._select = select_of(self.renderer)

    def create(self, items: list[Item], now: datetime) -> list[Result]:
        """Create rows by key. What the bulk message refuses goes one by one, so that one bad row costs one row."""
        if self.mapped.detect_duplicates:
            return self._create_each(items, now)
        table = self.renderer.table
        rows = {item.record.external_id: self.renderer.body(item.sent, now, creating=True) for item in items}
        try:
            self.client.upsert_many(table.name, table.entity_set, KEY, rows)
        except CrmRefusedError:
            return self._create_each(items, now)
        except UnreachableError:
            return [Result(item, "lost") for item in items]
        # UpsertMultiple tells neither ids nor versions (contract section 7); what is read back is what is claimed.
        try:
            found = by_keys(self.client, self.renderer, rows)
        except ThrottledError:
            # The rows were written, only the reading back has to wait: they are not to count as unsent.
            return [Result(item, "lost") for item in items]
        results = []
        for item in items:
            row = found.get(item.record.external_id.lower())
            results.append(Result(item, "written", row, status=204) if row is not None else Result(item, "lost"))
        return results

    def update(self, items: list[Item], now: datetime) -> list[Result]:
        """Change rows that are as we read them; a row that changed since is looked at again."""
        parts = []
        for item in items:
            assert item.held is not None
            body = self.renderer.body(item.sent, now, creating=False)
            if not item.held.has_key and not item.held.followed:
                body[KEY] = item.record.external_id
            if item.plan is not None and item.plan.reopens:
                body |= _OPEN
            path = f"{self.renderer.table.entity_set}({item.held.id})?$select={self._select}"
            parts.append(Part("PATCH", path, body, {"If-Match": item.held.etag, "Prefer": _WHOLE_ROW}))
        return self._each(items, parts)

    def _create_each(self, items: list[Item], now: datetime) -> list[Result]:
        headers = {"If-None-Match": "*", "Prefer": _WHOLE_ROW}
        if self.mapped.detect_duplicates:
            headers["MSCRM.SuppressDuplicateDetection"] = "false"
        parts = []
        for item in items:
            address = key_address(self.renderer.table.entity_set, KEY, item.record.external_id)
            body = self.renderer.body(item.sent, now, creating=True)
            parts.append(Part("PATCH", f"{address}?$select={self._select}", body, headers))
        return self._each(items, parts)

    def _each(self, items: list[Item], parts: list[Part]) -> list[Result]:
        try:
            answers = self.client.batch(parts, repeatable=False)
        except UnreachableError:
            return [Result(item, "lost") for item in items]
        except CrmRefusedError as error:
            return [Result(item, "refused", refusal=error.refusal) for item in items]
        return [self._result(item, answer) for item, answer in zip(items, answers, strict=True)]

    def _result(self, item: Item, answer: Answer | None) -> Result:
        if answer is None:
            return Result(item, "lost")
        if answer.status < 400:
            raw: Any = answer.body
            if not isinstance(raw, dict):
                return Result(item, "lost", status=answer.status)
            return Result(item, "written", row_of(self.renderer, raw), status=answer.status)
        refusal = read_refusal(answer.status, answer.body)
        if refusal.kind in ("stale", "key_taken", "gone"):
            # A taken key on an update means that another row bears it: that one is ours to find.
            return Result(item, "look", refusal=refusal, status=answer.status)
        if refusal.kind == "duplicate":
            return Result(item, "duplicate", refusal=refusal, candidates=self._candidates(item), status=answer.status)
        if refusal.kind == "passing":
            # A failure of the server may come after the work was done, so it is no better than a lost answer.
            return Result(item, "lost", refusal=refusal, status=answer.status)
        if refusal.kind in ("throttled", "signed_out"):
            # Neither is the row's fault; the next run begins with the question who we are.
            return Result(item, "unsent", refusal=refusal, status=answer.status)
        if _is_closed(refusal):
            return Result(item, "look", refusal=refusal, status=answer.status)
        return Result(item, "refused", refusal=refusal, status=answer.status)

    def _candidates(self, item: Item) -> list[dict[str, Any]]:
        try:
            found = by_match(self.client, self.renderer, self.mapped.match, [item.record])
        except (CrmRefusedError, UnreachableError):
            return []
        return [candidate(row) for row in found.get(item.record.external_id, ())]


def _is_closed(refusal: Refusal) -> bool:
    """A row was closed between our reading and our writing: looking again says so in the CRM's own words."""
    return refusal.code == "0x80040203" and "read-only" in refusal.message
