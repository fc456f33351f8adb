"""kill -9 of the process that runs the chain, at every named place: the next run ends where it would have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hunter_orchestration.crash_points import NAMES
from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration_tests.faults import chain

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    """What an undisturbed run left, filled by the first test that needs it."""
    return {}


def expected(undisturbed: dict[str, Any], box: RunningSandbox, folder: Path) -> dict[str, Any]:
    if not undisturbed:
        store = Store(f"sqlite:///{folder / 'undisturbed.db'}")
        upgrade(store)
        chain.run(store, chain.settings_of(box, store), "undisturbed")
        undisturbed |= chain.contents(store)
        store.close()
        box.call("POST", "/dataverse/reset", {"prepared": True})
        box.call("DELETE", "/dataverse/counters")
    return undisturbed


@pytest.mark.parametrize("place", NAMES)
def test_a_chain_killed_at_a_named_place_is_finished_by_the_next_run(
    box: RunningSandbox, store: Store, settings: Settings, undisturbed: dict[str, Any], tmp_path: Path, place: str
) -> None:
    goal = expected(undisturbed, box, tmp_path)
    chain.killed_at(chain.variables(box, store), place)
    chain.check(store, box, fresh=False, settled=False, crashes=1)
    chain.settles(store, box, settings, crashes=1)
    assert chain.contents(store) == goal


@pytest.mark.parametrize("places", [("before_store:2", "after_scan", "push_sent:2", "pull_read:2")])
def test_a_chain_killed_again_and_again_still_arrives(
    box: RunningSandbox, store: Store, settings: Settings, undisturbed: dict[str, Any], tmp_path: Path, places: Any
) -> None:
    goal = expected(undisturbed, box, tmp_path)
    for place in places:
        chain.killed_at(chain.variables(box, store), place)
        chain.leases_end(store)
        chain.check(store, box, fresh=False, settled=False, crashes=len(places))
    chain.settles(store, box, settings, crashes=len(places))
    assert chain.contents(store) == goal
