"""The server in process, over a store and a stand-in for Dagster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.testclient import TestClient

from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.web.app import create_app
from hunter_orchestration_tests.web.engine import Engine

ClientFactory = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Log lines go nowhere: without the product's own configuration each would be drawn for a terminal."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Dagster's stand-in; runs stay at work until a test ends them."""
    started = Engine()
    yield started
    started.close()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A small mini UI."""
    folder = tmp_path / "mini-ui"
    (folder / "lib").mkdir(parents=True)
    (folder / "index.html").write_text('<!doctype html><script type="module" src="/static/app.js"></script>')
    (folder / "app.js").write_text("import './lib/part.js';\n" * 50)
    (folder / "lib" / "part.js").write_text("export const part = 1;\n")
    (folder / "favicon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return folder


@pytest.fixture
def client_for(engine: Engine, page: Path) -> Iterator[ClientFactory]:
    """Makes a client of a server over a store; keyword arguments are settings."""
    with ExitStack() as stack:

        def make(store: Store, **settings: Any) -> TestClient:
            values = {"dagster_url": engine.url, "partner_center_enabled": True, **settings}
            app = create_app(Settings(database_url=store.url.render_as_string(False), **values), store=store, page=page)
            host = values.get("public_url", "http://127.0.0.1:8000")
            return stack.enter_context(TestClient(app, base_url=host, raise_server_exceptions=False))

        yield make


@pytest.fixture
def client(client_for: ClientFactory, sqlite_store: Store) -> TestClient:
    """A client of a server over SQLite."""
    return client_for(sqlite_store)
