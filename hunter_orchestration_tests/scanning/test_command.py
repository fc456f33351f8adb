"""``hunter scan`` as people and programs use it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import typer
from typer.testing import CliRunner

from hunter_orchestration.commands import scanning
from hunter_orchestration.store import Store, scans
from hunter_orchestration_tests.scanning.dns_server import rcode, serving
from hunter_orchestration_tests.scanning.test_extended import services
from hunter_orchestration_tests.scanning.test_stage import given_companies

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


def test_a_host_is_read_as_its_organisational_domain_with_that_ones_dmarc() -> None:
    records = SPF | {"firma.example": GOOGLE, "_dmarc.firma.example": ['TXT "v=DMARC1; p=reject; sp=none"']}
    with serving(records=records) as server:
        done = CliRunner().invoke(app, ["scan", "posta.firma.example", "--json", "--dns", server.address])
    row = json.loads(done.stdout)
    assert (row["domain"], row["dmarc"]["policy"], row["dmarc"]["subdomain_policy"]) == (
        "firma.example",
        "reject",
        "none",
    )


def test_the_card_reads_and_names_what_stayed_unknown() -> None:
    with serving(records=SPF | {"firma.example": GOOGLE}) as server:
        done = CliRunner().invoke(app, ["scan", "firma.example", "--dns", server.address])
    assert done.exit_code == 0
    for text in (
        "firma.example",
        "Google Workspace",
        "1 aspmx.l.google.com",
        "valid, others are marked (~all), 1 of 10 lookups",
        "v=spf1 include:_spf.google.com ~all",
        "no record",
        f"by {server.address}",
    ):
        assert text in done.stdout


def test_the_card_marks_what_is_good_weak_wrong_and_unknown() -> None:
    key = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ"
    records = {
        "guclu.example": ["MX 0 guclu-example.mail.protection.outlook.com.", 'TXT "v=spf1 -all"'],
        "_dmarc.guclu.example": ['TXT "v=DMARC1; p=reject"'],
        "selector1._domainkey.guclu.example": [f'TXT "v=DKIM1; p={key}"'],
        "zayif.example": ["MX 0 .", 'TXT "v=spf1 +all"', 'TXT "v=spf1 -all"'],
        "_dmarc.zayif.example": ['TXT "v=DMARC1; p=quarantine; pct=10"'],
        "yarim.example": ["A 192.0.2.7", 'TXT "v=spf1 ipv4:192.0.2.1 -all"'],
        "_dmarc.yarim.example": ['TXT "v=DMARC1; p=rejct"'],
        "deneme.example": ["MX 0 ."],
        "_dmarc.deneme.example": ['TXT "v=DMARC1; p=reject; t=y"'],
    }
    with serving(records=records, special={"bozuk.example": rcode(2)}) as server:
        arguments = [
            "scan",
            "guclu.example",
            "zayif.example",
            "yarim.example",
            "bozuk.example",
            "deneme.example",
            "yok.example",
            "--dns",
            server.address,
        ]
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    assert done.exit_code == 0, done.output
    cards = {card.split()[0]: " ".join(card.split()) for card in done.stdout.strip().split("\n\n")}
    assert "SPF ✓ valid, others are refused (-all)" in cards["guclu.example"]
    assert "DMARC ✓ what fails is refused (p=reject)" in cards["guclu.example"]
    assert "DKIM ✓ 1 usable key" in cards["guclu.example"]
    assert "takes no mail, and says so (null MX)" in cards["zayif.example"]
    assert "SPF ✗ void: more than one record" in cards["zayif.example"]
    assert "DMARC ! what fails goes to junk (p=quarantine), for 10 % of it" in cards["zayif.example"]
    assert "no MX record, mail goes to the domain's own address" in cards["yarim.example"]
    assert "SPF ✗ void: a mistake in the record" in cards["yarim.example"]
    assert "DMARC ✗ void: the record is malformed" in cards["yarim.example"]
    assert "DMARC ! what fails is refused (p=reject), only as a test (t=y)" in cards["deneme.example"]
    assert "Mailboxes ✗ this domain does not exist MX none" in cards["yok.example"]
    assert "SPF ? unknown (servfail)" in cards["bozuk.example"]
    assert "bozuk.example: servfail" in cards["bozuk.example"]
    assert "✗" not in cards["bozuk.example"]


def test_a_silent_resolver_is_told_as_such_and_fails_the_command() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    done = CliRunner().invoke(app, ["scan", "firma.example", "--json", "--dns", address])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["mx_state"] == "unknown"
    assert f"1 of 1 domains got no answer from {address}" in done.stderr


def test_a_fresh_scan_of_the_store_is_shown_and_force_scans_again(sqlite_store: Store) -> None:
    given_companies(sqlite_store, "firma.example")
    with serving(records=SPF | {"firma.example": GOOGLE}) as server:
        environment = {"HUNTER_DATABASE_URL": sqlite_store.url.render_as_string(), "HUNTER_DNS_SERVERS": server.address}
        first = CliRunner(env=environment).invoke(app, ["scan", "firma.example", "--json"])
        asked = len(server.asked)
        second = CliRunner(env=environment).invoke(app, ["scan", "firma.example", "--json"])
        assert len(server.asked) == asked
        CliRunner(env=environment).invoke(app, ["scan", "firma.example", "--json", "--force"])
        assert len(server.asked) > asked
    assert json.loads(first.stdout)["provider"] == json.loads(second.stdout)["provider"] == "Google"


def test_a_domain_named_twice_is_scanned_and_kept_once(sqlite_store: Store) -> None:
    given_companies(sqlite_store, "firma.example")
    with serving(records=SPF | {"firma.example": GOOGLE}) as server:
        environment = {"HUNTER_DATABASE_URL": sqlite_store.url.render_as_string(), "HUNTER_DNS_SERVERS": server.address}
        command = ["scan", "firma.example", "bilgi@firma.example", "--json", "--force"]
        done = CliRunner(env=environment).invoke(app, command)
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 1
    with sqlite_store.read() as connection:
        assert scans.currents(connection, ["firma.example"])["firma.example"]["provider"] == "Google"


def test_what_the_extended_set_tells_of_a_company_is_kept_and_of_a_stranger_only_shown(sqlite_store: Store) -> None:
    given_companies(sqlite_store, "firma.example")
    records = SPF | dict.fromkeys(("firma.example", "yabanci.example"), GOOGLE)
    records["_mta-sts.firma.example"] = ['TXT "v=STSv1; id=1"']
    with serving(records=records) as server, services() as base:
        environment = {
            "HUNTER_DATABASE_URL": sqlite_store.url.render_as_string(),
            "HUNTER_DNS_SERVERS": server.address,
            "HUNTER_AUTHORITY_URL": base,
            "HUNTER_RDAP_URL": f"{base}/rdap",
        }
        command = ["scan", "firma.example", "yabanci.example", "--json", "--extended"]
        done = CliRunner(env=environment).invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = {row["domain"]: row["extended"] for row in map(json.loads, done.stdout.splitlines())}
    with sqlite_store.read() as connection:
        kept = scans.details_of(connection, ["firma.example", "yabanci.example"])
    assert kept["firma.example"]["mail_transport"]["facts"]["mta_sts"] == "found"
    assert kept["firma.example"].keys() == rows["firma.example"].keys() == rows["yabanci.example"].keys()
    assert kept["yabanci.example"] == {}


def test_the_card_does_not_take_a_tenant_for_mailboxes() -> None:
    with serving(records=SPF | {"a.example": GOOGLE}) as server, services() as base:
        environment = {"HUNTER_AUTHORITY_URL": base, "HUNTER_RDAP_URL": f"{base}/rdap", "COLUMNS": "200"}
        done = CliRunner(env=environment).invoke(app, ["scan", "a.example", "--extended", "--dns", server.address])
    assert done.exit_code == 0, done.output
    assert "Google Workspace" in done.stdout
    assert "has Microsoft identities, which places no mailboxes" in done.stdout


def test_a_resolver_that_is_no_address_is_told_in_one_line() -> None:
    done = CliRunner().invoke(app, ["scan", "firma.example", "--dns", "resolver.example"])
    assert done.exit_code == 1
    assert "is not a resolver's address" in done.stderr
