"""A minute of kill -9 under load."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_minute_of_kills_loses_nothing_and_doubles_nothing() -> None:
    command = [sys.executable, "-c", "from hunter_orchestration.cli import main; main()"]
    command += ["soak", "--minutes", "0", "--seconds", "60", "--companies", "20", "--json"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()[-3000:]
    report = json.loads(done.stdout)
    assert report["wrong"] == []
    assert report["killed"] >= 2
    assert report["changes"] > 20
    assert set(report["recovery_seconds"]) >= {"daemon", "code"}
