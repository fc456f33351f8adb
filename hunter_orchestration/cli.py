"""The ``hunter`` command: puts the subcommands of the rooms together."""

from __future__ import annotations

import importlib
import sys

import typer

_ALONE = ("up", "sandbox", "soak")
"""Commands that start services of their own."""
_ROOMS = ("operations", "sandbox", "referrals", "companies", "scanning", "scoring", "dynamics")

app = typer.Typer(
    name="hunter",
    help="Hunter, the lead engine: referrals in, companies scanned and scored, Dynamics 365 kept true.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _begin(context: typer.Context) -> None:
    """Hunter, the lead engine: referrals in, companies scanned and scored, Dynamics 365 kept true."""
    if context.invoked_subcommand not in _ALONE and "--help" not in sys.argv:
        from hunter_orchestration.commands.demo import join

        join()


def _assemble() -> None:
    for room in _ROOMS:
        importlib.import_module(f"hunter_orchestration.commands.{room}").register(app)


def main() -> None:
    """Entry point of the ``hunter`` command."""
    _assemble()
    app()
