"""An action is carried out whole: quoted, held, attempted, verified, settled or voided, with its receipt."""

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from flatfare.core.budget import Budget, Scope, Window
from flatfare.core.errors import BadInput, Conflict, LimitExceeded, NotFound, StoreFailure
from flatfare.core.ledger import Kind, NotEnoughCredit
from flatfare.core.outcome import Judgement
from flatfare.core.plan import plan_of
from flatfare.runner import judging, recovering
from flatfare.runner.books import Shelf
from flatfare.runner.inputs import File
from flatfare.runner.running import Order, Result
from flatfare.service import selling
from flatfare.service.actions import receipts
from flatfare.service.actions.publishing import publish
from flatfare.service.actions.reading import read
from flatfare.service.actions.receipts import document_of
from flatfare.service.budgets import budgeting
from flatfare.service.invoicing import plans
from flatfare.service.judging import reviewing, sampling
from flatfare.service.judging.asking import Asker, Whose
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import adjustments, newest, reviews, runs, sealing, sealing_tasks, tasks
from flatfare.store.adjustments import Correction
from flatfare.store.lake import Lake
from flatfare.store.runs import State
from flatfare.store.sampling import HUMAN, Plan
from flatfare.verifiers import again
from tests.gateway.upstreams import Asked
from tests.runner.rig import CONTRACT, DOLLAR, EMAIL, EXAMPLES, REPORT, Model, Shop, identity_of, shop
from tests.store.servers import Server

NAMES = (EXAMPLES / "names-and-dates.yaml").read_text()


def scene(
    folder: Path,
    play: Callable[[Shop], Awaitable[None]],
    model: Model | None = None,
    *texts: str,
    **stocked: object,
) -> None:
    """Play something in a shop."""

    async def work() -> None:
        async with shop(folder, model, *texts, **stocked) as own:
            await play(own)

    asyncio.run(work())


def changed(*pairs: tuple[str, str], name: str = "changed") -> str:
    """The action of names and dates under another name, with something in it replaced."""
    text = NAMES.replace("action: names-and-dates", f"action: {name}")
    for former, new in pairs:
        assert former in text, former
        text = text.replace(former, new)
    return text


async def names(own: Shop, action: str = "names-and-dates", **more: object) -> Result:
    return await own.runner.run(Order(action, {"email": EMAIL}, customer="acme", **more))  # type: ignore[arg-type]


def receipt(own: Shop, result: Result) -> dict[str, object]:
    with own.book() as book:
        run = runs.one(book, result.run.id)
        assert run is not None
        found = document_of(book, Lake(own.settings.lake), run, for_operator=True)["receipt"]
        assert isinstance(found, dict)
        return found


