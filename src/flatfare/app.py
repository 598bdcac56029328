"""Puts the product together in one address: the gateway, and beside it pages and API.

Everything below is a part; this is the only place that knows them all.
"""

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace

from flatfare.config import Settings
from flatfare.core.errors import BadUsage
from flatfare.gateway.first_run import welcome, with_usual_providers
from flatfare.gateway.keyring import KeyRing
from flatfare.gateway.logs import log_to_stderr
from flatfare.gateway.reaching import check_reaches
from flatfare.gateway.server import is_loopback
from flatfare.gateway.supervisor import Supervisor
from flatfare.service.access.credentials import with_sealed_credentials
from flatfare.store.book import open_book

WORKERS_MAX = 256
TOKEN_VARIABLE = "FLATFARE_TOKEN"
"""The token of this machine's user, where it shall outlive a start."""


def serve(load: Callable[[], Settings], *, workers: int, say: Callable[[str], None]) -> int:
    """Serve until told to stop; the exit code. ``load`` reads the settings, again at each SIGHUP."""
    if not 1 <= workers <= WORKERS_MAX:
        raise BadUsage(f"Found {workers} workers: expected 1 to {WORKERS_MAX}.")

    def complete() -> Settings:
        settings = with_usual_providers(load(), os.environ)
        check_reaches(settings)
        with open_book(settings.database) as book:
            return with_sealed_credentials(settings, book, os.environ)

    token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(24)
    settings = complete()
    with open_book(settings.database) as book:
        keys = len(KeyRing(book))
    log_to_stderr()

    addresses: list[str] = []

    def announce(address: str) -> None:
        addresses.append(address.removeprefix("http://"))
        for line in welcome(
            settings, address, keys=keys, is_loopback=_is_local(settings.listen), token=token
        ):
            say(line)

    def pages(settings: Settings, sock: socket.socket, life: int) -> None:
        from flatfare.web.access import Door
        from flatfare.web.application import application
        from flatfare.web.serving import run

        door = Door(token, _is_local(settings.listen))
        own = replace(settings, listen=addresses[-1])
        run(application(own, door, makes_book=False), sock, life)  # one that is away is not made anew

    def weekly_page(document: Mapping[str, object]) -> bytes:
        from flatfare.web.weekly_page import page

        return page(document)

    return Supervisor(settings, complete, workers=workers, say=say, pages=pages, page=weekly_page).run(
        announce
    )


def _is_local(listen: str) -> bool:
    return is_loopback(listen.rpartition(":")[0].strip("[]") or "127.0.0.1")
