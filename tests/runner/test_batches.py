"""Work in batches: sent once, answered hours later, at half the cost; stopped anywhere, it goes on."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import pytest

from flatfare.config import Provider, Secret, Settings
from flatfare.core.budget import Budget, Scope, Window
from flatfare.core.errors import BadUsage, Conflict
from flatfare.runner import bulk, judging, recovering, running
from flatfare.runner.batching.log import BatchLog
from flatfare.runner.books import Shelf
from flatfare.service import selling
from flatfare.service.access import keys
from flatfare.service.access.keys import Terms
from flatfare.service.budgets import budgeting
from flatfare.store import budgets, runs
from flatfare.store.book import Book, open_book
from flatfare.store.lake import Lake
from tests.gateway.batch_provider import BatchProvider
from tests.gateway.upstreams import upstream
from tests.runner.batch_rig import (
    ON_CLAUDE,
    action_of,
    answering,
    answering_messages,
    job_of,
    results_of,
    rows,
    run_job,
    with_claude,
)
from tests.runner.rig import DOLLAR, EXAMPLES, REPORT, Model, settings_for, stock

KEPT = (EXAMPLES / "names-and-dates.yaml").read_text().replace("names-and-dates", "kept-names") + (
    "privacy: {keep: 24h}\n"
)


_ASKED = "{models: [openai/gpt-5], rubric: Good., samples: 1}"
JUDGED = (
    (EXAMPLES / "names-and-dates.yaml")
    .read_text()
    .replace("names-and-dates", "judged-names")
    .replace("\nlimits:", f"  - {{name: judge, kind: model-judge, parameters: {_ASKED}}}\n\nlimits:")
)


TIGHT = (
    (EXAMPLES / "names-and-dates.yaml")
    .read_text()
    .replace("names-and-dates", "tight-names")
    .replace('cost: "0.10"', 'cost: "0.0005"')
)


@dataclass
class Shop:
    """A shop whose provider answers batches."""

    settings: Settings
    provider: BatchProvider
    job: bulk.Job

    def book(self) -> Book:
        """The book, open."""
        return open_book(self.settings.database)


@asynccontextmanager
async def shop(folder: Path, provider: BatchProvider, name: str = "names-and-dates") -> AsyncIterator[Shop]:
    async with upstream() as own:
        own.script = provider.script
        settings = with_claude(settings_for(folder, own.port), own.port)
        stock(settings, ON_CLAUDE, KEPT, JUDGED, TIGHT, wallet=100)
        yield Shop(settings, provider, job_of(settings, folder, name))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is stopped does not wait for what is under way."""
    monkeypatch.setattr(running, "GRACE_IN_BATCHES_S", 0.0)


def asked(provider: BatchProvider) -> int:
    return sum(len(batch.requests) for batch in provider.batches.values())


def work_nano(book: Book) -> int:
    """What all calls that did work have cost."""
    (row,) = book.rows("SELECT SUM(cost_nano) FROM calls WHERE endpoint = 'batch.answer'")
    return int(str(row[0]))


