"""The sockets' ports and ids: what a forger would have to guess."""

from __future__ import annotations

import selectors
import socket
from collections import Counter

from hunter_orchestration.scanning.resolvers import Address, Resolver
from hunter_orchestration.scanning.sockets import SOCKETS_PER_RESOLVER, Sockets
from hunter_orchestration.scanning.timers import Timers


def port_of(sockets: Sockets, fd: int) -> int:
    return int(sockets.of[fd][0].getsockname()[1])


def test_queries_go_out_from_many_ports_with_ids_all_over() -> None:
    resolver, timers = Resolver(Address("127.0.0.1", 9)), Timers()
    with selectors.DefaultSelector() as poll:
        sockets = Sockets(poll, [resolver], timers, lambda _: None)
        drawn = [sockets.draw(resolver) for _ in range(20_000)]
        ports = {port_of(sockets, fd) for fd, _ in drawn}
        sockets.close()
    assert len(ports) == SOCKETS_PER_RESOLVER
    ids = Counter(message_id for _, message_id in drawn)
    assert len(ids) > 15_000
    assert min(ids) < 1000 < 64_000 < max(ids) < 65_536


def test_a_much_used_socket_makes_way_for_another_port_and_still_hears_for_a_while() -> None:
    timers = Timers()
    heard: list[int] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, selectors.DefaultSelector() as poll:
        server.bind(("127.0.0.1", 0))
        resolver = Resolver(Address(*server.getsockname()))
        sockets = Sockets(poll, [resolver], timers, heard.append)
        fd, _ = sockets.draw(resolver)
        old_port = port_of(sockets, fd)
        for _ in range(20_000):
            sockets.send(fd, b"x", 100.0)
        assert len(sockets.of) == SOCKETS_PER_RESOLVER + 1
        assert all(sockets.draw(resolver)[0] != fd for _ in range(2000))
        server.sendto(b"late", ("127.0.0.1", old_port))
        for entry, _ in poll.select(1.0):
            entry.data(entry.fd)
        assert heard == [fd]
        timers.fire(119.0)
        assert fd in sockets.of
        timers.fire(121.0)
        assert fd not in sockets.of
        assert len(sockets.of) == len(poll.get_map()) == SOCKETS_PER_RESOLVER
        sockets.close()
