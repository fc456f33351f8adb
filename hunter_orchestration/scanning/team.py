"""A long list scanned by several processes of one machine: each with its own engine, all drawing from one list.

What one process does for a domain, reading its answers and storing them, costs more than looking it up; on two cores
two processes do nearly twice as much. The process that began is one of them and may be ended like any other: it stops
the rest, and they stop when it is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import wait as wait_for
from typing import Any

from hunter_orchestration.errors import TransientError
from hunter_orchestration.loopback import is_loopback
from hunter_orchestration.scanning.picking import Page, Place
from hunter_orchestration.scanning.scanner import addresses_of
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.work import StageResult

_WORTH = 5000
"""Domains below which the start of a process, about a second, is not made up for."""
_MOST_BY_ITSELF = 4
_NICENESS = 10
_LOCK_SECONDS = 60.0
_PLACE_BYTES = 512
_LOOK_SECONDS = 1.0


class LostProcessError(TransientError):
    """A process that scanned along ended without a word: killed, or out of memory."""

    def __init__(self) -> None:
        super().__init__(
            "A process that scanned along ended without a word; it may have run out of memory.",
            "Run again: what it had not stored is still due. HUNTER_SCAN_PROCESSES=1 does without others.",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return LostProcessError, ()


class SharedDraw:
    """Pages of one list for several processes (see ``picking.Draw``), and how many domains they have done."""

    def __init__(self, context: multiprocessing.context.SpawnContext, processes: int) -> None:
        self._lock = context.Lock()
        self._kept = context.RawArray("c", _PLACE_BYTES)
        self._over = context.RawValue("b", 0)
        self._done = context.RawArray("q", processes)
        self.number = 0

    def page(self, read: Callable[[Place | None], Page]) -> Page:
        """See ``picking.Draw``.

        Raises:
            LostProcessError: one that was killed holds the list.
        """
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            raise LostProcessError
        try:
            if self._over.value:
                return []
            at, _, domain = self._kept.value.decode().partition(" ")
            page = read((datetime.fromisoformat(at), domain) if at else None)
            if page:
                self._kept.value = f"{page[-1][2].isoformat()} {page[-1][0]}".encode()
            return page
        finally:
            self._lock.release()

    def end(self) -> None:
        """Hand out nothing more."""
        self._over.value = 1

    def tell(self, done: int) -> None:
        """Note how many domains this process has done."""
        self._done[self.number] = done

    @property
    def done(self) -> int:
        """Domains done by all of them."""
        return sum(self._done)


@dataclass(frozen=True, slots=True)
class Share:
    """What the other processes are told. ``work`` scans with the draw until there is nothing left."""

    store: Store
    settings: Settings
    work: Callable[[Store, Settings, SharedDraw], StageResult]


class Team:
    """The other processes, under way until the block ends.

    Args:
        others: how many beside this one.
        share: what they do.
    """

    def __init__(self, others: int, share: Share) -> None:
        context = multiprocessing.get_context("spawn")
        self.draw = SharedDraw(context, others + 1)
        self._pool = ProcessPoolExecutor(others, context, _begin, (self.draw,))
        self._shares = [self._pool.submit(_take, share, number) for number in range(1, others + 1)]

    def check(self) -> None:
        """Raise what ended one of them early, if anything did.

        Raises:
            LostProcessError: it was killed.
        """
        for share in self._shares:
            if share.done():
                _result(share)

    def results(self, look: Callable[[], None]) -> Iterator[StageResult]:
        """Wait until they are done, calling ``look`` each second.

        Raises:
            LostProcessError: one was killed.
        """
        while wait(self._shares, timeout=_LOOK_SECONDS).not_done:
            self.check()
            look()
        yield from map(_result, self._shares)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        """Let them finish what they are at, and end."""
        self.draw.end()
        self._pool.shutdown(cancel_futures=True)


def processes_for(settings: Settings, reaches: Callable[[int], bool]) -> int:
    """How many processes a list is worth.

    By itself, several are taken only where every resolver is on this machine: a public one bans the greedy. A process
    that may not have children, such as a Celery worker's, works alone.

    Args:
        reaches: whether the list has so many domains; asked only when it matters.
    """
    processes = settings.scan_processes
    if not processes:
        own = all(is_loopback(address.host) for address in addresses_of(settings))
        processes = min(_cores(), _MOST_BY_ITSELF) if own else 1
    if processes < 2 or multiprocessing.current_process().daemon or not reaches(_WORTH):
        return 1
    return processes


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _result(share: Future[StageResult]) -> StageResult:
    try:
        return share.result()
    except BrokenProcessPool:
        raise LostProcessError from None


# -- in the other processes ---------------------------------------------------------------------------------------

_drawn: SharedDraw


def _begin(draw: SharedDraw) -> None:
    """Make way for the page, leave Ctrl-C to the process that began, and go when it goes."""
    global _drawn
    _drawn = draw
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_go_with, args=(parent.sentinel,), daemon=True).start()


def _go_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def _take(share: Share, number: int) -> StageResult:
    _drawn.number = number
    try:
        return share.work(share.store, share.settings, _drawn)
    finally:
        share.store.close()
