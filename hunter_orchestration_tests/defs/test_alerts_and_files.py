"""One alert a change, one when it is well again; files dropped into the watched folder."""

from __future__ import annotations

import json
import os
import socketserver
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from hunter_orchestration.alerts.states import Seen
from hunter_orchestration.alerts.targets import AlertsFileError, read_targets
from hunter_orchestration.alerts.words import FAILED
from hunter_orchestration.definitions import build_defs
from hunter_orchestration.defs.alerts import checks_seen, freshness_seen, runs_seen, tell
from hunter_orchestration.defs.assets_in import import_file
from hunter_orchestration.defs.resources import Engine
from hunter_orchestration.defs.watching import take_files, waiting_imports
from hunter_orchestration.settings import load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.store.migrate import upgrade


class Inbox:
    """A real HTTP receiver; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if inbox.status == 200:
                    inbox.bodies.append(body)
                self.send_response(inbox.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.server.shutdown()
    made.server.server_close()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "alerts.yaml"
    path.write_text(text, encoding="utf-8")
    return path


BAD = Seen(
    "run:sync_referrals", "problem", "The sign-in of ayse@firma.example ended.", "http://127.0.0.1/r",
    "ayse@firma.example oturumu sona erdi.",
)  # fmt: skip
WARN = Seen("check:raw_leads.sign_in_lasts", "warning", "Nine days left.", "http://127.0.0.1/c")


def test_a_failure_is_told_once_and_its_end_once(sqlite_store: Store, tmp_path: Path, inbox: Inbox) -> None:
    path = written(tmp_path, f"targets: [{{name: a, kind: webhook, url: '{inbox.url}', language: tr}}]")
    settings = load_settings(alerts_file=path)
    fine = Seen(BAD.subject, "ok", "It runs.", BAD.link)
    for seen in (fine, BAD, BAD, BAD, fine, fine):
        tell(sqlite_store, settings, [seen])
    assert [body["level"] for body in inbox.bodies] == ["problem", "recovered"]
    assert "sorun" in inbox.bodies[0]["title"]
    assert "oturumu sona erdi" in inbox.bodies[0]["sentence"]
    assert "ayse@" not in inbox.bodies[0]["sentence"]
    assert inbox.bodies[1]["sentence"] == "It runs."


def test_a_target_that_was_away_is_told_later_and_the_others_at_once(
    sqlite_store: Store, tmp_path: Path, inbox: Inbox
) -> None:
    text = f"""
targets:
  - {{name: away, kind: webhook, url: 'http://127.0.0.1:9/'}}
  - {{name: here, kind: teams, url: '{inbox.url}', warnings: false}}
