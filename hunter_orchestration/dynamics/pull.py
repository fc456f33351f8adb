"""Reading back what people did in the CRM: edits, wins, losses, merges, deletions, by change tracking.

The token of a table's changes is stored in the transaction that stores the changes it follows. A token that expired
leads to a full read; what the ledger knows and the full read did not meet is gone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hunter_orchestration import crash_points
from hunter_orchestration.dynamics.items import DELETED, Held
from hunter_orchestration.dynamics.mapping import TABLES
from hunter_orchestration.dynamics.plan import crm_state, still_ours
from hunter_orchestration.dynamics.refusals import CrmRefusedError, UnreachableError
from hunter_orchestration.dynamics.search import CrmRow, by_ids, row_of, select_of
from hunter_orchestration.dynamics.session import SOURCE, Session
from hunter_orchestration.dynamics.values import hash_of, same
from hunter_orchestration.logging import get_logger
from hunter_orchestration.store import Connection, crm, leads, runs
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import utc_now

_log = get_logger(__name__)

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PAGE = 2000
_TRACK = {"Prefer": f"odata.track-changes,odata.maxpagesize={_PAGE}"}
_OWNERS = (("systemusers", "systemuserid", "fullname"), ("teams", "teamid", "name"))
_ENDS = ("qualified", "disqualified", "won", "lost", "inactive")


@dataclass(slots=True)
class PullCounts:
    """``read`` rows came, ``changed`` of them differ from the ledger; the rest says how."""

    counts: dict[str, int] = field(default_factory=dict)
    full_read: dict[str, bool] = field(default_factory=dict)
    kept_by_crm: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, number: int = 1) -> None:
        """Count."""
        self.counts[name] = self.counts.get(name, 0) + number


class Pull:
    """One run of pulling."""

    def __init__(self, session: Session) -> None:
        self.store, self.client, self.organisation = session.store, session.client, session.organisation
        self.result = PullCounts()
        self._session = session
        self._owners: dict[str, str] = {}

    def run(self) -> PullCounts:
        """Pull every table that tracks changes.

        Raises:
            LeaseLostError: another run took over. ThrottledError, UnreachableError: the next run goes on from here.
        """
        for name in ("read", "changed", "edited", "deleted", "merged", *_ENDS, "reopened"):
            self.result.counts.setdefault(name, 0)
        for table in TABLES:
            if not self.organisation.metadata.tables[table].tracked:
                self.result.full_read[table] = False
                continue
            scope, columns = f"changes:{table}", select_of(self.organisation.renderers[table])
            with self.store.read() as connection:
                link = runs.read_watermark(connection, SOURCE, scope)
                asked = runs.read_watermark(connection, SOURCE, f"columns:{table}")
            # A token tells of the columns it was asked for and of no others: after a change of the mapping it is of
            # no use.
            if link is not None and asked == columns:
                try:
                    self._changes(table, link, scope, full=False)
                    continue
                except CrmRefusedError as error:
                    # The code of an expired token is undocumented (contract section 14); a full read is always right.
                    if error.refusal.kind not in ("refused", "gone"):
                        raise
            self._changes(table, self._first_link(table), scope, full=True)
        return self.result

    def _first_link(self, table: str) -> str:
        renderer = self.organisation.renderers[table]
        return f"{renderer.table.entity_set}?$select={select_of(renderer)}"

    def _changes(self, table: str, link: str, scope: str, *, full: bool) -> None:
        self.result.full_read[table] = full
        seen: set[str] = set()
        for page in self.client.pages(link, _TRACK):
            crash_points.reach("pull_read")
            rows, gone = [], []
            for raw in page["value"]:
                if raw.get("reason") == "deleted" or "$deletedEntity" in str(raw.get("@odata.context", "")):
                    gone.append(_id_in(str(raw.get("id"))))
                else:
                    rows.append(row_of(self.organisation.renderers[table], raw))
            if full:
                seen.update(row.id for row in rows)
            # Only the last page's token vouches for what was read, wherever else one may stand.
            delta = page.get("@odata.deltaLink") if not page.get("@odata.nextLink") else None
            if delta is None and not page.get("@odata.nextLink"):
                raise UnreachableError("Dynamics ended a list of changes without a token to go on from.")
            if full and delta is not None:
                gone += self._missed(table, seen)
            self._store(table, rows, gone, scope, delta)
            self.result.add("read", len(rows) + len(gone))
            self._session.report(self.result.counts["read"])

    def _missed(self, table: str, seen: set[str]) -> list[str]:
        with self.store.read() as connection:
            return [
                crm_id for _, crm_id, state, _ in crm.crm_ids(connection, table)
                if crm_id not in seen and state != "deleted_in_crm"
            ]  # fmt: skip

    def _store(self, table: str, rows: list[CrmRow], gone: list[str], scope: str, delta: str | None) -> None:
        columns = select_of(self.organisation.renderers[table])
        found = {row.id: row for row in rows}
        with self.store.read() as connection:
            known = crm.by_crm_ids(connection, table, [*found, *gone])
        masters = self._masters(table, known, found)
        self._name_owners(known, found)
        touched: list[dict[str, Any]] = []
        entries: list[dict[str, Any]] = []
        due: set[str] = set()
        for crm_id, records in known.items():
            for record in records:
                if record["state"] == "in_progress":
                    continue
                if crm_id not in found:
                    self._deleted(record, touched, entries)
                elif found[crm_id].master is not None:
                    self._merged(table, record, found[crm_id], masters, touched, entries, due)
                elif record["crm_version"] != found[crm_id].etag or record["state"] == "deleted_in_crm":
                    self._changed(table, record, found[crm_id], touched, entries, due)
        domains = {record["company_domain"] for record in touched}
        with self.store.write() as connection:
            self._session.renew(connection)
            crm.save(connection, touched)
            crm.audit(connection, entries)
            crm.mark_due(connection, due)
            if delta is not None:
                runs.write_watermark(connection, SOURCE, scope, delta)
                runs.write_watermark(connection, SOURCE, f"columns:{table}", columns)
            self._tell(connection, domains)

    def _tell(self, connection: Connection, domains: set[str]) -> None:
        if domains:
            leads.refresh_crm_states(connection, domains)
            body = {"domains": sorted(domains)[:100], "count": len(domains)}
            runs.emit(connection, "leads_changed", None, body)

    def _changed(
        self,
        table: str,
        record: dict[str, Any],
        row: CrmRow,
        touched: list[dict[str, Any]],
        entries: list[dict[str, Any]],
        due: set[str],
    ) -> None:
        renderer = self.organisation.renderers[table]
        before = record["observed"] or {}
        held = Held.from_row(renderer, row, record["external_id"], before)
        wanted = record["wanted"] or {}
        held.give_in(wanted)
        edits = {
            n: [before.get(n), v] for n, v in held.observed.items()
            if (n in before or not before) and not same(before.get(n), v)
        }  # fmt: skip
        acknowledged = still_ours(record["acknowledged"] or {}, held.observed)
        old_state, new_state = record["crm_state"], crm_state(table, row.statecode)
        owner = self._owners.get(str(row.values.get("_ownerid_value")), record["crm_owner"])
        if owner != record["crm_owner"]:
            edits["ownerid"] = [record["crm_owner"], owner]
        record.update(held.ledger_values(table))
        record.update(acknowledged=acknowledged, acknowledged_hash=hash_of(acknowledged), crm_owner=owner,
                      changed_at=utc_now(), lease_token=self._session.token)  # fmt: skip
        if record["state"] == "deleted_in_crm":
            record.update(state="pending", error_code=None, error=None, fix=None)
            due.add(record["company_domain"])
        if old_state != new_state:
            self.result.add(new_state if new_state in _ENDS else "reopened")
            edits["statecode"] = [old_state, new_state]
            due.add(record["company_domain"])
        if edits:
            self.result.add("changed")
            if any(n in wanted for n in edits):
                self.result.add("edited")
            entries.append(self._entry(record, edits, f"the CRM says {new_state}"))
        fields = renderer.fields
        if any(
            n in fields and fields[n].rule in ("hunter-wins", "newest") and not same(wanted[n], held.observed.get(n))
            and not held.rewrites(n, wanted[n])
            for n in edits if n in wanted
        ):  # fmt: skip
            due.add(record["company_domain"])
        for name, (_, theirs) in edits.items():
            if name in wanted and not same(wanted[name], theirs) and len(self.result.kept_by_crm) < 100:
                self.result.kept_by_crm.append(
                    {"table": table, "external_id": record["external_id"], "field": name, "rule": fields[name].rule}
                )
        touched.append(record)

    def _merged(
        self,
        table: str,
        record: dict[str, Any],
        row: CrmRow,
        masters: Mapping[str, CrmRow],
        touched: list[dict[str, Any]],
        entries: list[dict[str, Any]],
        due: set[str],
    ) -> None:
        """Follow the winner; the loser is never written."""
        master = masters.get(row.id)
        self.result.add("merged")
        self.result.add("changed")
        if master is None:
            self._deleted(record, touched, entries)
            return
        entries.append(self._entry(record, {"crm_id": [row.id, master.id]}, "merged in the CRM"))
        held = Held.from_row(self.organisation.renderers[table], master, record["external_id"], followed=True)
        record.update(held.ledger_values(table))
        record.update(
            acknowledged={}, acknowledged_hash=hash_of({}), changed_at=utc_now(), lease_token=self._session.token
        )
        if held.foreign_key:
            record.update(state="skipped", error_code="merged_in_crm", error=None, fix="merged_in_crm")
        due.add(record["company_domain"])
        touched.append(record)

    def _deleted(self, record: dict[str, Any], touched: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
        if record["state"] == "deleted_in_crm":
            return
        self.result.add("deleted")
        self.result.add("changed")
        record.update(DELETED, changed_at=utc_now(), lease_token=self._session.token)
        entries.append(self._entry(record, None, "deleted in the CRM"))
        touched.append(record)

    def _masters(self, table: str, known: Mapping[str, Any], found: Mapping[str, CrmRow]) -> dict[str, CrmRow]:
        """Row that was merged away, to the row that stands for it in the end."""
        waiting: dict[str, str | None] = {
            i: found[i].master for i in known if i in found and found[i].master is not None
        }
        ends: dict[str, CrmRow] = {}
        for _ in range(5):
            if not waiting:
                break
            rows = by_ids(self.client, self.organisation.renderers[table], {m for m in waiting.values() if m})
            following: dict[str, str | None] = {}
            for start, master in waiting.items():
                row = rows.get(str(master))
                if row is not None and row.master is not None:
                    following[start] = row.master
                elif row is not None:
                    ends[start] = row
            waiting = following
        return ends

    def _name_owners(self, known: Mapping[str, Any], found: Mapping[str, CrmRow]) -> None:
        ids = {str(found[i].values.get("_ownerid_value")) for i in known if i in found} - set(self._owners) - {"None"}
        for some in chunks(sorted(ids), 200):
            listed = ",".join(f"'{i}'" for i in some)
            for entity_set, column, name in _OWNERS:
                text = f"Microsoft.Dynamics.CRM.In(PropertyName='{column}',PropertyValues=[{listed}])"
                try:
                    for page in self.client.pages(f"{entity_set}?$select={name}&$filter={text}"):
                        self._owners.update({str(r[column]): str(r.get(name) or "") for r in page["value"]})
                except CrmRefusedError as error:
                    # An application user may lack the right to read people or teams: a name is no reason to miss a win.
                    _log.warning("owners can't be named", of=entity_set, code=error.refusal.code)

    def _entry(self, record: Mapping[str, Any], fields: Any, detail: str) -> dict[str, Any]:
        return self._session.entry(record, "read", "confirmed", fields=fields, detail=detail, actor="crm")


def _id_in(text: str) -> str:
    """The GUID of a deleted row: alone, or inside the address that OData calls its id."""
    found = _GUID.search(text)
    return found[0].lower() if found else text
