"""Scanning a list of domains: the engine and the plan put together. No store."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scanning.domain import plan
from hunter_orchestration.scanning.engine import Engine
from hunter_orchestration.scanning.findings import told
from hunter_orchestration.scanning.providers import ProviderTable, provider_table
from hunter_orchestration.scanning.resolvers import Address, parse_address, system_addresses
from hunter_orchestration.settings import Settings

_SHUFFLED = 5000


def addresses_of(settings: Settings) -> list[Address]:
    """The resolvers of the settings, or the system's.

    Raises:
        PermanentError: an address is wrong, or there is none at all.
    """
    found = [parse_address(text) for text in settings.dns_servers] or system_addresses()
    if not found:
        raise PermanentError("No resolver is known.", "Set HUNTER_DNS_SERVERS, e.g. 127.0.0.1:5353.")
    return found


def engine_of(settings: Settings) -> Engine:
    """An engine over the resolvers of the settings; to be closed by the caller."""
    return Engine(
        addresses_of(settings),
        concurrency=settings.scan_concurrency,
        ceiling=settings.scan_queries_per_second,
        first_timeout=settings.scan_first_timeout_seconds,
    )


def scan_domains(
    engine: Engine, domains: Iterable[str], table: ProviderTable | None = None, *, drawn: int = _SHUFFLED
) -> Iterator[dict[str, Any]]:
    """Findings of domains as they are ready, in no order.

    The list is drawn as it is needed, ``drawn`` domains at a time, and these are shuffled, so that one hoster's servers
    are not asked in a row; a domain named twice among them is scanned once.
    """
    rows = table or provider_table()
    tasks = ((domain, plan(domain, rows)) for domain in _shuffled(domains, drawn))
    for finished in engine.run(tasks):
        yield told(finished.result, finished.lookups, finished.seconds)


def _shuffled(domains: Iterable[str], drawn: int) -> Iterator[str]:
    source = iter(domains)
    while block := list(dict.fromkeys(islice(source, drawn))):
        random.shuffle(block)
        yield from block
