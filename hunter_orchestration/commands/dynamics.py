"""Commands of the room ``dynamics``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from hunter_orchestration.commands.console import (
    FAILED,
    actor,
    errors_told,
    opened_store,
    print_json,
    print_table,
    progress,
    say,
)
from hunter_orchestration.commands.dynamics_printing import print_plan, print_refused, print_result, print_rows
from hunter_orchestration.store import Store

_Json = Annotated[bool, typer.Option("--json", help="One JSON value instead of a table.")]
_Domains = Annotated[list[str] | None, typer.Option("--domain", "-d", help="Only this company; may be repeated.")]
_Since = Annotated[
    datetime | None, typer.Option("--since", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Changed since, in UTC.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""
    dynamics = typer.Typer(name="dynamics", help="Dynamics 365: check, plan, push, read back.", no_args_is_help=True)
    _organisation(dynamics)
    _sync(dynamics)
    _people(dynamics)
    _closing(dynamics)
    app.add_typer(dynamics)


def _organisation(app: typer.Typer) -> None:
    @app.command()
    def check(as_json: _Json = False) -> None:
        """Look whether the organisation can hold what the mapping writes; nothing is written."""
        with errors_told():
            from hunter_orchestration.dynamics import preflight, session
            from hunter_orchestration.dynamics.mapping import load_mapping
            from hunter_orchestration.settings import load_settings
            from hunter_orchestration.store import runs

            settings = load_settings()
            loaded = load_mapping(settings.mapping_file)
            store = opened_store(settings)
            with store.read() as connection:
                known = runs.read_watermark(connection, session.SOURCE, "organisation")
            with session.connected(settings) as client:
                report = preflight.check(client, loaded, known)
            if as_json:
                print_json(report.as_dict())
            else:
                rows = [
                    {
                        **f,
                        "where": f"{f['table']}.{f['field']}",
                        "type": f"{f['type'] or ''} {f['length'] or ''}".strip(),
                    }
                    for f in report.fields
                ]
                print_table(rows, {"where": "Field", "type": "Type", "rule": "Rule", "state": "State"})
                for finding in report.findings:
                    say(f"{finding.level}: {finding.table} {finding.field}: {finding.problem}. {finding.fix}")
                say("Ready to push." if report.ready else "Not ready: nothing will be pushed.")
            if not report.ready:
                raise typer.Exit(FAILED)

    @app.command()
    def setup(
        move: Annotated[
            bool, typer.Option("--move", help="The ledger belongs to another organisation: start anew.")
        ] = False,
        as_json: _Json = False,
    ) -> None:
        """Create Hunter's columns and keys in the organisation, and wait until they work. Safe to repeat."""
        with errors_told():
            from hunter_orchestration.dynamics import session
            from hunter_orchestration.dynamics.setup import set_up
            from hunter_orchestration.settings import load_settings
            from hunter_orchestration.store import crm, runs

            settings = load_settings()
            store = opened_store(settings)
            with session.connected(settings) as client:
                done = set_up(client, say if not as_json else lambda _line: None)
                organisation = str(client.get("WhoAmI")["OrganizationId"])
            with store.write() as connection:
                known = runs.read_watermark(connection, session.SOURCE, "organisation")
                if move and known not in (None, organisation):
                    crm.forget_organisation(connection)
                    runs.write_watermark(connection, session.SOURCE, "organisation", organisation)
            if as_json:
                print_json({"done": done})
            else:
                say(f"{len(done)} thing(s) done." if done else "Everything was there.")


