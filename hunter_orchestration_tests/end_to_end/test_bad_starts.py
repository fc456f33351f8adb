"""What a person gets who set something wrong: one sentence with what to do, at once, and nothing left running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hunter_orchestration.sandbox.running import spare_port

pytestmark = pytest.mark.slow


def hunter(home: Path, *words: str, **variables: str) -> str:
    """Run a command that must fail; what it said. A traceback is no sentence."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUNTER_")}
    environment |= {"HUNTER_HOME": str(home / "home"), **variables}
    command = [sys.executable, "-c", "from hunter_orchestration.cli import main; main()", *words]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, timeout=120, check=False)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("no address at all", "HUNTER_DATABASE_URL is not a database address"),
        ("mysql://hunter:secret@localhost/hunter", "Hunter runs on SQLite and PostgreSQL"),
        ("postgresql://hunter:secret@127.0.0.1:1/hunter", "can't be opened"),
        ("sqlite:////proc/no/hunter.db", "/proc/no"),
    ],
)
def test_a_wrong_database_address_is_named_without_its_password(tmp_path: Path, url: str, sentence: str) -> None:
    said = hunter(tmp_path, "up", HUNTER_DATABASE_URL=url)
    assert sentence in said
    assert "secret" not in said


def test_a_broken_env_file_is_named_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HUNTER_API_PORT=eight thousand\nHUNTER_CLIENT_SECRET=not-to-be-seen\n")
    said = hunter(tmp_path, "up")
    assert "HUNTER_API_PORT" in said
    assert ".env" in said
    assert "not-to-be-seen" not in said


def test_an_env_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"HUNTER_API_PORT=\xff\xfe\x00\n")
    assert ".env" in hunter(tmp_path, "up")


def test_services_that_are_down_are_named(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{spare_port()}"
    said = hunter(
        tmp_path,
        "referrals",
        "sync",
        HUNTER_PARTNER_CENTER_ENABLED="true",
        HUNTER_PARTNER_CENTER_URL=nobody,
        HUNTER_AUTHORITY_URL=nobody,
        HUNTER_TENANT_ID="00000000-0000-0000-0000-000000000001",
        HUNTER_CLIENT_ID="client",
        HUNTER_REFRESH_TOKEN="token-not-to-be-seen",
    )
    assert "Entra ID could not be reached" in said
    assert "token-not-to-be-seen" not in said
