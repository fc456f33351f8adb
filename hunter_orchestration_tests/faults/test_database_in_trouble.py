"""A database that is full, locked, read-only or away, and a migration that was killed: a clean stop, a clear sentence,
and the work goes on from where it stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import psycopg2
import pytest
from sqlalchemy import event, inspect

from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store, StoreError
from hunter_orchestration.store.migrate import is_current, upgrade
from hunter_orchestration.store.runs import latest_runs
from hunter_orchestration.store.tables import metadata
from hunter_orchestration_tests.faults import chain


def limited(store: Store, *pragmas: str) -> Store:
    """The same SQLite file opened by a program that has these limits."""
    opened = Store(str(store.url))

    @event.listens_for(opened.engine, "connect")
    def _limit(raw: Any, _record: Any) -> None:
        for pragma in pragmas:
            raw.execute(f"PRAGMA {pragma}")

    return opened


def database_admin(store: Store, statement: str) -> None:
    """Tell the PostgreSQL server something, from outside."""
    url = store.url
    admin = psycopg2.connect(host=url.host, port=url.port, user=url.username, dbname="postgres")
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(statement)
    admin.close()


def test_a_full_disk_stops_the_chain_with_a_sentence_and_it_resumes(box: RunningSandbox, sqlite_store: Store) -> None:
    settings = chain.settings_of(box, sqlite_store)
    with sqlite_store.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    full = limited(sqlite_store, f"max_page_count={pages + 20}")
    with pytest.raises(StoreError, match=r"no room left on its disk\. Free some space"):
        chain.run(full, settings, "full")
    full.close()
    assert chain.crm_writes(box) == {}
    chain.check(sqlite_store, box, settled=False)
    chain.settles(sqlite_store, box, settings)


def test_a_database_that_became_read_only_stops_the_chain_and_it_resumes(
    box: RunningSandbox, store: Store, settings: Settings
) -> None:
    if store.dialect == "sqlite":
        frozen = limited(store, "query_only=ON")
    else:
        database_admin(store, f"ALTER DATABASE {store.url.database} SET default_transaction_read_only = on")
        frozen = Store(store.url.render_as_string(hide_password=False))
    with pytest.raises(StoreError, match="can only be read"):
        chain.run(frozen, settings, "frozen")
    frozen.close()
    assert chain.crm_writes(box) == {}
    if store.dialect == "postgresql":
        database_admin(store, f"ALTER DATABASE {store.url.database} SET default_transaction_read_only = off")
        store.close()
    chain.settles(store, box, settings)


def test_a_database_that_another_program_holds_locked_is_told_and_tried_again(
    box: RunningSandbox, sqlite_store: Store
) -> None:
    settings = chain.settings_of(box, sqlite_store)
    impatient = limited(sqlite_store, "busy_timeout=50")
    with sqlite_store.engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another program"):
            chain.run(impatient, settings, "locked out")
        other.rollback()
    impatient.close()
    assert chain.crm_writes(box) == {}
    chain.settles(sqlite_store, box, settings)


@pytest.mark.slow
def test_a_server_that_drops_every_connection_costs_one_run(
    box: RunningSandbox, postgresql_server: str, store: Store, settings: Settings
) -> None:
    if store.dialect == "sqlite":
        # A file has no server: what ends there is the process, see test_killed_anywhere.
        chain.settles(store, box, settings)
        return
    drop = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{store.url.database}'"
    with pytest.raises(StoreError, match="does not answer any more"), store.write() as connection:  # noqa: PT012
        database_admin(store, drop)
        connection.exec_driver_sql("SELECT 1")
    chain.settles(store, box, settings)


def test_what_a_stage_failed_of_is_recorded_in_the_same_words(sqlite_store: Store) -> None:
    from hunter_orchestration.store.runs import recorded

    with pytest.raises(StoreError), recorded(sqlite_store, "companies", "run"):
        raise StoreError("The database is locked by another program.")
    with sqlite_store.read() as connection:
        assert latest_runs(connection, "companies", 1)[0]["error"] == "The database is locked by another program."


_KILLED_UPGRADE = """
import os, signal, sys
from sqlalchemy import event
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade

store, left = Store(sys.argv[1]), int(sys.argv[2])

@event.listens_for(store.engine, "after_cursor_execute")
def _count(connection, cursor, statement, *_):
    global left
    if statement.lstrip().upper().startswith(("CREATE", "ALTER", "INSERT", "UPDATE")):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

upgrade(store)
"""


@pytest.mark.slow
@pytest.mark.parametrize("statement", [1, 25, 70])
def test_a_migration_killed_at_any_statement_can_be_started_again(store_url: str, statement: int) -> None:
    command = [sys.executable, "-c", _KILLED_UPGRADE, store_url, str(statement)]
    killed = subprocess.run(command, env=dict(os.environ), capture_output=True, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    store = Store(store_url)
    assert not is_current(store)
    upgrade(store)
    assert is_current(store)
    assert set(metadata.tables) <= set(inspect(store.engine).get_table_names())
    store.close()
