"""The lead's description: the sales briefing in the CRM, in one language, the same as long as nothing changed."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from hunter_orchestration.scoring.templates import TemplatesError
from hunter_orchestration.store.tables.scans import scan_changes, scans
from hunter_orchestration.store.tables.scores import scores
from hunter_orchestration_tests.dynamics.world import NOW, World, add_companies, change_score, domain_of

MAPPING = files("hunter_orchestration.dynamics").joinpath("mapping.yaml").read_text(encoding="utf-8")


def described(world: World) -> str:
    return str(world.sales.row("lead", domain_of(1))["description"])


def test_the_description_is_the_briefing_most_urgent_first(both: World) -> None:
    add_companies(both.store, [1])
    with both.store.write() as connection:
        connection.execute(
            update(scans).values(dmarc_state="valid", dmarc_policy="reject", findings={"dmarc": {"pct": 40}})
        )
    both.push()
    text = described(both)
    assert text.startswith("P2 Competitive Takeover, score 70\nReferral: co-sell, Active, 38,000 EUR\nOpen with: ")
    assert "\nNext step: Call Ayşe Yılmaz 1 " in text
    assert "(by Wednesday 25 November 2026)" in text
    assert "\nMail security (" in text
    assert "40" in text.split("Mail security")[1]
    assert "\nOffer: Microsoft 365 Business Standard, 14 USD per user and month. " in text
    assert text.index("\nQuestions to ask:\n- ") > text.index("\nOffer: ")
    assert text.endswith("As of: Friday 20 November 2026")
    assert len(text) <= 2000


def test_the_mapping_says_in_which_language(world: World, tmp_path: Path) -> None:
    own = tmp_path / "mapping.yaml"
    own.write_text(MAPPING.replace("language: en", "language: tr"), encoding="utf-8")
    world = World(world.store, world.box, world.settings.model_copy(update={"mapping_file": own}), world.sales)
    add_companies(world.store, [1])
    with world.store.write() as connection:
        connection.execute(update(scores).values(commercial_segment="GREENFIELD"))
    world.push()
    text = described(world)
    assert "\nYönlendirme: co-sell, Active, 38.000 EUR\nAçılış cümlesi: " in text
    assert "\nSorulacak sorular:\n- " in text
    row = world.sales.row("lead", domain_of(1))
    assert row["hnt_signals"] == "+50 E-posta Google'da\n+10 SPF var"
    assert row["subject"] == "Şirket 1 A.Ş.: Yüksek potansiyelli yeni alan"
    world.settles()


def test_a_day_that_passes_changes_no_description(world: World) -> None:
    """Overdue, expiring, recent: all of it is told as of the newest thing known, not of today."""
    add_companies(world.store, [1])
    with world.store.write() as connection:
        connection.execute(
            insert(scan_changes).values(
                domain=domain_of(1), at=NOW - timedelta(days=59), kind="provider", old="Yandex", new="Google"
            )
        )
    world.push()
    before = described(world)
    assert "Yandex" in before
    world.due(domain_of(1))
    world.writes()
    assert world.push().counts["unchanged"] == 4
    assert world.writes() == {}
    with world.store.write() as connection:
        connection.execute(update(scores).values(changed_at=NOW + timedelta(days=3)))
    world.due(domain_of(1))
    assert world.push().counts["updated"] == 1
    assert "Yandex" not in described(world)


def test_a_score_that_moves_within_its_category_keeps_the_day_its_call_was_due(world: World) -> None:
    add_companies(world.store, [1])
    world.push()
    assert "Overdue" not in described(world)
    change_score(world.store, domain_of(1), score=90, changed_at=NOW + timedelta(days=10))
    world.push()
    text = described(world)
    assert text.startswith("P2 Competitive Takeover, score 90\n")
    assert "\nUrgency: Overdue: the first call was due by Wednesday 25 November 2026." in text
    assert text.endswith("As of: Monday 30 November 2026")


def test_what_sales_wrote_into_the_description_stays(world: World) -> None:
    add_companies(world.store, [1])
    world.push()
    world.sales.edit("lead", domain_of(1), description="Called on Monday, wants a quote.")
    change_score(world.store, domain_of(1), score=90)
    world.pull()
    world.push()
    assert described(world) == "Called on Monday, wants a quote."
    world.settles()


def test_changed_texts_of_the_briefing_reach_the_crm_with_the_next_push(world: World, tmp_path: Path) -> None:
    own = tmp_path / "briefing.yaml"
    own.write_text(files("hunter_orchestration.scoring").joinpath("briefing.yaml").read_text(encoding="utf-8"))
    world = World(world.store, world.box, world.settings.model_copy(update={"briefing_file": own}), world.sales)
    add_companies(world.store, [1])
    world.push()
    own.write_text(own.read_text(encoding="utf-8").replace("en: Next step", "en: Do this next"), encoding="utf-8")
    assert world.push().counts["updated"] == 1
    assert "\nDo this next: " in described(world)
    own.write_text("providers: [", encoding="utf-8")
    with pytest.raises(TemplatesError, match=r"briefing.yaml:\d+"):
        world.push()
    assert "\nDo this next: " in described(world)
