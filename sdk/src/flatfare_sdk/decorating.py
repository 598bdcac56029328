"""The decorator: each call of a function is a task, also where it is async or a generator.

A generator's task is current only while the generator itself runs, not while its consumer does.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar, cast

from flatfare_sdk.context import Scope, Work, current_scope, leave, status_of, swap
from flatfare_sdk.guarding import warn_once

F = TypeVar("F", bound=Callable[..., object])


def decorated(task: Work, function: F) -> F:
    """The function, each call of which is a task like this one."""
    if not callable(function):
        warn_once("decorated", f"flatfare: a task decorates functions, found a {type(function).__name__}")
        return function
    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004 - to look into it
    if inspect.isasyncgenfunction(called):
        driven: Callable[..., object] = _async_generator(task, function)
    elif inspect.isgeneratorfunction(called):
        driven = _generator(task, function)
    elif inspect.iscoroutinefunction(called):
        driven = _coroutine(task, function)
    else:
        driven = _plain(task, function)
    return cast(F, functools.wraps(function)(driven))


def _plain(task: Work, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with task.again():
            return function(*args, **kwargs)

    return call


def _coroutine(task: Work, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with task.again():
            return await function(*args, **kwargs)

    return call


class _Turn:
    """While a generator runs its scope is the innermost one; while its consumer runs, what was before."""

    __slots__ = ("_former", "_own")

    def __init__(self, own: Scope) -> None:
        self._own: Scope | None = own

    def __enter__(self) -> None:
        self._former = swap(self._own)

    def __exit__(self, *_: object) -> None:
        self._own = swap(self._former)  # it may have entered an attempt, which lasts over its yields


def _begun(task: Work) -> tuple[Work, _Turn]:
    one = task.again()
    one.begin()
    one.outer, one.is_open = current_scope(), True
    return one, _Turn(one)


def _ended(one: Work, problem: BaseException | None) -> None:
    one.close(status_of(problem))
    leave(one)


def _generator(task: Work, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        one, turn = _begun(task)
        try:
            with turn:
                inner = function(*args, **kwargs)
            result = yield from _stepped(inner, turn)
        except BaseException as problem:
            _ended(one, problem)
            raise
        _ended(one, None)
        return result

    return call


def _stepped(inner: Generator[Any, Any, Any], turn: _Turn) -> Generator[Any, Any, Any]:
    """``yield from inner``, each step of it within its own turn."""
    step: Callable[[], Any] = functools.partial(next, inner)
    while True:
        try:
            with turn:
                value = step()
        except StopIteration as end:
            return end.value
        try:
            sent = yield value
        except GeneratorExit:
            with turn:
                inner.close()
            raise
        except BaseException as thrown:  # noqa: BLE001 - what the consumer throws is the generator's to catch
            step = functools.partial(inner.throw, thrown)
        else:
            step = functools.partial(inner.send, sent)


def _async_generator(task: Work, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        one, turn = _begun(task)
        try:
            with turn:
                inner = function(*args, **kwargs)
            step: Callable[[], Any] = inner.__anext__
            while True:
                try:
                    with turn:
                        value = await step()
                except StopAsyncIteration:
                    break
                try:
                    sent = yield value
                except GeneratorExit:
                    with turn:
                        await inner.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - as above
                    step = functools.partial(inner.athrow, thrown)
                else:
                    step = functools.partial(inner.asend, sent)
        except BaseException as problem:
            _ended(one, problem)
            raise
        _ended(one, None)

    return call
