"""Fixtures every room shares: a store on each database, and settings that touch nothing outside the test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration_tests.faults.page import FaultsPage
from hunter_orchestration_tests.postgresql import fresh_database, running_server

# How long an example takes is the machine's business, and the same examples are tried everywhere.
settings.register_profile("hunter", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hunter")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No HUNTER_* variable and no .env of the machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("HUNTER_") and name != "HUNTER_CRASH_AT"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HUNTER_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(Settings.model_config, "env_file", None)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of the maintenance database of a server that lives as long as the test process.

    Its folder is not one of pytest's: those are closed to other users, and the server does not run as root.
    """
    with tempfile.TemporaryDirectory(prefix="hunter-postgresql-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with running_server(Path(folder)) as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An address of an empty database, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hunter.db'}"
    else:
        with fresh_database(request.getfixturevalue("postgresql_server")) as url:
            yield url


def _upgraded(url: str) -> str:
    opened = Store(url)
    upgrade(opened)
    opened.close()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at the newest schema, upgraded once and copied for each test."""
    path = tmp_path_factory.mktemp("template") / "hunter.db"
    _upgraded(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> Iterator[str]:
    """A PostgreSQL database at the newest schema, upgraded once and copied for each test."""
    with fresh_database(postgresql_server) as url:
        yield _upgraded(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store at the newest schema, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield from _copied(request.getfixturevalue("sqlite_template"), tmp_path)
        return
    template = request.getfixturevalue("postgresql_template")
    with fresh_database(request.getfixturevalue("postgresql_server"), template) as url:
        opened = Store(url)
        yield opened
        opened.close()


@pytest.fixture
def sqlite_store(sqlite_template: Path, tmp_path: Path) -> Iterator[Store]:
    """A store at the newest schema on SQLite, for what does not depend on the database."""
    yield from _copied(sqlite_template, tmp_path)


def _copied(template: Path, folder: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{shutil.copy(template, folder / 'hunter.db')}")
    yield opened
    opened.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The page of faults is written by the suite alone."""
    parser.addoption("--faults-page", type=Path, help="write which faults were survived in this run to this file")


def pytest_configure(config: pytest.Config) -> None:
    """The process that gathers the results writes the page; workers of pytest-xdist don't."""
    path = config.getoption("--faults-page")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FaultsPage(path))


_SECONDS_LONG = ("end_to_end/", "faults/", "dynamics/test_throttling.py", "defs/test_ticks.py")
_FIRST = (
    "end_to_end/test_on_", "end_to_end/test_soak.py", "operations/test_celery_workers.py", "ui/test_journeys.py",
    "ui/", "dynamics/", "faults/", "web/",
    "defs/", "security/", "scanning/",
)  # fmt: skip
"""Files go to the workers in this order: the longest first, so that none is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep out of the fast set what needs PostgreSQL or waits for seconds, and put the longest files first."""
    here = Path(__file__).parent
    places = {item.path: item.path.relative_to(here).as_posix() for item in items}
    for item in items:
        callspec = getattr(item, "callspec", None)
        needs_server = callspec is not None and "postgresql" in callspec.params.values()
        if needs_server or places[item.path].startswith(_SECONDS_LONG):
            item.add_marker(pytest.mark.slow)
    ranks = {
        path: next((rank for rank, start in enumerate(_FIRST) if place.startswith(start)), len(_FIRST))
        for path, place in places.items()
    }
    items.sort(key=lambda item: ranks[item.path])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so when a test did not run: in CI that is a failure."""
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped and os.environ.get("CI"):
        terminalreporter.write_line(f"{skipped} tests did not run; in CI that is a failure.", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run that skipped anything."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
