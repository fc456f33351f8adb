"""Downloads: exactly the filter, readable by Turkish and English spreadsheets, flat in memory."""

from __future__ import annotations

import csv
import io
import tracemalloc
from decimal import Decimal

import pytest
import python_calamine
from starlette.testclient import TestClient

from hunter_orchestration.store import Store, lead_queries
from hunter_orchestration.store.lead_filters import LeadFilter
from hunter_orchestration.web.assets import default_folder
from hunter_orchestration.web.export_words import CATALOGUES
from hunter_orchestration.web.exports import COLUMNS, csv_pieces
from hunter_orchestration_tests.web.conftest import ClientFactory
from hunter_orchestration_tests.web.seeding import lead, put


def test_csv_holds_exactly_the_filter_in_the_order_and_columns_asked_for(
    client_for: ClientFactory, store: Store
) -> None:
    put(
        store,
        [
            lead("b.example", "Beta", score=10),
            lead("a.example", 'Alfa; "Bir"\nİki', score=90, deal_value=Decimal("1234.5")),
            lead("c.example", "Gama", provider="Zoho"),
        ],
    )
    answer = client_for(store).get(
        "/api/v1/leads/export.csv?provider=Google&sort=score&order=desc&columns=name,score,deal_value&lang=tr"
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="hunter-leads-')
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert rows == [
        ["Şirket", "Puan", "Anlaşma tutarı"],
        ['Alfa; "Bir"\nİki', "90", "1234,5"],
        ["Beta", "10", ""],
    ]


def test_only_the_leads_named_are_taken_along(client_for: ClientFactory, store: Store) -> None:
    put(store, [lead("a.example", provider="Zoho"), lead("b.example"), lead("c.example"), lead("d.example")])
    answer = client_for(store).get(
        "/api/v1/leads/export.csv?columns=domain&domains=a.example,c.example,D.example&provider=Google&sort=domain"
    )
    assert answer.text.split()[1:] == ["c.example", "d.example"]


def test_english_csv_uses_commas_and_points(client_for: ClientFactory, sqlite_store: Store) -> None:
    put(sqlite_store, [lead("a.example", "Alfa, Bir", deal_value=Decimal("1234.50"))])
    answer = client_for(sqlite_store).get("/api/v1/leads/export.csv?columns=name,deal_value,gateway")
    assert answer.text.splitlines()[1] == '"Alfa, Bir",1234.5,'


def test_xlsx_holds_types_not_texts(client_for: ClientFactory, store: Store) -> None:
    put(store, [lead("a.example", "Işık", deal_value=Decimal("10.25")), lead("b.example", score=-1, priority="P9")])
    answer = client_for(store).get(
        "/api/v1/leads/export.xlsx?sort=domain&columns=name,score,deal_value,changed_at,priority"
    )
    sheet = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(answer.content)).get_sheet_by_index(0)
    rows = sheet.to_python()
    assert rows[0] == ["Company", "Score", "Deal value", "Changed (UTC)", "Priority"]
    assert rows[1][:3] == ["Işık", 75.0, 10.25]
    assert rows[1][3].year == 2026
    assert rows[2][1] == ""


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["Greenfield", "Self-hosted", "Co-sell", "New", "Synced", "51–250", "Partner Center"]),
        ("tr", ["Yeni alan", "Kendi sunucusu", "Ortak satış", "Yeni", "Eşitlendi", "51–250", "Partner Center"]),
    ],
)
def test_cells_hold_the_words_of_the_page_and_no_codes(
    client_for: ClientFactory, sqlite_store: Store, language: str, said: list[str]
) -> None:
    put(
        sqlite_store,
        [
            lead(
                "a.example",
                commercial_segment="GREENFIELD",
                provider="Local",
                referral_category="co_sell",
                referral_status="New",
                dynamics_state="synced",
                size="51to250employees",
                source="partnercenter",
            )
        ],
    )
    columns = "commercial_segment,provider,referral_category,referral_status,dynamics_state,size,source"
    client = client_for(sqlite_store)
    text = client.get(f"/api/v1/leads/export.csv?columns={columns}&lang={language}").content.decode("utf-8-sig")
    assert text.splitlines()[1].split(";" if language == "tr" else ",") == said
    book = client.get(f"/api/v1/leads/export.xlsx?columns={columns}&lang={language}").content
    sheet = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0)
    assert sheet.to_python()[1] == said


@pytest.mark.parametrize(("place", "language"), [(0, "en"), (1, "tr")])
def test_words_of_exports_are_those_of_the_page(place: int, language: str) -> None:
    text = (default_folder() / "src" / "texts" / f"{language}.js").read_text(encoding="utf-8")
    for stem, words in CATALOGUES.values():
        for code, said in words.items():
            assert f'"{stem}.{code}": "{said[place]}",' in text


def test_unknown_columns_are_refused(client: TestClient) -> None:
    answer = client.get("/api/v1/leads/export.csv?columns=name,password")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "columns"


@pytest.mark.slow
def test_a_large_download_is_read_in_pages_and_keeps_memory_flat(sqlite_store: Store) -> None:
    put(sqlite_store, [lead(f"n{number:05}.example", f"Şirket {number % 50}") for number in range(6_000)])

    def peak(limit: int) -> int:
        rows = 0
        with sqlite_store.read() as connection:
            tracemalloc.start()
            found = lead_queries.stream(connection, LeadFilter(), lead_queries.Order("name"))
            for piece in csv_pieces((row for _, row in zip(range(limit), found, strict=False)), [*COLUMNS], "tr"):
                rows += piece.count(b"\r\n")
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert rows == limit + 1
        return most

    assert peak(6_000) < peak(2_000) * 1.5
