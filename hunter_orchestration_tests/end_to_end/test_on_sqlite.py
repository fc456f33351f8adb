"""``hunter up`` on the embedded default: one referral's way through the real processes, and what an operator meets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hunter_orchestration.commands.installation import (
    Installation,
    environment_for,
    running,
    start_up,
    until,
)
from hunter_orchestration.sandbox.running import RunningSandbox
from hunter_orchestration_tests.end_to_end import journey
from hunter_orchestration_tests.end_to_end.journey import (  # noqa: F401  tests of this file's installation too
    test_a_referral_travels_by_itself_and_a_repeat_writes_nothing,
    test_a_run_whose_process_was_killed_is_finished_without_a_person,
    test_no_secret_is_in_any_file_database_or_answer,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HUNTER_HOME of the installation."""
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
def installation(box: RunningSandbox, home: Path) -> Iterator[Installation]:
    """``hunter up``, answering."""
    with running(start_up(environment_for(box, home, HUNTER_IMPORT_WEBHOOK_SECRET=journey.CANARY))) as made:
        yield made


def test_every_killed_process_comes_back_by_itself(installation: Installation) -> None:
    for kind in ("daemon", "code", "webserver", "api"):
        killed = installation.kill(kind)

        def back(kind: str = kind, killed: int = killed) -> bool:
            process = installation.process(kind)
            return process is not None and process.pid != killed

        until(back, 20, f"a new {kind}")
        until(installation.ready, 60, f"an installation that answers after its {kind} was killed")
    installation.quiet()
    assert installation.sync()["state"] == "succeeded"


def test_a_second_start_on_the_same_ports_names_the_port_and_leaves_the_first_alone(
    installation: Installation, box: RunningSandbox, tmp_path: Path
) -> None:
    ports = {name: installation.environment[name] for name in ("HUNTER_API_PORT", "HUNTER_DAGSTER_PORT")}
    second = start_up(environment_for(box, tmp_path / "second", **ports))
    assert second.leader is not None
    assert second.leader.wait(30) == 1
    said = (second.home / "up.log").read_text()
    assert f"Port {ports['HUNTER_API_PORT']} is in use" in said
    assert "HUNTER_API_PORT" in said
    assert "Traceback" not in said
    assert not second.processes()
    assert installation.ready()


def test_sigterm_ends_every_process_and_the_next_start_keeps_the_data(
    installation: Installation, box: RunningSandbox
) -> None:
    journey_lead = installation.lead(journey.DOMAIN)
    assert installation.end() < 15
    with running(start_up(installation.environment)) as again:
        assert again.lead(journey.DOMAIN) == journey_lead
        assert again.end() < 15
