"""Finding rows in the CRM: by GUID, by key, and by the match rules, many at a time and in few requests.

Values travel in ``$batch`` bodies, not in URLs that proxies log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from hunter_orchestration.dynamics.batch import Part
from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.dynamics.countries import country_code
from hunter_orchestration.dynamics.mapping import KEY
from hunter_orchestration.dynamics.records import Record
from hunter_orchestration.dynamics.refusals import CrmRefusedError, UnreachableError, read_refusal
from hunter_orchestration.dynamics.values import Renderer
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.turkish import fold

_VALUES_IN_URL = 400
_LONGEST_URL = 30_000
_SYSTEM = ("statecode", "statuscode", "_ownerid_value", "modifiedon", KEY)
_MERGED = ("merged", "_masterid_value")
_CANDIDATE_COLUMNS = ("name", "fullname", "subject", "companyname", "websiteurl", "emailaddress1", "address1_country",
                      "address1_city", "modifiedon", "createdon")  # fmt: skip


@dataclass(frozen=True, slots=True)
class CrmRow:
    """One row as read: id, etag, JSON."""

    id: str
    etag: str
    values: dict[str, Any]

    @property
    def external_id(self) -> str | None:
        """The key it bears."""
        return self.values.get(KEY)

    @property
    def statecode(self) -> int:
        """0 is open or active."""
        return int(self.values.get("statecode") or 0)

    @property
    def master(self) -> str | None:
        """GUID of the row this one was merged into."""
        return self.values.get("_masterid_value") if self.values.get("merged") else None

    @property
    def modified_at(self) -> datetime | None:
        """When the CRM's row changed last, UTC."""
        text = self.values.get("modifiedon")
        return datetime.fromisoformat(text) if text else None


def row_of(renderer: Renderer, raw: dict[str, Any]) -> CrmRow:
    """A row from its JSON.

    Raises:
        UnreachableError: the answer lacks what identifies a row.
    """
    row_id, etag = raw.get(renderer.table.id_column), raw.get("@odata.etag")
    if not isinstance(row_id, str) or not isinstance(etag, str):
        raise UnreachableError(f"Dynamics answered a row of {renderer.table.name} without id or etag.")
    return CrmRow(row_id, etag, raw)


def select_of(renderer: Renderer) -> str:
    """``$select`` that reads everything a plan needs."""
    columns = renderer.table.columns
    system = [n for n in _SYSTEM if n in columns or n.startswith("_")]
    system += _MERGED if "merged" in columns else ()
    return ",".join(dict.fromkeys([renderer.table.id_column, *renderer.select, *system]))


def by_ids(client: DataverseClient, renderer: Renderer, ids: Iterable[str]) -> dict[str, CrmRow]:
    """Rows by GUID; those that are gone are left out."""
    return {row.id: row for row in _listed(client, renderer, renderer.table.id_column, ids)}


def by_keys(client: DataverseClient, renderer: Renderer, keys: Iterable[str]) -> dict[str, CrmRow]:
    """Rows by external id; those that don't exist are left out."""
    found = {}
    for row in _listed(client, renderer, KEY, keys):
        if row.external_id is not None:
            found[row.external_id.lower()] = row
    return found


def by_match(
    client: DataverseClient, renderer: Renderer, rules: Sequence[str], records: Sequence[Record]
) -> dict[str, list[CrmRow]]:
    """External id of a record to the open rows without a key of ours that the match rules take for it. The first
    rule that finds anything decides."""
    found: dict[str, list[CrmRow]] = {}
    for rule in rules:
        left = [r for r in records if r.external_id not in found]
        if not left:
            break
        found |= _matched(client, renderer, rule, left)
    return found


def candidate(row: CrmRow) -> dict[str, Any]:
    """What a person needs to choose between rows."""
    return {"crm_id": row.id} | {n: row.values[n] for n in _CANDIDATE_COLUMNS if row.values.get(n) is not None}


