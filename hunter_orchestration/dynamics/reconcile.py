"""Claimed against found, both ways: every row we call synced is looked for, every row with our key is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hunter_orchestration.dynamics.items import DELETED, Held
from hunter_orchestration.dynamics.mapping import TABLES
from hunter_orchestration.dynamics.plan import still_ours
from hunter_orchestration.dynamics.search import KEY, CrmRow, by_ids, row_of, select_of
from hunter_orchestration.dynamics.session import Session
from hunter_orchestration.dynamics.values import hash_of, same
from hunter_orchestration.store import crm, leads
from hunter_orchestration.store.work import StageResult, utc_now

_PAGE = {"Prefer": "odata.maxpagesize=5000"}
_KEPT = 10_000
_SHOWN = 50


class Reconcile:
    """One comparison."""

    def __init__(self, session: Session) -> None:
        self.store, self.client, self.organisation = session.store, session.client, session.organisation
        self._session = session
        self._differences: list[dict[str, Any]] = []
        self._touched: dict[tuple[str, str], dict[str, Any]] = {}
        self._due: set[str] = set()

    def run(self, *, mend: bool) -> StageResult:
        """Compare every table. ``counts``: claimed, found, matching, differences, mended; ``facts``: accuracy (share
        of claims that hold) and the first differences."""
        result = StageResult(counts=dict.fromkeys(("claimed", "found", "matching", "differences", "mended"), 0))
        for table in TABLES:
            self._table(table, result, utc_now())
            self._session.report(result.counts["claimed"])
        result.counts["differences"] = len(self._differences)
        kept = self._differences[:_KEPT]
        with self.store.write() as connection:
            self._session.renew(connection)
            if mend and self._differences:
                crm.save(connection, list(self._touched.values()))
                crm.mark_due(connection, self._due)
                words = "the ledger was corrected to what the CRM holds"
                crm.audit(connection, [
                    self._session.entry(row, "read", "confirmed", detail=words) for row in self._touched.values()
                ])  # fmt: skip
                leads.refresh_crm_states(connection, {row["company_domain"] for row in self._touched.values()})
                result.counts["mended"] = len(self._differences)
                kept = []
            crm.replace_differences(connection, kept, utc_now())
        claimed = result.counts["claimed"]
        result.facts["accuracy"] = round(result.counts["matching"] / claimed, 6) if claimed else 1.0
        result.facts["differences"] = self._differences[:_SHOWN]
        return result

    def _table(self, table: str, result: StageResult, now: datetime) -> None:
        renderer = self.organisation.renderers[table]
        found: dict[str, CrmRow] = {}
        keys: dict[str, list[str]] = {}
        path = f"{renderer.table.entity_set}?$select={select_of(renderer)}&$filter={KEY}%20ne%20null"
        for page in self.client.pages(path, _PAGE):
            for raw in page["value"]:
                row = row_of(renderer, raw)
                found[row.id] = row
                keys.setdefault(str(row.external_id).lower(), []).append(row.id)
        result.add("found", len(found))
        for external_id, ids in keys.items():
            if len(ids) > 1:
                self._differ(now, table, external_id, None, "duplicate", None, 1, sorted(ids))
        owned = self._claims(table, found, result, now)
        known = self._known(table, set(keys))
        for external_id, ids in keys.items():
            record = known.get(external_id)
            merged = all(found[i].values.get("merged") for i in ids)
            if (record is None or not record["crm_id"]) and not merged and not owned.intersection(ids):
                self._unexpected(table, external_id, ids[0], record, now)

    def _known(self, table: str, keys: set[str]) -> Mapping[str, Any]:
        with self.store.read() as connection:
            return crm.by_external_ids(connection, table, sorted(keys))

    def _claims(self, table: str, found: Mapping[str, CrmRow], result: StageResult, now: datetime) -> set[str]:
        """Check every claim; returns the CRM ids we claim."""
        after = ""
        owned: set[str] = set()
        renderer = self.organisation.renderers[table]
        while True:
            with self.store.read() as connection:
                claims = crm.claimed(connection, table, after)
            if not claims:
                return owned
            after = claims[-1]["external_id"]
            # A row that was followed after a merge bears no key of ours, so it did not come with the list.
            unlisted = [c["crm_id"] for c in claims if c["crm_id"] and c["crm_id"] not in found]
            also = by_ids(self.client, renderer, unlisted) if unlisted else {}
            for claim in claims:
                result.add("claimed")
                owned.add(claim["crm_id"])
                row = found.get(claim["crm_id"]) or also.get(claim["crm_id"])
                if self._holds(table, dict(claim), row, now):
                    result.add("matching")

    def _holds(self, table: str, claim: dict[str, Any], row: CrmRow | None, now: datetime) -> bool:
        external_id, domain = claim["external_id"], claim["company_domain"]
        claim.update(lease_token=self._session.token, changed_at=now)
        if row is None:
            self._differ(now, table, external_id, domain, "missing", None, claim["crm_id"], None)
            claim.update(DELETED)
            self._touched[table, external_id] = claim
            return False
        before = claim["observed"] or {}
        held = Held.from_row(self.organisation.renderers[table], row, external_id, before)
        wrong = {n: (before.get(n), v) for n, v in held.observed.items() if not same(before.get(n), v)}
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
        self._touched[table, external_id] = claim
        self._due.add(domain)
        return False

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
        self._differences.append(
            {"found_at": now, "table_name": table, "external_id": external_id, "company_domain": domain, "kind": kind,
             "field": name, "claimed": claimed, "found": found}
        )  # fmt: skip
