"""Where an action's model calls go: the gateway that runs, or one of its own while the runner lives.

Either way every call is metered, kept and bound by budgets: there is no way around the gateway.
"""

import asyncio
import http.client
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from flatfare.config import Settings
from flatfare.core.moments import DAY_US
from flatfare.gateway.first_run import with_usual_providers
from flatfare.gateway.folders import journal_folder
from flatfare.gateway.reserving.treasurer import claimed
from flatfare.gateway.server import serving
from flatfare.service import clock
from flatfare.service.access import keys
from flatfare.service.access.credentials import with_sealed_credentials
from flatfare.service.access.keys import Terms
from flatfare.store.book import Book, open_book

KEY_VARIABLE = "FLATFARE_KEY"
KEY_NAME = "action-runner"
KEY_LIVES_US = 7 * DAY_US
_PROBE_S = 0.5


@dataclass(slots=True)
class Gate:
    """The gateway's address, what lets the runner in, and how ended calls come into the book."""

    url: str
    settings: Settings  # with every provider and credential that the gateway has
    book: Callable[[], Awaitable[None]] | None = None  # None: whoever runs the gateway does it
    key: str | None = None
    own_key: str | None = None  # the id of a key that was made for this runner
    key_ends_us: int = 0

    def ensure_key(self, book: Book, environment: Mapping[str, str] = os.environ) -> bool:
        """Have a key where the gateway asks for one; whether one was made just now."""
        now_us = clock.now_us()
        if self.key is None:
            self.key = environment.get(KEY_VARIABLE)
        is_old = self.own_key is not None and now_us > self.key_ends_us - KEY_LIVES_US // 2
        if (self.key is not None and not is_old) or not keys.listed(book, at_us=now_us):
            return False
        terms = Terms(f"{KEY_NAME}-{secrets.token_hex(4)}", expires_at_us=now_us + KEY_LIVES_US)
        made = keys.create(book, terms, at_us=now_us, by_whom=KEY_NAME, reason="actions call models with it")
        self.key, self.own_key, self.key_ends_us = made.secret, made.key.id, now_us + KEY_LIVES_US
        return True

    def give_up_key(self) -> None:
        """Revoke the key that was made for this runner."""
        if self.own_key is not None:
            with open_book(self.settings.database) as book:
                keys.revoke(
                    book, self.own_key, at_us=clock.now_us(), by_whom=KEY_NAME, reason="the runner ended"
                )
            self.key = self.own_key = None


@asynccontextmanager
async def gate(settings: Settings, environment: Mapping[str, str] = os.environ) -> AsyncIterator[Gate]:
    """The gateway of these settings: the one that listens, or one in this process as long as it is needed."""
    with open_book(settings.database) as book:
        complete = with_sealed_credentials(with_usual_providers(settings, environment), book, environment)
    address = _reached(settings.listen)
    if await asyncio.to_thread(_serves, settings, address):
        own = Gate(f"http://{address}", complete)
        try:
            yield own
        finally:
            await asyncio.to_thread(own.give_up_key)
        return
    async with serving(replace(complete, listen="127.0.0.1:0")) as running:
        own = Gate(running.url, complete, running.book)
        try:
            yield own
            await running.book()
        finally:
            await asyncio.to_thread(own.give_up_key)


def _reached(listen: str) -> str:
    """The address at which this machine reaches its gateway, where that listens at every one it has."""
    host, _, port = listen.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("", "0.0.0.0", "[::]", "*") else listen


def _serves(settings: Settings, address: str) -> bool:
    """A gateway of this very book listens there: of another's, the calls would be in another's books."""
    claim = claimed(journal_folder(settings))
    if claim is not None:  # nobody serves this book here
        os.close(claim)
        return False
    host, _, port = address.rpartition(":")
    if not port.isdigit() or port == "0":
        return False
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_PROBE_S)
    try:
        connection.request("GET", "/readyz")
        return b'"status"' in connection.getresponse().read(100_000)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