"""
    settings = load_settings(alerts_file=written(tmp_path, text))
    sent, failed = tell(sqlite_store, settings, [BAD, WARN])
    assert sent == 1
    assert "away" in failed[0]
    card = inbox.bodies[0]["attachments"][0]["content"]
    assert card["type"] == "AdaptiveCard"
    settings = load_settings(alerts_file=written(tmp_path, text.replace("http://127.0.0.1:9/", inbox.url)))
    assert tell(sqlite_store, settings, [BAD, WARN]) == (2, [])
    assert tell(sqlite_store, settings, [BAD, WARN]) == (0, [])


class Mailbox(socketserver.ThreadingTCPServer):
    """A real SMTP receiver."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.receivers: list[str] = []
        super().__init__(("127.0.0.1", 0), _Smtp)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class _Smtp(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self._answer("220 here")
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self._answer("354 go on")
                self._receive()
            elif line.upper().startswith("RCPT TO:"):
                self.server.receivers.append(line[8:].strip("<> "))
            self._answer("221 bye" if line.upper() == "QUIT" else "250 fine")

    def _receive(self) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        message = message_from_bytes(b"".join(lines), policy=default)
        self.server.messages.append(message)

    def _answer(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    made = Mailbox()
    yield made
    made.shutdown()
    made.server_close()


def test_mail_has_all_that_servers_ask_of_it_and_says_it_in_the_language_of_its_target(
    sqlite_store: Store, tmp_path: Path, mailbox: Mailbox
) -> None:
    port = mailbox.server_address[1]
    target = (
        f"{{name: m, kind: email, host: 127.0.0.1, port: {port}, security: none, language: tr, "
        "sender: Hunter <hunter@partner.example>, to: [a@partner.example, b@partner.example]}"
    )
    settings = load_settings(alerts_file=written(tmp_path, f"targets: [{target}]"))
    for state in (BAD, Seen(BAD.subject, "ok", "It runs.", BAD.link, "Çalışıyor.")):
        assert tell(sqlite_store, settings, [state]) == (1, [])
    first, second = mailbox.messages
    assert first["Subject"] == "Hunter: sync_referrals: sorun"
    assert second["Subject"] == "Hunter: sync_referrals: düzeldi"
    assert abs((parsedate_to_datetime(str(first["Date"])) - datetime.now(UTC)).total_seconds()) < 60
    assert str(first["Message-ID"]).endswith("@partner.example>")
    assert first["Message-ID"] != second["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert mailbox.receivers == ["a@partner.example", "b@partner.example"] * 2
    assert "ayse@firma.example" not in first.get_content()
    assert BAD.link in first.get_content()


def test_teams_gets_an_adaptive_card(sqlite_store: Store, tmp_path: Path, inbox: Inbox) -> None:
    settings = load_settings(alerts_file=written(tmp_path, f"targets: [{{name: t, kind: teams, url: '{inbox.url}'}}]"))
    assert tell(sqlite_store, settings, [WARN]) == (1, [])
    (body,) = inbox.bodies
    assert body["type"] == "message"
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert [block["text"] for block in card["body"]] == ["raw_leads.sign_in_lasts: warning", "Nine days left."]
    assert [(action["type"], action["url"]) for action in card["actions"]] == [("Action.OpenUrl", WARN.link)]


def test_a_refused_alert_is_tried_again(sqlite_store: Store, tmp_path: Path, inbox: Inbox) -> None:
    settings = load_settings(
        alerts_file=written(tmp_path, f"targets: [{{name: a, kind: webhook, url: '{inbox.url}'}}]")
    )
    inbox.status = 500
    assert tell(sqlite_store, settings, [BAD])[0] == 0
    inbox.status = 200
    assert tell(sqlite_store, settings, [BAD])[0] == 1


@pytest.mark.parametrize(
    "text",
    [
        "targets: [{name: a, kind: webhook, url: 'http://hooks.example/secret-path'}]",
        "targets: [{name: a, kind: pigeon}]",
        "targets: [{name: a, kind: email, host: m.example, security: none, user: u, sender: s, to: [t]}]",
        "targets: {",
    ],
)
def test_a_faulty_alerts_file_is_refused_without_its_values(tmp_path: Path, text: str) -> None:
    with pytest.raises(AlertsFileError) as refused:
        read_targets(written(tmp_path, text))
    assert "secret-path" not in str(refused.value)


def test_the_shipped_example_can_be_read() -> None:
    path = Path(__file__).parents[2] / "deploy" / "alerts.yaml"
    assert [target.kind for target in read_targets(path)] == ["webhook", "teams", "email"]


def test_failed_runs_and_checks_are_seen_as_they_stand(sqlite_store: Store) -> None:
    spec = dg.AssetCheckSpec("holds", asset="thing")
    broken = {"now": True}

    @dg.asset(check_specs=[spec])
    def thing() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="holds", passed=not broken["now"])])

    @dg.op
    def fails() -> None:
        if broken["now"]:
            raise RuntimeError

    @dg.job
    def work() -> None:
        fails()

    settings = load_settings()
    with dg.DagsterInstance.ephemeral() as instance:
        states = []
        for now in (True, False):
            broken["now"] = now
            work.execute_in_process(instance=instance, raise_on_error=False)
            dg.materialize([thing], instance=instance)
            seen = [
                *runs_seen(instance, sqlite_store, settings, ["work"]),
                *checks_seen(instance, settings, [spec.key]),
            ]
            states.append({item.subject: item.state for item in seen})
            assert all(item.turkish and item.turkish != item.sentence for item in seen)
    assert states == [
        {"run:work": "problem", "check:thing.holds": "problem"},
        {"run:work": "ok", "check:thing.holds": "ok"},
    ]


def test_a_run_that_a_check_stopped_says_what_the_check_found_in_both_languages(sqlite_store: Store) -> None:
    spec = dg.AssetCheckSpec("no_sudden_drop", asset="raw", blocking=True)

    @dg.asset(check_specs=[spec])
    def raw() -> dg.MaterializeResult:
        detail = {"detail": "0 after 600"}
        result = dg.AssetCheckResult(check_name="no_sudden_drop", passed=False, metadata=detail)
        return dg.MaterializeResult(check_results=[result])

    @dg.asset(deps=[raw])
    def below() -> None:
        return

    job = dg.Definitions([raw, below], jobs=[dg.define_asset_job("work")]).resolve_job_def("work")
    with dg.DagsterInstance.ephemeral() as instance:
        assert not job.execute_in_process(instance=instance, raise_on_error=False).success
        (seen,) = runs_seen(instance, sqlite_store, load_settings(), ["work"])
    assert "far fewer referrals" in seen.sentence
    assert seen.sentence.endswith("(detail 0 after 600).")
    assert "yönlendirme" in seen.turkish
    assert seen.turkish.endswith("(ayrıntı 0 after 600).")


