"""What commands cost themselves: once, the same in the receipt, in reports and in the ledger, also sealed."""

import asyncio
import json
from pathlib import Path

from flatfare.runner import judging
from flatfare.runner.books import Shelf
from flatfare.runner.bulk import Row
from flatfare.runner.running import Order, Result
from flatfare.runner.trying import try_out
from flatfare.service import selling
from flatfare.service.actions.reading import read
from flatfare.service.reporting import report
from flatfare.store import runs
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from tests.runner.rig import EMAIL, Shop, shop
from tests.runner.test_running import LATER_US, changed, everything_sealed, receipt, scene
from tests.store.servers import Server

WORK = "import json; json.dump({'words': 3}, open('output.json', 'w'))"


def counting(*steps: str, attempts: int = 1, more: str = "") -> str:
    """An action of commands alone; each step is what stands in it beside its name."""
    return f"""
action: counting
version: 1
description: Counts.
input: {{type: object, required: [text], additionalProperties: false, properties: {{text: {{type: string}}}}}}
output: {{type: object, required: [words], properties: {{words: {{type: integer}}}}}}
steps:
{"".join(f"  - {{name: step_{n}, {step}}}" + chr(10) for n, step in enumerate(steps, 1))}
verifiers:
  - {{name: three, kind: pattern, parameters: {{at: /words, pattern: "3"}}}}
limits: {{attempts: {attempts}, deadline: 1m{more}}}
price: "0.05"
window: 1s
"""


def command(code: str = WORK, cost: str | None = None) -> str:
    said = "" if cost is None else f', cost: "{cost}"'
    return f'run: [python3, -c, "{code}"]{said}'


async def counted(own: Shop, customer: str | None = "acme") -> Result:
    return await own.runner.run(Order("counting", {"text": "a b a"}, customer=customer, key="k"))


def cost_of(own: Shop, result: Result) -> object:
    operator = receipt(own, result)["operator"]
    assert isinstance(operator, dict)
    return operator["cost"]["amount"], operator["cost"]["state"]


def reported(book: Book, lake: Lake, now_us: int = LATER_US) -> tuple[int, int]:
    """What all tasks cost in a report, and how many of them cost something that is not known."""
    total = report(book, lake, now_us=now_us, by=["action"]).total.figures
    return total.cost_nano, total.unknown_cost_tasks


