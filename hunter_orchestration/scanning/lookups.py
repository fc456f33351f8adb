"""Lookups carried to their end: sent, answered, repeated, followed along aliases, taken to TCP, given up.

Every lookup ends with an ``Answer``, after a bounded number of packets, seconds and bytes. A message counts only when
it echoes the question; whatever else arrives is left aside while the wait goes on.
"""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Callable, Sequence

from hunter_orchestration.scanning.resolvers import Resolver, choose
from hunter_orchestration.scanning.sockets import Sockets
from hunter_orchestration.scanning.tasks import Lookup, Question, Running, Task
from hunter_orchestration.scanning.tcp import TcpExchange, TcpLane
from hunter_orchestration.scanning.timers import Timers
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

_CHASES = 8
_TCP_TRIES = 5
_TCP_SILENT_TRIES = 2
_REFUSED_TRIES = 10
_LIMITED_TRIES = 7
_LIMITED_FIRST_TRIES = 5
_MOST_PATIENCE = 4.0
_LONGEST_PAUSE = 0.25
_MOST_DATAGRAM = 65_535
_HEADER_SIZE = 12


class Lookups:
    """Carries lookups between the tasks that asked and the resolvers.

    Args:
        resolvers: at least one.
        patience: seconds that silent resolvers are waited for before what is left fails.
        clock: the engine's time in seconds.
        ended: called with each lookup, its answer and the time, once.

    Attributes:
        parked: tasks with a lookup that waits for its third answer or a later one.
        sent: datagrams and TCP queries. followed: aliases looked up because the resolver stopped at them.
    """

    def __init__(
        self,
        resolvers: Sequence[Resolver],
        poll: selectors.BaseSelector,
        timers: Timers,
        *,
        patience: float,
        clock: Callable[[], float],
        ended: Callable[[Lookup, Answer, float], None],
    ) -> None:
        self.parked = 0
        self.followed = 0
        self._resolvers = resolvers
        self._patience = patience
        self._timers = timers
        self._clock = clock
        self._ended = ended
        self._ready: deque[Lookup] = deque()
        self._pending: dict[int, Lookup] = {}
        self._sockets = Sockets(poll, resolvers, timers, self._receive)
        self._tcp = TcpLane(poll, timers, clock, self._tcp_ended)

    def close(self) -> None:
        """Close every socket. Lookups still open are dropped."""
        self._tcp.close()
        self._sockets.close()

    def queue(self, lookup: Lookup, first: bool = False) -> None:
        """Send a lookup when its turn comes, or again."""
        if lookup.queued:
            return
        lookup.queued = True
        if first:
            self._ready.appendleft(lookup)
        else:
            self._ready.append(lookup)

    def send_ready(self, now: float) -> float:
        """Send what may be sent; returns how long the poll may wait, in seconds."""
        pause = _LONGEST_PAUSE
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
            resolver, wait = choose(self._resolvers, lookup, now, self._patience)
            if resolver is None and wait >= 0:
                pause = min(pause, wait)
                break
            ready.popleft()
            if resolver is None:
                self._end(lookup, Answer("unknown", "resolver_dead"), now)
            elif lookup.over_tcp:
                self._send_over_tcp(lookup, resolver, now)
            else:
                self._send(lookup, resolver, now)
        return self._timers.pause(now, pause)

    # -- out and in ----------------------------------------------------------------------------------------------

    def _send(self, lookup: Lookup, resolver: Resolver, now: float) -> None:
        fd, message_id = self._sockets.draw(resolver)
        key = fd << 16 | message_id
        while key in self._pending:
            message_id = (message_id + 1) & 0xFFFF
            key = fd << 16 | message_id
        self._pending[key] = lookup
        lookup.ids.append(key)
        lookup.tries += 1
        lookup.plain = lookup.tries == 1 and not lookup.chases and lookup.only is None
        lookup.queued = False
        lookup.resolver = lookup.flying = resolver
        lookup.sent_at = now
        resolver.on_sent()
        timeout = resolver.timeout
        if lookup.tries > 1:
            timeout = min(timeout * 2 ** (lookup.tries - 1), _MOST_PATIENCE)
        try:
            self._sockets.send(fd, encode_query(message_id, lookup.question, edns=lookup.edns), now)
        except BlockingIOError:
            timeout = 0.05
        except OSError:
            # A port unreachable of an earlier datagram surfaces here: the resolver is not there.
            timeout = 0.02 * lookup.tries
        lookup.timer = self._timers.add(now + timeout, self._timed_out, lookup)

    def _receive(self, fd: int) -> None:
        sock, resolver = self._sockets.of[fd]
        try:
            data = sock.recv(_MOST_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:
            self._unreachable(resolver)
            return
        if len(data) < _HEADER_SIZE:
            return
        message_id = data[0] << 8 | data[1]
        key = fd << 16 | message_id
        lookup = self._pending.get(key)
        if lookup is None:
            return
        try:
            answer = parse_response(data, message_id, lookup.question, lookup.name, lookup.qtype)
        except ForeignMessageError:
            return
        except WireError:
            answer = Answer("unknown", "malformed", 0)
        now = self._clock()
        if answer.rcode == REFUSED:
            self._refused(lookup, resolver, now)
            return
        if lookup.plain and answer.state != "unknown" and not answer.chase:
            # Nearly all of them: sent once, answered at once. The rest of this class is for the others.
            resolver.on_answer(now, now - lookup.sent_at)
            del self._pending[key]
            self._timers.cancel(lookup.timer)
            resolver.in_flight -= 1
            answer.resolver = resolver.label
            lookup.done = lookup.task.heard = True
            self._ended(lookup, answer, now)
            return
        resolver.on_answer(now, now - lookup.sent_at if lookup.tries == 1 else None)
        self._answered(lookup, answer, resolver, now)

    def _unreachable(self, resolver: Resolver) -> None:
        """The kernel says nobody listens there: everything under way to it fails now."""
        now = self._clock()
        for lookup in {id(item): item for item in self._pending.values() if item.flying is resolver}.values():
            self._timed_out(lookup, now)

    # -- what an answer leads to ---------------------------------------------------------------------------------

    def _answered(self, lookup: Lookup, answer: Answer, resolver: Resolver, now: float) -> None:
        answer.resolver = resolver.label
        if answer.state == "unknown" and answer.reason != "cname_loop":
            self._failed_answer(lookup, answer, now)
            return
        lookup.task.heard = True
        if answer.chase and lookup.chases < _CHASES:
            self._chase(lookup, answer, now)
            return
        if answer.chase:
            answer.state, answer.reason = "unknown", "cname_loop"
        self._end(lookup, answer, now)

    def _failed_answer(self, lookup: Lookup, answer: Answer, now: float) -> None:
        if answer.truncated:
            self._withdraw(lookup)
            lookup.over_tcp = True
            self.queue(lookup, first=True)
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
        self.queue(lookup)

    def _chase(self, lookup: Lookup, answer: Answer, now: float) -> None:
        self._withdraw(lookup)
        lookup.chases += 1
        lookup.cnames += answer.cnames
        lookup.ttl = min(lookup.ttl or answer.ttl, answer.ttl)
        lookup.name = answer.chase
        lookup.tries = 0
        try:
            lookup.question = encode_question(answer.chase, lookup.qtype)
        except WireError:
            self._end(lookup, Answer("unknown", "malformed", 0), now)
            return
        lookup.task.lookups += 1
        self.followed += 1
        self.queue(lookup)

    def _refused(self, lookup: Lookup, resolver: Resolver, now: float) -> None:
        """Refused is the resolver's answer, not the domain's: ask again later, a few times, elsewhere if possible."""
        resolver.on_loss(now, True, refused=True)
        self._withdraw(lookup)
        lookup.refusals += 1
        lookup.failure = "refused"
        if lookup.refusals >= _REFUSED_TRIES:
            self._end(lookup, Answer("unknown", "refused", REFUSED), now)
            return
        lookup.tries = 1
        self._timers.add(now + min(0.05 * 2**lookup.refusals, 1.6), self._again, lookup)

    # -- time ----------------------------------------------------------------------------------------------------

    def _again(self, lookup: Lookup, _now: float) -> None:
        if not lookup.done:
            self.queue(lookup)

    def _timed_out(self, lookup: Lookup, now: float) -> None:
        resolver = lookup.flying
        if resolver is None:
            return
        self._timers.cancel(lookup.timer)
        resolver.on_loss(now, lookup.task.heard)
        if resolver.suspect(now):
            self._probe(resolver, now)
        # Under a limiter silence may be our own doing.
        heard = lookup.task.heard
        most = resolver.tries(lookup.most, _LIMITED_TRIES if heard else _LIMITED_FIRST_TRIES, heard)
        if lookup.tries >= most or now > lookup.task.ends_at:
            self._end(lookup, _failure(lookup.failure, resolver), now)
            return
        resolver.in_flight -= 1
        lookup.flying = None
        if lookup.tries >= 2 and not lookup.parked:
            lookup.parked = True
            lookup.task.parked += 1
            if lookup.task.parked == 1:
                self.parked += 1
        self.queue(lookup, first=True)

    def _probe(self, resolver: Resolver, now: float) -> None:
        """Ask a silent resolver for the root's name servers, which every one of them can tell."""
        resolver.probing = True
        lookup = Lookup(".", Question(".", NS, tries=2), Running(None, _nobody(), now), 0)
        lookup.only = resolver
        self.queue(lookup, first=True)

    def _probed(self, resolver: Resolver, answer: Answer, now: float) -> None:
        pause = resolver.on_probe(now, answer.rcode >= 0)
        if pause:
            self._timers.add(now + pause, self._probe, resolver)

    # -- the end -------------------------------------------------------------------------------------------------

    def _withdraw(self, lookup: Lookup) -> None:
        """Forget the datagrams under way for a lookup."""
        for key in lookup.ids:
            self._pending.pop(key, None)
        lookup.ids.clear()
        self._timers.cancel(lookup.timer)
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
                self.parked -= 1
        if lookup.cnames:
            answer.cnames = lookup.cnames + answer.cnames
            if answer.state != "unknown":
                answer.ttl = min(answer.ttl, lookup.ttl)
        if lookup.only is not None:
            self._probed(lookup.only, answer, now)
        else:
            self._ended(lookup, answer, now)

    # -- TCP -----------------------------------------------------------------------------------------------------

    def _send_over_tcp(self, lookup: Lookup, resolver: Resolver, now: float) -> None:
        if self._tcp.full:
            self._tcp.waiting.append(lookup)
            return
        lookup.queued = False
        lookup.tcp_tries += 1
        lookup.resolver = resolver
        try:
            self._tcp.begin(lookup, resolver, now)
        except OSError:
            self._end(lookup, _failure("tcp_refused", resolver), now)
            return
        resolver.on_sent()
        lookup.flying = resolver

    def _tcp_ended(self, exchange: TcpExchange, lookup: Lookup, message: bytes | None, reason: str, now: float) -> None:
        if self._tcp.waiting:
            self._ready.appendleft(self._tcp.waiting.popleft())
        resolver = lookup.resolver or self._resolvers[0]
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
        # Refused or hung up on, it may be our pace; where nobody says anything, seconds go by for nothing.
        if not again or lookup.tcp_tries >= (_TCP_SILENT_TRIES if reason == "tcp_timeout" else _TCP_TRIES):
            answer.truncated = False
            self._end(lookup, answer, now)
            return
        self._timers.add(now + 0.1 * 2**lookup.tcp_tries, self._again, lookup)


def _failure(reason: str, resolver: Resolver) -> Answer:
    answer = Answer("unknown", reason)
    answer.resolver = resolver.label
    return answer


def _nobody() -> Task[None]:
    """The task of a probe: asks nothing and waits for nothing."""
    yield []
