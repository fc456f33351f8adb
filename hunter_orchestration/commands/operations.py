"""Running Hunter: its processes and its database."""

from __future__ import annotations

import typer

from hunter_orchestration.commands.console import errors_told, opened_store, say
from hunter_orchestration.settings import load_settings

database = typer.Typer(help="Hunter's own database.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""
    app.command("up")(up)
    app.add_typer(database, name="db")


def up() -> None:
    """Start Hunter: page, API, Dagster, and in demo mode the sandbox. Ctrl-C or SIGTERM ends everything."""
    from hunter_orchestration.commands.launcher import is_demo, launch

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
