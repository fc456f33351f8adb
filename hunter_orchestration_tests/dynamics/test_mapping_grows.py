"""The mapping takes up a field that people filled long before: what they typed there is theirs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from hunter_orchestration_tests.dynamics.world import World, add_companies, domain_of, email_hash

DOMAIN = domain_of(1)
PERSON = email_hash(f"ayse.1@{DOMAIN}")
TITLE = "      jobtitle: {source: contact.title}\n"


@pytest.fixture
def grown(world: World, tmp_path: Path) -> World:
    """Pushed and pulled without the contact's title in the mapping, which the settings then hold again."""
    whole = files("hunter_orchestration.dynamics").joinpath("mapping.yaml").read_text(encoding="utf-8")
    smaller = tmp_path / "mapping.yaml"
    assert TITLE in whole
    smaller.write_text(whole.replace(TITLE, ""), encoding="utf-8")
    add_companies(world.store, [1])
    settings = world.settings
    world.settings = settings.model_copy(update={"mapping_file": smaller})
    world.push()
    world.pull()
    world.sales.edit("contact", PERSON, jobtitle="Genel Müdür")
    world.settings = settings
    return world


@pytest.mark.parametrize("pulled", [False, True])
def test_what_people_typed_in_a_field_before_hunter_knew_it_stays(grown: World, pulled: bool) -> None:
    if pulled:
        assert grown.pull().facts["full_read"]["contact"] is True
        assert grown.pull().facts["full_read"]["contact"] is False
    assert grown.push().counts["unchanged"] == 4
    assert grown.sales.row("contact", PERSON)["jobtitle"] == "Genel Müdür"
    grown.settles()


def test_a_field_nobody_filled_is_filled(grown: World) -> None:
    grown.sales.edit("contact", PERSON, jobtitle=None)
    grown.sales.typed.clear()
    assert grown.push().counts["updated"] == 1
    assert grown.sales.row("contact", PERSON)["jobtitle"] == "IT Manager"
    grown.settles()


def test_a_field_that_was_never_looked_at_is_no_difference(grown: World) -> None:
    grown.pull()
    assert grown.reconcile().facts["accuracy"] == 1.0
