"""Hot calls are found by the answers that they began or fetched without reading all of them."""

from pathlib import Path

from flatfare.store import calls
from flatfare.store.book import open_book


def test_an_answer_s_beginning_is_found_by_an_index(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "book.db")) as book:
        plan = book.rows(
            "EXPLAIN QUERY PLAN SELECT id FROM calls "
            f"WHERE external_id = ? AND {calls.OF_KEPT_ANSWERS} AND n = 1",
            ("resp_1",),
        )
    assert any("calls_of_kept_answers" in str(row) for row in plan), plan


def test_the_index_has_every_endpoint_that_begins_or_fetches_such_an_answer() -> None:
    named = sorted({*calls.SHOWN_BY, *calls.SHOWN_BY.values()})
    assert f"endpoint IN ({', '.join(map(repr, named))})" == calls.OF_KEPT_ANSWERS