def test_rows_go_in_one_batch_and_each_is_sold_once(tmp_path: Path) -> None:
    async def play() -> None:
        async with shop(tmp_path, answering(Model())) as own:
            said: list[str] = []
            told = await run_job(own.settings, own.job, rows(20), said)
            assert dict(told.counts) == {"verified": 20}
            assert len(own.provider.batches) == 1
            assert own.provider.lone == []
            assert said == ["batch 1: 20 sent", "batch 1: 20 of 20 done"]
            found = results_of(own.job)
            assert all(one["billed"]["amount"] == "1.000000000" for one in found.values())
            with own.book() as book:
                assert (
                    selling.balance(book, "acme", at_us=time.time_ns() // 1000).available_nano == 80 * DOLLAR
                )
                assert selling.verify(book) == []

    asyncio.run(play())


def test_a_run_bears_what_its_answers_were_booked_with_at_the_batch_rate(tmp_path: Path) -> None:
    """gpt-5-nano: $0.05 and $0.40 per million one by one, half of it in a batch (OpenAI, 2026-11)."""

    async def play() -> None:
        async with shop(tmp_path, answering(Model())) as own:
            await run_job(own.settings, own.job, rows(4))
            with own.book() as book:
                calls = book.rows(
                    "SELECT task_id, input, output, cost_nano, service_tier, labels, purpose FROM calls "
                    "WHERE endpoint = 'batch.answer'"
                )
                assert len(calls) == 4
                for task_id, read, written, cost_nano, tier, labels, purpose in calls:
                    assert cost_nano == int(str(read)) * 25 + int(str(written)) * 200
                    assert (tier, purpose) == ("batch", "work")
                    assert json.loads(str(labels))["customer"] == "acme"
                    (run,) = [one for one in runs.listed(book) if one.task_id == task_id]
                    (attempt,) = runs.attempts_of(book, run.id)
                    assert (attempt.cost_nano, attempt.cost_reason) == (cost_nano, None)
                    assert json.loads(attempt.calls)[0][2] == cost_nano
                    assert run.is_cost_final
                # The call that made the batch costs nothing beside them, once they are here.
                unknown = "SELECT SUM(CASE WHEN cost_nano IS NULL THEN n ELSE 0 END) FROM calls"
                assert book.rows(unknown) == [(0,)]

    asyncio.run(play())


def test_rows_that_fail_climb_the_ladder_in_the_next_batch(tmp_path: Path) -> None:
    model = Model(always="quote", only_models=("gpt-5-nano",))

    async def play() -> None:
        async with shop(tmp_path, answering(model)) as own:
            told = await run_job(own.settings, own.job, rows(6))
            assert dict(told.counts) == {"verified": 6}
            models = [
                {str(body["model"]) for _, body in one.requests} for one in own.provider.batches.values()
            ]
            assert models[0] == {"gpt-5-nano"}
            assert {"gpt-5-nano"} not in models[1:]
            with own.book() as book:
                found = [runs.attempts_of(book, run.id) for run in runs.listed(book)]
                assert all(one[-1].ending == "verified" and len(one) > 1 for one in found)
                total = sum(attempt.cost_nano or 0 for one in found for attempt in one)
                assert total == work_nano(book)

    asyncio.run(play())


def test_answers_come_in_any_order_and_those_that_fail_say_why(tmp_path: Path) -> None:
    provider = answering(Model(seed=4, chances={"error": 0.3, "schema": 0.2}))
    provider.shuffles = 5
    provider.expires = lambda _, body: crc32(str(body["messages"]).encode()) % 3 == 0

    async def play() -> None:
        async with shop(tmp_path, provider) as own:
            told = await run_job(own.settings, own.job, rows(12))
            assert told.done == 12
            with own.book() as book:
                assert selling.verify(book) == []
                found = [one for run in runs.listed(book) for one in runs.attempts_of(book, run.id)]
                reasons = {(one.ending, json.loads(one.reasons)[0]) for one in found}
                assert ("timeout", "The batch expired before this request was answered.") in reasons
                assert ("error", "openai answered 500.") in reasons
                assert any(ending == "verified" for ending, _ in reasons)

    asyncio.run(play())


def test_a_batch_that_the_provider_refuses_fails_its_rows_with_its_code(tmp_path: Path) -> None:
    provider = answering(Model())
    provider.fails = "token_limit_exceeded"

    async def play() -> None:
        async with shop(tmp_path, provider) as own:
            told = await run_job(own.settings, own.job, rows(3))
            assert told.counts["verified"] == 0
            for one in results_of(own.job).values():
                assert one["reasons"] == ["The provider refused the batch: token_limit_exceeded."]
                assert one["billed"]["amount"] == "0.000000000"
            with own.book() as book:
                assert book.rows("SELECT SUM(cost_nano) FROM calls") == [(0,)]

    asyncio.run(play())


def test_message_batches_do_the_work_too(tmp_path: Path) -> None:
    provider = answering_messages(Model())
    provider.shuffles = 2

    async def play() -> None:
        async with shop(tmp_path, provider, "names-on-claude") as own:
            told = await run_job(own.settings, own.job, rows(5))
            assert dict(told.counts) == {"verified": 5}
            assert [len(one.requests) for one in own.provider.batches.values()] == [5]
            with own.book() as book:  # claude-haiku-4-5 in a batch: $0.50 and $2.50 per million
                assert work_nano(book) == 5 * (100 * 500 + 20 * 2500)

    asyncio.run(play())


async def stopped_after(own: Shop, count: int, until: str) -> None:
    """Run a job and stop it once the provider was asked for something."""
    task = asyncio.create_task(run_job(own.settings, own.job, rows(count)))
    while not any(until in line for line in own.provider.log):
        await asyncio.sleep(0.01)
        assert not task.done(), task.result()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("until", ["POST /v1/files", "POST /v1/batches", "GET /v1/batches/"])
def test_stopped_anywhere_the_same_job_goes_on_and_sends_nothing_twice(
    tmp_path: Path, at_once: None, until: str
) -> None:
    provider = answering(Model())
    provider.takes_s, provider.slow_s = 1.0, 0.1

    async def play() -> None:
        async with shop(tmp_path, provider) as own:
            await stopped_after(own, 10, until)
            told = await run_job(own.settings, own.job, rows(10))
            assert dict(told.counts) == {"verified": 10}
            assert asked(own.provider) == 10
            with own.book() as book:
                assert (
                    selling.balance(book, "acme", at_us=time.time_ns() // 1000).available_nano == 90 * DOLLAR
                )
                assert selling.verify(book) == []
                (count,) = book.rows(
                    "SELECT COUNT(*) FROM calls WHERE endpoint = 'batch.answer' AND revision = 0"
                )
                assert count == (10,)

    asyncio.run(play())


@pytest.mark.parametrize("until", ["POST /v1/messages/batches", "GET /v1/messages/batches/"])
def test_message_batches_go_on_after_a_stop_too(tmp_path: Path, at_once: None, until: str) -> None:
    provider = answering_messages(Model())
    provider.takes_s, provider.slow_s = 1.0, 0.1

    async def play() -> None:
        async with shop(tmp_path, provider, "names-on-claude") as own:
            await stopped_after(own, 4, until)
            assert (await run_job(own.settings, own.job, rows(4))).counts["verified"] == 4
            assert asked(own.provider) == 4
            with own.book() as book:
                assert work_nano(book) == 4 * (100 * 500 + 20 * 2500)

    asyncio.run(play())


def test_where_the_provider_s_list_may_not_be_read_a_lost_batch_is_said_and_sent_again(
    tmp_path: Path,
) -> None:
    provider = answering(Model())
    provider.lost_creations = 1

    async def play() -> None:
        async with shop(tmp_path, provider) as own:
            with own.book() as book:
                keys.create(book, Terms("somebody"), at_us=time.time_ns() // 1000, by_whom="test")
            said: list[str] = []
            assert (await run_job(own.settings, own.job, rows(2), said)).counts["verified"] == 2
            assert len(own.provider.batches) == 2
            assert "its 2 requests are sent again" in said[0]
            with own.book() as book:
                endings = [a.ending for run in runs.listed(book) for a in runs.attempts_of(book, run.id)]
                assert sorted(str(one) for one in endings) == ["error", "error", "verified", "verified"]

    asyncio.run(play())


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_a_batch_whose_making_nobody_heard_of_is_found_and_not_sent_again(tmp_path: Path, kind: str) -> None:
    provider = answering(Model()) if kind == "openai" else answering_messages(Model())
    provider.lost_creations = 1
    name = "names-and-dates" if kind == "openai" else "names-on-claude"

    async def play() -> None:
        async with shop(tmp_path, provider, name) as own:
            told = await run_job(own.settings, own.job, rows(4))
            assert dict(told.counts) == {"verified": 4}
            assert len(own.provider.batches) == 1
            with own.book() as book:
                rows_ = book.rows("SELECT COUNT(*) FROM calls WHERE endpoint = 'batch.answer'")
                assert rows_ == [(4,)]
                unsettled = book.rows(
                    "SELECT SUM(cost_nano) FROM calls WHERE endpoint IN ('batches', 'messages.batches')"
                )
                assert unsettled == [(0,)]

    asyncio.run(play())


def test_with_keys_a_stopped_job_gets_its_answers_with_the_key_it_had(tmp_path: Path, at_once: None) -> None:
    provider = answering(Model())
    provider.takes_s = 1.0

    async def play() -> None:
        async with shop(tmp_path, provider) as own:
            with own.book() as book:
                keys.create(book, Terms("somebody"), at_us=time.time_ns() // 1000, by_whom="test")
            await stopped_after(own, 5, "GET /v1/batches/")
            told = await run_job(own.settings, own.job, rows(5))
            assert dict(told.counts) == {"verified": 5}
            assert asked(own.provider) == 5
            with own.book() as book:
                ours = [
                    one
                    for one in keys.listed(book, at_us=1, with_ended=True)
                    if "batches" in str(one["name"])
                ]
                assert [one["state"] for one in ours] == ["revoked"]

    asyncio.run(play())


def test_under_a_hard_budget_what_does_not_fit_is_refused_and_nothing_is_overspent(tmp_path: Path) -> None:
    async def play() -> None:
        async with shop(tmp_path, answering(Model())) as own:
            with own.book() as book:
                held = Budget("", "held", Scope.of("customer=acme"), 1000, Window.of("lifetime"))
                budgeting.create(book, held, at_us=time.time_ns() // 1000, by_whom="test")
            told = await run_job(own.settings, own.job, rows(3))
            assert told.counts["limited"] == 3
            assert own.provider.batches == {}
            (one, *_) = results_of(own.job).values()
            assert "The budget 'held'" in one["reasons"][0]
            with own.book() as book:
                (budget,) = budgets.all_of(book)
                assert budgets.standing(book, budget, "acme", 1).spent_nano == 0

    asyncio.run(play())


def test_a_batch_s_answers_take_the_place_of_what_was_held_for_it(tmp_path: Path) -> None:
    async def play() -> None:
        async with shop(tmp_path, answering(Model())) as own:
            with own.book() as book:
                held = Budget("", "held", Scope.of("customer=acme"), DOLLAR, Window.of("lifetime"))
                budgeting.create(book, held, at_us=time.time_ns() // 1000, by_whom="test")
            assert (await run_job(own.settings, own.job, rows(3))).counts["verified"] == 3
            with own.book() as book:
                (budget,) = budgets.all_of(book)
                assert budgets.standing(book, budget, "acme", 1).spent_nano == work_nano(book)

    asyncio.run(play())


def test_a_run_has_a_day_for_each_question_that_it_may_ask(tmp_path: Path) -> None:
    provider = answering(Model())
    provider.takes_s = 0.5

    async def play() -> None:
        async with shop(tmp_path, provider) as own:
            await run_job(own.settings, own.job, rows(1))
            with own.book() as book:
                (run,) = runs.listed(book)
                attempts = own.job.action.limits.attempts
                assert run.patience_us == 25 * 3_600_000_000 * attempts

    asyncio.run(play())


def test_parts_of_one_text_go_together(tmp_path: Path) -> None:
    async def play() -> None:
        async with shop(tmp_path, answering(Model()), "report-summary") as own:
            given = [bulk.Row(str(n), {"report": f"{REPORT}\n\n{REPORT} {n}"}) for n in range(2)]
            told = await run_job(own.settings, own.job, given)
            assert dict(told.counts) == {"verified": 2}
            parts, whole = [len(one.requests) for one in own.provider.batches.values()]
            assert (parts > 2 * 4, whole) == (True, 2)  # all parts of both in one batch, then both summaries

    asyncio.run(play())


def test_a_model_that_judges_is_asked_at_once(tmp_path: Path) -> None:
    async def play() -> None:
        async with shop(tmp_path, answering(Model()), "judged-names") as own:
            assert (await run_job(own.settings, own.job, rows(2))).counts["verified"] == 2
            assert len(own.provider.batches) == 1
            assert len(own.provider.lone) >= 2
            with own.book() as book:
                purposes = book.rows("SELECT DISTINCT purpose, endpoint FROM calls WHERE purpose <> 'work'")
                assert purposes == [("verification", "chat.completions")]

    asyncio.run(play())


def test_what_was_answered_before_a_stop_is_not_asked_again(tmp_path: Path, at_once: None) -> None:
    """Stopped while the second step waits: the first one's answers are fetched, and not bought, again."""
    provider = answering(Model())

    async def play() -> None:
        async with shop(tmp_path, provider, "report-summary") as own:
            given = [bulk.Row("r", {"report": REPORT})]
            task = asyncio.create_task(run_job(own.settings, own.job, given))
            while len(provider.batches) < 2:
                await asyncio.sleep(0.01)
                provider.takes_s = 1.0 if len(provider.batches) == 1 else provider.takes_s
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            sent = asked(provider)
            assert (await run_job(own.settings, own.job, given)).counts["verified"] == 1
            assert asked(provider) == sent
            with own.book() as book:
                later_us = time.time_ns() // 1000 + 700_000_000  # by when what was cut short has come in
                judging.book_open_costs(Shelf(book, Lake(own.settings.lake)), later_us)
                (run,) = runs.listed(book)
                found = [one for one in runs.attempts_of(book, run.id) if one.take == run.take]
                assert sum(one.cost_nano or 0 for one in found) == work_nano(book)
                assert {one.ending for one in found} == {"interrupted", "verified"}

    asyncio.run(play())


def test_answers_that_nobody_waits_for_are_fetched_so_that_nothing_stays_held(tmp_path: Path) -> None:
    async def play() -> None:
        async with shop(tmp_path, answering(Model())) as own:
            await run_job(own.settings, own.job, rows(2))
            fetched = [line for line in own.provider.log if line.endswith("/content")]
            log = tmp_path / "out.jsonl.batches"
            lines = log.read_text().splitlines(
                keepends=True
            )  # as if it was killed before the last was fetched
            log.write_text("".join(line for line in lines if "is_over" not in line))
            assert (await run_job(own.settings, own.job, rows(2))).counts == {"known": 2}
            assert [line for line in own.provider.log if line.endswith("/content")] == fetched * 2
            assert (await run_job(own.settings, own.job, rows(2))).counts == {"known": 2}
            assert [line for line in own.provider.log if line.endswith("/content")] == fetched * 2

    asyncio.run(play())


def test_recovery_leaves_what_waits_for_a_batch_to_its_job(tmp_path: Path, at_once: None) -> None:
    provider = answering(Model())
    provider.takes_s = 1.5

    async def play() -> None:
        async with shop(tmp_path, provider, "kept-names") as own:
            await stopped_after(own, 2, "GET /v1/batches/")
            with own.book() as book:
                shelf = Shelf(book, Lake(own.settings.lake))
                left = recovering.recover(shelf, "somebody", time.time_ns() // 1000)
                assert (len(left.waiting), left.to_resume, left.given_back) == (2, (), ())
            assert (await run_job(own.settings, own.job, rows(2))).counts["verified"] == 2
            assert (asked(provider), provider.lone) == (2, [])

    asyncio.run(play())


def test_a_run_s_limit_is_held_at_batch_rates(tmp_path: Path) -> None:
    """A limit that the longest answers exceed one by one, and do not in a batch."""

    async def play() -> None:
        async with shop(tmp_path, answering(Model()), "tight-names") as own:
            assert (await run_job(own.settings, own.job, rows(1))).counts["verified"] == 1
            own.job = replace(own.job, name="alone", results=tmp_path / "alone.jsonl")
            async with running.running(own.settings) as runner:
                told = bulk.Told()
                await bulk.carry_out(runner, own.job, rows(1), told)
            assert told.counts["limited"] == 1

    asyncio.run(play())


def test_when_the_credit_is_used_up_few_rows_are_left_open(tmp_path: Path) -> None:
    async def play() -> None:
        async with shop(tmp_path, answering(Model())) as own:
            told = await run_job(own.settings, own.job, rows(200))
            assert told.counts["verified"] == 100
            assert "Top it up" in str(told.stopped)
            with own.book() as book:
                assert 1 <= len(runs.listed(book, state="refused", limit=1000)) <= bulk.ENTERING

    asyncio.run(play())


def test_a_rung_whose_provider_has_no_batch_mode_is_named(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, 1)
    stock(settings)
    others = {"openai": Provider("openai", "http://127.0.0.1:1", "gemini", Secret("x"))}
    with pytest.raises(BadUsage, match=r"asks openai, which has no batch mode here"):
        bulk.check_batches(action_of(settings), others)


def test_two_processes_do_not_work_at_one_job(tmp_path: Path) -> None:
    first = BatchLog(tmp_path / "log", 1)
    with pytest.raises(Conflict, match="Another process works at this job"):
        BatchLog(tmp_path / "log", 1)
    first.close()
    BatchLog(tmp_path / "log", 1).close()


def test_a_line_of_the_log_that_a_crash_has_cut_is_cut_off(tmp_path: Path) -> None:
    log = BatchLog(tmp_path / "log", 7)
    log.plan("b1", "/v1", "openai", [], 8)
    log.close()
    whole = (tmp_path / "log").read_text()
    (tmp_path / "log").write_text(whole + '{"batch":"b1","batch_id":"ba')
    again = BatchLog(tmp_path / "log", 9)
    assert (again.began_at_us, again.sent["b1"].batch_id) == (7, None)
    again.step("b1", batch_id="batch_1")
    again.close()
    last = BatchLog(tmp_path / "log", 9)
    assert last.sent["b1"].batch_id == "batch_1"
    last.close()
