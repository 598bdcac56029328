"""P4 by the clock: windows end at midnight where they are, and no clock that jumps gives one twice."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from flatfare.core.budget import Budget, Scope, Window
from flatfare.service.budgets import budgeting
from flatfare.store.book import open_book
from tests.gateway.rig import Pause, whole
from tests.gateway.rig_load import settled_rows
from tests.gateway.rig_pair import Pair, pair, until
from tests.promises.test_p4_no_overspend import BODY, at_once, bound_nano, cost_nano

CLOCK = """
import os, time
_real = time.time_ns
def _shown():
    with open({file!r}) as file:
        return _real() + int(file.read() or 0)
time.time_ns = _shown
time.time = lambda: _shown() / 1e9
"""


class Clock:
    """The gateway's clock, which shows what it is told and runs on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.show(datetime.now().astimezone().isoformat())

    def show(self, moment: str) -> None:
        """Show a moment, from now on; without a zone it is UTC."""
        shown = datetime.fromisoformat(moment if moment[-6] in "+-" else f"{moment}+00:00")
        new = self._file.with_suffix(".new")
        new.write_text(str(int(shown.timestamp() * 1e9) - time.time_ns()))
        new.rename(self._file)


@contextmanager
def by_the_clock(folder: Path, window: Window, calls: int) -> Iterator[tuple[Pair, Clock]]:
    """A gateway whose clock can be set, under a budget of so many calls, one after another, in a window."""
    clock = Clock(folder / "clock")
    with pair(folder, prelude=CLOCK.format(file=str(folder / "clock"))) as both:
        limit = bound_nano() + (calls - 1) * cost_nano()
        budget = Budget("", "held", Scope("organisation"), limit, window, queue_ms=0)
        with open_book(str(both.gateway.book)) as book:
            budgeting.create(book, budget, at_us=1_700_000_000_000_000, by_whom="test")
        time.sleep(1.2)  # workers take notice within half a second
        with both.provider.answers(lambda _: whole(BODY)):
            yield both, clock


def let_in(both: Pair, tries: int = 5) -> int:
    """How many calls one after another get in."""
    return sum(one.status == 200 for _ in range(tries) for one in at_once(both, 1))


@pytest.mark.parametrize(
    ("zone", "just_before_midnight", "other_midnights"),
    [
        # the clocks go back: a day of 25 hours, which ends neither after 24 nor with UTC's
        ("Europe/Berlin", "2026-10-25T23:59:57+01:00", ("2026-10-25T21:59:57", "2026-10-25T22:59:50")),
        # and on: one of 23, after 22 of whose hours it is midnight nowhere
        ("America/New_York", "2026-03-08T23:59:57-04:00", ("2026-03-08T23:59:57", "2026-03-09T00:00:01")),
        ("Asia/Kathmandu", "2026-11-20T23:59:57+05:45", ("2026-11-20T17:59:57",)),
    ],
)
def test_a_day_ends_at_midnight_where_it_is(
    tmp_path: Path, zone: str, just_before_midnight: str, other_midnights: tuple[str, ...]
) -> None:
    """(i) What is used up stays used up past every other midnight, and begins anew at its own."""
    with by_the_clock(tmp_path, Window.of("day", zone), calls=3) as (both, clock):
        clock.show(other_midnights[0])
        assert let_in(both) == 3
        for moment in other_midnights:
            clock.show(moment)
            time.sleep(4)
            assert let_in(both, 1) == 0, f"a day ended about {moment}"
        clock.show(just_before_midnight)
        assert let_in(both, 1) == 0
        time.sleep(3.5)
        assert let_in(both) == 3


def test_a_call_under_way_at_midnight_is_counted_in_the_day_in_which_it_began(tmp_path: Path) -> None:
    """(i) It takes nothing from the new day, and gives nothing back to it when it ends."""
    with by_the_clock(tmp_path, Window.of("day"), calls=3) as (both, clock):
        clock.show("2026-11-20T23:59:57")
        with both.provider.answers(lambda _: (Pause(5), *whole(BODY))):
            late = threading.Thread(target=at_once, args=(both, 1))
            late.start()
            until(lambda: len(both.provider.log) == 1, 5)
        time.sleep(3.5)
        assert let_in(both) == 3, "all of the new day"
        late.join()
        assert let_in(both) == 0, "what it did not use is the old day's"
        settled_rows(both.gateway)

        def spent() -> dict[int, int]:
            with closing(sqlite3.connect(both.gateway.book)) as book:
                return dict(book.execute("SELECT begins_us, spent_nano FROM allowances"))

        day_us = 86_400_000_000
        midnight_us = 1_795_219_200_000_000  # 2026-11-21
        expected = {midnight_us - day_us: cost_nano(), midnight_us: 3 * cost_nano()}
        until(lambda: spent() == expected, 10, f"found {spent()}, expected {expected}")


def test_a_clock_that_jumps_gives_no_window_twice(tmp_path: Path) -> None:
    """(j) To and fro between two days: what both allow is let in once."""
    days = ("2026-11-20T12:00:00", "2026-11-21T12:00:00")
    with by_the_clock(tmp_path, Window.of("day"), calls=3) as (both, clock):
        found = []
        for day in (*days, *days, *reversed(days)):
            clock.show(day)
            found.append(let_in(both))
        assert found == [3, 3, 0, 0, 0, 0]


def test_a_rolling_window_counts_what_a_clock_set_back_has_not_reached(tmp_path: Path) -> None:
    """(j) An hour is used up, and the clock is set back by two."""
    with by_the_clock(tmp_path, Window.of("rolling 1h"), calls=3) as (both, clock):
        clock.show("2026-11-20T12:00:00")
        assert let_in(both) == 3
        clock.show("2026-11-20T10:00:00")
        assert let_in(both) == 0
        clock.show("2026-11-20T12:59:00")
        assert let_in(both) == 0
        clock.show("2026-11-20T13:01:30")
        assert let_in(both) == 3


def test_who_waits_waits_by_no_clock_that_can_be_set(tmp_path: Path) -> None:
    """(j) A clock set back by a day neither keeps a call waiting nor lets it in."""
    with by_the_clock(tmp_path, Window.of("lifetime"), calls=1) as (both, clock):
        assert let_in(both, 2) == 1
        clock.show("2026-11-20T12:00:00")
        began = time.monotonic()
        assert let_in(both, 1) == 0
        assert time.monotonic() - began < 3
