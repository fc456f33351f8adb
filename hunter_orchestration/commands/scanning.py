"""Commands of the room ``scanning``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hunter_orchestration.commands.console import FAILED, errors_told, opened_store, print_json, say

if TYPE_CHECKING:
    from hunter_orchestration.scanning.engine import Engine
    from hunter_orchestration.settings import Settings
    from hunter_orchestration.store import Store

_PAGE = 500


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""

    @app.command()
    def scan(
        domains: Annotated[list[str] | None, typer.Argument(help="Domains, addresses or URLs of companies.")] = None,
        file: Annotated[
            Path | None, typer.Option("--file", "-f", help="A file with one domain a line; - reads standard input.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="A JSON line a domain, as soon as it is ready.")] = False,
        dns: Annotated[
            list[str] | None, typer.Option("--dns", help="Resolver as IP or IP:PORT; the store is left alone.")
        ] = None,
        force: Annotated[bool, typer.Option("--force", help="Scan again although the last scan is fresh.")] = False,
        extended: Annotated[
            bool, typer.Option("--extended", help="Also registration, tenant, mail transport, DNSSEC and network.")
        ] = False,
    ) -> None:
        """Tell what a company's domain shows: who holds its mail, how well it is secured, what stayed unknown.

        Without --dns, a scan that is still fresh in the store is shown again, and what known companies show is kept.
        """
        with errors_told():
            from hunter_orchestration.settings import load_settings

            if not domains and file is None:
                raise typer.BadParameter("Name a domain, or a file with --file.")
            settings = load_settings(**({"dns_servers": dns} if dns else {}))
            store = None if dns else opened_store(settings)
            inputs = _Inputs(domains or [], file)
            for findings in _scanned(settings, store, inputs, force=force, extended=extended):
                if as_json:
                    print_json(findings)
                else:
                    from hunter_orchestration.commands.scan_card import print_card

                    print_card(findings)
            if inputs.rejected and not inputs.accepted:
                raise typer.Exit(FAILED)


class _Inputs:
    """The domains asked for, normalised; what is none is told and passed over."""

    def __init__(self, given: list[str], file: Path | None) -> None:
        self.given = given
        self.file = file
        self.accepted = self.rejected = 0

    def __iter__(self) -> Iterator[str]:
        from hunter_orchestration.companies.domains import company_domain

        for text in self._texts():
            answer = company_domain(text)
            if answer.domain is None:
                self.rejected += 1
                say(f"hunter: {text[:100]!r} is no company's domain ({answer.rejected}).")
            else:
                self.accepted += 1
                yield answer.domain

    def _texts(self) -> Iterator[str]:
        yield from self.given
        if self.file is None:
            return
        from hunter_orchestration.errors import PermanentError

        try:
            with (
                nullcontext(sys.stdin)
                if str(self.file) == "-"
                else self.file.open(encoding="utf-8-sig", errors="replace") as lines
            ):
                for line in lines:
                    text = line.strip()
                    if text and not text.startswith("#"):
                        yield text
        except OSError as error:
            raise PermanentError(f"{self.file} can't be read: {error.strerror}.", "Name a text file.") from None


def _scanned(
    settings: Settings, store: Store | None, domains: Iterable[str], *, force: bool, extended: bool
) -> Iterator[dict[str, Any]]:
    from hunter_orchestration.scanning.scanner import engine_of, scan_domains

    told = 0
    looked_up: dict[str, dict[str, Any]] = {}
    with engine_of(settings) as engine:
        if store is None:
            stream: Iterable[dict[str, Any]] = scan_domains(engine, domains)
        else:
            stream = _with_store(settings, store, engine, domains, force, looked_up)
        for findings in stream:
            if extended:
                from hunter_orchestration.scanning.extended import details_of
                from hunter_orchestration.scanning.rows import settled

                details = details_of(settings, findings)
                if store is not None:
                    looked_up[findings["domain"]] = details
                tenant_id = details["tenant"]["facts"].get("tenant_id") or findings["tenant_id"]
                findings = settled(findings, tenant_id) or findings
                findings = findings | {"extended": details, "tenant_id": tenant_id}
            told += 1
            yield findings
        if engine.lookups and not any(resolver.answered for resolver in engine.resolvers):
            from hunter_orchestration.scanning.stage import DeadResolverError

            raise DeadResolverError(told, told, [resolver.label for resolver in engine.resolvers])


def _with_store(
    settings: Settings,
    store: Store,
    engine: Engine,
    domains: Iterable[str],
    force: bool,
    looked_up: dict[str, dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Findings, fresh ones from the store. What the caller ``looked_up`` of a page is kept with its scans."""
    from hunter_orchestration.scanning import extended
    from hunter_orchestration.scanning.scanner import scan_domains
    from hunter_orchestration.scanning.stage import keep, stored_fresh
    from hunter_orchestration.store.upsert import chunks

    for page in chunks(domains, _PAGE):
        known = {} if force else stored_fresh(store, page)
        yield from known.values()
        batch = []
        for findings in scan_domains(engine, (domain for domain in page if domain not in known)):
            batch.append(findings)
            yield findings
        if batch:
            keep(store, settings, engine, batch)
        if looked_up:
            extended.keep(store, looked_up)
            looked_up.clear()
