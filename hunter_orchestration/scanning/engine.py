"""The scanner's engine: thousands of lookups in flight from one thread, over one poll loop.

A task is a generator that yields lists of ``Question`` and is sent the list of their ``Answer``; its return value is
its result. The engine knows nothing of mail or domains. It sends with random ids from many sockets with random
ports, checks that an answer echoes the question, repeats with growing timeouts on another resolver where there is
one, goes to TCP on truncation, chases aliases, shares what is asked by many, and always ends: every lookup and every
task has a bounded number of packets, seconds and bytes.
"""

from __future__ import annotations

import gc
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Any

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scanning.cache import AnswerCache
from hunter_orchestration.scanning.resolvers import Address, Resolver
from hunter_orchestration.scanning.tasks import Finished, Lookup, Question, Running, Task
from hunter_orchestration.scanning.tcp import TcpExchange
from hunter_orchestration.scanning.wire import (
    NS,
    REFUSED,
    SERVFAIL,
    Answer,
    ForeignMessageError,
    WireError,
    encode_query,
    encode_question,
    parse_response,
)

SOCKETS_PER_RESOLVER = 24
_SENDS_PER_SOCKET = 20_000
_TASK_LOOKUPS = 96
_CHASES = 8
_TCP_SECONDS = 3.0
_TCP_TRIES = 5
_TCP_AT_ONCE = 64
_REFUSED_TRIES = 10
_LIMITED_TRIES = 7
_LIMITED_FIRST_TRIES = 5
_PARKED_FACTOR = 4
_GC_THRESHOLD = 50_000
_MOST_DATAGRAM = 65_535
_TIMER_ANSWER, _TIMER_SOCKET, _TIMER_AGAIN, _TIMER_TCP, _TIMER_PROBE = range(5)


