from __future__ import annotations

from collections.abc import Iterator

import pytest

from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration_tests.partner_center.service import Bearer, Service, serving, settings_for


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    """Seconds the client would have waited."""
    return []


@pytest.fixture
def client(service: Service, waits: list[float]) -> Iterator[PartnerCenterClient]:
    made = PartnerCenterClient(settings_for(service), Bearer(), sleep=waits.append)
    yield made
    made.close()
