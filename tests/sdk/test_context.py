"""Work carries its task along, into threads and asyncio tasks, and never into somebody else's."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

from flatfare_sdk import carried, current, headers, task
from flatfare_sdk.context import current_scope
from tests.sdk.conftest import Told


def test_a_thread_has_no_task_unless_it_is_carried(told: Told) -> None:
    seen = []
    with task("work") as t, ThreadPoolExecutor(1) as pool:
        plain = pool.submit(lambda: current().id).result()
        taken = pool.submit(carried(lambda: current().id)).result()
        thread = Thread(target=carried(lambda: seen.append(current().id)))
        thread.start()
        thread.join()
        after = pool.submit(lambda: current().id).result()
    assert (plain, taken, seen, after) == ("", t.id, [t.id], "")


def test_one_carried_function_runs_in_many_threads_at_once(told: Told) -> None:
    with task("work") as t, t.attempt() as a, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(carried(lambda _: headers()), range(64)))
    assert {one["flatfare-attempt"] for one in found} == {a.id}


def test_asyncio_tasks_and_threads_of_theirs_carry_it_by_themselves(told: Told) -> None:
    async def leaf() -> str:
        await asyncio.sleep(0)
        return await asyncio.to_thread(lambda: current().id)

    async def work(number: int) -> bool:
        async with task(f"work-{number}") as t, t.attempt():
            return await asyncio.create_task(leaf()) == t.id

    async def both() -> list[bool]:
        return await asyncio.gather(*(work(number) for number in range(20)))

    assert asyncio.run(both()) == [True] * 20


def test_a_job_that_outlives_its_task_still_belongs_to_it(told: Told) -> None:
    async def late() -> str:
        await asyncio.sleep(0.01)
        return headers()["flatfare-task"]

    async def run() -> tuple[str, str]:
        async with task("work") as t:
            job = asyncio.create_task(late())
        assert current().id == ""
        return t.id, await job

    started, found = asyncio.run(run())
    assert started == found


def test_tasks_that_are_never_closed_do_not_hold_on_to_each_other_for_ever(
    told: Told, warnings: Callable[[], list[str]]
) -> None:
    def forget() -> int:
        for _ in range(300):
            task("forgotten").open()
        depth, scope = 0, current_scope()
        while scope is not None:
            depth, scope = depth + 1, scope.outer
        return depth

    assert contextvars.copy_context().run(forget) <= 101
    assert "without end" in warnings()[0]