class Engine:
    """Runs tasks over a set of resolvers. Use as a context manager; one ``run`` at a time.

    Args:
        addresses: resolvers, at least one.
        concurrency: tasks at once.
        ceiling: most queries a second per resolver, 0 to adapt alone.
        cache: shared answers; give one to keep it between engines.
        patience: seconds that silent resolvers are waited for before what is left fails.

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
    ) -> None:
        self.resolvers = [Resolver(address, ceiling) for address in addresses]
        if not self.resolvers:
            raise PermanentError("No resolver is known.", "Set HUNTER_DNS_SERVERS, e.g. 127.0.0.1:5353.")
        self.concurrency = concurrency
        self.patience = patience
        self.cache = cache if cache is not None else AnswerCache()
        self._poll = selectors.DefaultSelector()
        self._sockets: dict[int, tuple[socket.socket, Resolver]] = {}
        self._uses: dict[int, int] = {}
        self._of: list[list[int]] = [[] for _ in self.resolvers]
        self._pending: dict[int, Lookup] = {}
        self._ready: deque[Lookup] = deque()
        self._timers: list[tuple[float, int, int, Any]] = []
        self._sequence = 0
        self._tcp: dict[int, tuple[TcpExchange, Lookup]] = {}
        self._tcp_waiting: deque[Lookup] = deque()
        self._sharing: dict[tuple[str, int], Lookup] = {}
        self._runnable: deque[Running[Any]] = deque()
        self._finished: deque[Finished] = deque()
        self._active = self._parked = 0
        self._paused = 0.0
        self._random = b""
        self._random_at = 0
        self.lookups = self.packets = 0
        for index in range(len(self.resolvers)):
            for _ in range(SOCKETS_PER_RESOLVER):
                self._open(index)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket. Lookups still open are dropped."""
        for exchange, _ in list(self._tcp.values()):
            exchange.close()
        for sock, _ in self._sockets.values():
            sock.close()
        self._tcp.clear()
        self._sockets.clear()
        self._poll.close()

    # -- running tasks -------------------------------------------------------------------------------------------

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
            now = self._now()
            pause = self._send_ready(now)
            events = self._poll.select(pause)
            for entry, _ in events:
                fd = entry.fd
                if fd in self._sockets:
                    self._receive(fd)
                else:
                    self._tcp_event(fd)
            rounds += 1
            if not events or rounds & 31 == 0:
                self._fire(self._now())

    def _room(self) -> bool:
        running = self._active - self._parked
        return running < self.concurrency and self._active < self.concurrency * _PARKED_FACTOR

    def _now(self) -> float:
        return time.monotonic() - self._paused

    def _step(self, running: Running[Any], answers: list[Answer] | None) -> None:
        try:
            asked = running.generator.send(answers) if answers is not None else next(running.generator)
        except StopIteration as end:
            if running.internal:
                return
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
        self.lookups += 1
        if question.shared:
            lookup.waiters = []
            self._sharing[(question.name, question.qtype)] = lookup
        self._queue(lookup)

    def _deliver(self, running: Running[Any], slot: int, answer: Answer) -> None:
        running.answers[slot] = answer
        running.open -= 1
        if not running.open:
            self._runnable.append(running)

    def _queue(self, lookup: Lookup, first: bool = False) -> None:
        if lookup.queued:
            return
        lookup.queued = True
        if first:
            self._ready.appendleft(lookup)
        else:
            self._ready.append(lookup)

    # -- sending -------------------------------------------------------------------------------------------------

    def _send_ready(self, now: float) -> float:
        """Send what may be sent; returns how long the poll may wait, in seconds."""
        pause = 0.25
        ready = self._ready
        while ready:
            lookup = ready[0]
            if lookup.done or not lookup.queued:
                ready.popleft()
                continue
            if now > lookup.task.ends_at:
                ready.popleft()
                self._end(lookup, Answer("unknown", "gave_up"), now)
                continue
            resolver, wait = self._choose(lookup, now)
            if resolver is None:
                if wait < 0:
                    ready.popleft()
                    self._end(lookup, Answer("unknown", "resolver_dead"), now)
                    continue
                pause = min(pause, wait)
                break
            if lookup.over_tcp:
                ready.popleft()
                if len(self._tcp) < _TCP_AT_ONCE:
                    self._send_tcp(lookup, resolver, now)
                else:
                    self._tcp_waiting.append(lookup)
                continue
            ready.popleft()
            self._send(lookup, resolver, now)
        if self._runnable or self._finished:
            return 0.0
        while self._timers and getattr(self._timers[0][3], "done", False):
            heappop(self._timers)
        if self._timers:
            pause = min(pause, max(self._timers[0][0] - now, 0.0))
        return pause

    def _choose(self, lookup: Lookup, now: float) -> tuple[Resolver | None, float]:
        """The resolver to ask and 0; or none and the seconds to wait; or none and -1 when all of them are dead."""
        if lookup.only is not None:
            return lookup.only, 0.0
        if len(self.resolvers) == 1:
            only = self.resolvers[0]
            if not only.alive:
                return None, self._dead_wait(now)
            wait = only.wait(now)
            return (only, 0.0) if wait <= 0 else (None, wait)
        best: Resolver | None = None
        least_wait = float("inf")
        alive = False
        previous = lookup.resolver
        for resolver in self.resolvers:
            if not resolver.alive:
                continue
            alive = True
            wait = resolver.wait(now)
            if wait > 0:
                least_wait = min(least_wait, wait)
            elif (
                best is None
                or best is previous
                or (
                    resolver is not previous
                    and resolver.in_flight * (resolver.srtt or 0.1) < best.in_flight * (best.srtt or 0.1)
                )
            ):
                best = resolver
        if best is not None:
            return best, 0.0
        return None, (least_wait if alive else self._dead_wait(now))

    def _dead_wait(self, now: float) -> float:
        """All resolvers are silent: -1 to give up, else how long to wait for them."""
        return -1.0 if now - max(resolver.dead_since for resolver in self.resolvers) > self.patience else 0.1

    def _send(self, lookup: Lookup, resolver: Resolver, now: float) -> None:
        index = 0 if len(self.resolvers) == 1 else self.resolvers.index(resolver)
        if self._random_at + 4 > len(self._random):
            self._random, self._random_at = os.urandom(4096), 0
        at = self._random_at
        self._random_at = at + 4
        message_id = self._random[at] << 8 | self._random[at + 1]
        sockets = self._of[index]
        fd = sockets[(self._random[at + 2] << 8 | self._random[at + 3]) % len(sockets)]
        key = fd << 16 | message_id
        while key in self._pending:
            message_id = (message_id + 1) & 0xFFFF
            key = fd << 16 | message_id
        self._pending[key] = lookup
        lookup.ids.append(key)
        lookup.tries += 1
        lookup.queued = False
        lookup.resolver = lookup.flying = resolver
        lookup.sent_at = now
        resolver.on_sent()
        self.packets += 1
        patience = resolver.timeout if lookup.tries == 1 else min(resolver.timeout * 2 ** (lookup.tries - 1), 4.0)
        try:
            self._sockets[fd][0].send(encode_query(message_id, lookup.question, edns=lookup.edns))
        except BlockingIOError:
            patience = 0.05
        except OSError:
            # A port unreachable of an earlier datagram surfaces here: the resolver is not there.
            patience = 0.02 * lookup.tries
        self._sequence += 1
        lookup.timer = self._sequence
        heappush(self._timers, (now + patience, self._sequence, _TIMER_ANSWER, lookup))
        uses = self._uses[fd] + 1
        self._uses[fd] = uses
        if uses >= _SENDS_PER_SOCKET:
            self._renew(index, fd)

    def _open(self, index: int) -> None:
        resolver = self.resolvers[index]
        family = socket.AF_INET6 if ":" in resolver.address.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect((resolver.address.host, resolver.address.port))
        fd = sock.fileno()
        self._sockets[fd] = sock, resolver
        self._uses[fd] = 0
        self._of[index].append(fd)
        self._poll.register(fd, selectors.EVENT_READ)

    def _renew(self, index: int, fd: int) -> None:
        """Replace a much-used socket by one on another port; the old one still hears what is under way."""
        self._of[index].remove(fd)
        self._open(index)
        self._sequence += 1
        heappush(self._timers, (self._now() + 20.0, self._sequence, _TIMER_SOCKET, fd))

    # -- receiving -----------------------------------------------------------------------------------------------

    def _receive(self, fd: int) -> None:
        sock, resolver = self._sockets[fd]
        try:
            data = sock.recv(_MOST_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:
            self._unreachable(resolver)
            return
        if len(data) < 12:
            return
        message_id = data[0] << 8 | data[1]
        lookup = self._pending.get(fd << 16 | message_id)
        if lookup is None:
            return
        try:
            answer = parse_response(data, message_id, lookup.question, lookup.name, lookup.qtype)
        except ForeignMessageError:
            return
        except WireError:
            answer = Answer("unknown", "malformed", 0)
        now = self._now()
        single = lookup.tries == 1
        if answer.rcode == REFUSED:
            self._refused(lookup, resolver, now)
            return
        resolver.on_answer(now, now - lookup.sent_at if single else None)
        self._answered(lookup, answer, resolver, now)

    def _answered(self, lookup: Lookup, answer: Answer, resolver: Resolver, now: float) -> None:
        answer.resolver = resolver.label
        if answer.state == "unknown" and answer.reason != "cname_loop":
            self._failed_answer(lookup, answer, now)
            return
        lookup.task.heard = True
        if answer.chase and lookup.chases < _CHASES:
            self._chase(lookup, answer)
            return
        if answer.chase:
            answer.state, answer.reason = "unknown", "cname_loop"
        self._end(lookup, answer, now)

    def _failed_answer(self, lookup: Lookup, answer: Answer, now: float) -> None:
        if answer.truncated:
            self._withdraw(lookup)
            lookup.over_tcp = True
            self._queue(lookup, first=True)
            return
        lookup.failure = answer.reason
        if answer.reason in ("formerr", "notimp", "rcode_16") and lookup.edns:
            lookup.edns = False
        elif answer.rcode == SERVFAIL:
            # The resolver tried hard already; one more attempt, elsewhere where there is an elsewhere.
            lookup.most = min(lookup.most, 2)
        if lookup.tries >= lookup.most:
            self._end(lookup, answer, now)
            return
        self._withdraw(lookup)
        self._queue(lookup)

    def _chase(self, lookup: Lookup, answer: Answer) -> None:
        self._withdraw(lookup)
        lookup.chases += 1
        lookup.cnames += answer.cnames
        lookup.ttl = min(lookup.ttl or answer.ttl, answer.ttl)
        lookup.name = answer.chase
        lookup.tries = 0
        try:
            lookup.question = encode_question(answer.chase, lookup.qtype)
        except WireError:
            self._end(lookup, Answer("unknown", "malformed", 0), self._now())
            return
        lookup.task.lookups += 1
        self.lookups += 1
        self._queue(lookup)

    def _refused(self, lookup: Lookup, resolver: Resolver, now: float) -> None:
        """Refused is the resolver's answer, not the domain's: ask again later, a few times, elsewhere if possible."""
        resolver.on_loss(now, True, refused=True)
        self._withdraw(lookup)
        lookup.refusals += 1
        lookup.failure = "refused"
        lookup.tries = 0
        if lookup.refusals >= _REFUSED_TRIES:
            self._end(lookup, Answer("unknown", "refused", REFUSED), now)
            return
        lookup.tries = 1
        self._sequence += 1
        delay = min(0.05 * 2**lookup.refusals, 1.6)
        heappush(self._timers, (now + delay, self._sequence, _TIMER_AGAIN, lookup))

    def _unreachable(self, resolver: Resolver) -> None:
        """The kernel says nobody listens there: everything under way to it fails now."""
        now = self._now()
        for lookup in {id(item): item for item in self._pending.values() if item.flying is resolver}.values():
            self._timed_out(lookup, now)

    # -- time ----------------------------------------------------------------------------------------------------

    def _fire(self, now: float) -> None:
        timers = self._timers
        while timers and timers[0][0] <= now:
            _, sequence, kind, subject = heappop(timers)
            if kind == _TIMER_SOCKET:
                self._drop_socket(subject)
            elif kind == _TIMER_PROBE:
                self._probe(subject)
            elif kind == _TIMER_TCP:
                if not subject[0].closed:
                    self._end_tcp(subject[0], subject[1], None, "tcp_timeout", now)
            elif subject.done:
                continue
            elif kind == _TIMER_AGAIN:
                self._queue(subject)
            elif subject.timer == sequence:
                self._timed_out(subject, now)

    def _timed_out(self, lookup: Lookup, now: float) -> None:
        resolver = lookup.flying
        if resolver is None:
            return
        lookup.timer = 0
        resolver.on_loss(now, lookup.task.heard)
        if resolver.suspect(now):
            self._probe(resolver)
        # Under a limiter silence may be our own doing.
        most = lookup.most
        if resolver.rate:
            most = max(most, _LIMITED_TRIES if lookup.task.heard else _LIMITED_FIRST_TRIES)
        if lookup.tries >= most or now > lookup.task.ends_at:
            answer = Answer("unknown", lookup.failure)
            answer.resolver = resolver.label
            self._end(lookup, answer, now)
            return
        resolver.in_flight -= 1
        lookup.flying = None
        if lookup.tries >= 2 and not lookup.parked:
            lookup.parked = True
            lookup.task.parked += 1
            if lookup.task.parked == 1:
                self._parked += 1
        self._queue(lookup, first=True)

    def _probe(self, resolver: Resolver) -> None:
        """Ask a silent resolver for the root's name servers, which every one of them can tell."""
        resolver.probing = True
        running = Running(None, self._probing(resolver), self._now())
        running.internal = True
        running.answers, running.open = [None], 1
        lookup = Lookup(".", next(running.generator)[0], running, 0)
        lookup.only = resolver
        self._queue(lookup, first=True)

    def _probing(self, resolver: Resolver) -> Task[None]:
        answer = (yield [Question(".", NS, tries=2)])[0]
        now = self._now()
        pause = resolver.on_probe(now, answer.rcode >= 0)
        if pause:
            self._sequence += 1
            heappush(self._timers, (now + pause, self._sequence, _TIMER_PROBE, resolver))

    def _drop_socket(self, fd: int) -> None:
        entry = self._sockets.pop(fd, None)
        if entry is not None:
            self._uses.pop(fd, None)
            self._poll.unregister(fd)
            entry[0].close()

    # -- ending a lookup -----------------------------------------------------------------------------------------

    def _withdraw(self, lookup: Lookup) -> None:
        """Forget the datagrams under way for a lookup."""
        for key in lookup.ids:
            self._pending.pop(key, None)
        lookup.ids.clear()
        lookup.timer = 0
        if lookup.flying is not None:
            lookup.flying.in_flight -= 1
            lookup.flying = None

    def _end(self, lookup: Lookup, answer: Answer, now: float) -> None:
        self._withdraw(lookup)
        lookup.done = True
        if lookup.parked:
            lookup.parked = False
            lookup.task.parked -= 1
            if not lookup.task.parked:
                self._parked -= 1
        answer.at = time.time()
        if lookup.cnames:
            answer.cnames = lookup.cnames + answer.cnames
            if answer.state != "unknown":
                answer.ttl = min(answer.ttl, lookup.ttl)
        if lookup.waiters is not None:
            key = (lookup.asked.name, lookup.qtype)
            self._sharing.pop(key, None)
            self.cache.put(key, answer, now)
            for running, slot in lookup.waiters:
                self._deliver(running, slot, answer)
        self._deliver(lookup.task, lookup.slot, answer)

    # -- TCP -----------------------------------------------------------------------------------------------------

    def _send_tcp(self, lookup: Lookup, resolver: Resolver, now: float) -> None:
        lookup.queued = False
        lookup.tcp_tries += 1
        lookup.resolver = resolver
        message_id = int.from_bytes(os.urandom(2), "big")
        self.packets += 1
        try:
            exchange = TcpExchange(resolver.address, message_id, encode_query(message_id, lookup.question))
        except OSError:
            self._end(lookup, _failure("tcp_refused", resolver), now)
            return
        resolver.on_sent()
        lookup.flying = resolver
        self._tcp[exchange.fd] = exchange, lookup
        self._poll.register(exchange.fd, exchange.events)
        self._sequence += 1
        heappush(self._timers, (now + _TCP_SECONDS, self._sequence, _TIMER_TCP, (exchange, lookup)))

    def _tcp_event(self, fd: int) -> None:
        entry = self._tcp.get(fd)
        if entry is None:
            return
        exchange, lookup = entry
        now = self._now()
        try:
            message = exchange.advance()
        except ConnectionRefusedError:
            self._end_tcp(exchange, lookup, None, "tcp_refused", now)
            return
        except OSError:
            self._end_tcp(exchange, lookup, None, "tcp_closed", now)
            return
        if message is None:
            self._poll.modify(fd, exchange.events)
            return
        self._end_tcp(exchange, lookup, message, "", now)

    def _end_tcp(self, exchange: TcpExchange, lookup: Lookup, message: bytes | None, reason: str, now: float) -> None:
        self._tcp.pop(exchange.fd, None)
        self._poll.unregister(exchange.fd)
        exchange.close()
        if self._tcp_waiting:
            self._ready.appendleft(self._tcp_waiting.popleft())
        resolver = lookup.resolver or self.resolvers[0]
        self._withdraw(lookup)
        answer = _failure(reason, resolver)
        if message is not None:
            try:
                answer = parse_response(message, exchange.message_id, lookup.question, lookup.name, lookup.qtype)
            except WireError:
                answer = Answer("unknown", "malformed", 0)
            answer.resolver = resolver.label
        if answer.state != "unknown" or answer.reason == "cname_loop":
            resolver.on_answer(now, None)
            self._answered(lookup, answer, resolver, now)
            return
        again = answer.rcode == REFUSED or reason in ("tcp_timeout", "tcp_closed")
        if again:
            resolver.on_loss(now, True, refused=answer.rcode == REFUSED)
        if not again or lookup.tcp_tries >= _TCP_TRIES:
            answer.truncated = False
            self._end(lookup, answer, now)
            return
        self._sequence += 1
        heappush(self._timers, (now + 0.1 * 2**lookup.tcp_tries, self._sequence, _TIMER_AGAIN, lookup))


def _failure(reason: str, resolver: Resolver) -> Answer:
    answer = Answer("unknown", reason)
    answer.resolver = resolver.label
    return answer
