"""The process that keeps the book: it books journals, seals what is old, lets tasks mature, tells of alerts.

One such process at a time books into a book; another stands by until the kernel frees
the claim. Whatever fails is said once and tried again: until then the journals keep it.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flatfare.config import Settings
from flatfare.core.errors import FlatfareError, StoreFailure
from flatfare.gateway.booking import Booked, Booker
from flatfare.gateway.folders import journal_folder, node_id, remove_unborn
from flatfare.gateway.regularly import Duty, Say, doing, in_words
from flatfare.gateway.telling import HOT_US_MIN
from flatfare.service import selling, vouching
from flatfare.service.access.secret_box import found_box
from flatfare.service.alerts import alerting, weekly
from flatfare.service.alerts.sending import Page, send
from flatfare.service.judging import reviewing, sampling
from flatfare.service.tasks.recording import mature
from flatfare.store import claiming, gathering, sealing, sealing_tasks, segments
from flatfare.store.alerts import release
from flatfare.store.book import Book, open_book
from flatfare.store.durable import make_folder
from flatfare.store.lake import Lake

POLL_S = 0.1
"""How long the booker rests when every journal is read to its end."""

RETRY_S = 1.0
SEAL_EVERY_S = 60.0
SEAL_TASKS_EVERY_S = 600.0
GATHER_EVERY_S = 600.0
TELL_EVERY_S = 1.0
MATURE_EVERY_S = 5.0
TELLING_S_MAX = 2.0
SAMPLE_EVERY_S = 30.0
SIGN_EVERY_S = 600
HOT_US = 3_600_000_000
"""Calls stay in the book for an hour before they are sealed: most that is told late is told by then."""

CROWDED_ROWS, CROWDED_US = 1_000_000, HOT_US_MIN
"""With more calls than that in the book, they stay for ten minutes: whoever reads them reads all of them."""

SETTLED_US = 7 * 86_400_000_000
"""Tasks stay in the book for a week after their window closed: most that is told late is told by then."""

CROWDED_TASKS, SETTLED_CROWDED_US = 200_000, 86_400_000_000
"""With more such tasks than that in the book, they stay for a day."""

SEAL_TASKS_MIN = 20_000
SEAL_ROWS_MIN, WAIT_US = 100_000, 7 * 86_400_000_000
"""With fewer, a week passes from one sealing to the next: each file adds a millisecond to every report."""

_CLAIM = ".booker"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the bookkeeping does what, in seconds."""

    poll_s: float = POLL_S
    retry_s: float = RETRY_S
    seal_every_s: float = SEAL_EVERY_S
    seal_tasks_every_s: float = SEAL_TASKS_EVERY_S
    gather_every_s: float = GATHER_EVERY_S
    tell_every_s: float = TELL_EVERY_S
    mature_every_s: float = MATURE_EVERY_S
    sample_every_s: float = SAMPLE_EVERY_S
    sign_every_s: float = SIGN_EVERY_S


def run_booking(
    settings: Settings,
    stop: threading.Event,
    say: Say,
    *,
    pace: Pace = Pace(),
    on_booked: Callable[[Booked], None] | None = None,
    page: Page | None = None,
    makes_book: bool = True,
) -> None:
    """Keep the book until ``stop`` is set; then book once more what is there, and return.

    Blocks. Stands by as long as another process keeps this book. ``page`` prints the weekly report.
    ``makes_book``: a book that is not there at first is made; one that goes away later is waited for.
    """
    folder = journal_folder(settings)
    with claimed(folder, stop, say, pace.retry_s) as is_claimed:
        if not is_claimed:
            return
        with doing(_duties(settings, pace, page), settings, stop, say):
            _book_until(settings, folder, stop, say, pace, on_booked, makes_book=makes_book)


