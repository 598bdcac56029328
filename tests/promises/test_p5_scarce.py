"""P5 where open files, or room for book and lake, have run out: nothing is lost, and it passes."""

import errno
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from flatfare.core.errors import StoreFailure
from flatfare.service import doctoring
from flatfare.store import sealing
from tests.gateway.rig import Line, ask, asking, whole
from tests.gateway.rig_load import BODY, settled_rows
from tests.gateway.rig_pair import CHAT, Pair, pair, until
from tests.store.rows import NOON_US, call, place, write

FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (90, 90))
"""
FULL_BOOK = """
import os
from flatfare.store.sqlite import SqliteHome
_execute = SqliteHome.execute
def _where_there_is_no_room(home, statement, parameters):
    done = _execute(home, statement, parameters)
    if statement.startswith("BEGIN"):
        pages = home.rows("PRAGMA page_count", ())[0][0]
        is_full = os.path.exists(os.path.join(os.path.dirname(home.place), "book-full"))
        _execute(home, f"PRAGMA max_page_count = {pages if is_full else 4294967294}", ())
    return done
SqliteHome.execute = _where_there_is_no_room
"""
"""SQLite itself finds the disk full, since its file may have no more pages than it has."""


def called(both: Pair) -> int:
    """A call on a connection of its own; 0 where it is not answered."""
    request = asking("POST", CHAT, b'{"model": "gpt-4o"}', [("authorization", f"Bearer {both.secret}")])
    try:
        return ask(both.gateway.port, request, 3).status
    except OSError:
        return 0


def test_without_open_files_nothing_is_lost_and_it_passes(tmp_path: Path) -> None:
    with pair(tmp_path, prelude=FEW_FILES) as both, both.provider.answers(lambda _: whole(BODY)):
        crowd: list[Line] = []
        with suppress(OSError):
            crowd.extend(Line(both.gateway.port, 1) for _ in range(120))
        statuses = Counter(called(both) for _ in range(10))
        assert not statuses[200], "there were files enough: the test shows nothing"
        for line in crowd:
            line.close()
        until(lambda: called(both) == 200, 15, "it does not recover")
        rows = settled_rows(both.gateway)
        assert len([row for row in rows if row["status"] == "ok"]) == len(both.provider.log)
        assert both.ready() == 200


def test_a_book_without_room_keeps_no_call_waiting_and_loses_none(tmp_path: Path) -> None:
    full = tmp_path / "book-full"
    with pair(tmp_path, prelude=FULL_BOOK) as both, both.provider.answers(lambda _: whole(BODY)):
        assert called(both) == 200
        until(lambda: len(both.gateway.rows()) == 1, 5)
        both.provider.forget()
        full.touch()
        assert Counter(called(both) for _ in range(200)) == {200: 200}
        until(lambda: b"is full. Nothing was changed; make room" in both.gateway.log, 10)
        assert b"Nothing is lost" in both.gateway.log
        full.unlink()
        until(lambda: b"Booking goes on." in both.gateway.log, 10)
        rows = settled_rows(both.gateway)
        assert Counter(row["status"] for row in rows) == {"ok": 201}


@pytest.mark.parametrize("where", ["writing", "placing"])
def test_a_lake_without_room_leaves_calls_in_the_book(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, lake = place(tmp_path)
    write(book, [call(number) for number in range(6)])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync", full) if where == "placing" else (Path, "rename", full)))
        with pytest.raises(StoreFailure, match=r"cannot be written: No space left on device\. Nothing was"):
            sealing.seal_calls(book, lake, NOON_US * 2, now_us=1)
    assert book.value("SELECT COUNT(*) FROM calls") == 6
    assert sealing.seal_calls(book, lake, NOON_US * 2, now_us=1) == 6
    assert [found.what for found in doctoring.examine(book, lake).findings if found.severity != "note"] == []
