"""How the engine is, as codes and figures that the page turns into a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, SecretStr

from hunter_orchestration.settings import Settings
from hunter_orchestration.store import StoreError, page_figures
from hunter_orchestration.store.migrate import is_current
from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web.context import Context, Hunter, Viewer

router = APIRouter(tags=["status"])

_LONGEST_RUN = timedelta(hours=6)
_KEY_WORDS = ("secret", "token", "key", "password")
_PRIVATE = frozenset({"database_url"})


class HealthCode(BaseModel):
    """One thing worth saying, with the figures of its sentence."""

    code: str = Field(examples=["synced"])
    at: datetime | None = None
    run_id: str | None = None
    count: int | None = None
    error: str | None = None


class Health(BaseModel):
    """How the engine is; the first code matters most."""

    level: Literal["ok", "warning", "problem"]
    codes: list[HealthCode]


class PartnerCenterStatus(BaseModel):
    """Referrals in."""

    enabled: bool
    write_back: bool
    last_success_at: datetime | None
    last_state: Literal["succeeded", "failed", "running", "never"]
    last_error: str | None
    watermark: str | None
    next_at: datetime | None
    interval_seconds: int
    fresh: bool


class DynamicsHealth(BaseModel):
    """Leads out."""

    enabled: bool
    url: str | None
    last_success_at: datetime | None
    last_state: Literal["succeeded", "failed", "running", "never"]
    last_error: str | None


class Engine(BaseModel):
    """Dagster."""

    up: bool
    url: str


class Running(BaseModel):
    """A stage at work."""

    kind: str
    run_id: str | None
    started_at: datetime


class Can(BaseModel):
    """What this person may do."""

    act: bool
    export: bool
    admin: bool


class User(BaseModel):
    """Who is asking."""

    name: str
    role: str
    signed_in: bool
    can: Can


class Setting(BaseModel):
    """A setting, without secrets."""

    name: str
    value: str
    description: str


class Status(BaseModel):
    """How the engine is."""

    mode: Literal["demo", "production"]
    environment: str
    version: str
    rules_version: str | None
    health: Health
    partner_center: PartnerCenterStatus
    dynamics: DynamicsHealth
    engine: Engine
    running: list[Running]
    user: User
    counts: dict[str, int]
    last_event_id: int
    settings: list[Setting]


@router.get("/status", summary="How the engine is")
def status(hunter: Hunter, person: Viewer) -> Status:
    """Last sync, freshness, next tick, flags, versions, who is signed in."""
    settings, now = hunter.settings, utc_now()
    up = hunter.kept.get("engine", "", hunter.dagster.is_up)
    with hunter.read() as connection:
        version_now = page_figures.data_version(connection)
        counts = hunter.kept.get("counts", version_now, lambda: page_figures.counts(connection))
        soon, _today = page_figures.expiring(connection, now, 3, now)
        runs = page_figures.last_runs(connection, ("raw_leads", "dynamics_records"))
        mark = page_figures.watermark(connection, "partnercenter")
        running = page_figures.running(connection, now - _LONGEST_RUN)
        rules = page_figures.rules_version(connection)
        last_event = page_figures.last_event_id(connection)
    pulled, pushed = runs["raw_leads"], runs["dynamics_records"]
    pulls = settings.partner_center_enabled or settings.demo
    # A tick without changes records no run; the watermark's own stamp and the last run together are the last contact.
    contact = _latest(_at(pulled.get("success")), mark["updated_at"] if mark is not None else None)
    partner_center = PartnerCenterStatus(
        enabled=pulls,
        write_back=settings.partner_center_write_back,
        last_success_at=contact,
        last_state=_state(pulled.get("last")),
        last_error=_error(pulled.get("last")),
        watermark=mark["value"] if mark is not None else None,
        next_at=_next_tick(now, settings) if pulls and up else None,
        interval_seconds=int(settings.poll_interval.total_seconds()),
        fresh=_state(pulled.get("last")) != "failed" and contact is not None,
    )
    dynamics = DynamicsHealth(
        enabled=settings.dynamics_enabled,
        url=settings.dynamics_url or None,
        last_success_at=_at(pushed.get("success")),
        last_state=_state(pushed.get("last")),
        last_error=_error(pushed.get("last")),
    )
    return Status(
        mode="demo" if settings.demo else "production",
        environment=settings.environment,
        version=version("hunter-orchestration"),
        rules_version=rules,
        health=_health(partner_center, dynamics, up, counts | {"expiring": soon}, running),
        partner_center=partner_center,
        dynamics=dynamics,
        engine=Engine(up=up, url=settings.dagster_base_url),
        running=[Running(kind=row["kind"], run_id=row["run_id"], started_at=row["started_at"]) for row in running],
        user=User(
            name=person.name,
            role=person.role,
            signed_in=person.signed_in,
            can=Can(act=person.may("seller"), export=person.may("seller"), admin=person.may("admin")),
        ),
        counts=counts,
        last_event_id=last_event,
        settings=shown_settings(settings) if person.may("admin") else [],
    )


def _health(
    pulled: PartnerCenterStatus, pushed: DynamicsHealth, up: bool, counts: Mapping[str, int], running: Any
) -> Health:
    problems: list[HealthCode] = []
    warnings: list[HealthCode] = []
    said: list[HealthCode] = []
    if not up:
        problems.append(HealthCode(code="engine_down"))
    if not pulled.enabled:
        warnings.append(HealthCode(code="partner_center_off"))
    elif pulled.last_state == "failed":
        problems.append(HealthCode(code="sync_failed", error=pulled.last_error, at=pulled.last_success_at))
    elif pulled.last_success_at is None:
        warnings.append(HealthCode(code="never_synced"))
    if pushed.enabled and pushed.last_state == "failed":
        problems.append(HealthCode(code="dynamics_failed", error=pushed.last_error, at=pushed.last_success_at))
    warnings += [
        HealthCode(code=name, count=counts[name])
        for name in ("expiring", "conflicts", "rejects", "quarantine")
        if counts.get(name)
    ]
    said += [HealthCode(code="syncing", run_id=row["run_id"], at=row["started_at"]) for row in running[:1]]
    if pulled.last_success_at is not None:
        said.append(HealthCode(code="synced", at=pulled.last_success_at))
    if not pushed.enabled:
        said.append(HealthCode(code="dynamics_off"))
    elif pushed.last_success_at is not None:
        said.append(HealthCode(code="dynamics_synced", at=pushed.last_success_at))
    level: Literal["ok", "warning", "problem"] = "problem" if problems else "warning" if warnings else "ok"
    return Health(level=level, codes=[*problems, *warnings, *said])


def _latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def _at(row: Any) -> datetime | None:
    moment: datetime | None = None if row is None else row["finished_at"] or row["started_at"]
    return moment


def _state(row: Any) -> Literal["succeeded", "failed", "running", "never"]:
    state: Literal["succeeded", "failed", "running", "never"] = "never" if row is None else row["state"]
    return state


def _error(row: Any) -> str | None:
    return None if row is None else row["error"]


def _next_tick(now: datetime, settings: Settings) -> datetime:
    """When Partner Center is asked next: ticks stand on whole intervals of the hour."""
    interval = settings.poll_interval.total_seconds()
    return now + timedelta(seconds=interval - now.timestamp() % interval)


def shown_settings(settings: Settings) -> list[Setting]:
    """The settings that hold no secret, as text."""
    shown = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, SecretStr) or name in _PRIVATE or any(word in name for word in _KEY_WORDS):
            continue
        text = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
        shown.append(Setting(name=f"HUNTER_{name.upper()}", value=text, description=field.description or ""))
    return shown


def is_ready(hunter: Context) -> tuple[bool, str]:
    """Whether requests can be answered: the database opens and is at this code's schema."""
    try:
        current = is_current(hunter.store)
    except StoreError as error:
        return False, str(error)
    return current, "ready" if current else "The database needs hunter db upgrade."
