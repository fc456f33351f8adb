"""A store with scored companies, an organisation to push them to, and the salesperson who works in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, update

from hunter_orchestration.dynamics import stage
from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.dynamics.mapping import TABLES
from hunter_orchestration.dynamics.session import SOURCE
from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store, crm, leads, runs
from hunter_orchestration.store.tables.companies import companies, contacts
from hunter_orchestration.store.tables.crm import crm_records
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scans import scans
from hunter_orchestration.store.tables.scores import scores
from hunter_orchestration.store.work import StageResult, utc_now
from hunter_orchestration_tests import invariants

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def email_hash(address: str) -> str:
    """Identity of a contact."""
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()


def domain_of(number: int) -> str:
    """Domain of the n-th company."""
    return f"company-{number:05d}.example"


def referral_of(number: int) -> str:
    """Id of a numbered company's referral."""
    return f"00000000-0000-4000-8000-{number:012d}"


def add_companies(
    store: Store,
    numbers: Sequence[int],
    *,
    score: int = 70,
    priority: str = "P2",
    category: str = "co_sell",
    referral: bool = True,
    **more: Any,
) -> list[str]:
    """Companies with a score, a scan, a contact and an Active referral each, due to be pushed; their domains."""
    rows: dict[str, list[dict[str, Any]]] = {n: [] for n in ("companies", "scores", "scans", "contacts", "referrals")}
    for number in numbers:
        domain = domain_of(number)
        referral_id = referral_of(number)
        rows["companies"].append(
            {
                "domain": domain,
                "name": f"Şirket {number} A.Ş.",
                "name_source": "referral",
                "country": "TR",
                "city": "İzmir",
                "address": {"street": f"Atatürk Cd. {number}", "postal_code": "35000"},
                "phone": f"+90 232 555 {number % 10000:04d}",
                "sources": {"partnercenter": {"first": NOW.isoformat(), "last": NOW.isoformat()}},
                "referral_count": int(referral),
                "open_referral_count": int(referral),
                "has_open_co_sell": referral and category == "co_sell",
                "leading_referral_id": referral_id if referral else None,
                "first_seen_at": NOW,
                "changed_at": NOW,
                "activity_at": NOW,
                "push_due_at": NOW,
                **more,
            }
        )
        rows["scores"].append(
            {
                "domain": domain,
                "rules_version": "1.0",
                "input_hash": "x",
                "inputs": {},
                "provider": "Google",
                "score": score,
                "complete": True,
                "segment": "Migration",
                "technical_heat": "Warm",
                "commercial_segment": "COMPETITIVE",
                "commercial_heat": "HIGH",
                "priority": priority,
                "priority_label": "Competitive Takeover",
                "breakdown": [
                    {
                        "rule": "provider",
                        "points": 50,
                        "state": "found",
                        "text": {"en": "Mail is with Google", "tr": "E-posta Google'da"},
                    },
                    {"rule": "spf", "points": 10, "state": "found", "text": {"en": "SPF found", "tr": "SPF var"}},
                ],
                "scored_at": NOW,
                "changed_at": NOW,
                "priority_since": NOW,
            }
        )
        rows["scans"].append(
            {
                "domain": domain,
                "scanned_at": NOW,
                "expires_at": NOW + timedelta(days=7),
                "is_current": True,
                "complete": True,
                "provider": "Google",
                "gateway": "Proofpoint",
                "mx_state": "found",
                "spf_state": "found",
                "dkim_found": True,
                "dmarc_state": "found",
                "dmarc_policy": "none",
                "findings": {},
                "lookups": 9,
                "seconds": 0.1,
            }
        )
        address = f"ayse.{number}@{domain}"
        rows["contacts"].append(
            {
                "company_domain": domain,
                "email_hash": email_hash(address),
                "email": address,
                "first_name": "Ayşe",
                "last_name": f"Yılmaz {number}",
                "phone": "+90 532 555 0101",
                "title": "IT Manager",
                "source": "partnercenter",
                "referral_id": referral_id,
                "first_seen_at": NOW,
                "changed_at": NOW,
            }
        )
        if referral:
            rows["referrals"].append(
                {
                    "id": referral_id,
                    "raw_lead_id": number + 1,
                    "name": f"Migration {number}",
                    "type": "Shared",
                    "status": "Active",
                    "substatus": "Accepted",
                    "category": category,
                    "category_rule": "shared",
                    "is_open": True,
                    "company_name": f"Şirket {number} A.Ş.",
                    "contacts": [],
                    "notes": "120 mailboxes",
                    "company_domain": domain,
                    "linked_by": "auto",
                    "deal_value": Decimal("38000"),
                    "currency": "EUR",
                    "closing_at": NOW + timedelta(days=60),
                    "created_at": NOW,
                    "updated_at": NOW,
                    "synced_at": NOW,
                }
            )
    tables = {"companies": companies, "scores": scores, "scans": scans, "contacts": contacts, "referrals": referrals}
    domains = [row["domain"] for row in rows["companies"]]
    with store.write() as connection:
        for name, some in rows.items():
            if some:
                connection.execute(insert(tables[name]), some)
        leads.refresh(connection, domains)
    return domains


def change_company(store: Store, domain: str, *, due: bool = True, **values: Any) -> None:
    """A source changed a company."""
    with store.write() as connection:
        connection.execute(update(companies).where(companies.c.domain == domain).values(**values, changed_at=NOW))
        if due:
            crm.mark_due(connection, [domain])


def change_consent(store: Store, domain: str, consent: dict[str, Any] | None) -> None:
    """The company's people agreed to be contacted, or refused."""
    with store.write() as connection:
        connection.execute(update(contacts).where(contacts.c.company_domain == domain).values(consent=consent))
        crm.mark_due(connection, [domain])


