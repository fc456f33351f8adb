"""What people decide on the page: links, conflicts, deals, merges, retries, cancelled runs. Keyboard alone suffices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select, update

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.scoring.engine import Inputs
from hunter_orchestration.store import Store, crm
from hunter_orchestration.store.tables.crm import crm_records
from hunter_orchestration.store.tables.ingestion import quarantine, raw_leads
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.tables.scores import scores
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.dynamics.world import World, add_companies, world_in
from hunter_orchestration_tests.ui.conftest import Opened, PageFactory
from hunter_orchestration_tests.ui.looking import press, settled, tab_to, violations, violations_in_both_schemes
from hunter_orchestration_tests.ui.serving import serving
from hunter_orchestration_tests.web.engine import Engine

pytestmark = pytest.mark.slow

EGE = str(UUID(int=3))
HOMELESS = str(UUID(int=7001))


def _domain_of(store: Store, referral_id: str) -> str | None:
    with store.read() as connection:
        query = select(referrals.c.company_domain).where(referrals.c.id == referral_id)
        return connection.execute(query).scalar_one()


def test_a_referral_without_a_domain_is_linked_by_a_suggestion(site: str, page: Page) -> None:
    page.goto(f"{site}/referrals?link=needs_domain")
    expect(page.locator("hunter-referrals tbody tr[data-key]")).to_have_count(2)
    page.get_by_role("link", name="Ege İnşaat Proje").click()
    drawer = page.locator("section.drawer")
    drawer.get_by_role("button", name="Link: Ege İnşaat ve Proje A.Ş.").click()
    expect(page.get_by_text("Linked to egeinsaat.example")).to_be_visible()
    expect(drawer.get_by_role("link", name="egeinsaat.example")).to_be_visible()
    expect(page.locator("hunter-referrals tbody tr[data-key]")).to_have_count(1)


def test_a_referral_is_unlinked_from_its_company_by_keyboard(site: str, page: Page, morning: Store) -> None:
    page.goto(f"{site}/referrals?q=egeinsaat")
    settled(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("region", name="Ege İnşaat ve Proje A.Ş.")
    expect(drawer.get_by_role("heading", level=2)).to_be_focused()
    press(page, drawer.get_by_role("button", name="Unlink"))
    expect(page.get_by_text("The link was taken away")).to_be_visible()
    # What is to be done next stands where the button was.
    expect(drawer.get_by_role("textbox", name="Domain")).to_be_visible()
    assert page.evaluate("document.querySelector('section.drawer').contains(document.activeElement)")
    assert _domain_of(morning, EGE) is None
    assert violations(page) == []


def test_a_lead_is_created_from_the_inbox_by_keyboard(site: str, page: Page, morning: Store) -> None:
    page.goto(f"{site}/referrals/{HOMELESS}")
    drawer = page.get_by_role("region", name="Adı Bilinmeyen Ticaret")
    tab_to(page, drawer.get_by_role("textbox", name="Domain"))
    page.keyboard.type("https://www.bilinmeyen-ticaret.example/iletisim")
    press(page, drawer.get_by_role("button", name="Create a lead"))
    link = drawer.get_by_role("link", name="bilinmeyen-ticaret.example")
    expect(link).to_be_visible()
    assert _domain_of(morning, HOMELESS) == "bilinmeyen-ticaret.example"
    press(page, link)
    expect(page.locator("hunter-lead").get_by_role("heading", level=2)).to_have_text("Adı Bilinmeyen Ticaret")


def test_what_names_no_company_is_told_beside_the_field(site: str, page: Page, opened: Opened) -> None:
    opened.allowed += ["404", "422"]
    page.goto(f"{site}/referrals/{HOMELESS}")
    drawer = page.get_by_role("region", name="Adı Bilinmeyen Ticaret")
    field = drawer.get_by_role("textbox", name="Domain")
    field.fill("com.tr")
    drawer.get_by_role("button", name="Create a lead").click()
    expect(drawer.get_by_role("alert")).to_contain_text("many companies register under this ending")
    expect(field).to_have_value("com.tr")
    field.fill("nobody-has-it.example")
    drawer.get_by_role("button", name="Link", exact=True).click()
    expect(drawer.get_by_role("alert")).to_contain_text("No company has this domain yet.")


def test_a_quarantined_record_is_read_again_by_keyboard(site: str, page: Page, morning: Store) -> None:
    now = utc_now()
    with morning.write() as connection:
        raw = raw_leads.insert().values(
            source="partnercenter", external_id="0b9f", payload_hash="x", payload={}, received_at=now, seen_at=now,
            processed_at=now, outcome="quarantined",
        )  # fmt: skip
        raw_id = connection.execute(raw.returning(raw_leads.c.id)).scalar_one()
        connection.execute(quarantine.update().values(raw_lead_id=raw_id))
    page.goto(f"{site}/runs?tab=quarantine")
    settled(page)
    row = page.locator("hunter-runs tbody tr[data-key]")
    expect(row).to_contain_text("It has no id")
    again = row.get_by_role("button", name="Try again")
    press(page, again)
    expect(page.get_by_text("1 entry is read again")).to_be_visible()
    expect(again).to_be_focused()
    with morning.read() as connection:
        asked = select(raw_leads.c.processed_at, raw_leads.c.outcome).where(raw_leads.c.id == raw_id)
        assert connection.execute(asked).one() == (None, None)
    assert violations(page) == []


def test_a_record_that_no_reader_understands_yet_is_not_said_to_be_read_again(site: str, page: Page) -> None:
    page.goto(f"{site}/runs?tab=quarantine")
    page.locator("hunter-runs tbody tr[data-key]").get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Nothing to read again")).to_be_visible()


def test_a_run_is_cancelled_by_keyboard(site: str, page: Page, engine: Engine) -> None:
    page.goto(f"{site}/leads")
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_text("Sync started")).to_be_visible()
    (run_id,) = engine.runs
    page.goto(f"{site}/runs/{run_id}?tab=runs")
    drawer = page.get_by_role("region", name="Sync with Partner Center")
    expect(drawer).to_contain_text("Running")
    press(page, drawer.get_by_role("button", name="Cancel run"))
    expect(drawer.get_by_text("Cancelled", exact=True)).to_be_visible()
    expect(drawer.get_by_role("button", name="Cancel run")).to_have_count(0)
    assert page.evaluate("document.querySelector('section.drawer').contains(document.activeElement)")
    assert engine.terminated == [run_id]
    assert violations(page) == []


def test_a_conflict_is_decided_where_it_is_shown(site: str, page: Page) -> None:
    page.goto(f"{site}/leads?q=marmara")
    expect(page.get_by_text("Conflict: 2 records")).to_be_visible()
    page.get_by_role("link", name="Marmara İnşaat Grubu").click()
    drawer = page.locator("hunter-lead")
    expect(drawer.get_by_role("radio")).to_have_count(3)
    expect(drawer.get_by_role("link", name="Look at it in Dynamics")).to_have_count(2)
    drawer.get_by_role("radio").first.check()
    drawer.get_by_role("button", name="Use this one").click()
    expect(page.get_by_text("Decided. The next push uses it.")).to_be_visible()
    expect(drawer.get_by_role("radio")).to_have_count(0)


def test_a_record_deleted_in_dynamics_is_made_again_on_request(site: str, morning: Store, page: Page) -> None:
    with morning.write() as connection:
        connection.execute(
            update(crm_records)
            .where(crm_records.c.external_id == "kuzeyinsaat.example")
            .values(state="deleted_in_crm", error="Somebody deleted this record.", fix="recreate_on_demand")
        )
    page.goto(f"{site}/leads/kuzeyinsaat.example")
    page.locator("hunter-lead").get_by_role("button", name="Make it again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("The next push makes a new record.")).to_be_visible()
    dialog.get_by_role("button", name="Make it again").click()
    expect(page.get_by_text("The next push makes a new record: kuzeyinsaat.example")).to_be_visible()
    expect(page.get_by_role("button", name="Make it again")).to_have_count(0)
    with morning.read() as connection:
        record = crm.record(connection, "account", "kuzeyinsaat.example")
    assert record is not None
    assert (record["state"], record["crm_id"]) == ("pending", None)


def test_a_deal_is_closed_and_a_lead_qualified_only_after_a_question(site: str, morning: Store, page: Page) -> None:
    with morning.write() as connection:
        for table in ("lead", "opportunity"):
            row = crm.blank(table, f"{table}-kuzey", "kuzeyinsaat.example")
            crm.save(connection, [row | {"state": "synced", "crm_state": "open", "crm_id": str(uuid4())}])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.goto(f"{site}/leads/kuzeyinsaat.example")
    drawer = page.locator("hunter-lead")
    for name, said in (
        ("Qualify", "Dynamics qualifies the lead"),
        ("Win", "Closes the opportunity in Dynamics as won."),
        ("Lose", "Closes the opportunity in Dynamics as lost."),
        ("Merge accounts", "It can't be undone."),
    ):
        drawer.get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_role("dialog").get_by_text(said)).to_be_visible()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        expect(drawer.get_by_role("button", name=name, exact=True)).to_be_focused()
    assert asked == []


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """Entra ID and Dataverse on loopback, in a process of their own."""
    with running_sandbox(companies=1) as box:
        yield box


@pytest.fixture
def world(sqlite_store: Store, sandbox: RunningSandbox) -> World:
    """Two companies whose accounts are in Dynamics."""
    made = world_in(sqlite_store, sandbox)
    domains = add_companies(made.store, [1, 2])
    inputs = Inputs(provider="Google", mx=True, spf=True, dkim=True, dmarc="none", co_sell=True)
    with made.store.write() as connection:
        connection.execute(update(scores).where(scores.c.domain.in_(domains)).values(inputs=inputs.stored()))
    made.push()
    return made


@pytest.fixture
def joined(world: World, engine: Engine) -> Iterator[str]:
    """The page over that organisation."""
    named = ("authority_url", "tenant_id", "client_id", "client_secret", "dynamics_url")
    settings = {name: getattr(world.settings, name) for name in named}
    with serving(world.store, dagster_url=engine.url, **settings) as url:
        yield url


LOSER, WINNER = "company-00001.example", "company-00002.example"


def test_two_accounts_are_merged_by_keyboard_after_a_question(joined: str, world: World, page: Page) -> None:
    before = {one["accountid"]: one.get("hnt_externalid") for one in world.sales.rows("account")}
    page.goto(f"{joined}/leads/{LOSER}")
    settled(page)
    drawer = page.locator("hunter-lead")
    press(page, drawer.get_by_role("button", name="Merge accounts"))
    dialog = page.get_by_role("dialog", name=f"Merge the account of {LOSER} into another")
    field = dialog.get_by_role("textbox", name="Domain of the company whose account stays")
    expect(field).to_be_focused()
    expect(dialog.get_by_role("radio", name=re.compile(WINNER))).to_be_visible()
    assert violations_in_both_schemes(page) == []
    # Without a company nothing is sent.
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    tab_to(page, dialog.get_by_role("radio", name=re.compile(WINNER)))
    page.keyboard.press("Space")
    expect(dialog.get_by_text(f"{LOSER} gives way to {WINNER}.")).to_be_visible()
    press(page, dialog.get_by_role("button", name="Merge accounts"))
    expect(page.get_by_text(f"The account of {LOSER} was merged into {WINNER}")).to_be_visible()
    expect(dialog).to_have_count(0)
    expect(drawer.get_by_text("It was merged into another record in Dynamics.")).to_be_visible()
    assert page.evaluate("document.querySelector('hunter-lead').contains(document.activeElement)")
    rows = {one["accountid"]: one for one in world.sales.rows("account")}
    assert rows.keys() == before.keys()
    (gone,) = [one for one in rows.values() if one["statecode"] != 0]
    assert before[gone["accountid"]] == LOSER
    assert world.record("account", LOSER)["fix"] == "merged_in_crm"


def test_the_account_of_a_merged_company_is_offered_where_its_winner_is_shown(
    joined: str, world: World, page: Page
) -> None:
    page.goto(f"{joined}/leads/{LOSER}")
    page.locator("hunter-lead").get_by_role("button", name="Merge", exact=True).click()
    page.get_by_role("dialog").get_by_role("textbox").fill(WINNER)
    page.get_by_role("dialog").get_by_role("button", name="Merge", exact=True).click()
    drawer = page.locator("hunter-lead")
    apart = drawer.locator(".item").filter(has_text=f"Account of {LOSER}")
    expect(apart.get_by_text("its account in Dynamics still stands apart")).to_be_visible()
    apart.get_by_role("button", name="Merge accounts").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"{LOSER} gives way to {WINNER}.")).to_be_visible()
    dialog.get_by_role("button", name="Merge accounts").click()
    expect(page.get_by_text(f"The account of {LOSER} was merged into {WINNER}")).to_be_visible()
    expect(apart).to_have_count(0)
    assert world.record("account", LOSER)["fix"] == "merged_in_crm"


def test_a_merge_that_dynamics_refuses_is_told_in_the_dialog(joined: str, page: Page, opened: Opened) -> None:
    opened.allowed += ["409", "404"]
    page.goto(f"{joined}/leads/{LOSER}")
    page.locator("hunter-lead").get_by_role("button", name="Merge accounts").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("nobody.example")
    dialog.get_by_role("button", name="Merge accounts").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    expect(dialog.get_by_role("textbox")).to_have_value("nobody.example")
    assert violations(page) == []


def test_a_viewer_is_offered_no_decision(site: str, page_for: PageFactory) -> None:
    page = page_for()

    def as_viewer(route: object) -> None:
        response = route.fetch()  # type: ignore[attr-defined]
        told = response.json()
        told["user"] |= {"role": "viewer", "can": {"act": False, "export": False, "admin": False}}
        route.fulfill(response=response, json=told)  # type: ignore[attr-defined]

    page.route("**/api/v1/status", as_viewer)
    page.goto(f"{site}/leads/kuzeyinsaat.example")
    settled(page)
    drawer = page.locator("hunter-lead")
    expect(drawer.get_by_role("button", name="Push to Dynamics")).to_be_disabled()
    for name in ("Merge accounts", "Edit", "Scan again"):
        expect(drawer.get_by_role("button", name=name)).to_have_count(0)
