"""The whole stage against the sandbox's DNS, whose zones hold every trap and whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.scanning import stage
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store, scans
from hunter_orchestration_tests.scanning.test_command import app
from hunter_orchestration_tests.scanning.test_stage import given_companies

pytestmark = pytest.mark.slow

NO_MAILBOX = {"NoMX": "absent", "NullMX": "null", "NXDOMAIN": "nxdomain", "SERVFAIL": "unknown"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(companies=300, seed=20) as box:
        yield box


def settings_of(box: RunningSandbox) -> Settings:
    return load_settings(dns_servers=[box.dns], authority_url=box.authority, rdap_url=box.rdap)


def expected(truth: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of ``scans`` must hold, in our words. Failures leave everything unknown, never absent."""
    provider, spf, dmarc = truth["provider"], truth["spf"], truth["dmarc"]
    return {
        "provider": "Unknown" if provider in NO_MAILBOX else provider,
        "mx_state": NO_MAILBOX.get(provider, "found"),
        "gateway": truth["gateway"],
        "hoster": bool(truth["hosting"]),
        "complete": provider != "SERVFAIL",
        "spf": {"nxdomain": "none"}.get(spf, spf),
        "spf_all": truth["spf_all"] if spf == "valid" else None,
        "dmarc": {"bad_policy_rua": "bad_policy"}.get(dmarc, dmarc),
        "dmarc_policy": truth["dmarc_policy"],
        "dmarc_pct": truth["dmarc_pct"],
        "dkim": sorted(truth["dkim"]),
        "dkim_found": None if provider == "SERVFAIL" else bool(truth["dkim"]),
        "tenant_id": truth["tenant_id"],
    }


def found(row: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, Any]:
    findings = row["findings"]
    gateway = (row["gateway"] or "").lower().replace(" ", "")
    named = truth["gateway"] if truth["gateway"] and truth["gateway"] in gateway else row["gateway"]
    dmarc = findings["dmarc"]
    return {
        "provider": row["provider"],
        "mx_state": row["mx_state"],
        "gateway": named,
        "hoster": bool(row["hoster"]),
        "complete": row["complete"],
        "spf": row["spf_state"],
        "spf_all": row["spf_all"] if row["spf_state"] == "valid" else None,
        "dmarc": row["dmarc_state"],
        "dmarc_policy": row["dmarc_policy"],
        "dmarc_pct": dmarc["pct"] if truth["dmarc_pct"] is not None else None,
        "dkim": sorted(name for name, state in findings["dkim"].items() if state == "usable"),
        "dkim_found": row["dkim_found"],
        "tenant_id": row["tenant_id"],
    }


def test_every_row_holds_the_truth(sqlite_store: Store, sandbox: RunningSandbox) -> None:
    truths = {truth["domain"]: truth for truth in sandbox.truths()}
    given_companies(sqlite_store, *truths)
    result = stage.run(sqlite_store, settings_of(sandbox), extended=True)
    assert result.counts["scanned"] == result.counts["extended"] == len(truths)
    with sqlite_store.read() as connection:
        rows = scans.currents(connection, truths, findings=True)
    assert rows.keys() == truths.keys()
    wrong = {
        domain: (found(rows[domain], truth), expected(truth))
        for domain, truth in truths.items()
        if found(rows[domain], truth) != expected(truth)
    }
    assert not wrong
    told = [domain for domain, row in rows.items() if row["findings"]["tenant_name"]]
    assert len(told) > len(truths) / 20
    assert all(rows[domain]["tenant_name"] == truths[domain]["tenant_name"] for domain in told)
    assert {row["provider"] for row in rows.values()} >= {"M365", "Google", "Yandex", "Zoho", "Amazon", "Hosting"}


def test_the_card_tells_the_extended_set(sandbox: RunningSandbox) -> None:
    truths = sandbox.truths()
    customer = next(row["domain"] for row in truths if row["tenant_id"] and row["category"] == "m365")
    environment = {name: str(value) for name, value in sandbox.settings().items()} | {"COLUMNS": "200"}
    done = CliRunner(env=environment).invoke(app, ["scan", customer, "--extended", "--dns", sandbox.dns])
    assert done.exit_code == 0, done.output
    card = " ".join(done.stdout.split())
    tenant_id = sandbox.truth(customer)["tenant_id"]
    for text in (
        f"tenant id: {tenant_id}",
        "sign in: unknown",
        "registrar: ",
        "Transport none",
        "Network not configured",
    ):
        assert text in card
