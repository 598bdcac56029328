"""A guard before real workers, and calls that it concerns."""

import itertools
import json

from flatfare.service.budgets import guarding
from flatfare.store.book import open_book
from tests.gateway.rig import Seen, ask, asking
from tests.gateway.rig_pair import CHAT, Pair

_numbers = itertools.count(1)


class Guarded:
    """One guard, for calls with a label of its own."""

    def __init__(self, both: Pair, **terms: object) -> None:
        self.both = both
        self.name = f"guard-{next(_numbers)}"
        with open_book(str(both.gateway.book)) as book:
            wanted = guarding.guard_of(self.name, {"scope": f"team={self.name}", **terms})
            self.guard = guarding.create(book, wanted, at_us=1, by_whom="test")
        both.wait_until_noticed()

    def ask(self, body: object, target: str = CHAT, team: str | None = None, **headers: str) -> Seen:
        """Ask with the label that the guard is about, or as another team."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        own_headers = [
            ("authorization", f"Bearer {self.both.secret}"),
            ("flatfare-labels", f"team={team or self.name}"),
            *((name.replace("_", "-"), value) for name, value in headers.items()),
        ]
        return ask(self.both.gateway.port, asking("POST", target, sent, own_headers), 30.0)
