"""How fast and how truthful the scanner is, on zones whose truth is known.

    python benchmarks/scan.py DOMAINS TRUTH RESOLVER [--peer-domains 150] [--rounds 3] [--stage [--processes N]]
        [--dead PATTERN] [--peers-python PYTHON] [--massdns COMMAND]

DOMAINS has a domain a line; TRUTH a JSON object a line (domain, provider, gateway, mailbox, spf, spf_all, dmarc,
dmarc_p, dmarc_pct, dkim, tenant); RESOLVER is IP:PORT. Rounds of the scanner and of dnspython's sequential resolver
alternate, so that a busy machine slows both; dnspython asks the very questions the scanner asked, and every answer is
compared. TRUTH may be - to measure speed alone. PYTHON is an interpreter that has checkdmarc and pycares (see
scan_peers.py), which then take part in every round. COMMAND is massdns with the options it shall have; it asks every
question of all the domains, one type after another.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import shlex
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import dns.exception
import dns.resolver

from hunter_orchestration.scanning.domain import plan
from hunter_orchestration.scanning.engine import Engine
from hunter_orchestration.scanning.findings import told
from hunter_orchestration.scanning.providers import provider_table
from hunter_orchestration.scanning.resolvers import Address, parse_address
from hunter_orchestration.scanning.tasks import Question, Task
from hunter_orchestration.scanning.wire import TYPE_NAMES, Answer, shown

MX_STATES = {"NoMX": "absent", "NullMX": "null", "NXDOMAIN": "nxdomain", "SERVFAIL": "unknown"}
PEERS = ("checkdmarc", "pycares")
REPEATED = 10
DMARC_STATES = {"bad_policy_rua": "bad_policy"}


def scan_round(
    engine: Engine, domains: list[str], keep: set[str]
) -> tuple[float, float, list[dict[str, Any]], list[Any]]:
    """(wall, CPU seconds, findings without evidence, what was gathered of the domains in ``keep``)."""
    table = provider_table()
    findings, gathered = [], []
    wall, cpu = time.perf_counter(), time.process_time()
    for end in engine.run((domain, plan(domain, table)) for domain in domains):
        item = told(end.result, end.lookups, end.seconds)
        item.pop("evidence")
        findings.append(item)
        if end.key in keep:
            gathered.append(end.result)
    return time.perf_counter() - wall, time.process_time() - cpu, findings, gathered


def engine_round(engine: Engine, gathered: list[Any]) -> tuple[float, float, int]:
    """The engine alone asks what was asked, without reading anything out of it, several times over so that it lasts:
    (wall, CPU seconds, answers that differ)."""

    def task(questions: list[Question]) -> Task[list[Answer]]:
        first = yield questions[:1]
        return first + ((yield questions[1:]) if questions[1:] else [])

    asked = [[(question, answer) for question, answer in item.asked if not question.shared] for item in gathered]
    works = [(pairs, task([question for question, _ in pairs])) for _ in range(REPEATED) for pairs in asked]
    wall, cpu = time.perf_counter(), time.process_time()
    ended = list(engine.run(works))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    differing = sum(
        (answer.state, sorted(answer.records)) != (before.state, sorted(before.records))
        for end in ended
        for (_, before), answer in zip(end.key, end.result, strict=True)
    )
    return wall / REPEATED, cpu / REPEATED, differing


def peer_round(resolver: dns.resolver.Resolver, gathered: list[Any]) -> tuple[float, float, int, list[str]]:
    """dnspython asks what we asked: (wall, CPU seconds, lookups, differences)."""
    differences = []
    lookups = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for item in gathered:
        for question, answer in item.asked:
            if question.shared:
                continue  # the scanner had most of these from its cache
            lookups += 1
            theirs = ask(resolver, question.name, TYPE_NAMES[question.qtype])
            ours = (answer.state, sorted(shown(record, question.qtype) for record in answer.records))
            if ours != theirs:
                differences.append(f"{question.name} {TYPE_NAMES[question.qtype]}: {ours} / {theirs}")
    return time.perf_counter() - wall, time.process_time() - cpu, lookups, differences


def ask(resolver: dns.resolver.Resolver, name: str, kind: str) -> tuple[str, list[str]]:
    """State and records as dnspython sees them, in our words."""
    try:
        answer = resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return "absent", []
    except dns.exception.DNSException:
        return "unknown", []
    if answer.rrset is None:
        return "absent", []
    return "found", sorted(peer_text(record, kind) for record in answer.rrset)


def peer_text(record: Any, kind: str) -> str:
    if kind == "TXT":
        text = b"".join(record.strings).decode("utf-8", "replace")
        return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)
    if kind == "MX":
        return f"{record.preference} {record.exchange.to_text(omit_final_dot=True).lower()}"
    if kind in ("NS", "CNAME", "PTR"):
        return str(record.target.to_text(omit_final_dot=True)).lower()
    return str(record.to_text())


def other_peer(python: str, name: str, address: Any, gathered: list[Any]) -> dict[str, float]:
    """What scan_peers.py measured of a peer on the same domains and questions."""
    questions = [[question.name, TYPE_NAMES[question.qtype]] for item in gathered for question, _ in item.asked]
    work = json.dumps({"domains": [item.domain for item in gathered], "questions": questions})
    command = [python, str(Path(__file__).with_name("scan_peers.py")), name, address.host, str(address.port)]
    done = subprocess.run(command, input=work, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def asked_of_all(address: Address, domains: list[str]) -> list[list[Question]]:
    """What the scanner asks of each domain, beyond the questions that many domains share."""
    table = provider_table()
    with Engine([address]) as engine:
        ends = engine.run((domain, plan(domain, table)) for domain in domains)
        return [[question for question, _ in end.result.asked if not question.shared] for end in ends]


def bare_round(engine: Engine, asked: list[list[Question]]) -> float:
    """Seconds in which the engine alone asks all of that, each domain's first question first; answers are dropped."""

    def task(questions: list[Question]) -> Task[None]:
        yield questions[:1]
        if questions[1:]:
            yield questions[1:]

    wall = time.perf_counter()
    for _ in engine.run((None, task(questions)) for questions in asked):
        pass
    return time.perf_counter() - wall


