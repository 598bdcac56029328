"""Puts the product together in one address: the gateway, and beside it pages and API as they come.

Everything below is a part; this is the only place that knows them all.
"""

import os
from collections.abc import Callable

from flatfare.config import Settings
from flatfare.core.errors import BadUsage
from flatfare.gateway.first_run import welcome, with_usual_providers
from flatfare.gateway.keyring import KeyRing
from flatfare.gateway.logs import log_to_stderr
from flatfare.gateway.server import is_loopback
from flatfare.gateway.supervisor import Supervisor
from flatfare.store.book import open_book

WORKERS_MAX = 256


def serve(load: Callable[[], Settings], *, workers: int, say: Callable[[str], None]) -> int:
    """Serve until told to stop; the exit code. ``load`` reads the settings, again at each SIGHUP."""
    if not 1 <= workers <= WORKERS_MAX:
        raise BadUsage(f"Found {workers} workers: expected 1 to {WORKERS_MAX}.")

    def complete() -> Settings:
        return with_usual_providers(load(), os.environ)

    settings = complete()
    with open_book(settings.database) as book:
        keys = len(KeyRing(book))
    log_to_stderr()

    def announce(address: str) -> None:
        local = is_loopback(address.rpartition(":")[0].removeprefix("http://").strip("[]"))
        for line in welcome(settings, address, keys=keys, is_loopback=local):
            say(line)

    return Supervisor(settings, complete, workers=workers, say=say).run(announce)
