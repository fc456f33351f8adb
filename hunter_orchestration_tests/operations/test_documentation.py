"""What can be set or said is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from hunter_orchestration.settings import Settings

ROOT = Path(__file__).parents[2]


def test_every_setting_is_in_the_example_with_its_meaning_and_default() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = re.findall(r"^#?(HUNTER_[A-Z0-9_]+)=", text, re.MULTILINE)
    assert sorted(named) == sorted(f"HUNTER_{name.upper()}" for name in Settings.model_fields)
    made = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "env-example")], capture_output=True, text=True, check=True, timeout=60
    )
    assert made.stdout == text, "run .ci/env-example > .env.example"


def test_every_variable_of_the_deployment_is_a_setting_or_dagsters() -> None:
    for file in (ROOT / "deploy").rglob("*"):
        if file.is_file() and file.suffix in {".env", ".yaml", ".service", ".md"}:
            for name in re.findall(r"\bHUNTER_[A-Z0-9_]+\b", file.read_text(encoding="utf-8")):
                assert name.removeprefix("HUNTER_").lower() in Settings.model_fields, f"{name} in {file.name}"


def test_every_command_is_in_the_readme_or_the_operators_guide() -> None:
    from typer.main import get_command

    from hunter_orchestration import cli

    if not cli.app.registered_commands:
        cli._assemble()
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "deploy/README.md"))
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    assert [name for name in commands if not re.search(rf"hunter {name}\b", text)] == []