def _sync(app: typer.Typer) -> None:
    @app.command()
    def plan(domain: _Domains = None, since: _Since = None, as_json: _Json = False) -> None:
        """Show what a push would create, update and leave alone, old and new value per field; nothing is written."""
        with errors_told():
            from hunter_orchestration.dynamics import stage
            from hunter_orchestration.settings import load_settings

            settings = load_settings()
            store = opened_store(settings)
            rows = stage.plan(store, settings, domains=_companies(store, domain), since=_utc(since))
            if as_json:
                print_json(rows)
                return
            print_plan(rows)

    @app.command()
    def push(
        domain: _Domains = None,
        since: _Since = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only.")] = False,
        force: Annotated[bool, typer.Option("--force", help="Also try rejected records again.")] = False,
        as_json: _Json = False,
    ) -> None:
        """Push what is due, or some companies."""
        with errors_told():
            from hunter_orchestration.dynamics import stage
            from hunter_orchestration.settings import load_settings
            from hunter_orchestration.store import runs

            settings, window = load_settings(), _window(since)
            store = opened_store(settings)
            named = _companies(store, domain)
            with progress("pushed") as report:
                options: dict[str, Any] = {"domains": named, "window": window, "dry_run": dry_run, "force": force,
                                           "actor": actor(), "progress": report}  # fmt: skip
                if dry_run:
                    result = stage.push(store, settings, **options)
                else:
                    with runs.recorded(store, "dynamics_records", requested_by=actor()) as recorded:
                        result = stage.push(store, settings, **options)
                        recorded.counts.update(result.counts)
            print_result(result.counts, result.facts, as_json)

    @app.command()
    def pull(as_json: _Json = False) -> None:
        """Read back what people did in the CRM: edits, wins, losses, merges, deletions."""
        with errors_told():
            from hunter_orchestration.dynamics import stage
            from hunter_orchestration.settings import load_settings
            from hunter_orchestration.store import runs

            settings = load_settings()
            store = opened_store(settings)
            with runs.recorded(store, "dynamics_changes", requested_by=actor()) as recorded:
                result = stage.pull(store, settings, actor=actor())
                recorded.counts.update(result.counts)
            print_result(result.counts, result.facts, as_json)

    @app.command()
    def reconcile(
        mend: Annotated[bool, typer.Option("--mend", help="Correct the ledger and push what is missing next.")] = False,
        as_json: _Json = False,
    ) -> None:
        """Compare what Hunter claims with what the CRM holds; exit status 1 when they differ."""
        with errors_told():
            from hunter_orchestration.dynamics import stage
            from hunter_orchestration.settings import load_settings
            from hunter_orchestration.store import runs

            settings = load_settings()
            store = opened_store(settings)
            with runs.recorded(store, "dynamics_differences", requested_by=actor()) as recorded:
                result = stage.reconcile(store, settings, mend=mend, actor=actor())
                recorded.counts.update(result.counts)
            print_result(result.counts, result.facts, as_json)
            if result.counts["differences"] > result.counts["mended"]:
                raise typer.Exit(FAILED)


