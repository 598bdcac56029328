"""Importing the same record again changes nothing, however it comes again."""

import random
from pathlib import Path

import duckdb
import pytest

from flatfare.core.errors import Conflict
from flatfare.store.book import open_book
from tests.service.importing.bringing import Place

HEAD = "timestamp,model,prompt_tokens,completion_tokens,cost\n"


def lines(first: int, last: int) -> str:
    return "".join(
        f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z,m,{n},1,0.00{n + 1}\n" for n in range(first, last)
    )


def seen(place: Place) -> tuple[object, ...]:
    return place.row("SELECT SUM(n), COUNT(*), SUM(cost_nano) FROM calls")


def test_the_same_file_is_not_read_again(place: Place) -> None:
    first = place.text("calls", HEAD + lines(0, 10))
    again = place.bring("calls", first.file)
    assert again.already_at_us == place.now_us - 1_000_000
    assert seen(place)[0] == 10


def test_the_same_file_under_another_name_adds_nothing(place: Place) -> None:
    place.text("calls", HEAD + lines(0, 10))
    assert place.text("calls", HEAD + lines(0, 10), "other.csv").already_at_us


def test_a_file_that_grew_adds_what_is_new(place: Place) -> None:
    place.text("calls", HEAD + lines(0, 10))
    grown = place.text("calls", HEAD + lines(0, 25))
    assert (grown.new, grown.known) == (15, 10)
    assert seen(place)[:2] == (25, 25)


def test_files_that_overlap_add_what_is_new(place: Place) -> None:
    place.text("calls", HEAD + lines(0, 20), "a.csv")
    other = place.text("calls", HEAD + lines(10, 30), "b.csv")
    assert (other.new, other.known) == (10, 10)
    assert seen(place)[:2] == (30, 30)


def test_rows_that_are_alike_are_each_kept_and_known_again(place: Place) -> None:
    row = "2026-01-01T00:00:00Z,m,5,1,0.5\n"
    place.text("calls", HEAD + row * 3)
    assert seen(place) == (3, 3, 1_500_000_000)
    more = place.text("calls", HEAD + row * 4)
    assert (more.new, more.known) == (1, 3)


def test_another_order_of_rows_and_columns_is_the_same(place: Place) -> None:
    place.text("calls", HEAD + lines(0, 10))
    rows = [line.split(",") for line in lines(0, 10).splitlines()]
    random.Random(1).shuffle(rows)
    turned = "cost,completion_tokens,prompt_tokens,model,timestamp\n"
    turned += "".join(",".join(reversed(row)) + "\n" for row in rows)
    assert place.text("calls", turned).known == 10


def test_every_format_gives_the_same_calls(place: Place, tmp_path: Path) -> None:
    """CSV, JSON Lines, a JSON list, Parquet, tabs, semicolons and gzip: one set of rows."""
    engine = duckdb.connect()
    text = "id," + HEAD + "".join(f"{n},{line}\n" for n, line in enumerate(lines(0, 40).splitlines()))
    (tmp_path / "a.csv").write_text(text)
    engine.execute(f"CREATE TABLE t AS SELECT * FROM read_csv('{tmp_path}/a.csv')")
    engine.execute(f"COPY t TO '{tmp_path}/a.parquet'")
    engine.execute(f"COPY t TO '{tmp_path}/a.jsonl'")
    engine.execute(f"COPY t TO '{tmp_path}/a.json' (FORMAT json, ARRAY true)")
    engine.execute(f"COPY t TO '{tmp_path}/a.csv.gz'")
    engine.execute(f"COPY t TO '{tmp_path}/b.csv' (DELIMITER ';')")
    engine.execute(f"COPY t TO '{tmp_path}/a.tsv' (DELIMITER '\t')")
    assert place.bring("calls", tmp_path / "a.csv").new == 40
    before = seen(place)
    for name in ("a.parquet", "a.jsonl", "a.json", "a.csv.gz", "b.csv", "a.tsv"):
        result = place.bring("calls", tmp_path / name)
        assert (name, result.read, result.known, result.rejected) == (name, 40, 40, 0)
    assert seen(place) == before


def test_the_same_id_with_other_content_is_refused(place: Place) -> None:
    place.text("calls", "id,timestamp,prompt_tokens,cost\na,2026-01-01T00:00:00Z,5,1\n")
    result = place.text("calls", "id,timestamp,prompt_tokens,cost\na,2026-01-01T00:00:00Z,6,2\n")
    assert (result.new, result.rejected) == (0, 1)
    assert "--update" in place.rejects()
    assert place.row("SELECT SUM(input), SUM(cost_nano) FROM calls") == (5, 10**9)


def test_an_update_is_a_correction_beside_what_stood(place: Place) -> None:
    place.text("calls", "id,timestamp,prompt_tokens,cost\na,2026-01-01T00:00:00Z,5,1\n")
    changed = "id,timestamp,prompt_tokens,cost\na,2026-01-01T00:00:00Z,6,2\n"
    assert place.text("calls", changed, update=True).updated == 1
    assert seen(place) == (1, 3, 2 * 10**9)
    assert place.rows("SELECT revision, n, input FROM calls ORDER BY revision, n DESC") == [
        (0, 1, 5), (1, 1, 6), (1, -1, -5),
    ]  # fmt: skip
    assert place.row("SELECT SUM(input_tokens), SUM(n) FROM folded") == (6, 1)
    assert place.text("calls", changed + "b,2026-01-01T00:00:00Z,1,1\n").known == 1
    assert place.text("calls", changed.replace(",6,", ",7,"), update=True).updated == 1
    assert place.row("SELECT SUM(n), SUM(input) FROM calls") == (2, 8)
    assert place.is_sound()


def test_what_was_rejected_for_its_content_can_be_updated_later(place: Place) -> None:
    place.text("calls", "id,timestamp,prompt_tokens\na,2026-01-01T00:00:00Z,5\n")
    changed = place.text("calls", "id,timestamp,prompt_tokens\na,2026-01-01T00:00:00Z,6\n")
    assert changed.rejected == 1
    assert place.bring("calls", changed.file, update=True).updated == 1


def test_an_import_leaves_the_files_of_another_book_in_the_same_lake_alone(place: Place) -> None:
    place.text("calls", HEAD + lines(0, 10))
    own = place.book
    with (
        open_book(str(place.folder / "other.db")) as place.book,
        pytest.raises(Conflict, match="is of the book"),
    ):
        place.text("calls", HEAD + lines(0, 5))
    place.book = own
    assert seen(place)[0] == 10
