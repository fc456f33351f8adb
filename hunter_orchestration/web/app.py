"""The application: puts the routes, the wall and the page together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.middleware.gzip import GZipMiddleware

from hunter_orchestration.settings import Settings
from hunter_orchestration.store import Store
from hunter_orchestration.web import documentation, problems
from hunter_orchestration.web.assets import Assets, default_folder
from hunter_orchestration.web.bulk import BulkWorker
from hunter_orchestration.web.context import Context
from hunter_orchestration.web.dagster_client import DagsterClient
from hunter_orchestration.web.guard import Guard, allowed_hosts
from hunter_orchestration.web.live import Live
from hunter_orchestration.web.people import Sessions, check_exposure, sign_in_configured
from hunter_orchestration.web.routes import (
    auth,
    dynamics,
    events,
    export,
    imports,
    insight,
    lead_actions,
    leads,
    quarantine,
    referral_actions,
    referrals,
    runs,
    status,
    views,
    webhooks,
)
from hunter_orchestration.web.sign_in_pages import is_page_view, sign_in_address

API = "/api/v1"
_RESERVED = ("api/", "static/", "auth/", "healthz/")


def create_app(settings: Settings, *, store: Store | None = None, page: Path | None = None) -> FastAPI:
    """The server of the API and the mini UI.

    Args:
        settings: addresses, flags and sign-in.
        store: the database; ``settings.store_url`` when left out. It must be at the newest schema.
        page: folder of the mini UI.

    Raises:
        SettingsError: when others could reach it without signing in.
    """
    check_exposure(settings)
    owned = store is None
    store = store or Store(settings.store_url)
    context = Context(settings, store, DagsterClient(settings.dagster_base_url), Sessions(store, settings))
    live = Live(store)
    worker = BulkWorker(context)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        worker.start()
        try:
            yield
        finally:
            live.close()
            worker.stop()
            if owned:
                store.close()

    app = FastAPI(
        title="Hunter",
        version=version("hunter-orchestration"),
        description=documentation.DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.context, app.state.live, app.state.bulk_worker = context, live, worker
    app.state.sign_in = auth.SignIn(settings)
    problems.install(app)
    _add_api(app)
    _add_health(app)
    app.include_router(auth.router)
    documentation.install(app)
    _add_page(app, Assets(page or default_folder(), watch=settings.environment == "development"))
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(
        Guard,
        hosts=allowed_hosts(settings),
        https=settings.page_url.startswith("https://"),
        signed=webhooks.PATHS,
    )
    return app


def _add_api(app: FastAPI) -> None:
    # Fixed paths before those that end in a domain or an id.
    api = APIRouter(prefix=API)
    for module in (
        export,
        leads,
        lead_actions,
        insight,
        referrals,
        referral_actions,
        imports,
        dynamics,
        runs,
        quarantine,
        status,
        views,
        events,
        webhooks,
    ):
        api.include_router(module.router)
    app.include_router(api, responses=documentation.ERRORS)


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz/live", tags=["status"], summary="Is the process alive")
    def alive() -> dict[str, str]:
        """Answers as long as the process does."""
        return {"status": "alive"}

    @app.get("/healthz/ready", tags=["status"], summary="Can requests be answered", responses={503: {}})
    def ready(request: Request) -> Response:
        """200 when the database opens and has this code's schema, else 503 with the reason."""
        good, reason = status.is_ready(request.app.state.context)
        return JSONResponse({"status": "ready" if good else "not ready", "reason": reason}, 200 if good else 503)


def _add_page(app: FastAPI, assets: Assets) -> None:
    app.state.assets = assets

    @app.get("/static/{path:path}", include_in_schema=False)
    def static(request: Request, path: str) -> Response:
        found = assets.file(request, path)
        if found is None:
            raise problems.not_found("such file")
        return found

    @app.get("/{path:path}", include_in_schema=False)
    def page(request: Request, path: str) -> Any:
        if f"{path}/".startswith(_RESERVED):
            raise problems.not_found("such address")
        if "text/html" not in request.headers.get("accept", "*/*") and "*/*" not in request.headers.get(
            "accept", "*/*"
        ):
            raise problems.not_found("such page")
        found = assets.file(request, path) if path and path != "index.html" else None
        return found or _to_sign_in(request, app.state.context) or assets.page(request)


def _to_sign_in(request: Request, context: Context) -> Response | None:
    """Who opens the page without a session signs in first, and comes back to where they wanted to go."""
    if not is_page_view(request) or not sign_in_configured(context.settings):
        return None
    if context.sessions.find(request) is not None:
        return None
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(sign_in_address(wanted), 303, {"Vary": "Accept, Cookie"})
