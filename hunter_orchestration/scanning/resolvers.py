"""One resolver as the engine sees it: how fast it answers, how much it bears, whether it is alive.

Pure bookkeeping on times handed in; no sockets, no clock.

The window (queries in flight) opens with every answer until something is lost. A limiter shows as loss or REFUSED
beyond what a bad line explains; from then on queries are paced by a token bucket set to what was really delivered,
which then creeps upward to find the limit again. Loss on domains that never answered anything says nothing about the
resolver and is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from math import ceil, log
from typing import Protocol

from hunter_orchestration.errors import PermanentError

FIRST_TIMEOUT = 1.0
LEAST_TIMEOUT = 0.3
MOST_TIMEOUT = 4.0
_FIRST_WINDOW = 64
_LEAST_WINDOW = 8
_PERIOD = 0.5
_TOLERATED_LOSS = 0.06
_LEAST_SAMPLE = 40
_TELLING_SAMPLE = 200
_FLOOD = 64
_LEAST_RATE = 20.0
_GROWTH = 1.01
_CLEAN_GROWTH = 1.03
_MOST_GROWTH = 1.3
_NEGLIGIBLE = 1e-6
_DEAD_AFTER = 24
_QUIET_SECONDS = 1.0
_FIRST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Address:
    """Where a resolver listens."""

    host: str
    port: int = 53

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """``9.9.9.9``, ``127.0.0.1:5353``, ``::1`` or ``[::1]:5353``. Names are refused: they would need a resolver.

    Raises:
        PermanentError: not an IP address with an optional port.
    """
    host, port = text.strip(), 53
    try:
        if host.startswith("["):
            host, _, rest = host[1:].partition("]")
            port = int(rest[1:]) if rest else 53
        elif host.count(":") == 1:
            host, _, rest = host.partition(":")
            port = int(rest)
        if not 0 < port < 65536:
            raise ValueError(port)
        return Address(str(ip_address(host)), port)
    except ValueError:
        raise PermanentError(
            f"{text!r} is not a resolver's address.", "Write an IP address, or IP:PORT, e.g. 127.0.0.1:5353."
        ) from None


def system_addresses(path: str = "/etc/resolv.conf") -> list[Address]:
    """The resolvers of the system, in order; empty when the file has none or can't be read."""
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                words = line.split()
                if len(words) > 1 and words[0] == "nameserver":
                    try:
                        found.append(parse_address(f"[{words[1].split('%')[0]}]"))
                    except PermanentError:
                        continue
    except OSError:
        return []
    return found


