"""Every benchmark at a size that a laptop bears: ``python -m benchmarks``, or ``make bench``.

Each script runs in a process of its own, one after the other, and prints its figures beside a peer's of the same run:
the ratios hold on any machine, the seconds do not. For real sizes run a script by itself; its first lines say how.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import orjson

from hunter_orchestration.sandbox.running import running_sandbox

FOLDER = Path(__file__).parent
SMALL: dict[str, Sequence[str]] = {
    "sandbox": ["2000"],
    "ingestion": ["--first", "2000", "--sizes", "1000,20000"],
    "companies": ["--referrals", "4000", "--rows", "4000"],
    "scan": [],
    "fuzz_scanner": ["--inputs", "50000"],
    "rescoring": ["--leads", "5000", "--peer-leads", "300"],
    "dynamics": ["1000"],
    "page": ["--leads", "1000", "20000", "--rounds", "20"],
    "paint": ["--leads", "10000", "--visits", "3"],
}
"""Arguments of each script. ``scan`` gets the sandbox's zones and their truth."""
SLOW: dict[str, Sequence[str]] = {"latency": ["--referrals", "6"], "idle": ["--seconds", "120"]}
"""Take minutes, since they wait for the engine's own clock; run with --all."""
_SCANNED = 1500


def _zones(stack: ExitStack) -> list[str]:
    """Domains and a resolver that knows them, for the scanner."""
    box = stack.enter_context(running_sandbox(companies=_SCANNED))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    domains = folder / "domains.txt"
    domains.write_text("\n".join(truth["domain"] for truth in box.truths()) + "\n", encoding="utf-8")
    return [str(domains), "-", box.dns, "--peer-domains", "60", "--rounds", "2", "--stage"]


def main() -> int:
    """Run them; the number of those that failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"only these: {', '.join([*SMALL, *SLOW])}")
    parser.add_argument("--all", action="store_true", help="also those that take minutes")
    parser.add_argument("--json", action="store_true", help="end with one JSON line of what ran")
    options = parser.parse_args()
    known = {**SMALL, **SLOW}
    if unknown := set(options.names) - set(known):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    chosen = options.names or list(known if options.all else SMALL)
    failed, seconds = [], {}
    for name in chosen:
        print(f"\n== {name}", flush=True)
        began = time.monotonic()
        with ExitStack() as stack:
            arguments = _zones(stack) if name == "scan" else known[name]
            command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
            if subprocess.run(command, cwd=FOLDER.parent, check=False).returncode:
                failed.append(name)
        seconds[name] = round(time.monotonic() - began, 1)
    print(f"\n{len(chosen) - len(failed)} of {len(chosen)} benchmarks ran" + (f"; failed: {failed}" if failed else "."))
    if options.json:
        print(orjson.dumps({"seconds": seconds, "failed": failed}).decode())
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
