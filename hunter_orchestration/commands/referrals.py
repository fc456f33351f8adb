"""Commands of the room ``partner_center``: sign-in, sync, referrals, quarantine, webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from hunter_orchestration.store.work import Progress, Window

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines instead of a table.")]
_DAY = "%Y-%m-%d"


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""
    app.command("login")(login)
    referrals = typer.Typer(name="referrals", help="Referrals of Partner Center.", no_args_is_help=True)
    referrals.command("sync")(sync)
    referrals.command("list")(list_referrals)
    app.add_typer(referrals)
    quarantine = typer.Typer(name="quarantine", help="Rows that could not be understood.", no_args_is_help=True)
    quarantine.command("list")(quarantine_list)
    quarantine.command("show")(quarantine_show)
    quarantine.command("retry")(quarantine_retry)
    app.add_typer(quarantine)
    webhooks = typer.Typer(name="webhooks", help="Partner Center's signed events.", no_args_is_help=True)
    webhooks.command("register")(webhooks_register)
    app.add_typer(webhooks)


def login(
    status: Annotated[bool, typer.Option("--status", help="Only tell who is signed in and how long it holds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Sign in to Partner Center with a code typed in a browser."""
    from dataclasses import asdict

    from hunter_orchestration.partner_center import sign_in
    from hunter_orchestration.partner_center.client import PartnerCenterClient
    from hunter_orchestration.settings import load_settings

    with errors_told():
        settings = load_settings()
        if not status:
            sign_in.login(settings, _show_code)
            client = PartnerCenterClient(settings, sign_in.Tokens(settings))
            for page in client.list_referrals():
                sign_in.note_sees(settings, page.rows)
                break
        found = sign_in.sign_in_status(settings)
    if as_json:
        print_json(asdict(found))
    else:
        for line in _told(found):
            typer.echo(line)
    if not found.signed_in:
        raise typer.Exit(FAILED)


def _show_code(code: Any) -> None:
    say(f"Open {code.address} and enter the code {code.code} (valid until {code.expires_at:%H:%M} UTC). Waiting …")


def _told(status: Any) -> list[str]:
    if not status.signed_in:
        return [status.problem or "Nobody is signed in."]
    scope = {"all": "sees all referrals", "own": "sees only its own referrals", "unknown": "sees an unknown share"}
    lines = [f"Signed in as {status.account or 'an application'} by {status.method.replace('_', ' ')}."]
    lines.append(f"The account {scope[status.sees]} of Partner Center.")
    if status.sees == "own":
        lines.append("Give it the role Referrals Admin, or referrals of colleagues stay unseen.")
    if status.holds_until:
        lines.append(f"Without use it holds until {status.holds_until:%Y-%m-%d}, {status.days_left} days from now.")
    return lines


