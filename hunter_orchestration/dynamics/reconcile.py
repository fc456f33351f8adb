"""Claimed against found, both ways: every row we call synced is looked for, every row with our key is accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hunter_orchestration.dynamics.items import DELETED, Held
from hunter_orchestration.dynamics.mapping import KEY, TABLES
from hunter_orchestration.dynamics.plan import still_ours
from hunter_orchestration.dynamics.search import CrmRow, by_ids, row_of, select_of
from hunter_orchestration.dynamics.session import Session
from hunter_orchestration.dynamics.values import hash_of, same
from hunter_orchestration.store import crm, leads
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import StageResult, utc_now

_PAGE = {"Prefer": "odata.maxpagesize=2000"}
_KEPT = 10_000
_SHOWN = 50
_CHUNK = 2000


@dataclass(slots=True)
class _Found:
    """What is kept of the rows that bear a key of ours: their ids, by key, which are claimed, which merged away."""

    ids: set[str] = field(default_factory=set)
    keys: dict[str, list[str]] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    merged: set[str] = field(default_factory=set)

    def add(self, row: CrmRow) -> bool:
        """Whether the row is new: a page that comes twice counts once."""
        if row.id in self.ids:
            return False
        self.ids.add(row.id)
        self.keys.setdefault(str(row.external_id).lower(), []).append(row.id)
        if row.values.get("merged"):
            self.merged.add(row.id)
        return True

    def strangers(self) -> Iterator[str]:
        """Keys of rows that no claim is about; rows that were merged away are not missed by anybody."""
        for external_id, ids in self.keys.items():
            if not self.owned.intersection(ids) and not self.merged.issuperset(ids):
                yield external_id


class Reconcile:
    """One comparison. Rows pass page by page; what is kept of a whole table is its ids and keys."""

    def __init__(self, session: Session, *, mend: bool) -> None:
        self.store, self.client, self.organisation = session.store, session.client, session.organisation
        self._session = session
        self._mend = mend
        self._count = 0
        self._differences: list[dict[str, Any]] = []
        self._touched: dict[tuple[str, str], dict[str, Any]] = {}
        self._due: set[str] = set()

    def run(self) -> StageResult:
        """Compare every table. ``counts``: claimed, found, matching, differences, mended; ``facts``: accuracy (share
        of claims that hold) and the first differences."""
        result = StageResult(counts=dict.fromkeys(("claimed", "found", "matching", "differences", "mended"), 0))
        for table in TABLES:
            self._table(table, result, utc_now())
            self._session.report(result.counts["claimed"])
        result.counts["differences"] = self._count
        kept = self._differences
        with self.store.write() as connection:
            self._session.renew(connection)
            if self._mend and self._count:
                crm.save(connection, list(self._touched.values()))
                crm.mark_due(connection, self._due)
                words = "the ledger was corrected to what the CRM holds"
                crm.audit(connection, [
                    self._session.entry(row, "read", "confirmed", detail=words) for row in self._touched.values()
                ])  # fmt: skip
                leads.refresh_crm_states(connection, {row["company_domain"] for row in self._touched.values()})
                result.counts["mended"] = self._count
                kept = []
            crm.replace_differences(connection, kept, utc_now())
        claimed = result.counts["claimed"]
        result.facts["accuracy"] = round(result.counts["matching"] / claimed, 6) if claimed else 1.0
        result.facts["differences"] = self._differences[:_SHOWN]
        return result

    def _table(self, table: str, result: StageResult, now: datetime) -> None:
        renderer = self.organisation.renderers[table]
        found = _Found()
        path = f"{renderer.table.entity_set}?$select={select_of(renderer)}&$filter={KEY}%20ne%20null"
        for page in self.client.pages(path, _PAGE):
            rows = [row for row in (row_of(renderer, raw) for raw in page["value"]) if found.add(row)]
            with self.store.read() as connection:
                known = crm.by_crm_ids(connection, table, [row.id for row in rows])
            claims = [(claim, row) for row in rows for claim in known.get(row.id, ()) if claim["state"] == "synced"]
            self._claims(table, claims, found, result, now)
        result.add("found", len(found.ids))
        for external_id, ids in found.keys.items():
            if len(ids) > 1:
                self._differ(now, table, external_id, None, "duplicate", None, 1, sorted(ids))
        self._unlisted(table, found, result, now)
        for some in chunks(found.strangers(), _CHUNK):
            with self.store.read() as connection:
                records = crm.by_external_ids(connection, table, some)
            for external_id in some:
                record = records.get(external_id)
                if record is None or not record["crm_id"]:
                    self._unexpected(table, external_id, found.keys[external_id][0], record, now)

    def _unlisted(self, table: str, found: _Found, result: StageResult, now: datetime) -> None:
        """Claims whose row did not come with the list: it is gone, or was followed after a merge and bears no key of
        ours."""
        with self.store.read() as connection:
            missing = [
                external_id for external_id, crm_id, state, _ in crm.crm_ids(connection, table)
                if state == "synced" and crm_id not in found.ids
            ]  # fmt: skip
        for some in chunks(missing, _CHUNK):
            with self.store.read() as connection:
                claims = list(crm.by_external_ids(connection, table, some).values())
            rows = by_ids(self.client, self.organisation.renderers[table], [claim["crm_id"] for claim in claims])
            self._claims(table, [(claim, rows.get(claim["crm_id"])) for claim in claims], found, result, now)

    def _claims(
        self,
        table: str,
        claims: Sequence[tuple[dict[str, Any], CrmRow | None]],
        found: _Found,
        result: StageResult,
        now: datetime,
    ) -> None:
        for claim, row in claims:
            result.add("claimed")
            found.owned.add(claim["crm_id"])
            if self._holds(table, claim, row, now):
                result.add("matching")

    def _holds(self, table: str, claim: dict[str, Any], row: CrmRow | None, now: datetime) -> bool:
        external_id, domain = claim["external_id"], claim["company_domain"]
        claim.update(lease_token=self._session.token, changed_at=now)
        if row is None:
            self._differ(now, table, external_id, domain, "missing", None, claim["crm_id"], None)
            claim.update(DELETED)
            self._correct(claim)
            return False
        before = claim["observed"] or {}
        held = Held.from_row(self.organisation.renderers[table], row, external_id, before)
        wrong = {
            n: (before.get(n), v) for n, v in held.observed.items()
            if (n in before or not before) and not same(before.get(n), v)
        }  # fmt: skip
        for name, (claimed, value) in wrong.items():
            self._differ(now, table, external_id, domain, "field", name, claimed, value)
        if row.master is not None:
            self._differ(now, table, external_id, domain, "field", "merged", None, row.master)
        if not wrong and row.master is None:
            return True
        acknowledged = still_ours(claim["acknowledged"] or {}, held.observed)
        claim.update(held.ledger_values(table))
        claim.update(acknowledged=acknowledged, acknowledged_hash=hash_of(acknowledged))
        if row.master is not None:
            claim.update(crm_version=None, observed=None, state="pending")
        self._correct(claim)
        self._due.add(domain)
        return False

    def _correct(self, claim: dict[str, Any]) -> None:
        if self._mend:
            self._touched[claim["table_name"], claim["external_id"]] = claim

    def _unexpected(
        self, table: str, external_id: str, crm_id: str, record: Mapping[str, Any] | None, now: datetime
    ) -> None:
        domain = record["company_domain"] if record is not None else None
        if domain is None and table in ("account", "lead"):
            domain = external_id
        self._differ(now, table, external_id, domain, "unexpected", None, None, crm_id)
        if domain is not None:
            self._due.add(domain)

    def _differ(
        self, now: datetime, table: str, external_id: str, domain: str | None, kind: str, name: str | None,
        claimed: Any, found: Any,
    ) -> None:  # fmt: skip
        self._count += 1
        if len(self._differences) >= _KEPT:
            return
        self._differences.append(
            {"found_at": now, "table_name": table, "external_id": external_id, "company_domain": domain, "kind": kind,
             "field": name, "claimed": claimed, "found": found}
        )  # fmt: skip
