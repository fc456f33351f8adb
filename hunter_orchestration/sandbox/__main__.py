"""``python -m hunter_orchestration.sandbox``: the command ``hunter sandbox`` without the rest of Hunter."""

from __future__ import annotations

import typer

from hunter_orchestration.commands.sandbox import register

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
register(app)
app()
