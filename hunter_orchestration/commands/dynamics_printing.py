"""How the commands of the room ``dynamics`` print plans, records and results for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from hunter_orchestration.commands.console import print_json, print_table, say

_WIDEST = 100
_SHOWN = 20


def print_plan(rows: Sequence[Mapping[str, Any]]) -> None:
    """Each record that is not unchanged, old and new value of each field below it."""
    for row in rows:
        if row["operation"] == "unchanged":
            continue
        reason = f" ({row['reason']})" if row["reason"] else ""
        typer.echo(f"{row['operation']} {row['table']} {row['external_id']}{reason}")
        for name, (old, new) in row["fields"].items():
            typer.echo(f"    {name}: {_short(old)} → {_short(new)}")
        for name in row["rewritten"]:
            theirs, ours = row["kept"][name]
            typer.echo(f"    {name}: the CRM makes {_short(theirs)} of {_short(ours)}")
    unchanged = sum(row["operation"] == "unchanged" for row in rows)
    say(f"{len(rows)} record(s), {unchanged} unchanged.")


def print_refused(rows: Sequence[Mapping[str, Any]]) -> None:
    """Records that did not arrive: the CRM's words, its code, what to do, and for a conflict the candidates."""
    from hunter_orchestration.dynamics.fixes import WORDS

    for row in rows:
        typer.echo(f"{row['table_name']} {row['external_id']}" + _of(row))
        words = row["error"] or "No words were given."
        typer.echo(f"    {words} [{row['error_code']}, {row['attempts']} attempt(s)]")
        typer.echo(f"    {WORDS.get(row['fix'] or '', row['fix'] or '')}")
        for candidate in row["candidates"] or ():
            about = ", ".join(str(v) for n, v in candidate.items() if n not in ("crm_id", "modified_at") and v)
            typer.echo(f"    {row['table_name']}:{row['external_id']}={candidate['crm_id']}  {about}")
    say(f"{len(rows)} record(s).")


def _of(row: Mapping[str, Any]) -> str:
    return "" if row["company_domain"] == row["external_id"] else f" of {row['company_domain']}"


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], as_json: bool) -> None:
    """Rows as JSON or as a table."""
    if as_json:
        print_json([dict(row) for row in rows])
    else:
        print_table(list(rows), columns)


def print_result(counts: Mapping[str, int], facts: Mapping[str, Any], as_json: bool) -> None:
    """What a stage did, and the first of what it found."""
    if as_json:
        print_json({"counts": dict(counts), "facts": dict(facts)})
        return
    print_table([{"what": name, "rows": number} for name, number in counts.items() if number],
                {"what": "What", "rows": "Rows"})  # fmt: skip
    if facts.get("throttled"):
        say(str(facts["throttled"]))
    for difference in facts.get("differences", ())[:_SHOWN]:
        say(f"{difference['kind']}: {difference['table_name']} {difference['external_id']} {difference['field'] or ''}")


def _short(value: Any) -> str:
    text = "empty" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
