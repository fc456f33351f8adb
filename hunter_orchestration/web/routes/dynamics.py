"""Leads in Dynamics 365: how they stand there, pushing them, and what waits for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, model_validator

from hunter_orchestration.dynamics import decisions, stage
from hunter_orchestration.store import lead_counting, lead_details, lead_queries, leads, page_figures, page_state
from hunter_orchestration.store.work import utc_now
from hunter_orchestration.web import cursors, launching, models, shapes
from hunter_orchestration.web.bulk import BulkWorker
from hunter_orchestration.web.context import Admin, Context, Hunter, IdempotencyKey, Seller, Viewer, once
from hunter_orchestration.web.lead_query import LeadFilterQuery
from hunter_orchestration.web.models import Asked, Domain, Line
from hunter_orchestration.web.problems import ProblemError, not_found
from hunter_orchestration.web.routes import crm_actions, crm_audit
from hunter_orchestration.web.routes.crm_actions import record_of, switched_on
from hunter_orchestration.web.routes.leads import known_domain, standing

router = APIRouter(tags=["dynamics"])
router.include_router(crm_audit.router)
router.include_router(crm_actions.router)

_MOST_LEADS = 100_000
_MOST_LISTED = 20_000


class PushBody(Asked):
    """How to push."""

    dry_run: bool = Field(default=False, description="Show what would be written, and write nothing.")


class PlannedChange(BaseModel):
    """What a push would do to one record."""

    domain: str
    table: str
    external_id: str
    operation: str = Field(examples=["update"])
    fields: dict[str, list[Any]] = Field(description="field: [old, new]")
    kept: dict[str, list[Any]] = Field(default={}, description="What stays the CRM's: field: [theirs, ours]")
    rewritten: list[str] = Field(default=[], description="Kept fields that the CRM made of what Hunter wrote.")
    reason: str | None = None


class Plan(BaseModel):
    """What a push would do."""

    plan: list[PlannedChange]


class BulkBody(Asked):
    """Which leads: a list, or everything a filter finds."""

    action: Literal["push", "rescan"] = "push"
    domains: list[Domain] | None = Field(default=None, max_length=_MOST_LISTED)
    filter: LeadFilterQuery | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> BulkBody:
        if (self.domains is None) == (self.filter is None):
            raise ValueError("give either domains or filter")
        return self


class BulkList(BaseModel):
    """Actions over many leads, newest first."""

    items: list[models.Bulk]


class RecordList(BaseModel):
    """CRM records with the companies they belong to."""

    items: list[models.CrmRecord]
    total: int
    next: str | None = None


class RetryBody(Asked):
    """Which rejected companies to try again; all when left out."""

    domains: list[Domain] | None = Field(default=None, max_length=_MOST_LISTED)


class RetryAnswer(BaseModel):
    """How many records are tried again, and the run that does it."""

    count: int
    run: models.Run | None


class ResolveBody(Asked):
    """Which of the candidates a record is; empty makes a new one."""

    table: Literal["account", "contact", "lead", "opportunity"]
    external_id: Line
    crm_id: str | None = Field(default=None, pattern=r"^[0-9a-fA-F-]{36}$")


class Difference(BaseModel):
    """Where Dynamics holds something else than we claim."""

    id: int
    found_at: datetime
    table: str
    external_id: str
    domain: str | None = Field(description="Of the company, when we know it.")
    domain_shown: str | None
    kind: str
    field: str | None
    claimed: Any | None
    found: Any | None


class DifferenceList(BaseModel):
    """Differences, newest first."""

    items: list[Difference]
    total: int
    next: str | None = None


@router.get("/dynamics/status/{domain}", summary="A lead in Dynamics")
def status(hunter: Hunter, _person: Viewer, domain: str) -> models.DynamicsStatus:
    """State, records with links, every attempt with old and new values, last error with its fix."""
    with hunter.read() as connection:
        known, _merged = standing(connection, domain)
        return shapes.dynamics_status(connection, hunter.settings, known)


@router.post(
    "/dynamics/sync/{domain}",
    summary="Push a lead",
    response_model=models.RunAnswer | Plan,
    responses={202: {"model": models.RunAnswer, "description": "The run that pushes."}},
)
def push(
    hunter: Hunter,
    person: Seller,
    request: Request,
    response: Response,
    domain: str,
    body: PushBody | None = None,
    key: IdempotencyKey = None,
) -> Any:
    """Push one lead: 202 with a run to follow. With ``dry_run`` 200 with what would be written, field by field."""
    switched_on(hunter)
    asked = body or PushBody()
    with hunter.read() as connection:
        known, _merged = standing(connection, domain)
    if asked.dry_run:
        planned = stage.plan(hunter.store, hunter.settings, domains=[known])
        return Plan(plan=[PlannedChange.model_validate(dict(one)) for one in planned])
    response.status_code = 202

    def act() -> dict[str, Any]:
        run = launching.launch(hunter, person.actor, launching.PUSH, config=launching.push_config([known]))
        return launching.answer(hunter, run).model_dump(mode="json")

    return once(hunter, person, key, request, asked.model_dump(mode="json"), response, act)


@router.post("/dynamics/bulk-sync", status_code=202, summary="Push or rescan many leads")
def bulk_sync(
    hunter: Hunter,
    person: Seller,
    request: Request,
    response: Response,
    body: BulkBody,
    key: IdempotencyKey = None,
) -> models.Bulk:
    """Queue an action over a list or over everything a filter finds now; follow it at /bulk/{id}."""
    if body.action == "push":
        switched_on(hunter)
    response.status_code = 202

    def act() -> dict[str, Any]:
        domains = _chosen(hunter, body)
        asked = None if body.filter is None else body.filter.asked()
        with hunter.store.write() as connection:
            bulk_id = page_state.add_bulk(connection, body.action, person.actor, domains, asked)
            row = page_state.bulk(connection, bulk_id)
        hunter.tell("bulk_progress", str(bulk_id), {"state": "queued", "counts": {"total": len(domains)}})
        worker: BulkWorker = request.app.state.bulk_worker
        worker.wake()
        return shapes.bulk(row or {}).model_dump(mode="json")

    asked_for = body.model_dump(mode="json", exclude_defaults=True)
    return models.Bulk.model_validate(once(hunter, person, key, request, asked_for, response, act))


def _chosen(hunter: Context, body: BulkBody) -> list[str]:
    with hunter.read() as connection:
        if body.domains is not None:
            asked = list(dict.fromkeys(known_domain(domain) for domain in body.domains))
            known: set[str] = set()
            for start in range(0, len(asked), 500):
                known |= lead_details.lead_states(connection, asked[start : start + 500]).keys()
            unknown = [domain for domain in asked if domain not in known]
            if unknown:
                raise ProblemError(
                    422, "unknown_leads", f"{len(unknown)} of these are no leads, the first is {unknown[0][:100]}."
                )
            found = asked
        else:
            wanted = (body.filter or LeadFilterQuery()).filter(utc_now())
            total, _exact = lead_counting.count(connection, wanted)
            if total > _MOST_LEADS:
                raise ProblemError(422, "too_many", f"{total} leads are too many for one action.", "Narrow the filter.")
            order = lead_queries.Order()
            found = [row["domain"] for row in lead_queries.stream(connection, wanted, order)][: _MOST_LEADS + 1]
    if not found:
        raise ProblemError(422, "nothing_chosen", "No lead is chosen.")
    if len(found) > _MOST_LEADS:
        raise ProblemError(422, "too_many", f"More than {_MOST_LEADS} leads.", "Narrow the filter.")
    return found


@router.get("/bulk", summary="List actions over many leads")
def list_bulk(hunter: Hunter, _person: Viewer) -> BulkList:
    """The latest actions, newest first."""
    with hunter.read() as connection:
        return BulkList(items=[shapes.bulk(row) for row in page_state.bulks(connection)])


@router.get("/bulk/{bulk_id}", summary="One action over many leads")
def one_bulk(hunter: Hunter, _person: Viewer, bulk_id: models.Number) -> models.Bulk:
    """How far it is: done, failed, left."""
    with hunter.read() as connection:
        row = page_state.bulk(connection, bulk_id)
    if row is None:
        raise not_found(f"action {bulk_id}")
    return shapes.bulk(row)


@router.post("/bulk/{bulk_id}/cancel", summary="Cancel an action over many leads")
def cancel_bulk(
    hunter: Hunter, _person: Seller, bulk_id: models.Number, _body: models.Nothing | None = None
) -> models.Bulk:
    """Stop an action; what is done stays done. An action that is over stays as it was."""
    with hunter.store.write() as connection:
        page_state.change_bulk(connection, bulk_id, state="cancelled", finished_at=utc_now())
        row = page_state.bulk(connection, bulk_id)
    if row is None:
        raise not_found(f"action {bulk_id}")
    hunter.tell("bulk_progress", str(bulk_id), {"state": row["state"], "counts": dict(row["counts"])})
    return shapes.bulk(row)


def _records(hunter: Context, query: models.Listed, states: tuple[str, ...]) -> RecordList:
    identity = ["records", states]
    after: Any = None
    if query.cursor is not None:
        _direction, after = cursors.decode(query.cursor, identity, str, str)
        after = (str(after[0]), str(after[1]))
    with hunter.read() as connection:
        rows = lead_details.crm_listed(connection, states, query.limit + 1, after)
        total = sum(page_figures.crm_records_by_state(connection, states).values())
    shown = rows[: query.limit]
    following = None
    if len(rows) > query.limit:
        following = cursors.encode(identity, (shown[-1]["table_name"], shown[-1]["external_id"]))
    return RecordList(items=[shapes.crm_record(row, hunter.settings) for row in shown], total=total, next=following)


@router.get("/dynamics/rejects", summary="Records Dynamics refused")
def rejects(hunter: Hunter, _person: Viewer, query: Annotated[models.Listed, Query()]) -> RecordList:
    """Records refused or deleted there, with the CRM's words and what to do."""
    return _records(hunter, query, ("rejected", "deleted_in_crm"))


