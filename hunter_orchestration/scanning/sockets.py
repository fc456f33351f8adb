"""UDP sockets to the resolvers: many to each, on ports the system draws, replaced after much use.

An answer is taken only from the resolver's own address (the sockets are connected), on the port and with the id its
query went out with: what a forger must guess (RFC 5452).
"""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from hunter_orchestration.scanning.resolvers import Resolver
from hunter_orchestration.scanning.timers import Timers

SOCKETS_PER_RESOLVER = 24
_SENDS_PER_SOCKET = 20_000
_OLD_PORT_SECONDS = 20.0
_RANDOM_BYTES = 4096


class Sockets:
    """The open sockets by file number, and the drawing of one, with a message id, for each query.

    Args:
        readable: called with the file number of a socket that has something to read.
    """

    def __init__(
        self,
        poll: selectors.BaseSelector,
        resolvers: Sequence[Resolver],
        timers: Timers,
        readable: Callable[[int], None],
    ) -> None:
        self.of: dict[int, tuple[socket.socket, Resolver]] = {}
        self._poll = poll
        self._timers = timers
        self._readable = readable
        self._in_use: dict[Resolver, list[int]] = {resolver: [] for resolver in resolvers}
        self._sent: dict[int, int] = {}
        self._random = b""
        self._random_at = 0
        for resolver in resolvers:
            for _ in range(SOCKETS_PER_RESOLVER):
                self._open(resolver)

    def draw(self, resolver: Resolver) -> tuple[int, int]:
        """(file number, message id), neither to be foretold."""
        at = self._random_at
        if at + 4 > len(self._random):
            self._random, at = os.urandom(_RANDOM_BYTES), 0
        self._random_at = at + 4
        pool = self._random
        fds = self._in_use[resolver]
        return fds[(pool[at + 2] << 8 | pool[at + 3]) % len(fds)], pool[at] << 8 | pool[at + 1]

    def send(self, fd: int, message: bytes, now: float) -> None:
        """Send a datagram, and count it: after many, the socket makes way for one on another port.

        Raises:
            OSError: the system takes nothing now, or tells that nobody listens there.
        """
        sock, resolver = self.of[fd]
        sent = self._sent[fd] = self._sent[fd] + 1
        if sent == _SENDS_PER_SOCKET:
            self._in_use[resolver].remove(fd)
            self._open(resolver)
            # The old one still hears what is under way.
            self._timers.add(now + _OLD_PORT_SECONDS, self._retire, fd)
        sock.send(message)

    def close(self) -> None:
        """Close them all."""
        for sock, _ in self.of.values():
            sock.close()
        self.of.clear()

    def _open(self, resolver: Resolver) -> None:
        family = socket.AF_INET6 if ":" in resolver.address.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        # Without a network there is no way there; sending fails then, and counts as the silence that it is.
        with suppress(OSError):
            sock.connect((resolver.address.host, resolver.address.port))
        fd = sock.fileno()
        self.of[fd] = sock, resolver
        self._sent[fd] = 0
        self._in_use[resolver].append(fd)
        self._poll.register(fd, selectors.EVENT_READ, self._readable)

    def _retire(self, fd: int, _now: float) -> None:
        sock, _ = self.of.pop(fd)
        del self._sent[fd]
        self._poll.unregister(fd)
        sock.close()
