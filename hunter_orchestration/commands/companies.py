"""Commands of the room ``companies``: domains, imports, companies and what people decide about them, erasure."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter_orchestration.commands.console import (
    actor,
    errors_told,
    opened_store,
    print_json,
    print_table,
    progress,
    say,
)

companies_app = typer.Typer(help="Companies, and what people decide about them.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``hunter``."""
    app.command("domain", context_settings={"ignore_unknown_options": True})(domain)
    app.command("import")(import_file)
    app.command("forget")(forget)
    app.add_typer(companies_app, name="companies")


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


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV or XLSX.")],
    columns: Annotated[
        str | None, typer.Option(help="What columns hold, as field=heading, with commas: domain=Web,company=Firma.")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show how the file is read and stop.")] = False,
    rejects: Annotated[Path | None, typer.Option(help="Write rejected rows with line and reason to this CSV.")] = None,
    as_json: Json = False,
) -> None:
    """Import leads from a file. The same file twice changes nothing."""
    from hunter_orchestration.companies import imports, stage
    from hunter_orchestration.settings import load_settings
    from hunter_orchestration.store import imports as import_store

    with errors_told():
        if preview:
            _show_preview(file, as_json)
            return
        settings = load_settings()
        store = opened_store(settings)
        with file.open("rb") as content:
            import_id = imports.receive(store, settings.home, file.name, content, actor())
        if columns is not None:
            imports.choose_columns(store, settings.home, import_id, _pairs(columns))
        with progress("Rows read") as report:
            result = imports.run(store, settings.home, import_id, progress=report)
        with progress("Companies built") as report:
            built = stage.run(store, progress=report)
        if rejects is not None:
            with rejects.open("w", encoding="utf-8", newline="") as out:
                out.writelines(imports.rejects_csv(store, import_id))
        with store.read() as connection:
            shown = import_store.rejects(connection, import_id, limit=20)
        if as_json:
            print_json({"import": import_id, **result.counts, "companies": built.counts})
            return
        counts = result.counts
        say(
            f"{counts['rows']} rows: {counts['stored']} stored, {counts['unchanged']} known already, "
            f"{counts['rejected']} rejected. {built.counts['created']} companies are new."
        )
        if shown:
            print_table([dict(row) for row in shown], {"line": "Line", "reason": "Reason", "detail": "Why"})
            if counts["rejected"] > len(shown):
                say(f"The first {len(shown)} of {counts['rejected']}; --rejects FILE writes them all.")


def _show_preview(file: Path, as_json: bool) -> None:
    from hunter_orchestration.companies.imports import preview

    seen = preview(file)
    if as_json:
        print_json(
            {
                "kind": seen.form.kind,
                "encoding": seen.form.encoding,
                "separator": seen.form.separator,
                "heading_line": seen.heading_line,
                "headings": seen.headings,
                "columns": seen.columns,
                "rows": seen.rows,
            }
        )
        return
    field_of = {heading: field for field, heading in seen.columns.items()}
    say(f"{seen.form.kind.upper()}, {seen.form.encoding or 'workbook'}, heading in line {seen.heading_line}.")
    titles = {heading: f"{heading}\n→ {field_of.get(heading, '(not read)')}" for heading in seen.headings}
    print_table([dict(zip(seen.headings, row, strict=False)) for row in seen.rows], titles)


def _pairs(text: str) -> dict[str, str]:
    parts = (part.partition("=") for part in text.split(","))
    return {name.strip(): heading.strip() for name, _, heading in parts if name}


