"""The stage on both databases: it scores what is due once, and again only when inputs or rules changed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from sqlalchemy import select, update
from typer.testing import CliRunner

from hunter_orchestration.commands import scoring as commands
from hunter_orchestration.scoring import rules as rules_module
from hunter_orchestration.scoring import stage
from hunter_orchestration.scoring.briefing import briefing
from hunter_orchestration.scoring.briefing_pdf import pdf
from hunter_orchestration.scoring.engine import Inputs, score
from hunter_orchestration.scoring.explanation import evidenced
from hunter_orchestration.scoring.rules import RulesError, read_rules
from hunter_orchestration.scoring.what_if import difference
from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store, lead_details
from hunter_orchestration.store import companies as company_store
from hunter_orchestration.store.leads import refresh, refresh_scanned
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.operations import events
from hunter_orchestration.store.tables.scans import scan_changes, scans
from hunter_orchestration.store.tables.scores import score_history
from hunter_orchestration.store.tables.scores import scores as scores_table
from hunter_orchestration.store.work import Window, utc_now
from hunter_orchestration_tests.scoring.leads import GUARDED, RULES, TUESDAY, UNANSWERED, company_row, keep, scan_row

SHIPPED = Path(rules_module.__file__).with_name("rules.yaml")
LATER = TUESDAY + timedelta(hours=1)


def given_two(store: Store) -> None:
    keep(
        store,
        (company_row("a.example"), scan_row("a.example")),
        (company_row("g.example"), scan_row("g.example", provider="Google", **GUARDED)),
    )


def test_a_row_of_the_page_is_what_a_whole_refresh_would_make_of_it(store: Store) -> None:
    given_two(store)
    with store.write() as connection:
        refresh(connection, ["a.example"])  # g.example has no row yet
    stage.run(store, load_settings())
    with store.write() as connection:
        connection.execute(update(scans).values(gateway="Mimecast", hoster="Natro", provider="Zoho"))
        refresh_scanned(connection, ["a.example", "g.example"])
    before = rows(store, leads)
    with store.write() as connection:
        refresh(connection, ["a.example", "g.example"])
    shown = [[{**row, "changed_at": None} for row in found] for found in (before, rows(store, leads))]
    assert shown[0] == shown[1]
    assert [(row["domain"], row["score"], row["provider"], row["gateway"]) for row in before] == [
        ("a.example", 0, "Local", "Mimecast"),
        ("g.example", 90, "Google", "Mimecast"),
    ]


def own_rules(tmp_path: Path, name: str, **points: tuple[str, str]) -> Path:
    text = SHIPPED.read_text(encoding="utf-8").replace('version: "2026-11-01"', f'version: "{name}"')
    for old, new in points.values():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def rows(store: Store, table: Any) -> list[dict[str, Any]]:
    order = table.c.id if "id" in table.c else table.c.domain
    with store.read() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(order)).mappings()]


def everything(store: Store) -> list[list[dict[str, Any]]]:
    return [rows(store, table) for table in (companies, scores_table, score_history, leads, events)]


def current(store: Store, domain: str = "a.example") -> dict[str, Any]:
    return next(row for row in rows(store, scores_table) if row["domain"] == domain)


def company(store: Store, domain: str = "a.example") -> dict[str, Any]:
    return next(row for row in rows(store, companies) if row["domain"] == domain)


def change(store: Store, table: Any, domain: str = "a.example", **values: Any) -> None:
    with store.write() as connection:
        connection.execute(update(table).where(table.c.domain == domain).values(**values))
        connection.execute(update(companies).where(companies.c.domain == domain).values(score_due_at=LATER))


def test_what_is_due_is_scored_shown_and_passed_on(store: Store) -> None:
    given_two(store)
    done = stage.run(store, load_settings())
    assert done.counts == {"picked": 2, "changed": 2, "unchanged": 0, "unscanned": 0}
    google = current(store, "g.example")
    assert (google["score"], google["priority"], google["segment"]) == (90, "P2", "Migration")
    assert sum(point["points"] for point in google["breakdown"]) == 90
    assert [row["score_due_at"] for row in rows(store, companies)] == [None, None]
    assert all(row["push_due_at"] for row in rows(store, companies))
    assert {row["domain"]: (row["score"], row["priority"]) for row in rows(store, leads)} == {
        "a.example": (0, "P1"),
        "g.example": (90, "P2"),
    }
    assert [(row["domain"], row["score"]) for row in rows(store, score_history)] == [
        ("a.example", 0),
        ("g.example", 90),
    ]


def test_a_second_run_writes_nothing(store: Store) -> None:
    given_two(store)
    stage.run(store, load_settings())
    before = everything(store)
    assert not any(stage.run(store, load_settings()).counts.values())
    assert everything(store) == before


def test_due_again_with_the_same_inputs_keeps_the_score_and_its_stamps(store: Store) -> None:
    given_two(store)
    stage.run(store, load_settings())
    before = [rows(store, table) for table in (scores_table, score_history, leads)]
    change(store, companies, push_due_at=None)
    assert stage.run(store, load_settings()).counts == {"picked": 1, "changed": 0, "unchanged": 1, "unscanned": 0}
    assert [rows(store, table) for table in (scores_table, score_history, leads)] == before
    assert (company(store)["score_due_at"], company(store)["push_due_at"]) == (None, None)


def test_a_co_sell_that_comes_after_the_scan_adds_its_points(store: Store) -> None:
    given_two(store)
    stage.run(store, load_settings())
    change(store, companies, "g.example", has_open_co_sell=True)
    stage.run(store, load_settings())
    assert current(store, "g.example")["score"] == 100
    assert [row["score"] for row in rows(store, score_history) if row["domain"] == "g.example"] == [90, 100]
    change(store, companies, "g.example", has_open_co_sell=False)
    stage.run(store, load_settings())
    assert current(store, "g.example")["score"] == 90


def test_a_stated_tenant_makes_a_microsoft_customer_of_at_least_55(store: Store) -> None:
    given_two(store)
    stage.run(store, load_settings())
    change(store, companies, tenant_id="11111111-2222-3333-4444-555555555555")
    stage.run(store, load_settings())
    found = current(store)
    assert (found["provider"], found["score"], found["priority"]) == ("M365", 55, "P3")


@pytest.mark.parametrize(("agrees", "provider"), [(True, "M365"), (False, "Local")])
def test_a_discovered_tenant_counts_only_when_a_mail_tell_agrees(store: Store, agrees: bool, provider: str) -> None:
    given_two(store)
    change(store, scans, tenant_id="11111111-2222-3333-4444-555555555555", tenant_agrees=agrees)
    stage.run(store, load_settings())
    assert current(store)["provider"] == provider


def test_an_unknown_finding_costs_nothing_and_is_told(store: Store) -> None:
    keep(store, (company_row("u.example"), scan_row("u.example", **{**UNANSWERED, "provider": "M365"})))
    stage.run(store, load_settings())
    found = current(store, "u.example")
    assert (found["score"], found["complete"]) == (50, False)
    assert {point["state"] for point in found["breakdown"]} == {"found", "unknown"}
    assert rows(store, leads)[0]["complete"] in (False, 0)


def test_a_company_without_a_scan_waits_for_it_and_a_merged_one_gets_no_score(store: Store) -> None:
    keep(
        store,
        (company_row("new.example"), None),
        (company_row("old.example", merged_into="new.example"), scan_row("old.example")),
    )
    assert stage.run(store, load_settings()).counts == {"picked": 2, "changed": 0, "unchanged": 0, "unscanned": 2}
    assert rows(store, scores_table) == []
    assert company(store, "new.example")["score_due_at"] is None


def test_other_rules_score_every_lead_again_and_only_once(store: Store, tmp_path: Path) -> None:
    given_two(store)
    stage.run(store, load_settings())
    stamps = {row["domain"]: row["changed_at"] for row in rows(store, scores_table)}
    other = load_settings(rules_file=own_rules(tmp_path, "next", google=("Google: 50", "Google: 30")))
    done = stage.run(store, other)
    assert (done.facts["rescored_for_rules"], done.counts["changed"]) == (2, 2)
    assert {row["rules_version"].split("+")[0] for row in rows(store, scores_table)} == {"next"}
    assert current(store, "g.example")["score"] == 70
    assert current(store)["changed_at"] == stamps["a.example"]
    assert current(store, "g.example")["changed_at"] > stamps["g.example"]
    before = everything(store)
    again = stage.run(store, other)
    assert (again.facts["rescored_for_rules"], again.counts["picked"]) == (0, 0)
    assert everything(store) == before


def given_two_scored_long_ago(store: Store) -> datetime:
    """P1 and P2 since three weeks, both due again."""
    given_two(store)
    stage.run(store, load_settings())
    then = utc_now() - timedelta(weeks=3)
    for domain in ("a.example", "g.example"):
        change(store, scores_table, domain, scored_at=then, changed_at=then, priority_since=then)
    return then


def urgency(store: Store, domain: str) -> str:
    return str(briefing(stored_facts(store, domain), "en", load_settings(), now=utc_now())["urgency"])


def test_a_score_that_moves_within_its_category_leaves_an_overdue_call_overdue(store: Store) -> None:
    then = given_two_scored_long_ago(store)
    before = urgency(store, "g.example")
    assert before.startswith("Overdue: the first call was due by ")
    change(store, companies, "g.example", has_open_co_sell=True)
    stage.run(store, load_settings())
    found = current(store, "g.example")
    assert (found["score"], found["priority"], found["priority_since"]) == (100, "P2", then)
    assert found["changed_at"] > then
    assert urgency(store, "g.example") == before


def test_another_category_is_counted_from_when_it_came(store: Store, tmp_path: Path) -> None:
    then = given_two_scored_long_ago(store)
    change(store, companies, tenant_id="11111111-2222-3333-4444-555555555555")
    stage.run(store, load_settings())
    found = current(store)
    assert (found["priority"], found["priority_since"]) == ("P3", found["changed_at"])
    assert found["priority_since"] > then
    assert urgency(store, "a.example").startswith("Act within 5 working days")
    assert current(store, "g.example")["priority_since"] == then
    other = load_settings(rules_file=own_rules(tmp_path, "next", google=("Google: 50", "Google: 15")))
    stage.run(store, other)
    moved = current(store, "g.example")
    assert (moved["priority"], moved["priority_since"]) == ("P5", moved["scored_at"])
    assert current(store)["priority_since"] == found["priority_since"]
    change(store, companies, tenant_id=None)
    stage.run(store, load_settings())
    back = current(store)
    assert (back["priority"], back["priority_since"]) == ("P1", back["scored_at"])


def test_other_rules_leave_a_merged_company_alone(store: Store, tmp_path: Path) -> None:
    given_two(store)
    stage.run(store, load_settings())
    change(store, companies, merged_into="g.example")
    stage.run(store, load_settings())
    other = load_settings(rules_file=own_rules(tmp_path, "next"))
    assert stage.run(store, other).facts["rescored_for_rules"] == 1
    assert stage.run(store, other).facts["rescored_for_rules"] == 0


def test_broken_rules_score_nothing_and_leave_every_score(store: Store, tmp_path: Path) -> None:
    given_two(store)
    stage.run(store, load_settings())
    change(store, companies, has_open_co_sell=True)
    before = everything(store)
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 1\n")
    with pytest.raises(RulesError, match=r"broken\.yaml:1"):
        stage.run(store, load_settings(rules_file=broken))
    assert everything(store) == before


def test_a_window_takes_the_companies_active_in_it_and_no_others(store: Store) -> None:
    days = [TUESDAY - timedelta(days=back) for back in (3, 2, 1)]
    keep(
        store,
        *(
            (company_row(f"d{number}.example", activity_at=day, score_due_at=None), scan_row(f"d{number}.example"))
            for number, day in enumerate(days)
        ),
    )
    window = Window(days[1], days[2])
    assert stage.run(store, load_settings(), window=window).counts["changed"] == 1
    assert [row["domain"] for row in rows(store, scores_table)] == ["d1.example"]
    assert stage.run(store, load_settings(), window=window).counts == {
        "picked": 1,
        "changed": 0,
        "unchanged": 1,
        "unscanned": 0,
    }


def test_named_companies_are_scored_alone(store: Store) -> None:
    given_two(store)
    assert stage.run(store, load_settings(), domains=["g.example", "gone.example"]).counts["changed"] == 1
    assert company(store)["score_due_at"] is not None


def test_a_run_for_named_companies_does_not_take_up_the_work_that_other_rules_make(
    store: Store, tmp_path: Path
) -> None:
    given_two(store)
    stage.run(store, load_settings())
    other = load_settings(rules_file=own_rules(tmp_path, "next"))
    assert stage.run(store, other, domains=["g.example"]).counts["changed"] == 1
    assert company(store)["score_due_at"] is None
    assert stage.run(store, other).facts["rescored_for_rules"] == 1


def test_what_is_kept_of_inputs_and_points_is_all_of_them() -> None:
    inputs = Inputs("Local", True, None, False, "none", 5, co_sell=True)
    assert inputs.stored() == asdict(inputs)
    assert [point.stored() for point in score(inputs, RULES).breakdown] == [
        asdict(point) for point in score(inputs, RULES).breakdown
    ]


def test_more_than_one_chunk_is_scored_and_progress_is_told(store: Store) -> None:
    names = [f"c{number:04d}.example" for number in range(1300)]
    keep(store, *((company_row(name), scan_row(name)) for name in names))
    told: list[tuple[int, int | None]] = []
    done = stage.run(store, load_settings(), progress=lambda count, total: told.append((count, total)))
    assert done.counts["changed"] == 1300
    assert done.adds_up("picked", "changed", "unchanged", "unscanned")
    assert [count for count, _ in told] == [1000, 1300]
    assert len(rows(store, leads)) == 1300
    assert len(done.sample) == 10


def test_a_difference_of_rules_counts_leads_by_category_and_writes_nothing(store: Store, tmp_path: Path) -> None:
    given_two(store)
    stage.run(store, load_settings())
    before = everything(store)
    new = read_rules(own_rules(tmp_path, "next", google=("Google: 50", "Google: 15")))
    found = difference(store, new)
    assert (found.leads, found.changed_category, found.changed_score) == (2, 1, 1)
    assert found.table == {("P1", "P1"): 1, ("P2", "P5"): 1}
    assert everything(store) == before
    change(store, companies, merged_into="g.example")
    assert difference(store, new).leads == 1


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_tells_the_difference_from_and_to(sqlite_store: Store, tmp_path: Path, as_json: bool) -> None:
    given_two(sqlite_store)
    stage.run(sqlite_store, load_settings())
    new = own_rules(tmp_path, "next", google=("Google: 50", "Google: 15"))
    done = run_command(sqlite_store, "rules", "diff", str(new), *["--json"] * as_json)
    assert done.exit_code == 0, done.output
    if as_json:
        told = orjson.loads(done.stdout)
        assert (told["changed_category"], told["table"]) == (1, [{"from": "P2", "to": "P5", "leads": 1}])
    else:
        assert "Of 2 leads, 1 would change category and 1 score under version next." in done.output


def test_the_commands_that_check_files_pass_what_ships_and_refuse_what_is_broken(
    sqlite_store: Store, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: [")
    for command in ("check", "briefing"):
        assert run_command(sqlite_store, "rules", command).exit_code == 0
        refused = run_command(sqlite_store, "rules", command, str(broken))
        assert refused.exit_code == 1
        assert f"{broken}:1: not YAML" in refused.output


def run_command(store: Store, *arguments: str) -> Any:
    app = typer.Typer()
    commands.register(app)
    return CliRunner().invoke(app, list(arguments), env={"HUNTER_DATABASE_URL": str(store.url)})


def stored_facts(store: Store, domain: str) -> dict[str, Any]:
    with store.read() as connection:
        return {
            "lead": dict(lead_details.lead(connection, domain) or {}),
            "company": dict(company_store.one(connection, domain) or {}),
            "contacts": [],
            "score": dict(lead_details.score(connection, domain) or {}),
            "scan": dict(lead_details.scan(connection, domain) or {}),
            "scan_changes": [dict(row) for row in lead_details.changes(connection, domain)],
            "referrals": [],
        }


def test_a_scored_lead_of_the_store_is_briefed_printed_and_explained(store: Store) -> None:
    entries = [{"name": "g.example", "type": "MX", "state": "found", "records": ["1 aspmx.l.google.com"], "ttl": 300}]
    findings = {"domain": "g.example", "evidence": entries, "dmarc": {"pct": 30}}
    scan = scan_row("g.example", provider="Google", **{**GUARDED, "findings": findings})
    keep(store, (company_row("g.example", has_open_co_sell=True), scan))
    stage.run(store, load_settings())
    with store.write() as connection:
        row = {"domain": "g.example", "at": TUESDAY, "kind": "dmarc", "old": "none", "new": "reject"}
        connection.execute(scan_changes.insert(), [row])
        connection.execute(update(leads).values(deal_value=Decimal("1250.50"), currency="TRY"))
    facts = stored_facts(store, "g.example")
    told = briefing(facts, "tr", load_settings(), now=TUESDAY)
    assert "önce: yalnızca izleme (p=none), şimdi: ret (p=reject)." in told["security"]["summary"]
    assert "yalnızca %30" in told["security"]["summary"]
    assert "Anlaşma tutarı belirtilmiş: 1.250,50 TRY" in [part["text"] for part in told["potential"]["parts"]]
    assert pdf(told).startswith(b"%PDF-")
    points = evidenced(facts["score"]["breakdown"], facts["scan"]["findings"])
    assert points[0]["evidence"] == entries
