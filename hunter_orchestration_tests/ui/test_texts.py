"""Both catalogues say the same things, and the page's types hold against the API's description."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from hunter_orchestration.companies.admission import REASONS
from hunter_orchestration.companies.records import FIELDS
from hunter_orchestration.definitions import build_defs
from hunter_orchestration.defs.jobs import CHAIN
from hunter_orchestration.dynamics import fixes
from hunter_orchestration.dynamics.mapping import load_mapping
from hunter_orchestration.dynamics.stage import OUTCOMES
from hunter_orchestration.scanning.dmarc import DmarcState
from hunter_orchestration.scanning.spf import SpfState
from hunter_orchestration.scanning.wire import State
from hunter_orchestration.settings import Settings, load_settings
from hunter_orchestration.store import Store
from hunter_orchestration.web.app import create_app

PAGE = Path(__file__).resolve().parents[2] / "mini-ui"
_ENTRY = re.compile(r'^  (?:"([^"]+)"|(\w+)): (.+),$', re.MULTILINE)


def _catalogue(language: str) -> dict[str, str]:
    text = (PAGE / "src" / "texts" / f"{language}.js").read_text(encoding="utf-8")
    return {quoted or bare: value for quoted, bare, value in _ENTRY.findall(text)}


def _values(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_both_catalogues_hold_the_same_keys() -> None:
    english, turkish = _catalogue("en"), _catalogue("tr")
    assert len(english) > 600
    assert english.keys() == turkish.keys()


def test_both_languages_fill_in_the_same_values() -> None:
    english, turkish = _catalogue("en"), _catalogue("tr")
    assert {key for key in english if _values(english[key]) != _values(turkish[key])} == set()


def test_every_text_asked_for_exists() -> None:
    known = _catalogue("en").keys()
    asked = set()
    for path in (PAGE / "src").rglob("*.js"):
        asked |= set(re.findall(r'\bt\(\s*"([^"]+)"', path.read_text(encoding="utf-8")))
    assert asked - known == set()
    assert len(asked) > 300


def _words(pattern: str, *files: str) -> set[str]:
    product = PAGE.parent / "hunter_orchestration"
    text = "\n".join(path.read_text(encoding="utf-8") for name in files for path in product.glob(name))
    return set(re.findall(pattern, text, re.MULTILINE))


def test_every_code_a_reader_meets_has_words() -> None:
    known = _catalogue("en").keys()
    stages = ("*/stage.py", "partner_center/reading.py", "companies/imports.py", "scanning/extended.py",
              "scanning/picking.py")  # fmt: skip
    counted = _words(r'(?:result|self\.result)\.add\("(\w+)"', *stages, "dynamics/*.py")
    repository = build_defs(load_settings()).get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    columns = {name for table in load_mapping(None).mapping.tables.values() for name in table.fields}
    codes = {
        *(f"count.{name}" for name in {*counted, *OUTCOMES}),
        *(f"job.{name}" for name in jobs),
        *(f"stage.{name}" for name in (*CHAIN, "dynamics_changes", "dynamics_differences", "import_file")),
        *(f"crm_fix.{name}" for name in fixes.WORDS),
        *(f"crm_error.{name}" for name in _words(r'FieldError\(\w+, "(\w+)"', "dynamics/values.py")),
        *(f"crm_field.{name}" for name in columns),
        *(f"domain_rejected.{name}" for name in REASONS),
        *(f"field.{name}" for name in FIELDS),
        *(
            f"finding.{name}"
            for name in (*get_args(SpfState), *get_args(DmarcState), *get_args(State), "null", "nxdomain")
        ),
        *(f"fact.{name}" for name in _words(r'^        "(\w+)": ', "scanning/lookup_services.py")),
        *(
            f"fact.{name}{end}"
            for name in _words(r'"(mta_sts|tls_rpt|bimi)"', "scanning/extended.py")
            for end in ("", "_record")
        ),
    }
    assert len(jobs) > 5
    assert len(counted) > 25
    assert codes - known == set()


def test_no_script_makes_markup_of_text() -> None:
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\.style\s*=")
    wrong = [str(path) for path in (PAGE / "src").rglob("*.js") if forbidden.search(path.read_text(encoding="utf-8"))]
    assert wrong == []


def test_the_page_asks_nothing_of_other_sites() -> None:
    for path in (PAGE / "index.html", *(PAGE / "src").rglob("*.js"), *(PAGE / "styles").rglob("*.css")):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(src|href|url|import|fetch)\s*[=(]?\s*[\"'(]https?://", text), path


def test_the_types_are_made_from_todays_api(sqlite_store: Store) -> None:
    settings = Settings(database_url=sqlite_store.url.render_as_string(False))
    described = json.loads(json.dumps(create_app(settings, store=sqlite_store).openapi()))
    kept = json.loads((PAGE / "openapi.json").read_text(encoding="utf-8"))
    kept["info"].pop("version", None)
    described["info"].pop("version", None)
    assert kept == described


@pytest.mark.slow
def test_the_types_of_the_page_hold() -> None:
    tsc = PAGE / "node_modules" / ".bin" / "tsc"
    if shutil.which("npm") and not tsc.exists():
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=PAGE, check=True, capture_output=True, timeout=300)
    done = subprocess.run(
        [str(tsc), "--project", "jsconfig.json"], cwd=PAGE, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
