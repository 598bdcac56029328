"""What an action's commands cost themselves, as its file says it: each run of one is a call in the book.

It is booked before the command starts, and known by attempt and step: it counts once, whatever happens then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flatfare.core import labels
from flatfare.core.cost import CostState
from flatfare.core.identity import derived
from flatfare.runner.books import Books, Shelf
from flatfare.runner.models import Whose
from flatfare.store import adjustments, calls, first_calls
from flatfare.store.adjustments import Correction
from flatfare.store.book import Value

SOURCE = "runner"
PROVIDER = "command"
SAID_BY = "the action's file"
NO_USAGE = "a command has no usage that the price book could price"


@dataclass(frozen=True, slots=True)
class Till:
    """Where runs of commands are booked that cost something."""

    books: Books
    now: Callable[[], int]

    async def book(self, whose: Whose, named: str, step: str, cost_nano: int) -> Mapping[str, Value]:
        """Book one run of a step's command; the call."""
        call = call_of(whose, named, step, cost_nano, self.now())
        await self.books.do(_write, call)
        return call

    async def say_failed(self, call: Mapping[str, Value]) -> None:
        """Say of a command that was booked that it failed; what it cost stays."""
        await self.books.do(_say_failed, call, self.now())


def call_of(whose: Whose, named: str, step: str, cost_nano: int, at_us: int) -> dict[str, Value]:
    """One run of a command as a call: without usage, at the cost that its action's file reports."""
    return {
        "id": str(derived("command", whose.attempt_id, step)),
        "at_us": at_us,
        "source": SOURCE,
        "task_id": whose.task_id,
        "attempt_id": whose.attempt_id,
        "purpose": whose.purpose,
        "status": "ok",
        "provider": PROVIDER,
        "model": named,
        "usage_state": str(CostState.UNKNOWN),
        "cost_nano": cost_nano,
        "cost_state": str(CostState.MEASURED),
        "cost_basis": "reported",
        "computed_state": str(CostState.UNKNOWN),
        "computed_reason": NO_USAGE,
        "reported_nano": cost_nano,
        "reported_source": SAID_BY,
        "labels": labels.canonical(whose.labels),
    }


def _write(shelf: Shelf, call: Mapping[str, Value]) -> None:
    with shelf.book.writing():
        calls.insert(shelf.book, [call])
        first_calls.note_booked(shelf.book, [call])


def _say_failed(shelf: Shelf, call: Mapping[str, Value], now_us: int) -> None:
    present = {"revision": 0, **call}
    with shelf.book.writing():
        adjustments.write(
            shelf.book,
            [Correction(present, {"status": "failed"})],
            kind="result",
            reason="the command failed",
            by_whom=SOURCE,
            at_us=now_us,
        )
