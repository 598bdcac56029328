"""P1, P2, P3 from end to end: one cost by whatever way a call came, unknown where it is, and it stays."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from flatfare.cli.root import root
from flatfare.core.money import decimal_text
from flatfare.core.usage import Usage
from flatfare.service.costing.metering import meter
from tests.gateway.rig import chunked, sse, whole
from tests.gateway.rig_load import settled_rows
from tests.gateway.rig_pair import ASKED, STREAMED, Pair, pair

MODEL = "gpt-4o-mini-2024-07-18"
USAGE = {
    "prompt_tokens": 1003,
    "completion_tokens": 101,
    "prompt_tokens_details": {"cached_tokens": 333},
    "completion_tokens_details": {"reasoning_tokens": 7},
}
COLUMNS = {"prompt_tokens": 1003, "completion_tokens": 101, "cached_tokens": 333, "reasoning_tokens": 7}
LEAVES = {"input": 670, "cache_read": 333, "output": 94, "reasoning": 7}
# $0.15, $0.075 and $0.60 per million: half a nano-dollar is left over, which is rounded once, to even.
NANO = 670 * 150 + 333 * 75 + 101 * 600
ANSWER = {"id": "x", "object": "chat.completion", "model": MODEL, "choices": [], "usage": USAGE}
CHUNK = {**ANSWER, "object": "chat.completion.chunk"}
NO_PRICE = {**ANSWER, "model": "no-such-model"}

Run = Callable[..., str]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path / "gateway") as opened:
        opened.provider.forget()
        yield opened


def run(both: Pair, *words: str, code: int = 0) -> str:
    """What a command prints about the gateway's book."""
    config = str(both.gateway.folder / "flatfare.yaml")
    done = CliRunner().invoke(root, [*words, "--config", config])
    assert done.exit_code == code, done.output
    return done.stdout


def test_one_answer_costs_the_same_by_every_way(both: Pair, tmp_path: Path) -> None:
    """Whole, streamed, from a file, imported, priced anew, and summed."""
    body = json.dumps(ANSWER).encode()
    both.through(whole(body), ASKED)
    both.through(chunked([sse(CHUNK), b"data: [DONE]\n\n"]), STREAMED)
    rows = settled_rows(both.gateway)
    assert [row["cost_nano"] for row in rows] == [NANO, NANO]
    assert [{unit: row[unit] for unit in LEAVES} for row in rows] == [LEAVES, LEAVES]
    metered = meter(body, provider="openai", endpoint="chat.completions")
    assert (metered.cost.amount_nano, metered.usage) == (NANO, Usage(LEAVES))
    imported = {"id": "i1", "at": "2026-11-01T00:00:00Z", "provider": "openai", "model": MODEL, **COLUMNS}
    (tmp_path / "calls.jsonl").write_text(json.dumps(imported) + "\n")
    run(both, "import", "calls", str(tmp_path / "calls.jsonl"))
    everything = ("adjust", "reprice", "--since", "2020-01-01", "--reason", "a look")
    run(both, *everything)
    assert [row["revision"] for row in settled_rows(both.gateway)] == [0, 0], "nothing to change"
    found = json.loads(run(both, "report", "--by", "source", "--json"))
    assert found["total"]["spend"] == decimal_text(3 * NANO)


def test_what_is_unknown_is_not_nothing_wherever_it_is_shown(both: Pair) -> None:
    """One call with a price and one without: at least, never the sum alone; and the doctor names it."""
    both.through(whole(json.dumps(ANSWER).encode()), ASKED)
    both.through(whole(json.dumps(NO_PRICE).encode()), ASKED)
    known, unknown = settled_rows(both.gateway)
    assert (known["cost_nano"], unknown["cost_nano"], unknown["cost_state"]) == (NANO, None, "unknown")
    summary = json.loads(run(both, "--json"))
    assert summary["today"]["spend_is_at_least"], summary
    doctor = run(both, "doctor")
    assert "no-such-model" in doctor
    found = json.loads(run(both, "report", "--by", "model", "--json"))
    rows = {row["model"]: (row["spend"], row["spend_is_at_least"]) for row in found["rows"]}
    assert rows == {MODEL: (decimal_text(NANO), False), "no-such-model": (None, True)}
    assert (found["total"]["spend"], found["total"]["spend_is_at_least"]) == (decimal_text(NANO), True)
    table = [line.split() for line in run(both, "report", "--by", "model").splitlines()]
    (of_unknown,) = [words for words in table if "no-such-model" in words]
    assert of_unknown[-3] == "—"
    (total,) = [words for words in table if words[:1] == ["Total"]]
    assert "≥" in total


def test_a_rate_that_is_added_later_leaves_booked_calls_and_what_is_priced_anew_is_appended(
    both: Pair,
) -> None:
    both.through(whole(json.dumps(ANSWER).encode()), ASKED)
    (row,) = settled_rows(both.gateway)
    run(
        both,
        "prices",
        "add",
        f"openai/{MODEL}",
        "--input",
        "1",
        "--output",
        "1",
        "--from",
        "2020-01-01",
        "--correct",
    )
    both_rows = settled_rows(both.gateway)
    assert both_rows == [row], "a price change alone changes nothing"
    run(both, "adjust", "reprice", "--since", "2020-01-01", "--reason", "as agreed")
    with closing(sqlite3.connect(both.gateway.book)) as book:
        kept = book.execute("SELECT n, revision, cost_nano FROM calls ORDER BY revision, n").fetchall()
        by = book.execute("SELECT kind, reason FROM adjustments").fetchall()
    assert kept[0] == (1, 0, NANO), "the row as it was stands"
    assert (-1, 1, -NANO) in kept, "it is taken back"
    assert kept[-1][:2] == (1, 1)
    assert by == [("reprice", "as agreed")]
