"""A gateway in the running process: for tests, for embedding, and as the body of each worker."""

import asyncio
import ipaddress
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flatfare.config import Settings
from flatfare.core.errors import BadInput
from flatfare.gateway.bookkeeping import run_booking
from flatfare.gateway.folders import journal_folder
from flatfare.gateway.limiter import SharedCounts
from flatfare.gateway.reserving.treasurer import Treasurer, claimed
from flatfare.gateway.worker import Elsewhere, Worker

BACKLOG = 2048


@dataclass(slots=True)
class Running:
    """A gateway that serves in this event loop."""

    url: str
    worker: Worker

    async def book(self) -> None:
        """Fold what has ended so far into the book."""
        stop = threading.Event()
        stop.set()
        await asyncio.get_running_loop().run_in_executor(
            None, run_booking, self.worker.settings, stop, _silent
        )


@asynccontextmanager
async def serving(settings: Settings, *, elsewhere: Elsewhere | None = None) -> AsyncIterator[Running]:
    """Serve in this event loop as long as the context lasts; port 0 in ``listen`` takes any that is free.

    Nothing is booked until ``book`` is called.
    """
    sock = bound(settings.listen)
    host, port = sock.getsockname()[:2]
    worker = Worker(settings, is_loopback=is_loopback(host), counts=SharedCounts(1), elsewhere=elsewhere)
    claim = claimed(journal_folder(settings))
    treasurer = None if claim is None else Treasurer(settings)
    await worker.open()
    if treasurer is not None:
        await treasurer.serve()
    await worker.listen(sock)
    try:
        yield Running(f"http://{f'[{host}]' if ':' in host else host}:{port}", worker)
    finally:
        await worker.stop()
        if treasurer is not None and claim is not None:
            await treasurer.close()
            os.close(claim)


PORTS = 65_536


def bound(listen: str) -> socket.socket:
    """A socket that listens at ``host:port``; ``BadInput`` says why it cannot."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    try:
        if not 0 <= int(port) < PORTS:  # a larger one would be taken for what is left of it
            raise ValueError
        family, *_, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except ValueError:
        raise BadInput(f"Found listen: {listen!r}: expected host:port, such as 127.0.0.1:4180.") from None
    except OSError as problem:
        raise BadInput(
            f"Cannot listen at {listen}: {problem.strerror or problem}. Choose another: --listen"
        ) from None
    sock.setblocking(False)
    return sock


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _silent(text: str) -> None:
    """Nobody is told."""
