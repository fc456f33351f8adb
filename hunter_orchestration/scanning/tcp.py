"""One query over TCP without blocking (RFC 7766): used when a datagram was too small for the answer."""

from __future__ import annotations

import os
import selectors
import socket

from hunter_orchestration.scanning.resolvers import Address


class TcpExchange:
    """Connects, sends one query and reads one answer, step by step as the poll loop says so.

    Attributes:
        fd: of the socket. events: what to wait for next. closed: whether it ended.

    Raises:
        OSError: the connection can't even be begun.
    """

    def __init__(self, address: Address, message_id: int, query: bytes) -> None:
        self.message_id = message_id
        self.closed = False
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
        self.closed = True
        self._socket.close()