@contextmanager
def claimed(folder: Path, stop: threading.Event, say: Say, retry_s: float = RETRY_S) -> Iterator[bool]:
    """Be the only one who books the journals below a folder; False where it was told to stop before.

    The claim goes with the process that holds it, however it ends.
    """
    try:
        make_folder(folder)
        handle = os.open(folder / _CLAIM, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise StoreFailure(
            f"The journals' folder {folder} cannot be made: {problem.strerror or problem}."
        ) from problem
    try:
        yield _wait_for(handle, stop, say, retry_s)
    finally:
        os.close(handle)


def _wait_for(handle: int, stop: threading.Event, say: Say, retry_s: float) -> bool:
    is_said = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_said:
                say("Another process keeps this book; this one stands by.")
                is_said = True
            if stop.wait(retry_s):
                return False
        else:
            return True


def _book_until(
    settings: Settings,
    folder: Path,
    stop: threading.Event,
    say: Say,
    pace: Pace,
    on_booked: Callable[[Booked], None] | None,
    *,
    makes_book: bool,
) -> None:
    said: str | None = None
    while True:
        try:
            with open_book(settings.database, create=makes_book) as book:
                makes_book = False
                remove_unborn(folder)
                for booked in _turns(book, settings, folder, stop, pace):
                    if said is not None and not booked.problems:
                        say("Booking goes on.")
                        said = None
                    said = _say_what_is_new(booked, said, say)
                    if on_booked is not None:
                        on_booked(booked)
                return
        except (FlatfareError, OSError) as problem:
            if in_words(problem) != said:
                said = in_words(problem)
                say(f"{said} Nothing is lost: the journals keep the calls until they can be booked.")
            if stop.wait(pace.retry_s):
                return


def _turns(
    book: Book, settings: Settings, folder: Path, stop: threading.Event, pace: Pace
) -> Iterator[Booked]:
    """Turn after turn; after the stop, until everything that is there is booked."""
    booker = Booker(book, Lake(settings.lake), folder, settings)
    while True:
        is_last = stop.is_set()
        booked = booker.book_once()
        yield booked
        if booked.is_idle:
            if is_last:
                return
            stop.wait(pace.poll_s)


def _say_what_is_new(booked: Booked, said: str | None, say: Say) -> str | None:
    for note in booked.notes:
        say(note.said)
    if booked.unproven:
        say(
            f"Booked {booked.unproven} calls whose worker ended before their answer did, as estimated and "
            "unproven."
        )
    for problem in booked.problems:
        if problem != said:
            say(problem)
            said = problem
    return said


def _duties(settings: Settings, pace: Pace, page: Page | None) -> Iterator[Duty]:
    """What is done beside the booking, and how often."""
    yield Duty("sealing", pace.seal_every_s, _seal, "Older calls stay in the book for now")
    told = "Tasks that are told stay in the book for now"
    yield Duty("sealing tasks", pace.seal_tasks_every_s, _seal_tasks, told)
    yield Duty("the lake", pace.seal_every_s, _look_whose_it_is, "Calls stay in the book")
    yield Duty("gathering", pace.gather_every_s, _gather, "Small files of the lake are read one by one")
    if settings.weekly_report is not None:
        yield Duty("weekly reports", pace.tell_every_s, _report, "The weekly report waits")
    yield Duty("maturing", pace.mature_every_s, _mature, "Tasks whose window has closed wait")
    unsigned = "Heads of chains are not signed for now"
    yield Duty("signing", pace.sign_every_s, _sign, unsigned, has_last_turn=True)
    yield Duty("sampling", pace.sample_every_s, _sample, "What was drawn for people waits")
    for channel in settings.alerts:  # one that does not answer holds up no other, and no end
        turn = _Telling(channel, page).turn
        yield Duty(f"telling {channel}", pace.tell_every_s, turn, "Alerts wait", wait_s_max=TELLING_S_MAX)


def _seal(settings: Settings, book: Book, now_us: int) -> None:
    """Move older calls to the lake."""
    seal_old(book, Lake(settings.lake), now_us=now_us)


def _seal_tasks(settings: Settings, book: Book, now_us: int) -> None:
    """Move tasks to the lake of which most is told."""
    seal_old_tasks(book, Lake(settings.lake), now_us=now_us)


def _look_whose_it_is(settings: Settings, book: Book, now_us: int) -> None:
    """Say that the lake is of another book before there is anything to seal."""
    if (problem := claiming.is_of(book, Lake(settings.lake))) is not None:
        raise problem


def _gather(settings: Settings, book: Book, now_us: int) -> None:
    """Copy small files of the lake into one that is read instead."""
    gathering.gather(book, Lake(settings.lake), now_us)


def _report(settings: Settings, book: Book, now_us: int) -> None:
    """Owe channels the weekly report when its hour has come."""
    weekly.owe_if_due(book, Lake(settings.lake), settings, now_us=now_us)


def _mature(settings: Settings, book: Book, now_us: int) -> None:
    """Let silence speak for tasks whose window has closed, and end old reviews.

    Money follows: what turned out not to be done is given back, what has expired is booked.
    """
    lake = Lake(settings.lake)
    mature(book, lake, now_us=now_us)
    reviewing.tidy(book, lake, now_us=now_us)
    selling.follow(book, now_us=now_us)
    selling.expire_lots(book, now_us=now_us)


def _sign(settings: Settings, book: Book, now_us: int) -> None:
    """Sign the heads of chains that have grown."""
    vouching.sign(book, Lake(settings.lake), vouching.heads_of(settings), now_us=now_us)


def _sample(settings: Settings, book: Book, now_us: int) -> None:
    """Put before people what a sampling plan or a definition has drawn for them."""
    sampling.ask_people_of_all(book, Lake(settings.lake), now_us=now_us, box=found_box(os.environ))


class _Telling:
    """Tells one channel of alerts.

    What was claimed by this node before is of a process that is gone, and is told at once.
    """

    def __init__(self, channel: str, page: Page | None) -> None:
        self._channel = channel
        self._send = partial(send, page=page)
        self._is_first = True

    def turn(self, settings: Settings, book: Book, now_us: int) -> str | None:
        """Tell what is owed to the channel; says so where some of it was given up."""
        by = f"{node_id(journal_folder(settings))} {self._channel}"
        if self._is_first:
            release(book, by, now_us)
            self._is_first = False
        told = alerting.tell(
            book,
            settings,
            self._send,
            now_us=lambda: time.time_ns() // 1000,
            channels=(self._channel,),
            by=by,
        )
        return f"{told.given_up} alerts were given up: flatfare alerts list" if told.given_up else None


def seal_old(book: Book, lake: Lake, *, now_us: int) -> int:
    """Seal calls older than an hour, once there are enough of them or they have waited long enough.

    In a crowded book, calls older than ten minutes, once there are enough of them.
    """
    is_crowded = int(book.value("SELECT COUNT(*) FROM calls") or 0) > CROWDED_ROWS
    before_us = now_us - (CROWDED_US if is_crowded else HOT_US)
    rows = book.rows("SELECT COUNT(*), MIN(at_us) FROM calls WHERE at_us < ?", (before_us,))
    count, oldest_us = int(rows[0][0] or 0), int(rows[0][1] or 0)
    waited_since_us = max(oldest_us, segments.last_sealed_us(book, "calls"))  # corrections are of old calls
    if not count or (count < SEAL_ROWS_MIN and waited_since_us > now_us - WAIT_US):
        return 0
    return sealing.seal_calls(book, lake, before_us=before_us, now_us=now_us)


def seal_old_tasks(book: Book, lake: Lake, *, now_us: int) -> int:
    """Seal tasks whose window closed a week ago, once there are enough of them.

    Where very many are in the book, those whose window closed a day ago.
    """
    before_us = now_us - SETTLED_CROWDED_US
    if sealing_tasks.ready(book, before_us) <= CROWDED_TASKS:
        before_us = now_us - SETTLED_US
    if sealing_tasks.ready(book, before_us) < SEAL_TASKS_MIN:
        return 0
    return sealing_tasks.seal_tasks(book, lake, before_us=before_us, now_us=now_us)