@router.get("/dynamics/conflicts", summary="Records that match several")
def conflicts(hunter: Hunter, _person: Viewer, query: Annotated[models.Listed, Query()]) -> RecordList:
    """Records with several candidates in Dynamics, for a person to choose from."""
    return _records(hunter, query, ("conflict",))


@router.post("/dynamics/rejects/retry", status_code=202, summary="Try refused records again")
def retry(
    hunter: Hunter,
    person: Seller,
    request: Request,
    response: Response,
    body: RetryBody | None = None,
    key: IdempotencyKey = None,
) -> RetryAnswer:
    """Mark refused records to be tried again, and push them."""
    switched_on(hunter)
    asked = body or RetryBody()
    response.status_code = 202

    def act() -> dict[str, Any]:
        with hunter.read() as connection:
            refused = lead_details.domains_in_states(connection, ("rejected",))
        chosen = refused
        if asked.domains is not None:
            wanted = {known_domain(domain) for domain in asked.domains}
            chosen = [domain for domain in refused if domain in wanted]
        if not chosen:
            return RetryAnswer(count=0, run=None).model_dump(mode="json")
        count = decisions.retry(hunter.store, None if asked.domains is None else chosen, actor=person.actor)
        config = launching.push_config(chosen[:_MOST_LISTED])
        run = launching.launch(hunter, person.actor, launching.PUSH, config=config)
        return RetryAnswer(count=count, run=launching.answer(hunter, run).run).model_dump(mode="json")

    return RetryAnswer.model_validate(once(hunter, person, key, request, asked.model_dump(mode="json"), response, act))


