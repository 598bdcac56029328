"""Rows and JSON: money as decimal text, unknown as null, text that is not run by a spreadsheet."""

import csv
import io
import json

from flatfare.service.leaderboard.document import ROW_KEYS, csv_text, document_of, rows_of
from flatfare.service.leaderboard.ranking import board_of
from flatfare.service.leaderboard.showing import Showing

BOARD = board_of(
    "bench",
    "",
    [
        Showing("bench", "", "known", ("s",), 10, 8, 1_234_567_891),
        Showing("bench", "", "partly", ("s",), 10, 8, 1_000_000_000, unknown_n=3),
        Showing("bench", "", "=wholly()", ("s",), 10, 8, 0, unknown_n=10),
    ],
)


def test_money_is_exact_decimal_text_and_unknown_is_null() -> None:
    known, partly, wholly = rows_of(BOARD)
    assert known["cost"] == "1.234567891"
    assert known["cost_per_verified_outcome"] == "0.154320986"
    assert (partly["cost"], partly["cost_is_at_least"], partly["rank_from"]) == ("1.000000000", True, None)
    assert (wholly["cost"], wholly["cost_per_attempt"], wholly["cost_per_verified_outcome"]) == (None,) * 3


def test_every_row_has_every_column_in_order() -> None:
    assert all(tuple(row) == ROW_KEYS for row in rows_of(BOARD))


def test_csv_reads_back_and_runs_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(rows_of(BOARD)))))
    assert [row["path"] for row in rows] == ["known", "partly", "'=wholly()"]
    assert rows[2]["cost"] == ""


def test_the_document_is_json_and_states_its_moment_and_its_handoff_cost() -> None:
    document = json.loads(json.dumps(document_of([BOARD], "2026-11-21", 5_000_000_000)))
    assert (document["as_of"], document["handoff_cost"]) == ("2026-11-21", "5.000000000")
    assert [path["path"] for path in document["boards"][0]["paths"]] == ["known", "partly", "=wholly()"]