def test_who_has_a_plan_with_a_price_of_its_own_pays_that(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        with own.book() as book:
            offered = plan_of({"plan": "trade", "prices": {"names-and-dates": "0.80"}})
            plans.offer(book, offered, at_us=1, by_whom="test")
            plans.assign(book, "acme", "trade", at_us=1, by_whom="test")
        result = await names(own)
        with own.book() as book:
            assert selling.sale_of(book, result.run.task_id).settled_nano == 800_000_000
        price = receipt(own, result)["price"]
        assert price == {"amount": "0.800000000", "at_most": "0.800000000", "currency": "USD"}

    scene(tmp_path, play)


def test_a_verified_run_is_billed_its_price(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await own.runner.run(Order("contract-review", {"contract": CONTRACT}, customer="acme"))
        assert (result.run.state, result.run.ending) == ("done", "verified")
        assert json.loads(result.output or "")["risks"]
        with own.book() as book:
            sale = selling.sale_of(book, result.run.task_id)
            assert (sale.settlement, sale.settled_nano) == ("settled", 5 * DOLLAR)
            assert selling.verify(book) == []

    scene(tmp_path, play)


def test_a_run_without_a_customer_moves_no_money(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await own.runner.run(Order("names-and-dates", {"email": EMAIL}))
        assert result.run.ending == "verified"
        with own.book() as book:
            with pytest.raises(NotFound):
                selling.sale_of(book, result.run.task_id)
            assert book.value("SELECT outcome FROM tasks") == "verified"
        assert receipt(own, result)["settlement"] == "none"

    scene(tmp_path, play)


@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ("schema", "malformed"),
        ("text", "malformed"),
        ("length", "malformed"),
        ("quote", "failed"),
        ("refusal", "refused"),
        ("error", "error"),
        ("cut", "error"),
    ],
)
def test_what_fails_climbs_the_ladder_and_only_the_verified_attempt_counts(
    tmp_path: Path, how: str, ending: str
) -> None:
    async def play(own: Shop) -> None:
        result = await names(own)
        assert (result.run.ending, result.run.attempts) == ("verified", 2)
        with own.book() as book:
            first, second = runs.attempts_of(book, result.run.id)
            assert (first.rung, first.ending, second.rung, second.ending) == (
                "low",
                ending,
                "high",
                "verified",
            )
            assert [body["model"] for body in own.model.asked] == ["gpt-5-nano", "gpt-5-mini"]
            assert selling.sale_of(book, result.run.task_id).settled_nano == DOLLAR

    scene(tmp_path, play, Model(always=how, only_models=("gpt-5-nano",)))


def test_a_model_that_never_answers_times_out_and_the_next_is_asked(tmp_path: Path) -> None:
    text = changed(("seconds: 30", "seconds: 0.3"))

    async def play(own: Shop) -> None:
        result = await names(own, "changed")
        with own.book() as book:
            assert [one.ending for one in runs.attempts_of(book, result.run.id)] == ["timeout", "verified"]

    scene(tmp_path, play, Model(always="timeout", only_models=("gpt-5-nano",), patience_s=2.0), text)


def test_what_is_never_verified_is_given_back_and_its_cost_is_in_the_books(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await names(own)
        assert (result.run.ending, result.run.attempts, result.output) == ("failed", 3, None)
        assert "does not stand in the source" in result.reasons[0]
        await own.runner.gate.book()  # type: ignore[misc]
        await own.runner.books.do(judging.book_open_costs, time.time_ns() // 1000)
        with own.book() as book:
            sale = selling.sale_of(book, result.run.task_id)
            assert (sale.settlement, sale.settled_nano) == ("voided", 0)
            called = book.value("SELECT SUM(cost_nano) FROM calls WHERE task_id = ?", (result.run.task_id,))
            assert sale.costs.total_nano == called > 0  # type: ignore[operator]
            assert book.value("SELECT outcome FROM tasks") == "failed"
            assert selling.balance(book, "acme", at_us=time.time_ns() // 1000).available_nano == 1000 * DOLLAR

    scene(tmp_path, play, Model(always="quote"))


def test_reasons_that_quote_the_output_are_not_kept_where_nothing_is(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await names(own)
        with own.book() as book:
            run = runs.one(book, result.run.id)
            assert run is not None
            assert json.loads(run.reasons) == ["output-schema: pass", "stand-in-the-email: fail"]
            assert "John" not in "".join(str(row) for row in book.rows("SELECT * FROM runs"))
            assert "Ann" not in "".join(str(row) for row in book.rows("SELECT * FROM runs"))

    scene(tmp_path, play, Model(always="quote"))


def test_attempts_are_billed_where_the_price_says_so(tmp_path: Path) -> None:
    text = changed(('price: "1.00"', 'price: {per_verified: "1.00", per_attempt: "0.10"}'))

    async def play(own: Shop) -> None:
        result = await names(own, "changed")
        assert (result.run.ending, result.run.attempts) == ("failed", 3)
        with own.book() as book:
            assert selling.sale_of(book, result.run.task_id).settled_nano == 3 * DOLLAR // 10

    scene(tmp_path, play, Model(always="quote"), text)


def test_a_run_that_could_cost_more_than_its_limit_makes_no_call(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await names(own, "changed")
        assert result.run.ending == "limited"
        assert result.reasons[0].startswith("A call to low can cost $0.0")
        assert own.model.asked == []

    scene(tmp_path, play, None, changed(('cost: "0.10"', 'cost: "0.0001"')))


def test_a_hard_budget_stops_a_run_and_nothing_dearer_is_tried(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        with own.book() as book:
            wanted = Budget("", "tiny", Scope.of("organisation"), 1000, Window.of("month", "UTC"))
            budgeting.create(book, wanted, at_us=time.time_ns() // 1000, by_whom="test", reason=None)
        for _ in range(20):  # until the treasurer has heard of it
            result = await names(own)
            if result.run.ending == "limited":
                break
            await asyncio.sleep(0.2)
        assert (result.run.ending, result.run.attempts) == ("limited", 1)
        assert "The gateway refused the call" in result.reasons[0]

    scene(tmp_path, play)


def test_calls_carry_task_attempt_purpose_and_labels_and_the_provider_sees_none_of_it(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await names(own, labels={"team": "legal, Köln", "purpose": "x"})
        await own.runner.gate.book()  # type: ignore[misc]
        with own.book() as book:
            row = book.rows("SELECT task_id, attempt_id, purpose, labels FROM calls")[0]
            attempt = book.value("SELECT id FROM attempts")
        assert row[:3] == (result.run.task_id, attempt, "work")
        assert json.loads(str(row[3])) == {
            "action": "names-and-dates",
            "customer": "acme",
            "team": "legal, Köln",
        }
        assert not [
            name for head in own.model.heads for name in head if "flatfare" in name or name == "baggage"
        ]

    scene(tmp_path, play)


def test_a_provider_that_hangs_up_is_an_error_and_no_limit(tmp_path: Path) -> None:
    """What the gateway answers in its place is no refusal: the ladder goes on."""

    async def play(own: Shop) -> None:
        hung_up = 0

        async def script(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal hung_up
            hung_up += 1
            if hung_up == 1:
                writer.close()
            else:
                await own.model.script(asked, reader, writer)

        own.provider.script = script
        result = await names(own)
        assert result.run.ending == "verified"
        with own.book() as book:
            assert [one.ending for one in runs.attempts_of(book, result.run.id)] == ["error", "verified"]

    scene(tmp_path, play)


def test_a_model_that_judges_is_verification_and_part_of_the_cost(tmp_path: Path) -> None:
    asked = "{models: [openai/gpt-5], rubric: Good., samples: 1}"
    judge = f"  - {{name: judge, kind: model-judge, parameters: {asked}}}"
    text = changed(("\nlimits:", f"{judge}\n\nlimits:"))

    async def play(own: Shop) -> None:
        result = await names(own, "changed")
        await own.runner.gate.book()  # type: ignore[misc]
        await own.runner.books.do(judging.book_open_costs, time.time_ns() // 1000)
        with own.book() as book:
            purposes = book.rows(
                "SELECT purpose, SUM(cost_nano) FROM calls GROUP BY purpose ORDER BY purpose"
            )
            costs = selling.sale_of(book, result.run.task_id).costs
        assert result.run.ending == "verified"
        assert [purpose for purpose, _ in purposes] == ["verification", "work"]
        assert (costs.verification_nano, costs.work_nano) == tuple(cost for _, cost in purposes)

    scene(tmp_path, play, None, text)


def test_a_run_that_waited_for_a_day_bears_what_its_calls_cost_though_they_are_sealed(tmp_path: Path) -> None:
    """What it was told at the time was not known; its calls are in the lake when it is decided."""
    text = changed(("\nlimits:", "  - {name: lawyer, awaits: human}\n\nlimits:"))

    async def play(own: Shop) -> None:
        result = await names(own, "changed")
        assert result.run.ending == "awaited"
        await own.runner.gate.book()  # type: ignore[misc]
        a_day_later_us = time.time_ns() // 1000 + 24 * 3_600_000_000
        with own.book() as book:
            lake = Lake(own.settings.lake)
            (told,) = runs.attempts_of(book, result.run.id)
            unknown = json.dumps([[call, purpose, None] for call, purpose, _ in json.loads(told.calls)])
            runs.write_attempt(book, replace(told, calls=unknown, cost_nano=0, cost_reason=judging.NOT_TOLD))
            called = book.value("SELECT SUM(cost_nano) FROM calls")
            assert sealing.seal_calls(book, lake, before_us=a_day_later_us, now_us=a_day_later_us)
            said = {"event": "judged", "id": str(identity_of("word")), "task": result.run.task_id}
            said |= {"verifier": "lawyer", "version": "1", "kind": "human", "judgement": "pass"}
            record(book, lake, [{**said, "evidence": "read"}], Teller("lawyer"), now_us=a_day_later_us)
            shelf = Shelf(book, lake)
            (moved,) = recovering.follow_awaited(shelf, a_day_later_us).moved
            assert judging.book_open_costs(shelf, a_day_later_us) == 1
            (exact,) = runs.attempts_of(book, moved.id)
            assert (exact.cost_nano, exact.cost_reason) == (called, None)
            costs = selling.sale_of(book, moved.task_id).costs
            assert (costs.total_nano, costs.reason) == (called, None)
            assert judging.book_open_costs(shelf, a_day_later_us) == 0

    scene(tmp_path, play, None, text)


def test_a_call_that_is_corrected_after_it_was_sealed_counts_once(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await names(own)
        await own.runner.gate.book()  # type: ignore[misc]
        now_us = time.time_ns() // 1000
        with own.book() as book:
            lake = Lake(own.settings.lake)
            ids = {str(row[0]): int(str(row[1])) for row in book.rows("SELECT id, at_us FROM calls")}
            sealing.seal_calls(book, lake, before_us=now_us + 1, now_us=now_us)
            found = newest.present(book, lake, ids)
            corrections = [Correction(call, {"cost_nano": 700, "labels": "{}"}) for call in found.values()]
            with book.writing():
                adjustments.write(book, corrections, kind="price", reason="t", by_whom="t", at_us=now_us)
            assert judging.book_open_costs(Shelf(book, lake), now_us) == 1
            assert selling.sale_of(book, result.run.task_id).costs.total_nano == 700 * len(ids)

    scene(tmp_path, play)


def test_receipt_and_ledger_and_calls_agree_to_the_nano_dollar(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await names(own)
        await own.runner.gate.book()  # type: ignore[misc]
        await own.runner.books.do(judging.book_open_costs, time.time_ns() // 1000)
        found = receipt(own, result)
        operator = found["operator"]
        assert isinstance(operator, dict)
        with own.book() as book:
            called = book.value("SELECT SUM(cost_nano) FROM calls")
            sale = selling.sale_of(book, result.run.task_id)
        assert found["billed"] == {
            "amount": "1.000000000",
            "settled": "1.000000000",
            "reversed": "0.000000000",
            "currency": "USD",
        }
        assert int(operator["cost"]["amount"].replace(".", "")) == called == sale.costs.total_nano
        assert int(operator["margin"].replace(".", "")) == DOLLAR - int(str(called))
        assert operator["cost"]["is_final"] is True

    scene(tmp_path, play, Model(always="quote", only_models=("gpt-5-nano",)))


def test_the_same_key_at_the_same_time_is_one_run(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        results = await asyncio.gather(*(names(own, key="k") for _ in range(8)))
        assert len({result.run.id for result in results}) == 1
        assert all(result.output for result in results)
        assert len(own.model.asked) == 1
        with own.book() as book:
            assert book.value("SELECT COUNT(*) FROM sales") == 1

    scene(tmp_path, play, Model(think_s=0.2))


def test_a_key_with_another_input_or_customer_is_a_conflict(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        await names(own, key="k")
        with pytest.raises(Conflict, match="was used for another input"):
            await own.runner.run(Order("names-and-dates", {"email": "Ann"}, customer="acme", key="k"))
        with pytest.raises(Conflict, match="was used for another input or customer"):
            await own.runner.run(Order("names-and-dates", {"email": EMAIL}, key="k"))

    scene(tmp_path, play)


def test_without_credit_nothing_is_done_and_with_it_the_same_key_is_run(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        with pytest.raises(NotEnoughCredit):
            await names(own, key="k")
        assert own.model.asked == []
        with own.book() as book:
            assert not book.rows("SELECT id FROM tasks"), "what nobody can pay for was not attempted"
            selling.top_up_wallet(
                book,
                entry_id=identity_of("later"),
                customer="acme",
                amount_nano=DOLLAR,
                currency="USD",
                at_us=time.time_ns() // 1000,
                by_whom="test",
            )
        assert (await names(own, key="k")).run.ending == "verified"

    scene(tmp_path, play, None, wallet=0)


def test_a_run_that_was_refused_says_so_and_why_and_is_never_taken_up_by_itself(tmp_path: Path) -> None:
    kept = changed(("window: 24h", "window: 24h\nprivacy: {keep: 24h}"))

    async def play(own: Shop) -> None:
        with pytest.raises(NotEnoughCredit) as told:
            await names(own, "changed", key="k")
        with own.book() as book:
            (run,) = runs.listed(book)
            assert (run.state, run.ending, run.attempts) == ("refused", None, 0)
            assert json.loads(run.reasons) == [str(told.value)]
            assert run.input is None, "nothing is kept of what was not begun"
            days_later_us = time.time_ns() // 1000 + 72 * 3_600_000_000
            shelf = Shelf(book, Lake(own.settings.lake))
            left = recovering.recover(shelf, own.runner.owner, days_later_us, give_up=True)
            assert left == recovering.Left()
            assert runs.one(book, run.id) == run

    scene(tmp_path, play, None, kept, wallet=0)


def test_a_run_that_was_refused_is_quoted_anew_when_it_is_asked_for_hours_later(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        with pytest.raises(NotEnoughCredit):
            await names(own, key="k")
        hours_later_us = time.time_ns() // 1000 + 5 * 3_600_000_000
        with own.book() as book:
            selling.top_up_wallet(
                book,
                entry_id=identity_of("later"),
                customer="acme",
                amount_nano=DOLLAR,
                currency="USD",
                at_us=hours_later_us,
                by_whom="test",
            )
        own.runner.now = lambda: hours_later_us
        result = await names(own, key="k")
        assert result.run.ending == "verified"
        with own.book() as book:
            assert selling.sale_of(book, result.run.task_id).settled_nano == DOLLAR
            assert len(runs.listed(book)) == 1

    scene(tmp_path, play, None, wallet=0)


def test_a_currency_that_is_not_the_customers_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        with pytest.raises(BadInput, match="EUR"):
            await names(own, "changed")
        assert own.model.asked == []

    scene(tmp_path, play, None, changed(('price: "1.00"', 'price: {currency: EUR, per_verified: "1.00"}')))


def test_work_that_waits_for_a_person_is_paid_when_that_person_has_passed_it(tmp_path: Path) -> None:
    text = changed(("\nlimits:", "  - {name: lawyer, awaits: human}\n\nlimits:"))

    async def play(own: Shop) -> None:
        shelf_now = time.time_ns() // 1000
        one, two = await names(own, "changed"), await names(own, "changed")
        assert (one.run.state, one.run.ending) == ("judged", "awaited")
        assert one.output is not None
        with own.book() as book:
            lake = Lake(own.settings.lake)
            for result, judgement in ((one, "pass"), (two, "fail")):
                event = {
                    "event": "judged",
                    "id": str(identity_of(f"verdict {judgement}")),
                    "task": result.run.task_id,
                    "at": time.time_ns() // 1000,
                    "verifier": "lawyer",
                    "version": "1",
                    "kind": "human",
                    "judgement": judgement,
                    "evidence": "read",
                }
                assert not record(book, lake, [event], Teller("lawyer"), now_us=shelf_now).refused
            moved = recovering.follow_awaited(Shelf(book, lake), time.time_ns() // 1000).moved
            assert [run.ending for run in moved] == ["verified", "failed"]
            settled = [selling.sale_of(book, result.run.task_id).settled_nano for result in (one, two)]
            assert settled == [DOLLAR, 0]

    scene(tmp_path, play, None, text)


LATER_US = 10**17


@contextmanager
def everything_sealed(own: Shop) -> Iterator[Shelf]:
    """The books with all calls and tasks sealed, as if weeks had passed."""
    with own.book() as book:
        shelf = Shelf(book, Lake(own.settings.lake))
        sealing.seal_calls(shelf.book, shelf.lake, before_us=LATER_US, now_us=LATER_US)
        assert sealing_tasks.seal_tasks(shelf.book, shelf.lake, before_us=LATER_US, now_us=LATER_US)
        yield shelf


async def for_nobody(own: Shop, action: str = "names-and-dates") -> Result:
    """A run without a customer: its task is sealed once its window has closed for a week."""
    return await own.runner.run(Order(action, {"email": EMAIL}, key="k"))


def test_a_receipt_reads_the_same_after_its_task_was_sealed(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await for_nobody(own)
        await own.runner.gate.book()  # type: ignore[misc]
        with own.book() as book:
            judging.book_open_costs(Shelf(book, Lake(own.settings.lake)), time.time_ns() // 1000)
        before = receipt(own, result)
        assert (before["outcome"], len(before["verdicts"])) == ("verified", 2)  # type: ignore[arg-type]
        with everything_sealed(own) as shelf:
            assert receipt(own, result) == before
            found = runs.listed(shelf.book)
            (listed,) = receipts.documents_of(shelf.book, shelf.lake, found, for_operator=True)
            assert listed["receipt"] == before

    scene(tmp_path, play)


def test_a_run_whose_task_was_decided_and_sealed_before_anybody_looked_is_ended(tmp_path: Path) -> None:
    text = changed(("\nlimits:", "  - {name: lawyer, awaits: human}\n\nlimits:"))

    async def play(own: Shop) -> None:
        result = await for_nobody(own, "changed")
        assert result.run.ending == "awaited"
        said = {"event": "judged", "id": str(identity_of("word")), "task": result.run.task_id}
        said |= {"verifier": "lawyer", "version": "1", "kind": "human", "judgement": "pass"}
        with own.book() as book:
            lake, now_us = Lake(own.settings.lake), time.time_ns() // 1000
            record(book, lake, [{**said, "evidence": "read"}], Teller("lawyer"), now_us=now_us)
        with everything_sealed(own) as shelf:
            (moved,) = recovering.follow_awaited(shelf, LATER_US).moved
        assert (moved.state, moved.ending) == ("done", "verified")

    scene(tmp_path, play, None, text)


def test_a_thousand_runs_that_cannot_be_settled_keep_no_later_one_from_it(tmp_path: Path) -> None:
    text = changed(("\nlimits:", "  - {name: lawyer, awaits: human}\n\nlimits:"))

    async def play(own: Shop) -> None:
        result = await names(own, "changed")
        said = {"event": "judged", "id": str(identity_of("word")), "task": result.run.task_id}
        said |= {"verifier": "lawyer", "version": "1", "kind": "human", "judgement": "pass"}
        with own.book() as book:
            lake, now_us = Lake(own.settings.lake), time.time_ns() // 1000
            record(book, lake, [{**said, "evidence": "read"}], Teller("lawyer"), now_us=now_us)
            waits = runs.one(book, result.run.id)
            assert waits is not None
            with book.writing():
                for number in range(1000):  # none has a task that anybody knows
                    one = str(identity_of(f"lost {number}"))
                    runs.insert(book, replace(waits, id=one, task_id=one, started_at_us=17 + number // 500))
        await recovering.follow_all_awaited(own.runner.books, own.runner.now)
        with own.book() as book:
            ended = runs.one(book, result.run.id)
            assert ended is not None
            assert (ended.state, ended.ending) == ("done", "verified")
            assert selling.sale_of(book, result.run.task_id).settled_nano == DOLLAR
            assert len(runs.listed(book, state="judged", limit=2000)) == 1000

    scene(tmp_path, play, None, text)


def test_people_are_asked_for_work_that_waits_for_one_where_its_results_are_kept(tmp_path: Path) -> None:
    awaiting = "  - {name: lawyer, awaits: human}\n\n"

    async def play(own: Shop) -> None:
        one, other = await names(own, "kept"), await names(own, "unkept")
        assert one.run.ending == other.run.ending == "awaited"
        with own.book() as book:
            lake, now_us = Lake(own.settings.lake), time.time_ns() // 1000
            (review,) = reviews.listed(book)
            assert (review.task_id, review.verifier, review.attempt_number) == (one.run.task_id, "lawyer", 1)
            for reviewer in ("ann", "bob"):
                sheet = reviewing.next_for(book, reviewer, now_us=now_us)
                assert sheet is not None
                assert sheet.shown is not None
                assert sheet.shown["output"] == one.output
                tell = reviewing.teller(book, lake, reviewer, now_us=now_us)
                reviewing.submit(book, tell, review.id, reviewer, Judgement.PASS, now_us=now_us)
            (moved,) = recovering.follow_awaited(Shelf(book, lake), now_us).moved
            assert (moved.id, moved.ending) == (one.run.id, "verified")
            assert selling.sale_of(book, one.run.task_id).settled_nano == DOLLAR

    texts = [
        changed(("\nlimits:", f"{awaiting}{kept}limits:"), name=name)
        for name, kept in (("kept", "privacy: {keep: 30d}\n\n"), ("unkept", ""))
    ]
    scene(tmp_path, play, None, *texts)


def test_runs_that_a_plan_draws_are_looked_at_again_where_their_results_are_kept(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        one, _ = await names(own, "kept"), await names(own)
        with own.book() as book:
            plan = Plan("all", Decimal(1), HUMAN, 1)
            sampling.create(book, plan, by_whom="test")
            waiting = sampling.waiting(book, Lake(own.settings.lake), plan)
            assert len(waiting) == 2
            found = sampling.kept(book, waiting)
            assert {task: shown.output for task, shown in found.items()} == {one.run.task_id: one.output}

    text = changed(("\nlimits:", "\nprivacy: {keep: 30d}\n\nlimits:"), name="kept")
    scene(tmp_path, play, None, text)


def asker_of(own: Shop, whose: Whose) -> Asker:
    return Asker(own.settings, None, whose=whose)


def test_an_action_has_its_results_looked_at_again_by_itself_sealed_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLATFARE_SECRET_KEY", base64.b64encode(bytes(range(32))).decode())

    async def play(own: Shop) -> None:
        one, lake = await names(own, "kept"), Lake(own.settings.lake)
        with own.book() as book:
            (plan,) = sampling.plans(book)
            (waiting,) = sampling.waiting(book, lake, plan, only_ended=True)
            shown = sampling.kept(book, [waiting])[one.run.task_id]
            assert (shown.output, shown.input) == (one.output, EMAIL)
            assert again.has_plans(book)
            asked = [again.judge_all(book, lake, partial(asker_of, own)) for _ in range(2)]
            assert asked == [1, 0]
            said = "SELECT judgement FROM verdicts WHERE verifier = 'second' AND task_id = ?"
            assert book.value(said, (one.run.task_id,)) == "pass"

    sampled = 'sampling: {share: 100%, to: pattern, as: second, parameters: {pattern: "Ann Smith"}}'
    text = changed(("\nlimits:", f"\nprivacy: {{keep: 30d}}\n{sampled}\n\nlimits:"), name="kept")
    scene(tmp_path, play, None, text)


def test_a_version_whose_definition_is_no_longer_in_force_is_not_run(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        with own.book() as book:
            text = NAMES.replace("version: 1", "version: 2").replace("window: 24h", "window: 48h")
            publish(book, read(text), at_us=time.time_ns() // 1000, by_whom="test")
        assert (await names(own)).run.action_version == 2
        with pytest.raises(Conflict, match="definition 2 is in force"):
            await names(own, version=1)

    scene(tmp_path, play)


def test_a_version_to_come_is_what_is_sold_from_its_moment_on(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        now_us = time.time_ns() // 1000
        tomorrow_us = now_us + 86_400_000_000
        text = NAMES.replace("version: 1", "version: 2").replace("window: 24h", "window: 48h")
        dearer = text.replace('"1.00"', '"2.00"')
        assert dearer != text
        with own.book() as book:
            publish(book, read(dearer), at_us=now_us, by_whom="test", from_us=tomorrow_us)
        today = await names(own)
        with pytest.raises(
            Conflict, match=r"Version 2 of 'names-and-dates' holds from .* cannot be sold yet"
        ):
            await names(own, version=2)
        own.runner.now = lambda: tomorrow_us
        then = await names(own)
        with own.book() as book:
            sales = [selling.sale_of(book, one.run.task_id) for one in (today, then)]
            found = tasks.rows_of(book, [one.run.task_id for one in (today, then)])
            opened = [found[one.run.task_id] for one in (today, then)]
            spans_us = [int(str(row["matures_at_us"])) - int(str(row["opened_at_us"])) for row in opened]
        assert [(sale.action_version, sale.settled_nano) for sale in sales] == [
            ("1", 1 * DOLLAR),
            ("2", 2 * DOLLAR),
        ]
        assert [span // 3_600_000_000 for span in spans_us] == [24, 48]

    scene(tmp_path, play)


def test_a_report_is_read_in_parts_and_priced_by_its_pages(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await own.runner.run(Order("report-summary", {"report": REPORT}, customer="acme"))
        assert result.run.ending == "verified"
        parts = [body for body in own.model.asked if "Part " in str(body["messages"])]
        assert len(parts) == 4
        with own.book() as book:
            sale = selling.sale_of(book, result.run.task_id)
            assert (sale.size, sale.settled_nano) == (14, 3 * DOLLAR)
        with pytest.raises(BadInput, match="priced up to 200"):
            await own.runner.run(Order("report-summary", {"report": "x " * 400_000}, customer="acme"))

    scene(tmp_path, play, Model(seed=5, chances={"error": 0.2}))


def test_an_input_over_the_limit_is_refused(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        with pytest.raises(LimitExceeded, match="has 100,021 bytes: names-and-dates takes at most 100,000"):
            await own.runner.run(Order("names-and-dates", {"email": "x" * 100_009}))

    scene(tmp_path, play)


def test_an_image_is_passed_on(tmp_path: Path) -> None:
    text = changed(
        ("files: {email: text}", "files: {scan: image}"),
        ("email: {type", "scan: {type: string}\n    email: {type"),
    )
    picture = b"\x89PNG\r\n\x1a\n" + bytes(100)

    async def play(own: Shop) -> None:
        order = Order("changed", {"email": EMAIL}, {"scan": File("scan.png", picture)}, customer="acme")
        assert (await own.runner.run(order)).run.ending == "verified"
        content = own.model.asked[0]["messages"][-1]["content"]  # type: ignore[index]
        assert content[1]["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")
        with pytest.raises(BadInput, match=r"scan\.png is no image"):
            await own.runner.run(Order("changed", {"email": EMAIL}, {"scan": File("scan.png", b"MZ")}))

    scene(tmp_path, play, None, text)


def test_a_command_in_place_of_prompts_makes_no_call(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await own.runner.run(Order("word-count", {"text": "a b a"}, customer="acme"))
        assert json.loads(result.output or "")["words"] == 3
        assert result.run.ending == "verified"
        assert own.model.asked == []

    scene(tmp_path, play)


def test_what_is_kept_is_erased_by_customer_and_after_its_time(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        one, two = await names(own, "changed"), await names(own, "changed")
        with own.book() as book:
            kept = runs.one(book, one.run.id)
            assert kept is not None
            assert "Ann Smith" in str(kept.input) + str(kept.output)
            now = time.time_ns() // 1000
            assert receipts.erase(book, run_id=one.run.id, at_us=now, by_whom="test") == 1
            assert "Ann Smith" not in str(runs.one(book, one.run.id))
            assert receipts.erase(book, customer="acme", at_us=now, by_whom="test") == 1
            assert "Ann Smith" not in str(runs.one(book, two.run.id))
            assert "acme" not in str(book.rows("SELECT * FROM chained_records WHERE kind = 'results.erased'"))
        three = await names(own, "changed")
        with own.book() as book:
            assert runs.forget(book, time.time_ns() // 1000) == 0
            assert runs.forget(book, time.time_ns() // 1000 + 25 * 3_600_000_000) == 1
            assert "Ann Smith" not in str(runs.one(book, three.run.id))

    scene(tmp_path, play, None, changed(("window: 24h", "window: 24h\nprivacy: {keep: 24h}")))


def test_credit_that_expires_while_the_work_is_under_way_still_pays_for_it(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        now = time.time_ns() // 1000
        with own.book() as book:
            selling.grant_credit(
                book,
                grant_id=identity_of("soon over"),
                customer="acme",
                amount_nano=DOLLAR,
                at_us=now,
                paid="cash",
                expires_at_us=now + 500_000,
                by_whom="test",
                reason="test",
            )
        result = await names(own)
        with own.book() as book:
            selling.expire_lots(book, now_us=time.time_ns() // 1000)
            assert selling.sale_of(book, result.run.task_id).settled_nano == DOLLAR
            assert selling.balance(book, "acme", at_us=time.time_ns() // 1000).available_nano == 0
            assert selling.verify(book) == []
        with pytest.raises(NotEnoughCredit):
            await names(own)

    scene(tmp_path, play, Model(think_s=0.8), wallet=0)


def test_the_same_on_postgresql(tmp_path: Path, postgres: Server) -> None:
    database = postgres.new_database()

    async def work() -> None:
        model = Model(always="quote", only_models=("gpt-5-nano",))
        async with shop(tmp_path, model, database=database) as own:
            results = await asyncio.gather(*(names(own, key=f"k{n % 3}") for n in range(6)))
            assert len({result.run.id for result in results}) == 3
            await own.runner.gate.book()  # type: ignore[misc]
            await own.runner.books.do(judging.book_open_costs, time.time_ns() // 1000)
            with own.book() as book:
                assert book.value("SELECT COUNT(*) FROM tasks WHERE outcome = 'verified'") == 3
                assert selling.totals(book)[Kind.REVENUE]["USD"] == 3 * DOLLAR
                costs = sum(selling.sale_of(book, one.run.task_id).costs.total_nano for one in results[:3])
                assert costs == book.value("SELECT SUM(cost_nano) FROM calls")
                assert selling.verify(book) == []

    asyncio.run(work())


def test_what_is_kept_is_sealed_where_there_is_a_key_for_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLATFARE_SECRET_KEY", base64.b64encode(bytes(range(32))).decode())

    async def play(own: Shop) -> None:
        result = await names(own, "changed", key="k")
        with own.book() as book:
            kept = runs.one(book, result.run.id)
            assert kept is not None
            assert "Ann Smith" not in str(kept)
            assert str(kept.output).startswith("sealed:")
            document = document_of(book, Lake(own.settings.lake), kept, for_operator=False)
            assert document["output"] == json.loads(result.output or "")
        assert (await names(own, "changed", key="k")).output == result.output
        monkeypatch.delenv("FLATFARE_SECRET_KEY")
        with own.book() as book, pytest.raises(BadInput, match="its key is not here"):
            document_of(book, Lake(own.settings.lake), kept, for_operator=False)

    scene(tmp_path, play, None, changed(("window: 24h", "window: 24h\nprivacy: {keep: 24h}")))


def test_a_run_whose_record_could_not_be_written_is_taken_up_when_it_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, failures = judging.decide, [StoreFailure("The disk is full."), StoreFailure("It still is.")]

    def failing(*given: object) -> object:
        if failures:
            raise failures.pop()
        return decide(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(judging, "decide", failing)

    async def play(own: Shop) -> None:
        for _ in range(2):
            with pytest.raises(StoreFailure):
                await names(own, key="k")
        result = await names(own, key="k")
        assert (result.run.ending, result.run.attempts, result.run.take) == ("verified", 3, 1)
        with own.book() as book:
            sale = selling.sale_of(book, result.run.task_id)
            assert (sale.settlement, sale.settled_nano) == ("settled", DOLLAR)
            ended = [one.ending for one in runs.attempts_of(book, result.run.id)]
            assert ended == ["interrupted", "interrupted", "verified"]
            assert selling.verify(book) == []

    scene(tmp_path, play)


def test_what_is_kept_of_runs_that_were_given_up_is_erased_after_its_time_unless_they_are_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> object:
        raise StoreFailure("The disk is full.")

    monkeypatch.setattr(judging, "decide", failing)

    async def fail(own: Shop, key: str) -> None:
        with pytest.raises(StoreFailure):
            await names(own, "changed", key=key)

    async def play(own: Shop) -> None:
        await fail(own, "one")
        await fail(own, "two")
        now_us = time.time_ns() // 1000
        a_day_later_us = now_us + 24 * 3_600_000_000
        with own.book() as book:
            shelf = Shelf(book, Lake(own.settings.lake))
            left = recovering.recover(shelf, "somebody", now_us, give_up=True).given_back
            one, two = sorted(left, key=lambda run: str(run.request_key))
            assert runs.forget(book, a_day_later_us - 1) == 0
        await fail(own, "two")
        with own.book() as book:
            assert runs.forget(book, a_day_later_us) == 1
            assert "Ann Smith" not in str(runs.one(book, one.id))
            assert "Ann Smith" in str(runs.one(book, two.id)), "what it keeps now is not what it kept then"

    scene(tmp_path, play, None, changed(("window: 24h", "window: 24h\nprivacy: {keep: 24h}")))


def test_a_thousand_runs_that_live_or_wait_keep_no_later_one_from_being_looked_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> object:
        raise StoreFailure("The disk is full.")

    monkeypatch.setattr(judging, "decide", failing)

    async def play(own: Shop) -> None:
        with pytest.raises(StoreFailure):
            await names(own, "changed")
        now_us = own.runner.now()
        with own.book() as book:
            (left,) = runs.listed(book)
            waits = replace(left, state=State.INTERRUPTED, owner=None, patience_us=now_us)
            lives = replace(left, owner="another machine/1/0/x", alive_until_us=now_us + 10**9)
            with book.writing():
                for number in range(1500):
                    one = str(identity_of(f"older {number}"))
                    older = waits if number % 3 else lives
                    runs.insert(book, replace(older, id=one, task_id=one, started_at_us=17 + number // 500))
        counts: Counter[str] = Counter()
        async for looked in recovering.recover_all(own.runner.books, "somebody", own.runner.now):
            counts.update(looked.counts())
            assert all(run.id == left.id for run in looked.to_resume)
        assert counts == {"waiting": 1000, "to_resume": 1, "finished": 0, "given_back": 0}

    scene(tmp_path, play, None, changed(("window: 24h", "window: 24h\nprivacy: {keep: 24h}")))


def test_a_run_that_cannot_be_looked_after_keeps_no_other_from_it_and_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short, stuck = judging.cut_short, []

    def failing(*_: object) -> object:
        raise StoreFailure("The disk is full.")

    def stumbling(shelf: Shelf, run: runs.Run, now_us: int) -> None:
        if run.id in stuck:
            raise Conflict("It was told otherwise.")
        cut_short(shelf, run, now_us)

    monkeypatch.setattr(judging, "decide", failing)
    monkeypatch.setattr(judging, "cut_short", stumbling)

    async def play(own: Shop) -> None:
        for key in ("one", "two"):
            with pytest.raises(StoreFailure):
                await names(own, key=key)
        with own.book() as book:
            two, one = runs.listed(book)
            stuck.append(one.id)
            shelf, now_us = Shelf(book, Lake(own.settings.lake)), own.runner.now()
            left = recovering.recover(shelf, "somebody", now_us, give_up=True)
            assert left.stuck == (recovering.Stuck(one.id, "It was told otherwise."),)
            assert [run.id for run in left.given_back] == [two.id]
            stuck.clear()
            (given,) = recovering.recover(shelf, "somebody else", now_us, give_up=True).given_back
            assert given.id == one.id

    scene(tmp_path, play)
