"""The OpenAPI document: complete, true, and readable without another site."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.web.app import create_app
from hunter_orchestration_tests.web import seeding
from hunter_orchestration_tests.web.engine import Engine

FIXED = [
    ("get", "/api/v1/leads"), ("get", "/api/v1/leads/{domain}"), ("get", "/api/v1/leads/{domain}/score"),
    ("post", "/api/v1/referrals/sync"), ("get", "/api/v1/referrals"), ("get", "/api/v1/referrals/{referral_id}"),
    ("post", "/api/v1/dynamics/sync/{domain}"), ("get", "/api/v1/dynamics/status/{domain}"),
    ("post", "/api/v1/dynamics/bulk-sync"), ("get", "/api/v1/runs/{run_id}"), ("post", "/api/v1/leads"),
    ("post", "/api/v1/imports"), ("get", "/healthz/live"), ("get", "/healthz/ready"),
]  # fmt: skip


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def test_the_names_others_build_on_are_there(client: TestClient) -> None:
    found = {(method, path) for method, path, _ in _operations(client.get("/api/openapi.json").json())}
    assert set(FIXED) <= found


def test_every_operation_has_words_a_shape_and_its_errors(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    names = set()
    for method, path, operation in _operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"], where
        names.add(operation["operationId"])
        good = [status for status in operation["responses"] if status.startswith("2")]
        assert good, where
        if path.startswith("/api/v1"):
            for status in ("401", "403", "404", "422", "429", "503"):
                assert "application/problem+json" in operation["responses"][status]["content"], (where, status)
    assert len(names) == len(list(_operations(document)))


def test_every_reference_of_the_document_leads_somewhere(client: TestClient) -> None:
    answer = client.get("/api/openapi.json")
    schemas = answer.json()["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', answer.text):
        assert name in schemas


def test_the_docs_page_needs_no_other_site_and_no_script(client: TestClient) -> None:
    answer = client.get("/api/docs")
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert not re.search(r"""(?:src|href)=['"]?(?:https?:)?//""", answer.text)
    assert "POST /api/v1/referrals/sync" in answer.text
    assert "'sha256-" in answer.headers["content-security-policy"]


@pytest.fixture(scope="module")
def api_schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document over an application with some data."""
    folder: Path = tmp_path_factory.mktemp("api")
    store = Store(f"sqlite:///{folder / 'hunter.db'}")
    upgrade(store)
    with store.write() as connection:
        seeding.company(connection, "egeinsaat.com.tr")
        seeding.scored(connection, "egeinsaat.com.tr")
        seeding.referral(connection, "0e3ab2f5-0000-4000-8000-000000000001", "egeinsaat.com.tr")
        seeding.crm_record(connection, "egeinsaat.com.tr", "rejected")
    engine = Engine(run_at_once=True)
    app = create_app(
        Settings(
            database_url=store.url.render_as_string(False),
            home=folder,
            dagster_url=engine.url,
            partner_center_enabled=True,
            api_host="127.0.0.1",
        ),
        store=store,
        page=folder,
    )
    with TestClient(app, base_url="http://127.0.0.1"):
        yield schemathesis.openapi.from_asgi("/api/openapi.json", app, headers={"Host": "127.0.0.1"})
    engine.close()
    store.close()


def _checks(schema: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    """For each operation a function that tries it with made-up requests, valid and not."""
    checks = schemathesis.checks.CHECKS
    # A download too many answers 429 whatever was asked, and an unknown lead is a 404 before its body is looked at.
    left_out = [checks.get_one("positive_data_acceptance"), checks.get_one("negative_data_rejection")]
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith("/events"):
            continue  # a stream has no end; its own tests read it

        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def valid(case: schemathesis.Case) -> None:
            case.call_and_validate(headers={"Host": "127.0.0.1"}, excluded_checks=left_out)

        @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def wrong(case: schemathesis.Case) -> None:
            case.call_and_validate(headers={"Host": "127.0.0.1"}, excluded_checks=left_out)

        yield operation.label, valid
        if operation.body or operation.query or operation.path_parameters:
            yield operation.label, wrong


@pytest.mark.slow
def test_no_request_makes_the_server_break_its_own_document(api_schema: Any) -> None:
    broken = []
    for label, check in _checks(api_schema):
        try:
            check()
        except Unsatisfiable:
            continue  # nothing wrong can be made for it
        except (AssertionError, BaseExceptionGroup) as error:
            broken.append(f"{label}: {error}")
    assert broken == []
