"""``python -m hunter_orchestration.web`` runs the server until it is told to stop."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from hunter_orchestration.errors import HunterError
from hunter_orchestration.logging import configure_logging
from hunter_orchestration.settings import Settings, SettingsError, load_settings
from hunter_orchestration.store import Store, StoreError
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.web.app import create_app
from hunter_orchestration.web.people import check_exposure

_STOP_SECONDS = 5


class _Server(uvicorn.Server):
    """Ends the open event streams first: the server would wait for them."""

    def __init__(self, config: uvicorn.Config, close_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._close_streams = close_streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._close_streams()
        super().handle_exit(sig, frame)


def server_of(settings: Settings, app: FastAPI) -> uvicorn.Server:
    """A server of the application that can end while pages listen."""
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
        timeout_keep_alive=30,
        proxy_headers=False,
        h11_max_incomplete_event_size=64 * 1024,
    )
    return _Server(config, app.state.live.close)


def serve(settings: Settings) -> None:
    """Upgrade the database and answer requests until SIGTERM or SIGINT.

    Raises:
        SettingsError: when the address is reachable by others and nobody has to sign in, or the port is taken.
        StoreError: when the database can't be opened.
    """
    check_exposure(settings)
    check_port(settings)
    store = Store(settings.store_url)
    upgrade(store)
    server_of(settings, create_app(settings, store=store)).run()
    store.close()


def check_port(settings: Settings) -> None:
    """Refuse a port that something else listens on, before the database is touched.

    Raises:
        SettingsError: naming the setting.
    """
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.api_host, settings.api_port))
        except OSError as error:
            raise SettingsError(
                f"{settings.api_host}:{settings.api_port} can't be listened on ({error.strerror}). "
                "Set HUNTER_API_PORT to another port, or end what uses it."
            ) from None


def main() -> int:
    """Run; 1 with one sentence on standard error when it can't."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level)
        serve(settings)
    except (SettingsError, StoreError, HunterError) as error:
        sys.stderr.write(f"hunter: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
