"""What another answer would make of a lead, and which other rules would make of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scoring.engine import Inputs, Score, remembered, score
from hunter_orchestration.scoring.rules import PROVIDERS, Rules
from hunter_orchestration.store import Store, scores

_CHUNK = 5000
_NAMES = frozenset(field.name for field in fields(Inputs))
_POLICIES = ("reject", "quarantine", "none", "absent", None)


class InputsError(PermanentError):
    """The inputs of a score are not of the contract's form."""


def checked_inputs(values: Mapping[str, Any]) -> Inputs:
    """Inputs from a JSON object. What is missing or null is unknown; of the last three it is none, or no.

    Raises:
        InputsError: a name is unknown or missing, or a value is not one the scoring contract knows.
    """
    unknown = set(values) - _NAMES
    if unknown:
        raise InputsError(f"No such input: {', '.join(sorted(unknown))}.", f"Known: {', '.join(sorted(_NAMES))}.")
    if "provider" not in values:
        raise InputsError("The input provider is missing.")
    given = {name: value for name, value in values.items() if value is not None or name == "provider"}
    inputs = Inputs(**{"mx": None, "spf": None, "dkim": None, "dmarc": None, **given})
    if inputs.provider not in PROVIDERS:
        raise InputsError(f"No such provider: {inputs.provider!r}.", f"Known: {', '.join(PROVIDERS)}.")
    if inputs.dmarc not in _POLICIES:
        raise InputsError(f"No such DMARC state: {inputs.dmarc!r}.", "Known: reject, quarantine, none, absent, null.")
    for name in ("mx", "spf", "dkim", "tenant_known", "co_sell"):
        # By type: 1 and 0 equal true and false, yet are not what the rules ask for.
        if not isinstance(getattr(inputs, name), bool | None):
            raise InputsError(f"{name} must be true, false or null.")
    if isinstance(inputs.spf_includes, bool) or not isinstance(inputs.spf_includes, int) or inputs.spf_includes < 0:
        raise InputsError("spf_includes must be a whole number from 0.")
    return inputs


