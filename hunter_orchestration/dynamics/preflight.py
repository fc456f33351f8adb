"""Is this organisation the one we mean, and can it hold what the mapping writes? Asked before the first write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.dynamics.mapping import KEY, TABLES, FieldMapping, LoadedMapping, Stage
from hunter_orchestration.dynamics.metadata import Column, Metadata, Table, read_metadata
from hunter_orchestration.dynamics.refusals import CrmRefusedError, NotReadyError, UnreachableError
from hunter_orchestration.dynamics.values import Renderer

_RIGHTS = ("Create", "Read", "Write", "Append", "AppendTo")
_TYPES = {
    "clip": ("String", "Memo"),
    "phone": ("String", "Memo"),
    "email": ("String", "Memo"),
    "country": ("String", "Memo"),
    "url": ("String", "Memo"),
    "option": ("Picklist", "Status"),
    "integer": ("Integer", "BigInt", "Decimal", "Double"),
    "money": ("Money", "Decimal", "Double"),
    "date": ("DateTime",),
    "flag": ("Boolean",),
    "now": ("DateTime",),
}
_SETUP = "Run hunter dynamics setup."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as the mapping needs it. An error stops every push; a warning costs rows at most."""

    level: Literal["error", "warning"]
    table: str
    field: str
    problem: str
    fix: str


@dataclass(slots=True)
class Report:
    """What a check found. ``fields`` has one entry per mapped field, findings or not; ``duplicate_rules`` names the
    published rules by table."""

    organisation_id: str = ""
    user_id: str = ""
    findings: list[Finding] = field(default_factory=list)
    duplicate_rules: dict[str, list[str]] = field(default_factory=dict)
    fields: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether a push may start."""
        return not any(f.level == "error" for f in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ready": self.ready}


@dataclass(frozen=True, slots=True)
class Organisation:
    """What pushing, pulling and reconciling need to know of the organisation."""

    id: str
    user_id: str
    metadata: Metadata
    renderers: dict[str, Renderer]
    mapping: LoadedMapping

    @property
    def version(self) -> str:
        """Changes with the mapping and with the organisation's tables."""
        return f"{self.mapping.digest}.{self.metadata.digest}"


def check(client: DataverseClient, loaded: LoadedMapping, known_organisation: str | None = None) -> Report:
    """Everything at once, nothing written.

    Args:
        known_organisation: id of the organisation the ledger belongs to; another one is an error.

    Raises:
        SignInError, ThrottledError, UnreachableError: nothing can be said.
    """
    return _look(client, loaded, known_organisation, whole=True)[0]


def prepare(client: DataverseClient, loaded: LoadedMapping, known_organisation: str | None = None) -> Organisation:
    """The organisation, ready to be written to.

    Raises:
        NotReadyError: names what is missing. SignInError, ThrottledError, UnreachableError: nothing can be said.
    """
    report, metadata, currencies = _look(client, loaded, known_organisation)
    errors = [f for f in report.findings if f.level == "error"]
    if errors:
        shown = "; ".join(f"{f.table}{'.' + f.field if f.field else ''}: {f.problem}" for f in errors[:5])
        rest = f" and {len(errors) - 5} more" if len(errors) > 5 else ""
        fixes = " ".join(dict.fromkeys(f.fix for f in errors[:5]))
        raise NotReadyError(f"The organisation is not ready, nothing was sent: {shown}{rest}.", fixes)
    renderers: dict[str, Renderer] = {
        name: Renderer(loaded.mapping.tables[name].fields, metadata.tables[name], metadata, currencies)
        for name in TABLES
    }
    return Organisation(report.organisation_id, report.user_id, metadata, renderers, loaded)