class Resolver:
    """Health, round trip, window and pace of one resolver. Times are seconds of any one monotonic clock.

    Args:
        address: where it listens.
        ceiling: most queries a second, 0 for none but what it shows by itself.
        most_in_flight: upper end of the window.
        first_timeout: seconds before the first repetition while no round trip is known.
    """

    def __init__(
        self,
        address: Address,
        ceiling: float = 0,
        most_in_flight: int = 1000,
        first_timeout: float = FIRST_TIMEOUT,
    ) -> None:
        self.address = address
        self.label = str(address)
        self.ceiling = float(ceiling)
        self.rate = float(ceiling)
        self.window = float(min(_FIRST_WINDOW, most_in_flight))
        self.most_in_flight = most_in_flight
        self.first_timeout = first_timeout
        self.in_flight = 0
        self.srtt = 0.0
        self.rttvar = 0.0
        self.sent = self.answered = self.lost = self.refused = 0
        self.dead_since = 0.0
        self._dead_for = _FIRST_PAUSE
        self.probing = False
        self._silent = 0
        self._tokens = 4.0
        self._token_stamp = 0.0
        self._period_start = 0.0
        self._period_answered = self._period_lost = 0
        self._last_answer = 0.0
        self._held_until = 0.0
        self._clean = 0
        self._loss = 0.0

    def tries(self, least: int, most: int, heard: bool) -> int:
        """How often a query is sent before silence is the domain's and not this resolver's limit.

        While it is paced: as often as may be for a domain that answered something before, for another until losing
        them all at the present loss would be next to impossible. Many dead domains are waited for like that.
        """
        if not self.rate:
            return least
        if heard:
            return max(least, most)
        total = self._period_answered + self._period_lost
        now = self._period_lost / total if total >= _LEAST_SAMPLE else 0.0
        loss = min(max(self._loss, now, 0.01), 0.9)
        return max(least, min(most, ceil(log(_NEGLIGIBLE) / log(loss))))

    @property
    def timeout(self) -> float:
        """Seconds to wait before the first repetition; later ones double it."""
        if not self.srtt:
            return self.first_timeout
        return min(max(self.srtt + 4 * self.rttvar, LEAST_TIMEOUT), MOST_TIMEOUT)

    @property
    def load(self) -> float:
        """What is under way, weighed by how long an answer takes: the least is asked next."""
        return (self.in_flight + 1) * (self.srtt or 0.1)

    @property
    def alive(self) -> bool:
        """False from an unanswered probe to the next answer of any kind."""
        return not self.dead_since

    def wait(self, now: float) -> float:
        """Seconds until another query may be sent; 0 for now, infinity while the window is full."""
        if self.in_flight >= self.window:
            return float("inf")
        if not self.rate:
            return 0.0
        self._tokens = min(self._tokens + (now - self._token_stamp) * self.rate, max(4.0, self.rate * 0.02))
        self._token_stamp = now
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) / self.rate

    def on_sent(self) -> None:
        """A query went out."""
        self.sent += 1
        self.in_flight += 1
        if self.rate:
            self._tokens -= 1

    def on_answer(self, now: float, round_trip: float | None) -> None:
        """An answer came. ``round_trip`` is None when it is not known which sending it answers (Karn's rule)."""
        self.answered += 1
        self._period_answered += 1
        self._silent = 0
        self._last_answer = now
        self._dead_for = _FIRST_PAUSE
        self.dead_since = 0.0
        if self.window < self.most_in_flight:
            self.window += 1 if not self.rate else 1 / self.window
        if round_trip is not None:
            if not self.srtt:
                self.srtt, self.rttvar = round_trip, round_trip / 2
            else:
                difference = round_trip - self.srtt
                self.srtt += difference / 8
                self.rttvar += (abs(difference) - self.rttvar) / 4
        if now - self._period_start > _PERIOD:
            self._judge(now)

    def on_loss(self, now: float, telling: bool, refused: bool = False) -> None:
        """A query was not answered in time, or was refused.

        Args:
            telling: False when the domain asked about never answered anything: it may be dead by itself.
        """
        self.lost += 1
        if refused:
            self.refused += 1
            self._silent = 0
            self._last_answer = now
        else:
            self._silent += 1
        if telling:
            self._period_lost += 1
        flooded = self._period_lost >= _FLOOD and self._period_lost > self._period_answered / 2
        if now - self._period_start > (_PERIOD / 10 if flooded else _PERIOD):
            self._judge(now)

    def suspect(self, now: float) -> bool:
        """Whether it has been silent for so long that it should be asked something it must know."""
        return (
            self._silent >= _DEAD_AFTER and now - self._last_answer > _QUIET_SECONDS and self.alive and not self.probing
        )

    def on_probe(self, now: float, answered: bool) -> float:
        """The end of such a question.

        Returns:
            Seconds until the next one, longer each time; 0 when it was answered.
        """
        self.probing = False
        self._silent = 0
        if answered:
            self.dead_since = 0.0
            return 0.0
        self.dead_since = self.dead_since or now
        pause, self._dead_for = self._dead_for, min(self._dead_for * 2, 30.0)
        return pause

    def _judge(self, now: float) -> None:
        """At the end of a period: slow down to what was delivered, or creep up."""
        span = now - self._period_start
        total = self._period_answered + self._period_lost
        if total < _LEAST_SAMPLE and span < 4 * _PERIOD:
            return
        # Few questions with some loss are the end of a list with its slow domains, not a limit.
        tolerated = _TOLERATED_LOSS if total >= _TELLING_SAMPLE else 0.5
        lossy = total >= _LEAST_SAMPLE and self._period_lost > total * tolerated
        if total >= _LEAST_SAMPLE:
            self._loss += (self._period_lost / total - self._loss) / 2
        self._clean = 0 if self._period_lost or lossy else self._clean + 1
        if lossy and now >= self._held_until:
            delivered = max(self._period_answered / span, _LEAST_RATE)
            self.rate = delivered if not self.rate else min(max(delivered, self.rate / 2), self.rate * 0.97)
            self.window = max(_LEAST_WINDOW, self.window * (0.5 if span < 2 else 0.8))
            # Losses of the old pace are still coming in: they must not be counted twice.
            self._held_until = now + _PERIOD + self.timeout
            self._tokens = min(self._tokens, 1.0)
            self._token_stamp = now
        elif not lossy and self.rate:
            used = self._period_answered / span > self.rate * 0.8 if span else False
            if used:
                # Near the limit something is lost soon; a pace set in a bad moment must not last.
                self.rate *= min(_CLEAN_GROWTH**self._clean, _MOST_GROWTH) if self._clean else _GROWTH
        if self.ceiling and (not self.rate or self.rate > self.ceiling):
            self.rate = self.ceiling
        self._period_start = now
        self._period_answered = self._period_lost = 0


class Asked(Protocol):
    """A lookup as the choice sees it: bound to one resolver or not, and whom it was sent to before."""

    only: Resolver | None
    resolver: Resolver | None


def choose(resolvers: Sequence[Resolver], lookup: Asked, now: float, patience: float) -> tuple[Resolver | None, float]:
    """The resolver to ask and 0; or none and the seconds to wait; or none and -1 when all were silent for too long.

    Of several the least loaded one; for a repetition another than before, where there is one.
    """
    if lookup.only is not None:
        return lookup.only, 0.0
    if len(resolvers) == 1:
        only = resolvers[0]
        if only.dead_since:
            return None, _wait_for_the_dead(resolvers, now, patience)
        wait = only.wait(now)
        return (only, 0.0) if wait <= 0 else (None, wait)
    best: Resolver | None = None
    least_wait = float("inf")
    alive = False
    previous = lookup.resolver
    for resolver in resolvers:
        if not resolver.alive:
            continue
        alive = True
        wait = resolver.wait(now)
        if wait > 0:
            least_wait = min(least_wait, wait)
        elif best is None or best is previous or (resolver is not previous and resolver.load < best.load):
            best = resolver
    if best is not None:
        return best, 0.0
    return None, (least_wait if alive else _wait_for_the_dead(resolvers, now, patience))


def _wait_for_the_dead(resolvers: Sequence[Resolver], now: float, patience: float) -> float:
    return -1.0 if now - max(resolver.dead_since for resolver in resolvers) > patience else 0.1
