"""The report as people and programs read it: a table that fits, one JSON document, CSV, plain errors."""

import csv
import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.core.errors import BadUsage
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.builders import DAY_US, OPENED_US, book_in, call, id_of, task, write_calls, write_tasks

DOLLAR = 1_000_000_000
Run = Callable[..., Result]


@pytest.fixture
def books(tmp_path: Path) -> tuple[Book, Lake]:
    """Twelve tasks on two paths, one without a known cost, and two calls outside tasks."""
    book, lake = book_in(tmp_path)
    tasks, calls = [], []
    for number in range(12):
        outcome = "failed" if number % 4 == 0 else "verified"
        labels = {"team": "search" if number < 6 else "support"}
        path = "large" if number < 8 else "small"
        tasks.append(task(f"t{number}", outcome, path=path, labels=labels, session=f"s{number // 2}"))
        cost = None if number == 11 else (number + 1) * DOLLAR
        calls.append(call(f"c{number}", f"t{number}", cost, model="m1", turn=1))
        calls.append(call(f"d{number}", f"t{number}", DOLLAR, model="m2", turn=2, input=300))
    calls.append(call("user", "t1", DOLLAR // 2, purpose="simulation"))
    calls.append(call("loose", None, DOLLAR // 4, model="m1"))
    write_tasks(book, tasks)
    write_calls(book, calls)
    return book, lake


@pytest.fixture
def run(books: tuple[Book, Lake], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command on these books."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> Result:
        return CliRunner().invoke(root, [*words, "--database", "flatfare.db", "--lake", "lake"])

    return command


def document(result: Result) -> dict[str, object]:
    """The JSON of a command that ended well."""
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def rows(result: Result) -> list[dict[str, object]]:
    """The rows of a JSON document."""
    found = document(result)["rows"]
    assert isinstance(found, list)
    return found


def test_json_has_money_as_text_and_rates_as_numbers(run: Run) -> None:
    large = next(row for row in rows(run("report", "--json")) if row["path"] == "large")
    assert large["tasks"] == 8
    assert large["cost"] == "44.000000000"
    assert large["success_rate"] == 0.75
    assert large["cost_per_verified_outcome"] == "7.333333333"
    assert large["cost_is_at_least"] is False
    assert isinstance(large["cost_per_verified_outcome_low"], str)


def test_a_group_with_few_successes_has_no_price_but_its_spend(run: Run) -> None:
    small = next(row for row in rows(run("report", "--json")) if row["path"] == "small")
    assert small["cost_per_verified_outcome"] is None
    assert str(small["cost_per_verified_outcome_note"]).startswith("fewer than 5 verified")
    assert small["cost"] == "34.000000000"
    assert small["cost_is_at_least"] is True
    assert small["unknown_cost_tasks"] == 1


def test_rows_and_calls_outside_tasks_add_up_to_the_total(run: Run) -> None:
    for by in ("path", "team", "model", "team,model", "day", "session", "purpose", "outcome", "label.team"):
        found = document(run("report", "--json", "--by", by))
        total = found["total"]
        assert isinstance(total, dict)
        spend = sum(round(float(str(row["spend"])) * 100) for row in found["rows"])  # type: ignore[attr-defined]
        assert (spend, total["spend"]) == (7875, "78.750000000"), by
        assert total["outside_cost"] == "0.250000000"


def test_a_task_counts_in_each_model_it_used_and_once_in_the_total(run: Run) -> None:
    found = document(run("report", "--json", "--by", "model"))
    assert {row["model"]: row["tasks"] for row in found["rows"]} == {"m1": 12, "m2": 12, "gpt-5-mini": 0}  # type: ignore[attr-defined]
    assert found["total"]["tasks"] == 12  # type: ignore[index]
    assert "counts in each model" in found["notes"][0]  # type: ignore[index]


def test_filters_of_one_key_are_alternatives_and_keys_hold_together(run: Run) -> None:
    found = rows(run("report", "--json", "--by", "team", "--filter", "path=large", "--filter", "path=small"))
    assert {row["team"]: row["tasks"] for row in found} == {"search": 6, "support": 6}
    found = rows(
        run("report", "--json", "--by", "team", "--filter", "path=large", "--filter", "team=support")
    )
    assert [(row["team"], row["tasks"]) for row in found] == [("support", 2)]
    found = rows(run("report", "--json", "--by", "path", "--filter", "model=m2"))
    assert {row["path"]: row["cost"] for row in found} == {"large": "8.000000000", "small": "4.000000000"}


def test_a_handoff_raises_the_price_of_what_fails(run: Run) -> None:
    large = next(
        row for row in rows(run("report", "--json", "--handoff-cost", "9.00")) if row["path"] == "large"
    )
    assert large["cost"] == "44.000000000"
    assert large["handoff_cost"] == "18.000000000"
    assert large["cost_per_verified_outcome"] == "10.333333333"


def test_turns_show_how_many_conversations_reached_them_and_what_they_cost(run: Run) -> None:
    found = rows(run("report", "--json", "--by", "turn"))
    assert [(row["turn"], row["conversations"]) for row in found] == [(1, 6), (2, 6)]
    assert found[1]["cost_per_conversation"] == "2.000000000"
    assert found[1]["cumulative_cost_per_conversation"] == "13.000000000"
    assert found[1]["input_tokens_per_turn"] == 600


def test_turns_are_told_of_tasks_that_took_several_tries_too(run: Run, books: tuple[Book, Lake]) -> None:
    before = rows(run("report", "--json", "--by", "turn"))
    with books[0].writing():
        for number in (1, 2):
            books[0].execute(
                "INSERT INTO attempts (id, task_id, number, status, started_at_us) VALUES (?, ?, ?, 'ok', ?)",
                (id_of(f"try {number}"), id_of("t1"), number, OPENED_US),
            )
    assert rows(run("report", "--json", "--by", "turn")) == before
    assert rows(run("report", "--json", "--by", "path"))[0]["attempts"] == 9, (
        "of its eight tasks one took two"
    )


@pytest.mark.parametrize("by", ["path", "model", "turn", "team"])
def test_a_turn_is_no_filter(run: Run, by: str) -> None:
    problem = run("report", "--by", by, "--filter", "turn=1").exception
    assert isinstance(problem, BadUsage)
    assert "Nothing can be filtered by 'turn'" in str(problem)


def test_csv_has_the_columns_of_json(run: Run) -> None:
    read = csv.DictReader(io.StringIO(run("report", "--csv").stdout))
    assert list(read.fieldnames or ()) == list(rows(run("report", "--json"))[0])
    assert [line["path"] for line in read] == ["large", "small", ""]  # the last: calls outside tasks


def test_the_table_fits_its_width_and_breaks_no_line(run: Run) -> None:
    output = run("report", "--by", "path,team").stdout
    lines = output.splitlines()
    assert max(map(len, lines)) <= 120
    assert next(line for line in lines if line.startswith("large")).count("search") == 1
    assert "$0.25" in output
    assert "so far*" in output


def test_an_unknown_key_is_a_usage_error_that_names_what_there_is(run: Run) -> None:
    problem = run("report", "--by", "tem").exception
    assert isinstance(problem, BadUsage)
    assert problem.exit_code == 2
    assert "Did you mean 'team'" in str(problem)
    assert isinstance(run("report", "--sort", "cosst").exception, BadUsage)
    assert isinstance(run("report", "--filter", "team").exception, BadUsage)
    assert isinstance(run("report", "--time-zone", "Mars/Olympus").exception, BadUsage)


def test_days_begin_where_the_time_zone_says(run: Run, books: tuple[Book, Lake]) -> None:
    write_tasks(books[0], [task("late", opened_at_us=OPENED_US + DAY_US * 14 // 24)])  # 23:00 in UTC
    write_calls(books[0], [call("night", None, 1, at_us=OPENED_US + DAY_US * 14 // 24)])
    assert [row["day"] for row in rows(run("report", "--json", "--by", "day"))] == ["2026-01-10"]
    days = rows(run("report", "--json", "--by", "day", "--time-zone", "Europe/Berlin"))
    assert [row["day"] for row in days] == ["2026-01-10", "2026-01-11"]
    assert (days[1]["tasks"], days[1]["outside_cost"]) == (1, "0.000000001")


def test_bare_flatfare_shows_the_books_at_a_glance(run: Run) -> None:
    output = run().output
    assert "Per verified outcome" in output
    assert "1 call belongs to no task: nobody can say what it achieved" in output
    assert document(run("summary", "--json"))["is_empty"] is False


def test_without_a_book_the_next_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(root, [])
    assert result.exit_code == 0
    assert "flatfare demo" in result.output
    assert list(tmp_path.iterdir()) == []


def test_an_empty_book_names_the_next_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    book_in(tmp_path)[0].close()
    for words in ([], ["report"]):
        result = CliRunner().invoke(root, words)
        assert result.exit_code == 0
        assert "flatfare import" in result.output


def test_on_a_terminal_bars_stand_behind_costs_where_there_is_room(run: Run, tmp_path: Path) -> None:
    assert "█" not in run("report").stdout  # what a program reads has none
    where = ["--database", str(tmp_path / "flatfare.db"), "--lake", str(tmp_path / "lake")]
    command = [sys.executable, "-m", "flatfare", "report", *where]
    for columns in (160, 80):
        ours, theirs = pty.openpty()
        size = struct.pack("HHHH", 24, columns, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        with subprocess.Popen(command, stdout=theirs, env=environment | {"TERM": "dumb"}) as running:
            os.close(theirs)
            shown = _all_of(ours)
        assert running.returncode == 0
        table = shown.split("\r\n\r\n")[0].splitlines()
        assert len({len(line) for line in table}) == 1, shown  # no line is broken
        assert len(table[0]) <= columns
        assert [line.count("█") for line in table] == [0, 0, 8, 6, 0, 0]


def _all_of(terminal: int) -> str:
    """What a program wrote to a terminal until it ended."""
    found = b""
    try:
        while part := os.read(terminal, 65536):
            found += part
    except OSError:  # Linux says so where the other end is closed
        pass
    os.close(terminal)
    return found.decode()


def test_the_summary_says_what_was_spent_day_by_day(books: tuple[Book, Lake], run: Run) -> None:
    now_us = time.time_ns() // 1000
    tasks = [task(f"new {ago}", opened_at_us=now_us - ago * DAY_US) for ago in range(3)]
    write_tasks(books[0], tasks)
    made = {ago: {"at_us": now_us - ago * DAY_US} for ago in range(3)}
    write_calls(
        books[0], [call(f"new {ago}", f"new {ago}", (ago + 1) * DOLLAR, **made[ago]) for ago in range(3)]
    )
    told = run("summary").stdout
    assert "▁█▆▃  the last 28 days, at most $3.00" in told
    assert "Spend today           $1.00" in told
    days = document(run("summary", "--json"))["days"]
    assert isinstance(days, list)
    assert [day["spend"] for day in days[-3:]] == ["3.000000000", "2.000000000", "1.000000000"]
    weeks = document(run("summary", "--json"))["weeks"]
    assert isinstance(weeks, list)
    assert weeks[-1] == {**weeks[-1], "verified": 3, "cost_per_verified_outcome": "2.000000000"}


def test_tasks_that_are_open_are_told_of_with_what_is_known_of_their_cost(
    run: Run, books: tuple[Book, Lake]
) -> None:
    write_tasks(books[0], [task("open", opened_at_us=OPENED_US, outcome="open", matures_at_us=None)])
    said = run("report", "--by", "path").output
    assert "1 task is open, at a cost not known: what is open counts once its window has closed." in said