def compare(stored: Mapping[str, Any], changes: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """The score now and with some inputs changed; a change to nothing makes an input unknown.

    Raises:
        InputsError: a change is not one the scoring contract knows.
    """
    now = score(checked_inputs(stored), rules)
    changed = {**stored, **changes}
    then = score(checked_inputs({**changed, "provider": changed["provider"] or "Unknown"}), rules)
    return {"now": _told(now), "then": _told(then), "difference": then.score - now.score}


def _told(outcome: Score) -> dict[str, Any]:
    return {
        "score": outcome.score,
        "priority": outcome.priority_category,
        "segment": outcome.segment,
        "commercial_segment": outcome.commercial_segment,
        "breakdown": [point.stored() for point in outcome.breakdown],
    }


_Words = tuple[str, str]
_STEPS: tuple[tuple[str, Any, _Words, _Words], ...] = (
    ("spf", True, ("If SPF is set up", "SPF kurulursa"),
     ("If SPF turns out to be there", "SPF'in var olduğu anlaşılırsa")),
    ("spf", False, ("", ""), ("If SPF turns out to be missing", "SPF'in olmadığı anlaşılırsa")),
    ("dkim", True, ("If DKIM is set up", "DKIM kurulursa"),
     ("If DKIM turns out to be there", "DKIM'in var olduğu anlaşılırsa")),
    ("dkim", False, ("", ""), ("If DKIM turns out to be missing", "DKIM'in olmadığı anlaşılırsa")),
    ("dmarc", "quarantine", ("If DMARC is set to quarantine", "DMARC karantinaya (quarantine) alınırsa"),
     ("If DMARC turns out to quarantine", "DMARC'ın karantinaya aldığı anlaşılırsa")),
    ("dmarc", "reject", ("If DMARC is set to reject", "DMARC redde (reject) çekilirse"),
     ("If DMARC turns out to reject", "DMARC'ın reddettiği anlaşılırsa")),
    ("dmarc", "none", ("", ""), ("If DMARC turns out to be p=none", "DMARC'ın p=none olduğu anlaşılırsa")),
    ("tenant_known", True, ("If a Microsoft tenant becomes known", "Microsoft kiracısı öğrenilirse"), ("", "")),
    ("co_sell", True, ("If a co-sell referral is opened", "Ortak satış yönlendirmesi açılırsa"), ("", "")),
    ("co_sell", False, ("If the co-sell referral is closed", "Ortak satış yönlendirmesi kapanırsa"), ("", "")),
    ("provider", "M365", ("If mail moves to Microsoft 365", "E-posta Microsoft 365'e taşınırsa"),
     ("If mail turns out to be on Microsoft 365", "E-postanın Microsoft 365'te olduğu anlaşılırsa")),
    ("mx", False, ("", ""), ("If there turns out to be no mail", "E-posta almadığı anlaşılırsa")),
)  # fmt: skip
"""What could become of an input: its name, the answer, the words where another answer is known, and where none is.

Without words it is no step: nobody takes protection away, and what is known doesn't turn out to be otherwise.
"""
_STRICTNESS = ("absent", "none", "quarantine", "reject")


def moves(inputs: Inputs, rules: Rules) -> list[dict[str, Any]]:
    """What would move this lead, the largest step first: each change, the score it leads to, the words for it."""
    now = score(inputs, rules)
    found = []
    for change, (english, turkish) in _steps(inputs, rules):
        then = score(replace(inputs, **change), rules)
        if (then.score, then.priority_category) != (now.score, now.priority_category):
            found.append(
                {
                    "change": change,
                    "score": then.score,
                    "difference": then.score - now.score,
                    "priority": then.priority_category,
                    "text": {"en": english, "tr": turkish},
                }
            )
    return sorted(found, key=lambda move: -abs(int(move["difference"])))


def _steps(inputs: Inputs, rules: Rules) -> Iterator[tuple[dict[str, Any], _Words]]:
    for name, answer, known, unknown in _STEPS:
        now = getattr(inputs, name)
        open_provider = name == "provider" and now == "Unknown" and inputs.mx is not False
        words = unknown if now is None or open_provider else known
        looser = name == "dmarc" and now is not None and _STRICTNESS.index(answer) < _STRICTNESS.index(now)
        if not words[0] or now == answer or looser:
            continue
        change = {name: answer}
        if name == "provider":
            # Whoever holds the mailboxes receives mail.
            change["mx"] = True
        elif name == "spf" and now is None:
            change["spf_includes"] = 0
        yield change, words
    most = rules.points.many_spf_includes.more_than
    if inputs.spf and inputs.spf_includes > most:
        words = f"If SPF has at most {most} includes", f"SPF'teki include sayısı en çok {most} olursa"
        yield {"spf_includes": most}, words


@dataclass(frozen=True, slots=True)
class RulesDifference:
    """What other rules would do: leads by (category now, category then), and how many scores would change."""

    leads: int
    changed_category: int
    changed_score: int
    table: dict[tuple[str, str], int]


def difference(store: Store, new: Rules) -> RulesDifference:
    """Score all leads with other rules without writing anything."""
    table: Counter[tuple[str, str]] = Counter()
    changed_score = 0
    scored = remembered(new)
    after = ""
    while True:
        with store.read() as connection:
            rows = scores.all_inputs(connection, after, _CHUNK)
        if not rows:
            break
        for row in rows:
            _, then = scored(Inputs(**row["inputs"]))
            table[row["priority"], then.priority_category] += 1
            changed_score += then.score != row["score"]
        after = rows[-1]["domain"]
    total = sum(table.values())
    moved = sum(count for (before, then), count in table.items() if before != then)
    return RulesDifference(total, moved, changed_score, dict(table))
