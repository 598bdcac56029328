"""Signed heads outlive who dies while writing them, and sign with one key whoever makes it."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from flatfare.core.errors import StoreFailure
from flatfare.store.engine import open_engine
from flatfare.store.heads import STATEMENTS, Heads, Statement


@pytest.fixture
def heads(tmp_path: Path) -> Heads:
    return Heads(tmp_path / "heads", tmp_path / "key")


def signed(heads: Heads, chain: str) -> Statement:
    engine = open_engine()
    try:
        engine.execute("CREATE TABLE fresh (chain VARCHAR, records BIGINT, hash VARCHAR)")
        engine.execute("INSERT INTO fresh VALUES (?, 1, 'ab')", [chain])
        with heads.exclusive():
            statement = heads.add(engine, "fresh", heads.statements(), 1)
    finally:
        engine.close()
    assert statement is not None
    return statement


def test_a_statement_that_was_half_written_was_never_said(heads: Heads) -> None:
    first = signed(heads, "a")
    with (heads.folder / STATEMENTS).open("ab") as file:
        file.write(b'{"at_us":1,"count":\xe2\x80')
    assert [one.digest for one in heads.statements()] == [first.digest]
    signed(heads, "b")
    found = heads.statements()
    assert [one.heads[0][0] for one in found] == ["a", "b"]
    assert list(heads.problems(found)) == []


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\u2029"])
def test_names_may_hold_what_others_take_for_the_end_of_a_line(heads: Heads, sign: str) -> None:
    signed(heads, f"entry/a{sign}b")
    assert [one.heads[0][0] for one in heads.statements()] == [f"entry/a{sign}b"]


def test_who_makes_the_key_at_once_signs_with_one(tmp_path: Path) -> None:
    both = [Heads(tmp_path / name, tmp_path / "key") for name in "abcdefgh"]
    barrier = Barrier(len(both))

    def sign(one: Heads) -> list[str]:
        barrier.wait()
        signed(one, "x")
        return list(one.problems(one.statements()))

    with ThreadPoolExecutor(len(both)) as pool:
        assert list(pool.map(sign, both)) == [[]] * len(both)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["key"]


def test_an_empty_key_signs_nothing(heads: Heads) -> None:
    heads.key_file.write_text("")
    with pytest.raises(StoreFailure, match="Found 0 bytes in the key"):
        signed(heads, "a")


def test_a_folder_that_is_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    heads = Heads(tmp_path / "file" / "heads", tmp_path / "key")
    with (
        pytest.raises(StoreFailure, match=r"The folder of signed heads .* cannot be written: File exists"),
        heads.exclusive(),
    ):
        pass


def test_a_full_disk_leaves_what_was_said_and_the_next_one_follows_it(
    heads: Heads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line at most, which was never said."""
    signed(heads, "a")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreFailure, match="cannot be written: No space left on device"):
            signed(heads, "b")
    signed(heads, "c")
    found = heads.statements()
    assert list(heads.problems(found)) == []
    assert {one.heads[0][0] for one in found} >= {"a", "c"}
