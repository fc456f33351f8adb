"""``hunter scan`` as people and programs use it."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from hunter_orchestration.commands import scanning
from hunter_orchestration_tests.scanning.dns_server import serving

app = typer.Typer()
app.callback()(lambda: None)
scanning.register(app)

GOOGLE = ["MX 1 aspmx.l.google.com.", 'TXT "v=spf1 include:_spf.google.com ~all"']
SPF = {"_spf.google.com": ['TXT "v=spf1 ip4:192.0.2.0/24 ~all"']}
SHAPE = {"domain", "provider", "gateway", "hoster", "mx_state", "spf", "dmarc", "dkim"} | {
    "tenant_name",
    "tenant_id",
    "lookups",
    "seconds",
}


def test_json_lines_have_the_fixed_shape_and_bad_lines_lose_nobody(tmp_path: Path) -> None:
    listed = tmp_path / "domains.txt"
    listed.write_text(
        "https://www.Firma.example/iletisim\n# remark\n\n127.0.0.1\nbilgi@yok.example\n", encoding="utf-8"
    )
    with serving(records=SPF | {"firma.example": GOOGLE}) as server:
        done = CliRunner().invoke(app, ["scan", "--file", str(listed), "--json", "--dns", server.address])
    assert done.exit_code == 0, done.output
    lines = {row["domain"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(lines) == {"firma.example", "yok.example"}
    firma = lines["firma.example"]
    assert firma.keys() >= SHAPE
    assert firma["spf"].keys() >= {"state", "all", "includes", "record"}
    assert firma["dmarc"].keys() >= {"state", "policy", "pct", "record"}
    assert (firma["provider"], firma["spf"]["includes"]) == ("Google", ["_spf.google.com"])
    assert lines["yok.example"]["mx_state"] == "nxdomain"
    assert "127.0.0.1" in done.stderr


def test_the_card_reads_and_names_what_stayed_unknown() -> None:
    with serving(records=SPF | {"firma.example": GOOGLE}) as server:
        done = CliRunner().invoke(app, ["scan", "firma.example", "--dns", server.address])
    assert done.exit_code == 0
    for text in ("firma.example", "Google Workspace", "found: aspmx.l.google.com", "valid, ~all"):
        assert text in done.stdout


def test_a_fresh_scan_of_the_store_is_shown_and_force_scans_again(sqlite_store: object) -> None:
    from hunter_orchestration_tests.scanning.test_stage import given_companies

    given_companies(sqlite_store, "firma.example")  # type: ignore[arg-type]
    with serving(records=SPF | {"firma.example": GOOGLE}) as server:
        environment = {"HUNTER_DATABASE_URL": sqlite_store.url.render_as_string(), "HUNTER_DNS_SERVERS": server.address}  # type: ignore[attr-defined]
        first = CliRunner(env=environment).invoke(app, ["scan", "firma.example", "--json"])
        asked = len(server.asked)
        second = CliRunner(env=environment).invoke(app, ["scan", "firma.example", "--json"])
        assert len(server.asked) == asked
        CliRunner(env=environment).invoke(app, ["scan", "firma.example", "--json", "--force"])
        assert len(server.asked) > asked
    assert json.loads(first.stdout)["provider"] == json.loads(second.stdout)["provider"] == "Google"


def test_a_resolver_that_is_no_address_is_told_in_one_line() -> None:
    done = CliRunner().invoke(app, ["scan", "firma.example", "--dns", "resolver.example"])
    assert done.exit_code == 1
    assert "is not a resolver's address" in done.stderr
