"""The scanner's engine: thousands of lookups in flight from one thread, over one poll loop.

A task is a generator that yields lists of ``Question`` and is sent the list of their ``Answer``; its return value is
its result. The engine knows nothing of mail or domains: it runs tasks and shares what many of them ask; ``Lookups``
carries each question to its answer. It always ends: every lookup and every task has a bounded number of packets,
seconds and bytes.
"""

from __future__ import annotations

import gc
import selectors
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scanning.cache import AnswerCache
from hunter_orchestration.scanning.lookups import Lookups
from hunter_orchestration.scanning.resolvers import FIRST_TIMEOUT, Address, Resolver
from hunter_orchestration.scanning.tasks import Finished, Lookup, Question, Running, Task
from hunter_orchestration.scanning.timers import Timers
from hunter_orchestration.scanning.wire import Answer, WireError

_TASK_LOOKUPS = 96
_PARKED_FACTOR = 4
_GC_THRESHOLD = 50_000
_ROUNDS_BETWEEN_TIMERS = 8
_SWEEPS = 8


class Engine:
    """Runs tasks over a set of resolvers. Use as a context manager; one ``run`` at a time.

    Args:
        addresses: resolvers, at least one.
        concurrency: tasks at once.
        ceiling: most queries a second per resolver, 0 to adapt alone.
        cache: shared answers; give one to keep it between engines.
        patience: seconds that silent resolvers are waited for before what is left fails.
        first_timeout: seconds before the first repetition, until a resolver's round trip is known.

    Raises:
        PermanentError: without a resolver.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        *,
        concurrency: int = 200,
        ceiling: float = 0,
        cache: AnswerCache | None = None,
        patience: float = 5.0,
        first_timeout: float = FIRST_TIMEOUT,
    ) -> None:
        self.resolvers = [Resolver(address, ceiling, first_timeout=first_timeout) for address in addresses]
        if not self.resolvers:
            raise PermanentError("No resolver is known.", "Set HUNTER_DNS_SERVERS, e.g. 127.0.0.1:5353.")
        self.concurrency = concurrency
        self.cache = cache if cache is not None else AnswerCache()
        self._poll = selectors.DefaultSelector()
        self._timers = Timers()
        self._lookups = Lookups(
            self.resolvers, self._poll, self._timers, patience=patience, clock=self._now, ended=self._ended
        )
        self._sharing: dict[tuple[str, int], Lookup] = {}
        self._runnable: deque[Running[Any]] = deque()
        self._finished: deque[Finished] = deque()
        self._active = 0
        self._asked = 0
        self._paused = 0.0

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket. Lookups still open are dropped."""
        self._lookups.close()
        self._poll.close()

    @property
    def lookups(self) -> int:
        """Names looked up, beyond what the cache knew, aliases followed among them."""
        return self._asked + self._lookups.followed

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self, tasks: Iterable[tuple[Any, Task[Any]]]) -> Iterator[Finished]:
        """Run (key, task) pairs, drawn as there is room, and yield them as they end, in no order.

        While it runs, Python looks for reference cycles less often: the engine makes none, and the search costs an
        eighth of its time.
        """
        thresholds = gc.get_threshold()
        gc.set_threshold(max(thresholds[0], _GC_THRESHOLD), *thresholds[1:])
        try:
            yield from self._run(iter(tasks))
        finally:
            gc.set_threshold(*thresholds)

    def _run(self, source: Iterator[tuple[Any, Task[Any]]]) -> Iterator[Finished]:
        exhausted = False
        rounds = 0
        while True:
            while not exhausted and self._room():
                before = time.monotonic()
                pair = next(source, None)
                self._paused += time.monotonic() - before
                if pair is None:
                    exhausted = True
                    break
                self._active += 1
                self._step(Running(pair[0], pair[1], self._now()), None)
            while self._runnable:
                running = self._runnable.popleft()
                answers, running.answers = running.answers, []
                self._step(running, answers)
            if self._finished:
                before = time.monotonic()
                while self._finished:
                    yield self._finished.popleft()
                # What the consumer did meanwhile is not the resolvers' delay.
                self._paused += time.monotonic() - before
                continue
            if exhausted and not self._active:
                return
            pause = self._lookups.send_ready(self._now())
            self._hear(0.0 if self._runnable else pause)
            rounds += 1
            if not self._runnable or rounds % _ROUNDS_BETWEEN_TIMERS == 0:
                self._timers.fire(self._now())

    def _hear(self, pause: float) -> None:
        """Take what has come, several times over: questions sent in larger bursts wake the resolver less often."""
        for _ in range(_SWEEPS):
            events = self._poll.select(pause)
            if not events:
                return
            for entry, _ in events:
                entry.data(entry.fd)
            pause = 0.0

    def _room(self) -> bool:
        """Tasks that wait for a slow domain make room for others, up to a bound."""
        running = self._active - self._lookups.parked
        return running < self.concurrency and self._active < self.concurrency * _PARKED_FACTOR

    def _now(self) -> float:
        return time.monotonic() - self._paused

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _step(self, running: Running[Any], answers: list[Answer] | None) -> None:
        try:
            asked = running.generator.send(answers) if answers is not None else next(running.generator)
        except StopIteration as end:
            self._active -= 1
            seconds = self._now() - running.started
            self._finished.append(Finished(running.key, end.value, running.lookups, seconds))
            return
        running.answers = [None] * len(asked)
        running.open = len(asked)
        if not asked:
            self._runnable.append(running)
            return
        now = self._now()
        for slot, question in enumerate(asked):
            self._ask(running, slot, question, now)

    def _ask(self, running: Running[Any], slot: int, question: Question, now: float) -> None:
        if question.shared:
            known = self.cache.get((question.name, question.qtype), now)
            if known is not None:
                self._deliver(running, slot, known)
                return
            sharing = self._sharing.get((question.name, question.qtype))
            if sharing is not None and sharing.waiters is not None:
                sharing.waiters.append((running, slot))
                return
        if running.lookups >= _TASK_LOOKUPS or now > running.ends_at:
            self._deliver(running, slot, Answer("unknown", "gave_up"))
            return
        try:
            lookup = Lookup(question.name, question, running, slot)
        except WireError:
            self._deliver(running, slot, Answer("unknown", "bad_name"))
            return
        running.lookups += 1
        self._asked += 1
        if question.shared:
            lookup.waiters = []
            self._sharing[(question.name, question.qtype)] = lookup
        self._lookups.queue(lookup)

    def _deliver(self, running: Running[Any], slot: int, answer: Answer) -> None:
        running.answers[slot] = answer
        running.open -= 1
        if not running.open:
            self._runnable.append(running)

    def _ended(self, lookup: Lookup, answer: Answer, now: float) -> None:
        answer.at = time.time()
        if lookup.waiters is not None:
            key = (lookup.asked.name, lookup.qtype)
            self._sharing.pop(key, None)
            self.cache.put(key, answer, now)
            for running, slot in lookup.waiters:
                self._deliver(running, slot, answer)
        running = lookup.task
        running.answers[lookup.slot] = answer
        running.open -= 1
        if not running.open:
            self._runnable.append(running)