def _matched(
    client: DataverseClient, renderer: Renderer, rule: str, records: Sequence[Record]
) -> dict[str, list[CrmRow]]:
    asked: dict[str, list[Record]] = defaultdict(list)
    written: dict[str, str] = {}
    column = {"website": "websiteurl", "email": "emailaddress1", "name_and_country": "name"}[rule]
    for record in records:
        for value in _values(rule, record):
            asked[_alike(rule, value)].append(record)
            written.setdefault(_alike(rule, value), value)
    found: dict[str, dict[str, CrmRow]] = defaultdict(dict)
    more = [n for n in (column, "address1_country", *_CANDIDATE_COLUMNS) if n in renderer.table.columns]
    for row in _listed(client, renderer, column, written.values(), f"statecode eq 0 and {KEY} eq null", more):
        for record in asked.get(_alike(rule, str(row.values.get(column) or "")), ()):
            if rule != "name_and_country" or _same_country(record, row):
                found[record.external_id][row.id] = row
    return {external_id: list(rows.values()) for external_id, rows in found.items()}


def _alike(rule: str, text: str) -> str:
    """One form for what the organisation finds equal: it ignores case and spaces at the end, and in names accents."""
    return (fold(text) if rule == "name_and_country" else text.casefold()).strip()


def _values(rule: str, record: Record) -> list[str]:
    if rule == "website":
        domain = record.facts["company.domain"]
        hosts = [domain, f"www.{domain}"]
        starts = ["", "https://", "http://"]
        return [f"{start}{host}{end}" for start in starts for host in hosts for end in ("", "/")]
    if rule == "email":
        address = record.facts.get("contact.email") or record.facts.get("person.email")
        return [address] if address else []
    name = record.facts.get("company.name")
    return [name] if name and name != record.facts["company.domain"] else []


def _same_country(record: Record, row: CrmRow) -> bool:
    ours = country_code(record.facts.get("company.country"))
    return ours is not None and ours == country_code(row.values.get("address1_country"))


def _listed(
    client: DataverseClient,
    renderer: Renderer,
    column: str,
    values: Iterable[str],
    also: str = "",
    more: Sequence[str] = (),
) -> list[CrmRow]:
    """Rows whose column is one of the values, in as few requests as URLs and batches allow."""
    select = ",".join(dict.fromkeys([*select_of(renderer).split(","), *more]))
    parts = []
    for listed in _fitting(values):
        quoted = ",".join("'" + quote(v.replace("'", "''"), safe="@.-_~:/") + "'" for v in listed)
        text = f"Microsoft.Dynamics.CRM.In(PropertyName='{column}',PropertyValues=[{quoted}])"
        text += f" and {also}" if also else ""
        path = f"{renderer.table.entity_set}?$select={select}&$filter={text.replace(' ', '%20')}"
        parts.append(Part("GET", path))
    found: list[CrmRow] = []
    for some in chunks(parts, 10):
        waiting = some
        while waiting:
            following = []
            for part, answer in zip(waiting, client.batch(waiting, repeatable=True), strict=True):
                if answer is None:
                    raise UnreachableError("Dynamics left a question in a batch unanswered.", "Try again later.")
                if answer.status >= 400:
                    raise CrmRefusedError(read_refusal(answer.status, answer.body))
                rows = answer.body.get("value") if isinstance(answer.body, dict) else None
                if not isinstance(rows, list):
                    raise UnreachableError("Dynamics answered a list without rows.", "Try again later.")
                found += [row_of(renderer, raw) for raw in rows]
                link = answer.body.get("@odata.nextLink")
                if link:
                    onward = client.below_root(link)
                    if onward is None or onward == part.path:
                        raise UnreachableError("Dynamics' list of rows leads elsewhere or in circles.")
                    following.append(Part("GET", onward))
            waiting = following
    return found


def _fitting(values: Iterable[str]) -> Iterable[list[str]]:
    """Lists that fit in a URL each."""
    current: list[str] = []
    length = 0
    for value in dict.fromkeys(values):
        size = len(quote(value, safe="@.-_~:/")) + 3
        if current and (length + size > _LONGEST_URL or len(current) >= _VALUES_IN_URL):
            yield current
            current, length = [], 0
        current.append(value)
        length += size
    if current:
        yield current
