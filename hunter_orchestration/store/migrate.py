"""Upgrading the store with Alembic, from code: no configuration file to find at run time."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from hunter_orchestration.store.engine import Store

_SCRIPTS = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps its context in globals, and the ticks of the engine are threads of one process."""


def _config(store: Store) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["store"] = store
    return config


def upgrade(store: Store) -> None:
    """Bring the schema to the newest version. Safe to repeat, and to start again after it was killed."""
    with _ONE_AT_A_TIME:
        if not is_current(store):
            command.upgrade(_config(store), "head")


def current_version(store: Store) -> str | None:
    """The version the database is at, ``None`` for an empty one."""
    with store.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@lru_cache(maxsize=1)
def newest_version() -> str:
    """The version this code expects."""
    head = ScriptDirectory(str(_SCRIPTS)).get_current_head()
    if head is None:
        raise RuntimeError("the package holds no migrations")
    return head


def is_current(store: Store) -> bool:
    """Whether the database is at the version this code expects."""
    return current_version(store) == newest_version()
