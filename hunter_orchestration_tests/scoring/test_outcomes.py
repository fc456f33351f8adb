"""Won and lost, counted by the score a lead had when it was sent, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hunter_orchestration.commands import scoring as commands
from hunter_orchestration.scoring.outcomes import outcome_report, report
from hunter_orchestration.store import Store, scores
from hunter_orchestration.store.tables.crm import crm_audit, crm_records
from hunter_orchestration.store.tables.scores import score_history
from hunter_orchestration.store.tables.scores import scores as scores_table
from hunter_orchestration_tests.scoring.leads import TUESDAY


def given_history(store: Store, domain: str, *steps: tuple[datetime, int, str]) -> None:
    rows = [
        {"domain": domain, "at": at, "score": value, "priority": priority, "rules_version": "1"}
        for at, value, priority in steps
    ]
    at, value, priority = steps[-1]
    current = {
        "domain": domain, "rules_version": "1", "input_hash": "x", "inputs": {}, "provider": "M365", "score": value,
        "complete": True, "segment": "Existing", "technical_heat": "Hot", "commercial_segment": "RENEWAL",
        "commercial_heat": "MEDIUM", "priority": priority, "priority_label": "", "breakdown": [], "scored_at": at,
        "changed_at": at, "priority_since": at,
    }  # fmt: skip
    with store.write() as connection:
        connection.execute(score_history.insert(), rows)
        connection.execute(scores_table.insert(), [current])


def given_deal(
    store: Store, domain: str, number: int, state: str, sent: datetime | None, table: str = "opportunity"
) -> None:
    record = {"table_name": table, "external_id": f"{domain}/{number}", "company_domain": domain, "state": "synced",
              "crm_state": state, "changed_at": TUESDAY}  # fmt: skip
    with store.write() as connection:
        connection.execute(crm_records.insert(), [record])
        if sent:
            entries = [
                {"at": at, "actor": "run", "table_name": table, "external_id": f"{domain}/{number}",
                 "company_domain": domain, "operation": "create", "outcome": "confirmed"}
                for at in (sent, sent + timedelta(days=1))
            ]  # fmt: skip
            connection.execute(crm_audit.insert(), entries)


def groups(rows: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    return {row["group"]: (row["won"], row["lost"]) for row in rows}


def test_a_deal_counts_for_the_score_its_lead_had_when_it_was_sent(store: Store) -> None:
    given_history(store, "a.example", (TUESDAY, 45, "P1"), (TUESDAY + timedelta(days=9), 100, "P4"))
    given_deal(store, "a.example", 1, "won", TUESDAY + timedelta(days=2))
    given_deal(store, "a.example", 2, "lost", TUESDAY + timedelta(days=20))
    found = outcome_report(store)
    assert groups(found["by_category"]) == {"P1": (1, 0), "P4": (0, 1)}
    assert groups(found["by_band"]) == {"90-100": (0, 1), "40-49": (1, 0)}
    assert (found["decided"], found["won"], found["win_rate"]) == (2, 1, 0.5)


def test_without_an_audit_the_earliest_score_kept_stands_and_without_history_the_present_one(store: Store) -> None:
    given_history(store, "a.example", (TUESDAY, 61, "P2"), (TUESDAY + timedelta(days=9), 75, "P4"))
    given_deal(store, "a.example", 1, "won", None)
    given_deal(store, "a.example", 2, "lost", TUESDAY - timedelta(days=30))
    given_history(store, "b.example", (TUESDAY, 0, "P6"))
    with store.write() as connection:
        connection.execute(score_history.delete().where(score_history.c.domain == "b.example"))
    given_deal(store, "b.example", 1, "lost", None)
    assert groups(outcome_report(store)["by_category"]) == {"P2": (1, 1), "P6": (0, 1)}


def test_what_is_open_or_no_opportunity_does_not_count(store: Store) -> None:
    given_history(store, "a.example", (TUESDAY, 61, "P2"))
    given_deal(store, "a.example", 1, "open", None)
    given_deal(store, "a.example", 2, "won", None, table="lead")
    given_deal(store, "unscored.example", 3, "won", None)
    with store.read() as connection:
        assert list(scores.outcomes(connection)) == []
    found = outcome_report(store)
    assert (found["decided"], found["win_rate"], found["consistent"]) == (0, None, True)


def counted(priority: str, won: int, lost: int) -> list[dict[str, Any]]:
    return [
        {"priority": priority, "band": 50, "crm_state": "won", "records": won},
        {"priority": priority, "band": 50, "crm_state": "lost", "records": lost},
    ]


def test_a_category_that_wins_less_than_a_later_one_is_told_only_beyond_chance() -> None:
    assert report(counted("P1", 1, 2) + counted("P2", 2, 1))["consistent"]
    assert report(counted("P1", 10, 90) + counted("P2", 60, 40))["contradictions"] == [{"better": "P1", "worse": "P2"}]
    assert report(counted("P1", 60, 40) + counted("P2", 10, 90))["consistent"]


def test_the_range_of_a_rate_is_wilsons() -> None:
    (row,) = report(counted("P1", 8, 2))["by_category"]
    assert (round(row["least"], 3), round(row["most"], 3)) == (0.49, 0.943)


@given(won=st.integers(0, 500), lost=st.integers(0, 500))
def test_the_range_holds_the_rate_and_stays_within_0_and_1(won: int, lost: int) -> None:
    if won + lost:
        (row,) = report(counted("P1", won, lost))["by_category"]
        assert 0 <= row["least"] <= row["win_rate"] + 1e-12
        assert row["win_rate"] - 1e-12 <= row["most"] <= 1


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_tells_the_rates(sqlite_store: Store, as_json: bool) -> None:
    given_history(sqlite_store, "a.example", (TUESDAY, 61, "P2"))
    given_deal(sqlite_store, "a.example", 1, "won", None)
    environment = {"HUNTER_DATABASE_URL": str(sqlite_store.url)}
    app = typer.Typer()
    commands.register(app)
    done = CliRunner().invoke(app, ["rules", "outcomes", *["--json"] * as_json], env=environment)
    assert done.exit_code == 0, done.output
    assert ('"win_rate":1.0' in done.output) if as_json else ("P2" in done.output and "100%" in done.output)
