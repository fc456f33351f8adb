"""A scripted referrals service over real HTTP: offset paging at its worst, faults on demand, every request noted."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from hunter_orchestration.errors import HunterError
from hunter_orchestration.settings import Settings

COLLECTION = "/v1.0/engagements/referrals"
EPOCH = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def referral(number: int, *, updated: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """An invented referral; ``number`` decides its id, company and stamp."""
    changed = updated or EPOCH + timedelta(seconds=number)
    payload: dict[str, Any] = {
        "id": str(uuid.UUID(int=number + 1)),
        "engagementId": str(uuid.UUID(int=10**9 + number)),
        "name": f"Deal {number}",
        "organizationId": "c4b965db-cca9-59f3-9c3d-e07a2e4fa44d",
        "createdDateTime": stamp(EPOCH),
        "updatedDateTime": stamp(changed),
        "expirationDateTime": None,
        "status": "New",
        "substatus": "Pending",
        "qualification": "SalesQualified",
        "type": "Shared",
        "direction": "Incoming",
        "eTag": f'"{number}-0"',
        "customerProfile": {
            "name": f"Company {number}",
            "size": "10to50employees",
            "address": {"city": "İzmir", "country": "TR"},
            "team": [
                {"firstName": "Ada", "lastName": "Örnek", "email": f"ada@company{number}.example", "phoneNumber": None}
            ],
            "ids": [{"profileType": "External", "id": f"1-{number}"}],
        },
        "consent": {"consentToToShareInfoWithOthers": True, "consentToContact": True},
        "details": {"dealValue": 1000 + number, "currency": "TRY", "notes": "Note", "requirements": {}},
        "inviteContext": {"invitedBy": {"organizationId": "msft"}},
        "team": [{"email": "seller@partner.example"}],
    }
    return payload | changes


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Service:
    """The service: rows by id, the faults still to play, and what was asked."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    page_size: int = 25
    requests: list[Request] = field(default_factory=list)
    faults: list[Callable[[Request], Answer | None]] = field(default_factory=list)
    after_page: Callable[[int], None] = lambda page: None
    shape_link: Callable[[str], str | None] = lambda link: link
    top_limits_all: bool = False
    ahead: timedelta = timedelta(0)
    url: str = ""

    def put(self, *payloads: dict[str, Any]) -> None:
        for payload in payloads:
            self.rows[payload["id"]] = payload

    def listing(self, request: Request) -> dict[str, Any]:
        query = request.query
        offset, order, condition, top = 0, query.get("$orderby", ""), query.get("$filter", ""), query.get("$top")
        if "$skiptoken" in query:
            offset, order, condition, top = json.loads(query["$skiptoken"])
        rows = [row for row in self.rows.values() if _matches(row, condition)]
        rows.sort(key=lambda row: str(row.get("updatedDateTime")), reverse=order.endswith("desc"))
        if self.top_limits_all and top:
            rows = rows[: int(top)]
        size = min(self.page_size, int(top or self.page_size))
        body: dict[str, Any] = {"@odata.count": 1, "value": rows[offset : offset + size]}
        if "$select" in query:
            body["value"] = [{name: row.get(name) for name in query["$select"].split(",")} for row in body["value"]]
            return body
        if offset + size < len(rows):
            token = quote(json.dumps([offset + size, order, condition, top]))
            link = self.shape_link(f"{self.url}{COLLECTION}?$skiptoken={token}")
            if link is not None:
                body["@odata.nextLink"] = link
        self.after_page(offset // size)
        return body

    def answer(self, request: Request) -> Answer:
        for fault in list(self.faults):
            played = fault(request)
            if played is not None:
                return played
        if request.headers.get("authorization") != "Bearer good":
            return 401, {}, b'{"error":{"code":"unauthenticated","message":"no"}}'
        if request.method == "GET" and request.path == COLLECTION:
            return 200, {}, json.dumps(self.listing(request)).encode()
        row = self.rows.get(request.path.rsplit("/", 1)[-1])
        if row is None:
            return 404, {}, b'{"error":{"code":"itemNotFound","message":"no such referral"}}'
        if request.method == "PATCH":
            if request.headers.get("if-match") not in (None, row["eTag"]):
                return 412, {}, b'{"error":{"code":"preconditionFailed","message":"changed"}}'
            for operation in json.loads(request.body):
                row = row | {operation["path"].strip("/"): operation["value"]}
            row = row | {"eTag": f'"{uuid.uuid4()}"', "updatedDateTime": stamp(EPOCH + timedelta(days=3))}
            self.rows[row["id"]] = row
        return 200, {"ETag": row["eTag"]}, json.dumps(row).encode()

    def once(self, answer: Answer, times: int = 1) -> None:
        """Answer the next requests with this."""
        left = [times]

        def play(_request: Request) -> Answer | None:
            left[0] -= 1
            return answer if left[0] >= 0 else None

        self.faults.append(play)


def _matches(row: dict[str, Any], condition: str) -> bool:
    value = str(row.get("updatedDateTime"))
    for part in condition.split(" and ") if condition else []:
        found = re.fullmatch(r"updatedDateTime (ge|lt) (\S+)Z", part)
        assert found, condition
        bound = found[2] + "0Z"
        if (found[1] == "ge" and value < bound) or (found[1] == "lt" and value >= bound):
            return False
    return True


@contextmanager
def serving() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, query, headers, body)
            service.requests.append(request)
            status, more, content = service.answer(request)
            if status == 0:
                self.close_connection = True
                return
            self.send_response_only(status)
            self.send_header("Date", self.date_time_string((datetime.now(UTC) + service.ahead).timestamp()))
            if "Content-Length" not in more:
                self.send_header("Content-Length", str(len(content)))
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            if "Content-Length" in more:
                self.close_connection = True

        do_GET = do_PATCH = do_POST = do_PUT = _handle

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()


class Bearer:
    """A token source that hands out what it is given, the last one for ever."""

    def __init__(self, *tokens: str) -> None:
        self.left = list(tokens) or ["good"]
        self.forced = 0
        self.told: list[str] = []

    def token(self, *, force: bool = False) -> str:
        if force:
            self.forced += 1
            if len(self.left) > 1:
                self.left.pop(0)
        return self.left[0]

    def refused(self, error: HunterError) -> None:
        self.told.append(str(error))


def settings_for(service: Service, **changes: Any) -> Settings:
    return Settings(_env_file=None, partner_center_url=service.url, **changes)  # type: ignore[call-arg]
