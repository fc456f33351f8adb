"""Running Hunter: its database, its processes, its health."""

from __future__ import annotations

import typer

from hunter_orchestration.commands.console import errors_told, opened_store, say

database = typer.Typer(help="Hunter's own database.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""
    app.add_typer(database, name="db")


@database.command("upgrade")
def upgrade_database() -> None:
    """Bring the database to the newest schema."""
    with errors_told():
        store = opened_store()
        say(f"{store.shown_url} is at the newest schema.")
