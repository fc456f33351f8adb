"""One sandbox an installation's file, with an organisation that `hunter dynamics setup` has prepared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox

pytest.register_assert_rewrite("hunter_orchestration_tests.end_to_end.journey")


@pytest.fixture(scope="module")
def box() -> Iterator[RunningSandbox]:
    """Microsoft's side."""
    with running_sandbox(companies=12) as started:
        started.call("POST", "/dataverse/prepare", {})
        yield started
