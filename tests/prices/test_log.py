"""The price log is added to whole or not at all, whatever the disk does."""

import errno
import os
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.prices.book import PriceBook
from flatfare.prices.log import FileLog

ONE = {"provider": "p", "model": "one"}
TWO = {"provider": "p", "model": "two"}


@pytest.fixture
def log(tmp_path: Path) -> FileLog:
    return FileLog(tmp_path / "prices.jsonl")


def test_a_line_that_was_cut_short_was_never_added(log: FileLog) -> None:
    """Its writer died: pricing goes on, and the next line takes its place."""
    log.append([ONE])
    with log.path.open("ab") as file:
        file.write(b'{"provider": "p", "mod')
    assert log.lines() == [ONE]
    log.append([TWO])
    assert log.lines() == [ONE, TWO]


def test_a_line_that_a_person_left_without_its_end_counts(log: FileLog) -> None:
    log.path.write_bytes(b'{"provider": "p", "model": "one"}')
    log.append([TWO])
    assert log.lines() == [ONE, TWO]


def test_a_line_in_the_middle_that_cannot_be_read_is_refused(log: FileLog) -> None:
    log.path.write_bytes(b'{"provider": "p", "mod\n{"provider": "p", "model": "one"}\n')
    with pytest.raises(BadInput, match="Line 1 of the price log"):
        log.lines()


@pytest.mark.parametrize(
    "said",
    [
        {"rate": "1.08"},
        {"from": "2026-01-01"},
        {"from": "always", "rate": "1.08"},
        {"from": "", "rate": "1.08"},
        {"from": "2026-01-01", "rate": "1,08"},
        {"from": "2026-01-01", "rate": "0"},
        {"from": "2026-01-01", "rate": "1/0"},
    ],
)
def test_a_line_that_is_no_exchange_rate_is_refused(log: FileLog, said: dict[str, object]) -> None:
    log.append([ONE, {"provider": "exchange", "model": "EUR", **said}])
    with pytest.raises(BadInput, match=r"Line 2 of the price log .* is no exchange rate"):
        PriceBook.standard(log)


def test_what_does_not_fit_on_the_disk_is_not_added_in_part(
    log: FileLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([ONE])

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreFailure, match="No space left"):
            log.append([TWO, TWO])
    assert log.lines() == [ONE]
    log.append([TWO])
    assert log.lines() == [ONE, TWO]
