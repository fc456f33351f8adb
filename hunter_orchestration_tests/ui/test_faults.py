"""What the page does when things go wrong behind it: it says so in plain words, keeps what it shows, and comes back."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from hunter_orchestration.store import Store, runs
from hunter_orchestration_tests.ui.conftest import Opened, PageFactory
from hunter_orchestration_tests.ui.serving import serving
from hunter_orchestration_tests.web.engine import Engine

pytestmark = pytest.mark.slow

ROWS = "hunter-leads tbody tr[data-key]"


def _problem(status: int, code: str) -> dict[str, object]:
    return {
        "status": status,
        "content_type": "application/problem+json",
        "json": {"status": status, "code": code, "title": "x", "detail": "A detail", "request_id": "abc123"},
    }


def test_a_failing_server_is_told_in_plain_words_with_a_retry(site: str, page: Page, opened: Opened) -> None:
    opened.allowed.append("500")

    def broken(route: Route) -> None:
        route.fulfill(**_problem(500, "internal"))  # type: ignore[arg-type]

    page.route("**/api/v1/leads?*", broken)
    page.goto(f"{site}/leads")
    said = page.get_by_role("alert").filter(has_text="This could not be loaded")
    expect(said).to_contain_text("Something went wrong in Hunter.")
    expect(said).to_contain_text("abc123")
    page.unroute("**/api/v1/leads?*", broken)
    said.get_by_role("button", name="Try again").click()
    expect(page.locator(ROWS).first).to_be_visible()


def test_a_slow_server_shows_bones_and_the_page_stays_usable(site: str, page: Page) -> None:
    held: list[Route] = []
    page.route("**/api/v1/leads?*", lambda route: held.append(route))
    page.goto(f"{site}/leads")
    expect(page.locator("tbody .bone").first).to_be_visible()
    page.get_by_role("searchbox").fill("insaat")
    page.get_by_role("button", name="Columns").click()
    expect(page.get_by_role("dialog", name="Columns")).to_be_visible()
    page.keyboard.press("Escape")
    page.unroute("**/api/v1/leads?*")
    expect(page.get_by_text("10 leads", exact=True)).to_be_visible()


def test_the_answer_to_an_older_question_never_covers_the_newer_one(site: str, page: Page) -> None:
    held: list[Route] = []
    page.goto(f"{site}/leads")
    expect(page.locator(ROWS).first).to_be_visible()
    page.route("**/api/v1/leads?q=truva*", lambda route: held.append(route))
    page.get_by_role("searchbox").fill("truva")
    page.wait_for_timeout(500)
    page.get_by_role("searchbox").fill("likya")
    expect(page.locator(ROWS)).to_have_count(1)
    page.unroute("**/api/v1/leads?q=truva*")
    page.wait_for_timeout(500)
    expect(page.locator(ROWS)).to_have_attribute("data-key", "likya.example")


def test_an_ended_session_is_told_and_leads_back_to_this_place(site: str, page: Page, opened: Opened) -> None:
    opened.allowed.append("401")
    page.goto(f"{site}/leads?q=insaat")
    expect(page.locator(ROWS).first).to_be_visible()

    def ended(route: Route) -> None:
        route.fulfill(**_problem(401, "signed_out"))  # type: ignore[arg-type]

    page.route("**/api/v1/leads?*", ended)
    page.get_by_role("columnheader", name="Company").get_by_role("button").click()
    link = page.get_by_role("link", name="Sign in again")
    expect(link).to_be_visible()
    assert "next=%2Fleads%3Fq%3D" in str(link.get_attribute("href"))


_ASKED_TWICE = """
() => performance.getEntriesByType("resource").filter((one) => one.name.includes("/api/v1/leads?")).length > 1
"""


def test_a_server_that_restarts_under_an_open_page_is_found_again(
    morning: Store, engine: Engine, page: Page, opened: Opened
) -> None:
    opened.allowed += ["ERR_", "503", "502"]
    with serving(morning, dagster_url=engine.url) as site:
        page.goto(f"{site}/leads?q=insaat")
        # The list is drawn anew once it is known who is here; what it asks for then is answered before the server goes.
        page.wait_for_function(_ASKED_TWICE)
        expect(page.locator(ROWS)).to_have_count(10)
        port = int(urlsplit(site).port or 0)
    expect(page.locator(".health")).to_contain_text("Reconnecting")
    expect(page.locator(ROWS)).to_have_count(10)
    with morning.write() as connection:
        runs.emit(connection, "leads_changed", None, {})
    with (
        serving(morning, port=port, dagster_url=engine.url),
        page.expect_response(lambda answer: "/api/v1/leads?" in answer.url),
    ):
        expect(page.locator(".health")).to_contain_text("In sync with Partner Center")


def test_an_engine_that_is_down_is_told_with_what_to_do(morning: Store, page: Page, opened: Opened) -> None:
    opened.allowed.append("503")
    with serving(morning, dagster_url="http://127.0.0.1:9") as site:
        page.goto(f"{site}/leads")
        expect(page.locator(".health.problem")).to_contain_text("The engine is not answering")
        page.get_by_role("button", name="Sync now").click()
        expect(page.get_by_role("alert")).to_contain_text("The engine is not answering")
        expect(page.get_by_role("button", name="Sync now")).to_be_enabled()


def test_a_stale_page_of_a_list_starts_over(site: str, page: Page, opened: Opened) -> None:
    opened.allowed.append("400")
    page.goto(f"{site}/leads?cursor=nonsense")
    expect(page.locator(ROWS).first).to_be_visible()
    expect(page).not_to_have_url(re.compile("cursor"))


def test_two_tabs_show_the_same_work(site: str, page_for: PageFactory) -> None:
    first = page_for()
    second = first.context.new_page()
    first.goto(f"{site}/leads?q=insaat")
    second.goto(f"{site}/leads")
    expect(second.locator(ROWS).first).to_be_visible()
    expect(first.locator(ROWS).first).to_be_visible()
    first.keyboard.press("j")
    first.keyboard.press("x")
    first.get_by_role("region", name="Selected leads").get_by_role("button", name="Scan again").click()
    first.get_by_role("dialog").get_by_role("button", name="Scan again").click()
    expect(first.get_by_role("region", name="Work under way")).to_be_visible()
    expect(second.get_by_role("region", name="Work under way")).to_be_visible()


def test_a_lead_that_does_not_exist_says_so(site: str, page: Page, opened: Opened) -> None:
    opened.allowed.append("404")
    page.goto(f"{site}/leads/gone.example")
    expect(page.locator("hunter-lead")).to_contain_text("This does not exist, or no longer.")
    page.keyboard.press("Escape")
    expect(page.locator("hunter-lead")).to_be_hidden()
