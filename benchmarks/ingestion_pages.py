"""The service the ingestion benchmark talks to: pages of invented referrals on loopback, answered from plain dicts."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
PAGE = 100


def stamped(minute: int) -> datetime:
    """The stamp of the referral of that number."""
    return EPOCH + timedelta(minutes=minute)


def referral(number: int, version: int = 0, at: int | None = None) -> dict[str, Any]:
    """An invented referral of ordinary size; the stamps of two numbers are a minute apart."""
    stamp = stamped(number if at is None else at).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    return {
        "id": f"00000000-0000-4000-8000-{number:012x}",
        "engagementId": f"10000000-0000-4000-8000-{number:012x}",
        "name": f"Deal {number}",
        "organizationId": "c4b965db-cca9-59f3-9c3d-e07a2e4fa44d",
        "createdDateTime": stamp,
        "updatedDateTime": stamp,
        "expirationDateTime": None,
        "status": "Active" if version else "New",
        "substatus": "Accepted" if version else "Pending",
        "qualification": "SalesQualified",
        "type": "Shared",
        "direction": "Incoming",
        "eTag": f'"{number}-{version}"',
        "mpnId": "1000001",
        "tags": [],
        "customerProfile": {
            "name": f"Company {number} A.Ş.",
            "size": "10to50employees",
            "address": {"addressLine1": "Cadde 1", "city": "İzmir", "state": None, "country": "TR"},
            "team": [{"firstName": "Ada", "lastName": "Örnek", "email": f"ada@company{number}.example"}],
            "ids": [{"profileType": "External", "id": f"1-{number}"}],
        },
        "consent": {"consentToToShareInfoWithOthers": True, "consentToContact": True},
        "details": {
            "notes": "Wants to move its mail.",
            "dealValue": 1000 + number,
            "currency": "TRY",
            "requirements": {"products": [{"id": "Microsoft365"}], "services": [], "solutions": []},
        },
        "team": [],
        "inviteContext": {"invitedBy": {"organizationId": "msft", "organizationName": "Microsoft"}},
    }


class Pages(BaseHTTPRequestHandler):
    """Pages of ``total`` referrals in the order of their stamps, the first ``changes`` numbers changed after them."""

    protocol_version = "HTTP/1.1"
    total, changes, version = 0, 0, 0

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if self.path.startswith("/set"):
            Pages.total, Pages.changes, Pages.version = (int(query[key]) for key in ("total", "changes", "version"))
            self._send(b"{}")
            return
        if "desc" in query.get("$orderby", ""):
            self._send(orjson.dumps({"value": [self._row(self.total - 1)] if self.total else []}))
            return
        first = int(query["$skiptoken"]) if "$skiptoken" in query else self._first(query.get("$filter", ""))
        rows = [self._row(position) for position in range(first, min(first + PAGE, self.total))]
        body: dict[str, Any] = {"value": rows}
        if first + PAGE < self.total:
            host = self.headers["Host"]
            body["@odata.nextLink"] = f"http://{host}/v1.0/engagements/referrals?$skiptoken={first + PAGE}"
        self._send(orjson.dumps(body))

    def _row(self, position: int) -> dict[str, Any]:
        # Changed referrals are the first ones, moved behind all others.
        number = (position + self.changes) % self.total
        moved = number < self.changes
        return referral(number, self.version if moved else 0, self.total + number if moved else None)

    def _first(self, condition: str) -> int:
        if " ge " not in condition:
            return 0
        minute = (datetime.fromisoformat(condition.split(" ge ")[1].split(" ")[0]) - EPOCH) / timedelta(minutes=1)
        return max(0, int(minute) - self.changes)

    def _send(self, content: bytes) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        return


def serve(pipe: Any) -> None:
    """Serve until something comes through the pipe; the port goes out through it first."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    pipe.send(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.recv()
