"""The stage on both databases: what is due is scanned once, kept with its history, and handed on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from hunter_orchestration.scanning import picking, stage
from hunter_orchestration.scanning.findings import inputs_of
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store, lead_details, leads, retention
from hunter_orchestration.store.tables.companies import companies
from hunter_orchestration.store.tables.leads import leads as leads_table
from hunter_orchestration.store.tables.scans import scan_changes
from hunter_orchestration.store.tables.scans import scans as scans_table
from hunter_orchestration.store.work import Window, utc_now
from hunter_orchestration_tests.scanning.dns_server import LoopbackDns, rcode, serving, silence

GOOGLE = ["MX 1 aspmx.l.google.com.", 'TXT "v=spf1 ip4:192.0.2.1 -all"']
MICROSOFT = ["MX 0 a-example.mail.protection.outlook.com.", 'TXT "v=spf1 ip4:192.0.2.1 -all"']


def given_companies(store: Store, *domains: str) -> None:
    now = utc_now()
    due = now - timedelta(minutes=5)
    stamps = {"first_seen_at": now, "changed_at": now, "activity_at": now, "scan_due_at": due}
    rows = [{"domain": d, "name": d, "name_source": "domain", "sources": {}, **stamps} for d in domains]
    with store.write() as connection:
        connection.execute(companies.insert(), rows)
        leads.refresh(connection, domains)


def settings_for(server: LoopbackDns, **more: Any) -> Settings:
    return load_settings(dns_servers=[server.address], scan_first_timeout_seconds=0.1, **more)


def company(store: Store, domain: str) -> dict[str, Any]:
    with store.read() as connection:
        return dict(connection.execute(select(companies).where(companies.c.domain == domain)).mappings().one())


def current_flags(store: Store, domain: str) -> list[bool]:
    """Of the scans kept, newest first."""
    query = select(scans_table.c.is_current).where(scans_table.c.domain == domain).order_by(scans_table.c.id.desc())
    with store.read() as connection:
        return list(connection.execute(query).scalars())


def make_due(store: Store) -> None:
    past = utc_now() - timedelta(minutes=1)
    with store.write() as connection:
        connection.execute(update(companies).values(scan_due_at=past, score_due_at=None))
        connection.execute(update(scans_table).values(expires_at=past))


def test_what_is_due_is_scanned_stored_scheduled_and_passed_on(store: Store) -> None:
    given_companies(store, "a.example", "b.example")
    with serving(records={"a.example": GOOGLE, "b.example": MICROSOFT}) as server:
        result = stage.run(store, settings_for(server))
    assert result.counts == {"picked": 2, "scanned": 2, "new": 2}
    with store.read() as connection:
        row = lead_details.scan(connection, "a.example")
        shown = connection.execute(select(leads_table.c.domain, leads_table.c.provider)).all()
    assert row is not None
    assert (row["provider"], row["mx_state"], row["spf_state"], row["complete"]) == ("Google", "found", "valid", True)
    assert row["findings"]["domain"] == "a.example"
    after = company(store, "a.example")
    assert after["scan_due_at"] == row["expires_at"] > utc_now() + timedelta(days=6)
    assert after["score_due_at"] is not None
    assert sorted(map(tuple, shown)) == [("a.example", "Google"), ("b.example", "M365")]


def test_a_second_run_finds_nothing_to_do(store: Store) -> None:
    given_companies(store, "a.example")
    with serving(records={"a.example": GOOGLE}) as server:
        stage.run(store, settings_for(server))
        asked = len(server.asked)
        result = stage.run(store, settings_for(server))
        assert len(server.asked) == asked
    assert result.counts == {}


def test_a_fresh_scan_is_not_repeated_unless_forced_or_in_a_window(store: Store) -> None:
    given_companies(store, "a.example")
    with serving(records={"a.example": GOOGLE}) as server:
        settings = settings_for(server)
        stage.run(store, settings)
        assert stage.run(store, settings, domains=["a.example", "x.example"]).counts == {
            "picked": 2,
            "not_companies": 1,
            "fresh": 1,
        }
        assert stage.run(store, settings, domains=["a.example"], force=True).counts["scanned"] == 1
        now = utc_now()
        window = Window(now - timedelta(days=1), now + timedelta(days=1))
        assert stage.run(store, settings, window=window).counts["scanned"] == 1
    assert current_flags(store, "a.example") == [True, False, False]


def test_superseded_scans_are_pruned_and_the_current_one_stays(store: Store) -> None:
    given_companies(store, "a.example")
    with serving(records={"a.example": GOOGLE}) as server:
        for _ in range(3):
            stage.run(store, settings_for(server), domains=["a.example"], force=True)
    assert retention.prune(store, settings_for(server), utc_now() + timedelta(days=3650))["scans"] == 2
    assert current_flags(store, "a.example") == [True]


def test_a_change_is_kept_and_scoring_is_told_only_then(store: Store) -> None:
    given_companies(store, "a.example")
    records = {"a.example": list(GOOGLE)}
    with serving(records=records) as server:
        settings = settings_for(server)
        stage.run(store, settings)
        make_due(store)
        assert stage.run(store, settings).counts == {"picked": 1, "scanned": 1, "unchanged": 1}
        assert company(store, "a.example")["score_due_at"] is None
        records["a.example"] = list(MICROSOFT)
        records["_dmarc.a.example"] = ['TXT "v=DMARC1; p=reject"']
        make_due(store)
        assert stage.run(store, settings).counts["changed"] == 1
    assert company(store, "a.example")["score_due_at"] is not None
    with store.read() as connection:
        changes = {row["kind"]: (row["old"], row["new"]) for row in lead_details.changes(connection, "a.example")}
    assert changes["provider"] == ("Google", "M365")
    assert changes["dmarc"] == ("absent", "reject")
    assert changes["mx"] == ("aspmx.l.google.com", "a-example.mail.protection.outlook.com")


@pytest.mark.slow
def test_a_dead_resolver_fails_the_run_and_changes_nothing(store: Store) -> None:
    given_companies(store, "a.example", "b.example")
    with serving(records={"a.example": GOOGLE, "b.example": MICROSOFT}) as server:
        stage.run(store, settings_for(server))
    make_due(store)
    before = company(store, "a.example")
    with serving(everything=silence) as dead, pytest.raises(stage.DeadResolverError, match=r"2 of 2"):
        stage.run(store, settings_for(dead))
    assert company(store, "a.example") == before
    assert len(current_flags(store, "a.example")) == 1
    with store.read() as connection:
        assert connection.execute(select(scan_changes)).all() == []


def test_most_domains_failing_is_the_resolvers_fault(store: Store) -> None:
    domains = [f"d{i}.example" for i in range(30)]
    given_companies(store, *domains)
    with serving(everything=rcode(2)) as server, pytest.raises(stage.DeadResolverError):
        stage.run(store, settings_for(server))
    assert company(store, "d0.example")["score_due_at"] is None


def test_a_scan_that_failed_does_not_push_out_a_complete_one(store: Store) -> None:
    given_companies(store, "a.example", "b.example")
    with serving(records={"a.example": GOOGLE, "b.example": MICROSOFT}) as server:
        settings = settings_for(server)
        stage.run(store, settings)
        make_due(store)
        server.special["a.example"] = rcode(2)
        result = stage.run(store, settings)
    assert result.counts == {"picked": 2, "scanned": 1, "unchanged": 1, "kept": 1, "unknown": 1}
    with store.read() as connection:
        row = lead_details.scan(connection, "a.example")
        assert row is not None
        assert row["provider"] == "Google"
    assert len(current_flags(store, "a.example")) == 2
    assert company(store, "a.example")["scan_due_at"] < utc_now() + timedelta(hours=7)
    assert company(store, "a.example")["score_due_at"] is None


def test_a_domain_that_never_answered_is_kept_as_unknown_for_a_short_time(store: Store) -> None:
    given_companies(store, "a.example", "b.example")
    with serving(records={"b.example": MICROSOFT}, special={"a.example": rcode(2)}) as server:
        stage.run(store, settings_for(server))
    with store.read() as connection:
        row = lead_details.scan(connection, "a.example")
    assert row is not None
    assert inputs_of(dict(row)) == {
        "provider": "Unknown",
        "mx": None,
        "spf": None,
        "dkim": None,
        "dmarc": None,
        "spf_includes": 0,
    }
    assert row["expires_at"] < utc_now() + timedelta(hours=7)


def test_a_stamp_set_during_the_scan_is_not_lost(store: Store) -> None:
    given_companies(store, "a.example")
    later = utc_now() - timedelta(seconds=1)

    def meanwhile(_query: object, _wire: bytes) -> None:
        with store.write() as connection:
            connection.execute(update(companies).values(scan_due_at=later))

    with serving(records={"a.example": GOOGLE}, special={"_dmarc.a.example": meanwhile}) as server:
        stage.run(store, settings_for(server))
    assert company(store, "a.example")["scan_due_at"] == later


def test_workers_share_what_is_due(store: Store) -> None:
    names = [f"d{i}.example" for i in range(6)]
    given_companies(store, *names)
    due = picking.due_domains(store)
    assert sorted(due) == names
    with serving(records=dict.fromkeys(names, GOOGLE)) as server:
        for share in (due[:3], due[3:]):
            assert stage.scan_chunk(store, settings_for(server), share).counts["scanned"] == 3
    assert picking.due_domains(store) == []


def test_batches_are_written_as_they_come_and_told_in_order(store: Store) -> None:
    names = [f"d{number}.example" for number in range(2 * stage.COMMIT_EVERY + 7)]
    given_companies(store, *names)
    told: list[tuple[int, int | None]] = []
    with serving() as server:
        result = stage.run(store, settings_for(server), progress=lambda done, total: told.append((done, total)))
    assert result.counts["picked"] == result.counts["scanned"] == len(names)
    every = stage.COMMIT_EVERY
    assert told == [(every, None), (2 * every, None), (2 * every + 7, 2 * every + 7)]
    assert picking.due_domains(store) == []


def test_a_batch_that_can_not_be_written_fails_the_run_and_stays_due(store: Store) -> None:
    names = [f"d{number}.example" for number in range(stage.COMMIT_EVERY + 1)]
    given_companies(store, *names)
    with store.write() as connection:
        connection.execute(text("ALTER TABLE leads RENAME TO elsewhere"))
    with serving() as server, pytest.raises(DBAPIError):
        stage.run(store, settings_for(server))
    assert sorted(picking.due_domains(store)) == sorted(names)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"dmarc_state": "bad_policy", "dmarc_policy": "none"}, {"dmarc": "none"}),
        ({"dmarc_state": "malformed"}, {"dmarc": "absent"}),
        ({"dmarc_state": "none"}, {"dmarc": "absent"}),
        ({"dmarc_state": "valid", "dmarc_policy": "reject"}, {"dmarc": "reject"}),
        ({"mx_state": "null"}, {"mx": False}),
        ({"mx_state": "nxdomain"}, {"mx": False}),
        ({"spf_state": "multiple", "spf_includes": 2}, {"spf": True, "spf_includes": 2}),
        ({"spf_state": "unknown", "spf_includes": None}, {"spf": None}),
        ({"dkim_found": None}, {"dkim": None}),
    ],
)
def test_scoring_reads_three_states(row: dict[str, Any], expected: dict[str, Any]) -> None:
    whole = {
        "provider": "Google",
        "mx_state": "found",
        "spf_state": "valid",
        "spf_includes": 1,
        "dkim_found": True,
        "dmarc_state": "unknown",
        "dmarc_policy": None,
    }
    assert inputs_of(whole | row).items() >= expected.items()
