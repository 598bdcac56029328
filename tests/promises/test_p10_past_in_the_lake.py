"""P10, the past cannot be edited unnoticed: nor in sealed files, listed and hashed anew, in either database.

Whoever can write the lake and the book can make a file that is sound in itself; what was signed
of the chains, and of the files that were sealed, contradicts it.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from flatfare.config import Settings
from flatfare.core.chain import GENESIS, link
from flatfare.service import vouching
from flatfare.service.importing.order import Order
from flatfare.service.importing.run import Stores, import_file
from flatfare.store import gathering, segments
from flatfare.store.book import Book, open_book
from flatfare.store.heads import Heads
from flatfare.store.lake import Lake
from flatfare.store.layout import VERDICT_SAYS

NOW = 1_800_000_000_000_000
Rows = list[dict[str, object]]


def edit_word(rows: Rows) -> None:
    rows[0]["judgement"] = "fail" if rows[0]["judgement"] == "pass" else "pass"


def edit_time(rows: Rows) -> None:
    rows[-1]["at_us"] = int(str(rows[-1]["at_us"])) + 1


def drop(rows: Rows) -> None:
    rows.pop(1)


def cut(rows: Rows) -> None:
    rows.pop()


def swap(rows: Rows) -> None:
    rows[0]["position"], rows[1]["position"] = rows[1]["position"], rows[0]["position"]


def insert(rows: Rows) -> None:
    rows.insert(1, {**rows[0], "id": "ffffffff-0000-7000-8000-000000000000", "judgement": "pass"})


VERDICTS: dict[str, Callable[[Rows], None]] = {
    one.__name__: one for one in (edit_word, edit_time, drop, cut, swap, insert)
}


def flip(rows: Rows) -> None:
    for row in rows:
        row["outcome"] = "failed" if row["outcome"] == "verified" else "verified"


def forgive(rows: Rows) -> None:
    for row in rows:
        row["outcome"] = "verified"  # one that was reversed has a verdict that passes, too


def lose(rows: Rows) -> None:
    rows.pop()


TASKS: dict[str, Callable[[Rows], None]] = {one.__name__: one for one in (flip, forgive, lose)}


def filled(database: str, folder: Path) -> Heads:
    """A book whose tasks and verdicts lie in the lake, vouched for."""
    tasks, verdicts = folder / "tasks.csv", folder / "verdicts.csv"
    tasks.write_text("task_id,success,cost\n" + "".join(f"t{n},{n % 2},1.5\n" for n in range(6)))
    rows = "".join(
        f"t{n % 6},judge-{n},{'fail' if n % 4 == 0 else 'pass'},2026-02-{1 + n:02}\n" for n in range(18)
    )
    verdicts.write_text("task_id,verifier,result,at\n" + rows)
    heads = Heads(folder / "heads", folder / "key")
    with open_book(database) as book:
        stores = Stores(book, Lake(folder / "lake"), Settings())
        for kind, file in (("tasks", tasks), ("verdicts", verdicts)):
            found = import_file(stores, str(file), Order(kind, at_us=NOW - 10**15), NOW)
            assert (found.new, found.rejected) == (6 if kind == "tasks" else 18, 0)
        assert vouching.verify(book, stores.lake, heads, now_us=NOW).holds
    return heads


def verified(database: str, folder: Path, heads: Heads) -> vouching.Verified:
    with open_book(database) as book:
        return vouching.verify(book, Lake(folder / "lake"), heads, now_us=NOW, signs=False)


def hashed_anew(rows: Rows) -> None:
    """Make the links of each task's chain anew, so that each is sound in itself."""
    previous: dict[object, tuple[str, int]] = {}
    for row in rows:
        hash_before, position = previous.get(row["task_id"], (GENESIS, 0))
        row |= {"position": position, "previous_hash": hash_before}
        row["hash"] = link(
            hash_before, *("" if row[name] is None else str(row[name]) for name in VERDICT_SAYS)
        )
        previous[row["task_id"]] = (str(row["hash"]), position + 1)


def rewrite(
    book: Book, folder: Path, kind: str, change: Callable[[Rows], None], *, is_listed: bool, is_hashed: bool
) -> None:
    """Put another file in the place of a sealed one; listed with its own sums, where asked."""
    segment = segments.listed(book, kind)[-1]
    file = folder / "lake" / segment.path
    with duckdb.connect() as engine:
        order = "task_id, position" if kind == "verdicts" else "id, version"
        found = engine.execute(f"SELECT * FROM read_parquet('{file}') ORDER BY {order}")
        columns = [(str(one[0]), str(one[1])) for one in found.description or ()]
        rows = [dict(zip((name for name, _ in columns), row, strict=True)) for row in found.fetchall()]
        change(rows)
        if is_hashed:
            hashed_anew(rows)
        marks = ", ".join(f"CAST(? AS {kind}) AS {name}" for name, kind in columns)
        engine.execute(f"CREATE TABLE anew AS SELECT * FROM read_parquet('{file}') LIMIT 0")
        for row in rows:
            engine.execute(f"INSERT INTO anew SELECT {marks}", list(row.values()))
        engine.execute(f"COPY anew TO '{file}' (FORMAT parquet)")
        if is_listed:
            sums = segments.control_sums(engine, kind, "anew")
            count = sums.pop("rows")
            content = file.read_bytes()
            book.execute(
                "UPDATE segments SET sha256 = ?, bytes = ?, rows = ?, sums = ? WHERE id = ?",
                (hashlib.sha256(content).hexdigest(), len(content), count, json.dumps(sums), segment.id),
            )


