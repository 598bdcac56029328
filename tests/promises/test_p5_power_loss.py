"""P5: with a synced journal, what was acknowledged is there after a loss of power, names of files included.

SQLite syncs its own files, which the process does not see: there it is the settings that are checked.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.gateway.folders import node_id, workers
from flatfare.gateway.journal import Journal
from flatfare.gateway.records import Progress, Record
from flatfare.prices.log import FileLog
from flatfare.service.access.secret_box import found_box, made_box
from flatfare.store.book import open_book
from flatfare.store.claiming import held
from flatfare.store.engine import open_engine, write_parquet
from flatfare.store.heads import INLINE_MAX, Heads
from flatfare.store.lake import Lake, checksum
from tests.gateway.calls import intent, result
from tests.gateway.test_journal import in_journal
from tests.promises.power import Power

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads what is open below /proc")


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Power:
    return Power(monkeypatch)


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[Path]:
    """Names of folders to rebuild in."""
    return (tmp_path / "left" / str(number) for number in range(1000))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """What stands since long: all below is made by the test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


def left_in_journals(folder: Path) -> list[Record]:
    return [record for worker in workers(folder) for record in in_journal(worker)]


@pytest.mark.parametrize("file_bytes_max", [1 << 20, 300])
def test_each_record_that_is_said_to_be_kept(
    file_bytes_max: int, disk: Path, power: Power, copies: Iterator[Path]
) -> None:
    """Whenever somebody is told: the first in a new folder, and where a file follows another."""

    async def work() -> None:
        journal = Journal(disk / "state" / "journal" / "book", file_bytes_max=file_bytes_max)
        for number in range(8):
            for record in (intent(number), Progress(result(number)), result(number)):
                await journal.append(record)
                left = power.lost(disk, next(copies))
                assert left_in_journals(left / "state" / "journal" / "book")[-1] == record
        await journal.close()

    asyncio.run(work())


def test_the_node_whose_journals_these_are(disk: Path, power: Power, copies: Iterator[Path]) -> None:
    """Under another name its journals would be booked a second time."""
    own = node_id(disk / "journal" / "book")
    assert node_id(power.lost(disk, next(copies)) / "journal" / "book") == own


def test_a_file_of_the_lake_that_may_be_listed(disk: Path, power: Power, copies: Iterator[Path]) -> None:
    lake = Lake(disk / "state" / "lake")
    engine = open_engine()
    with lake.exclusive(), lake.staging("one") as staging:
        write_parquet(engine, "SELECT 1 AS n", staging / "calls.parquet")
        placed = lake.place(staging / "calls.parquet", "calls", "s1")
    engine.close()
    left = power.lost(disk, next(copies)) / "state" / "lake"
    assert checksum(left / placed.path) == placed.sha256


def test_whose_a_lake_is(disk: Path, power: Power, copies: Iterator[Path]) -> None:
    """Without it the lake would be nobody's, with files that are not listed yet."""
    lake = Lake(disk / "state" / "lake")
    with open_book(":memory:") as book, held(book, lake):
        left = Lake(power.lost(disk, next(copies)) / "state" / "lake")
        assert left.mark() == lake.mark() is not None


@pytest.mark.parametrize("count", [2, INLINE_MAX + 1])
def test_signed_heads_and_the_key_that_signs_them(
    count: int, disk: Path, power: Power, copies: Iterator[Path]
) -> None:
    """Nothing of them is missing afterwards that would look as if somebody had taken it away."""
    heads = Heads(disk / "state" / "heads", disk / "keys" / "heads.key")
    engine = open_engine()
    for number in range(2):
        engine.execute(
            f"CREATE OR REPLACE TABLE fresh AS SELECT 'c' || i AS chain, {number + 1}::BIGINT AS records, "
            f"'ab' AS hash FROM range({count}) r(i)"
        )
        with heads.exclusive():
            heads.add(engine, "fresh", heads.statements(), number)
        left = power.lost(disk, next(copies))
        found = Heads(left / "state" / "heads", left / "keys" / "heads.key")
        assert len(found.statements()) == number + 1
        assert list(found.problems(found.statements())) == []
    engine.close()


def test_the_key_to_what_is_sealed(disk: Path, power: Power, copies: Iterator[Path]) -> None:
    name = "FLATFARE_SECRET_KEY_FILE"
    box, file = made_box({name: str(disk / "keys" / "secret.key")})
    assert file is not None
    sealed = box.seal(b"sk-real", "openai")
    left = found_box({name: str(power.lost(disk, next(copies)) / "keys" / "secret.key")})
    assert left is not None
    assert left.open(sealed, "openai") == b"sk-real"


def test_a_rate_that_was_added(disk: Path, power: Power, copies: Iterator[Path]) -> None:
    line: dict[str, object] = {"kind": "own", "provider": "p", "model": "m"}
    log = FileLog(disk / "prices.jsonl")
    for number in range(2):
        log.append([{**line, "from": f"2026-01-0{number + 1}"}])
        left = FileLog(power.lost(disk, next(copies)) / "prices.jsonl")
        assert left.lines() == log.lines() != ()


def test_the_book_syncs_each_commit(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connecting(*named: object, **more: object) -> sqlite3.Connection:
        opened.append(connect(*named, **more))  # type: ignore[call-overload]
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connecting)
    with open_book(str(disk / "book.db")):
        (connection,) = opened
        full = 2  # at a commit the log is synced, not only before it is folded back (sqlite.org/pragma.html)
        assert connection.execute("PRAGMA synchronous").fetchone() == (full,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