def massdns_round(command: str, address: Address, asked: list[list[Question]]) -> tuple[float, float]:
    """massdns asks all of that, one type after another: (wall, CPU seconds)."""
    names: dict[str, dict[str, None]] = {}
    for questions in asked:
        for question in questions:
            names.setdefault(TYPE_NAMES[question.qtype], {})[question.name] = None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "resolvers").write_text(f"{address}\n")
        for kind, of_kind in names.items():
            (Path(folder) / kind).write_text("\n".join(of_kind) + "\n")
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        for kind in names:
            files = ["-r", "resolvers", "-t", kind, "-w", f"{kind}.out", kind]
            subprocess.run([*shlex.split(command), "-q", *files], cwd=folder, check=True, capture_output=True)
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report_peers(told: dict[str, list[dict[str, float]]], rate: float, cpu: float) -> None:
    """Ratios of the scanner to the other peers, by the medians of the rounds."""
    for name, rounds in told.items():
        theirs = statistics.median(item["domains"] / item["wall"] for item in rounds)
        per_thousand = statistics.median(item["cpu"] / item["domains"] * 1000 for item in rounds)
        print(
            f"{name}: domains/s {theirs:.0f}, lookups a domain {rounds[0]['lookups'] / rounds[0]['domains']:.1f}, CPU "
            f"s per 1,000 {per_thousand:.2f}; wall ratio {rate / theirs:.1f}, CPU ratio {per_thousand / cpu:.1f}"
        )
    for name in set(PEERS) - told.keys():
        print(f"{name}: not compared, give --peers-python")


def report_massdns(rounds: list[tuple[float, float]], domains: int, rate: float, alone: float) -> None:
    """Ratios of the scanner, and of its engine alone, to massdns by the medians of the rounds."""
    theirs = domains / statistics.median(wall for wall, _ in rounds)
    cpu = statistics.median(cpu for _, cpu in rounds) / domains * 1000
    told = f"the scan is {rate / theirs:.2f}, the engine alone {alone / theirs:.2f} times as fast"
    print(f"massdns: domains/s {theirs:.0f}, CPU s per 1,000 {cpu:.2f}; {told}")


