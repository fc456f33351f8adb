"""Queries over TCP without blocking (RFC 7766): used when a datagram was too small for the answer."""

from __future__ import annotations

import os
import selectors
import socket
from collections import deque
from collections.abc import Callable

from hunter_orchestration.scanning.resolvers import Address, Resolver
from hunter_orchestration.scanning.tasks import Lookup
from hunter_orchestration.scanning.timers import Timers
from hunter_orchestration.scanning.wire import encode_query

_SECONDS = 3.0
_AT_ONCE = 64

Ended = Callable[["TcpExchange", Lookup, bytes | None, str, float], None]
"""Called with the exchange, its lookup, the message or none, why there is none, and the time."""


class TcpExchange:
    """Connects, sends one query and reads one answer, step by step as the poll loop says so.

    Attributes:
        fd: of the socket. events: what to wait for next. timer: of its end.

    Raises:
        OSError: the connection can't even be begun.
    """

    def __init__(self, address: Address, message_id: int, query: bytes) -> None:
        self.message_id = message_id
        self.timer = 0
        self._socket = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._unsent = len(query).to_bytes(2, "big") + query
        self._received = bytearray()
        try:
            self._socket.connect((address.host, address.port))
        except BlockingIOError:
            pass
        except OSError:
            self._socket.close()
            raise
        self.fd = self._socket.fileno()
        self.events = selectors.EVENT_WRITE

    def advance(self) -> bytes | None:
        """Do what can be done now; returns the whole answer once it is there.

        Raises:
            OSError: refused, reset, or closed half-way.
        """
        if self._unsent:
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return None
            self._unsent = self._unsent[sent:]
            if not self._unsent:
                self.events = selectors.EVENT_READ
            return None
        try:
            data = self._socket.recv(65_537)
        except BlockingIOError:
            return None
        if not data:
            raise ConnectionError("closed before the whole answer")
        self._received += data
        if len(self._received) < 2:
            return None
        size = self._received[0] << 8 | self._received[1]
        if len(self._received) < size + 2:
            return None
        return bytes(self._received[2 : size + 2])

    def close(self) -> None:
        """Close the socket; may be repeated."""
        self._socket.close()


class TcpLane:
    """The exchanges under way, so many and no more, each within its seconds.

    Attributes:
        waiting: lookups for which there was no room.
    """

    def __init__(self, poll: selectors.BaseSelector, timers: Timers, clock: Callable[[], float], ended: Ended) -> None:
        self.waiting: deque[Lookup] = deque()
        self._poll = poll
        self._timers = timers
        self._clock = clock
        self._ended = ended
        self._open: dict[int, tuple[TcpExchange, Lookup]] = {}

    @property
    def full(self) -> bool:
        """Whether the next lookup must wait."""
        return len(self._open) >= _AT_ONCE

    def begin(self, lookup: Lookup, resolver: Resolver, now: float) -> None:
        """Connect and ask.

        Raises:
            OSError: the connection can't even be begun.
        """
        message_id = int.from_bytes(os.urandom(2), "big")
        exchange = TcpExchange(resolver.address, message_id, encode_query(message_id, lookup.question))
        self._open[exchange.fd] = exchange, lookup
        self._poll.register(exchange.fd, exchange.events, self._event)
        exchange.timer = self._timers.add(now + _SECONDS, self._expire, exchange)

    def close(self) -> None:
        """Close every connection."""
        for exchange, _ in self._open.values():
            exchange.close()
        self._open.clear()

    def _event(self, fd: int) -> None:
        entry = self._open.get(fd)
        if entry is None:
            return
        exchange, _ = entry
        try:
            message = exchange.advance()
        except ConnectionRefusedError:
            self._end(exchange, None, "tcp_refused", self._clock())
        except OSError:
            self._end(exchange, None, "tcp_closed", self._clock())
        else:
            if message is None:
                self._poll.modify(fd, exchange.events, self._event)
            else:
                self._end(exchange, message, "", self._clock())

    def _expire(self, exchange: TcpExchange, now: float) -> None:
        self._end(exchange, None, "tcp_timeout", now)

    def _end(self, exchange: TcpExchange, message: bytes | None, reason: str, now: float) -> None:
        _, lookup = self._open.pop(exchange.fd)
        self._poll.unregister(exchange.fd)
        self._timers.cancel(exchange.timer)
        exchange.close()
        self._ended(exchange, lookup, message, reason, now)
