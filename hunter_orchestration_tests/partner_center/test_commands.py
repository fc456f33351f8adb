from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner, Result

from hunter_orchestration.commands import referrals as commands
from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(companies=20) as running:
        yield running


@pytest.fixture(autouse=True)
def _pointed(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HUNTER_TOKEN_CACHE_KEY", "a key for this test")


def hunter(*arguments: str) -> Result:
    app = typer.Typer()
    commands.register(app)
    return CliRunner().invoke(app, list(arguments))


def test_login_shows_the_code_and_tells_who_signed_in_and_what_the_role_sees() -> None:
    done = hunter("login")
    assert done.exit_code == 0, done.output
    assert "enter the code" in done.stderr
    assert "sees all referrals" in done.stdout
    status = json.loads(hunter("login", "--status", "--json").stdout)
    assert status["signed_in"] is True
    assert status["days_left"] >= 89


def test_status_without_sign_in_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUNTER_CLIENT_SECRET")
    done = hunter("login", "--status")
    assert done.exit_code == 1
    assert "hunter login" in done.stdout


def test_sync_list_and_quarantine_tell_one_story(sandbox: RunningSandbox) -> None:
    bad = sandbox.add_referral(changes={"closedDateTime": "soon"})
    hunter("login")
    done = json.loads(hunter("referrals", "sync", "--json").stdout)
    assert done["raw_leads"]["fetched"] == done["raw_leads"]["stored"] > 0
    listed = [json.loads(line) for line in hunter("referrals", "list", "--json", "--limit", "5000").stdout.splitlines()]
    assert len(listed) == done["referrals"]["stored"]
    entries = [json.loads(line) for line in hunter("quarantine", "list", "--json").stdout.splitlines()]
    (entry,) = [entry for entry in entries if entry["external_id"] == bad["id"]]
    shown = json.loads(hunter("quarantine", "show", str(entry["id"]), "--json").stdout)
    assert shown["payload"]["closedDateTime"] == "soon"
    assert json.loads(hunter("quarantine", "retry", str(entry["id"]), "--json").stdout)["retried"] == 1
    assert hunter("referrals", "list").exit_code == 0
    assert hunter("quarantine", "show", "999999").exit_code == 1


def test_days_that_make_no_sense_are_refused() -> None:
    assert hunter("referrals", "sync", "--from", "yesterday").exit_code == 2
    assert hunter("referrals", "sync", "--to", "2026-01-01").exit_code == 2
    assert hunter("referrals", "sync", "--from", "2026-02-01", "--to", "2026-01-01").exit_code == 2


def test_a_sync_without_sign_in_fails_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUNTER_CLIENT_SECRET")
    done = hunter("referrals", "sync")
    assert done.exit_code == 1
    assert "Nobody is signed in" in done.stderr
    assert "Traceback" not in done.output
