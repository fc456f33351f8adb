"""``hunter doctor``: everything Hunter needs, looked at one by one, each with a sentence and what to do.

Nothing is changed: no migration, no sign-in by a person, no write to Dynamics. A check answers within seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from hunter_orchestration.commands import doctor_machine as machine
from hunter_orchestration.commands import doctor_services as services
from hunter_orchestration.commands.console import FAILED, print_json, say
from hunter_orchestration.commands.findings import Check, Finding
from hunter_orchestration.errors import HunterError
from hunter_orchestration.settings import Settings, SettingsError, load_settings
from hunter_orchestration.store.engine import StoreError

_DAMAGED = "Its file is damaged, no database, or another user's: see its owner, or put a backup in its place."
CHECKS: dict[str, Check] = {
    "home": machine.check_home,
    "database": machine.check_database,
    "ports": machine.check_ports,
    "dagster.yaml": services.check_instance,
    "dagster": services.check_dagster,
    "clock": services.check_clock,
    "resolvers": services.check_resolvers,
    "sign-in": services.check_sign_in,
    "dynamics": services.check_dynamics,
    "files": machine.check_files,
    "page": machine.check_page,
}
"""In the order in which they matter."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a check.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help=f"One of {', '.join(CHECKS)}; may be repeated.")
    ] = None,
) -> None:
    """Check everything Hunter needs and say how to mend it. Exit status 1 when something stops it."""
    chosen = only or list(CHECKS)
    if unknown := [name for name in chosen if name not in CHECKS]:
        raise typer.BadParameter(f"{', '.join(unknown)} is none of {', '.join(CHECKS)}.", param_hint="--only")
    findings = []
    for finding in examine(chosen):
        findings.append(finding)
        if as_json:
            print_json(asdict(finding))
        else:
            mark = {"ok": "  ok  ", "warning": " warn ", "problem": " STOP "}[finding.state]
            print(
                f"[{mark}] {finding.name}: {finding.sentence}" + (f"\n         → {finding.fix}" if finding.fix else "")
            )
    problems = sum(finding.state == "problem" for finding in findings)
    warnings = sum(finding.state == "warning" for finding in findings)
    if not as_json:
        say(f"{len(findings)} checks, {problems} to mend, {warnings} to look at.")
    if problems:
        raise typer.Exit(FAILED)


def examine(chosen: Collection[str] = tuple(CHECKS)) -> Iterator[Finding]:
    """The findings of these checks, in the order in which they matter."""
    yield machine.check_python()
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Finding("settings", "problem", str(error), "Mend the named settings in .env or the environment.")
        return
    demo = " Services are those of the demo." if settings.demo else ""
    yield Finding("settings", "ok", f"Every setting can be read.{demo}")
    for name, check in CHECKS.items():
        if name in chosen:
            yield from _looked(name, check, settings)


def _looked(name: str, check: Check, settings: Settings) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except HunterError as error:
        yield Finding(name, "problem", error.message, error.fix)
    except StoreError as error:
        embedded = settings.store_url.startswith("sqlite:")
        fix = _DAMAGED if embedded else "Check HUNTER_DATABASE_URL and that its server runs."
        # The store's own sentence ends by naming this command.
        yield Finding(name, "problem", str(error).partition(" Check that")[0], fix)