def misses(item: dict[str, Any], truth: dict[str, Any], dead: bool) -> list[str]:
    """Fields in which a finding is not the truth."""
    if dead:
        truth = {"provider": "SERVFAIL", "spf": "unknown", "dmarc": "unknown", "dkim": [], "domain": truth["domain"]}
    provider = truth["provider"]
    wrong = []
    if item["mx_state"] != MX_STATES.get(provider, "found"):
        wrong.append("mx_state")
    if provider not in MX_STATES and item["provider"] != provider:
        wrong.append("provider")
    gateway = (item["gateway"] or "").lower().replace(" ", "")
    if bool(gateway) != bool(truth.get("gateway")) or (truth.get("gateway") or "") not in gateway:
        wrong.append("gateway")
    if truth.get("hosting") and not item["hoster"]:
        wrong.append("hoster")
    if item["spf"]["state"] != {"nxdomain": "none"}.get(truth["spf"], truth["spf"]):
        wrong.append("spf")
    if truth["spf"] == "valid" and item["spf"]["all"] != truth["spf_all"]:
        wrong.append("spf_all")
    if item["dmarc"]["state"] != DMARC_STATES.get(truth["dmarc"], truth["dmarc"]):
        wrong.append("dmarc")
    if item["dmarc"]["policy"] != truth.get("dmarc_p"):
        wrong.append("dmarc_policy")
    if truth.get("dmarc_pct") is not None and item["dmarc"]["pct"] != truth["dmarc_pct"]:
        wrong.append("dmarc_pct")
    if sorted(name for name, state in item["dkim"].items() if state == "usable") != sorted(truth["dkim"]):
        wrong.append("dkim")
    told_by_dkim = {"selector1", "selector2"} & item["dkim"].keys()
    if told_by_dkim and item["tenant_name"] != truth.get("tenant"):
        wrong.append("tenant")
    if item["complete"] == (provider == "SERVFAIL"):
        wrong.append("failure or absence")
    return wrong


