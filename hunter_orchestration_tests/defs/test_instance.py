"""Dagster's own databases: made once, mended when two processes made them at the same time."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from hunter_orchestration.defs.instance import is_prepared, prepare

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_databases_are_made_before_anybody_needs_them_and_a_double_stamp_is_mended(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "dagster.yaml", tmp_path / "dagster.yaml")
    assert not is_prepared(tmp_path)
    command = [sys.executable, "-m", "hunter_orchestration.defs.instance", str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120).returncode == 0
    assert is_prepared(tmp_path)
    with closing(sqlite3.connect(tmp_path / "history/runs/index.db")) as index, index:
        index.execute("INSERT INTO alembic_version SELECT version_num || 'x' FROM alembic_version")
    assert not is_prepared(tmp_path)
    prepare(tmp_path)
    assert is_prepared(tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_runs(limit=1) == []
