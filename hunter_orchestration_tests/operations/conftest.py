from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Partner:
    """Answers 401 as Partner Center does to nobody in particular, with a clock ``drift`` seconds off."""

    def __init__(self) -> None:
        self.drift = 0.0
        partner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(401)
                self.send_header("Date", formatdate(time.time() - partner.drift, usegmt=True))
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{self.server.server_port}"
        self.settings: dict[str, Any] = {"partner_center_enabled": True, "partner_center_url": url}
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def partner() -> Iterator[Partner]:
    made = Partner()
    yield made
    made.server.shutdown()
    made.server.server_close()
