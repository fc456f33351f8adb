"""The stage ``lead_scores``: scores what is due, writes what moved, tells the CRM stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from hunter_orchestration import crash_points
from hunter_orchestration.scanning.findings import inputs_of
from hunter_orchestration.scoring.engine import Inputs, Score, remembered
from hunter_orchestration.scoring.rules import Rules, rules_in_force
from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Connection, Store, leads, runs, scores
from hunter_orchestration.store.upsert import chunks
from hunter_orchestration.store.work import Progress, StageResult, Window, utc_now

_CHUNK = 1000
_SAMPLE = 10


def inputs_from(row: Any) -> Inputs:
    """Inputs of a company from its stored facts.

    A tenant counts as known when a business source states it, or when a discovered one agrees with a mail tell
    (the domains contract, last section).
    """
    facts = inputs_of(row)
    return Inputs(
        provider=facts["provider"],
        mx=facts["mx"],
        spf=facts["spf"],
        dkim=facts["dkim"],
        dmarc=facts["dmarc"],
        spf_includes=facts["spf_includes"] or 0,
        tenant_known=bool(row["stated_tenant_id"] or row["tenant_agrees"]),
        co_sell=bool(row["has_open_co_sell"]),
    )


def run(
    store: Store,
    settings: Settings,
    *,
    window: Window | None = None,
    domains: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> StageResult:
    """Score the companies that are due, those active in a window, or named ones.

    Counts: ``picked`` = ``changed`` + ``unchanged`` + ``unscanned``. A company without a scan gets no score; its
    first scan makes it due again. A score whose inputs and rules are the same is not written. Rules that changed make
    every company due, except in a run for named ones.

    Raises:
        RulesError: the rules file can't be used; nothing was scored.
    """
    rules = rules_in_force(settings.rules_file)
    result = StageResult(counts={"picked": 0, "changed": 0, "unchanged": 0, "unscanned": 0})
    result.facts["rules_version"] = rules.stamp
    if domains is None:
        with store.write() as connection:
            result.facts["rescored_for_rules"] = scores.mark_other_rules(connection, rules.stamp, utc_now())
    scored = remembered(rules)
    done = 0
    for rows in _work(store, window, domains):
        crash_points.reach("before_score")
        with store.write() as connection:
            _commit(connection, rows, rules, scored, result)
        done += len(rows)
        if progress:
            progress(done, None)
    return result


def _work(store: Store, window: Window | None, domains: Iterable[str] | None) -> Iterator[Sequence[Any]]:
    if domains is not None:
        for names in chunks(dict.fromkeys(domains), _CHUNK):
            with store.read() as connection:
                yield scores.of_domains(connection, names)
        return
    after = ""
    while True:
        with store.read() as connection:
            rows = scores.of_window(connection, window, after, _CHUNK) if window else scores.due(connection, _CHUNK)
        if not rows:
            return
        after = rows[-1]["domain"]
        yield rows


def _commit(
    connection: Connection,
    rows: Sequence[Any],
    rules: Rules,
    scored: Callable[[Inputs], tuple[str, Score]],
    result: StageResult,
) -> None:
    now = utc_now()
    written: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    for row in rows:
        result.add("picked")
        if row["scan_id"] is None or row["merged_into"]:
            result.add("unscanned")
            continue
        inputs = inputs_from(row)
        digest, outcome = scored(inputs)
        if row["input_hash"] == digest and row["rules_version"] == rules.stamp:
            result.add("unchanged")
            continue
        result.add("changed")
        has_moved = (row["score"], row["priority"]) != (outcome.score, outcome.priority_category)
        if has_moved:
            moved.append(_history(row["domain"], outcome, rules, now))
        written.append(_row(row, inputs, digest, outcome, rules, now, has_moved))
        if len(result.sample) < _SAMPLE:
            result.sample.append(
                {"domain": row["domain"], "score": outcome.score, "priority": outcome.priority_category,
                 "segment": outcome.segment, "provider": outcome.provider}
            )  # fmt: skip
    crash_points.reach("after_score")
    scores.save(connection, written, moved)
    scores.clear_due(connection, {row["domain"]: row["score_due_at"] for row in rows if row["score_due_at"]})
    changed = [row["domain"] for row in written]
    scores.mark_push_due(connection, changed, now)
    leads.refresh_scored(connection, changed)
    if changed:
        runs.emit(connection, "leads_changed", None, {"stage": "lead_scores", "count": len(changed)})


def _history(domain: str, outcome: Score, rules: Rules, now: datetime) -> dict[str, Any]:
    return {
        "domain": domain,
        "at": now,
        "score": outcome.score,
        "priority": outcome.priority_category,
        "rules_version": rules.stamp,
    }


def _row(
    row: Any, inputs: Inputs, digest: str, outcome: Score, rules: Rules, now: datetime, has_moved: bool
) -> dict[str, Any]:
    return {
        "domain": row["domain"],
        "rules_version": rules.stamp,
        "input_hash": digest,
        "inputs": inputs.stored(),
        "provider": outcome.provider,
        "score": outcome.score,
        "complete": outcome.complete,
        "segment": outcome.segment,
        "technical_heat": outcome.technical_heat,
        "commercial_segment": outcome.commercial_segment,
        "commercial_heat": outcome.commercial_heat,
        "priority": outcome.priority_category,
        "priority_label": outcome.priority_label,
        "breakdown": [point.stored() for point in outcome.breakdown],
        "scored_at": now,
        "changed_at": now if has_moved or row["score_changed_at"] is None else row["score_changed_at"],
        "priority_since": row["priority_since"] if row["priority"] == outcome.priority_category else now,
    }
