"""``python -m hunter_orchestration.web`` runs the server until it is told to stop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from hunter_orchestration.errors import HunterError
from hunter_orchestration.logging import configure_logging
from hunter_orchestration.settings import Settings, SettingsError, load_settings
from hunter_orchestration.store import Store, StoreError
from hunter_orchestration.store.migrate import upgrade
from hunter_orchestration.web.app import create_app

_STOP_SECONDS = 5


class _Server(uvicorn.Server):
    """Ends the open event streams first: the server would wait for them."""

    def __init__(self, config: uvicorn.Config, close_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._close_streams = close_streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._close_streams()
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Upgrade the database and answer requests until SIGTERM or SIGINT.

    Raises:
        SettingsError: when the address is reachable by others and nobody has to sign in.
        StoreError: when the database can't be opened.
    """
    store = Store(settings.store_url)
    upgrade(store)
    app = create_app(settings, store=store)
    server = _Server(
        uvicorn.Config(
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
        ),
        app.state.live.close,
    )
    server.run()
    if not server.started:
        raise SettingsError(f"Port {settings.api_port} of {settings.api_host} can't be used. Set HUNTER_API_PORT.")


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
