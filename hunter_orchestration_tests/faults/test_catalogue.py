"""The catalogue of faults is whole, and every test it names exists."""

from __future__ import annotations

import ast
from pathlib import Path

from hunter_orchestration.crash_points import NAMES
from hunter_orchestration_tests.faults.catalogue import FAULTS
from hunter_orchestration_tests.faults.page import Results, written

TESTS = Path(__file__).resolve().parents[1]
SOURCES = TESTS.parent / "hunter_orchestration"


def test_every_fault_has_proofs_and_every_named_test_exists() -> None:
    assert [fault.number for fault in FAULTS] == list(range(1, 31))
    known: dict[str, set[str]] = {}
    for fault in FAULTS:
        assert fault.proofs, fault.number
        for proof in fault.proofs:
            file, _, name = proof.partition("::")
            if file not in known:
                tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
                known[file] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
                imported = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
                known[file] |= {alias.name for node in imported for alias in node.names}
            assert name in known[file], f"fault {fault.number} names {proof}, which does not exist"


def test_every_named_crash_point_is_reached_by_the_code() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py"))
    assert [name for name in NAMES if f'reach("{name}")' not in source] == []


def test_the_page_tells_what_passed_failed_and_did_not_run() -> None:
    results = Results()
    first, second = FAULTS[0].proofs
    prefix = "hunter_orchestration_tests/"
    results.add(f"{prefix}{first}[sqlite]", passed=True)
    results.add(f"{prefix}{first}[postgresql]", passed=True)
    results.add(f"{prefix}{second}", passed=False)
    results.add(f"{prefix}{FAULTS[2].proofs[0]}", passed=True)
    page = written(results)
    line = {row.split(" | ")[0].lstrip("| "): row for row in page.splitlines() if row.startswith("| ")}
    assert "failed" in line["1"]
    assert "2 of 3 cases passed" in line["1"]
    assert "survived" in line["3"]
    assert "not run" in line["4"]
