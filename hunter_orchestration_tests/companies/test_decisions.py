"""What people decide outlives every sync, can be taken back, and is recorded."""

from __future__ import annotations

import pytest

from hunter_orchestration.companies import decisions, stage
from hunter_orchestration.companies.admission import add_lead
from hunter_orchestration.companies.matching import Matcher, suggestions
from hunter_orchestration.store import Store, companies
from hunter_orchestration_tests.companies.samples import keep, referral
from hunter_orchestration_tests.companies.test_stage import company, stored

ONE = referral(1)["id"]


def test_a_persons_link_outlives_every_sync(store: Store) -> None:
    keep(store, [referral(1, "a@other.com.tr"), referral(2, "b@firma.com.tr")])
    stage.run(store)
    decisions.link(store, ONE, "firma.com.tr", "ada")
    keep(store, [referral(1, "new@other.com.tr", status="Active")])
    stage.run(store)
    found = stored(store, 1)
    assert (found["domain"], found["company_domain"], found["linked_by"]) == ("other.com.tr", "firma.com.tr", "ada")
    assert company(store, "firma.com.tr")["referral_count"] == 2
    with store.read() as connection:
        assert [entry["action"] for entry in companies.audit(connection, "firma.com.tr")] == ["link"]


def test_unlinking_says_that_it_belongs_to_nobody(store: Store) -> None:
    keep(store, [referral(1, "a@firma.com.tr")])
    stage.run(store)
    decisions.unlink(store, ONE, "ada")
    keep(store, [referral(1, "a@firma.com.tr")])
    stage.run(store)
    assert (stored(store, 1)["company_domain"], stored(store, 1)["linked_by"]) == (None, "ada")


def test_a_lead_made_by_hand_brings_its_company_into_being(store: Store) -> None:
    keep(store, [referral(1, "a@gmail.com", company_name="Kaya Tekstil")])
    stage.run(store)
    assert decisions.create_lead(store, ONE, "https://www.kayatekstil.com.tr/", "ada") == "kayatekstil.com.tr"
    assert company(store, "kayatekstil.com.tr")["name"] == "Kaya Tekstil"


@pytest.mark.parametrize("text", ["", "127.0.0.1", "localhost", "com.tr", "javascript:alert(1)"])
def test_a_lead_can_not_be_made_of_what_names_no_company(sqlite_store: Store, text: str) -> None:
    keep(sqlite_store, [referral(1)])
    with pytest.raises(decisions.DecisionError):
        decisions.create_lead(sqlite_store, ONE, text, "ada")


def test_a_link_needs_a_known_referral_and_a_known_company(sqlite_store: Store) -> None:
    keep(sqlite_store, [referral(1)])
    with pytest.raises(decisions.DecisionError, match="no company"):
        decisions.link(sqlite_store, ONE, "nobody.com.tr", "ada")
    add_lead(sqlite_store, {"domain": "firma.com.tr"}, "api")
    with pytest.raises(decisions.DecisionError, match="no referral"):
        decisions.link(sqlite_store, "nothing", "firma.com.tr", "ada")


def test_an_edit_comes_before_all_sources_until_it_is_given_back(store: Store) -> None:
    keep(store, [referral(1, "a@firma.com.tr", country="DE")])
    stage.run(store)
    decisions.edit(store, "firma.com.tr", {"name": "Firma Grubu", "country": "Türkiye"}, "ada")
    keep(store, [referral(1, "a@firma.com.tr", country="DE", company_name="Other")])
    stage.run(store)
    found = company(store, "firma.com.tr")
    assert (found["name"], found["name_source"], found["country"]) == ("Firma Grubu", "person", "TR")
    decisions.edit(store, "firma.com.tr", {"name": None}, "ada")
    assert (company(store, "firma.com.tr")["name"], company(store, "firma.com.tr")["country"]) == ("Other", "TR")
    with store.read() as connection:
        newest = companies.audit(connection, "firma.com.tr")[0]
    assert (newest["actor"], newest["fields"]["name"]) == ("ada", ["Firma Grubu", "Other"])


@pytest.mark.parametrize("changes", [{"domain": "x.com"}, {"country": "Narnia"}, {"name": "?"}, {"website": "no site"}])
def test_an_edit_that_can_not_be_is_refused(sqlite_store: Store, changes: dict[str, str]) -> None:
    add_lead(sqlite_store, {"domain": "firma.com.tr", "company": "Firma"}, "api")
    before = company(sqlite_store, "firma.com.tr")
    with pytest.raises(decisions.DecisionError):
        decisions.edit(sqlite_store, "firma.com.tr", changes, "ada")
    assert company(sqlite_store, "firma.com.tr") == before


