"""Running Hunter: its processes, its database, its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hunter_orchestration.commands.backfill import backfill, runs
from hunter_orchestration.commands.console import errors_told, opened_store, print_json, progress, say
from hunter_orchestration.commands.doctor import doctor
from hunter_orchestration.commands.doctor_machine import page_answers
from hunter_orchestration.commands.soak import soak
from hunter_orchestration.settings import load_settings

database = typer.Typer(help="Hunter's own database.", no_args_is_help=True)
_Json = Annotated[bool, typer.Option("--json", help="One JSON value instead of words.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""
    app.command("up")(up)
    app.command("doctor")(doctor)
    app.command("backfill")(backfill)
    app.command("runs")(runs)
    app.command("soak")(soak)
    app.add_typer(database, name="db")


def up() -> None:
    """Start Hunter: page, API, Dagster, and in demo mode the sandbox. Ctrl-C or SIGTERM ends everything."""
    from hunter_orchestration.commands.demo import is_demo
    from hunter_orchestration.commands.launcher import launch

    with errors_told():
        settings = load_settings()
        if is_demo(settings):
            say("No Microsoft credentials are set (HUNTER_CLIENT_ID): starting in demo mode with invented data.")
        raise typer.Exit(launch(settings))


@database.command("upgrade")
def upgrade_database() -> None:
    """Bring the database to the newest schema."""
    with errors_told():
        store = opened_store()
        say(f"{store.shown_url} is at the newest schema.")


@database.command("copy")
def copy_database(
    to: Annotated[str, typer.Option("--to", metavar="URL", help="An empty database, e.g. postgresql+psycopg2://…")],
    as_json: _Json = False,
) -> None:
    """Copy everything into an empty database, SQLite or PostgreSQL, and compare every row. Stop Hunter first.

    Either everything arrives or nothing does. Then set HUNTER_DATABASE_URL to the new address.
    """
    with errors_told():
        from hunter_orchestration.store import Store
        from hunter_orchestration.store.copying import copy

        settings = load_settings()
        if page_answers(settings):
            say(
                f"Hunter runs here (port {settings.api_port}): what it writes from now on is not in the copy. "
                "Stop it and copy again before you change over."
            )
        source, target = opened_store(settings), Store(to)
        with progress("rows") as report:
            copied = copy(source, target, report)
        if as_json:
            print_json({"from": source.shown_url, "to": target.shown_url, "rows": copied})
        else:
            say(f"{sum(copied.values())} rows of {len(copied)} tables are in {target.shown_url}, each compared.")


@database.command("backup")
def back_up_database(file: Annotated[Path, typer.Argument(help="A file that does not exist yet.")]) -> None:
    """Copy the SQLite database into a file while Hunter works."""
    with errors_told():
        from hunter_orchestration.store import Store
        from hunter_orchestration.store.copying import backup

        with progress("pages") as report:
            size = backup(Store(load_settings().store_url), file, report)
        say(f"{file} holds {size / 1e6:.1f} MB, checked.")
