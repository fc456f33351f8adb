"""What assets are given: the settings and the store. Clients are made by the rooms themselves, from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import dagster as dg
from pydantic import PrivateAttr

from hunter_orchestration.defs.evaluations import plan_once
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.runs import at_work, bury
from hunter_orchestration.store.work import utc_now

_LOOK_BACK = timedelta(days=2)
"""Longer than any run may take (max_runtime_seconds of dagster.yaml)."""


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
            if context.instance is not None:
                clear_up(self._store, context.instance)
                if context.run is not None:
                    plan_once(context.instance, context.run.run_id)
            yield self
        finally:
            self._store.close()
            self._store = None


def clear_up(store: Store, instance: dg.DagsterInstance) -> list[str]:
    """Free what ended runs still hold: a run whose process was killed can't do so itself. Returns their ids.

    Names that Dagster does not know are processes of commands; their leases end by themselves.
    """
    with store.read() as connection:
        names = sorted(at_work(connection, utc_now() - _LOOK_BACK))
    if not names:
        return []
    ended = [run.run_id for run in instance.get_runs(dg.RunsFilter(run_ids=names)) if run.is_finished]
    for run_id in ended:
        bury(store, run_id)
    return ended
