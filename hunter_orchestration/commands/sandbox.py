"""``hunter sandbox``: local stand-ins for Partner Center, Entra ID, Dynamics, DNS and RDAP."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hunter_orchestration.commands.console import errors_told, print_json


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""

    @app.command()
    def sandbox(
        port_base: Annotated[int, typer.Option(min=1, max=65_000, help="N: HTTP on N, DNS on N+53, control on N+80.")],
        companies: Annotated[int, typer.Option(min=1, max=4_000_000, help="Companies at the start.")] = 500,
        seed: Annotated[int, typer.Option(min=0, help="Everything follows from it.")] = 1,
        live: Annotated[bool, typer.Option("--live", help="Let referrals arrive and change by themselves.")] = False,
        now: Annotated[str | None, typer.Option(help="Time its clock starts at, ISO 8601.")] = None,
        state: Annotated[Path | None, typer.Option(help="Folder that keeps its changes between starts.")] = None,
    ) -> None:
        """Play Partner Center, Entra ID, Dynamics, DNS and RDAP on loopback; prints its addresses as one JSON line."""
        from dataclasses import asdict

        from hunter_orchestration.sandbox.server import Options, serve

        with errors_told():
            serve(
                Options(port_base, companies, seed, _time(now), live, state),
                lambda addresses: print_json(asdict(addresses)),
            )


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time; write e.g. 2026-11-24T09:00:00Z") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
