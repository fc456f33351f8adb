"""A store moves to another database whole, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from typer.testing import CliRunner

from hunter_orchestration import cli
from hunter_orchestration.store import Store
from hunter_orchestration.store.copying import CopyError, backup, copy
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.tables import metadata
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.leads import lead_counts, leads
from hunter_orchestration.store.tables.operations import events
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration_tests.dynamics.world import add_companies
from hunter_orchestration_tests.postgresql import fresh_database

NOW = datetime(2026, 11, 24, 9, 30, 15, 123456, tzinfo=UTC)


def filled(store: Store) -> None:
    add_companies(store, range(1, 523))
    with store.write() as connection:
        connection.execute(insert(events), [{"at": NOW, "kind": "leads_changed", "body": {"a": 1.0, "ş": ["x", None]}}])
        connection.execute(referrals.update().values(deal_value=Decimal("1234.5600")))


@pytest.fixture
def other(store: Store, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store on the database the first one is not on."""
    if store.dialect == "postgresql":
        made = Store(f"sqlite:///{tmp_path / 'other.db'}")
        yield made
        made.close()
        return
    with fresh_database(request.getfixturevalue("postgresql_server")) as url:
        made = Store(url)
        yield made
        made.close()


def test_every_row_arrives_and_new_rows_get_new_keys(store: Store, other: Store) -> None:
    filled(store)
    copied = copy(store, other)
    with store.read() as before, other.read() as after:
        for table in metadata.sorted_tables:
            if table is lead_counts:
                continue
            counts = [
                int(side.execute(select(func.count()).select_from(table)).scalar_one()) for side in (before, after)
            ]
            assert counts == [copied[table.name]] * 2, table.name
        for table in (companies, referrals, leads, events):
            key = list(table.primary_key.columns)
            there, here = (
                [dict(row) for row in side.execute(select(table).order_by(*key)).mappings()] for side in (before, after)
            )
            assert here == there
        totals = [side.execute(select(func.sum(lead_counts.c.leads))).scalar_one() for side in (before, after)]
        assert totals[0] == totals[1]
    with other.write() as connection:
        made = connection.execute(insert(events).values(at=NOW, kind="alert").returning(events.c.id)).scalar_one()
        newest = connection.execute(select(func.max(events.c.id))).scalar_one()
    assert made == newest > 1


def test_a_target_that_holds_rows_is_refused_and_left_alone(store: Store, other: Store) -> None:
    upgrade(other)
    add_companies(other, [1])
    add_companies(store, [2, 3])
    with pytest.raises(CopyError, match="already holds rows"):
        copy(store, other)
    with other.read() as connection:
        assert connection.execute(select(func.count()).select_from(companies)).scalar_one() == 1


def test_a_backup_is_a_whole_store_and_never_overwrites(sqlite_store: Store, tmp_path: Path) -> None:
    add_companies(sqlite_store, range(50))
    file = tmp_path / "kept.db"
    assert backup(sqlite_store, file) == file.stat().st_size
    assert file.stat().st_mode & 0o077 == 0
    with Store(f"sqlite:///{file}").read() as connection:
        assert connection.execute(select(func.count()).select_from(companies)).scalar_one() == 50
    with pytest.raises(CopyError, match="exists"):
        backup(sqlite_store, file)
    with pytest.raises(CopyError, match="could not be written"):
        backup(sqlite_store, tmp_path / "no" / "such" / "folder.db")


def test_a_copy_beside_a_running_hunter_says_what_it_lacks(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz/live" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return

    if not cli.app.registered_commands:
        cli._assemble()
    monkeypatch.setenv("HUNTER_DATABASE_URL", str(sqlite_store.url))
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
        monkeypatch.setenv("HUNTER_API_PORT", str(page.server_port))
        threading.Thread(target=page.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        beside = CliRunner().invoke(cli.app, ["db", "copy", "--to", f"sqlite:///{tmp_path / 'one.db'}"])
        page.shutdown()
    alone = CliRunner().invoke(cli.app, ["db", "copy", "--to", f"sqlite:///{tmp_path / 'two.db'}"])
    assert (beside.exit_code, alone.exit_code) == (0, 0), beside.output + alone.output
    assert "is not in the copy" in beside.output
    assert "is not in the copy" not in alone.output