def test_a_merge_counts_both_for_the_winner_and_is_taken_back_whole(store: Store) -> None:
    keep(store, [referral(1, "a@eski.com.tr"), referral(2, "b@yeni.com.tr")])
    add_lead(store, {"domain": "eski.com.tr", "email": "c@eski.com.tr"}, "api")
    stage.run(store)
    before = {domain: company(store, domain) for domain in ("eski.com.tr", "yeni.com.tr")}
    merge_id = decisions.merge(store, "eski.com.tr", "yeni.com.tr", "ada")
    winner = company(store, "yeni.com.tr")
    assert (winner["referral_count"], winner["name"]) == (2, before["yeni.com.tr"]["name"])
    assert company(store, "eski.com.tr")["merged_into"] == "yeni.com.tr"
    with store.read() as connection:
        assert len(companies.contacts_of(connection, ["yeni.com.tr"])["yeni.com.tr"]) == 3
        assert [row["domain"] for row in companies.listed(connection)] == ["yeni.com.tr"]

    keep(store, [referral(3, "d@eski.com.tr")])
    stage.run(store)
    assert stored(store, 3)["company_domain"] == "yeni.com.tr"
    keep(store, [referral(3, "d@yeni.com.tr")])
    stage.run(store)

    decisions.undo_merge(store, merge_id, "ada")
    loser = company(store, "eski.com.tr")
    assert (loser["merged_into"], loser["referral_count"], loser["name"]) == (None, 1, before["eski.com.tr"]["name"])
    assert (loser["sources"], loser["scan_due_at"] is not None) == (before["eski.com.tr"]["sources"], True)
    assert company(store, "yeni.com.tr")["referral_count"] == 2
    with pytest.raises(decisions.DecisionError):
        decisions.undo_merge(store, merge_id, "ada")


def test_merges_in_a_row_end_at_the_last_winner_and_come_apart_again(sqlite_store: Store) -> None:
    keep(sqlite_store, [referral(number, f"a@firma{number}.com.tr") for number in (1, 2, 3)])
    stage.run(sqlite_store)
    first = decisions.merge(sqlite_store, "firma1.com.tr", "firma2.com.tr", "ada")
    decisions.merge(sqlite_store, "firma2.com.tr", "firma3.com.tr", "ada")
    assert company(sqlite_store, "firma3.com.tr")["referral_count"] == 3
    decisions.undo_merge(sqlite_store, first, "ada")
    assert company(sqlite_store, "firma1.com.tr")["referral_count"] == 1
    assert company(sqlite_store, "firma3.com.tr")["referral_count"] == 2


def test_a_company_can_not_be_merged_into_itself_even_by_a_detour(sqlite_store: Store) -> None:
    for domain in ("a1.com.tr", "b1.com.tr"):
        add_lead(sqlite_store, {"domain": domain}, "api")
    decisions.merge(sqlite_store, "a1.com.tr", "b1.com.tr", "ada")
    for loser, winner in (("b1.com.tr", "b1.com.tr"), ("b1.com.tr", "a1.com.tr")):
        with pytest.raises(decisions.DecisionError):
            decisions.merge(sqlite_store, loser, winner, "ada")


def test_names_are_compared_without_legal_forms_and_in_turkish_folding(sqlite_store: Store) -> None:
    for domain, name, country in (
        ("egeinsaat.com.tr", "Ege İnşaat ve Proje A.Ş.", "TR"),
        ("isikmetal.com.tr", "IŞIK METAL SANAYİ VE TİCARET LTD. ŞTİ.", "TR"),
        ("isikmetall.de", "Isik Metal GmbH", "DE"),
        ("kayatekstil.com", "kayatekstil.com", None),
    ):
        add_lead(sqlite_store, {"domain": domain, "company": name, "country": country}, "api")
    keep(sqlite_store, [referral(1, company_name="ışık metal", country="TR")])
    found = suggestions(sqlite_store, ONE)
    assert [suggestion.domain for suggestion in found] == ["isikmetal.com.tr", "isikmetall.de"]
    assert found[0].similarity == 100
    matcher = Matcher(sqlite_store)
    assert [s.domain for s in matcher.similar("EGE INSAAT PROJE ANONİM ŞİRKETİ", "TR")] == ["egeinsaat.com.tr"]
    assert [s.domain for s in matcher.similar("Kaya Tekstil Ltd.", None)] == ["kayatekstil.com"]
    assert matcher.similar("Bambaşka Gıda", "TR") == []
    assert matcher.similar("", "TR") == []


def test_a_new_company_is_suggested_at_once(sqlite_store: Store) -> None:
    assert Matcher(sqlite_store).similar("Kaya Tekstil", "TR") == []
    add_lead(sqlite_store, {"domain": "kaya.com.tr", "company": "Kaya Tekstil"}, "api")
    assert [found.domain for found in Matcher(sqlite_store).similar("Kaya Tekstil", "TR")] == ["kaya.com.tr"]


def test_referrals_of_one_engagement_are_suggested_each_others_company(sqlite_store: Store) -> None:
    pair = {"engagement_id": "10000000-0000-4000-8000-000000000001"}
    keep(sqlite_store, [referral(1, company_name="?", **pair), referral(2, "a@firma.com.tr", **pair)])
    stage.run(sqlite_store)
    assert [(found.domain, found.similarity) for found in suggestions(sqlite_store, ONE)] == [("firma.com.tr", 100)]
