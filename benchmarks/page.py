"""How fast the page's lists, counts and downloads are, beside the plain SQL that a first version would use.

    python -m benchmarks.page [--leads 1000 100000 1000000] [--on sqlite postgresql] [--rounds 40]

Seeds invented leads by SQL into a store of its own (SQLite in a temporary folder, PostgreSQL on a server started for
it, or an empty database given by --database-url), asks the server for every kind of list in process, HTTP layer
included, and prints the 50th and 95th percentile in milliseconds; the goal is a p95 of 50 ms up to 100,000 leads and
of 150 ms beyond; with --strict the exit status is the number of questions that miss it. The peer is the same question
as LIKE, ORDER BY … LIMIT … OFFSET and count(*) over a copy of the table that has only its primary key, measured in the
same run; the ratio is peer p50 by ours.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text
from starlette.testclient import TestClient

from hunter_orchestration import turkish
from hunter_orchestration.logging import configure_logging
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Connection, Store, lead_counting, lead_queries
from hunter_orchestration.store.lead_filters import LeadFilter
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.tables.leads import COUNTED, KEPT_BY
from hunter_orchestration.web.app import create_app
from hunter_orchestration.web.exports import COLUMNS, csv_pieces
from hunter_orchestration_tests.postgresql import fresh_database, running_server

_FIRST = ["Akdeniz", "Boğaziçi", "Ege", "Marmara", "Toros", "Kuzey", "Anadolu", "Pamukkale", "Truva", "Likya", "Işık"]
_FIRST += ["Çukurova", "Göksu", "Ihlara", "Ümit", "Şahin"]
_TRADE = ["İnşaat", "Yapı", "Gıda", "Tekstil", "Lojistik", "Yazılım", "Otomotiv", "Enerji", "Turizm", "Sağlık"]
_TRADE += ["Kimya", "Makine", "Ambalaj", "Mobilya"]
_FORM = ["A.Ş.", "Ltd. Şti.", "Holding", "Grubu", "Sanayi ve Ticaret A.Ş."]
_PROVIDERS = {"M365": 30, "Google": 15, "Hosting": 20, "Local": 12, "Yandex": 8, "Zoho": 3, "Other": 5, "Unknown": 7}
_POINTS = {"M365": 55, "Google": 50, "Yandex": 30, "Zoho": 30, "Hosting": 20, "Other": 20, "Local": 10, "Unknown": 0}
_COUNTRIES = {"TR": 70, "DE": 6, "NL": 4, "GB": 4, "US": 4, "AZ": 3, "AE": 3, "FR": 2, "IT": 2, None: 2}
_PROFILES = 4000
GOAL_MS = 50.0
GOAL_BEYOND_MS = 150.0


def _pick(weights: dict[Any, int], chance: random.Random) -> Any:
    return chance.choices(list(weights), list(weights.values()))[0]


def _profile(chance: random.Random) -> dict[str, Any]:
    """One plausible combination of values: score, segment and priority follow from the provider as in the rules."""
    provider = _pick(_PROVIDERS, chance)
    score = max(0, min(100, _POINTS[provider] + chance.choice([-25, -15, -5, 0, 5, 10, 15, 25, 40])))
    if provider == "M365":
        segment, commercial, priority = "Existing", *(("WEAK_PARTNER", "P3") if score < 70 else ("RENEWAL", "P4"))
    elif score >= 60:
        local = provider in ("Local", "Hosting")
        segment, commercial, priority = "Migration", *(("GREENFIELD", "P1") if local else ("COMPETITIVE", "P2"))
    elif score >= 40:
        segment, commercial, priority = "Cold", "LOW_INTENT", "P5"
    else:
        segment, commercial, priority = "Skip", "NO_GO", "P6"
    referred = chance.random() < 0.15
    return {
        "provider": provider,
        "score": score,
        "segment": segment,
        "commercial_segment": commercial,
        "priority": priority,
        "technical_heat": "Hot" if provider == "M365" else "Cold",
        "commercial_heat": "HIGH" if priority in ("P1", "P2") else "LOW",
        "gateway": chance.choice(["Mimecast", "Proofpoint", "Barracuda"]) if chance.random() < 0.08 else None,
        "referral_category": chance.choice(["co_sell", "marketplace", "solution_provider"]) if referred else None,
        "referral_status": chance.choice(["New", "Active", "Closed"]) if referred else None,
        "dynamics_state": _pick({"not_pushed": 70, "synced": 25, "rejected": 2, "deferred": 2, "conflict": 1}, chance),
        "country": _pick(_COUNTRIES, chance),
        "source": _pick({"partnercenter": 20, "import": 70, "api": 10}, chance),
    }


@contextmanager
def _bare(store: Store, connection: Connection) -> Iterator[None]:
    """The empty table without its indexes and triggers while it is filled; both, counts and search are made after."""

    def rows(sql: str) -> list[Any]:
        return list(connection.execute(text(sql)).all())

    if store.dialect == "sqlite":
        kept = rows("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'leads' AND sql LIKE 'CREATE %INDEX%'")
        kept += rows("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'leads' AND type = 'trigger'")
    else:
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        connection.execute(text("ALTER TABLE leads DISABLE TRIGGER USER"))
        kept = rows(
            "SELECT 'index', indexname, indexdef FROM pg_indexes "
            "WHERE tablename = 'leads' AND indexname <> 'pk_leads' AND schemaname = current_schema()"
        )
    for kind, name, _sql in kept:
        connection.execute(text(f"DROP {kind} {name}"))
    yield
    for _kind, _name, sql in kept:
        connection.exec_driver_sql(sql)
    combination = ", ".join(f"coalesce({name}, '')" if name in COUNTED else name for name in KEPT_BY)
    connection.execute(text("DELETE FROM lead_counts"))
    connection.execute(
        text(
            f"INSERT INTO lead_counts ({', '.join(KEPT_BY)}, leads) SELECT {combination}, count(*) FROM leads "
            f"GROUP BY {', '.join(str(position) for position in range(1, len(KEPT_BY) + 1))}"
        )
    )
    if store.dialect == "sqlite":
        connection.execute(text("INSERT INTO leads_search(leads_search) VALUES ('rebuild')"))
    else:
        connection.execute(text("ALTER TABLE leads ENABLE TRIGGER USER"))


def seed(store: Store, leads: int) -> None:
    """Fill the empty table with invented leads by SQL, and make the peer's copy."""
    chance = random.Random(7)
    names = [f"{a} {b} {c}" for a in _FIRST for b in _TRADE for c in _FORM]
    chance.shuffle(names)
    profiles = [_profile(chance) for _ in range(_PROFILES)]
    columns = list(profiles[0])
    number = "integer" if store.dialect == "sqlite" else "bigint"
    with store.write() as connection:

        def run(sql: str, rows: Any = None) -> None:
            connection.execute(text(sql), rows)

        run(f"CREATE TEMP TABLE seed_names (n {number} PRIMARY KEY, name text, name_key text, folded text, slug text)")
        run(
            "INSERT INTO seed_names VALUES (:n, :name, :key, :folded, :slug)",
            [
                {
                    "n": n,
                    "name": name,
                    "key": turkish.sort_key(name),
                    "folded": turkish.fold(name),
                    "slug": "".join(char for char in turkish.fold(name) if char.isalnum())[:20],
                }
                for n, name in enumerate(names)
            ],
        )
        kinds = ", ".join(f"{name} {'integer' if name == 'score' else 'text'}" for name in columns)
        run(f"CREATE TEMP TABLE seed_profiles (n {number} PRIMARY KEY, {kinds})")
        run(
            f"INSERT INTO seed_profiles VALUES (:n, {', '.join(':' + name for name in columns)})",
            [{"n": n, **profile} for n, profile in enumerate(profiles)],
        )
        if store.dialect == "sqlite":
            numbers = "WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n + 1 < :leads)"
            seen = (
                "strftime('%Y-%m-%d %H:%M:%f', '2026-11-24', '-' || ((i.n * 7919) % 31536000) || ' seconds') || '000'"
            )
            expires = "strftime('%Y-%m-%d %H:%M:%f', '2026-11-24', '+' || (i.n % 1209600) || ' seconds') || '000'"
            money, true = "(i.n % 90000) * 10000", "1"
        else:
            numbers = "WITH i(n) AS (SELECT generate_series(0, :leads - 1)::bigint)"
            seen = "timestamptz '2026-11-24 00:00Z' - make_interval(secs => (i.n * 7919) % 31536000)"
            expires = "timestamptz '2026-11-24 00:00Z' + make_interval(secs => i.n % 1209600)"
            money, true = "(i.n % 90000)::numeric", "true"
        with _bare(store, connection):
            run(
                f"""INSERT INTO leads (domain, domain_shown, name, name_key, search_text, {", ".join(columns)},
                    complete, referral_id, referral_count, expires_at, deal_value, currency, first_seen_at, changed_at)
                {numbers}
                SELECT s.slug || i.n || '.example', s.slug || i.n || '.example', s.name, s.name_key,
                    s.folded || ' ' || s.slug || i.n || '.example', {", ".join("p." + name for name in columns)},
                    {true}, NULL, 0, CASE WHEN p.referral_status = 'New' THEN {expires} END,
                    CASE WHEN p.referral_category IS NOT NULL THEN {money} END, 'EUR', {seen}, {seen}
                FROM i JOIN seed_names s ON s.n = (i.n * 31 + i.n / 1120) % {len(names)}
                    JOIN seed_profiles p ON p.n = (i.n * 2654435761) % {_PROFILES}""",
                {"leads": leads},
            )
        run("DROP TABLE IF EXISTS plain_leads")
        run("CREATE TABLE plain_leads AS SELECT * FROM leads")
    if store.dialect == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
            # The first round leaves fresh rows unmarked; index-only reads live on what the second one marks.
            connection.execute(text("VACUUM ANALYZE leads"))


