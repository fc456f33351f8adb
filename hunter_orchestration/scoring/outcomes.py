"""What became of the leads: win rates by category and score band, so that the rules can be argued with figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any

from hunter_orchestration.store import Store, scores

_Z = 1.96
"""Standard deviations of a range that holds the true rate 95 times in 100."""


def outcome_report(store: Store) -> dict[str, Any]:
    """Win rates of the opportunities that Dynamics 365 tells as won or lost.

    Returns:
        decided, won: counts; win_rate: 0 to 1, ``None`` while nothing is decided; by_category (P1 first) and by_band
        (``90-100`` first): [{group, won, lost, win_rate, least, most}], least and most being the 95 % range of the
        rate by Wilson's score interval; contradictions: [{better, worse}] of categories where the one that the rules
        call for first is won less often, by more than chance explains; consistent: whether there are none.
    """
    with store.read() as connection:
        rows = scores.outcomes(connection)
    return report([dict(row) for row in rows])


def report(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``outcome_report`` of counts by ``priority``, ``band``, ``crm_state`` and ``records``."""
    categories: dict[str, Counter[str]] = {}
    bands: dict[int, Counter[str]] = {}
    total: Counter[str] = Counter()
    for row in rows:
        for group in (
            categories.setdefault(row["priority"], Counter()),
            bands.setdefault(row["band"], Counter()),
            total,
        ):
            group[row["crm_state"]] += row["records"]
    by_category = [_told(name, categories[name]) for name in sorted(categories)]
    contradictions = _contradictions(by_category)
    decided = total["won"] + total["lost"]
    return {
        "decided": decided,
        "won": total["won"],
        "win_rate": total["won"] / decided if decided else None,
        "by_category": by_category,
        "by_band": [_told(_band(start), bands[start]) for start in sorted(bands, reverse=True)],
        "contradictions": contradictions,
        "consistent": not contradictions,
    }


def _band(start: int) -> str:
    return f"{start}-{100 if start == 90 else start + 9}"


def _told(group: str, counts: Counter[str]) -> dict[str, Any]:
    won, lost = counts["won"], counts["lost"]
    least, most = _range(won, won + lost)
    return {"group": group, "won": won, "lost": lost, "win_rate": won / (won + lost), "least": least, "most": most}


def _range(won: int, decided: int) -> tuple[float, float]:
    """Wilson (1927): honest for few trials and for rates near 0 and 1, unlike the plain normal range."""
    rate = won / decided
    spread = _Z * sqrt(rate * (1 - rate) / decided + _Z**2 / (4 * decided**2))
    middle, scale = rate + _Z**2 / (2 * decided), 1 + _Z**2 / decided
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def _contradictions(by_category: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [
        {"better": first["group"], "worse": later["group"]}
        for place, first in enumerate(by_category)
        for later in by_category[place + 1 :]
        if first["most"] < later["least"]
    ]
