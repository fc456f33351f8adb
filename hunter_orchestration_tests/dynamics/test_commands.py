"""The commands as a person or a script runs them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from hunter_orchestration.commands import dynamics
from hunter_orchestration.store import page_state
from hunter_orchestration_tests.dynamics.world import World, add_companies, domain_of


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs ``hunter dynamics …`` against the world; returns exit status and standard output."""
    for name, value in world.box.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HUNTER_DATABASE_URL", world.store.url.render_as_string(hide_password=False))
    monkeypatch.setenv("HUNTER_DYNAMICS_ENABLED", "true")
    app = typer.Typer()
    dynamics.register(app)
    app.callback()(lambda: None)

    def command(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["dynamics", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout

    return command


def test_check_plan_push_pull_and_reconcile_speak_json(world: World, run: Any) -> None:
    add_companies(world.store, range(2))
    status, text = run("check", "--json")
    assert status == 0
    assert json.loads(text)["ready"] is True
    status, text = run("plan", "--json", "--domain", domain_of(1))
    assert [p["operation"] for p in json.loads(text)] == ["create"] * 4
    status, text = run("push", "--dry-run", "--json")
    assert json.loads(text)["counts"]["create"] == 8
    status, text = run("push", "--json")
    assert json.loads(text)["counts"]["created"] == 8
    status, text = run("pull", "--json")
    assert json.loads(text)["counts"]["read"] >= 8
    status, text = run("reconcile", "--json")
    assert (status, json.loads(text)["facts"]["accuracy"]) == (0, 1.0)
    world.sales.delete("opportunity", "00000000-0000-4000-8000-000000000001")
    status, text = run("reconcile", "--json")
    assert (status, json.loads(text)["counts"]["differences"]) == (1, 1)
    with world.store.read() as connection:
        recorded = {row["kind"] for row in page_state.syncs(connection, None, 10)}
    # The page has words for the assets' names.
    assert recorded == {"dynamics_records", "dynamics_changes", "dynamics_differences"}
    status, text = run("audit", "--domain", domain_of(1))
    assert {json.loads(line)["outcome"] for line in text.splitlines()} == {"sent", "confirmed"}


def test_a_company_is_named_as_people_write_it_and_one_nobody_knows_is_told(world: World, run: Any) -> None:
    add_companies(world.store, [1])
    for command in ("plan", "push"):
        status, text = run(command, "--json", "--domain", "nobody.example")
        assert (status, text) == (1, "")
    status, text = run("push", "--json", "--domain", f"https://www.{domain_of(1).upper()}/kontakt")
    assert (status, json.loads(text)["counts"]["created"]) == (0, 4)


def test_rejects_and_conflicts_are_listed_and_decided(world: World, run: Any) -> None:
    add_companies(world.store, [1], referral=False)
    ids = [world.sales.enter("account", name=n, websiteurl=f"https://{domain_of(1)}") for n in ("A", "B")]
    world.box.configure("dataverse", refuse_rows=[{"table": "lead", "column": "subject", "message": "Not now."}])
    run("push", "--json")
    _status, text = run("rejects", "--json")
    assert [r["error"] for r in json.loads(text)] == ["Not now."]
    _status, text = run("conflicts", "--json")
    assert {c["crm_id"] for c in json.loads(text)[0]["candidates"]} == set(ids)
    world.box.clear("dataverse")
    assert run("rejects", "--retry")[0] == 0
    assert run("conflicts", "--choose", f"account:{domain_of(1)}={ids[0]}")[0] == 0
    counts = json.loads(run("push", "--json")[1])["counts"]
    assert (counts["adopted"], counts["created"]) == (1, 1)
    assert json.loads(run("rejects", "--json")[1]) == []


def test_tables_are_printed_for_people_and_mistakes_in_one_sentence(world: World, run: Any) -> None:
    add_companies(world.store, [1])
    assert "company-00001.example" in run("plan")[1]
    assert run("push")[0] == 0
    assert run("qualify", domain_of(1))[0] == 0
    assert run("qualify", "unknown.example")[0] == 1
    assert run("setup")[0] == 0


def test_a_person_reads_reasons_candidates_and_what_to_do(world: World, run: Any) -> None:
    add_companies(world.store, [1], referral=False)
    ids = [world.sales.enter("account", name=n, websiteurl=f"https://{domain_of(1)}") for n in ("A", "B")]
    world.box.configure("dataverse", refuse_rows=[{"table": "lead", "column": "subject", "message": "Not now."}])
    run("push")
    text = run("rejects")[1]
    assert "Not now. [0x80040265, 1 attempt(s)]" in text
    assert "A plug-in or rule in Dynamics refused it." in text
    text = run("conflicts")[1]
    assert all(f"account:{domain_of(1)}={crm_id}  " in text for crm_id in ids)
    assert "Say which of the records it is" in text
    assert f"blocked account {domain_of(1)} (several_matches)" in run("plan", "-d", domain_of(1))[1]


def test_a_person_ends_opportunities_and_asks_for_a_deleted_record_again(world: World, run: Any) -> None:
    add_companies(world.store, [1, 2])
    run("push")
    referral = "00000000-0000-4000-8000-00000000000"
    assert "won" in run("win", f"{referral}1", "--reason", "Signed")[1]
    assert "lost" in run("lose", f"{referral}2")[1]
    assert run("win", f"{referral}2")[0] == 1
    world.sales.delete("account", domain_of(1))
    run("pull")
    assert "Make it again only if you want it back" in run("rejects")[1]
    assert "pending" in run("recreate", "account", domain_of(1))[1]
    assert json.loads(run("push", "--json")[1])["counts"]["created"] == 1
    won = [
        json.loads(line) for line in run("audit", "--table", "opportunity", "--outcome", "confirmed")[1].splitlines()
    ]
    assert [e["operation"] for e in won if e["company_domain"] == domain_of(1)][:2] == ["create", "won"]
