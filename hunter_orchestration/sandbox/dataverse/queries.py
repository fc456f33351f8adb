"""Reading: columns, annotations, expansion, paging and change tracking (contract, sections 4, 12 and 14)."""

from __future__ import annotations

import base64
import heapq
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote

import orjson

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.filters import (
    Filter,
    compile_filter,
    read_order,
    sort_key,
    unknown_property,
)
from hunter_orchestration.sandbox.dataverse.payloads import Payloads
from hunter_orchestration.sandbox.dataverse.rows import Organisation, Row, Values, folded
from hunter_orchestration.sandbox.dataverse.schema import OPTION_TYPES, TARGET, Column, Table
from hunter_orchestration.sandbox.dataverse.wire import Request, Response

COUNT_CAP = 5000
_KNOWN = frozenset({"$select", "$filter", "$orderby", "$top", "$expand", "$count", "$skiptoken", "$deltatoken"})
_NOT_TRACKED = ("$filter", "$orderby", "$expand", "$top")
_TRACKING = re.compile(r'istracking="True"')
_COOKIE = re.compile(r">([\w=-]+)</cookie>")
_EXPANSION = re.compile(r"\s*(\w+)(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?\s*(?:,|$)")


class Queries:
    """Answers GET on sets and rows.

    Args:
        root: URL of the service root, with a slash at the end.
        settings: live switches; ``page_size`` is the largest page.
    """

    def __init__(self, organisation: Organisation, payloads: Payloads, settings: Mapping[str, Any], root: str) -> None:
        self.organisation = organisation
        self.payloads = payloads
        self.settings = settings
        self.root = root

    def single(self, table: Table, row: Row, request: Request, status: int = 200) -> Response:
        """One row, as GET and ``return=representation`` show it."""
        options = request.options()
        self._known(options)
        preferences = request.preferences()
        annotate = "odata.include-annotations" in preferences
        if (
            request.method == "GET"
            and request.headers.get("if-none-match") == row.etag
            and "$expand" not in options
            and not annotate
        ):
            return Response(304, {"ETag": row.etag})
        select = self.selection(table, options.get("$select"))
        body: dict[str, Any] = {"@odata.context": self.context(table, options.get("$select"), "/$entity")}
        body |= self.render(table, row, select, annotate)
        for name, inner in self.expansions(table, options.get("$expand")):
            body[name] = self.expand(table, row, name, inner, annotate)
        return Response(status, {"ETag": row.etag}, body)

    def collection(self, table: Table, request: Request) -> Response:
        """A page of rows, or of changes."""
        options = request.options()
        self._known(options)
        preferences = request.preferences()
        tracked = "$deltatoken" in options or "odata.track-changes" in preferences
        if tracked or _TRACKING.search(options.get("$skiptoken", "")):
            return self.changes(table, options, preferences)
        annotate = "odata.include-annotations" in preferences
        select = self.selection(table, options.get("$select"))
        expansions = self.expansions(table, options.get("$expand"))
        cookie = _read_cookie(options["$skiptoken"]) if "$skiptoken" in options else {"page": 1, "after": 0}
        size, sized = self._page_size(preferences)
        top = _whole(options, "$top")
        limit = size if sized or top is None else min(top, size)
        rows = self.matching(table, options)
        order = read_order(options["$orderby"], table) if "$orderby" in options else []
        total = None
        if options.get("$count") == "true":
            counted = list(rows)
            total, rows = len(counted), counted
        if order:
            ordered = list(rows)
            for name, descending in reversed(order):
                ordered.sort(key=sort_key(name), reverse=descending)
            page = ordered[cookie["after"] : cookie["after"] + limit + 1]
            after = cookie["after"] + limit
        else:
            page = list(islice((r for r in rows if r.number > cookie["after"]), limit + 1))
            after = page[limit - 1].number if len(page) > limit else 0
        more = len(page) > limit and (top is None or sized)
        body: dict[str, Any] = {"@odata.context": self.context(table, options.get("$select"))}
        if total is not None:
            body["@odata.count"] = min(total, COUNT_CAP)
            if annotate:
                body["@Microsoft.Dynamics.CRM.totalrecordcount"] = min(total, COUNT_CAP)
                body["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] = total > COUNT_CAP
        value = []
        for row in page[:limit]:
            item = self.render(table, row, select, annotate)
            for name, inner in expansions:
                item[name] = self.expand(table, row, name, inner, annotate)
            value.append(item)
        body["value"] = value
        if more:
            body["@odata.nextLink"] = self.link(table, options, "$skiptoken", _cookie(cookie["page"] + 1, after))
        headers = {"Preference-Applied": f"odata.maxpagesize={size}"} if sized else {}
        return Response(200, headers, body, rows=max(1, len(value)))

    def changes(self, table: Table, options: dict[str, str], preferences: Mapping[str, str]) -> Response:
        """Change tracking: the first full read, later reads by token, and their pages."""
        for name in _NOT_TRACKED:
            if name in options:
                raise errors.bad_request(
                    f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.'
                )
        if not table.change_tracking:
            raise RefusedError(400, "0x80060303", f"Change tracking is not enabled for entity '{table.name}'.")
        size, _ = self._page_size(preferences)
        select = self.selection(table, options.get("$select"))
        annotate = "odata.include-annotations" in preferences
        if "$skiptoken" in options:
            cookie = _read_cookie(options["$skiptoken"])
        elif "$deltatoken" in options:
            since = self._read_token(options["$deltatoken"])
            cookie = {"page": 1, "after": since, "since": since, "until": self.organisation.version}
        else:
            cookie = {"page": 1, "after": 0, "since": 0, "until": self.organisation.version}
        first_read = not cookie["since"]
        found = self._changed(table, cookie["after"], cookie["until"], deletions=not first_read)
        page = heapq.nsmallest(size + 1, found, key=lambda item: item[0])
        context = self.context(table, options.get("$select"))
        body: dict[str, Any] = {"@odata.context": context if first_read else context + "/$delta"}
        more = len(page) > size
        if not more:
            token = self._token(cookie["until"])
            body["@odata.deltaLink"] = self.link(table, options, "$deltatoken", token)
        value: list[dict[str, Any]] = []
        for _, row_id, row in page[:size]:
            if row is not None:
                value.append(self.render(table, row, select, annotate))
            else:
                gone = f"{self.root}$metadata#{table.entity_set}/$deletedEntity"
                value.append({"@odata.context": gone, "id": row_id, "reason": "deleted"})
        body["value"] = value
        if more:
            after = page[size - 1][0]
            text = _cookie(cookie["page"] + 1, after, since=cookie["since"], until=cookie["until"])
            body["@odata.nextLink"] = self.link(table, options, "$skiptoken", text)
        headers = {"Preference-Applied": "odata.track-changes"} if "odata.track-changes" in preferences else {}
        return Response(200, headers, body, rows=max(1, len(value)))

    def count(self, table: Table, request: Request) -> Response:
        """``/$count``: a number after a byte order mark."""
        options = request.options()
        if "$deltatoken" in options:
            since = self._read_token(options["$deltatoken"])
            number = sum(1 for _ in self._changed(table, since, self.organisation.version, True))
        else:
            number = min(sum(1 for _ in self.matching(table, options)), COUNT_CAP)
        return Response(200, {"Content-Type": "text/plain"}, b"\xef\xbb\xbf" + str(number).encode())

    def matching(self, table: Table, options: Mapping[str, str]) -> Iterable[Row]:
        """Rows that pass ``$filter``, in order of creation."""
        data = self.organisation.data[table.name]
        text = options.get("$filter")
        if text is None:
            return data.rows.values()
        found = compile_filter(text, table, self.organisation, options)
        candidates = self._indexed(table, found)
        rows = data.rows.values() if candidates is None else candidates
        test = found.test
        return (row for row in rows if test(row.values))

    def _indexed(self, table: Table, found: Filter) -> list[Row] | None:
        if found.equal is None:
            return None
        name, wanted = found.equal
        data = self.organisation.data[table.name]
        ids: Iterable[str]
        if name == table.id_column:
            ids = [w for w in wanted if w in data.rows]
        elif name in data.index:
            index = data.index[name]
            ids = [i for w in wanted for i in index.get(w, ())]
        else:
            key = next((k for k in table.keys.values() if k.columns == (name,) and k.schema_name in data.keys), None)
            if key is None or self.organisation.key_case_sensitive:
                return None
            ids = [i for w in wanted if (i := data.keys[key.schema_name].get((folded(w),)))]
        return sorted((data.rows[i] for i in set(ids)), key=lambda r: r.number)

    def selection(self, table: Table, text: str | None) -> list[Column]:
        """Columns of a ``$select``; all of them when it is left out.

        Raises:
            RefusedError: an unknown column.
        """
        if text is None:
            return list(table.columns.values())
        columns = []
        for name in text.split(","):
            name = name.strip()
            column = table.by_property.get(name) or table.columns.get(name)
            if column is None:
                raise unknown_property(name, table)
            columns.append(column)
        return columns

    def render(self, table: Table, row: Row, columns: Iterable[Column], annotate: bool) -> dict[str, Any]:
        """A row as JSON, with its etag and id."""
        values = row.values
        body: dict[str, Any] = {"@odata.etag": row.etag}
        money = False
        for column in columns:
            name = column.value_name
            if name == "versionnumber":
                body[name] = row.version
                continue
            value = values.get(name)
            if annotate and value is not None:
                self._annotate(column, name, value, values, body)
            body[name] = value
            money = money or column.type == "Money"
        if money and "_transactioncurrencyid_value" not in body:
            body["_transactioncurrencyid_value"] = values.get("_transactioncurrencyid_value")
        body[table.id_column] = row.id
        return body

    def _annotate(self, column: Column, name: str, value: Any, values: Values, body: dict[str, Any]) -> None:
        formatted = f"{name}@OData.Community.Display.V1.FormattedValue"
        if column.is_lookup:
            target = values.get(name + TARGET)
            if target is None:
                return
            table = self.organisation.tables[target]
            row = self.organisation.data[target].rows.get(value)
            body[formatted] = row.values.get(table.title_column) if row else None
            body[f"{name}@Microsoft.Dynamics.CRM.lookuplogicalname"] = target
            navigation = next((n for n, t in column.binds.items() if target in t.split("|")), column.name)
            body[f"{name}@Microsoft.Dynamics.CRM.associatednavigationproperty"] = navigation
        elif column.type in OPTION_TYPES:
            body[formatted] = next((o.label for o in column.options if o.value == value), str(value))
        elif column.type == "Boolean":
            body[formatted] = "Yes" if value else "No"
        elif column.type in {"Money", "Decimal", "Double", "Integer"}:
            body[formatted] = f"{value:,.2f}" if column.type != "Integer" else f"{value:,}"

    def expansions(self, table: Table, text: str | None) -> list[tuple[str, dict[str, str]]]:
        """``$expand`` as (navigation property, inner options).

        Raises:
            RefusedError: an unknown navigation property.
        """
        if not text:
            return []
        found = []
        for match in _EXPANSION.finditer(text):
            name, inner = match.group(1), match.group(2) or ""
            if name not in table.navigation and name not in self.payloads.collections(table):
                raise unknown_property(name, table)
            options = dict(part.strip().split("=", 1) for part in inner.split(";") if "=" in part)
            found.append((name, options))
        return found

    def expand(self, table: Table, row: Row, name: str, inner: Mapping[str, str], annotate: bool) -> Any:
        """What a navigation property reaches: an object, null, or a list."""
        if name in table.navigation:
            column, targets = table.navigation[name]
            target = row.values.get(column.target_name)
            if target not in targets:
                return None
            found = self.organisation.data[target].rows.get(row.values[column.value_name])
            child = self.organisation.tables[target]
            return self.render(child, found, self.selection(child, inner.get("$select")), annotate) if found else None
        child, lookup = self.payloads.collections(table)[name]
        select = self.selection(child, inner.get("$select"))
        return [
            self.render(child, found, select, annotate)
            for found in self.matching(child, inner)
            if found.values.get(lookup.value_name) == row.id
        ]

    def context(self, table: Table, select: str | None, suffix: str = "") -> str:
        """The ``@odata.context`` of an answer."""
        columns = f"({select})" if select else ""
        return f"{self.root}$metadata#{table.entity_set}{columns}{suffix}"

    def link(self, table: Table, options: Mapping[str, str], name: str, token: str) -> str:
        """A nextLink or deltaLink: the request's own options and the token."""
        parts = [f"{k}={quote(v, safe=',$()')}" for k, v in options.items() if k not in {"$skiptoken", "$deltatoken"}]
        parts.append(f"{name}={quote(token, safe='=/')}")
        return f"{self.root}{table.entity_set}?{'&'.join(parts)}"

    def _known(self, options: Mapping[str, str]) -> None:
        for name in options:
            if name.startswith("$") and name not in _KNOWN:
                raise errors.bad_request(f"The query parameter {name} is not supported.")

    def _page_size(self, preferences: Mapping[str, str]) -> tuple[int, bool]:
        largest: int = self.settings["page_size"]
        asked = preferences.get("odata.maxpagesize", "")
        if asked.isdigit() and int(asked) > 0:
            return min(int(asked), largest), True
        return largest, False

    def _changed(self, table: Table, after: int, until: int, deletions: bool) -> Iterable[tuple[int, str, Row | None]]:
        data = self.organisation.data[table.name]
        for row in data.rows.values():
            if after < row.version <= until:
                yield row.version, row.id, row
        if deletions:
            for version, row_id in data.deletions:
                if after < version <= until:
                    yield version, row_id, None

    def _token(self, version: int) -> str:
        return f"{version}!{self.organisation.clock.now():%m/%d/%Y %H:%M:%S}"

    def _read_token(self, token: str) -> int:
        version, mark, stamp = token.partition("!")
        if not mark or not version.isdigit():
            raise errors.bad_request("The delta token is not valid.")
        age = self.organisation.clock.now().replace(tzinfo=None) - _moment(stamp)
        if int(version) < self.organisation.oldest_token or age.days >= self.settings["change_tracking_days"]:
            raise RefusedError(
                400,
                "0x80044352",
                "The delta token has expired: the changes it refers to are no longer kept. Read the table again.",
            )
        return int(version)


def _moment(stamp: str) -> Any:
    try:
        return datetime.strptime(stamp, "%m/%d/%Y %H:%M:%S")  # noqa: DTZ007
    except ValueError:
        raise errors.bad_request("The delta token is not valid.") from None


def _whole(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise errors.bad_request(f"Invalid value '{text}' for {name}.")
    return int(text)


def _cookie(page: int, after: int, **more: int) -> str:
    inner = base64.urlsafe_b64encode(orjson.dumps({"page": page, "after": after, **more})).decode()
    cookie = quote(f'<cookie page="{page - 1}">{inner}</cookie>', safe="")
    return f'<cookie pagenumber="{page}" pagingcookie="{cookie}" istracking="{bool(more)}" />'


def _read_cookie(text: str) -> dict[str, int]:
    match = _COOKIE.search(unquote(text))
    if match is None:
        raise errors.bad_request("Malformed skip token.")
    try:
        cookie: dict[str, int] = orjson.loads(base64.urlsafe_b64decode(match.group(1)))
    except ValueError:
        raise errors.bad_request("Malformed skip token.") from None
    return cookie
