"""Commands of the room ``dynamics``."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""
