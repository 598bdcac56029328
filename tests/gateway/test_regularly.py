"""A duty is done again and again, whatever becomes of one turn, and says once what keeps it waiting."""

import threading
from collections.abc import Callable
from pathlib import Path

from flatfare.config import Settings
from flatfare.core.errors import StoreFailure
from flatfare.gateway.regularly import Duty, Turn, doing
from flatfare.store.book import Book, open_book


def after_turns(folder: Path, count: int, turn: Turn, *, has_last_turn: bool = False) -> list[str]:
    """What is said by a duty that is stopped within so many turns."""
    settings, said = Settings(database=str(folder / "b.db")), list[str]()
    open_book(settings.database).close()
    stop, turns = threading.Event(), 0

    def counted(settings: Settings, book: Book, now_us: int) -> str | None:
        nonlocal turns
        turns += 1
        if turns == count:
            stop.set()
        return turn(settings, book, now_us)

    duty = Duty("test", 0.001, counted, "It waits", has_last_turn=has_last_turn)
    with doing([duty], settings, stop, said.append):
        assert stop.wait(20)
    assert turns == count + has_last_turn
    return said


def failing(*outcomes: Callable[[], str | None]) -> Turn:
    left = iter(outcomes)
    return lambda settings, book, now_us: next(left)()


def broken() -> str | None:
    raise StoreFailure("The book is away.")


def full() -> str | None:
    raise OSError(28, "No space left on device", "b.db")


def well() -> str | None:
    return None


def test_what_fails_is_said_once_and_again_after_it_went_well(tmp_path: Path) -> None:
    said = after_turns(tmp_path, 5, failing(broken, broken, well, broken, full))
    away = "It waits: The book is away."
    assert said == [away, away, "It waits: b.db cannot be used: No space left on device."]


def test_what_is_amiss_although_it_was_done_is_said_as_it_is(tmp_path: Path) -> None:
    assert after_turns(tmp_path, 2, failing(lambda: "Two were given up", well)) == ["Two were given up"]


def test_a_duty_with_a_last_turn_is_done_once_more_at_the_end(tmp_path: Path) -> None:
    assert after_turns(tmp_path, 1, failing(well, broken), has_last_turn=True) == [
        "It waits: The book is away."
    ]


def test_a_book_that_is_away_is_not_made_anew(tmp_path: Path) -> None:
    settings, said, stop = Settings(database=str(tmp_path / "b.db")), list[str](), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        stop.set()

    with doing([Duty("test", 0.001, failing(), "It waits")], settings, stop, say):
        assert stop.wait(20)
    assert len(said) == 1
    assert not (tmp_path / "b.db").exists()


def test_a_turn_that_does_not_end_keeps_nobody_from_ending(tmp_path: Path) -> None:
    settings = Settings(database=str(tmp_path / "b.db"))
    open_book(settings.database).close()
    begun, go_on = threading.Event(), threading.Event()

    def hang(settings: Settings, book: Book, now_us: int) -> None:
        begun.set()
        go_on.wait(20)

    with doing([Duty("test", 0.001, hang, "-", wait_s_max=0.01)], settings, threading.Event(), print):
        assert begun.wait(20)
    assert not go_on.is_set()
    go_on.set()
