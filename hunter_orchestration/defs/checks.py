"""The promises: what each stage must keep, told as asset checks that fail when it does not."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg

from hunter_orchestration.store.work import StageResult

REFERRALS_KEPT = 0.95
DYNAMICS_SYNCED = 0.90
PIPELINE_TRUE = 0.95
SIGN_IN_DAYS = 14
EXPIRING_DAYS = 3


def adds_up(
    asset: str, total: str, *outcomes: str
) -> tuple[dg.AssetCheckSpec, Callable[[StageResult], dg.AssetCheckResult]]:
    """Rows picked equal the rows accounted for."""
    spec = dg.AssetCheckSpec(
        "counts_add_up", asset=asset, description=f"{total} = {' + '.join(outcomes)}: no row is dropped silently."
    )

    def check(result: StageResult) -> dg.AssetCheckResult:
        expected = result.counts.get(total, 0)
        accounted = sum(result.counts.get(name, 0) for name in outcomes)
        return dg.AssetCheckResult(
            check_name=spec.name, passed=expected == accounted, metadata={total: expected, "accounted_for": accounted}
        )

    return spec, check


def share(
    name: str,
    asset: str,
    promise: float,
    description: str,
    measure: Callable[[StageResult], float | None],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> tuple[dg.AssetCheckSpec, Callable[[StageResult], dg.AssetCheckResult]]:
    """A share that must stay above a promise. ``None`` from the measure means nothing was there to be measured."""
    spec = dg.AssetCheckSpec(name, asset=asset, description=description)

    def check(result: StageResult) -> dg.AssetCheckResult:
        value = measure(result)
        shown: dict[str, float | str] = {"promise": promise}
        shown["share"] = "nothing to measure" if value is None else round(value, 4)
        return dg.AssetCheckResult(
            check_name=spec.name, passed=value is None or value > promise, severity=severity, metadata=shown
        )

    return spec, check


def fact_is_false(
    name: str, asset: str, fact: str, description: str, *, blocking: bool = False
) -> tuple[dg.AssetCheckSpec, Callable[[StageResult], dg.AssetCheckResult]]:
    """A fact of the stage that must not be true."""
    spec = dg.AssetCheckSpec(name, asset=asset, description=description, blocking=blocking)

    def check(result: StageResult) -> dg.AssetCheckResult:
        detail = result.facts.get(f"{fact}_detail")
        return dg.AssetCheckResult(
            check_name=spec.name,
            passed=not result.facts.get(fact),
            metadata={"detail": str(detail)} if detail else {},
        )

    return spec, check


def at_most(
    name: str, asset: str, fact: str, most: float, description: str
) -> tuple[dg.AssetCheckSpec, Callable[[StageResult], dg.AssetCheckResult]]:
    """A fact that should not pass a figure; a warning, since a person has to act and nothing downstream is wrong."""
    return _bounded(name, asset, fact, {"most": most}, description, lambda value: value <= most)


def at_least(
    name: str, asset: str, fact: str, least: float, description: str
) -> tuple[dg.AssetCheckSpec, Callable[[StageResult], dg.AssetCheckResult]]:
    """A fact that should not fall below a figure; a warning as ``at_most`` is."""
    return _bounded(name, asset, fact, {"least": least}, description, lambda value: value >= least)


def _bounded(
    name: str, asset: str, fact: str, bound: dict[str, float], description: str, holds: Callable[[float], bool]
) -> tuple[dg.AssetCheckSpec, Callable[[StageResult], dg.AssetCheckResult]]:
    spec = dg.AssetCheckSpec(name, asset=asset, description=description)

    def check(result: StageResult) -> dg.AssetCheckResult:
        value = result.facts.get(fact)
        return dg.AssetCheckResult(
            check_name=spec.name,
            passed=value is None or holds(value),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={**bound, "found": "unknown" if value is None else value},
        )

    return spec, check


def share_of(total: str, *good: str) -> Callable[[StageResult], float | None]:
    """The share of a count that ended well."""

    def measure(result: StageResult) -> float | None:
        rows = result.counts.get(total, 0)
        return sum(result.counts.get(name, 0) for name in good) / rows if rows else None

    return measure


def fact(name: str) -> Callable[[StageResult], float | None]:
    """A share the stage computed itself."""

    def measure(result: StageResult) -> float | None:
        value = result.facts.get(name)
        return None if value is None else float(value)

    return measure