def test_a_command_s_own_cost_is_in_receipt_ledger_and_report_the_same(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await counted(own)
        assert cost_of(own, result) == ("0.003000001", "measured")
        with own.book() as book:
            shelf = Shelf(book, Lake(own.settings.lake))
            assert reported(book, shelf.lake) == (3_000_001, 0)
            judging.book_open_costs(shelf, LATER_US)
            assert selling.sale_of(book, result.run.task_id).costs.total_nano == 3_000_001
            assert reported(book, shelf.lake) == (3_000_001, 0)
        assert cost_of(own, result) == ("0.003000001", "measured")

    scene(tmp_path, play, None, counting(command(cost="0.002"), command(cost="0.001000001")))


def test_it_is_the_same_after_calls_and_tasks_were_sealed(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await counted(own, None)
        with everything_sealed(own) as shelf:
            assert reported(shelf.book, shelf.lake) == (2_000_000, 0)
            judging.book_open_costs(shelf, LATER_US)
            assert reported(shelf.book, shelf.lake) == (2_000_000, 0)
        assert cost_of(own, result) == ("0.002000000", "measured")

    scene(tmp_path, play, None, counting(command(cost="0.002")))


def test_beside_models_it_is_part_of_the_task_s_cost(tmp_path: Path) -> None:
    text = changed(("steps:\n", f"steps:\n  - {{name: prepare, {command(cost='0.002')}}}\n"))

    async def play(own: Shop) -> None:
        result = await own.runner.run(Order("changed", {"email": EMAIL}, customer="acme"))
        await own.runner.gate.book()  # type: ignore[misc]
        with own.book() as book:
            shelf = Shelf(book, Lake(own.settings.lake))
            judging.book_open_costs(shelf, LATER_US)
            called = int(str(book.value("SELECT SUM(cost_nano) FROM calls WHERE source = 'gateway'")))
            assert called > 0
            assert reported(book, shelf.lake) == (called + 2_000_000, 0)
            assert selling.sale_of(book, result.run.task_id).costs.total_nano == called + 2_000_000

    scene(tmp_path, play, None, text)


def test_each_attempt_bears_it_also_one_whose_command_failed(tmp_path: Path) -> None:
    text = changed(
        ("steps:\n", f"steps:\n  - {{name: prepare, {command('exit(3)', '0.002')}}}\n"), name="counting"
    )

    async def play(own: Shop) -> None:
        result = await own.runner.run(Order("counting", {"email": EMAIL}, customer="acme"))
        assert (result.run.ending, result.run.attempts > 1) == ("error", True)
        cost_nano = 2_000_000 * result.run.attempts
        with own.book() as book:
            shelf = Shelf(book, Lake(own.settings.lake))
            judging.book_open_costs(shelf, LATER_US)
            assert reported(book, shelf.lake) == (cost_nano, 0)
            assert selling.sale_of(book, result.run.task_id).costs.total_nano == cost_nano
            found = book.rows("SELECT status, SUM(n), SUM(cost_nano) FROM calls GROUP BY 1 HAVING SUM(n) > 0")
            assert found == [("failed", result.run.attempts, cost_nano)]

    scene(tmp_path, play, None, text)


def test_in_a_trial_it_is_a_test_s_cost_and_in_no_headline(tmp_path: Path) -> None:
    text = changed(("steps:\n", f"steps:\n  - {{name: prepare, {command(cost='0.002')}}}\n"))

    async def play(own: Shop) -> None:
        found = await try_out(own.runner, read(text), [Row("one", {"email": EMAIL})])
        await own.runner.gate.book()  # type: ignore[misc]
        with own.book() as book:
            rungs = len(found.tried)
            of_commands = (
                "SELECT purpose, COUNT(*), SUM(cost_nano) FROM calls WHERE source = 'runner' GROUP BY 1"
            )
            assert book.rows(of_commands) == [("test", rungs, 2_000_000 * rungs)]
            assert sum(one.cost_nano for one in found.tried) == book.value("SELECT SUM(cost_nano) FROM calls")
            assert reported(book, Lake(own.settings.lake)) == (0, 0)

    scene(tmp_path, play)


def test_a_run_asked_for_again_pays_once(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        one, two = await counted(own), await counted(own)
        assert one.run.id == two.run.id
        with own.book() as book:
            assert reported(book, Lake(own.settings.lake)) == (2_000_000, 0)

    scene(tmp_path, play, None, counting(command(cost="0.002")))


def test_a_command_that_was_cut_off_has_cost_what_it_costs(tmp_path: Path) -> None:
    """Its process is gone before the command has ended: it was started, and is started once more."""
    slow = f"import time; time.sleep(1); {WORK}"

    async def play(own: Shop) -> None:
        began = await own.runner.begin(Order("counting", {"text": "a b a"}, customer="acme", key="k"))
        with own.book() as book:
            while not book.value("SELECT COUNT(*) FROM calls"):
                await asyncio.sleep(0.02)
            run = runs.one(book, began.id)
            assert run is not None
            assert run.state == "working"
            (task,) = own.runner._under_way.values()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        again = await counted(own)
        assert again.run.ending == "verified"
        with own.book() as book:
            shelf = Shelf(book, Lake(own.settings.lake))
            judging.book_open_costs(shelf, LATER_US)
            assert reported(book, shelf.lake) == (4_000_000, 0)
            assert selling.sale_of(book, again.run.task_id).costs.total_nano == 4_000_000

    scene(tmp_path, play, None, counting(command(slow, "0.002")))


def test_a_command_that_the_limit_has_no_room_for_is_not_booked(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await counted(own)
        assert result.run.ending == "limited"
        assert cost_of(own, result) == ("0.002000000", "measured")
        with own.book() as book:
            assert reported(book, Lake(own.settings.lake)) == (2_000_000, 0)

    scene(
        tmp_path,
        play,
        None,
        counting(command(cost="0.002"), command(cost="0.002"), more=', cost: "0.003"'),
    )


def test_a_cost_of_nothing_is_known_and_one_that_nobody_says_is_not(tmp_path: Path) -> None:
    nothing, unsaid = tmp_path / "nothing", tmp_path / "unsaid"
    nothing.mkdir()
    unsaid.mkdir()

    async def costs_nothing(own: Shop) -> None:
        assert cost_of(own, await counted(own)) == ("0.000000000", "measured")
        with own.book() as book:
            assert reported(book, Lake(own.settings.lake)) == (0, 0)

    async def says_nothing(own: Shop) -> None:
        result = await counted(own)
        for _ in range(2):
            operator = receipt(own, result)["operator"]
            assert isinstance(operator, dict)
            assert (operator["cost"]["reason"], operator["margin"]) == (judging.UNSAID, None)
            with own.book() as book:
                shelf = Shelf(book, Lake(own.settings.lake))
                assert reported(book, shelf.lake) == (0, 1)
                judging.book_open_costs(shelf, LATER_US)

    scene(nothing, costs_nothing, None, counting(command(cost="0")))
    scene(unsaid, says_nothing, None, counting(command()))


def test_it_says_whose_it_is_and_on_what_ground(tmp_path: Path) -> None:
    async def play(own: Shop) -> None:
        result = await counted(own)
        with own.book() as book:
            (row,) = book.rows("SELECT source, provider, model, task_id, status, purpose FROM calls")
            assert row == ("runner", "command", "counting/step_1", result.run.task_id, "ok", "work")
            (ground,) = book.rows("SELECT cost_state, cost_basis, reported_source FROM calls")
            assert ground == ("measured", "reported", "the action's file")
            labels = json.loads(str(book.value("SELECT labels FROM calls")))
            assert labels == {"action": "counting", "customer": "acme"}

    scene(tmp_path, play, None, counting(command(cost="0.002")))


def test_the_same_on_postgresql(tmp_path: Path, postgres: Server) -> None:
    async def work() -> None:
        text = counting(command("exit(3)", "0.002"))
        async with shop(tmp_path, None, text, database=postgres.new_database()) as own:
            result = await counted(own)
            with own.book() as book:
                shelf = Shelf(book, Lake(own.settings.lake))
                judging.book_open_costs(shelf, LATER_US)
                assert reported(book, shelf.lake) == (2_000_000, 0)
                assert selling.sale_of(book, result.run.task_id).costs.total_nano == 2_000_000

    asyncio.run(work())
