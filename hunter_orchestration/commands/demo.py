"""The demo's addresses, left by ``hunter up`` for the commands of a second terminal.

Without them a command would find everything switched off, since only the demo's own processes are told where its
sandbox listens.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import orjson
import psutil

from hunter_orchestration.settings import Settings, SettingsError, load_settings

_PROCESS = "process"


def is_demo(settings: Settings) -> bool:
    """Demo mode is chosen, or there is nobody to sign in as."""
    return settings.demo or not settings.client_id


def leave(home: Path, environment: Mapping[str, str], process: int) -> None:
    """Leave the addresses of a demo that lives as long as a process."""
    file = _file(home)
    file.touch(mode=0o600)
    file.write_bytes(orjson.dumps({_PROCESS: process, "environment": dict(environment)}))


def take_away(home: Path) -> None:
    """The demo has ended."""
    _file(home).unlink(missing_ok=True)


def join() -> bool:
    """Tell this process the addresses of the demo over its HUNTER_HOME; whether there is one.

    What is set already stays; an installation with credentials of its own joins no demo.
    """
    try:
        settings = load_settings()
    except SettingsError:
        # The command itself says what is wrong with them.
        return False
    if not is_demo(settings):
        return False
    with suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        left = orjson.loads(_file(settings.home).read_bytes())
        if "supervisord" in " ".join(psutil.Process(left[_PROCESS]).cmdline()):
            for name, value in left["environment"].items():
                os.environ.setdefault(name, value)
            return True
    return False


def _file(home: Path) -> Path:
    return home / "run" / "demo.json"
