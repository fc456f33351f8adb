"""Named places where a test kills the process, to prove that the next run finishes what this one began.

A place is a no-op unless ``HUNTER_CRASH_AT`` named it when the process started: ``name``, or ``name:3`` for the third
time it is reached. It is not a setting: nobody turns it on in production.
"""

from __future__ import annotations

import os
import signal

NAMES: dict[str, str] = {
    "after_fetch": "a page of referrals has come, nothing of it is stored",
    "before_store": "payloads are about to be committed",
    "after_store": "payloads are committed, the referrals are not read",
    "before_scan": "companies are due for a scan, none is looked up",
    "after_scan": "findings are there, not committed",
    "before_score": "companies are picked, none is scored",
    "after_score": "scores are computed, not committed",
    "before_push": "companies are picked, nothing is marked or sent",
    "push_announced": "new records are entered as pending, none is marked or sent",
    "push_marked": "records are marked in progress and audited, nothing is sent",
    "push_sent": "the CRM has answered, the ledger doesn't know",
    "push_acknowledged": "the ledger knows, the company is still due",
    "pull_read": "a page of changes has come, nothing of it is stored",
}
"""Every place, and what is true there."""

_name, _, _times = os.environ.get("HUNTER_CRASH_AT", "").partition(":")
_left = int(_times) if _times.isdigit() else 1


def reach(name: str) -> None:
    """Kill this process without any clean-up if this is the place asked for."""
    global _left
    if name != _name:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
