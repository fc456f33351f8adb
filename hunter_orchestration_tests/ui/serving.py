"""The real server on a port of its own, with the real page, over a store that a test fills."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.web.__main__ import server_of
from hunter_orchestration.web.app import create_app


@contextmanager
def serving(store: Store, port: int = 0, **settings: Any) -> Iterator[str]:
    """Serve; ends with its streams.

    Args:
        store: the database behind it.
        port: 0 for any; a test that restarts the server under an open page names the one it had.
        settings: more settings.
    """
    listening = socket.create_server(("127.0.0.1", port))
    values: dict[str, Any] = {
        "database_url": store.url.render_as_string(False),
        "api_port": listening.getsockname()[1],
        "partner_center_enabled": True,
        "dynamics_enabled": True,
        "dynamics_url": "https://contoso.crm4.dynamics.example",
    }
    configured = Settings(**(values | settings))
    server = server_of(configured, create_app(configured, store=store))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.config.app.state.live.close()
        server.should_exit = True
        thread.join(10)
        listening.close()
