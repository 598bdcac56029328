"""A question that waits for a batch, and the reply to it."""

from dataclasses import dataclass
from hashlib import sha256

from flatfare.core.action import Ending

ENDING, REASON = "flatfare-unanswered", "flatfare-reason"
"""Headers of a reply that is none: how the attempt ends, and why."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request to a model as it would have been sent, and for whom."""

    base: str  # the path below which its provider stands at the gateway
    kind: str
    model: str
    body: bytes
    headers: tuple[tuple[str, str], ...]  # that a batch of such questions carries
    task_id: str
    attempt_id: str

    @property
    def digest(self) -> str:
        """By which the same question is known again."""
        return sha256(b"\x1f".join((self.base.encode(), self.kind.encode(), self.body))).hexdigest()

    @property
    def group(self) -> tuple[object, ...]:
        """Questions that go into one batch have this in common."""
        return (self.base, self.kind, self.model, self.headers)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a question, or why there is none."""

    status: int
    body: bytes
    call_id: str | None = None
    cost_nano: int | None = None
    refused: str | None = None  # by the gateway
    ending: Ending | None = None
    reason: str = ""


def unanswered(ending: Ending, reason: str) -> Reply:
    """A reply to a question that nobody answered: nothing was billed."""
    return Reply(504, b'{"error":{"message":"unanswered"}}', None, 0, None, ending, reason)
