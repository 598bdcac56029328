"""Hot calls are found by the answers that they began or fetched without reading all of them."""

from pathlib import Path

from flatfare.dialects.recognition import dialects
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


def test_every_route_that_shows_what_another_began_is_known_to() -> None:
    routes = [route for dialect in dialects().values() for route in dialect.routes if not route.free]
    later = {
        route.endpoint for route in routes if route.endpoint.endswith((".retrieve", ".cancel", ".continue"))
    }
    assert later == calls.SHOWN_BY.keys()
    assert {calls.SHOWN_BY[endpoint] for endpoint in later} <= {route.endpoint for route in routes}