@pytest.fixture
def heads(database: str, tmp_path: Path) -> Heads:
    return filled(database, tmp_path)


@pytest.mark.parametrize("is_hashed", [False, True], ids=["as it was", "hashed anew"])
@pytest.mark.parametrize("how", VERDICTS)
def test_a_sealed_verdict_that_was_changed_is_found(
    database: str, tmp_path: Path, heads: Heads, how: str, is_hashed: bool
) -> None:
    shutil.copytree(tmp_path / "lake", tmp_path / "kept")
    with open_book(database) as book:
        rewrite(book, tmp_path, "verdicts", VERDICTS[how], is_listed=False, is_hashed=is_hashed)
    assert not verified(database, tmp_path, heads).holds
    shutil.rmtree(tmp_path / "lake")
    shutil.copytree(tmp_path / "kept", tmp_path / "lake")
    assert verified(database, tmp_path, heads).holds
    with open_book(database) as book:
        rewrite(book, tmp_path, "verdicts", VERDICTS[how], is_listed=True, is_hashed=is_hashed)
    assert not verified(database, tmp_path, heads).holds


@pytest.mark.parametrize("how", TASKS)
def test_a_sealed_outcome_that_was_changed_is_found(
    database: str, tmp_path: Path, heads: Heads, how: str
) -> None:
    with open_book(database) as book:
        rewrite(book, tmp_path, "tasks", TASKS[how], is_listed=True, is_hashed=False)
    assert not verified(database, tmp_path, heads).holds


@pytest.mark.parametrize("kind", ["tasks", "verdicts"])
def test_a_sealed_file_that_is_listed_no_more_is_found(
    database: str, tmp_path: Path, heads: Heads, kind: str
) -> None:
    with open_book(database) as book:
        (last,) = [segment.id for segment in segments.listed(book, kind)[-1:]]
        book.execute("DELETE FROM segments WHERE id = ?", (last,))
    assert not verified(database, tmp_path, heads).holds


def test_a_file_that_nobody_sealed_is_found(database: str, tmp_path: Path, heads: Heads) -> None:
    """Such as a task's newer version, that says another outcome."""
    with open_book(database) as book:
        segment = segments.listed(book, "tasks")[-1]
        copy = f"{segment.path}.more.parquet"
        shutil.copy(tmp_path / "lake" / segment.path, tmp_path / "lake" / copy)
        more = "rows, bytes, sha256, first_at_us, last_at_us, sums, replaces_rows, sealed_at_us"
        book.execute(
            f"INSERT INTO segments (id, kind, path, {more}) "
            f"SELECT ?, kind, ?, {more} FROM segments WHERE id = ?",
            ("11111111-0000-7000-8000-000000000000", copy, segment.id),
        )
    problems = [problem.what for problem in verified(database, tmp_path, heads).problems]
    assert "is listed and was never sealed" in problems


@pytest.mark.parametrize("is_relisted", [False, True])
def test_a_copy_that_nobody_gathered_is_found(
    database: str, tmp_path: Path, heads: Heads, is_relisted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports read it in the place of what was sealed: with other outcomes in it they would say them."""
    monkeypatch.setattr(gathering, "FILES_MIN", 1)
    lake = Lake(tmp_path / "lake")
    with open_book(database) as book:
        gathering.gather(book, lake, NOW)
        assert verified(database, tmp_path, heads).holds
        (one,) = [one for one in gathering.listed(book) if one.kind == "tasks"]
        with duckdb.connect() as engine:
            file = lake.file(one.path)
            changed = f"SELECT * REPLACE ('failed' AS outcome) FROM read_parquet('{file}')"
            engine.execute(f"CREATE TABLE anew AS {changed}")
            engine.execute(f"COPY anew TO '{file}' (FORMAT parquet)")
        content = lake.file(one.path).read_bytes()
        said = (hashlib.sha256(content).hexdigest(), len(content))
        if is_relisted:
            more = "kind, path, rows, first_at_us, last_at_us, members, gathered_at_us"
            book.execute(
                f"INSERT INTO gathered_files (id, sha256, bytes, {more}) SELECT 'another', ?, ?, {more} "
                "FROM gathered_files WHERE id = ?",
                (*said, one.id),
            )
            book.execute("DELETE FROM gathered_files WHERE id = ?", (one.id,))
        else:
            book.execute("UPDATE gathered_files SET sha256 = ?, bytes = ? WHERE id = ?", (*said, one.id))
    problems = [problem.what for problem in verified(database, tmp_path, heads).problems]
    assert any("was never gathered" in what or "than it was gathered" in what for what in problems)