def stage_rate(domains: list[str], address: str, processes: int) -> tuple[float, int]:
    """Domains a second of the whole stage into a new SQLite store, the start of its processes included; and how many
    those were. 0 leaves their number to the stage."""
    from hunter_orchestration.scanning import stage
    from hunter_orchestration.settings import load_settings
    from hunter_orchestration.store import Store, leads
    from hunter_orchestration.store.migrate import upgrade
    from hunter_orchestration.store.tables.companies import companies
    from hunter_orchestration.store.work import utc_now

    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/hunter.db")
        upgrade(store)
        now = utc_now()
        stamps = {"first_seen_at": now, "changed_at": now, "activity_at": now, "scan_due_at": now}
        rows = [{"domain": d, "name": d, "name_source": "domain", "sources": {}, **stamps} for d in domains]
        with store.write() as connection:
            connection.execute(companies.insert(), rows)
            leads.refresh(connection, domains)
        result = stage.run(store, load_settings(dns_servers=[address], scan_processes=processes))
        store.close()
    if result.counts["scanned"] != len(domains):
        raise SystemExit(f"{result.counts['scanned']} of {len(domains)} domains were scanned")
    return float(result.facts["domains_per_second"]), int(result.facts["processes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domains", type=Path)
    parser.add_argument("truth")
    parser.add_argument("resolver")
    parser.add_argument("--peer-domains", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stage", action="store_true", help="also measure the whole stage, storage included")
    parser.add_argument("--processes", type=int, default=0, help="of the stage, beside one alone; 0: as it does itself")
    parser.add_argument("--peers-python", help="a Python interpreter that has checkdmarc and pycares")
    parser.add_argument("--massdns", help="the command of massdns, with its options")
    parser.add_argument("--dead", help="pattern of domains that never answer behind this resolver")
    options = parser.parse_args()

    domains = options.domains.read_text().split()
    address = parse_address(options.resolver)
    peer = dns.resolver.Resolver(configure=False)
    peer.nameservers, peer.port = [address.host], address.port
    peer.lifetime = peer.timeout = 3.0

    sample = set(random.Random(1).sample(domains, min(options.peer_domains, len(domains))))
    ours, theirs, cpus, peer_cpus, rates = [], [], [], [], []
    findings: list[dict[str, Any]] = []
    differences: list[str] = []
    engine_rates, engine_cpus, engine_differing = [], [], 0
    others: dict[str, list[dict[str, float]]] = {}
    asked: list[list[Question]] = []
    massdns: list[tuple[float, float]] = []
    bare: list[float] = []
    whole: list[float] = []
    shared: list[float] = []
    processes = 1
    packets = lost = 0
    rss = 0.0
    for _ in range(options.rounds):
        with Engine([address]) as engine:
            wall, cpu, findings, gathered = scan_round(engine, domains, sample)
            packets = sum(resolver.sent for resolver in engine.resolvers)
            lost = sum(resolver.lost for resolver in engine.resolvers)
        ours.append(len(domains) / wall)
        cpus.append(cpu / len(domains) * 1000)
        rates.append(sum(item["lookups"] for item in findings) / wall)
        # Before the stage, whose SQLite maps its file.
        rss = rss or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if options.stage or options.massdns:
            asked = asked or asked_of_all(address, domains)
            with Engine([address]) as engine:
                bare.append(len(domains) / bare_round(engine, asked))
        if options.stage:
            whole.append(stage_rate(domains, options.resolver, 1)[0])
            together, processes = stage_rate(domains, options.resolver, options.processes)
            shared += [together] if processes > 1 else []
        if options.massdns:
            massdns.append(massdns_round(options.massdns, address, asked))
        if options.peer_domains:
            with Engine([address]) as engine:
                wall, cpu, differing = engine_round(engine, gathered)
            engine_rates.append(len(gathered) / wall)
            engine_cpus.append(cpu / len(gathered) * 1000)
            engine_differing += differing
            wall, cpu, _, found = peer_round(peer, gathered)
            theirs.append(len(gathered) / wall)
            peer_cpus.append(cpu / len(gathered) * 1000)
            differences = found
            for name in PEERS if options.peers_python else ():
                others.setdefault(name, []).append(other_peer(options.peers_python, name, address, gathered))
    rate = statistics.median(ours)
    lookups = sum(item["lookups"] for item in findings) / len(findings)
    print(f"domains {len(domains)}   domains/s {rate:.0f}   answers/s {statistics.median(rates):.0f}")
    print(f"CPU s per 1,000 domains {statistics.median(cpus):.3f}   lookups a domain {lookups:.2f}")
    print(f"datagrams {packets}   unanswered or refused {lost}   peak RSS {rss:.0f} MB, all findings kept")
    if theirs:
        alone, sequential = statistics.median(engine_rates), statistics.median(theirs)
        print(
            f"the engine alone, the same questions: domains/s {alone:.0f}, CPU s per 1,000 "
            f"{statistics.median(engine_cpus):.3f}; against dnspython wall ratio {alone / sequential:.1f}, CPU ratio "
            f"{statistics.median(peer_cpus) / statistics.median(engine_cpus):.1f}; answers that differ "
            f"{engine_differing}"
        )
        print(
            f"dnspython, one after another: domains/s {sequential:.0f}, CPU s per 1,000 "
            f"{statistics.median(peer_cpus):.2f}; the whole scan's wall ratio {rate / sequential:.1f}, CPU ratio "
            f"{statistics.median(peer_cpus) / statistics.median(cpus):.1f}; answers that differ {len(differences)}"
        )
        for line in differences[:5]:
            print("  ", line[:300])
        report_peers(others, rate, statistics.median(cpus))
    if massdns:
        report_massdns(massdns, len(domains), rate, statistics.median(bare))
    if bare:
        print(f"the engine alone, all that is asked of all the domains: domains/s {statistics.median(bare):.0f}")
    for rounds, where in ((whole, " by one process"), (shared, f" by {processes} processes")):
        if rounds:
            stored = statistics.median(rounds)
            told = (
                f"{stored / rate:.2f} of the scan's rate, {stored / statistics.median(bare):.2f} of the engine's alone"
            )
            print(f"the whole stage, stored{where}: domains/s {stored:.0f}, {told}")
    if options.truth != "-":
        report_truth(findings, Path(options.truth), options.dead)


def report_truth(findings: list[dict[str, Any]], path: Path, dead: str | None) -> None:
    truth = {row["domain"]: row for row in map(json.loads, path.read_text().splitlines())}
    wrong: Counter[str] = Counter()
    examples: dict[str, str] = {}
    wrong_domains = 0
    for item in findings:
        domain = item["domain"]
        failed = misses(item, truth[domain], bool(dead and re.search(dead, domain)))
        wrong_domains += bool(failed)
        for name in failed:
            wrong[name] += 1
            examples.setdefault(name, domain)
    total = len(findings)
    print(f"right in every field: {100 * (1 - wrong_domains / total):.3f} % of {total}")
    for name, count in wrong.most_common():
        print(f"   {name}: {100 * (1 - count / total):.3f} % right, e.g. {examples[name]} is not")


if __name__ == "__main__":
    main()
