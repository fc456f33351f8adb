"""What every command prints with: JSON lines for programs, tables and progress for people, one error form for both."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from hunter_orchestration.errors import HunterError
from hunter_orchestration.settings import Settings, SettingsError, load_settings
from hunter_orchestration.store.engine import Store, StoreError
from hunter_orchestration.store.types import encode_json

FAILED = 1
"""Exit status when the command could not do what was asked."""
_FILE_WIDTH = 240
_TELL_EVERY = 5.0
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""


def actor() -> str:
    """Who gives the command, as trails of deeds keep it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "command line"


def print_json(value: Any) -> None:
    """One JSON line on standard output, flushed, so that a pipe sees it at once."""
    sys.stdout.write(encode_json(value) + "\n")
    sys.stdout.flush()


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """A table for a person; ``columns`` maps keys of the rows to headings."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading)
    for row in rows:
        table.add_row(*("" if row.get(key) is None else str(row[key]) for key in columns))
    # A file or a pipe has no width of its own; folding cells to 80 columns would tear words and ids apart.
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(table)


def say(text: str) -> None:
    """A line for a person, on standard error, so that standard output stays data."""
    typer.echo(text, err=True)


@contextmanager
def errors_told() -> Iterator[None]:
    """Turn Hunter's own errors into one sentence and exit status 1; anything else is a defect and shows as one."""
    try:
        yield
    except (HunterError, SettingsError, StoreError) as error:
        say(f"hunter: {error}")
        raise typer.Exit(FAILED) from None


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yields ``report(done, total)``: a bar on a terminal, a plain line now and then elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
        ) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    told = time.monotonic() - _TELL_EVERY

    def report(done: int, total: int | None) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_EVERY or (total is not None and done >= total):
            told = time.monotonic()
            say(f"{label}: {done:,}" + (f" of {total:,}" if total else ""))

    yield report


def opened_store(settings: Settings | None = None) -> Store:
    """The store at its newest schema version."""
    from hunter_orchestration.store.migrate import upgrade

    store = Store((settings or load_settings()).store_url)
    upgrade(store)
    return store
