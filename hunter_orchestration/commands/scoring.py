"""Commands of scoring: score lines of inputs, check the rules, and see what new rules would move."""

from __future__ import annotations

import codecs
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from hunter_orchestration.commands.console import FAILED, errors_told, opened_store, print_json, print_table, say
from hunter_orchestration.errors import HunterError
from hunter_orchestration.settings import load_settings

rules_app = typer.Typer(help="The scoring rules.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""
    app.command("score")(score_lines)
    app.add_typer(rules_app, name="rules")


def score_lines(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
    file: Annotated[Path | None, typer.Option("--rules", help="Rules file instead of the one in force.")] = None,
) -> None:
    """Score inputs read as JSON lines from standard input. A wrong line gets an error in its place."""
    from hunter_orchestration.scoring.engine import score
    from hunter_orchestration.scoring.rules import read_rules
    from hunter_orchestration.scoring.what_if import checked_inputs

    failed = False
    with errors_told():
        rules = read_rules(file or load_settings().rules_file)
        # Bytes: a line that is no UTF-8 is one wrong line, not the end.
        for number, line in enumerate(sys.stdin.buffer, start=1):
            text = line.removeprefix(codecs.BOM_UTF8).strip()
            if not text:
                continue
            try:
                values = orjson.loads(text)
                if not isinstance(values, dict):
                    raise HunterError("A line must be a JSON object.")
                outcome = asdict(score(checked_inputs(values), rules))
            except (HunterError, orjson.JSONDecodeError) as error:
                failed = True
                say(f"line {number}: {error}")
                if as_json:
                    print_json({"line": number, "error": str(error)})
                continue
            if as_json:
                print_json(outcome)
            else:
                typer.echo(f"{outcome['score']:3d}  {outcome['priority_category']}  {outcome['priority_label']}")
                for point in outcome["breakdown"]:
                    typer.echo(f"     {point['points']:+4d}  {point['text']['en']}")
    if failed:
        raise typer.Exit(FAILED)


@rules_app.command("check")
def check_rules(
    file: Annotated[Path | None, typer.Argument(help="Rules file; without it, the one in force.")] = None,
) -> None:
    """Check a rules file and say where it is wrong."""
    from hunter_orchestration.scoring.rules import read_rules

    with errors_told():
        rules = read_rules(file or load_settings().rules_file)
    say(f"The rules are fine: version {rules.version}.")


@rules_app.command("briefing")
def check_briefing(
    file: Annotated[Path | None, typer.Argument(help="Briefing file; without it, the one in force.")] = None,
    offers: Annotated[Path | None, typer.Option(help="Price list; without it, the one in force.")] = None,
) -> None:
    """Check the texts of the sales briefing and the price list, and say where they are wrong."""
    from hunter_orchestration.scoring.templates import read_sources

    with errors_told():
        settings = load_settings()
        found = read_sources(file or settings.briefing_file, offers or settings.offers_file)
    say(f"The briefing and the price list are fine: {len(found.offers)} offers.")


@rules_app.command("outcomes")
def show_outcomes(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False) -> None:
    """Tell how often leads were won, by category and score band."""
    from hunter_orchestration.scoring.outcomes import outcome_report

    with errors_told():
        report = outcome_report(opened_store())
    if as_json:
        print_json(report)
        return
    if not report["decided"]:
        say("No opportunity was won or lost yet.")
        return
    say(f"{report['decided']} opportunities were decided, {report['won']} of them won.")
    for rows, heading in ((report["by_category"], "Category"), (report["by_band"], "Score")):
        print_table(
            [
                {**row, "rate": f"{row['win_rate']:.0%}", "range": f"{row['least']:.0%} to {row['most']:.0%}"}
                for row in rows
            ],
            {"group": heading, "won": "Won", "lost": "Lost", "rate": "Win rate", "range": "95 % range"},
        )
    for found in report["contradictions"]:
        say(f"{found['worse']} is won more often than {found['better']}, by more than chance explains.")


@rules_app.command("diff")
def compare_rules(
    file: Annotated[Path, typer.Argument(help="The new rules file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Tell how many leads would change category under new rules. Nothing is written."""
    from hunter_orchestration.scoring.rules import read_rules
    from hunter_orchestration.scoring.what_if import difference

    with errors_told():
        new = read_rules(file)
        found = difference(opened_store(), new)
    rows = [
        {"from": before, "to": then, "leads": count}
        for (before, then), count in sorted(found.table.items())
        if before != then
    ]
    if as_json:
        print_json(
            {
                "leads": found.leads,
                "changed_category": found.changed_category,
                "changed_score": found.changed_score,
                "table": rows,
            }
        )
        return
    say(
        f"Of {found.leads} leads, {found.changed_category} would change category and {found.changed_score} score "
        f"under version {new.version}."
    )
    if rows:
        print_table(rows, {"from": "From", "to": "To", "leads": "Leads"})
