"""Signed heads outlive who dies while writing them, and sign with one key whoever makes it."""

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
