"""Each prepared misconfiguration is found, and its finding says how to mend it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from hunter_orchestration.commands import doctor
from hunter_orchestration.commands.findings import Finding
from hunter_orchestration.sandbox.running import running_sandbox
from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration_tests.scanning.dns_server import serving
from hunter_orchestration_tests.web.engine import Engine

ROOT = Path(__file__).parents[2]


def looked(name: str, **settings: Any) -> list[Finding]:
    """Findings of one check, as the command makes them."""
    return list(doctor._looked(name, doctor.CHECKS[name], load_settings(**settings)))


def test_a_fresh_home_is_fine_and_its_missing_database_is_named() -> None:
    assert [finding.state for finding in looked("home")] == ["ok"]
    (found,) = looked("database")
    assert found.state == "warning"
    assert "hunter db upgrade" in found.fix


def test_an_upgraded_database_is_fine_on_both_databases(store: Store) -> None:
    (found,) = looked("database", database_url=store.url.render_as_string(hide_password=False))
    assert found.state == "ok"


def test_an_old_schema_is_found(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'old.db'}")
    upgrade(store)
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    store.close()
    (found,) = looked("database", database_url=f"sqlite:///{tmp_path / 'old.db'}")
    assert found.state == "problem"
    assert "hunter db upgrade" in found.fix


@pytest.mark.parametrize(
    "url",
    ["mysql://localhost/x", "postgresql://hunter:secret@127.0.0.1:9/hunter", "postgresql+psycopg2://nowhere.test/x"],
)
def test_a_database_that_is_none_or_away_is_found_without_its_password(url: str) -> None:
    (found,) = looked("database", database_url=url)
    assert found.state == "problem"
    assert found.fix
    assert "secret" not in found.sentence


def test_a_damaged_file_is_found_and_the_way_back_named(tmp_path: Path) -> None:
    file = tmp_path / "hunter.db"
    file.write_bytes(b"no database at all" * 500)
    (found,) = looked("database", database_url=f"sqlite:///{file}")
    assert found.state == "problem"
    assert "hunter doctor" not in found.sentence
    assert "backup" in found.fix


def test_a_home_that_is_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    (found,) = looked("home", home=tmp_path / "taken")
    assert found.state == "problem"
    assert "HUNTER_HOME" in found.fix


def test_a_port_of_another_program_is_found() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        found = looked("ports", api_port=port, dagster_port=0)
    assert [finding.state for finding in found] == ["problem", "ok"]
    assert "HUNTER_API_PORT" in found[0].fix


def test_a_silent_resolver_a_public_one_and_a_good_one_are_told_apart() -> None:
    with serving() as server:
        good = looked("resolvers", dns_servers=[f"127.0.0.1:{server.port}"])
        mixed = looked("resolvers", dns_servers=[f"127.0.0.1:{server.port}", "127.0.0.1:9"])
    assert [finding.state for finding in good] == ["ok"]
    assert [finding.state for finding in mixed] == ["ok", "warning"]
    assert [finding.state for finding in looked("resolvers", dns_servers=["127.0.0.1:9"])] == ["problem"]
    assert [finding.state for finding in looked("resolvers", dns_servers=["resolver.example"])] == ["problem"]


def test_a_page_open_to_everybody_is_found() -> None:
    (found,) = looked("page", api_host="0.0.0.0")
    assert found.state == "problem"
    assert "HUNTER_AUTH_CLIENT_ID" in found.sentence
    assert looked("page")[0].state == "ok"


def test_every_faulty_file_that_people_edit_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\npoints: [\n")
    found = looked("files", rules_file=bad, mapping_file=bad, briefing_file=bad, offers_file=bad, alerts_file=bad)
    assert [finding.name for finding in found if finding.state == "problem"] == [
        "rules file", "mapping file", "briefing file", "offers file", "alerts file",
    ]  # fmt: skip
    assert all("bad.yaml" in finding.sentence for finding in found if finding.state == "problem")
    assert {finding.state for finding in looked("files")} == {"ok"}


@pytest.mark.parametrize("file", ["deploy/postgres/hunter.env", ".env.example"])
def test_the_files_to_fill_in_are_settings_as_they_are(
    file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        name, separator, value = line.lstrip("# ").partition("=")
        if separator and name.startswith("HUNTER_") and name != "HUNTER_HOME" and " " not in name:
            monkeypatch.setenv(name, value)
    settings = load_settings(home=tmp_path)
    assert settings.alerts_file is settings.import_folder is settings.mapping_file is None
    assert {finding.state for finding in doctor.CHECKS["files"](settings)} == {"ok"}


def test_a_token_cache_others_can_read_is_found(tmp_path: Path) -> None:
    cache = tmp_path / "tokens.bin"
    cache.write_bytes(b"tokens")
    cache.chmod(0o644)
    (found,) = looked("sign-in", home=tmp_path)
    assert found.state == "problem"
    assert "chmod 600" in found.fix


def test_a_sign_in_that_is_missing_or_ends_soon_is_found(tmp_path: Path) -> None:
    (found,) = looked("sign-in", home=tmp_path, partner_center_enabled=True)
    assert found.state == "problem"
    assert "hunter login" in found.fix
    used = (datetime.now(UTC) - timedelta(days=80)).isoformat()
    (tmp_path / "sign-in.json").write_bytes(orjson.dumps({"method": "device_code", "last_used_at": used}))
    (found,) = looked("sign-in", home=tmp_path, partner_center_enabled=True)
    assert found.state == "warning"
    assert "hunter login" in found.fix


@pytest.mark.slow
def test_credentials_that_entra_refuses_are_found_though_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sandbox(companies=5) as box:
        for name, value in box.settings().items():
            monkeypatch.setenv(name, value)
        on: dict[str, Any] = {"home": tmp_path, "partner_center_enabled": True, "dynamics_enabled": True}
        assert [finding.state for finding in looked("sign-in", **on)] == ["ok"]
        (found,) = looked("sign-in", **on, client_secret="canary-1234")
        assert found.state == "problem"
        assert found.fix
        assert "canary" not in found.sentence + found.fix
        (found,) = looked("dynamics", **on, dynamics_url="http://127.0.0.1:9")
        assert found.state == "problem"
        assert "HUNTER_DYNAMICS_URL" in found.fix


def test_files_and_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    settings = load_settings(
        mmdb_path=nowhere, webhook_root_certificate=nowhere, client_certificate=nowhere, import_folder=nowhere
    )
    found = {finding.name: finding for finding in doctor.CHECKS["files"](settings) if finding.state == "problem"}
    assert sorted(found) == ["HUNTER_CLIENT_CERTIFICATE", "HUNTER_IMPORT_FOLDER", "HUNTER_MMDB_PATH",
                             "HUNTER_WEBHOOK_ROOT_CERTIFICATE"]  # fmt: skip
    assert all(finding.fix for finding in found.values())


def test_an_address_no_token_is_sent_to_is_named() -> None:
    (found,) = looked("clock", partner_center_enabled=True, partner_center_url="http://api.partner.example")
    assert (found.name, found.state) == ("partner center", "problem")
    assert "https" in found.fix


def test_a_clock_that_is_wrong_and_a_service_that_is_away_are_found(partner: Any) -> None:
    partner.drift = 0
    assert [finding.state for finding in looked("clock", **partner.settings)] == ["ok", "ok"]
    partner.drift = 600
    assert [finding.state for finding in looked("clock", **partner.settings)] == ["ok", "warning"]
    away = looked("clock", partner_center_enabled=True, partner_center_url="http://127.0.0.1:9")
    assert [finding.state for finding in away] == ["problem"]


def test_dynamics_switched_on_without_an_address_is_found() -> None:
    (found,) = looked("dynamics", dynamics_enabled=True)
    assert found.state == "problem"
    assert "HUNTER_DYNAMICS_URL" in found.sentence


def test_a_daemon_without_heartbeat_and_code_that_does_not_load_are_found() -> None:
    class Sick(Engine):
        def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
            if "daemonHealth" not in query:
                return super().answer(query, variables)
            daemons = [{"daemonType": "SENSOR", "required": True, "healthy": False},
                       {"daemonType": "BACKFILL", "required": False, "healthy": False}]  # fmt: skip
            error = {"__typename": "PythonError", "message": "Traceback\nImportError: no module\n"}
            entries = [{"name": "hunter", "loadStatus": "LOADED", "locationOrLoadError": error}]
            return {
                "instance": {"daemonHealth": {"allDaemonStatuses": daemons}},
                "workspaceOrError": {"__typename": "Workspace", "locationEntries": entries},
            }

    engine = Sick()
    try:
        found = {finding.name: finding for finding in looked("dagster", dagster_url=engine.url)}
    finally:
        engine.close()
    assert found["daemon"].state == "problem"
    assert "sensor" in found["daemon"].sentence
    assert "ImportError: no module" in found["code location"].sentence


@pytest.mark.slow
def test_the_command_ends_with_1_and_one_json_line_a_check_when_a_setting_is_wrong(tmp_path: Path) -> None:
    environment = {**os.environ, "HUNTER_API_PORT": "many", "HUNTER_CLIENT_SECRET": "canary-1234"}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("hunter")), "doctor", "--json"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [line["state"] for line in lines] == ["ok", "problem"]
    assert "HUNTER_API_PORT" in lines[1]["sentence"]
    assert "canary" not in done.stdout + done.stderr
