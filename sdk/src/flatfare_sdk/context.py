"""Whose work is being done: the task and attempt that the calls of this thread or asyncio task belong to.

Asyncio tasks and ``asyncio.to_thread`` carry it along by themselves; threads and executors
do not, and take ``carried(function)``.
"""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import ParamSpec, TypeVar

from flatfare_sdk.guarding import warn_once

DEPTH_MAX = 100  # tasks that are opened and never closed must not fill the memory

P = ParamSpec("P")
R = TypeVar("R")


def status_of(problem: BaseException | None) -> str:
    """How an attempt ended: a cancelled one was broken off from outside, and is no failure of its own."""
    if problem is None:
        return "ok"
    if isinstance(problem, SystemExit):
        return "ok" if problem.code in (None, 0) else "failed"
    return "failed" if isinstance(problem, Exception) else "cancelled"


class Scope:
    """A stretch of work that calls belong to; scopes stand within one another."""

    __slots__ = ("depth", "is_open", "outer", "session")

    def __init__(self, session: str | None = None) -> None:
        self.is_open = False
        self.outer: Scope | None = None
        self.depth = 0
        self.session = session  # the conversation that it belongs to


class Work(Scope):
    """A scope that begins and ends, and of which there can be another: one for each call of a function."""

    __slots__ = ()

    def again(self) -> "Work":
        """Another as this one was to be."""
        raise NotImplementedError

    def begin(self) -> None:
        """Begin, without making it current here."""
        raise NotImplementedError

    def open(self) -> "Work":
        """Begin, and make it current here."""
        raise NotImplementedError

    def close(self, status: str = "ok") -> None:
        """End it: ``ok``, ``failed`` or ``cancelled``."""
        raise NotImplementedError

    def __enter__(self) -> "Work":
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(status_of(problem))

    async def __aenter__(self) -> "Work":
        return self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(status_of(problem))


_scope: ContextVar[Scope | None] = ContextVar("flatfare_scope", default=None)


def current_scope() -> Scope | None:
    """The innermost stretch of work here. A job that outlives its task still belongs to it."""
    return _scope.get()


def enter(scope: Scope) -> None:
    """Make this the innermost stretch of work here."""
    scope.is_open = True
    outer = _scope.get()
    if outer is not None and outer.depth < DEPTH_MAX:
        scope.outer, scope.depth = outer, outer.depth + 1
    elif outer is not None:
        warn_once("depth", "flatfare: tasks stand within one another without end: each is to be closed")
    _scope.set(scope)


def leave(scope: Scope) -> None:
    """End a stretch of work, also where stretches end in another order than they began.

    No token is kept: a generator may be ended in another context than it began in.
    """
    scope.is_open = False
    if _scope.get() is not scope:
        return
    outer = scope.outer
    while outer is not None and not outer.is_open:
        outer = outer.outer
    _scope.set(outer)


def swap(scope: Scope | None) -> Scope | None:
    """Make another scope the innermost one, and return the former."""
    former = _scope.get()
    _scope.set(scope)
    return former


def carried(function: Callable[P, R]) -> Callable[P, R]:
    """The function, to be run for the task that is current now, in whatever thread it is called.

    ``pool.submit(carried(read), page)``, ``pool.map(carried(read), pages)``,
    ``Thread(target=carried(work))``.
    """
    scope = _scope.get()

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        former = swap(scope)
        try:
            return function(*args, **kwargs)
        finally:
            swap(former)

    return run
