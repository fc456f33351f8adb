"""The extended set: what is worth knowing of a lead that is opened, in a slow lane of its own.

Mail transport (MTA-STS, TLS-RPT, BIMI), DNSSEC, registration by RDAP, the Microsoft tenant by OpenID discovery, country
and network of an address from an MMDB file. HTTP goes to the configured hosts alone and follows no redirect; nothing
is fetched from the domain itself. What can't be found out is ``unknown``, what isn't set up ``not_configured``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hunter_orchestration.scanning import lookup_services
from hunter_orchestration.scanning.engine import Engine
from hunter_orchestration.scanning.rows import settled, tenant_agrees
from hunter_orchestration.scanning.scanner import engine_of
from hunter_orchestration.scanning.tasks import Question, Task
from hunter_orchestration.scanning.wire import DNSKEY, DS, SOA, TXT, Answer
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Connection, Store, leads
from hunter_orchestration.store import scans as scan_queries
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import Progress, StageResult, utc_now

_CHUNK = 100
_THREADS = 8
_FRESH = {
    "registration": timedelta(days=30),
    "tenant": timedelta(days=7),
    "mail_transport": timedelta(days=7),
    "dnssec": timedelta(days=7),
    "network": timedelta(days=30),
}
_UNKNOWN = timedelta(days=1)
_MOST_BYTES = 4096
# How a record begins and what it must say: RFC 8461 section 3.1, RFC 8460 section 3, the BIMI draft's section 4.2
# (where an empty location declines).
_POLICIES = {
    "mta_sts": (re.compile(rb"v=STSv1[ \t]*;"), re.compile(rb";[ \t]*id[ \t]*=[ \t]*[A-Za-z0-9]{1,32}[ \t]*(?:;|\Z)")),
    "tls_rpt": (re.compile(rb"v=TLSRPTv1[ \t]*;"), re.compile(rb";[ \t]*rua[ \t]*=[ \t]*(?:mailto|https):")),
    "bimi": (re.compile(rb"v=BIMI1[ \t]*;"), re.compile(rb";[ \t]*l[ \t]*=[ \t]*https:", re.IGNORECASE)),
}
_EXPIRING = timedelta(days=30)

Detail = dict[str, Any]
"""``state`` (found, absent, unknown, not_configured) and ``facts``."""


def details_of(settings: Settings, findings: Mapping[str, Any], engine: Engine | None = None) -> dict[str, Detail]:
    """The extended findings of one scanned domain, by kind. Never raises for what a server does."""
    if engine is None:
        with engine_of(settings) as own:
            return details_of(settings, findings, own)
    by_dns = next(iter(_by_dns(engine, [findings["domain"]]).values()))
    return by_dns | _by_http(settings, findings)


def run(
    store: Store, settings: Settings, domains: Iterable[str], result: StageResult, progress: Progress | None = None
) -> None:
    """Fetch and store the extended findings of scanned companies whose details are missing or no longer fresh.

    Adds the counts ``extended`` and ``extended_fresh``. A tenant found is noted on the current scan, which scoring
    reads.
    """
    done = 0
    with engine_of(settings) as engine, ThreadPoolExecutor(_THREADS) as pool:
        for chunk in chunks(dict.fromkeys(domains), _CHUNK):
            with store.read() as connection:
                scans = scan_queries.currents(connection, chunk, findings=True)
                olds = scan_queries.details_of(connection, [domain for domain in chunk if domain in scans])
            now = utc_now()
            stale = [domain for domain, kinds in olds.items() if _stale(kinds, now)]
            result.add("extended_fresh", len(olds) - len(stale))
            by_dns = _by_dns(engine, stale)
            told = [scans[name]["findings"] for name in stale]
            by_http = dict(zip(stale, pool.map(partial(_by_http, settings), told), strict=True))
            found = {domain: by_dns[domain] | by_http[domain] for domain in stale}
            _store(store, found, olds, scans)
            result.add("extended", len(stale))
            done += len(chunk)
            if progress is not None:
                progress(done, None)


def run_due(store: Store, settings: Settings, result: StageResult, progress: Progress | None = None) -> None:
    """The day's share of leads whose extended findings are missing or ran out, best leads first.

    Counts: ``picked`` = ``extended`` + ``extended_fresh``.
    """
    with store.read() as connection:
        due = scan_queries.details_due(connection, utc_now(), settings.scan_details_daily)
    result.add("picked", len(due))
    run(store, settings, due, result, progress)


def keep(store: Store, found: Mapping[str, dict[str, Detail]]) -> None:
    """Store extended findings got outside the lane, of those domains that are scanned companies."""
    with store.read() as connection:
        scans = scan_queries.currents(connection, found, findings=True)
        olds = scan_queries.details_of(connection, scans)
    if scans:
        _store(store, {domain: found[domain] for domain in scans}, olds, scans)


def _stale(kinds: Mapping[str, Any], now: datetime) -> bool:
    return any(kind not in kinds or kinds[kind]["expires_at"] <= now for kind in _FRESH)


def _store(
    store: Store, found: Mapping[str, dict[str, Detail]], olds: Mapping[str, Any], scans: Mapping[str, Any]
) -> None:
    now = utc_now()
    rows, changes = [], []
    for domain, kinds in found.items():
        for kind, detail in kinds.items():
            old = olds[domain].get(kind)
            if detail["state"] == "unknown" and old is not None and old["state"] == "found":
                # A server that is down doesn't unmake what it said before; it is asked again tomorrow.
                detail = {"state": "found", "facts": old["facts"]}
                span = _UNKNOWN
            else:
                span = _UNKNOWN if detail["state"] == "unknown" else _FRESH[kind]
            row = {"domain": domain, "kind": kind, **detail, "fetched_at": now, "expires_at": now + span}
            rows.append(row)
            if kind == "registration":
                changes += _registration_changes(domain, old, detail, now)
    with store.write() as connection:
        scan_queries.write_details(connection, rows)
        scan_queries.add_changes(connection, changes)
        for domain, kinds in found.items():
            tenant = kinds["tenant"]
            if tenant["state"] not in ("found", "absent"):
                continue
            tenant_id = tenant["facts"].get("tenant_id")
            agrees = tenant_id is not None and tenant_agrees(scans[domain]["findings"])
            if scan_queries.set_tenant(connection, domain, tenant_id, agrees):
                scan_queries.mark_for_scoring(connection, [domain], now)
            findings = settled(scans[domain]["findings"], tenant_id)
            if findings is not None:
                _move(connection, scans[domain], findings, now)


def _move(connection: Connection, scan: Mapping[str, Any], findings: Mapping[str, Any], now: datetime) -> None:
    domain = scan["domain"]
    change = {"domain": domain, "at": now, "kind": "provider", "old": scan["provider"], "new": findings["provider"]}
    scan_queries.set_provider(connection, scan["id"], findings)
    scan_queries.add_changes(connection, [change])
    scan_queries.mark_for_scoring(connection, [domain], now)
    leads.refresh(connection, [domain])


def _registration_changes(domain: str, old: Any, new: Detail, now: datetime) -> list[dict[str, Any]]:
    if new["state"] != "found":
        return []
    before: Mapping[str, Any] = old["facts"] if old is not None and old["state"] == "found" else {}
    pairs = [
        (before[name], new["facts"].get(name))
        for name in ("registrar", "expires")
        if before.get(name) and before[name] != new["facts"].get(name)
    ]
    expires = new["facts"].get("expires")
    if expires and before.get("expires") != expires and _within(expires, now):
        pairs.append((None, f"expires {expires[:10]}"))
    return [{"domain": domain, "at": now, "kind": "registration", "old": was, "new": is_} for was, is_ in pairs]


def _within(expires: str, now: datetime) -> bool:
    try:
        stamp = datetime.fromisoformat(expires)
    except ValueError:
        return False
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)) - now < _EXPIRING


# -- by DNS -----------------------------------------------------------------------------------------------------


def _by_dns(engine: Engine, domains: list[str]) -> dict[str, dict[str, Detail]]:
    return {end.key: end.result for end in engine.run((domain, _transport(domain)) for domain in domains)}


def _transport(domain: str) -> Task[dict[str, Detail]]:
    answers = yield [
        Question(f"_mta-sts.{domain}", TXT),
        Question(f"_smtp._tls.{domain}", TXT),
        Question(f"default._bimi.{domain}", TXT),
        Question(domain, DS),
        Question(domain, DNSKEY),
        Question(domain, SOA),
    ]
    policies = {name: _policy(answer, name) for name, answer in zip(_POLICIES, answers, strict=False)}
    states = {name: state for name, (state, _) in policies.items()}
    facts: dict[str, Any] = dict(states)
    facts.update({f"{name}_record": record for name, (_, record) in policies.items() if record})
    delegation, keys, soa = answers[3], answers[4], answers[5]
    signed = "found" if delegation.state == "found" else delegation.state
    soa_facts = {"primary": soa.records[0][0], "serial": soa.records[0][2]} if soa.state == "found" else {}
    return {
        "mail_transport": {"state": _together(states.values()), "facts": facts},
        "dnssec": {"state": signed, "facts": {"ds": delegation.state, "dnskey": keys.state, **soa_facts}},
    }


def _policy(answer: Answer, name: str) -> tuple[str, str | None]:
    """State and record. Several records, or one without what it must say, count as none; the first is shown yet."""
    if answer.state == "unknown":
        return "unknown", None
    version, whole = _POLICIES[name]
    records = [raw[:_MOST_BYTES] for raw in answer.records if version.match(raw)]
    if not records:
        return "absent", None
    text = records[0][:500].decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return ("found" if len(records) == 1 and whole.search(records[0]) else "absent"), shown


def _together(states: Iterable[str]) -> str:
    seen = set(states)
    return "found" if "found" in seen else "unknown" if "unknown" in seen else "absent"


# -- by HTTP and file -------------------------------------------------------------------------------------------


def _by_http(settings: Settings, findings: Mapping[str, Any]) -> dict[str, Detail]:
    domain = findings["domain"]
    if findings["mx_state"] == "nxdomain":
        tenant: Detail = {"state": "absent", "facts": {}}
    else:
        tenant = lookup_services.tenant(settings.authority_url, domain)
    address = next(iter(findings["a"]), None)
    return {
        "tenant": tenant,
        "registration": lookup_services.registration(settings.rdap_url, domain),
        "network": lookup_services.network(settings.mmdb_path, address),
    }
