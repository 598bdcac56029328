"""Circuits: a provider that cannot be reached is left alone for a while, and then tried with one call.

Only failures to connect and silence count. An answer of any status closes the circuit:
a provider that says no is there.
"""

FAILURES = 5
PAUSE_S = 1.0
PAUSE_S_MAX = 30.0


class Circuit:
    """Whether calls go to a provider at present."""

    __slots__ = ("_failed_in_a_row", "_open_until", "_pause_s")

    def __init__(self) -> None:
        self._failed_in_a_row = 0
        self._open_until = 0.0
        self._pause_s = PAUSE_S

    def wait_s(self, now: float) -> float | None:
        """How long to leave the provider alone yet; None where a call may go.

        Where the pause is over one call goes ahead, and others wait for how it fares.
        """
        if self._failed_in_a_row < FAILURES:
            return None
        if now < self._open_until:
            return self._open_until - now
        self._open_until = now + self._pause_s
        return None

    @property
    def is_open(self) -> bool:
        """Whether calls are being held back."""
        return self._failed_in_a_row >= FAILURES

    def succeeded(self) -> None:
        """The provider answered."""
        self._failed_in_a_row = 0
        self._pause_s = PAUSE_S

    def failed(self, now: float) -> None:
        """The provider could not be reached or did not answer."""
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= FAILURES:
            self._open_until = now + self._pause_s
            self._pause_s = min(self._pause_s * 2, PAUSE_S_MAX)