def _look(
    client: DataverseClient, loaded: LoadedMapping, known_organisation: str | None, *, whole: bool = False
) -> tuple[Report, Metadata, dict[str, str]]:
    report = Report()
    try:
        who = client.get("WhoAmI")
    except CrmRefusedError as error:
        fix = "Check that the application user exists in the organisation and has a security role."
        raise NotReadyError(f"The organisation refuses the application: {error.refusal.message}", fix) from None
    if not isinstance(who, dict) or not who.get("OrganizationId"):
        raise UnreachableError("Dynamics did not say which organisation it is.", "Check HUNTER_DYNAMICS_URL.")
    report.organisation_id, report.user_id = str(who.get("OrganizationId")), str(who.get("UserId"))
    if known_organisation is not None and known_organisation != report.organisation_id:
        report.findings.append(
            Finding("error", "organisation", "", "this is another organisation than the one the ledger belongs to",
                    "Check HUNTER_DYNAMICS_URL. To move to this one: hunter dynamics setup --move.")
        )  # fmt: skip
    metadata = read_metadata(client, TABLES)
    report.findings += validate(loaded, metadata)
    report.findings += _privileges(client, report.user_id)
    asking = [name for name in TABLES if loaded.mapping.tables[name].detect_duplicates]
    if whole or asking:
        report.findings += _duplicate_rules(client, asking, report.duplicate_rules)
    report.fields += _fields(loaded, metadata, report.findings)
    rows = _rows(client, "transactioncurrencies?$select=isocurrencycode")
    currencies = {
        str(r["isocurrencycode"]).upper(): r["transactioncurrencyid"] for r in rows if r.get("isocurrencycode")
    }
    return report, metadata, currencies


def _rows(client: DataverseClient, path: str) -> list[dict[str, Any]]:
    return [row for page in client.pages(path) for row in page["value"]]


def validate(loaded: LoadedMapping, metadata: Metadata) -> list[Finding]:
    """The mapping against the organisation's definitions."""
    found: list[Finding] = []
    for name in TABLES:
        table = metadata.tables.get(name)
        if table is None:
            found.append(Finding("error", name, "", "the table does not exist", "Install Dynamics 365 Sales."))
            continue
        found += _key(table)
        if not table.tracked:
            found.append(
                Finding("warning", name, "", "change tracking is off, so nothing can be read back by changes",
                        "Run hunter dynamics setup, or switch on Track changes.")
            )  # fmt: skip
        mapped = loaded.mapping.tables[name]
        for field_name, field_mapping in mapped.fields.items():
            found += _field(table, field_name, field_mapping, metadata)
        for column in table.columns.values():
            if column.required == "ApplicationRequired" and column.name not in mapped.fields and column.creatable:
                text = f"the organisation requires {column.name}, which the mapping does not write"
                found.append(
                    Finding("warning", name, column.name, text,
                            "New rows are rejected if a rule enforces it: map it, with a default if need be.")
                )  # fmt: skip
    stages: list[Stage] = [*loaded.mapping.stages, loaded.mapping.co_sell_stage]
    found += _labels(metadata, "opportunity", "salesstage", [s.stage for s in stages])
    return found


def _key(table: Table) -> Iterator[Finding]:
    status = table.keys.get((KEY,))
    if KEY not in table.columns:
        yield Finding("error", table.name, KEY, "the column is missing", _SETUP)
    elif status is None:
        yield Finding("error", table.name, KEY, "the alternate key is missing", _SETUP)
    elif status == "Failed":
        yield Finding("error", table.name, KEY, "the alternate key's index has Failed",
                      "Remove rows with the same external id, then run hunter dynamics setup.")  # fmt: skip
    elif status != "Active":
        yield Finding("error", table.name, KEY, f"the alternate key's index is {status}, not Active",
                      "Wait until it is built: hunter dynamics setup waits for it.")  # fmt: skip


def _field(table: Table, name: str, mapped: FieldMapping, metadata: Metadata) -> Iterator[Finding]:
    if mapped.transform in ("lookup", "currency"):
        wanted = "transactioncurrency" if mapped.transform == "currency" else mapped.source[0].partition(".")[2]
        navigation = table.navigation.get(name)
        if navigation is None:
            near = ", ".join(n for n in table.navigation if n.lower().startswith(name.lower()[:8])) or "none like it"
            yield Finding("error", table.name, name, f"no navigation property of that name ({near})",
                          "Names are case-sensitive; customer lookups end in _account or _contact.")  # fmt: skip
        elif navigation[1] != wanted:
            yield Finding("error", table.name, name, f"leads to {navigation[1]}, not {wanted}", "Correct the mapping.")
        return
    column = table.columns.get(name)
    if column is None:
        yield Finding("error", table.name, name, "the column is missing",
                      _SETUP if name.startswith("hnt_") else "Correct the mapping, or add the column.")  # fmt: skip
        return
    if column.type not in _TYPES[mapped.transform]:
        yield Finding("error", table.name, name, f"is of type {column.type}, which {mapped.transform} does not fill",
                      "Correct the transform in the mapping.")  # fmt: skip
    elif not column.creatable and not column.updatable:
        yield Finding("error", table.name, name, "is read-only", "Take it out of the mapping.")
    elif mapped.transform == "option":
        yield from _options(table, column, mapped)


