"""Rows in, results and rejects out; a job goes on where it stopped, and stops where nobody can pay."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from flatfare.core.errors import BadUsage
from flatfare.runner import bulk
from flatfare.service import selling
from flatfare.service.actions.publishing import published
from flatfare.service.actions.reading import read, read_file
from tests.runner.rig import DOLLAR, EMAIL, EXAMPLES, Model, identity_of, shop

NAMES = read_file(EXAMPLES / "names-and-dates.yaml")
TYPED = read(
    (EXAMPLES / "names-and-dates.yaml")
    .read_text()
    .replace("email: {type: string, minLength: 1}", "email: {type: string}\n    count: {type: integer}")
)


def test_fields_of_a_csv_are_read_as_the_schema_wants_them(tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text('id,email,count\na,"Dear, Ann",3\n,two,\n')
    rows = list(bulk.rows_of(file, TYPED))
    assert [(row.name, row.values) for row in rows] == [
        ("a", {"email": "Dear, Ann", "count": 3}),
        ("2", {"email": "two"}),
    ]


def test_lines_of_json_are_inputs_or_inputs_with_an_id(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text('{"email": "a"}\n\n{"id": "x", "input": {"email": "b"}}\n[1]\nnot json\n')
    rows = list(bulk.rows_of(file, NAMES))
    assert [(row.name, dict(row.values)) for row in rows[:2]] == [
        ("1", {"email": "a"}),
        ("x", {"email": "b"}),
    ]
    assert [row.problem for row in rows[2:]] == [
        "the line is no JSON object",
        "the line is no JSON: expecting value at line 1, column 1",
    ]


def test_files_of_a_folder_are_inputs_by_their_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", ".hidden"):
        (tmp_path / name).write_text(name)
    rows = list(bulk.rows_of(tmp_path, NAMES))
    assert [(row.name, row.files["email"].content) for row in rows] == [
        ("a.txt", b"a.txt"),
        ("b.txt", b"b.txt"),
    ]


def test_anything_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match=r"expected a \.csv"):
        list(bulk.rows_of(tmp_path / "in.xlsx", NAMES))


def test_a_line_that_a_crash_has_cut_is_cut_off_and_its_row_done_again(tmp_path: Path) -> None:
    results = tmp_path / "out.jsonl"
    results.write_text('{"row":"a","ending":"verified"}\n{"row":"b","end')
    assert bulk._through(results) == {"a"}
    assert results.read_text() == '{"row":"a","ending":"verified"}\n'


def test_a_job_stops_where_nobody_can_pay_and_goes_on_when_somebody_can(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"email": f"{EMAIL} {n}"}) + "\n" for n in range(8)))

    async def play() -> None:
        async with shop(tmp_path, Model(), wallet=5) as own:
            with own.book() as book:
                action = published(book, "names-and-dates").action
            job = bulk.Job(action, "job", "acme", tmp_path / "out.jsonl", tmp_path / "rejects.jsonl", 2)
            told = bulk.Told()
            await bulk.carry_out(own.runner, job, bulk.rows_of(source, action), told)
            assert told.counts["verified"] == 5
            assert told.stopped is not None
            assert "Top it up" in told.stopped
            with own.book() as book:
                selling.top_up_wallet(
                    book,
                    entry_id=identity_of("more"),
                    customer="acme",
                    amount_nano=3 * DOLLAR,
                    currency="USD",
                    at_us=time.time_ns() // 1000,
                    by_whom="test",
                )
            told = bulk.Told()
            await bulk.carry_out(own.runner, job, bulk.rows_of(source, action), told)
            assert dict(told.counts) == {"known": 5, "verified": 3}
            lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
            assert sorted(line["row"] for line in lines) == sorted(str(n) for n in range(1, 9))
            assert all(line["billed"]["amount"] == "1.000000000" for line in lines)
            assert len(own.model.asked) == 8
            with own.book() as book:
                assert selling.balance(book, "acme", at_us=time.time_ns() // 1000).available_nano == 0
                assert selling.verify(book) == []

    asyncio.run(play())
