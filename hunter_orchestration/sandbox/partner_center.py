"""Partner Center's referrals API (contract, sections 2-4 and 9): list, get, create, patch, replace; strict by default.

Settings of the service ``partner_center`` (change them through the control port):
    page_size: rows a page; next_link: good, docs (path without /engagements) or foreign (another host);
    count: page, total, one or absent; paging: keyset or offset (rows that move shift the pages);
    marketplace: whether marketplace leads are listed; app_only: whether app-only tokens are let in;
    mfa: whether sign-ins without MFA get 401 900421; empty: whether every list is suddenly empty;
    wrong_audience: refuse every token as meant for another API; create_status: 200 or 201;
    date_literals: bare, quoted or both: the form in which filters have to give times.
Fault kinds of its own, on list requests: loop (nextLink leads to the same page), repeat_page (the page before again),
    duplicate_row (the last row of the page before comes first again), empty_page (no rows, but a nextLink),
    move_rows (rows change between this page and the next; params: count), inject (params: rows, added to the page raw).
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import orjson

from hunter_orchestration.sandbox.asgi import Request, Response, json_response
from hunter_orchestration.sandbox.clock import Clock, stamp
from hunter_orchestration.sandbox.faults import Fault, Faults
from hunter_orchestration.sandbox.odata import Filter, QueryError, parse_filter, parse_order, parse_select
from hunter_orchestration.sandbox.referral_writes import WriteError, created, patched, replaced
from hunter_orchestration.sandbox.skip_tokens import read_token, write_token
from hunter_orchestration.sandbox.tokens import TokenRefusedError, Tokens
from hunter_orchestration.sandbox.world import World

AUDIENCE = "https://api.partner.microsoft.com"
PATH = "/v1.0/engagements/referrals"
DOCS_PATH = "/v1.0/referrals"
KINDS = frozenset({"loop", "repeat_page", "duplicate_row", "empty_page", "move_rows", "inject"})
_MASK = (1 << 32) - 1
_OPTIONS = {"$filter", "$orderby", "$top", "$select"}


class ApiError(Exception):
    """An answer in the contract's error body (section 2, Errors)."""

    def __init__(self, status: int, code: str, message: str, target: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.target = status, code, message[:1024], target

    def response(self) -> Response:
        error = {"code": self.code, "message": self.message, "target": self.target, "innerError": None}
        return json_response({"error": error}, self.status)


class PartnerCenter:
    """Answers requests under ``/v1.0/engagements/referrals``."""

    def __init__(self, world: World, tokens: Tokens, clock: Clock, faults: Faults, base_url: str) -> None:
        self.world = world
        self.tokens = tokens
        self.clock = clock
        self.faults = faults
        self.base_url = base_url
        self.settings = faults.declare(
            "partner_center",
            page_size=100,
            next_link="good",
            count="page",
            paging="keyset",
            date_literals="both",
            marketplace=True,
            app_only=False,
            mfa=False,
            empty=False,
            wrong_audience=False,
            create_status=200,
        )

    def handle(self, request: Request) -> Response:
        """Answer one request; never raises."""
        request_id = str(uuid.uuid4())
        try:
            self.world.expire_due()
            claims = self._claims(request)
            response = self._route(request, claims)
        except ApiError as error:
            response = error.response()
        except WriteError as error:
            response = ApiError(error.status, error.code, str(error), error.target).response()
        response.headers += [
            ("request-id", request_id),
            (
                "client-request-id",
                request.headers.get("client-request-id") or request.headers.get("ms-correlationid") or request_id,
            ),
            ("x-ms-ags-diagnostic", '{"ServerInfo":{"DataCenter":"Sandbox","Slice":"SliceC","Ring":"1"}}'),
            ("timestamp", stamp(self.clock.ticks())),
        ]
        return response

    # ---- who asks

    def _claims(self, request: Request) -> dict[str, Any]:
        try:
            claims = self.tokens.verify(request.headers.get("authorization"), AUDIENCE)
        except TokenRefusedError as error:
            raise ApiError(401, "unauthenticated", f"Unauthorized referral access. {error}") from None
        if self.settings["wrong_audience"]:
            raise ApiError(401, "unauthenticated", "900420: The token's audience is not valid for this API.")
        if claims.get("idtyp") == "app":
            if not self.settings["app_only"]:
                raise ApiError(
                    403, "accessDenied", "Referrals need a token of an app and a user (App+User); this one is app-only."
                )
            return {**claims, "roles": ["Admin"]}
        if self.settings["mfa"] and "mfa" not in claims.get("amr", ()):
            raise ApiError(401, "900421", "The token does not satisfy multi-factor authentication (MFA).")
        if not claims.get("roles"):
            raise ApiError(403, "accessDenied", "The user is neither Referrals Admin nor Referrals User.")
        return claims

    # ---- what is asked

    def _route(self, request: Request, claims: dict[str, Any]) -> Response:
        rest = request.path.removeprefix(PATH if request.path.startswith(PATH) else DOCS_PATH).strip("/")
        admin = "Admin" in claims["roles"]
        if not rest:
            if request.method == "GET":
                return self._list(request, admin)
            if request.method == "POST":
                self._needs_admin(admin)
                return self._create(request)
            raise ApiError(405, "invalidRequest", f"{request.method} is not allowed here.")
        row = self.world.row_of(rest) if "/" not in rest else None
        if row is None or not self._visible(row, admin):
            raise ApiError(404, "itemNotFound", f"No referral {rest}.")
        if request.method == "GET":
            return self._one(row)
        if request.method not in ("PATCH", "PUT"):
            raise ApiError(405, "invalidRequest", f"{request.method} is not allowed on a referral.")
        self._needs_admin(admin)
        return self._write(request, row)

    @staticmethod
    def _needs_admin(admin: bool) -> None:
        if not admin:
            raise ApiError(403, "accessDenied", "Only a Referrals Admin may write referrals.")

    def _visible(self, row: int, admin: bool) -> bool:
        if not self.settings["marketplace"] and self.world.is_marketplace(row):
            return False
        return admin or self.world.seen_by_user(row)

    def _one(self, row: int, status: int = 200) -> Response:
        context = f'{{"@odata.context":"{self.base_url}{PATH}/$metadata#Referrals/$entity",'.encode()
        return Response(status, context + self.world.encoded(row)[1:], [("ETag", self.world.etag_of(row))])

    # ---- writing

    def _create(self, request: Request) -> Response:
        document = created(_json(request), self.world.setting, self.clock.ticks())
        row = self.world.add(document)
        return self._one(row, self.settings["create_status"])

    def _write(self, request: Request, row: int) -> Response:
        etag = request.headers.get("if-match")
        if request.method == "PUT" and etag is None:
            raise ApiError(400, "invalidRequest", "If-Match is required to replace a referral.", "If-Match")
        if etag is not None and etag not in ("*", self.world.etag_of(row)):
            raise ApiError(412, "preconditionFailed", "The referral has changed since it was read.", "If-Match")
        document = self.world.document(row)
        now = stamp(self.clock.ticks())
        change = patched if request.method == "PATCH" else replaced
        self.world.write(row, change(document, _json(request), now))
        if request.method == "PUT" or "return=representation" in request.headers.get("prefer", ""):
            return self._one(row)
        return Response(204, b"", [("ETag", self.world.etag_of(row))])

    # ---- listing

    def _list(self, request: Request, admin: bool) -> Response:
        query = dict(request.query)
        if len(query) != len(request.query):
            raise ApiError(400, "invalidRequest", "A query option is given twice.")
        token = query.pop("$skiptoken", None)
        if token is not None:
            if query:
                raise ApiError(400, "invalidRequest", f"{', '.join(query)} can't be combined with $skiptoken.")
            try:
                state = read_token(token)
            except ValueError:
                raise ApiError(400, "invalidRequest", "The $skiptoken is not valid.", "$skiptoken") from None
        else:
            for name in query:
                if name not in _OPTIONS:
                    raise ApiError(400, "invalidRequest", f"The query option '{name}' is not supported.", name)
            state = {
                "f": query.get("$filter"),
                "o": query.get("$orderby"),
                "s": query.get("$select"),
                "t": _top(query.get("$top")),
            }
        try:
            literals = self.settings["date_literals"]
            chosen = parse_filter(state["f"], literals) if state["f"] is not None else Filter(None)
            field, descending = parse_order(state["o"]) if state["o"] is not None else ("createdDateTime", True)
            names = parse_select(state["s"]) if state["s"] is not None else None
        except QueryError as error:
            raise ApiError(400, "invalidRequest", str(error)) from None
        return self._page(request, state, chosen, field, descending, names, admin)

    def _page(
        self,
        request: Request,
        state: dict[str, Any],
        chosen: Filter,
        field: str,
        descending: bool,
        names: list[str] | None,
        admin: bool,
    ) -> Response:
        fault = self._list_fault(request)
        kind = fault.kind if fault else None
        if kind == "repeat_page" and "p" in state:
            state = {**state, **state["p"]}
        keys = self._keys(chosen, field, descending, state)
        size = max(1, int(self.settings["page_size"]))
        left = state["t"]
        wanted = size if left is None else min(size, left)
        rows: list[int] = []
        last: int | None = None
        more = False
        position = int(state.get("n", 0))
        if not self.settings["empty"] and kind != "empty_page":
            for key in keys:
                if not self._passes(key & _MASK, chosen, admin):
                    position += 1
                    continue
                if len(rows) == wanted:
                    more = left is None or left > wanted
                    break
                rows.append(key & _MASK)
                last = key
                position += 1
        elif kind == "empty_page":
            more, last = True, state.get("k")
        parts = [self._encoded(row, names) for row in rows]
        if kind == "duplicate_row" and state.get("k") is not None:
            parts.insert(0, self._encoded(state["k"] & _MASK, names))
        if kind == "inject" and fault is not None:
            parts += [orjson.dumps(row) for row in fault.params.get("rows", [])]
        body = [f'{{"@odata.context":"{self.base_url}/v1.0/$metadata#Referrals"'.encode()]
        count = self._count(len(parts), chosen, admin)
        if count is not None:
            body.append(b',"@odata.count":%d' % count)
        body.append(b',"value":[' + b",".join(parts) + b"]")
        if more or kind == "loop":
            before = {"k": state.get("k"), "n": state.get("n", 0), "t": left}
            following = {
                **state,
                "k": last,
                "n": position,
                "t": None if left is None else left - len(rows),
                "p": before,
            }
            if kind == "loop":
                following = {**state, "k": state.get("k"), "n": state.get("n", 0)}
            body.append(b',"@odata.nextLink":' + orjson.dumps(self._next_link(write_token(following))))
        body.append(b"}")
        if kind == "move_rows" and fault is not None:
            self._move_rows(int(fault.params.get("count", 5)), rows)
        return Response(200, b"".join(body))

    def _list_fault(self, request: Request) -> Fault | None:
        if not self.faults.any("partner_center"):
            return None
        path = request.path + "?" + "&".join(f"{k}={v}" for k, v in request.query)
        return self.faults.take("partner_center", "GET", path, KINDS)

    def _keys(self, chosen: Filter, field: str, descending: bool, state: dict[str, Any]) -> Iterator[int]:
        """Sort keys ``stamp << 32 | row`` of candidate rows in order, from where the last page ended."""
        by_updated = field == "updatedDateTime"
        offset = self.settings["paging"] == "offset"
        after = None if offset else state.get("k")
        skip = int(state.get("n", 0)) if offset else 0
        low = chosen.updated_from << 32 if chosen.updated_from is not None else None
        high = (chosen.updated_to << 32) | _MASK if chosen.updated_to is not None else None
        if chosen.engagement is not None:
            stamps = self.world.table.updated if by_updated else self.world.table.created
            index = sorted(stamps[row] << 32 | row for row in self.world.engagement(chosen.engagement))
        elif not by_updated and (low is not None or high is not None):
            index = sorted(
                self.world.table.created[k & _MASK] << 32 | k & _MASK
                for k in _between(self.world.table.by_updated, low, high)
            )
        else:
            index = self.world.table.by_updated if by_updated else self.world.table.by_created
        start, stop = 0, len(index)
        if by_updated:
            start = bisect_left(index, low) if low is not None else 0
            stop = bisect_right(index, high) if high is not None else stop
        if descending:
            if after is not None:
                stop = min(stop, bisect_left(index, after))
            places = range(stop - 1 - skip, start - 1, -1)
        else:
            if after is not None:
                start = max(start, bisect_right(index, after))
            places = range(start + skip, stop)
        for place in places:
            yield index[place]

    def _passes(self, row: int, chosen: Filter, admin: bool) -> bool:
        if not self._visible(row, admin):
            return False
        if chosen.updated_from is not None and self.world.table.updated[row] < chosen.updated_from:
            return False
        if chosen.updated_to is not None and self.world.table.updated[row] > chosen.updated_to:
            return False
        return chosen.test is None or chosen.test(self._reader(row))

    def _reader(self, row: int) -> Callable[[str], Any]:
        document: dict[str, Any] | None = None

        def read(name: str) -> Any:
            nonlocal document
            if document is None:
                quick = self.world.quick_field(row, name)
                if quick is not None:
                    return quick
                document = orjson.loads(self.world.encoded(row))
            return document.get(name)

        return read

    def _encoded(self, row: int, names: list[str] | None) -> bytes:
        whole = self.world.encoded(row)
        if names is None:
            return whole
        document = orjson.loads(whole)
        return orjson.dumps({name: document[name] for name in names if name in document})

    def _count(self, on_page: int, chosen: Filter, admin: bool) -> int | None:
        form = self.settings["count"]
        if form == "absent":
            return None
        if form == "total":
            state: dict[str, Any] = {}
            keys = self._keys(chosen, "updatedDateTime", False, state)
            return 0 if self.settings["empty"] else sum(self._passes(key & _MASK, chosen, admin) for key in keys)
        return 1 if form == "one" else on_page

    def _next_link(self, token: str) -> str:
        form = self.settings["next_link"]
        query = "?$skiptoken=" + quote(token, safe="")
        if form == "docs":
            return self.base_url.replace("https://", "http://") + DOCS_PATH + query
        if form == "foreign":
            return "http://referrals.attacker.example" + PATH + query
        return self.base_url + PATH + query

    def _move_rows(self, count: int, served: list[int]) -> None:
        """Change some rows that were not served yet and some that were, as their owners would between two pages."""
        done = set(served)
        behind = [key & _MASK for key in self.world.table.by_updated if (key & _MASK) not in done][:count]
        for row in behind + served[: max(1, count // 2)]:
            document = self.world.document(row)
            document["statusReason"] = "Sayfalar arasında değişti."
            self.world.write(row, document)


def _between(index: list[int], low: int | None, high: int | None) -> list[int]:
    return index[
        bisect_left(index, low) if low is not None else 0 : bisect_right(index, high) if high is not None else None
    ]


def _json(request: Request) -> Any:
    if not request.headers.get("content-type", "").split(";")[0].strip().endswith("json"):
        raise ApiError(415, "invalidRequest", "The body must be JSON.", "Content-Type")
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, "invalidRequest", f"The body is not JSON: {error}.") from None


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ApiError(400, "invalidRequest", f"'{text}' is not a number for $top.", "$top")
    return int(text)