@router.post("/dynamics/conflicts/resolve", summary="Choose the record a conflict means")
def resolve(hunter: Hunter, person: Seller, body: ResolveBody) -> models.CrmRecord:
    """Tie our record to one of the candidates, or say that it is none of them."""
    switched_on(hunter)
    record_of(hunter, body.table, body.external_id)
    decisions.resolve_conflict(
        hunter.store, hunter.settings, body.table, body.external_id, body.crm_id, actor=person.actor
    )
    return record_of(hunter, body.table, body.external_id)


@router.get("/dynamics/differences", summary="Where Dynamics holds something else")
def differences(hunter: Hunter, _person: Viewer, query: Annotated[models.Listed, Query()]) -> DifferenceList:
    """What the last reconciliation found and nobody mended yet."""
    before: int | None = None
    if query.cursor is not None:
        _direction, place = cursors.decode(query.cursor, "differences", int)
        before = int(place[0])
    with hunter.read() as connection:
        rows = page_state.differences(connection, query.limit + 1, before)
        total = page_figures.counts(connection)["differences"]
    shown = rows[: query.limit]
    return DifferenceList(
        items=[
            Difference(
                **{name: row[name] for name in Difference.model_fields if name in row},
                table=row["table_name"],
                domain=row["company_domain"],
                domain_shown=leads.shown(row["company_domain"]) if row["company_domain"] is not None else None,
            )
            for row in shown
        ],
        total=total,
        next=cursors.encode("differences", (shown[-1]["id"],)) if len(rows) > query.limit else None,
    )


@router.post("/dynamics/differences/mend", status_code=202, summary="Mend the differences")
def mend(
    hunter: Hunter,
    person: Admin,
    request: Request,
    response: Response,
    _body: models.Nothing | None = None,
    key: IdempotencyKey = None,
) -> models.RunAnswer:
    """Push again what Dynamics does not hold as claimed, field rules respected."""
    switched_on(hunter)
    response.status_code = 202

    def act() -> dict[str, Any]:
        config = {"ops": {"dynamics_differences": {"config": {"mend": True}}}}
        run = launching.launch(hunter, person.actor, launching.RECONCILE, config=config)
        return launching.answer(hunter, run).model_dump(mode="json")

    return models.RunAnswer.model_validate(once(hunter, person, key, request, {}, response, act))


@router.post("/dynamics/{what}", status_code=202, summary="Pull or reconcile now")
def engine_run(
    hunter: Hunter, person: Seller, what: Literal["pull", "reconcile"], _body: models.Nothing | None = None
) -> models.RunAnswer:
    """Read back what changed in Dynamics, or compare all of it with what we claim. Joins a run that is at work."""
    switched_on(hunter)
    hunter.limit(person, "sync", 10)
    job = launching.PULL if what == "pull" else launching.RECONCILE
    run, joined = launching.launch_or_join(hunter, person.actor, job)
    return launching.answer(hunter, run, joined=joined)
