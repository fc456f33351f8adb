"""What assets are given: the settings and the store. Clients are made by the rooms themselves, from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import PrivateAttr

from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade


class Engine(dg.ConfigurableResource):
    """Hunter's settings and store, opened once a run. Secrets stay in the environment, never in run config."""

    _store: Store | None = PrivateAttr(default=None)

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return load_settings()

    @property
    def store(self) -> Store:
        """The store, open while the run lasts."""
        if self._store is None:
            raise RuntimeError("the store is open only while a run executes")
        return self._store

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Engine]:
        """Open the store for the run and close it afterwards."""
        self._store = Store(self.settings.store_url)
        try:
            upgrade(self._store)
            yield self
        finally:
            self._store.close()
            self._store = None
