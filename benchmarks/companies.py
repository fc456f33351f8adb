"""Domains per second, referrals tied to companies per second, imported rows per second and peak memory.

Usage: python benchmarks/companies.py [--referrals 20000] [--rows 20000] [--database URL]

Each figure stands beside a peer measured in the same run: tldextract alone for domains (it neither maps international
names nor rejects anything), one referral a transaction for the stage, pandas reading the file alone for imports.
``--database`` names an empty PostgreSQL database; without it a throw-away SQLite file is used.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas
import psutil
import tldextract

from hunter_orchestration.companies import imports, stage
from hunter_orchestration.companies.domains import company_domain
from hunter_orchestration.store import Store, company_evidence, raw_leads
from hunter_orchestration.store import referrals as referral_store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.store.raw_leads import Payload
from hunter_orchestration.store.work import StageResult

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NAIVE = 500


def referral(number: int, companies: int) -> dict[str, Any]:
    """An invented referral as the stage before leaves it; three in a row never share a company."""
    stamp = EPOCH + timedelta(minutes=number)
    texts = dict.fromkeys(
        ("engagement_id", "qualification", "status_reason", "company_size", "city", "notes", "external_reference_id",
         "organization_id", "mpn_id", "invited_by", "tenant_id", "currency", "etag", "direction")
    )  # fmt: skip
    documents = dict.fromkeys(("address", "candidates", "consent", "needs", "unknown_values"))
    stamps = dict.fromkeys(("closing_at", "expires_at", "accepted_at", "closed_at"))
    return {
        **texts, **documents, **stamps,
        "id": f"00000000-0000-4000-8000-{number:012d}", "raw_lead_id": number, "name": "Deal", "type": "Shared",
        "status": "New", "substatus": "Pending", "category": "co_sell", "category_rule": "benchmark", "is_open": True,
        "company_name": f"Firma {number % companies} A.Ş.", "country": "TR", "deal_value": None,
        "contacts": [{"first_name": "Ada", "email": f"ada{number}@firma{number % companies}.example"}],
        "created_at": stamp, "updated_at": stamp, "synced_at": stamp, "company_due_at": stamp,
    }  # fmt: skip


def per_second(count: int, started: float) -> int:
    """A rate since a moment of ``time.perf_counter``."""
    return round(count / (time.perf_counter() - started))


def domains(count: int) -> dict[str, Any]:
    """Distinct URLs, so that no cache answers."""
    texts = [f"https://www.firma{number}.com.tr/iletisim?x={number}" for number in range(count)]
    started = time.perf_counter()
    for text in texts:
        company_domain(text)
    ours = per_second(count, started)
    peer = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    peer("warm.example")
    started = time.perf_counter()
    for text in texts:
        peer(text)
    theirs = per_second(count, started)
    return {"domains_per_second": ours, "tldextract_alone": theirs, "ratio": round(ours / theirs, 2)}


def tying(store: Store, count: int) -> dict[str, Any]:
    """The stage over a backlog, over nothing, and over referrals that come one a run."""
    rows = [referral(number, max(count // 3, 1)) for number in range(count + NAIVE)]
    with store.write() as connection:
        referral_store.save(connection, rows[:count], [])
    started = time.perf_counter()
    stage.run(store)
    backlog = per_second(count, started)
    started = time.perf_counter()
    stage.run(store)
    idle = time.perf_counter() - started
    started = time.perf_counter()
    for row in rows[count:]:
        with store.write() as connection:
            referral_store.save(connection, [row], [])
        stage.run(store)
    naive = per_second(NAIVE, started)
    return {
        "referrals_per_second": backlog,
        "one_a_transaction": naive,
        "ratio": round(backlog / naive, 1),
        "idle_run_ms": round(idle * 1000, 2),
    }


def importing(store: Store, home: Path, count: int) -> dict[str, Any]:
    """A semicolon file in Windows-1254, read twice; the memory is what the first pass added."""
    path = home / "leads.csv"
    with path.open("w", encoding="windows-1254") as file:
        file.write("Firma;Web Sitesi;E-posta;Şehir;Adres\r\n")
        for number in range(count):
            file.write(
                f"Işık {number} A.Ş.;www.isik{number}.example;ada@isik{number}.example;İzmir;Sok. No.{number}\r\n"
            )
    rates = []
    before = psutil.Process().memory_info().rss
    grown = 0
    for _ in range(2):
        with path.open("rb") as content:
            import_id = imports.receive(store, home, path.name, content)
        started = time.perf_counter()
        imports.run(store, home, import_id)
        rates.append(per_second(count, started))
        grown = grown or psutil.Process().memory_info().rss - before
    started = time.perf_counter()
    pandas.read_csv(path, sep=";", encoding="windows-1254")
    alone = per_second(count, started)
    return {"rows_per_second": rates[0], "again": rates[1], "pandas_reading_alone": alone, "grown_mb": grown >> 20}


def building(store: Store, count: int) -> dict[str, Any]:
    """Records of a file into companies: the whole chunk, and one record a transaction beside it."""
    now = EPOCH
    payloads = [
        Payload(f"tek{number}.example", f"{number:064x}", {"domain": f"tek{number}.example"}, None)
        for number in range(NAIVE)
    ]
    started = time.perf_counter()
    built = stage.run(store).counts["recorded"]
    whole = per_second(built, started)
    with store.write() as connection:
        raw_leads.keep(connection, "api", payloads, now=now, pass_started=now)
    started = time.perf_counter()
    after = 0
    for _ in range(NAIVE):
        with store.write() as connection:
            (row,) = company_evidence.waiting_records(connection, "api", after, 1)
            stage.take_records(connection, StageResult(), [row])
        after = row["id"]
    naive = per_second(NAIVE, started)
    return {"records_per_second": whole, "one_a_transaction": naive, "ratio": round(whole / naive, 1), "rows": count}


def main() -> None:
    """Print one JSON line a subject."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--referrals", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--database", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(asked.database or f"sqlite:///{folder}/benchmark.db")
        upgrade(store)
        print(json.dumps({"domains": domains(50_000)}), flush=True)
        print(json.dumps({"stage": tying(store, asked.referrals)}), flush=True)
        print(json.dumps({"imports": importing(store, Path(folder), asked.rows)}), flush=True)
        print(json.dumps({"building": building(store, asked.rows)}), flush=True)
        store.close()


if __name__ == "__main__":
    main()
