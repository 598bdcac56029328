"""``flatfare tail`` shows the calls that came, each with its cost, and why one has none."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from flatfare.cli.root import root
from flatfare.core.identity import time_ordered
from flatfare.store import calls, sealing
from flatfare.store.book import Value, open_book
from flatfare.store.lake import Lake


def book_with(folder: Path, **changes: Value) -> str:
    database = f"sqlite:///{folder}/book.db"
    row: dict[str, Value] = {
        "id": str(time_ordered(1_795_000_000_000_000, os.urandom(10))),
        "at_us": 1_795_000_000_000_000,
        "source": "gateway",
        "provider": "openai",
        "model": "gpt-4o",
        "endpoint": "chat.completions",
        "is_stream": 0,
        "input": 900,
        "cache_read": 100,
        "output": 50,
        "cost_nano": 3_000_000,
        "cost_state": "measured",
        "duration_ms": 1234,
        "labels": '{"team":"search"}',
        "cost_basis": "computed",
        "price_version": "openai/gpt-4o@always:reviewed:0123456789ab",
        **changes,
    }
    with open_book(database) as book, book.writing():
        calls.insert(book, [row])
    return database


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "$0.0030  openai/gpt-4o  1,000 in 50 out  1.23 s  team=search\n"),
        ({"cost_nano": None, "cost_state": "unknown", "cost_reason": "no price"}, "[cost unknown: no price]"),
        ({"cost_state": "estimated"}, "~$0.0030"),
        ({"status": "failed", "http_status": 429}, "[failed 429]"),
    ],
)
def test_a_call_is_a_line_with_its_cost(tmp_path: Path, changes: dict[str, Value], said: str) -> None:
    result = CliRunner().invoke(root, ["tail", "--once", "--database", book_with(tmp_path, **changes)])
    assert result.exit_code == 0
    assert said in result.output


def test_as_json_money_is_decimal_text(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["tail", "--once", "--json", "--database", book_with(tmp_path)])
    document = json.loads(result.output)
    assert document["cost"]["amount"] == "0.003000000"
    assert document["cost_basis"] == "computed"
    assert document["price_version"] == "openai/gpt-4o@always:reviewed:0123456789ab"
    assert (document["input_tokens"], document["labels"]) == (1000, {"team": "search"})


def test_past_calls_are_shown_also_where_they_are_sealed(tmp_path: Path) -> None:
    book_with(tmp_path, cost_nano=1_000_000)
    with open_book(f"sqlite:///{tmp_path}/book.db") as book:
        assert sealing.seal_calls(book, Lake(tmp_path / "lake"), before_us=10**18, now_us=10**17) == 1
    later = {"at_us": 1_795_000_000_000_001, "cost_nano": 2_000_000}
    places = ["--database", book_with(tmp_path, **later), "--lake", str(tmp_path / "lake")]
    for count, costs in (("5", ["0.001000000", "0.002000000"]), ("1", ["0.002000000"]), ("0", [])):
        result = CliRunner().invoke(root, ["tail", "--once", "--json", "-n", count, *places])
        found = [json.loads(line) for line in result.output.splitlines()]
        assert [one["cost"]["amount"] for one in found] == costs
        assert {(one["input_tokens"], one["output_tokens"]) for one in found} <= {(1000, 50)}


def test_only_so_many_past_calls_are_shown(tmp_path: Path) -> None:
    for _ in range(3):
        database = book_with(tmp_path)
    result = CliRunner().invoke(root, ["tail", "--once", "-n", "2", "--database", database])
    assert len(result.output.splitlines()) == 2
