"""Doing things regularly beside the booking, each duty in a thread and with a book of its own.

No duty waits for another, and booking waits for none. What fails is said once until it
goes well again, and is tried again at its next turn.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flatfare.config import Settings
from flatfare.core.errors import FlatfareError
from flatfare.store.book import Book, open_book

Say = Callable[[str], None]
"""Takes a sentence for the log."""

Turn = Callable[[Settings, Book, int], str | None]
"""Does a duty once, in an open book and at a moment; returns what is amiss all the same, if anything."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to be done every so often."""

    name: str
    every_s: float
    turn: Turn
    if_it_fails: str  # what that means, before the reason
    has_last_turn: bool = False  # it is done once more at the end
    wait_s_max: float | None = None  # so long the end waits for a turn under way; None: until it is done


@contextmanager
def doing(duties: Iterable[Duty], settings: Settings, stop: threading.Event, say: Say) -> Iterator[None]:
    """Have the duties done until ``stop`` is set, which the end of the block does too."""
    threads = [
        (
            threading.Thread(
                target=_do_regularly,
                args=(duty, settings, stop, say),
                name=duty.name,
                daemon=duty.wait_s_max is not None,
            ),
            duty.wait_s_max,
        )
        for duty in duties
    ]
    for thread, _ in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread, wait_s_max in threads:
            thread.join(wait_s_max)


def _do_regularly(duty: Duty, settings: Settings, stop: threading.Event, say: Say) -> None:
    said: str | None = None
    is_last = False
    while not is_last:
        is_last = stop.wait(duty.every_s)
        if is_last and not duty.has_last_turn:
            return
        problem = _problem_of_turn(duty, settings)
        if problem is not None and problem != said:
            say(problem)
        said = problem


def _problem_of_turn(duty: Duty, settings: Settings) -> str | None:
    try:
        with open_book(settings.database, create=False) as book:
            return duty.turn(settings, book, time.time_ns() // 1000)
    except (FlatfareError, OSError) as failure:
        return f"{duty.if_it_fails}: {in_words(failure)}"


def in_words(problem: FlatfareError | OSError) -> str:
    """A sentence, also for what the system refuses: no room, no rights, no more open files."""
    if isinstance(problem, OSError):
        return f"{problem.filename or 'A file'} cannot be used: {problem.strerror or problem}."
    return str(problem)
