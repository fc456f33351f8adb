"""Lists of leads: order, pages, filters, search and counts, on both databases."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace
from datetime import timedelta
from functools import cmp_to_key
from typing import Any

import pytest

from hunter_orchestration.store import Store, lead_counting, lead_queries
from hunter_orchestration.store.lead_filters import LeadFilter
from hunter_orchestration.store.tables.leads import COUNTED
from hunter_orchestration.store.tables.leads import leads as table
from hunter_orchestration.web import cursors
from hunter_orchestration_tests.web.conftest import ClientFactory
from hunter_orchestration_tests.web.seeding import NOW, lead, put, random_lead

FILTERS = {
    "none": LeadFilter(),
    "two priorities": LeadFilter(values={"priority": ("P1", "P6")}),
    "empty value": LeadFilter(values={"country": (None, "TR"), "provider": ("M365",)}),
    "not scored": LeadFilter(values={"priority": (None, "P2")}),
    "scores": LeadFilter(score_min=20, score_max=80),
    "low scores": LeadFilter(score_max=40),
    "good ones of two priorities": LeadFilter(values={"priority": ("P5", "P1"), "provider": ("M365",)}, score_min=30),
    "incomplete": LeadFilter(complete=False),
    "recent": LeadFilter(first_seen_since=NOW - timedelta(days=2)),
    "nearly all": LeadFilter(first_seen_since=NOW - timedelta(days=7), values={"country": ("TR",)}),
    "nearly all good ones": LeadFilter(first_seen_since=NOW - timedelta(days=7), score_min=40),
    "search": LeadFilter(q="insaat"),
    "search in one country": LeadFilter(q="ISIK 1", values={"country": ("TR",)}),
}


def _all(store: Store) -> list[dict[str, Any]]:
    with store.read() as connection:
        return [dict(row) for row in connection.execute(table.select()).mappings()]


def _matches(row: dict[str, Any], wanted: LeadFilter) -> bool:
    told = row | {"priority": None if row["priority"] == "P9" else row["priority"]}
    return (
        all(told[name] in values for name, values in wanted.values.items())
        and all(word in row["search_text"] for word in wanted.words)
        and (wanted.complete is None or row["complete"] == wanted.complete)
        and (wanted.score_min is None or row["score"] >= wanted.score_min)
        and (wanted.score_max is None or 0 <= row["score"] <= wanted.score_max)
        and (wanted.first_seen_since is None or row["first_seen_at"] >= wanted.first_seen_since)
    )


@pytest.fixture
def many(store: Store) -> Store:
    chance = random.Random(5)
    put(store, [random_lead(number, chance) for number in range(400)])
    return store


@pytest.mark.parametrize("narrow", [0, 10_000], ids=["walked", "read whole"])
@pytest.mark.parametrize("name", FILTERS)
def test_every_sort_gives_every_lead_once_in_order_forwards_and_backwards(many: Store, name: str, narrow: int) -> None:
    wanted = FILTERS[name]
    rows = [row for row in _all(many) if _matches(row, wanted)]
    with many.read() as connection:
        for sort in lead_queries.SORTS:
            for descending in (False, True):
                order = lead_queries.Order(sort, descending)
                key = cmp_to_key(lambda one, two, order=order: order.compare(order.place(one), order.place(two)))
                expected = [row["domain"] for row in sorted(rows, key=key)]
                pages = []
                after = None
                while True:
                    page = lead_queries.page(connection, wanted, order, 150, after=after, narrow=narrow)
                    pages.append([row["domain"] for row in page.rows])
                    if not page.has_next:
                        break
                    after = order.place(page.rows[-1])
                assert [domain for found in pages for domain in found] == expected, (sort, descending)
                if len(pages) > 1:
                    back = lead_queries.page(
                        connection, wanted, order, 150, before=order.place(page.rows[0]), narrow=narrow
                    )
                    assert [row["domain"] for row in back.rows] == pages[-2]
                    assert back.has_next
                assert page.total == len(expected)


def test_values_within_a_column_sort_with_empty_ones_last_both_ways(many: Store) -> None:
    with many.read() as connection:
        for descending in (False, True):
            order = lead_queries.Order("expires_at", descending)
            found = [
                row["expires_at"] for row in lead_queries.stream(connection, LeadFilter(), order, narrow=0, size=90)
            ]
            filled = [value for value in found if value is not None]
            assert found == sorted(filled, reverse=descending) + [None] * (len(found) - len(filled))


@pytest.mark.parametrize("few", [1, 20_000], ids=["the smaller side", "as asked"])
@pytest.mark.parametrize("name", FILTERS)
def test_facets_count_what_another_choice_would_give(many: Store, name: str, few: int) -> None:
    wanted = FILTERS[name]
    rows = _all(many)
    with many.read() as connection:
        found = lead_counting.facets(connection, wanted, few=few)
        total, _ = lead_counting.count(connection, wanted, few=few)
    assert total == sum(_matches(row, wanted) for row in rows)
    for column in COUNTED:
        values = {other: chosen for other, chosen in wanted.values.items() if other != column}
        free = replace(wanted, values=values)
        expected: dict[Any, int] = {}
        for row in rows:
            if _matches(row, free):
                value = None if column == "priority" and row[column] == "P9" else row[column]
                expected[value] = expected.get(value, 0) + 1
        assert dict(found[column]) == expected, column


def test_counts_follow_inserts_updates_and_deletes(store: Store) -> None:
    put(store, [lead(f"a{number}.example", priority="P1") for number in range(10)])
    with store.write() as connection:
        connection.execute(table.update().where(table.c.domain < "a5").values(priority="P2", name="Başka"))
        connection.execute(table.delete().where(table.c.domain == "a0.example"))
    with store.read() as connection:
        assert dict(lead_counting.facets(connection, LeadFilter())["priority"]) == {"P1": 5, "P2": 4}
        assert lead_counting.count(connection, LeadFilter()) == (9, True)


def test_scores_and_completeness_are_counted_after_each_kind_of_write(store: Store) -> None:
    put(store, [lead(f"a{number}.example", score=number * 10, complete=True) for number in range(10)])
    put(store, [lead("none.example", priority="P9", score=-1, complete=False)])

    def told() -> tuple[list[int], dict[str, int]]:
        asked = {
            "30 and more": LeadFilter(score_min=30),
            "up to 30": LeadFilter(score_max=30),
            "complete": LeadFilter(complete=True),
        }
        with store.read() as connection:
            counts = {name: lead_counting.count(connection, wanted) for name, wanted in asked.items()}
            assert all(exact for _, exact in counts.values())
            return lead_counting.score_histogram(connection), {name: number for name, (number, _) in counts.items()}

    assert told() == ([1] * 10, {"30 and more": 7, "up to 30": 4, "complete": 10})
    with store.write() as connection:
        connection.execute(table.update().where(table.c.domain >= "a8", table.c.score >= 0).values(score=100))
        connection.execute(table.update().where(table.c.domain == "a1.example").values(complete=False))
        connection.execute(table.delete().where(table.c.domain == "a0.example"))
    assert told() == ([0] + [1] * 7 + [0, 2], {"30 and more": 7, "up to 30": 3, "complete": 8})


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("İnşaat", ["isik.example"]),
        ("insaat", ["isik.example"]),
        ("INŞAAT", ["isik.example"]),
        ("ışık", ["isik.example"]),
        ("IŞIK insaat", ["isik.example"]),
        ("şirket", ["xn--irket-idb.example"]),
        ("çelik", ["celik.example"]),
        ("CELIK", ["celik.example"]),
        ("elik.exam", ["celik.example"]),
        ("ce", ["celik.example"]),
        ("100%", []),
        ("_____", []),
        ('"', []),
        ("' OR 1=1 --", []),
        ("zzz", []),
    ],
)
def test_search_understands_turkish_letters_and_takes_signs_as_text(store: Store, query: str, finds: list[str]) -> None:
    put(
        store,
        [
            lead("isik.example", "IŞIK İNŞAAT A.Ş."),
            lead("celik.example", "Çelik Döküm"),
            lead("xn--irket-idb.example", "Bir şirket"),
        ],
    )
    with store.read() as connection:
        page = lead_queries.page(connection, LeadFilter(q=query), lead_queries.Order("domain"), 10)
    assert [row["domain"] for row in page.rows] == finds


def test_a_renamed_lead_is_found_by_its_new_name_only(store: Store) -> None:
    put(store, [lead("a.example", "Eski Ad")])
    with store.write() as connection:
        connection.execute(table.update().values(name="Yeni Ad", search_text="yeni ad a.example"))
    with store.read() as connection:
        assert lead_counting.count(connection, LeadFilter(q="yeni")) == (1, True)
        assert lead_counting.count(connection, LeadFilter(q="eski")) == (0, True)


def test_names_sort_as_a_turkish_reader_expects(client_for: ClientFactory, store: Store) -> None:
    names = ["Zeytin", "Çelik", "Cam", "Işık", "İnci", "Ümit", "Ulus", "Şeker", "Su"]
    put(store, [lead(f"n{number}.example", name) for number, name in enumerate(names)])
    answer = client_for(store).get("/api/v1/leads?sort=name").json()
    assert [row["name"] for row in answer["items"]] == [
        "Cam", "Çelik", "Işık", "İnci", "Su", "Şeker", "Ulus", "Ümit", "Zeytin"
    ]  # fmt: skip


def test_pages_follow_cursors_in_both_directions(client_for: ClientFactory, store: Store) -> None:
    put(store, [lead(f"p{number:03}.example", score=number) for number in range(25)])
    client = client_for(store)
    first = client.get("/api/v1/leads?sort=score&order=desc&limit=10").json()
    second = client.get(f"/api/v1/leads?sort=score&order=desc&limit=10&cursor={first['next']}").json()
    third = client.get(f"/api/v1/leads?sort=score&order=desc&limit=10&cursor={second['next']}").json()
    scores = [row["score"] for part in (first, second, third) for row in part["items"]]
    assert scores == list(range(24, -1, -1))
    assert first["previous"] is None
    assert third["next"] is None
    back = client.get(f"/api/v1/leads?sort=score&order=desc&limit=10&cursor={third['previous']}").json()
    assert back["items"] == second["items"]
    assert first["total"] == 25


def test_a_cursor_of_another_list_is_refused(client_for: ClientFactory, sqlite_store: Store) -> None:
    put(sqlite_store, [lead(f"p{number}.example") for number in range(5)])
    client = client_for(sqlite_store)
    cursor = client.get("/api/v1/leads?limit=2").json()["next"]
    for query in (
        f"limit=2&sort=name&cursor={cursor}",
        f"priority=P1&cursor={cursor}",
        "cursor=nonsense",
        "cursor=W10",
    ):
        answer = client.get(f"/api/v1/leads?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "stale_cursor")


@pytest.mark.parametrize("sort", ["name", "score", "deal_value", "first_seen_at", "country"])
@pytest.mark.parametrize("value", ["x", 10**30, {"t": "x"}, {"d": "NaN"}, [1], True, {"t": "2026-01-01T00:00:00"}])
def test_a_forged_cursor_is_refused(client: Any, sort: str, value: Any) -> None:
    identity = cursors.fingerprint([{}, sort, "asc"])
    forged = base64.urlsafe_b64encode(json.dumps([identity, "n", [value, 1, "a"]]).encode()).decode().rstrip("=")
    answer = client.get("/api/v1/leads", params={"sort": sort, "cursor": forged})
    assert answer.status_code == (200 if sort in ("name", "country") and value == "x" else 400)


def test_an_unchanged_list_answers_304_and_a_changed_one_does_not(client_for: ClientFactory, store: Store) -> None:
    put(store, [lead("a.example")])
    client = client_for(store)
    etag = client.get("/api/v1/leads?priority=P2").headers["etag"]
    assert client.get("/api/v1/leads?priority=P2", headers={"If-None-Match": etag}).status_code == 304
    assert client.get("/api/v1/leads?priority=P1", headers={"If-None-Match": etag}).status_code == 200
    put(store, [lead("b.example", changed_at=NOW + timedelta(seconds=1))])
    assert client.get("/api/v1/leads?priority=P2", headers={"If-None-Match": etag}).status_code == 200


def test_leads_without_a_score_show_none(client_for: ClientFactory, sqlite_store: Store) -> None:
    put(sqlite_store, [lead("a.example", priority="P9", score=-1)])
    client = client_for(sqlite_store)
    row = client.get("/api/v1/leads?priority=none").json()["items"][0]
    assert (row["priority"], row["score"]) == (None, None)
    assert client.get("/api/v1/leads/facets").json()["facets"]["priority"] == [{"value": None, "count": 1}]


@pytest.mark.parametrize(
    "query",
    ["unknown=1", "sort=score;drop", "order=up", "limit=0", "limit=1000000000", "priority=P7", "score_min=-1",
     "segment=A&commercial_segment=B", "age_days=x", "priority=", "new_since=yesterday"],
)  # fmt: skip
def test_a_wrong_query_is_refused_with_its_field(client: Any, query: str) -> None:
    answer = client.get(f"/api/v1/leads?{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"
    assert answer.json()["errors"]
