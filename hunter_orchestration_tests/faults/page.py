"""Writing ``docs/faults.md`` from the results of a test run."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from hunter_orchestration_tests.faults.catalogue import FAULTS, INVARIANTS, Fault

_FOLDER = "hunter_orchestration_tests/"


class Results:
    """Outcomes of test cases by test function, as ``file::function`` below the tests' folder."""

    def __init__(self) -> None:
        self._cases: dict[str, dict[str, bool]] = defaultdict(dict)

    def add(self, node_id: str, *, passed: bool) -> None:
        """Note a case; a case that failed in any of its phases has failed."""
        function, _, case = node_id.removeprefix(_FOLDER).partition("[")
        self._cases[function][case] = passed and self._cases[function].get(case, True)

    def of(self, fault: Fault) -> tuple[int, int, list[str]]:
        """(cases passed, cases run, proofs that did not run) of a fault."""
        cases = [passed for proof in fault.proofs for passed in self._cases.get(proof, {}).values()]
        return sum(cases), len(cases), [proof for proof in fault.proofs if proof not in self._cases]


class FaultsPage:
    """A pytest plugin that writes the page when the run has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results = Results()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what ran; a failing set-up or tear-down counts against its test."""
        if report.when == "call" or report.failed:
            self._results.add(report.nodeid, passed=report.passed)

    def pytest_sessionfinish(self) -> None:
        """Write."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(written(self._results), encoding="utf-8")


def written(results: Results) -> str:
    """The page."""
    lines = [
        "# Faults Hunter survives",
        "",
        "This page is written by the test suite: `.venv/bin/pytest --faults-page docs/faults.md`.",
        "",
        "After every fault one checker looks at the store, at Partner Center and at what Dynamics really holds:",
        "",
        *(f"- {name}: {text}" for name, text in INVARIANTS.items()),
        "",
        "| # | What happens | What Hunter does | Result | Cases | Proved by |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_line(fault, results) for fault in FAULTS]
    return "\n".join(lines) + "\n"


def _line(fault: Fault, results: Results) -> str:
    passed, run, missing = results.of(fault)
    if run == 0:
        result, cases = "not run", "0"
    elif passed < run:
        result, cases = "**failed**", f"{passed} of {run} cases passed"
    else:
        result = "survived" if not missing else "survived as far as run"
        cases = f"{run}" if not missing else f"{run}, {len(missing)} tests not run"
    proofs = "<br>".join(f"`{proof}`" for proof in fault.proofs)
    return f"| {fault.number} | {fault.happens} | {fault.outcome} | {result} | {cases} | {proofs} |"
