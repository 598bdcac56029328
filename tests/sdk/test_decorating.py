"""A decorated function is a task a call, in each kind of function that Python has."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from flatfare_sdk import current, task
from tests.sdk.conftest import Told


def statuses(told: Told) -> list[str]:
    return [event["status"] for event in told() if event["event"] == "attempt_ended"]


def test_each_call_of_a_function_is_a_task(told: Told) -> None:
    @task("double", team="a")
    def double(number: int) -> int:
        """Twice it."""
        current().verdict("even", passed=True, evidence=number)
        return 2 * number

    assert [double(1), double(2)] == [2, 4]
    assert (double.__name__, double.__doc__) == ("double", "Twice it.")
    opened = [event for event in told() if event["event"] == "opened"]
    assert len({event["task"] for event in opened}) == 2
    assert {event["name"] for event in opened} == {"double"}
    assert statuses(told) == ["ok", "ok"]


def test_without_parentheses_it_has_the_function_s_name(told: Told) -> None:
    @task
    def review() -> str:
        return current().name

    assert review() == "review"


def test_a_function_that_raises_failed(told: Told) -> None:
    @task("broken")
    def broken() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        broken()
    assert statuses(told) == ["failed"]


def test_a_coroutine_is_a_task_and_stays_one(told: Told) -> None:
    @task("ask")
    async def ask(number: int) -> tuple[str, str]:
        first = current().id
        await asyncio.sleep(0.01 * number)
        return first, current().id

    async def both() -> list[tuple[str, str]]:
        return await asyncio.gather(ask(2), ask(1))

    assert inspect.iscoroutinefunction(ask)
    one, other = asyncio.run(both())
    assert one[0] == one[1] != other[0] == other[1]
    assert statuses(told) == ["ok", "ok"]


def test_a_cancelled_coroutine_is_cancelled(told: Told) -> None:
    @task("ask")
    async def ask() -> None:
        await asyncio.sleep(60)

    async def run() -> None:
        job = asyncio.ensure_future(ask())
        await asyncio.sleep(0.01)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    asyncio.run(run())
    assert statuses(told) == ["cancelled"]


def test_a_generator_s_task_is_current_only_while_it_runs(told: Told) -> None:
    @task("stream")
    def stream() -> Iterator[str]:
        yield current().id
        with current().attempt():
            yield current().id
            yield current().id

    seen = []
    for inside in stream():
        seen.append(inside)
        assert current().id == ""
    assert len(set(seen)) == 1
    assert seen[0]
    assert statuses(told) == ["ok"]


def test_a_generator_takes_what_is_sent_and_thrown_and_returns(told: Told) -> None:
    @task("talk")
    def talk() -> Any:
        got = []
        try:
            got.append((yield "first"))
        except ValueError as problem:
            got.append(str(problem))
        got.append((yield "second"))
        return got

    conversation = talk()
    assert next(conversation) == "first"
    assert conversation.throw(ValueError("caught")) == "second"
    with pytest.raises(StopIteration) as end:
        conversation.send("sent")
    assert end.value.value == ["caught", "sent"]
    assert statuses(told) == ["ok"]


def test_a_generator_that_is_left_is_cancelled_and_cleans_up(told: Told) -> None:
    cleaned = []

    @task("stream")
    def stream() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(current().name)

    for _ in stream():
        break
    assert cleaned == ["stream"]
    assert statuses(told) == ["cancelled"]


def test_a_generator_that_raises_failed(told: Told) -> None:
    @task("stream")
    def stream() -> Iterator[int]:
        yield 1
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        list(stream())
    assert statuses(told) == ["failed"]


def test_two_generators_that_take_turns_do_not_mix(told: Told) -> None:
    @task("stream")
    def stream() -> Iterator[str]:
        for _ in range(3):
            yield current().id

    pairs = list(zip(stream(), stream(), strict=True))
    assert len({left for left, _ in pairs}) == len({right for _, right in pairs}) == 1
    assert pairs[0][0] != pairs[0][1]


def test_an_async_generator_is_a_task(told: Told) -> None:
    @task("stream")
    async def stream() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield current().id

    async def run() -> list[str]:
        seen = []
        async for one in stream():
            assert current().id == ""
            seen.append(one)
        return seen

    seen = asyncio.run(run())
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert statuses(told) == ["ok"]


def test_an_async_generator_takes_what_is_sent_and_thrown(told: Told) -> None:
    @task("talk")
    async def talk() -> Any:
        try:
            got = yield "first"
        except ValueError as problem:
            got = str(problem)
        yield got

    async def run() -> list[Any]:
        conversation = talk()
        first = await conversation.__anext__()
        second = await conversation.athrow(ValueError("caught"))
        await conversation.aclose()
        return [first, second]

    assert asyncio.run(run()) == ["first", "caught"]
    assert statuses(told) == ["cancelled"]


def test_an_async_generator_that_raises_failed(told: Told) -> None:
    @task("stream")
    async def stream() -> AsyncIterator[int]:
        yield 1
        raise LookupError("mine")

    async def run() -> None:
        async for _ in stream():
            pass

    with pytest.raises(LookupError, match="mine"):
        asyncio.run(run())
    assert statuses(told) == ["failed"]


def test_methods_and_callable_objects_are_functions_too(told: Told) -> None:
    class Agent:
        @task("method")
        async def method(self) -> str:
            await asyncio.sleep(0)
            return current().name

        async def __call__(self) -> str:
            await asyncio.sleep(0)
            return current().name

    assert asyncio.run(Agent().method()) == "method"
    assert asyncio.run(task("object")(Agent())()) == "object"