def test_an_asset_that_nothing_brings_up_to_date_is_told_once_and_once_when_it_is_fresh(
    sqlite_store: Store, tmp_path: Path, inbox: Inbox
) -> None:
    """As when somebody switched a schedule off: no run fails and no check does."""
    settings = load_settings(
        alerts_file=written(tmp_path, f"targets: [{{name: a, kind: webhook, url: '{inbox.url}', language: tr}}]")
    )
    key = dg.AssetKey("dynamics_changes")
    before = FreshnessState.UNKNOWN
    with dg.DagsterInstance.ephemeral() as instance:
        assert list(freshness_seen(instance, settings, [key])) == []
        for now in ("PASS", "WARN", "FAIL", "PASS"):
            change = FreshnessStateChange(
                key=key, new_state=FreshnessState(now), previous_state=before, state_change_timestamp=time.time()
            )
            instance.report_runless_asset_event(change)
            for _ in range(2):
                tell(sqlite_store, settings, freshness_seen(instance, settings, [key]))
            before = FreshnessState(now)
    assert [body["level"] for body in inbox.bodies] == ["warning", "problem", "recovered"]
    assert inbox.bodies[0]["sentence"].startswith("dynamics_changes tazelik")


def test_every_check_there_is_has_its_words() -> None:
    checks = [name for asset in build_defs(load_settings()).assets or () if isinstance(asset, dg.AssetsDefinition)
              for name in (key.name for key in asset.check_keys)]  # fmt: skip
    assert set(checks) == set(FAILED)


def test_dropped_files_are_taken_once_and_refused_ones_told(sqlite_store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "leads.csv").write_text("domain;name\nfirma.example;Firma A.Ş.\n", encoding="utf-8")
    (folder / "empty.csv").write_text("", encoding="utf-8")
    (folder / "growing.csv").write_text("domain\n", encoding="utf-8")
    (folder / ".hidden.csv").write_text("domain\nx.example\n", encoding="utf-8")
    for name in ("leads.csv", "empty.csv"):
        os.utime(folder / name, (time.time() - 60, time.time() - 60))
    settings = load_settings(import_folder=folder)
    refused = take_files(sqlite_store, settings)
    assert len(refused) == 1
    assert refused[0].startswith("empty.csv: ")
    assert (folder / "imported" / "leads.csv").exists()
    assert (folder / "refused" / "empty.csv.reason.txt").read_text()
    assert (folder / "growing.csv").exists()
    assert len(waiting_imports(sqlite_store)) == 1
    assert take_files(sqlite_store, settings) == []
    assert len(waiting_imports(sqlite_store)) == 1


def test_files_that_could_not_be_put_aside_are_not_taken(sqlite_store: Store, tmp_path: Path) -> None:
    """They would be taken again at every tick, each time as another import."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "imported").write_text("in the place of the folder")
    file = folder / "leads.csv"
    file.write_text("domain\nfirst.example\n", encoding="utf-8")
    os.utime(file, (time.time() - 60, time.time() - 60))
    settings = load_settings(import_folder=folder)
    for _ in range(2):
        (told,) = take_files(sqlite_store, settings)
        assert "can't be written to" in told
    assert waiting_imports(sqlite_store) == []
    (folder / "imported").unlink()
    assert take_files(sqlite_store, settings) == []
    assert len(waiting_imports(sqlite_store)) == 1


def test_a_file_that_can_not_be_kept_waits_and_holds_up_no_other(sqlite_store: Store, tmp_path: Path) -> None:
    folder, home = tmp_path / "inbox", tmp_path / "kept"
    folder.mkdir()
    home.mkdir()
    for number, name in enumerate(("first.csv", "second.csv")):
        (folder / name).write_text(f"domain\nf{number}.example\n", encoding="utf-8")
        os.utime(folder / name, (time.time() - 60 + number, time.time() - 60 + number))
    # In the place of the folder that received files go to.
    (home / "imports").write_text("")
    settings = load_settings(import_folder=folder, home=home)
    told = take_files(sqlite_store, settings)
    assert ["stays" in sentence for sentence in told] == [True, True]
    (home / "imports").unlink()
    assert take_files(sqlite_store, settings) == []
    assert len(waiting_imports(sqlite_store)) == 2
    assert sorted(path.name for path in (folder / "imported").iterdir()) == ["first.csv", "second.csv"]


def test_materializing_without_a_named_file_imports_those_of_the_folder_that_wait(tmp_path: Path) -> None:
    settings = load_settings(import_folder=tmp_path)
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text(f"domain;name\n{name}.example;Firma {name}\n", encoding="utf-8")
        os.utime(tmp_path / f"{name}.csv", (time.time() - 60, time.time() - 60))
    store = Store(settings.store_url)
    try:
        upgrade(store)
        take_files(store, settings)
        for expected in (2, 0):
            done = dg.materialize([import_file], resources={"engine": Engine()})
            assert done.success
            (made,) = done.asset_materializations_for_node("import_file")
            assert made.metadata["rows"].value == expected
            assert waiting_imports(store) == []
    finally:
        store.close()
