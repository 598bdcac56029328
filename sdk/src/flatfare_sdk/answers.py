"""What comes of sending: refused for good, not taken now, and when to try again."""

import random
from typing import NamedTuple

DELAY_S_MIN = 0.5
DELAY_S_MAX = 60.0


class Unsent(Exception):
    """The server did not take it; it may later."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Refusal(NamedTuple):
    """An event that the server will never take."""

    line: bytes
    reason: str


class Backoff:
    """When to try again: twice as late after each failure, never all clients at one moment."""

    def __init__(self) -> None:
        self._failures = 0
        self.next_try = 0.0  # by the monotonic clock

    @property
    def is_up(self) -> bool:
        """The last try did not fail."""
        return self._failures == 0

    def succeeded(self) -> None:
        """The server took what it was sent."""
        self._failures = 0
        self.next_try = 0.0

    def failed(self, now: float, after_s: float) -> None:
        """The server did not; ``after_s`` is how long it asked to wait."""
        delay = min(DELAY_S_MAX, DELAY_S_MIN * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self.next_try = now + max(delay * random.uniform(0.5, 1.0), min(after_s, 10 * DELAY_S_MAX))
