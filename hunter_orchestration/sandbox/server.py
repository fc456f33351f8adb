"""Starts the sandbox: HTTP on port N, DNS on N+53, control on N+80, one process, one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import orjson
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.sandbox.asgi import App
from hunter_orchestration.sandbox.clock import Clock
from hunter_orchestration.sandbox.control import control_app
from hunter_orchestration.sandbox.dataverse import DataverseApp, control_router
from hunter_orchestration.sandbox.dispatcher import TRANSPORT, Dispatcher, Handler
from hunter_orchestration.sandbox.dns import DnsServer, Resolver
from hunter_orchestration.sandbox.entra import Entra
from hunter_orchestration.sandbox.faults import Faults
from hunter_orchestration.sandbox.partner_center import DOCS_PATH, PATH, PartnerCenter
from hunter_orchestration.sandbox.rdap import rdap_handler
from hunter_orchestration.sandbox.running import CONTROL_OFFSET, DNS_OFFSET, RunningSandbox, running_sandbox
from hunter_orchestration.sandbox.tokens import Tokens
from hunter_orchestration.sandbox.webhooks import PATH as WEBHOOKS_PATH
from hunter_orchestration.sandbox.webhooks import Webhooks
from hunter_orchestration.sandbox.world import World

HOST = "127.0.0.1"
LIVE_SECONDS = 30
"""With ``--live`` something happens about so often."""
_CLIENT_SPACE = uuid.UUID("6f0d2c52-9d5b-4b43-8f0e-3c1a5b7d9e11")


class PortTakenError(PermanentError):
    """A port of the sandbox can't be opened."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a sandbox is to be.

    Args:
        port_base: N; ports N, N+53 and N+80 are opened on 127.0.0.1.
        now: the time its clock starts at; None is the real time.
        live: whether referrals arrive and change by themselves.
        state: a folder that keeps the world's changes and its reference time between starts; None keeps nothing.
    """

    port_base: int
    companies: int = 500
    seed: int = 1
    now: datetime | None = None
    live: bool = False
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the sandbox prints when it answers."""

    authority: str
    partner_center: str
    dynamics: str
    dns: str
    rdap: str
    control: str
    tenant: str
    client_id: str
    client_secret: str


