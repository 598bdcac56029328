"""Hot calls are found by what they began without reading all of them."""

from pathlib import Path

from flatfare.store import calls
from flatfare.store.book import open_book


def test_an_answer_s_beginning_is_found_by_an_index(tmp_path: Path) -> None:
    with open_book(str(tmp_path / "book.db")) as book:
        plan = book.rows(
            "EXPLAIN QUERY PLAN SELECT id FROM calls "
            f"WHERE external_id = ? AND {calls.BEGUN} AND provider = ?",
            ("resp_1", "openai"),
        )
    assert any("calls_begun" in str(row) for row in plan), plan