def _options(table: Table, column: Column, mapped: FieldMapping) -> Iterator[Finding]:
    missing = sorted({label for label in mapped.labels.values() if label.casefold() not in column.options})
    if missing:
        yield Finding("warning", table.name, column.name, f"has no choice {', '.join(missing)}",
                      "Rows that need it are rejected: add the choice, or correct the labels.")  # fmt: skip


def _labels(metadata: Metadata, table: str, column: str, labels: list[str]) -> Iterator[Finding]:
    found = metadata.tables.get(table)
    options = found.columns[column].options if found is not None and column in found.columns else None
    missing = sorted({label for label in labels if options is not None and label.casefold() not in options})
    if missing:
        yield Finding("warning", table, column, f"has no choice {', '.join(missing)}",
                      "Opportunities that need it are rejected: add the choice.")  # fmt: skip


def _privileges(client: DataverseClient, user_id: str) -> Iterator[Finding]:
    try:
        answer = client.get(f"systemusers({user_id})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges")
    except CrmRefusedError as error:
        yield Finding("warning", "privileges", "", f"can't be read ({error.refusal.message[:120]})",
                      "Give the application user the right to read its own roles, or check them by hand.")  # fmt: skip
        return
    listed = answer.get("RolePrivileges") if isinstance(answer, dict) else None
    held = {str(p.get("PrivilegeName") or "").lower() for p in listed or ()}
    if not any(held):
        yield Finding("warning", "privileges", "", "the organisation names none", "Check the roles by hand.")
        return
    for table in TABLES:
        missing = [f"prv{right}{table.capitalize()}" for right in _RIGHTS]
        missing = [name for name in missing if name.lower() not in held]
        if missing:
            yield Finding("error", table, "", f"the application user lacks {', '.join(missing)}",
                          "Add the privileges to its security role.")  # fmt: skip


def _duplicate_rules(
    client: DataverseClient, asking: Sequence[str], published: dict[str, list[str]]
) -> Iterator[Finding]:
    """Fills ``published``. Where Hunter asks for duplicate detection, a table without a published rule detects none."""
    try:
        rows = _rows(client, "duplicaterules?$select=name,baseentityname&$filter=statecode eq 1")
    except CrmRefusedError as error:
        if asking:
            yield Finding("warning", "duplicaterules", "", f"can't be read ({error.refusal.message[:120]})",
                          "Give the application user the right to read duplicate detection rules.")  # fmt: skip
        return
    for row in rows:
        if row.get("baseentityname") in TABLES:
            published.setdefault(row["baseentityname"], []).append(str(row.get("name") or ""))
    for name in asking:
        if name not in published:
            yield Finding("warning", name, "", "detect_duplicates is on, but no duplicate rule is published",
                          "Publish one, or take detect_duplicates out of the mapping.")  # fmt: skip


def _fields(loaded: LoadedMapping, metadata: Metadata, findings: list[Finding]) -> Iterator[dict[str, Any]]:
    problems = {(f.table, f.field): f for f in findings}
    for name in TABLES:
        table = metadata.tables.get(name)
        for field_name, mapped in loaded.mapping.tables[name].fields.items():
            column = table.columns.get(field_name) if table is not None else None
            problem = problems.get((name, field_name))
            yield {
                "table": name,
                "field": field_name,
                "source": ", ".join(mapped.source),
                "rule": mapped.rule,
                "type": column.type if column is not None else "Lookup" if "lookup" in mapped.transform else None,
                "length": column.length if column is not None else None,
                "state": problem.level if problem else "ok",
                "problem": problem.problem if problem else None,
                "fix": problem.fix if problem else None,
            }