class _Protocol(HttpToolsProtocol):
    """Uvicorn's protocol, with the transport within reach of the faults that cut connections."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[TRANSPORT] = self.transport


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to the sandbox."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Sandbox:
    """The services of one sandbox, wired together; ``run`` serves them until it is told to stop."""

    def __init__(self, options: Options) -> None:
        self.options = options
        base = options.port_base
        self.base_url = f"http://{HOST}:{base}"
        self.clock = Clock(options.now)
        self.faults = Faults()
        reference, journal = _kept(options, self.clock)
        self.world = World(
            options.seed,
            options.companies,
            self.clock,
            base=f"{self.base_url}{PATH}",
            reference=reference,
            journal=journal,
        )
        secret = f"sandbox-{options.seed}"
        client_id = str(uuid.uuid5(_CLIENT_SPACE, secret))
        client_secret = uuid.uuid5(_CLIENT_SPACE, secret + "/secret").hex
        self.tokens = Tokens(self.clock, self.base_url, self.world.tenant, secret)
        self.entra = Entra(
            self.world,
            self.tokens,
            self.clock,
            self.faults,
            self.base_url,
            client_id=client_id,
            client_secret=client_secret,
        )
        self.partner_center = PartnerCenter(self.world, self.tokens, self.clock, self.faults, self.base_url)
        self.resolver = Resolver(self.world, self.faults)
        self.webhooks = Webhooks(self.world, self.tokens, self.clock, self.base_url)
        self.dns = DnsServer(self.resolver, self.faults)
        self.addresses = Addresses(
            authority=self.base_url,
            partner_center=self.base_url,
            dynamics=self.base_url,
            dns=f"{HOST}:{base + DNS_OFFSET}",
            rdap=f"{self.base_url}/rdap",
            control=f"http://{HOST}:{base + CONTROL_OFFSET}",
            tenant=self.world.tenant,
            client_id=client_id,
            client_secret=client_secret,
        )
        self._stop = asyncio.Event()
        dataverse, dataverse_control = self._dataverse()
        routes: list[tuple[str, str, Handler | App]] = [
            (PATH, "partner_center", self.partner_center.handle),
            (DOCS_PATH, "partner_center", self.partner_center.handle),
            (WEBHOOKS_PATH, "partner_center", self.webhooks.handle),
            ("/rdap", "rdap", rdap_handler(self.world, self.base_url)),
            ("/", "entra", self.entra.handle),
        ]
        routes.insert(0, ("/api/data", "dataverse", dataverse))
        self.http = Dispatcher(routes, self.faults, self.clock)
        self.control = control_app(self.world, self.faults, self.entra, self.resolver, self.webhooks, dataverse_control)

    def _dataverse(self) -> tuple[Any, Any]:
        state = self.options.state / "dataverse" if self.options.state else None
        app = DataverseApp(self.world, self.tokens, self.clock, self.faults, self.base_url, state=state)
        return app, control_router(app)

    def stop(self) -> None:
        """End ``run``; safe to call from a signal handler of the loop."""
        self._stop.set()

    async def run(self, ready: Any = None) -> None:
        """Serve until ``stop``; ``ready`` is called with the addresses when every port answers.

        Raises:
            PortTakenError: one of the three ports is in use.
        """
        base = self.options.port_base
        sockets = [_listen(base), _listen(base + CONTROL_OFFSET)]
        try:
            await self.dns.start(HOST, base + DNS_OFFSET)
        except OSError as error:
            for one in sockets:
                one.close()
            raise _taken(base + DNS_OFFSET, error) from None
        servers = [_Server(_config(self.http)), _Server(_config(self.control))]
        tasks = [asyncio.create_task(server.serve(sockets=[one])) for server, one in zip(servers, sockets, strict=True)]
        while not all(server.started for server in servers):
            await asyncio.sleep(0.005)
        live = asyncio.create_task(self._live()) if self.options.live else None
        if ready is not None:
            ready(self.addresses)
        await self._stop.wait()
        if live is not None:
            live.cancel()
        self.dns.stop()
        for server in servers:
            server.should_exit = True
            server.force_exit = True
        await asyncio.wait(tasks, timeout=0.8)
        self.world.close()

    async def _live(self) -> None:
        """Let something happen every 20 to 40 seconds, a different thing after every start."""
        number = len(self.world) * 1_000 + int(self.clock.timestamp()) % 1_000
        while True:
            await asyncio.sleep(LIVE_SECONDS - 10 + secrets.randbelow(21))
            number += 1
            self.world.expire_due()
            self.world.tick(number)


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=0,
    )


def _kept(options: Options, clock: Clock) -> tuple[int | None, Path | None]:
    """The reference time and the journal of a kept world; a new one starts now."""
    if options.state is None:
        return None, None
    options.state.mkdir(parents=True, exist_ok=True)
    facts = options.state / "world.json"
    key = {"seed": options.seed, "companies": options.companies}
    try:
        known = orjson.loads(facts.read_bytes())
    except FileNotFoundError:
        known = {**key, "reference": clock.ticks()}
        facts.write_bytes(orjson.dumps(known))
    except orjson.JSONDecodeError:
        raise PermanentError(f"{facts} is not readable.", "Delete the folder to start with a new world.") from None
    if {name: known.get(name) for name in key} != key:
        raise PermanentError(
            f"{options.state} keeps a world with seed {known.get('seed')} and {known.get('companies')} companies.",
            "Start with the same numbers, or with another folder.",
        )
    return known["reference"], options.state / "referrals.jsonl"


def _listen(port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind((HOST, port))
        one.listen(512)
    except (OSError, OverflowError) as error:
        one.close()
        raise _taken(port, error) from None
    one.setblocking(False)
    return one


def _taken(port: int, error: Exception) -> PortTakenError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return PortTakenError(
        f"The sandbox can't open port {port} on {HOST}: {reason}.",
        "Stop what uses it, or choose another --port-base (it takes N, N+53 and N+80).",
    )


def serve(options: Options, ready: Any = None) -> None:
    """Serve a sandbox until SIGTERM or SIGINT.

    Raises:
        PortTakenError: one of its ports is in use.
    """

    async def main() -> None:
        sandbox = Sandbox(options)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, sandbox.stop)
        await sandbox.run(ready)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


__all__ = ["Addresses", "Options", "PortTakenError", "RunningSandbox", "Sandbox", "running_sandbox", "serve"]
