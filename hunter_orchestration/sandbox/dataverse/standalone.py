"""The emulator on a port of its own, without the rest of the sandbox."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from hunter_orchestration.sandbox.clock import Clock
from hunter_orchestration.sandbox.dataverse.app import DataverseApp, TokenCheck
from hunter_orchestration.sandbox.dataverse.control import control_router
from hunter_orchestration.sandbox.dataverse.seeds import Companies
from hunter_orchestration.sandbox.faults import Faults


@dataclass(slots=True)
class Running:
    """An emulator that answers at ``url``; its control API is below ``url/control/dataverse``."""

    url: str
    app: DataverseApp
    clock: Clock
    faults: Faults


@contextmanager
def running(
    *,
    prepared: bool = False,
    world: Companies | None = None,
    tokens: TokenCheck | None = None,
    certificate: tuple[str, str] | None = None,
    state: Path | None = None,
    **switches: Any,
) -> Iterator[Running]:
    """Serve from a thread until the block ends.

    Args:
        certificate: files of a certificate and its key, to speak TLS.
        state: a folder that keeps the organisation.
        switches: settings that differ from the strict defaults.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    scheme = "https" if certificate else "http"
    url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    clock, faults = Clock(), Faults()
    app = DataverseApp(world, tokens, clock, faults, url, prepared=prepared, state=state)
    faults.configure("dataverse", switches)
    control = FastAPI()
    control.include_router(control_router(app), prefix="/dataverse")
    site = FastAPI()
    site.mount("/control", control)
    site.mount("/", app)
    config = uvicorn.Config(
        site,
        log_level="warning",
        access_log=False,
        lifespan="off",
        date_header=False,
        ssl_certfile=certificate[0] if certificate else None,
        ssl_keyfile=certificate[1] if certificate else None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            if not thread.is_alive():
                raise RuntimeError("the emulator did not start")
        yield Running(url, app, clock, faults)
    finally:
        server.should_exit = server.force_exit = True
        thread.join(5)
        listener.close()
        if app.journal is not None:
            app.journal.close()
