"""P9: a bulk run in batches, killed anywhere, sends nothing twice, pays nothing twice, sells a row once."""

import json
import random
import time
from pathlib import Path

import pytest

from flatfare.service import selling
from flatfare.store.book import open_book
from tests.gateway.batch_provider import BatchProvider
from tests.promises.killing import kill_somewhere, run_whole
from tests.runner.batch_rig import answering
from tests.runner.rig import DOLLAR, Model, provided, settings_for, stock

PROGRAM = "import tests.promises.applied_fault; from tests.promises import batch_runs; batch_runs.main()"
LONGEST_S = 4.0
WALLET = 100_000
ROWS = 12


def killed_at_random(folder: Path, kills: int, seed: int) -> None:
    """Kill the job again and again, with new rows each time, and hold the books against the provider's."""
    dice = random.Random(seed)
    provider = answering(Model(seed=seed))
    provider.takes_s, provider.slow_s = 0.3, 0.05
    with provided(provider) as port:
        settings = settings_for(folder, port)
        stock(settings, wallet=WALLET)
        count = killed = 0
        for _ in range(kills):
            count += ROWS if _through(folder) >= count else 0
            killed += kill_somewhere(PROGRAM, [str(folder), str(port), str(count)], LONGEST_S, dice)
        run_whole(PROGRAM, [str(folder), str(port), str(count)])
        assert killed >= kills // 2
        _check(folder, provider, count)


def _through(folder: Path) -> int:
    file = folder / "out.jsonl"
    return file.read_text().count("\n") if file.exists() else 0


def _check(folder: Path, provider: BatchProvider, count: int) -> None:
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert sorted(line["row"] for line in lines) == sorted(f"row-{n}" for n in range(count))
    sent = [body for batch in provider.batches.values() for _, body in batch.requests]
    emails = [json.dumps(body, sort_keys=True) for body in sent]
    assert len(emails) == len(set(emails)) == count, "a question was sent twice"
    assert provider.lone == []
    with open_book(settings_for(folder, 1).database) as book:
        assert selling.verify(book) == []
        balance = selling.balance(book, "acme", at_us=time.time_ns() // 1000)
        assert balance.available_nano == WALLET * DOLLAR - count * DOLLAR
        billed = sum(_nano(provider.answer(body)[1]) for body in sent)
        total = book.rows("SELECT SUM(cost_nano) FROM calls")
        unknown = book.rows("SELECT SUM(CASE WHEN cost_nano IS NULL THEN n ELSE 0 END) FROM calls")
        assert (total, unknown) == ([(billed,)], [(0,)])


def _nano(answer: object) -> int:
    usage = answer["usage"]  # type: ignore[index]
    return int(usage["prompt_tokens"]) * 25 + int(usage["completion_tokens"]) * 200


def test_a_job_of_batches_killed_at_random_moments_sends_and_sells_each_row_once(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 8, seed=21)


@pytest.mark.soak
def test_a_job_of_batches_killed_a_hundred_times_sends_and_sells_each_row_once(tmp_path: Path) -> None:
    killed_at_random(tmp_path, 100, seed=22)
