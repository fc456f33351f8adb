"""The world itself: what follows from a seed, what the clock does to it, what a journal keeps."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hunter_orchestration.sandbox.clock import Clock, stamp, ticks_of
from hunter_orchestration.sandbox.names import domain_of
from hunter_orchestration.sandbox.referral_kinds import KINDS
from hunter_orchestration.sandbox.referral_payloads import ANSWER_WITHIN, DAY
from hunter_orchestration.sandbox.stamps import parse_stamp
from hunter_orchestration.sandbox.world import World
from hunter_orchestration.sandbox.zone_tables import CATEGORIES
from hunter_orchestration.sandbox.zones import truth_of

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def world(companies: int = 400, seed: int = 3, journal: Path | None = None) -> World:
    clock = Clock(NOW)
    clock.freeze()
    return World(seed, companies, clock, reference=ticks_of(NOW), journal=journal)


def test_the_same_seed_makes_the_same_world_and_another_another() -> None:
    one, two, other = world(), world(), world(seed=4)
    assert [one.encoded(row) for row in range(len(one))] == [two.encoded(row) for row in range(len(two))]
    assert one.encoded(0) != other.encoded(0)
    assert [truth_of(3, i) for i in range(50)] == [truth_of(3, i) for i in range(50)]


def test_every_kind_of_referral_and_every_kind_of_domain_occurs() -> None:
    many = world(3000)
    kinds = Counter(many.kind_of(row) for row in range(len(many)))
    assert set(kinds) == {kind.name for kind in KINDS}
    assert {truth_of(3, i)["category"] for i in range(600)} == set(CATEGORIES)
    assert {truth_of(3, i)["spf"] for i in range(1500)} > {"valid", "none", "multiple", "too_many_lookups", "syntax"}
    assert {truth_of(3, i)["dmarc"] for i in range(1500)} > {"valid", "none", "multiple", "malformed", "bad_policy_rua"}


def test_referrals_lie_in_the_sixty_days_before_the_reference_time() -> None:
    many = world(1000)
    for row in range(len(many)):
        assert many.reference - 61 * DAY < many.table.created[row] <= many.table.updated[row] <= many.reference
    ages = Counter((many.reference - many.table.created[row]) // (10 * DAY) for row in range(len(many)))
    assert min(ages[n] for n in range(6)) > 50


def test_some_new_referrals_expire_within_days() -> None:
    many = world(1000)
    new = [row for row in range(len(many)) if many.state_of(row)[0] == "New"]
    soon = [row for row in new if many.table.created[row] + ANSWER_WITHIN < many.reference + 3 * DAY]
    assert 0 < len(soon) < len(new)


def test_domains_are_unique_and_belong_to_no_one() -> None:
    domains = [domain_of(1, index) for index in range(50_000)]
    assert len(set(domains)) == 50_000
    assert all(domain.endswith((".example", ".test")) and domain.isascii() for domain in domains)
    assert any("xn--" in domain for domain in domains)


def test_a_referral_tells_its_companys_domain_unless_it_is_one_without() -> None:
    some = world(600)
    told = [some.expected_domain(row) for row in range(len(some))]
    assert 0.05 < told.count(None) / len(told) < 0.25
    for row, domain in enumerate(told):
        team = (some.document(row)["customerProfile"].get("team")) or []
        addresses = [m["email"].rsplit("@", 1)[1].lower() for m in team if m["email"]]
        if domain is not None:
            assert addresses[0].encode("idna").decode() == domain
        else:
            assert not any(address.endswith((".example", ".test")) for address in addresses)


def test_ids_lead_back_to_their_rows() -> None:
    some = world(50)
    assert [some.row_of(some.id_of(row)) for row in range(len(some))] == list(range(len(some)))
    assert some.row_of("00000000-0000-4000-8000-000000000000") is None


def test_unanswered_referrals_expire_when_the_clock_says_so() -> None:
    some = world()
    new = [row for row in range(len(some)) if some.state_of(row)[0] == "New"]
    some.clock.advance(15 * 86_400)
    assert some.expire_due() == len(new)
    for row in new:
        document = some.document(row)
        assert (document["status"], document["substatus"]) == ("Closed", "Expired")
        assert parse_stamp(document["updatedDateTime"]) == some.table.updated[row] <= some.clock.ticks()
    assert some.expire_due() == 0
    assert some.table.by_updated == sorted(some.table.by_updated)


def test_a_tick_adds_and_changes_a_little_at_the_present_time() -> None:
    some = world()
    before = len(some)
    some.clock.advance(60)
    rows = some.tick(1)
    assert 1 <= len(some) - before <= 2
    assert all(some.table.updated[row] == some.clock.ticks() for row in rows)


def test_a_journal_brings_the_changes_back(tmp_path: Path) -> None:
    journal = tmp_path / "referrals.jsonl"
    first = world(journal=journal)
    rows = [row for number in range(5) for row in first.tick(number)]
    first.close()
    second = world(journal=journal)
    assert len(second) == len(first)
    assert second.table.by_updated == first.table.by_updated
    assert [second.encoded(row) for row in rows] == [first.encoded(row) for row in rows]
    second.close()


def test_a_journal_cut_short_loses_only_its_last_line(tmp_path: Path) -> None:
    journal = tmp_path / "referrals.jsonl"
    first = world(journal=journal)
    for row in (1, 2):
        first.write(row, first.document(row))
    first.close()
    journal.write_bytes(journal.read_bytes()[:-20])
    second = world(journal=journal)
    assert second.encoded(1) == first.encoded(1)
    assert second.table.updated[2] != first.table.updated[2]
    second.close()


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.1234567Z", 1_234_567),
        ("1970-01-01T00:00:01.5Z", 15_000_000),
        ("1970-01-01T03:00:00+03:00", 0),
        ("1970-01-02", 864_000_000_000),
        ("1970-13-01", None),
        ("soon", None),
        (None, None),
    ],
)
def test_stamps_keep_their_seventh_digit(text: str | None, ticks: int | None) -> None:
    assert parse_stamp(text) == ticks
    if ticks is not None:
        assert parse_stamp(stamp(ticks)) == ticks