def sync(
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day, YYYY-MM-DD, UTC.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included; default today.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch referrals and read them, here and now. With days given, those that last changed on them."""
    from hunter_orchestration.companies.erasure import scrubber
    from hunter_orchestration.partner_center.client import PartnerCenterClient
    from hunter_orchestration.partner_center.ingestion import fetch
    from hunter_orchestration.partner_center.reading import read_referrals
    from hunter_orchestration.partner_center.sign_in import Tokens
    from hunter_orchestration.settings import load_settings
    from hunter_orchestration.store.runs import recorded

    window = _window(first, last)
    with errors_told():
        settings = load_settings()
        store = opened_store(settings)
        client = PartnerCenterClient(settings, Tokens(settings))
        with progress("fetching") as report, recorded(store, "raw_leads", requested_by=actor()) as noted:
            fetched = fetch(
                store,
                client,
                window=window,
                overlap_minutes=settings.partner_center_overlap_minutes,
                progress=_both(report, noted.told),
                scrub=scrubber(store),
            )
            noted.counts.update(fetched.counts)
        with progress("reading") as report, recorded(store, "referrals", requested_by=actor()) as noted:
            taken = read_referrals(store, window=window, progress=_both(report, noted.told))
            noted.counts.update(taken.counts)
        store.close()
    if as_json:
        print_json({"raw_leads": fetched.counts, "referrals": taken.counts, "facts": fetched.facts | taken.facts})
    else:
        stages: list[Mapping[str, Any]] = [
            {"stage": name} | result.counts for name, result in (("fetched", fetched), ("read", taken))
        ]
        names = ("stage", "fetched", "picked", "stored", "unchanged", "superseded", "quarantined")
        print_table(stages, {name: name for name in names})
    if fetched.facts.get("sudden_drop"):
        say(f"hunter: {fetched.facts['sudden_drop_detail']}")
        raise typer.Exit(FAILED)


def _both(first: Progress, second: Progress) -> Progress:
    """One report for the terminal and for the page."""

    def report(done: int, total: int | None) -> None:
        first(done, total)
        second(done, total)

    return report


def _window(first: str | None, last: str | None) -> Window | None:
    from hunter_orchestration.store.work import Window

    if first is None:
        if last is not None:
            raise typer.BadParameter("--to needs --from.")
        return None
    start = _day(first)
    end = _day(last) if last else datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if end < start:
        raise typer.BadParameter("the last day lies before the first.")
    return Window(start, end + timedelta(days=1))


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, _DAY).replace(tzinfo=UTC)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write YYYY-MM-DD.") from None


_LIST_COLUMNS = {
    "changed": "changed (UTC)",
    "standing": "status",
    "category": "category",
    "company": "company",
    "domain": "domain",
    "deal": "deal",
    "answer_by": "answer by (UTC)",
    "id": "id",
}
_MINUTE = "%Y-%m-%d %H:%M"


def _line(row: Mapping[Any, Any]) -> dict[str, Any]:
    value = row["deal_value"]
    return {
        "changed": f"{row['updated_at']:{_MINUTE}}",
        "standing": f"{row['status']}/{row['substatus']}",
        "category": row["category"],
        "company": row["company_name"],
        "domain": row["company_domain"] or (f"none ({row['domain_rejected']})" if row["domain_rejected"] else None),
        "deal": None if value is None else f"{value.normalize():,f} {row['currency'] or ''}".strip(),
        "answer_by": f"{row['expires_at']:{_MINUTE}}" if row["expires_at"] else None,
        "id": row["id"],
    }


def list_referrals(
    status: Annotated[str | None, typer.Option(help="New, Active or Closed.")] = None,
    category: Annotated[str | None, typer.Option(help="co_sell, marketplace, solution_provider …")] = None,
    expiring: Annotated[int | None, typer.Option(help="Only those that expire within so many days.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List referrals, last changed first."""
    from hunter_orchestration.store import referrals

    with errors_told():
        store = opened_store()
        shown = 0
        table: list[Any] = []
        before: tuple[datetime, str] | None = None
        while shown < limit:
            size = min(500, limit - shown)
            with store.read() as connection:
                if expiring is not None:
                    rows = referrals.expiring(connection, datetime.now(UTC), expiring, limit)
                else:
                    rows = referrals.listed(connection, status=status, category=category, before=before, limit=size)
            if as_json:
                for row in rows:
                    print_json(dict(row))
            else:
                table += [_line(row) for row in rows]
            shown += len(rows)
            if expiring is not None or len(rows) < size:
                break
            before = (rows[-1]["updated_at"], rows[-1]["id"])
        if table:
            print_table(table, _LIST_COLUMNS)
        elif not as_json:
            say("No referral is like that.")
        store.close()


def quarantine_list(
    state: Annotated[str, typer.Option(help="open, resolved, discarded or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List what could not be understood, and why."""
    from hunter_orchestration.store import quarantine

    with errors_told():
        store = opened_store()
        with store.read() as connection:
            rows = quarantine.listed(connection, state=None if state == "all" else state, limit=limit)
        if as_json:
            for row in rows:
                print_json(dict(row))
        elif not rows:
            say("Nothing is in quarantine." if state == "open" else "Nothing is like that.")
        else:
            columns = ("id", "source", "external_id", "state", "reason", "detail", "attempts")
            print_table([dict(row) for row in rows], {name: name for name in columns})
        store.close()


def quarantine_show(entry_id: Annotated[int, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Show one entry with its whole payload."""
    from hunter_orchestration.errors import PermanentError
    from hunter_orchestration.store import quarantine

    with errors_told():
        store = opened_store()
        with store.read() as connection:
            entry = quarantine.one(connection, entry_id)
        store.close()
        if entry is None:
            raise PermanentError(f"There is no quarantine entry {entry_id}.", "See hunter quarantine list.")
        if as_json:
            print_json(entry)
            return
        import json

        payload = entry.pop("payload")
        print_table([{"what": name, "value": value} for name, value in entry.items()], {"what": "", "value": ""})
        typer.echo(json.dumps(payload, ensure_ascii=False, indent=2))


def quarantine_retry(
    entry_ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]…")] = None, as_json: AsJson = False
) -> None:
    """Read entries again: those given, or all that are open."""
    from hunter_orchestration.partner_center.reading import read_referrals
    from hunter_orchestration.store import quarantine

    with errors_told():
        store = opened_store()
        with store.write() as connection:
            waiting = quarantine.retry(connection, entry_ids or None)
        counts = read_referrals(store).counts if waiting else {}
        store.close()
    if as_json:
        print_json({"retried": waiting, **counts})
    else:
        typer.echo(f"{waiting} read again: {counts.get('resolved', 0)} understood now.")


def webhooks_register(
    address: Annotated[
        str | None, typer.Option("--url", help="Receiver's address; default below HUNTER_PUBLIC_URL.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask Partner Center to send its events here. Its latest registration wins."""
    from hunter_orchestration.partner_center import webhooks
    from hunter_orchestration.partner_center.sign_in import Tokens
    from hunter_orchestration.settings import load_settings

    with errors_told():
        settings = load_settings()
        target = address or f"{settings.page_url}/api/v1/webhooks/partner-center"
        tokens = Tokens(settings, audience=webhooks.audience(settings))
        done = webhooks.register(settings, tokens, target)
    if as_json:
        print_json(done)
    else:
        typer.echo(f"Partner Center sends {', '.join(done['events'])} to {done['address']}.")
