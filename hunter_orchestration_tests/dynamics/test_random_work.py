"""Any order of edits, merges, deletions, wins, changes at the source, lost answers and pushes keeps the invariants."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from hunter_orchestration.errors import TransientError
from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration_tests.dynamics.world import (
    World,
    add_companies,
    change_company,
    change_consent,
    change_score,
    world_in,
)

_NUMBERS = range(4)
_COLUMNS = {
    "account": ["telephone1", "address1_city", "name"],
    "contact": ["jobtitle", "telephone1"],
    "lead": ["subject", "description", "telephone1"],
    "opportunity": ["name", "description"],
}
_PLUG_INS = [
    {"table": "account", "column": "address1_city", "value": "Bursa", "to": "BURSA"},
    {"table": "lead", "column": "hnt_finalscore", "to": 1},
]
_LOST = ["drop_after_commit", "reset", "half_body", "invalid_json", "truncated_gzip"]


def machine(box: RunningSandbox, empty: Path) -> type[RuleBasedStateMachine]:
    """The machine for one sandbox; ``empty`` is a database without rows."""

    class Work(RuleBasedStateMachine):
        world: World
        typed = itertools.count()

        @initialize()
        def begin(self) -> None:
            self.folder = tempfile.TemporaryDirectory()
            path = Path(self.folder.name) / "hunter.db"
            shutil.copy(empty, path)
            store = Store(f"sqlite:///{path}")
            self.world = world_in(store, box, dynamics_batch_size=3)
            self.domains = add_companies(store, _NUMBERS)
            self.pushed = False

        def rows(self, table: str, *, open_only: bool = True) -> list[dict[str, Any]]:
            """Rows a salesperson would work on, in an order that does not depend on ids."""
            found = [r for r in self.world.sales.keyed(table).values() if not (open_only and r.get("statecode"))]
            return sorted(found, key=lambda r: r["hnt_externalid"])

        def one(self, table: str, number: int) -> dict[str, Any] | None:
            """One of them."""
            found = self.rows(table)
            return found[number % len(found)] if found else None

        @rule()
        def push(self) -> None:
            self.world.retry_now()
            self.world.push()
            self.pushed = True
            self.world.check(fresh=False)

        @rule(kind=st.sampled_from(_LOST), after=st.integers(4, 14))
        def push_with_a_lost_answer(self, kind: str, after: int) -> None:
            self.world.box.fault("dataverse", kind, times=1, after=after)
            self.world.retry_now()
            with contextlib.suppress(TransientError):
                self.world.push()
            self.world.box.clear()
            self.pushed = True
            self.world.check(fresh=False)

        @rule()
        def pull(self) -> None:
            self.world.pull()
            self.world.check()

        @precondition(lambda self: self.pushed)
        @rule()
        def reconcile(self) -> None:
            self.world.reconcile(mend=True)
            counts = self.world.reconcile().counts
            assert counts["matching"] == counts["claimed"]
            self.world.check(fresh=False)

        @precondition(lambda self: self.pushed)
        @rule(table=st.sampled_from(sorted(_COLUMNS)), column=st.integers(0, 2), number=st.integers(0, 3))
        def edit(self, table: str, column: int, number: int) -> None:
            row = self.one(table, number)
            if row is not None:
                name = _COLUMNS[table][column % len(_COLUMNS[table])]
                self.world.sales.edit(table, row[f"{table}id"], **{name: f"typed {next(self.typed)}"})

        @precondition(lambda self: self.pushed)
        @rule(table=st.sampled_from(sorted(_COLUMNS)), number=st.integers(0, 3))
        def delete(self, table: str, number: int) -> None:
            row = self.one(table, number)
            if row is not None:
                self.world.sales.delete(table, row[f"{table}id"])

        @precondition(lambda self: self.pushed)
        @rule(table=st.sampled_from(["account", "contact", "lead"]), first=st.integers(0, 3), second=st.integers(0, 3))
        def merge(self, table: str, first: int, second: int) -> None:
            loser, winner = self.one(table, first), self.one(table, second)
            if loser is not None and winner is not None and loser[f"{table}id"] != winner[f"{table}id"]:
                self.world.sales.merge(table, loser[f"{table}id"], winner[f"{table}id"])

        @precondition(lambda self: self.pushed)
        @rule(end=st.sampled_from(["win", "lose"]), number=st.integers(0, 3))
        def close(self, end: str, number: int) -> None:
            row = self.one("opportunity", number)
            if row is not None:
                self.world.sales.call("POST", f"/opportunities/{row['opportunityid']}/{end}")

        @precondition(lambda self: self.pushed)
        @rule(number=st.integers(0, 3))
        def disqualify(self, number: int) -> None:
            row = self.one("lead", number)
            if row is not None:
                self.world.sales.call("POST", f"/leads/{row['leadid']}/disqualify")

        @rule(number=st.integers(0, 3), city=st.sampled_from(["Ankara", "Bursa", "Muğla"]))
        def source_changes(self, number: int, city: str) -> None:
            change_company(self.world.store, self.domains[number], city=city, name=f"Ad {city}")

        @rule(number=st.integers(0, 3), score=st.integers(0, 100))
        def score_changes(self, number: int, score: int) -> None:
            change_score(self.world.store, self.domains[number], score=score)

        @rule(on=st.booleans())
        def plug_in(self, on: bool) -> None:
            """A plug-in that rewrites what is written comes, or goes."""
            self.world.box.configure("dataverse", rewrite_rows=_PLUG_INS if on else [])

        @rule(number=st.integers(0, 3), contact=st.sampled_from([True, False, None]))
        def consent_changes(self, number: int, contact: bool | None) -> None:
            change_consent(
                self.world.store, self.domains[number], {"contact": contact} if contact is not None else None
            )

        def teardown(self) -> None:
            if hasattr(self, "world"):
                self.world.settles()
                self.world.store.close()
                self.folder.cleanup()

    return Work


@pytest.mark.slow
def test_no_order_of_events_breaks_an_invariant(sandbox: RunningSandbox, tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    store = Store(f"sqlite:///{empty}")
    upgrade(store)
    store.close()
    run_state_machine_as_test(
        machine(sandbox, empty),
        settings=settings(
            max_examples=12,
            stateful_step_count=18,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