def forget(
    subject: Annotated[str, typer.Argument(metavar="EMAIL|DOMAIN", help="Whom to erase.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a person or a company from everything stored, and keep them from coming back."""
    from hunter_orchestration.companies import erasure
    from hunter_orchestration.settings import load_settings

    with errors_told():
        kind, name = erasure.subject_of(subject)
        if not yes:
            typer.confirm(
                f"Erase the {'person' if kind == 'email' else 'company'} {name} for good?", abort=True, err=True
            )
        settings = load_settings()
        done = erasure.forget(opened_store(settings), subject, actor(), home=settings.home)
        if as_json:
            print_json({"kind": done.kind, "counts": done.counts})
        else:
            touched = (
                ", ".join(f"{count} in {table}" for table, count in sorted(done.counts.items())) or "nothing held it"
            )
            say(f"Erased: {touched}. It will not come back.")


@companies_app.command("list")
def list_companies(
    q: Annotated[str, typer.Option("--search", "-s", help="Words of the name or domain.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    after: Annotated[str, typer.Option(help="Go on after this domain.")] = "",
    as_json: Json = False,
) -> None:
    """List companies by domain."""
    from hunter_orchestration import turkish
    from hunter_orchestration.store import companies
    from hunter_orchestration.store.lead_filters import NOT_SCORED

    with errors_told(), opened_store().read() as connection:
        rows = companies.listed(connection, q=turkish.fold(q), after=after, limit=limit)
    _print_rows(
        [dict(row) | {"priority": None if row["priority"] == NOT_SCORED else row["priority"]} for row in rows],
        {
            "domain": "Domain",
            "name": "Name",
            "country": "Country",
            "referral_count": "Referrals",
            "priority": "Priority",
        },
        as_json,
    )


@companies_app.command("show")
def show_company(domain: str, as_json: Json = False) -> None:
    """Show a company: its row, people, referrals, merges and what was decided about it."""
    from hunter_orchestration.companies.domains import company_domain
    from hunter_orchestration.store import companies, company_evidence

    with errors_told(), opened_store().read() as connection:
        name = company_domain(domain).domain or domain
        name = companies.standing_for(connection, [name]).get(name, name)
        row = companies.one(connection, name)
        if row is None:
            say(f"hunter: There is no company {domain!r}.")
            raise typer.Exit(1)
        found: dict[str, Any] = {
            "company": dict(row),
            "contacts": [dict(person) for person in companies.contacts_of(connection, [name])[name]],
            "referrals": [dict(referral) for referral in company_evidence.referrals_of(connection, [name])],
            "records": [dict(record) for record in company_evidence.mentions_of(connection, [name])],
            "merges": [dict(merged) for merged in companies.merges_into(connection, name)],
            "decisions": [dict(entry) for entry in companies.audit(connection, name)],
        }
    if as_json:
        print_json(found)
        return
    print_table(
        [{"k": key, "v": value} for key, value in row.items() if value is not None], {"k": "Field", "v": "Value"}
    )
    print_table(found["contacts"], {"first_name": "First name", "last_name": "Last name", "email": "E-mail"})
    print_table(
        [
            row
            | {
                "open": "open" if row["is_open"] else "closed",
                "deal": None if row["deal_value"] is None else f"{row['deal_value'].normalize():,f} {row['currency']}",
                "changed": f"{row['updated_at']:%Y-%m-%d %H:%M}",
            }
            for row in found["referrals"]
        ],
        {"id": "Referral", "category": "Category", "open": "Standing", "deal": "Deal", "changed": "Changed (UTC)"},
    )
    print_table(found["merges"], {"id": "Merge", "loser": "Merged in", "decided_by": "By", "decided_at": "At"})


@companies_app.command("merge")
def merge_companies(loser: str, winner: str, as_json: Json = False) -> None:
    """Let company LOSER be represented by WINNER. Nothing is lost; unmerge takes it back."""
    from hunter_orchestration.companies import decisions

    with errors_told():
        merge_id = decisions.merge(opened_store(), loser, winner, actor())
    if as_json:
        print_json({"merge_id": merge_id})
    else:
        say(f"Merge {merge_id}: {loser} is now part of {winner}. Undo with: hunter companies unmerge {merge_id}")


@companies_app.command("unmerge")
def unmerge_companies(merge_id: int) -> None:
    """Undo a merge."""
    from hunter_orchestration.companies import decisions

    with errors_told():
        decisions.undo_merge(opened_store(), merge_id, actor())
    say(f"Merge {merge_id} is undone.")


@companies_app.command("link")
def link_referral(
    referral: str,
    domain: Annotated[str, typer.Argument(help="A known company, or with --create any domain.")] = "",
    create: Annotated[bool, typer.Option("--create", help="Make the company if it is not known.")] = False,
    none: Annotated[bool, typer.Option("--none", help="It belongs to no company.")] = False,
) -> None:
    """Say which company a referral belongs to; that outlives every sync."""
    from hunter_orchestration.companies import decisions

    with errors_told():
        store = opened_store()
        if none:
            decisions.unlink(store, referral, actor())
            say(f"{referral} belongs to no company.")
        else:
            decide = decisions.create_lead if create else decisions.link
            say(f"{referral} belongs to {decide(store, referral, domain, actor())}.")


@companies_app.command("suggest")
def suggest_companies(
    referral: Annotated[str, typer.Argument(help="A referral; without one, all that need a domain.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most referrals looked at.")] = 50,
    as_json: Json = False,
) -> None:
    """Suggest known companies for referrals that need a domain, by name and country."""
    from hunter_orchestration.companies.matching import Matcher
    from hunter_orchestration.store import company_evidence, referrals

    with errors_told():
        store = opened_store()
        with store.read() as connection:
            if referral:
                one = referrals.one(connection, referral)
                wanted = [] if one is None else [one]
            else:
                wanted = list(company_evidence.unlinked(connection, limit))
        matcher = Matcher(store)
        rows = [
            {
                "referral": row["id"],
                "company_name": row["company_name"],
                "domain": found.domain,
                "name": found.name,
                "country": found.country,
                "similarity": found.similarity,
            }
            for row in wanted
            for found in matcher.similar(row["company_name"], row["country"])
        ]
    titles = {"referral": "Referral", "company_name": "Says", "domain": "Domain", "name": "Known as", "similarity": "%"}
    _print_rows(rows, titles, as_json)


def _print_rows(rows: list[dict[str, object]], columns: dict[str, str], as_json: bool) -> None:
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_table(rows, columns)
