"""Serves the application at a socket that somebody else bound, until told to end."""

import asyncio
import signal
import socket

import uvicorn
from starlette.applications import Starlette

STOP_S = 5


class _Server(uvicorn.Server):
    """A server whose process is not its own: it takes no signal away from it."""

    def install_signal_handlers(self) -> None:
        """None of its own."""


def run(app: Starlette, sock: socket.socket, life: int) -> None:
    """Serve until SIGTERM, or until the pipe ``life`` ends because the process over this one is gone."""
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_S,
    )
    server = _Server(config)

    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            server.should_exit = True
            app.state.end_streams()  # who only listens must not hold the end up
            loop.remove_reader(life)

        loop.add_reader(life, stop)
        loop.add_signal_handler(signal.SIGTERM, stop)
        await server._serve(sockets=[sock])

    asyncio.run(serve())
