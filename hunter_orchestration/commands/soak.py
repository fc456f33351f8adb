"""``hunter soak``: kill -9 under load."""

from __future__ import annotations

from typing import Annotated

import typer

from hunter_orchestration.commands.console import FAILED, errors_told, print_json, print_table, say


def soak(
    minutes: Annotated[float, typer.Option(min=0, help="How long to go on killing.")] = 10,
    seconds: Annotated[float, typer.Option(min=0, help="The same in seconds, added to the minutes.")] = 0,
    companies: Annotated[int, typer.Option(min=1, max=100_000, help="Companies in the invented world.")] = 100,
    database: Annotated[str, typer.Option(help="An empty database to use. Empty: SQLite.")] = "",
    restart_database: Annotated[
        str, typer.Option(help="A command that ends the database's server hard and starts it again; taken in turn too.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Kill Hunter's processes in turn while referrals change, then check that nothing is lost or doubled."""
    from hunter_orchestration.commands.soaking import run

    with errors_told():
        report = run(minutes * 60 + seconds, companies, database, restart_database)
    wrong = report["wrong"]
    if as_json:
        print_json(report)
    else:
        print_table(
            [{"kind": kind, **times} for kind, times in report["recovery_seconds"].items()],
            {"kind": "Process", "killed": "Killed", "median": "Back after, s (median)", "worst": "worst"},
        )
        say(f"{report['changes']} changes came meanwhile. " + ("\n".join(wrong) or "Nothing is lost, nothing doubled."))
    if wrong:
        raise typer.Exit(FAILED)