@dataclass(frozen=True, slots=True)
class Question:
    """A request in several variants, and the peer's SQL (``None``: the peer has nothing like it)."""

    name: str
    urls: list[str]
    peer: Callable[[Any], Any] | None


def questions(client: TestClient, store: Store) -> Iterator[Question]:
    """Every kind of list the page asks for."""

    def plain(where: str = "1=1", order: str = "priority, score DESC", offset: int = 0) -> Callable[[Any], Any]:
        def ask(connection: Any) -> Any:
            rows = connection.execute(
                text(f"SELECT * FROM plain_leads WHERE {where} ORDER BY {order}, domain LIMIT 50 OFFSET {offset}")
            ).all()
            return rows, connection.execute(text(f"SELECT count(*) FROM plain_leads WHERE {where}")).scalar_one()

        return ask

    yield Question("first page", ["/leads"], plain())
    for sort in lead_queries.SORTS:
        column = lead_queries.SORTS[sort].replace("rank", "priority")
        urls = [f"/leads?sort={sort}&order={order}" for order in ("asc", "desc")]
        yield Question(f"sort by {sort}", urls, plain(order=f"{column} DESC"))
    filters = {
        "priority": ["P1", "P3", "P6"],
        "segment": ["GREENFIELD", "RENEWAL"],
        "provider": ["M365", "Zoho", "Local"],
        "gateway": ["Mimecast", "none"],
        "referral_category": ["co_sell"],
        "referral_status": ["New"],
        "dynamics_state": ["synced", "conflict"],
        "country": ["TR", "IT"],
        "source": ["api", "import"],
        "score_min": ["60", "95"],
        "age_days": ["1", "30"],
        "expiring_days": ["3"],
    }
    for name, values in filters.items():
        column = {"segment": "commercial_segment"}.get(name, name)
        peer = plain(f"{column} = '{values[0]}'") if name not in ("score_min", "age_days", "expiring_days") else None
        yield Question(f"filter by {name}", [f"/leads?{name}={value}" for value in values], peer)
    yield Question(
        "filter and sort",
        [
            "/leads?provider=Local&sort=score&order=desc",
            "/leads?priority=P6&sort=name",
            "/leads?country=IT&sort=changed_at",
        ],
        plain("provider = 'Local'", "score DESC"),
    )
    words = ["insaat", "yazilim holding", "goksu", "ihlara isik", "akdenizinsaat", "2345.example", "zzzz", "to"]
    yield Question(
        "search", [f"/leads?q={word}" for word in words], plain("lower(name || ' ' || domain) LIKE '%holding%'")
    )
    yield Question(
        "search, sorted by name",
        [f"/leads?q={word}&sort=name" for word in words[:4]],
        plain("lower(name || ' ' || domain) LIKE '%holding%'", "name"),
    )
    total = client.get("/api/v1/leads?limit=1").json()["total"]
    yield Question("page in the middle", list(_deep(client, store)), plain(offset=total // 2))
    facets = [
        "",
        "?priority=P1",
        "?provider=Google",
        "?country=TR&priority=P2",
        "?source=api",
        "?dynamics_state=synced",
    ]
    yield Question("facets", [f"/leads/facets{query}" for query in facets], None)
    yield Question("figures above the list", ["/leads/summary"], None)


def _deep(client: TestClient, store: Store) -> Iterator[str]:
    """Pages half-way down some orders, by a cursor made of a row there."""
    from hunter_orchestration.web import cursors

    with store.read() as connection:
        for sort in ("priority", "name", "score", "first_seen_at"):
            order = lead_queries.Order(sort)
            total, _ = lead_counting.count(connection, LeadFilter())
            column = lead_queries.SORTS[sort]
            row = (
                connection.execute(text(f"SELECT * FROM leads ORDER BY {column}, domain LIMIT 1 OFFSET {total // 2}"))
                .mappings()
                .one()
            )
            page = lead_queries.page(connection, LeadFilter(domains=(row["domain"],)), order, 1)
            yield f"/leads?sort={sort}&cursor=" + cursors.encode([{}, sort, "asc"], order.place(page.rows[0]))


def measure(ask: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """50th and 95th percentile in milliseconds, one warm-up aside."""
    ask()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        ask()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times), sorted(times)[min(len(times) - 1, int(len(times) * 0.95))]


def run(url: str, leads: int, rounds: int) -> int:
    """Seed, ask, print; the number of questions that miss the goal."""
    store = Store(url)
    upgrade(store)
    began = time.perf_counter()
    seed(store, leads)
    load = os.getloadavg()[0]
    print(f"\n{store.dialect}, {leads:,} leads (seeded in {time.perf_counter() - began:.0f} s), load {load:.1f}")
    print(f"{'question':28} {'p50 ms':>8} {'p95 ms':>8} {'peer p50':>9} {'ratio':>7}")
    worst, missed, goal = 0.0, 0, GOAL_MS if leads <= 100_000 else GOAL_BEYOND_MS
    app = create_app(Settings(_env_file=None, database_url=url), store=store)  # type: ignore[call-arg]
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for question in questions(client, store):
            times: list[float] = []
            for address in question.urls:

                def ask(address: str = address) -> None:
                    app.state.context.kept.clear()
                    answer = client.get(f"/api/v1{address}")
                    assert answer.status_code == 200, (address, answer.text)

                each = max(5, rounds // len(question.urls))
                ask()
                for _ in range(each):
                    started = time.perf_counter()
                    ask()
                    times.append((time.perf_counter() - started) * 1000)
            p50, p95 = statistics.median(times), sorted(times)[int(len(times) * 0.95)]
            worst = max(worst, p95)
            told = ""
            if (ask_peer := question.peer) is not None:
                with store.read() as connection:
                    peer, _ = measure(lambda: ask_peer(connection), 3)
                told = f"{peer:9.1f} {peer / p50:6.1f}x"
            missed += p95 >= goal
            print(f"{question.name:28} {p50:8.1f} {p95:8.1f} {told:19}{'' if p95 < goal else '  MISSED'}", flush=True)
    print(f"worst p95: {worst:.1f} ms, goal {goal:.0f} ms, {missed} missed; load {os.getloadavg()[0]:.1f}")
    _export(store, min(leads, 100_000))
    store.close()
    return missed


def _export(store: Store, leads: int) -> None:
    """The CSV of everything: rows a second, and the most memory Python held at a time."""
    tracemalloc.start()
    started, size = time.perf_counter(), 0
    with store.read() as connection:
        for piece in csv_pieces(lead_queries.stream(connection, LeadFilter(), lead_queries.Order()), [*COLUMNS], "tr"):
            size += len(piece)
            if size > leads * 300:
                break
    seconds = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"export: {size / 1e6:.1f} MB in {seconds:.1f} s while traced, peak {peak / 1e6:.1f} MB")


@contextmanager
def _databases(asked: argparse.Namespace) -> Iterator[list[Callable[[], AbstractContextManager[str]]]]:
    """Makers of an empty database each, which is gone again afterwards."""

    @contextmanager
    def file() -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'page.db'}"

    @contextmanager
    def given() -> Iterator[str]:
        store = Store(asked.database_url)
        upgrade(store)
        with store.write() as connection:
            connection.execute(text("TRUNCATE leads, lead_counts"))
        store.close()
        yield asked.database_url

    with ExitStack() as stack:
        made: list[Callable[[], AbstractContextManager[str]]] = []
        for kind in ["given"] if asked.database_url else asked.on:
            if kind == "postgresql":
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
                # The server runs as another user than root.
                folder.chmod(0o755)
                server = stack.enter_context(running_server(folder))
                made.append(partial(fresh_database, server))
            else:
                made.append(given if kind == "given" else file)
        yield made


def main() -> int:
    """Run for each database and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--on", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite"])
    parser.add_argument("--database-url", default="", help="an empty PostgreSQL database instead")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--strict", action="store_true", help="fail when a goal is missed")
    asked = parser.parse_args()
    # A line for each request would bury the figures.
    configure_logging("WARNING")
    missed = 0
    with _databases(asked) as makers:
        for database in makers:
            for leads in asked.leads:
                with database() as url:
                    missed += run(url, leads, asked.rounds)
    return missed if asked.strict else 0


if __name__ == "__main__":
    sys.exit(main())
