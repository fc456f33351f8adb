"""Commands of the room ``companies``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from hunter_orchestration.commands.console import print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""
    app.command("domain", context_settings={"ignore_unknown_options": True})(domain)


def domain(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT…", help="Names, URLs or e-mail addresses.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line each.")] = False,
    company: Annotated[
        bool, typer.Option("--company", help="Also refuse mail providers and platforms, as imports do.")
    ] = False,
) -> None:
    """Tell which company domain a text names. Without TEXT, reads one text a line from standard input."""
    from hunter_orchestration.companies.domains import company_domain, domain_of_website

    answer_of = domain_of_website if company else company_domain
    # What a shell or a pipe passes on need not be UTF-8; the answer has to be.
    given: Iterable[bytes] = (os.fsencode(text) for text in texts) if texts else sys.stdin.buffer
    lines = (line.decode("utf-8", "replace").rstrip("\r\n") for line in given)
    rows = ({"input": text, "domain": (found := answer_of(text)).domain, "rejected": found.rejected} for text in lines)
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_table(list(rows), {"input": "Input", "domain": "Domain", "rejected": "Rejected"})
