"""How fast a new version of the rules re-scores every lead, beside a loop that treats one lead at a time.

    python benchmarks/rescoring.py [--leads 10000 100000] [--database-url postgresql+psycopg2://…] [--peer-leads 1000]

Seeds invented companies with scans into a store of its own (SQLite in a temporary folder, or an empty PostgreSQL
database given by URL), scores them, then runs the stage once more under other rules. The peer does the same work for
some of the leads with the same functions, one lead and one transaction at a time, in the same run; the ratio is our
leads per second by the peer's. Also told: the engine alone, and what a run with nothing to do costs.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hunter_orchestration.scoring import rules as rules_module
from hunter_orchestration.scoring import stage
from hunter_orchestration.scoring.engine import Inputs, score
from hunter_orchestration.scoring.rules import PROVIDERS, read_rules
from hunter_orchestration.scoring.what_if import difference
from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.leads import refresh
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.scans import scans
from hunter_orchestration.store.tables.scores import score_history, scores

_CHUNK = 5000
_NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
_FINDINGS = {"evidence": [{"name": "x.example", "type": "TXT", "records": ["v=spf1 -all"], "state": "found"}] * 20}


def seed(store: Store, count: int) -> None:
    """Companies with a current scan each, due for scoring, in the mix of providers of the contract."""
    chance = random.Random(4)
    for start in range(0, count, _CHUNK):
        names = [f"firma-{number:07d}.example" for number in range(start, min(start + _CHUNK, count))]
        with store.write() as connection:
            connection.execute(companies.insert(), [_company(name) for name in names])
            connection.execute(scans.insert(), [_scan(name, chance) for name in names])
            refresh(connection, names)


def _company(domain: str) -> dict[str, Any]:
    return {
        "domain": domain,
        "name": domain,
        "name_source": "domain",
        "sources": {"import": {"first": "2026-11-24T09:00:00Z"}},
        "first_seen_at": _NOW,
        "changed_at": _NOW,
        "activity_at": _NOW,
        "score_due_at": _NOW,
    }


def _scan(domain: str, chance: random.Random) -> dict[str, Any]:
    return {
        "domain": domain,
        "scanned_at": _NOW,
        "expires_at": _NOW + timedelta(days=7),
        "is_current": True,
        "complete": True,
        "provider": chance.choice(PROVIDERS),
        "mx_state": "found",
        "spf_state": chance.choice(["valid", "none", "unknown"]),
        "spf_includes": chance.randrange(6),
        "dkim_found": chance.choice([True, False, None]),
        "dmarc_state": chance.choice(["valid", "none"]),
        "dmarc_policy": chance.choice(["reject", "quarantine", "none"]),
        "findings": {"domain": domain, **_FINDINGS},
        "lookups": 8,
        "seconds": 0.1,
    }


def other_rules(folder: Path, version: str) -> Path:
    """The shipped rules with one weight changed, as a file."""
    text = Path(rules_module.__file__).with_name("rules.yaml").read_text(encoding="utf-8")
    path = folder / f"{version}.yaml"
    path.write_text(
        text.replace('version: "2026-11-01"', f'version: "{version}"').replace("open_co_sell: 15", "open_co_sell: 14"),
        encoding="utf-8",
    )
    return path


def one_at_a_time(store: Store, rules_file: Path, domains: Sequence[str]) -> None:
    """The peer: a transaction a lead, the same functions and the same rows written."""
    settings = load_settings(rules_file=rules_file)
    for domain in domains:
        stage.run(store, settings, domains=[domain])


def timed(work: Callable[..., object], *arguments: object) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def engine_rate(seconds: float = 0.5) -> float:
    """Scores per second of the engine alone, over inputs that differ."""
    rules = read_rules()
    chance = random.Random(4)
    base = Inputs("Google", True, True, False, "none", 2)
    many = [replace(base, provider=chance.choice(PROVIDERS), dkim=chance.choice([True, False])) for _ in range(500)]
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for inputs in many:
            score(inputs, rules)
        done += len(many)
    return done / (time.perf_counter() - start)


def measured(store: Store, folder: Path, count: int, peer_leads: int) -> str:
    """The line of one size."""
    seed(store, count)
    first = count / timed(stage.run, store, load_settings())
    peers = [f"firma-{number:07d}.example" for number in range(min(peer_leads, count))]
    peer = len(peers) / timed(one_at_a_time, store, other_rules(folder, "peer"), peers)
    other = other_rules(folder, "other")
    compared = count / timed(difference, store, read_rules(other))
    settings = load_settings(rules_file=other)
    ours = count / timed(stage.run, store, settings)
    idle = timed(stage.run, store, settings)
    return (
        f"{count:>9,} leads: first scoring {first:,.0f}/s; re-scored {ours:,.0f}/s, one at a time {peer:,.0f}/s, "
        f"ratio {ours / peer:.1f}; rules diff {compared:,.0f}/s; nothing to do {idle * 1000:.1f} ms"
    )


def main() -> None:
    """Print one line a size."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--leads", type=int, nargs="+", default=[10_000, 100_000])
    options.add_argument("--database-url", default="")
    options.add_argument("--peer-leads", type=int, default=1000)
    given = options.parse_args()
    print(f"engine alone: {engine_rate():,.0f} scores/s", flush=True)
    for count in given.leads:
        with tempfile.TemporaryDirectory() as name:
            store = Store(given.database_url or f"sqlite:///{Path(name) / 'hunter.db'}")
            upgrade(store)
            with store.write() as connection:
                for table in (scans, companies, scores, score_history, leads):
                    connection.execute(table.delete())
            print(measured(store, Path(name), count, given.peer_leads), flush=True)
            store.close()


if __name__ == "__main__":
    main()
