"""Erasure, looked at from outside: no table, no file and no event log holds the person afterwards, nor after the next
sync and the next import, which both still bring the person along."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import text

from hunter_orchestration.sandbox.running import RunningSandbox, running_sandbox
from hunter_orchestration.store import Store
from hunter_orchestration.store.erasing import PLACES
from hunter_orchestration.store.work import utc_now
from hunter_orchestration_tests.end_to_end.journey import row

pytestmark = pytest.mark.slow

ADDRESS = "nilgun.erdogdu@kayip-firma.example"
TRACES = (ADDRESS, "nilgun.erdogdu", "Erdoğdu", "Nilgün", "+902325559876")
COLLEAGUE = "baki.kalan@kayip-firma.example"

_ENGINE = """
import dagster as dg
from hunter_orchestration.definitions import defs
from hunter_orchestration.defs.partitions import TICK, range_tags
from hunter_orchestration.store.work import utc_now

today = utc_now().date()
with dg.DagsterInstance.get() as instance:
    for name, tags in (("sync_referrals", range_tags(today, today)), ("pull_dynamics", {})):
        job = defs.resolve_job_def(name)
        assert job.execute_in_process(instance=instance, tags={**tags, TICK: "1"}).success
"""


@pytest.fixture(scope="module")
def box() -> Iterator[RunningSandbox]:
    """Partner Center with a referral that names the person."""
    with running_sandbox(companies=3) as started:
        started.call("POST", "/dataverse/prepare", {})
        person = {"firstName": "Nilgün", "lastName": "Erdoğdu", "email": ADDRESS, "phoneNumber": "+902325559876"}
        colleague = {"firstName": "Baki", "lastName": "Kalan", "email": COLLEAGUE, "phoneNumber": None}
        profile = {"name": "Kayıp Firma A.Ş.", "team": [person, colleague], "ids": []}
        details = {"dealValue": 5000, "currency": "EUR", "notes": f"Nilgün Erdoğdu ({ADDRESS}) waits for a call."}
        started.add_referral(kind="cosell_in_active", changes={"customerProfile": profile, "details": details})
        yield started


class Place:
    """One HUNTER_HOME with Dagster's storage in it, and the commands that work on it."""

    def __init__(self, box: RunningSandbox, store: Store, home: Path) -> None:
        self.store, self.home = store, home
        (home / "dagster").mkdir(parents=True)
        (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        self.environment = {
            **os.environ,
            **box.settings(),
            "HUNTER_REFRESH_TOKEN": box.refresh_token(),
            "HUNTER_HOME": str(home),
            "HUNTER_DATABASE_URL": store.url.render_as_string(hide_password=False),
            "HUNTER_ENVIRONMENT": "development",
            "HUNTER_PARTNER_CENTER_ENABLED": "true",
            "HUNTER_DYNAMICS_ENABLED": "true",
            "HUNTER_FIRST_DAY": (utc_now().date() - timedelta(days=1)).isoformat(),
            "DAGSTER_HOME": str(home / "dagster"),
        }

    def run(self, *command: str) -> str:
        """Run it; its output goes to a log below HUNTER_HOME as a service's does."""
        done = subprocess.run(command, env=self.environment, cwd=self.home, capture_output=True, timeout=180)
        (self.home / "service.log").open("ab").write(done.stdout + done.stderr)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        return done.stdout.decode()

    def engine(self) -> None:
        """The whole chain and the way back, as Dagster runs them."""
        self.run(sys.executable, "-c", _ENGINE)

    def hunter(self, *words: str) -> str:
        """A command."""
        return self.run(sys.executable, "-c", "from hunter_orchestration.cli import main; main()", *words)

    def holding(self, trace: str) -> list[str]:
        """Files and tables that hold a text, in its own letters or as JSON escapes them."""
        forms = {trace.encode(), trace.lower().encode(), trace.encode("unicode_escape")}
        found = [
            str(path.relative_to(self.home))
            for path in self.home.parent.rglob("*")
            if path.is_file() and any(form in path.read_bytes() for form in forms)
        ]
        if self.store.dialect == "postgresql":
            found += [name for name, content in self._dump() if any(form in content for form in forms)]
        return found

    def never_vacuumed(self) -> set[str]:
        """Tables of which PostgreSQL may still keep the versions of rows that an erasure replaced."""
        if self.store.dialect == "sqlite":
            return set()
        query = text("SELECT relname FROM pg_stat_user_tables WHERE last_vacuum IS NULL")
        with self.store.read() as connection:
            return set(connection.execute(query).scalars()) & {"contacts", "leads", *(place.name for place in PLACES)}

    def _dump(self) -> Iterator[tuple[str, bytes]]:
        url = self.store.url
        import io

        with psycopg2.connect(host=url.host, port=url.port, user=url.username, dbname=url.database) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (name,) in cursor.fetchall():
                text = io.BytesIO()
                cursor.copy_expert(f'COPY "{name}" TO STDOUT', text)
                yield name, text.getvalue()
        connection.close()


@pytest.fixture
def place(box: RunningSandbox, store_url: str, tmp_path: Path) -> Iterator[Place]:
    """HUNTER_HOME holds everything, the database file too where there is one."""
    home = tmp_path / "all" / "home"
    url = store_url if store_url.startswith("postgresql") else f"sqlite:///{home / 'hunter.db'}"
    home.mkdir(parents=True)
    store = Store(url)
    yield Place(box, store, home)
    store.close()


def _erase_in_the_crm(box: RunningSandbox) -> None:
    """What is in the CRM goes by the CRM's own process; whatever stays there is read back again."""
    rows = "/dataverse/tables/{}/rows"
    for contact in box.call("GET", rows.format("contact"), limit=1000)["rows"]:
        if contact["emailaddress1"] == ADDRESS:
            box.call("DELETE", f"{rows.format('contact')}/{contact['contactid']}")
    for lead in box.call("GET", rows.format("lead"), limit=1000)["rows"]:
        if lead["emailaddress1"] == ADDRESS:
            empty = dict.fromkeys(("firstname", "emailaddress1", "telephone1", "jobtitle"))
            box.call("PATCH", f"{rows.format('lead')}/{lead['leadid']}", {**empty, "lastname": "-"})
    for deal in box.call("GET", rows.format("opportunity"), limit=1000)["rows"]:
        if ADDRESS in (deal["description"] or ""):
            box.call("PATCH", f"{rows.format('opportunity')}/{deal['opportunityid']}", {"description": None})


def test_a_forgotten_person_is_in_no_table_file_or_log_and_does_not_come_back(
    place: Place, box: RunningSandbox
) -> None:
    place.engine()
    rows = f"Firma,E-posta,Notlar\nKayıp Firma,{ADDRESS},Nilgün Erdoğdu waits\nKayıp Firma,nothing,{ADDRESS}\n"
    uploaded = place.home.parent.parent / "uploaded.csv"
    uploaded.write_text(rows, encoding="utf-8")
    place.hunter("import", str(uploaded))
    assert all(place.holding(trace) for trace in TRACES[:1])

    place.hunter("forget", ADDRESS, "--yes")
    left = {trace: found for trace in TRACES if (found := place.holding(trace))}
    assert left == {}, left
    assert place.never_vacuumed() == set()
    assert place.holding(COLLEAGUE)

    _erase_in_the_crm(box)
    place.engine()
    place.hunter("import", str(uploaded), "--json")
    left = {trace: found for trace in TRACES if (found := place.holding(trace))}
    assert left == {}, left
    assert place.holding(COLLEAGUE)
    assert row(box, "account", "kayip-firma.example") is not None


def test_a_forgotten_company_is_in_no_table_or_file_and_does_not_come_back(place: Place) -> None:
    """Dagster's own history names domains in samples; it holds no person and ends with its retention."""

    def held() -> list[str]:
        return [name for name in place.holding("kayip-firma.example") if not name.startswith("dagster/history/")]

    place.engine()
    assert held()
    place.hunter("forget", "kayip-firma.example", "--yes")
    assert held() == []
    place.engine()
    assert held() == []
