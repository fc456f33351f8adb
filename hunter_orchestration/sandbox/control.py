"""The control port: faults, clock, counters and the world itself, from outside. It documents itself at ``/docs``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from hunter_orchestration.sandbox.changes import merge
from hunter_orchestration.sandbox.clock import stamp
from hunter_orchestration.sandbox.control_models import (
    BurstIn,
    ClockIn,
    FaultIn,
    RecordsIn,
    ReferralChange,
    ReferralIn,
    RefreshTokenIn,
    RevokeIn,
    TickIn,
)
from hunter_orchestration.sandbox.control_page import control_page
from hunter_orchestration.sandbox.dns import Resolver
from hunter_orchestration.sandbox.entra import Entra
from hunter_orchestration.sandbox.entra_pages import USERS
from hunter_orchestration.sandbox.faults import Fault, Faults
from hunter_orchestration.sandbox.rdap import registration
from hunter_orchestration.sandbox.referral_kinds import KINDS
from hunter_orchestration.sandbox.webhooks import Webhooks
from hunter_orchestration.sandbox.world import World
from hunter_orchestration.sandbox.zones import truth_of


def control_app(
    world: World,
    faults: Faults,
    entra: Entra,
    resolver: Resolver,
    webhooks: Webhooks,
    extra: APIRouter | None = None,
) -> FastAPI:
    """The control API; ``extra`` is Dataverse's router, mounted at ``/dataverse``."""
    app = FastAPI(
        title="Hunter sandbox control",
        description="Changes the world that the sandbox plays: faults, settings, clock, referrals, DNS.",
        version="1",
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(_start(world, faults, entra, resolver, webhooks))
    app.include_router(_switches(faults))
    app.include_router(_clock(world))
    app.include_router(_referrals(world))
    app.include_router(_identity(entra))
    app.include_router(_domains(world, resolver))
    app.include_router(_webhooks(webhooks))
    if extra is not None:
        app.include_router(extra, prefix="/dataverse", tags=["dataverse"])

    @app.get("/docs", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(control_page(app.openapi()))

    @app.middleware("http")
    async def expire_first(request: Request, call_next: Any) -> Any:
        # What the clock made due must carry an earlier stamp than what is changed now.
        world.expire_due()
        return await call_next(request)

    return app


def _start(world: World, faults: Faults, entra: Entra, resolver: Resolver, webhooks: Webhooks) -> APIRouter:
    router = APIRouter(tags=["start over"])

    @router.post("/reset")
    async def reset() -> dict[str, str]:
        """Start over: world, clock, faults, settings, counters, DNS and revoked tokens as at the start.

        Dataverse keeps its rows; see `POST /dataverse/reset`.
        """
        faults.clear()
        faults.counters.clear()
        world.clock.begin()
        world.begin()
        resolver.forget()
        webhooks.forget()
        entra.tokens.revoked.clear()
        return {"reset": "world"}

    return router


def _switches(faults: Faults) -> APIRouter:
    router = APIRouter(tags=["faults, settings, counters"])

    @router.get("/faults")
    async def list_faults() -> list[dict[str, Any]]:
        """The faults that are on, with what is left of them and how often they hit."""
        return [_shown(fault) for fault in faults.active()]

    @router.post("/faults", status_code=201)
    async def add_fault(body: FaultIn) -> dict[str, Any]:
        """Switch a fault on."""
        return _shown(faults.add(Fault(**body.model_dump())))

    @router.delete("/faults")
    async def clear_faults(service: str | None = None) -> dict[str, str]:
        """Switch all faults off and put all settings back, of one service or of all."""
        faults.clear(service)
        return {"cleared": service or "all"}

    @router.delete("/faults/{fault_id}")
    async def remove_fault(fault_id: int) -> dict[str, bool]:
        """Switch one fault off."""
        return {"removed": faults.remove(fault_id)}

    @router.get("/settings")
    async def settings() -> dict[str, dict[str, Any]]:
        """How every service behaves."""
        return faults.settings

    @router.patch("/settings/{service}")
    async def configure(service: str, values: dict[str, Any]) -> dict[str, Any]:
        """Change how a service behaves."""
        try:
            return faults.configure(service, values)
        except KeyError as error:
            raise HTTPException(422, error.args[0]) from None

    @router.get("/counters")
    async def counters(detail: bool = False) -> dict[str, Any]:
        """Requests by service since the last reset; with ``detail`` by method and path, too."""
        if detail:
            return {service: dict(counter) for service, counter in faults.counters.items()}
        services = ("partner_center", "entra", "dataverse", "rdap", "dns")
        return {service: faults.counters[service].total() if service in faults.counters else 0 for service in services}

    @router.delete("/counters")
    async def reset_counters() -> dict[str, str]:
        """Count from nought."""
        faults.counters.clear()
        return {"counters": "reset"}

    return router


def _clock(world: World) -> APIRouter:
    router = APIRouter(tags=["clock"])
    clock = world.clock

    def told() -> dict[str, Any]:
        return {"now": stamp(clock.ticks()), "frozen": clock.frozen, "reference": stamp(world.reference)}

    @router.get("/clock")
    async def read() -> dict[str, Any]:
        """The sandbox's time, and the reference time the world was made for."""
        return told()

    @router.post("/clock")
    async def change(body: ClockIn) -> dict[str, Any]:
        """Set, advance, freeze or release the clock; what became due expires at once."""
        if body.set is not None:
            if body.set.tzinfo is None:
                raise HTTPException(422, "set needs a time with a zone, e.g. 2026-11-24T09:00:00Z")
            clock.set(body.set)
        if body.frozen is not None:
            clock.freeze(body.frozen)
        if body.advance is not None:
            clock.advance(body.advance)
        return {**told(), "expired": world.expire_due()}

    return router


def _referrals(world: World) -> APIRouter:
    router = APIRouter(tags=["referrals"])

    def row_of(referral_id: str) -> int:
        row = world.row_of(referral_id)
        if row is None:
            raise HTTPException(404, f"no referral {referral_id}")
        return row

    @router.get("/world")
    async def facts() -> dict[str, Any]:
        """Seed and sizes."""
        return {
            "seed": world.seed,
            "companies": len(world.companies),
            "referrals": len(world),
            "tenant": world.tenant,
            "organization_id": world.setting.organization_id,
        }

    @router.get("/kinds")
    async def kinds() -> list[dict[str, Any]]:
        """The kinds of referral that can be generated, with the category the contract's table gives each."""
        return [asdict(kind) for kind in KINDS]

    @router.get("/referrals")
    async def listed(offset: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Referrals in the order they came into being, with what is true about them."""
        rows = range(max(0, offset), min(len(world), max(0, offset) + min(limit, 10_000)))
        return [_facts(world, row) for row in rows]

    @router.get("/referrals/{referral_id}")
    async def one(referral_id: str) -> Response:
        """One referral as Partner Center would answer it."""
        return Response(world.encoded(row_of(referral_id)), media_type="application/json")

    @router.post("/referrals", status_code=201)
    async def add(body: ReferralIn) -> dict[str, Any]:
        """Add a referral."""
        index = None
        if body.domain is not None:
            index = world.company_index(body.domain)
            if index is None:
                raise HTTPException(404, f"no company has the domain {body.domain}")
        if body.kind is not None and all(kind.name != body.kind for kind in KINDS):
            raise HTTPException(422, f"no kind {body.kind}; see GET /kinds")
        if body.document is not None:
            return _facts(world, world.add(body.document, company_index=index or 0))
        return _facts(world, world.generate(kind=body.kind, company_index=index, changes=body.changes))

    @router.patch("/referrals/{referral_id}")
    async def change(referral_id: str, body: ReferralChange) -> dict[str, Any]:
        """Change a referral as somebody in Partner Center would; it gets a new stamp and ETag."""
        row = row_of(referral_id)
        document = world.document(row)
        if body.changes is None and not body.unset:
            details = document.setdefault("details", {}) or {}
            details.update(dealValue=(details.get("dealValue") or 0) + 1_000, currency=details.get("currency") or "EUR")
            document["details"] = details
        merge(document, body.changes or {})
        for name in body.unset:
            document.pop(name, None)
        world.write(row, document)
        return _facts(world, row)

    @router.post("/tick")
    async def tick(body: TickIn) -> dict[str, Any]:
        """Let a little happen, so many times: one or two new referrals each, two or three changed ones."""
        rows = [row for number in range(body.times) for row in world.tick(len(world) * 1_000 + number)]
        return {"rows": [_facts(world, row) for row in rows[:1_000]], "count": len(rows)}

    @router.post("/burst")
    async def burst(body: BurstIn) -> dict[str, Any]:
        """Give so many referrals one and the same updatedDateTime."""
        return {"updatedDateTime": stamp(world.burst(body.count)), "count": body.count}

    return router


def _identity(entra: Entra) -> APIRouter:
    router = APIRouter(tags=["identity"])

    @router.get("/entra/users")
    async def users() -> dict[str, dict[str, str]]:
        """Who can sign in."""
        return {name: {"mail": user.mail, "name": user.name, "role": user.role} for name, user in USERS.items()}

    @router.post("/entra/refresh-tokens", status_code=201)
    async def refresh_token(body: RefreshTokenIn) -> dict[str, str]:
        """A refresh token as a finished sign-in of this person leaves it; it outlives restarts of the sandbox."""
        user = USERS[body.user]
        return {"refresh_token": entra.tokens.refresh_token(user, entra.client_id, body.mfa), "user": user.mail}

    @router.post("/entra/revoke")
    async def revoke(body: RevokeIn) -> dict[str, Any]:
        """Revoke tokens."""
        entra.tokens.revoked.update(body.refresh_tokens)
        if body.access_tokens:
            entra.tokens.expire_all()
        return {"refresh_tokens": len(body.refresh_tokens), "access_tokens": body.access_tokens}

    return router


def _webhooks(webhooks: Webhooks) -> APIRouter:
    router = APIRouter(tags=["webhooks"])

    @router.get("/webhooks")
    async def state() -> dict[str, Any]:
        """Who is registered, and what became of the latest events."""
        return {"registration": webhooks.registration, "deliveries": list(webhooks.deliveries)}

    @router.get("/webhooks/root.pem")
    async def root() -> Response:
        """The root certificate that the events' certificate chains to."""
        pem = webhooks.signer().root.public_bytes(serialization.Encoding.PEM)
        return Response(pem, media_type="application/x-pem-file")

    return router


def _domains(world: World, resolver: Resolver) -> APIRouter:
    router = APIRouter(tags=["domains"])

    @router.get("/companies")
    async def companies(offset: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Companies of the world."""
        numbers = range(max(0, offset), min(len(world.companies), max(0, offset) + min(limit, 10_000)))
        return [
            {name: getattr(one, name) for name in one.__slots__ if name != "hash"}
            for one in map(world.company, numbers)
        ]

    @router.get("/truth")
    async def truths(offset: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """What a scan of each domain should find."""
        numbers = range(max(0, offset), min(len(world.companies), max(0, offset) + min(limit, 10_000)))
        return [truth_of(world.seed, number) for number in numbers]

    @router.get("/truth/{domain}")
    async def truth(domain: str) -> dict[str, Any]:
        """What a scan of this domain should find, and its registration."""
        index = world.company_index(domain.lower())
        if index is None:
            raise HTTPException(404, f"no company has the domain {domain}")
        return {**truth_of(world.seed, index), "registration": registration(world, domain.lower())}

    @router.put("/dns/{name}")
    async def records(name: str, body: RecordsIn) -> dict[str, Any]:
        """Set the DNS records of one name; it shadows what the world would answer."""
        try:
            resolver.override(name, body.records)
        except (ValueError, TypeError, IndexError) as error:
            raise HTTPException(422, f"these records can't be served: {error}") from None
        return {"name": name, "records": body.records}

    return router


def _facts(world: World, row: int) -> dict[str, Any]:
    document = orjson.loads(world.encoded(row))
    kind = world.kind_of(row)
    return {
        "row": row,
        "id": world.id_of(row),
        "engagementId": document.get("engagementId"),
        "kind": kind,
        "status": document.get("status"),
        "substatus": document.get("substatus"),
        "createdDateTime": document.get("createdDateTime"),
        "updatedDateTime": document.get("updatedDateTime"),
        "expirationDateTime": document.get("expirationDateTime"),
        "company": (document.get("customerProfile") or {}).get("name"),
        "company_domain": world.company(world.table.company_of[row]).domain,
        "expected_domain": world.expected_domain(row),
    }


def _shown(fault: Fault) -> dict[str, Any]:
    return {
        name: getattr(fault, name)
        for name in ("id", "service", "kind", "times", "after", "method", "path", "params", "hits")
    }
