"""Service by service on PostgreSQL, Hunter's store and Dagster's storage in two databases of one server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hunter_orchestration.commands.installation import Installation, environment_for, running, until
from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration_tests.end_to_end import journey
from hunter_orchestration_tests.end_to_end.journey import (  # noqa: F401  tests of this file's installation too
    test_a_referral_travels_by_itself_and_a_repeat_writes_nothing,
    test_a_run_whose_process_was_killed_is_finished_without_a_person,
    test_no_secret_is_in_any_file_database_or_answer,
)
from hunter_orchestration_tests.end_to_end.services import ROOT, start_one, start_split
from hunter_orchestration_tests.postgresql import fresh_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def installation(
    box: RunningSandbox, postgresql_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Four services, answering."""
    with fresh_database(postgresql_server) as store_url, fresh_database(postgresql_server) as dagster_url:
        environment = environment_for(
            box, tmp_path_factory.mktemp("split"), store_url, HUNTER_IMPORT_WEBHOOK_SECRET=journey.CANARY
        )
        with running(start_split(environment, dagster_url)) as made:
            yield made


def test_a_service_that_was_killed_and_started_again_carries_on(installation: Installation) -> None:
    for kind in ("daemon", "code", "webserver", "api"):
        installation.kill(kind)
        installation.started[kind].wait(10)
        start_one(installation, kind)
        until(installation.ready, 60, f"an installation that answers after its {kind} was killed")
    installation.quiet()
    assert installation.sync()["state"] == "succeeded"


def test_sigterm_ends_every_service_before_systemd_loses_patience(installation: Installation) -> None:
    """A code server waits for the run under way, hence the moment without one."""
    unit = (ROOT / "deploy" / "postgres" / "systemd" / "hunter-code.service").read_text(encoding="utf-8")
    patience = int(unit.partition("TimeoutStopSec=")[2].splitlines()[0])
    installation.quiet()
    assert installation.end(seconds=patience) < patience
