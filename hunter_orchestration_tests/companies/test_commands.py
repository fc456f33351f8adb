"""The commands of the room, as a person and a pipe use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from hunter_orchestration.commands import companies as commands
from hunter_orchestration.companies import stage
from hunter_orchestration.store import Store
from hunter_orchestration_tests.companies.samples import keep, referral


@pytest.fixture
def hunter(monkeypatch: pytest.MonkeyPatch, sqlite_store: Store) -> object:
    app = typer.Typer()
    commands.register(app)
    monkeypatch.setenv("HUNTER_DATABASE_URL", str(sqlite_store.url))

    def call(*arguments: str, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=input)

    return call


def lines(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_domain_answers_one_json_line_a_text(hunter) -> None:  # type: ignore[no-untyped-def]
    found = lines(hunter("domain", "www.firma.com.tr", "-", "-bad.com", "", "--json"))
    assert found == [
        {"input": "www.firma.com.tr", "domain": "firma.com.tr", "rejected": None},
        {"input": "-", "domain": None, "rejected": "syntax"},
        {"input": "-bad.com", "domain": None, "rejected": "syntax"},
        {"input": "", "domain": None, "rejected": "empty"},
    ]


def test_domain_reads_lines_and_bears_bytes_that_are_no_text(hunter) -> None:  # type: ignore[no-untyped-def]
    found = lines(hunter("domain", "--json", input=b"firma.com\r\n\xff\xfe.com\n"))
    assert [answer["domain"] for answer in found] == ["firma.com", None]


def test_a_file_is_previewed_imported_and_its_rejects_written(hunter, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "leads.csv"
    path.write_text("Firma,E-posta\nFirma A.Ş.,satis@firma.com.tr\nX,x@gmail.com\n", "utf-8")
    (seen,) = lines(hunter("import", str(path), "--preview", "--json"))
    assert seen["columns"] == {"company": "Firma", "email": "E-posta"}
    (done,) = lines(hunter("import", str(path), "--rejects", str(tmp_path / "rejects.csv"), "--json"))
    assert (done["rows"], done["stored"], done["rejected"]) == (2, 1, 1)
    assert "free-mail" in (tmp_path / "rejects.csv").read_text("utf-8-sig")
    (row,) = lines(hunter("companies", "list", "--search", "FIRMA", "--json"))
    assert (row["domain"], row["name"]) == ("firma.com.tr", "Firma A.Ş.")


def test_decisions_are_made_and_taken_back_from_the_command_line(hunter, sqlite_store: Store) -> None:  # type: ignore[no-untyped-def]
    keep(sqlite_store, [referral(1, company_name="Kaya Tekstil A.Ş."), referral(2, "a@kaya.com.tr")])
    keep(sqlite_store, [referral(2, "a@kaya.com.tr", company_name="Kaya Tekstil"), referral(3, "a@other.com.tr")])
    stage.run(sqlite_store)
    (suggested,) = lines(hunter("companies", "suggest", "--json"))
    assert suggested["domain"] == "kaya.com.tr"
    assert hunter("companies", "link", referral(1)["id"], "kaya.com.tr").exit_code == 0
    (merged,) = lines(hunter("companies", "merge", "other.com.tr", "kaya.com.tr", "--json"))
    (shown,) = lines(hunter("companies", "show", "other.com.tr", "--json"))
    assert (shown["company"]["domain"], len(shown["referrals"])) == ("kaya.com.tr", 3)  # type: ignore[index,arg-type]
    assert hunter("companies", "show", "kaya.com.tr").exit_code == 0
    assert hunter("companies", "unmerge", str(merged["merge_id"])).exit_code == 0
    assert hunter("companies", "link", referral(1)["id"], "--none").exit_code == 0
    (alone,) = lines(hunter("companies", "show", "kaya.com.tr", "--json"))
    assert len(alone["referrals"]) == 1  # type: ignore[arg-type]


def test_forget_asks_first_and_says_what_it_did(hunter, sqlite_store: Store) -> None:  # type: ignore[no-untyped-def]
    keep(sqlite_store, [referral(1, "a@kaya.com.tr")])
    stage.run(sqlite_store)
    assert hunter("forget", "a@kaya.com.tr", input="n\n").exit_code != 0
    (done,) = lines(hunter("forget", "a@kaya.com.tr", "--yes", "--json"))
    assert done["kind"] == "email"
    assert done["counts"]["contacts"] == 1  # type: ignore[index]


@pytest.mark.parametrize(
    "arguments",
    [
        ("companies", "show", "nobody.com.tr"),
        ("companies", "merge", "a.com.tr", "b.com.tr"),
        ("companies", "unmerge", "7"),
        ("companies", "link", "nothing", "a.com.tr"),
        ("forget", "nothing", "--yes"),
    ],
)
def test_what_can_not_be_done_is_one_sentence_and_exit_status_one(hunter, arguments: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    result = hunter(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("hunter: ")
    assert "Traceback" not in result.output
