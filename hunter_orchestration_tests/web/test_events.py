"""The event stream over a real server: catching up, gaps, and an end that does not hang."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store, runs
from hunter_orchestration.web import live
from hunter_orchestration.web.__main__ import server_of
from hunter_orchestration.web.app import create_app


def _emit(store: Store, *kinds: str) -> None:
    with store.write() as connection:
        for kind in kinds:
            runs.emit(connection, kind, "subject", {"kind": kind})


@contextmanager
def _serving(store: Store, page: Path) -> Iterator[str]:
    settings = Settings(database_url=store.url.render_as_string(False), api_port=0)
    server = server_of(settings, create_app(settings, store=store, page=page))
    listening = socket.create_server(("127.0.0.1", 0))
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
        assert not thread.is_alive()


def _events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield {"event": kind} | json.loads(line.removeprefix("data: "))


@pytest.fixture
def serving(sqlite_store: Store, page: Path) -> Iterator[str]:
    with _serving(sqlite_store, page) as url:
        yield url


def test_what_happens_arrives_in_order(serving: str, sqlite_store: Store) -> None:
    _emit(sqlite_store, "before")
    with httpx.stream("GET", f"{serving}/api/v1/events", timeout=10) as answer:
        found = _events(answer)
        assert next(found)["event"] == "hello"
        _emit(sqlite_store, "one", "two")
        assert [next(found)["event"], next(found)["event"]] == ["one", "two"]


def test_a_page_that_was_away_gets_what_it_missed_once(serving: str, sqlite_store: Store) -> None:
    _emit(sqlite_store, "seen", "missed", "missed too")
    headers = {"Last-Event-ID": "1"}
    with httpx.stream("GET", f"{serving}/api/v1/events", headers=headers, timeout=10) as answer:
        found = _events(answer)
        assert next(found)["event"] == "hello"
        _emit(sqlite_store, "new")
        assert [next(found)["event"] for _ in range(3)] == ["missed", "missed too", "new"]


def test_a_page_that_missed_too_much_is_told_to_load_anew(serving: str, sqlite_store: Store) -> None:
    _emit(sqlite_store, *(["x"] * (live.CATCH_UP + 2)))
    with httpx.stream("GET", f"{serving}/api/v1/events?last_event_id=0", timeout=10) as answer:
        found = _events(answer)
        assert [next(found)["event"], next(found)["event"]] == ["hello", "gap"]
        _emit(sqlite_store, "new")
        assert next(found)["event"] == "new"


def test_several_pages_hear_the_same(serving: str, sqlite_store: Store) -> None:
    with (
        httpx.stream("GET", f"{serving}/api/v1/events", timeout=10) as one,
        httpx.stream("GET", f"{serving}/api/v1/events", timeout=10) as two,
    ):
        first, second = _events(one), _events(two)
        next(first), next(second)
        _emit(sqlite_store, "shared")
        assert next(first)["event"] == next(second)["event"] == "shared"


def test_the_server_ends_while_pages_listen(sqlite_store: Store, page: Path) -> None:
    with _serving(sqlite_store, page) as url:
        stream = httpx.Client(timeout=10)
        answer = stream.send(stream.build_request("GET", f"{url}/api/v1/events"), stream=True)
        assert next(_events(answer))["event"] == "hello"
    stream.close()
