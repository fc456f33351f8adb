"""How a resolver is paced, on a clock of the test's own."""

from __future__ import annotations

from hunter_orchestration.scanning.resolvers import Address, Resolver

PERIOD = 0.6


def a_period(resolver: Resolver, start: float, answered: int, lost: int = 0) -> float:
    """So many queries end within a period, evenly; returns its end."""
    total = answered + lost
    for number in range(total):
        resolver.on_sent()
        resolver.in_flight -= 1
        now = start + PERIOD * (number + 1) / total
        if number * lost // total != (number + 1) * lost // total:
            resolver.on_loss(now, telling=True)
        else:
            resolver.on_answer(now, 0.03)
    return start + PERIOD


def paced(answered: int = 300, lost: int = 300) -> tuple[Resolver, float]:
    """A resolver that lost much in its first seconds, and the time."""
    resolver = Resolver(Address("192.0.2.53"))
    now = 100.0
    for _ in range(3):
        now = a_period(resolver, now, answered, lost)
    return resolver, now


def test_few_losses_set_no_pace() -> None:
    resolver, _ = paced(answered=600, lost=12)
    assert resolver.rate == 0


def test_many_losses_set_the_pace_to_what_was_delivered() -> None:
    resolver, _ = paced()
    assert 300 < resolver.rate < 700


def test_a_pace_set_in_a_bad_moment_is_left_within_seconds() -> None:
    resolver, start = paced()
    now = start
    while resolver.rate < 10_000 and now < start + 60:
        now = a_period(resolver, now, max(int(resolver.rate * PERIOD), 50))
    assert now - start < 20


def test_near_the_limit_the_pace_only_creeps() -> None:
    resolver, now = paced()
    before = resolver.rate
    for _ in range(4):
        now = a_period(resolver, now, int(resolver.rate * PERIOD), lost=2)
    assert before < resolver.rate < before * 1.06


def test_a_silent_domain_is_waited_for_longer_only_while_the_resolver_loses_much() -> None:
    free = Resolver(Address("192.0.2.53"))
    assert free.tries(3, 5, heard=False) == free.tries(3, 7, heard=True) == 3
    resolver, now = paced()
    assert resolver.tries(3, 5, heard=False) == 5
    for _ in range(12):
        now = a_period(resolver, now, 600)
    assert resolver.tries(3, 5, heard=False) == 3
    assert resolver.tries(4, 7, heard=True) == 7