def change_score(store: Store, domain: str, **values: Any) -> None:
    """The company was scored again."""
    with store.write() as connection:
        connection.execute(update(scores).where(scores.c.domain == domain).values(**values))
        crm.mark_due(connection, [domain])


class Time:
    """A clock that moves by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Pretend to wait."""
        self.slept.append(seconds)
        self.now += seconds


class Sales:
    """Works in the CRM as people do, and remembers what it typed: ``typed`` maps (table, row id, column) to a value."""

    def __init__(self, box: RunningSandbox) -> None:
        self._box = box
        self.typed: dict[tuple[str, str, str], Any] = {}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the CRM's control API."""
        return self._box.call(method, f"/dataverse{path}", body)

    def id_of(self, table: str, key: str) -> str:
        """GUID of a row by external id or GUID: an opportunity's external id looks like a GUID too."""
        found = self.call("GET", f"/tables/{table}/rows?external_id={key}")["rows"]
        return str(found[0][f"{table}id"]) if found else key

    def row(self, table: str, key: str) -> dict[str, Any]:
        """A row by GUID or external id."""
        return dict(self.call("GET", f"/tables/{table}/rows/{self.id_of(table, key)}"))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row."""
        return list(self.call("GET", f"/tables/{table}/rows?limit=100000")["rows"])

    def keyed(self, table: str) -> dict[str, dict[str, Any]]:
        """Rows that bear Hunter's key, by it."""
        return {row["hnt_externalid"]: row for row in self.rows(table) if row.get("hnt_externalid")}

    def enter(self, table: str, **values: Any) -> str:
        """Enter a row by hand; its id."""
        return str(self.call("POST", f"/tables/{table}/rows", values)[0])

    def edit(self, table: str, key: str, **values: Any) -> None:
        """Edit a row."""
        row = self.call("PATCH", f"/tables/{table}/rows/{self.id_of(table, key)}", values)
        self.typed.update({(table, row[f"{table}id"], name): value for name, value in values.items()})

    def delete(self, table: str, key: str) -> None:
        """Delete a row."""
        self.call("DELETE", f"/tables/{table}/rows/{self.id_of(table, key)}")

    def merge(self, table: str, loser: str, winner: str) -> None:
        """Merge two rows."""
        self.call("POST", f"/tables/{table}/rows/{self.id_of(table, loser)}/merge", {"into": self.id_of(table, winner)})

    def set_keys(self, table: str, status: str) -> None:
        """Set the state of a table's key indexes."""
        self.call("PATCH", f"/tables/{table}/keys", {"status": status})


@dataclass
class World:
    """A store and an organisation. ``sales`` is the salesperson."""

    store: Store
    box: RunningSandbox
    settings: Settings
    sales: Sales

    def client(self, **options: Any) -> DataverseClient:
        """A client that signs in as the app registration and does not wait in earnest."""
        time = Time()
        options.setdefault("sleep", time.sleep)
        options.setdefault("clock", time)
        return DataverseClient(self.settings, **options)

    def push(self, **options: Any) -> StageResult:
        """Push what is due."""
        with options.pop("client", None) or self.client() as client:
            return stage.push(self.store, self.settings, client=client, **{"run_id": "run-1", **options})

    def pull(self) -> StageResult:
        """Read back."""
        with self.client() as client:
            return stage.pull(self.store, self.settings, client=client, run_id="run-1")

    def reconcile(self, **options: Any) -> StageResult:
        """Compare."""
        with self.client() as client:
            return stage.reconcile(self.store, self.settings, client=client, run_id="run-1", **options)

    def record(self, table: str, external_id: str) -> dict[str, Any]:
        """A ledger row."""
        with self.store.read() as connection:
            found = crm.record(connection, table, external_id)
        assert found is not None, f"the ledger has no {table} {external_id}"
        return found

    def states(self) -> dict[str, int]:
        """Ledger rows by state."""
        with self.store.read() as connection:
            return crm.state_counts(connection)

    def due(self, *domains: str) -> None:
        """Mark companies due."""
        with self.store.write() as connection:
            crm.mark_due(connection, domains)

    def retry_now(self) -> None:
        """Time passes until every deferred record may be tried again."""
        with self.store.write() as connection:
            connection.execute(update(crm_records).values(next_attempt_at=None))
            runs.write_watermark(connection, SOURCE, "not_before", utc_now().isoformat())

    def writes(self) -> dict[str, dict[str, int]]:
        """Rows the organisation wrote since the last call."""
        counters = self.sales.call("GET", "/counters")
        self.sales.call("DELETE", "/counters")
        return dict(counters["writes"])

    def check(self, **options: Any) -> None:
        """Assert the invariants."""
        rows = {table: self.sales.rows(table) for table in TABLES}
        wrong = invariants.broken(self.store, rows, typed=self.sales.typed, **options)
        assert not wrong, "\n".join(wrong)

    def settles(self) -> None:
        """Assert that the next clean run converges and the one after it writes nothing (I8)."""
        self.box.clear()
        self.retry_now()
        self.pull()
        self.push()
        self.writes()
        before = invariants.ledger_digest(self.store)
        self.push()
        assert self.writes() == {}
        assert invariants.ledger_digest(self.store) == before
        self.pull()
        self.check()


def world_in(store: Store, box: RunningSandbox, *, prepared: bool = True, **settings: Any) -> World:
    """A fresh organisation for this store."""
    box.reset()
    box.call("POST", "/dataverse/reset", {"prepared": prepared})
    box.call("DELETE", "/dataverse/counters")
    named = {name.removeprefix("HUNTER_").lower(): value for name, value in box.settings().items()}
    loaded = load_settings(**{**named, "dynamics_enabled": True, **settings})
    return World(store, box, loaded, Sales(box))
