"""Each misconfiguration of Dagster's instance is found, and its finding says how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, inspect
from typer.testing import CliRunner

from hunter_orchestration import cli
from hunter_orchestration.commands import doctor
from hunter_orchestration.commands.findings import Finding
from hunter_orchestration.commands.launcher import settle_dagster
from hunter_orchestration.settings import load_settings
from hunter_orchestration_tests.postgresql import fresh_database

ROOT = Path(__file__).parents[2]
SHIPPED = (ROOT / "deploy" / "postgres" / "dagster.yaml").read_text(encoding="utf-8")


@pytest.fixture
def folder() -> Path:
    made = load_settings().home.absolute() / "dagster"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def database(postgresql_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database, named in the variables of the services."""
    with fresh_database(postgresql_server) as url:
        parts = urlsplit(url)
        for name, value in (("HOST", parts.hostname), ("PORT", parts.port), ("USER", parts.username),
                            ("PASSWORD", parts.password or ""), ("DB", parts.path[1:])):  # fmt: skip
            monkeypatch.setenv(f"DAGSTER_PG_{name}", str(value))
        yield url


def looked() -> list[Finding]:
    return list(doctor._looked("dagster.yaml", doctor.CHECKS["dagster.yaml"], load_settings()))


def found(folder: Path, text: str) -> Finding:
    (folder / "dagster.yaml").write_text(text, encoding="utf-8")
    (finding,) = looked()
    assert finding.fix
    return finding


def test_none_is_fine_at_first_and_missing_beside_the_services(folder: Path) -> None:
    (missing,) = looked()
    assert (missing.state, "deploy/postgres/dagster.yaml" in missing.fix) == ("warning", True)
    folder.rmdir()
    assert [finding.state for finding in looked()] == ["ok"]


def test_that_of_hunter_up_is_fine_and_nothing_is_made(folder: Path) -> None:
    settle_dagster(folder)
    assert [finding.state for finding in looked()] == ["ok"]
    assert [path.name for path in folder.iterdir()] == ["dagster.yaml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run_launcher: [", "line 1"),
        ("- a list", "can't be read"),
        (SHIPPED + "no_such_key: 1\n", "no_such_key"),
        (SHIPPED.replace("class: WatchedRunLauncher", "class: DefaultRunLauncher"), "counts as running for hours"),
        (SHIPPED.replace("default_limit: 1", "default_limit: 9"), "two runs do the same stage"),
    ],
)
def test_a_file_that_is_none_or_lacks_what_hunter_relies_on_is_found(
    folder: Path, database: str, text: str, said: str
) -> None:
    (folder / "dagster.yaml").write_text(text, encoding="utf-8")
    told = [finding for finding in looked() if said in finding.sentence]
    assert told, looked()
    assert "deploy/postgres/dagster.yaml" in told[0].fix


def test_variables_that_are_not_set_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "USER", "PASSWORD", "DB"):
        monkeypatch.delenv(f"DAGSTER_PG_{name}", raising=False)
    finding = found(folder, SHIPPED)
    assert finding.state == "problem"
    assert "hunter.env" in finding.fix


def test_a_database_without_tables_is_found_and_left_without(folder: Path, database: str) -> None:
    finding = found(folder, SHIPPED)
    assert finding.state == "problem"
    assert "dagster instance migrate" in finding.fix
    engine = create_engine(database)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_database_that_is_away_is_found_without_its_password(
    folder: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_PG_PORT", "9")
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "canary-1234")
    finding = found(folder, SHIPPED)
    assert finding.state == "problem"
    assert "DAGSTER_PG_HOST" in finding.fix
    assert "canary" not in finding.sentence + finding.fix


def test_hunter_up_leaves_an_operators_own_storage_alone(folder: Path) -> None:
    (folder / "dagster.yaml").write_text(SHIPPED, encoding="utf-8")
    settle_dagster(folder)
    assert (folder / "dagster.yaml").read_text(encoding="utf-8") == SHIPPED


def test_one_check_can_be_asked_for_and_a_wrong_name_is_refused() -> None:
    if not cli.app.registered_commands:
        cli._assemble()
    done = CliRunner().invoke(cli.app, ["doctor", "--json", "--only", "home", "--only", "dagster.yaml"])
    assert done.exit_code == 0, done.output
    assert done.stdout.count('"name"') == 4
    assert CliRunner().invoke(cli.app, ["doctor", "--only", "house"]).exit_code == 2
