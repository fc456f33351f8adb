"""What can be set or said is documented."""

from __future__ import annotations

import re
from pathlib import Path

from hunter_orchestration.settings import Settings

ROOT = Path(__file__).parents[2]


def test_every_setting_is_in_the_example_with_its_meaning_and_default() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = dict(re.findall(r"^#?(HUNTER_[A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
    assert set(named) == {f"HUNTER_{name.upper()}" for name in Settings.model_fields}
    plain = text.replace("\n# ", " ")
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description in plain, name
        default = field.default
        if isinstance(default, bool | int | str) or default is None:
            shown = "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
            assert named[f"HUNTER_{name.upper()}"] == shown, name


def test_every_variable_of_the_deployment_is_a_setting_or_dagsters() -> None:
    for file in (ROOT / "deploy").rglob("*"):
        if file.is_file() and file.suffix in {".env", ".yaml", ".service", ".md"}:
            for name in re.findall(r"\bHUNTER_[A-Z0-9_]+\b", file.read_text(encoding="utf-8")):
                assert name.removeprefix("HUNTER_").lower() in Settings.model_fields, f"{name} in {file.name}"
