"""`hunter up` without credentials, from a folder of its own, and the commands of a second terminal beside it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files

import pytest

from hunter_orchestration.commands.installation import SCRIPTS, Installation, running, until
from hunter_orchestration.sandbox.running import spare_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

RULES = "2026-11-01-of-this-folder"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A demo whose settings are in the .env of the folder it is started in, with paths that begin there."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copyfile(str(files("hunter_orchestration.scoring").joinpath("rules.yaml")), folder / "rules.yaml")
    text = (folder / "rules.yaml").read_text(encoding="utf-8")
    (folder / "rules.yaml").write_text(text.replace('version: "2026-11-01"', f'version: "{RULES}"'), encoding="utf-8")
    ports = {"HUNTER_API_PORT": str(spare_port()), "HUNTER_DAGSTER_PORT": str(spare_port())}
    written = {**ports, "HUNTER_SANDBOX_PORT": str(spare_port()), "HUNTER_DEMO_COMPANIES": "20",
               "HUNTER_RULES_FILE": "rules.yaml", "HUNTER_DEVELOPMENT_POLL_SECONDS": "5"}  # fmt: skip
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in written.items()), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUNTER_", "DAGSTER_"))}
    # Only so that the processes can be found; it is where they would be anyway.
    environment = {**kept, "HUNTER_HOME": str(folder / ".hunter")}
    with (folder / "up.log").open("wb") as log:
        leader = subprocess.Popen([str(SCRIPTS / "hunter"), "up"], env=environment, cwd=folder, stdout=log, stderr=log)
    with running(Installation({**environment, **ports}, leader)) as made:
        yield made


def said(demo: Installation, *words: str) -> list[dict[str, str]]:
    """JSON lines of a command in a second terminal."""
    environment = {name: value for name, value in demo.environment.items() if not name.endswith("_PORT")}
    done = subprocess.run(
        [str(SCRIPTS / "hunter"), *words, "--json"],
        env=environment, cwd=demo.home.parent, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_settings_of_the_folder_it_was_started_in_reach_every_process(demo: Installation) -> None:
    def versions() -> set[str]:
        with closing(sqlite3.connect(demo.home / "hunter.db")) as connection:
            return {str(row[0]) for row in connection.execute("SELECT DISTINCT rules_version FROM scores")}

    (version,) = until(versions, 90, "a score")
    assert version.startswith(RULES)


def test_commands_beside_it_speak_to_its_services(demo: Installation) -> None:
    checks = {line["name"]: line for line in said(demo, "doctor")}
    assert "demo" in checks["settings"]["sentence"]
    assert "can hold all" in checks["dynamics"]["sentence"]
    assert "Signed in" in checks["sign-in"]["sentence"]
    today = demo.get("/leads")["items"][0]["changed_at"][:10]
    begun, ended = said(demo, "backfill", "--from", today, "--to", today)
    assert begun["stages"][0] == "raw_leads"
    assert ended["state"] == "succeeded"
    assert "dynamics_records" in ended["stages_done"]


def test_what_the_demo_left_goes_with_it(demo: Installation) -> None:
    left = demo.home / "run" / "demo.json"
    assert left.stat().st_mode & 0o077 == 0
    assert demo.end() < 15
    assert not left.exists()