def _people(app: typer.Typer) -> None:
    @app.command()
    def rejects(
        retry: Annotated[bool, typer.Option("--retry", help="Have the next push try them again.")] = False,
        domain: _Domains = None,
        limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
        as_json: _Json = False,
    ) -> None:
        """List records that the CRM rejected or somebody deleted there, with the reason and what to do."""
        with errors_told():
            from hunter_orchestration.dynamics import decisions
            from hunter_orchestration.store import crm

            store = opened_store()
            with store.read() as connection:
                rows = [
                    dict(r) for r in crm.listed(connection, ["rejected", "deleted_in_crm"], limit=limit, domains=domain)
                ]
            if retry:
                count = decisions.retry(store, domain, actor=actor())
                say(f"{count} company(ies) will be tried again.")
            print_json(rows) if as_json else print_refused(rows)

    @app.command()
    def conflicts(
        choose: Annotated[
            list[str] | None, typer.Option("--choose", help="TABLE:KEY=GUID, or =new to have a new one made.")
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
        as_json: _Json = False,
    ) -> None:
        """List records that several rows of the CRM may be, or choose one."""
        with errors_told():
            from hunter_orchestration.dynamics import decisions
            from hunter_orchestration.settings import load_settings
            from hunter_orchestration.store import crm

            settings = load_settings()
            store = opened_store(settings)
            for choice in choose or ():
                identity, _, crm_id = choice.partition("=")
                table, _, key = identity.partition(":")
                if not crm_id or not key:
                    raise typer.BadParameter("Write TABLE:KEY=GUID or TABLE:KEY=new.")
                chosen = None if crm_id == "new" else crm_id
                decisions.resolve_conflict(store, settings, table, key, chosen, actor=actor())
                say(f"{table} {key}: the next push uses {crm_id}.")
            with store.read() as connection:
                rows = [dict(r) for r in crm.listed(connection, ["conflict"], limit=limit)]
            print_json(rows) if as_json else print_refused(rows)

    @app.command()
    def audit(
        domain: Annotated[str | None, typer.Option("--domain", "-d")] = None,
        table: Annotated[str | None, typer.Option(help="account, contact, lead or opportunity.")] = None,
        outcome: Annotated[
            str | None, typer.Option(help="sent, confirmed, recovered, rejected, deferred or unknown.")
        ] = None,
        since: _Since = None,
    ) -> None:
        """Export the audit of every attempt on every company, a JSON line each."""
        with errors_told():
            from hunter_orchestration.store import crm

            store, after = opened_store(), 0
            chosen: dict[str, Any] = {"domain": domain, "table": table, "outcome": outcome, "since": _utc(since)}
            while True:
                with store.read() as connection:
                    entries = crm.audit_entries(connection, beyond=after, **chosen)
                if not entries:
                    return
                for entry in entries:
                    print_json(dict(entry))
                after = entries[-1]["id"]

    @app.command()
    def qualify(domain: str, as_json: _Json = False) -> None:
        """Qualify a company's lead in the CRM."""
        with errors_told():
            from hunter_orchestration.dynamics import decisions
            from hunter_orchestration.settings import load_settings

            settings = load_settings()
            row = decisions.qualify(opened_store(settings), settings, domain, actor=actor())
            print_rows([row], {"external_id": "Lead", "crm_state": "State", "crm_id": "Id"}, as_json)

    @app.command()
    def merge(loser: str, winner: str, as_json: _Json = False) -> None:
        """Merge one company's account into another's in the CRM."""
        with errors_told():
            from hunter_orchestration.dynamics import decisions
            from hunter_orchestration.settings import load_settings

            settings = load_settings()
            row = decisions.merge_accounts(opened_store(settings), settings, loser, winner, actor=actor())
            print_rows([row], {"external_id": "Account", "state": "State", "crm_id": "Id"}, as_json)


def _closing(app: typer.Typer) -> None:
    def close(referral: str, won: bool, reason: str, as_json: bool) -> None:
        with errors_told():
            from hunter_orchestration.dynamics import decisions
            from hunter_orchestration.settings import load_settings

            settings = load_settings()
            row = decisions.close_opportunity(
                opened_store(settings), settings, referral, won=won, reason=reason, actor=actor()
            )
            print_rows([row], {"external_id": "Opportunity", "crm_state": "State", "crm_id": "Id"}, as_json)

    @app.command()
    def win(referral: str, reason: Annotated[str, typer.Option()] = "", as_json: _Json = False) -> None:
        """Close a referral's opportunity in the CRM as won."""
        close(referral, True, reason, as_json)

    @app.command()
    def lose(referral: str, reason: Annotated[str, typer.Option()] = "", as_json: _Json = False) -> None:
        """Close a referral's opportunity in the CRM as lost."""
        close(referral, False, reason, as_json)

    @app.command()
    def recreate(table: str, key: str, as_json: _Json = False) -> None:
        """Have the next push make a record again that somebody deleted in the CRM."""
        with errors_told():
            from hunter_orchestration.dynamics import decisions

            row = decisions.recreate(opened_store(), table, key, actor=actor())
            print_rows([row], {"table_name": "Table", "external_id": "Key", "state": "State"}, as_json)


def _window(since: datetime | None) -> Any:
    from datetime import timedelta

    from hunter_orchestration.store.work import Window, utc_now

    start = _utc(since)
    return Window(start, utc_now() + timedelta(days=1)) if start is not None else None


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None else None


def _companies(store: Store, named: list[str] | None) -> list[str] | None:
    """The domains of companies as the store has them, from what a person writes."""
    if not named:
        return None
    from hunter_orchestration.companies.domains import company_domain
    from hunter_orchestration.dynamics.decisions import NoSuchRecordError
    from hunter_orchestration.store import companies

    domains = [company_domain(text).domain or text for text in named]
    with store.read() as connection:
        unknown = set(domains) - companies.by_domain(connection, domains).keys()
    if unknown:
        shown = ", ".join(repr(domain) for domain in sorted(unknown))
        raise NoSuchRecordError(f"There is no company {shown}.", "Look it up with hunter companies list.")
    return domains
