"""People sign in through Entra ID, played by the sandbox, in the browser: each role sees exactly what it may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.store import Store
from hunter_orchestration.store.tables.leads import leads
from hunter_orchestration.store.tables.operations import web_sessions
from hunter_orchestration.store.tables.referrals import referrals
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.ui.conftest import Opened, PageFactory
from hunter_orchestration_tests.ui.looking import settled, violations_in_both_schemes
from hunter_orchestration_tests.ui.serving import serving
from hunter_orchestration_tests.web.engine import Engine

SELLER, MANAGER = "Dünya Gezgin", "Sıla Yöneten"
NEEDS_DOMAIN = "/referrals/00000000-0000-0000-0000-000000001b58"


@pytest.fixture(scope="module")
def entra() -> Iterator[RunningSandbox]:
    with running_sandbox(companies=20, seed=1) as box:
        yield box


@pytest.fixture
def signing(morning: Store, engine: Engine, entra: RunningSandbox, opened: Opened) -> Iterator[str]:
    """Address of a page whose people sign in."""
    entra.reset()
    # The sandbox's sign-in page has no icon.
    opened.allowed.append("favicon.ico")
    with serving(
        morning,
        dagster_url=engine.url,
        partner_center_write_back=True,
        authority_url=entra.authority,
        tenant_id=entra.tenant,
        auth_client_id=entra.client_id,
        auth_client_secret=entra.client_secret,
    ) as url:
        yield url


def _sign_in(page: Page, who: str) -> None:
    expect(page.get_by_role("heading", name="Sandbox sign-in")).to_be_visible()
    page.get_by_role("button", name=who).click()


def _opened_as(role: str, signing: str, entra: RunningSandbox, page: Page, place: str) -> None:
    entra.configure("entra", page_role=role)
    page.goto(signing + place)
    _sign_in(page, SELLER)
    expect(page.locator(".rail")).to_contain_text(SELLER)
    settled(page)


def test_who_opens_an_address_signs_in_first_and_is_brought_there(signing: str, page: Page) -> None:
    place = "/leads/kuzeyinsaat.example?priority=P2,P3&q=in%C5%9Faat"
    page.goto(signing + place)
    _sign_in(page, SELLER)
    expect(page).to_have_url(signing + place)
    expect(page.locator("hunter-lead h2")).to_have_text("Kuzey İnşaat Taahhüt A.Ş.")
    expect(page.locator(".rail")).to_contain_text(SELLER)


def test_a_viewer_sees_everything_and_is_offered_no_change(signing: str, entra: RunningSandbox, page: Page) -> None:
    _opened_as("viewer", signing, entra, page, "/leads/kuzeyinsaat.example")
    drawer = page.locator("hunter-lead")
    expect(drawer.get_by_text("You can look, but not change").first).to_be_visible()
    for name in ("Push to Dynamics", "Preview"):
        expect(drawer.get_by_role("button", name=name)).to_be_disabled()
    for name in ("Edit", "Merge", "Merge accounts", "Scan again", "Won", "Lost"):
        expect(drawer.get_by_role("button", name=name, exact=True)).to_have_count(0)
    expect(drawer.get_by_role("link", name="Briefing PDF")).to_be_visible()
    expect(page.get_by_role("button", name="Sync now")).to_be_disabled()
    expect(page.get_by_role("button", name="Add lead")).to_have_count(0)
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_role("dialog", name="Export")).to_contain_text("You can look, but not change")
    page.keyboard.press("Escape")

    page.goto(f"{signing}/imports/1")
    expect(page.locator(".drop")).to_contain_text("You can look, but not change")
    expect(page.get_by_role("button", name="Choose a file")).to_have_count(0)
    expect(page.get_by_text("Rejected rows")).to_be_visible()
    expect(page.get_by_role("link", name="Download rejected rows")).to_have_count(0)
    page.goto(signing + NEEDS_DOMAIN)
    settled(page)
    side = page.locator(".drawer")
    expect(side).to_contain_text("Ege İnşaat Proje")
    expect(side.get_by_role("button", name=re.compile("Link|Create|Accept|Decline"))).to_have_count(0)
    for place, name in (
        ("/crm", "Retry all"),
        ("/crm?tab=differences", "Compare now"),
        ("/crm?tab=differences", "Mend all"),
        ("/crm?tab=activity", "Download everything"),
        ("/runs?tab=quarantine", "Retry"),
    ):
        page.goto(signing + place)
        settled(page)
        expect(page.locator("tbody tr[data-key]").first).to_be_visible()
        expect(page.locator("main").get_by_text(name, exact=True)).to_have_count(0)
    page.goto(f"{signing}/settings")
    expect(page.locator("main")).to_contain_text(f"{SELLER} (viewer)")
    expect(page.locator("main")).to_contain_text("Only an administrator sees the single settings.")
    expect(page.locator("main")).not_to_contain_text("HUNTER_HOME")


def test_a_seller_may_act_but_not_mend_nor_read_settings(
    signing: str, entra: RunningSandbox, page: Page, morning: Store
) -> None:
    _opened_as("seller", signing, entra, page, "/leads/kuzeyinsaat.example")
    drawer = page.locator("hunter-lead")
    for name in ("Push to Dynamics", "Preview", "Edit", "Merge", "Merge accounts", "Scan again", "Won", "Lost"):
        expect(drawer.get_by_role("button", name=name, exact=True)).to_be_enabled()
    expect(page.get_by_text("You can look, but not change")).to_have_count(0)
    drawer.get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").get_by_label("Company").fill("Kuzey İnşaat A.Ş.")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(drawer.locator("h2")).to_have_text("Kuzey İnşaat A.Ş.")
    with morning.read() as connection:
        named = connection.execute(leads.select().where(leads.c.domain == "kuzeyinsaat.example")).one()
    assert named.name == "Kuzey İnşaat A.Ş."
    page.goto(signing + NEEDS_DOMAIN)
    page.get_by_role("button", name="Link: Ege İnşaat ve Proje A.Ş.").click()
    expect(page.get_by_text(f"linked by {SELLER}", exact=False)).to_be_visible()
    with morning.read() as connection:
        linked = connection.execute(referrals.select().where(referrals.c.id == NEEDS_DOMAIN.rsplit("/", 1)[1])).one()
    # The page tells the name; the trail keeps enough of the id to tell two of a name apart.
    assert linked.linked_by == f"{SELLER} (9e8d7c6b)"
    page.goto(f"{signing}/imports")
    expect(page.get_by_role("button", name="Choose a file")).to_be_enabled()
    page.goto(f"{signing}/crm?tab=differences")
    expect(page.get_by_role("button", name="Compare now")).to_be_visible()
    expect(page.locator("tbody tr[data-key]").first).to_be_visible()
    expect(page.get_by_role("button", name="Mend all")).to_have_count(0)
    page.goto(f"{signing}/settings")
    expect(page.locator("main")).to_contain_text("Only an administrator sees the single settings.")


def test_an_administrator_mends_and_reads_settings(signing: str, entra: RunningSandbox, page: Page) -> None:
    _opened_as("admin", signing, entra, page, "/crm?tab=differences")
    expect(page.get_by_role("button", name="Mend all")).to_be_visible()
    page.goto(f"{signing}/runs?tab=quarantine")
    page.locator("tbody").get_by_role("button", name="Partner Center").click()
    expect(page.get_by_role("dialog")).to_contain_text("<b>no id</b>")
    page.goto(f"{signing}/settings")
    expect(page.locator("main")).to_contain_text("HUNTER_HOME")
    expect(page.locator("main")).to_contain_text(f"{SELLER} (administrator)")


@pytest.mark.parametrize(
    ("locale", "told", "again"),
    [("en-GB", "You have no role in Hunter", "Sign in"), ("tr-TR", "Hunter'da bir rolünüz yok", "Oturum aç")],
)
def test_who_has_no_role_is_told_what_to_ask_for(
    signing: str, entra: RunningSandbox, page_for: PageFactory, opened: Opened, locale: str, told: str, again: str
) -> None:
    opened.allowed.append("403")
    entra.configure("entra", page_role="guest")
    page = page_for(locale=locale)
    page.goto(f"{signing}/leads")
    _sign_in(page, SELLER)
    expect(page.get_by_role("heading", name=told)).to_be_visible()
    assert violations_in_both_schemes(page) == []
    page.get_by_role("link", name=again).click()
    expect(page.get_by_role("heading", name="Sandbox sign-in")).to_be_visible()


def test_who_signs_out_stays_out(signing: str, page: Page, morning: Store) -> None:
    page.goto(f"{signing}/leads")
    _sign_in(page, MANAGER)
    settled(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out of Hunter")).to_be_visible()
    assert violations_in_both_schemes(page) == []
    with morning.read() as connection:
        assert connection.execute(web_sessions.select()).all() == []
    page.goto(f"{signing}/leads")
    expect(page.get_by_role("heading", name="Sandbox sign-in")).to_be_visible()


def test_a_page_whose_session_ended_goes_on_when_one_signs_in_in_another_tab(
    signing: str, page: Page, opened: Opened, morning: Store
) -> None:
    opened.allowed.append("401")
    page.goto(f"{signing}/leads?q=insaat")
    _sign_in(page, SELLER)
    settled(page)
    with morning.write() as connection:
        connection.execute(web_sessions.delete())
    page.get_by_role("columnheader", name="Company").get_by_role("button").click()
    expect(page.get_by_role("link", name="Sign in again")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/events" in request.url else None)
    page.wait_for_timeout(2500)
    assert asked == [], "nobody is told anything without a session"
    other = page.context.new_page()
    other.goto(f"{signing}/runs")
    _sign_in(other, SELLER)
    settled(other)
    page.bring_to_front()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#signed-out")).to_have_count(0)
    expect(page.locator("tbody tr[data-key]").first).to_be_visible()
    with page.expect_response(lambda answer: "/events" in answer.url and answer.status == 200, timeout=20_000):
        page.reload()


def test_a_download_after_the_session_ended_is_not_said_to_be_under_way(
    signing: str, page: Page, opened: Opened, morning: Store
) -> None:
    opened.allowed.append("401")
    page.goto(f"{signing}/leads?q=insaat")
    _sign_in(page, SELLER)
    settled(page)
    with morning.write() as connection:
        connection.execute(web_sessions.delete())
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("link", name="CSV, columns on screen").click()
    expect(page.get_by_role("link", name="Sign in again")).to_be_visible()
    expect(page.get_by_text("the browser saves the file")).to_have_count(0)


def test_a_page_that_nobody_touches_does_not_keep_its_session_alive(signing: str, page: Page, morning: Store) -> None:
    def seen() -> datetime:
        with morning.read() as connection:
            moment: datetime = connection.execute(select(web_sessions.c.seen_at)).scalar_one()
        return moment

    page.clock.install()
    page.goto(f"{signing}/leads?q=insaat")
    _sign_in(page, SELLER)
    settled(page)
    long_ago = utc_now() - timedelta(minutes=30)
    with morning.write() as connection:
        connection.execute(web_sessions.update().values(seen_at=long_ago))
    with page.expect_response(lambda answer: answer.url.endswith("/api/v1/status")) as polled:
        page.clock.fast_forward(150_000)
    assert polled.value.status == 200
    page.evaluate("""() => new Promise((heard) =>
        new EventSource("/api/v1/events").addEventListener("hello", () => heard(true)))""")
    assert seen() == long_ago
    with page.expect_response(lambda answer: "/api/v1/leads?" in answer.url):
        page.get_by_role("columnheader", name="Company").get_by_role("button").click()
    assert seen() > long_ago


def test_who_cancels_at_microsoft_is_told_and_can_try_again(signing: str, page: Page, opened: Opened) -> None:
    opened.allowed.append("403")
    page.goto(f"{signing}/leads")
    _sign_in(page, "Cancel")
    expect(page.get_by_role("heading", name="Signing in did not work")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    _sign_in(page, SELLER)
    expect(page.locator(".rail")).to_contain_text(SELLER)


def test_a_sign_in_service_that_is_away_is_told(morning: Store, engine: Engine, page: Page, opened: Opened) -> None:
    opened.allowed.append("503")
    with serving(
        morning,
        dagster_url=engine.url,
        authority_url="http://127.0.0.1:9",
        tenant_id="contoso",
        auth_client_id="page",
        auth_client_secret="unused",
    ) as url:
        page.goto(f"{url}/leads")
        expect(page.get_by_role("heading", name="Microsoft's sign-in does not answer")).to_be_visible()
