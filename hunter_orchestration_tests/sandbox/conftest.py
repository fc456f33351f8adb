"""One sandbox, and one Dataverse alone, for all tests of this folder in a worker, made clean before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from hunter_orchestration.sandbox.dataverse.standalone import running
from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration_tests.sandbox.dataverse_box import Box

REFERRALS = "/v1.0/engagements/referrals"


@pytest.fixture(scope="session")
def _shared_box() -> Iterator[RunningSandbox]:
    with running_sandbox(companies=300, seed=7) as box:
        yield box


@pytest.fixture
def box(_shared_box: RunningSandbox) -> RunningSandbox:
    _shared_box.reset()
    return _shared_box


@pytest.fixture(scope="session")
def _shared_dataverse() -> Iterator[Box]:
    with running(prepared=True) as box:
        yield Box(box)


@pytest.fixture
def dataverse(_shared_dataverse: Box) -> Box:
    """Dataverse alone, as new, with Hunter's columns and keys."""
    _shared_dataverse.running.faults.clear("dataverse")
    _shared_dataverse.app.reset(prepared=True)
    return _shared_dataverse


class Caller:
    """Speaks to Partner Center with one user's token."""

    def __init__(self, box: RunningSandbox, user: str = "admin") -> None:
        self.url = box.partner_center + REFERRALS
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {box.access_token(user)}"

    def get(self, path: str = "", **query: str) -> requests.Response:
        options = {f"${name}": value for name, value in query.items()}
        return self.session.get(self.url + path, params=options, timeout=30)

    def patch(self, referral_id: str, *operations: tuple[str, object], **headers: str) -> requests.Response:
        body = [{"op": "replace", "path": path, "value": value} for path, value in operations]
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.patch(f"{self.url}/{referral_id}", json=body, headers=sent, timeout=30)

    def pages(self, **query: str) -> list[list[dict[str, object]]]:
        pages, answer = [], self.get(**query).json()
        while True:
            pages.append(answer["value"])
            if "@odata.nextLink" not in answer:
                return pages
            answer = self.session.get(answer["@odata.nextLink"], timeout=30).json()


@pytest.fixture
def caller(box: RunningSandbox) -> Caller:
    return Caller(box)


@pytest.fixture
def user_caller(box: RunningSandbox) -> Caller:
    return Caller(box, "user")
