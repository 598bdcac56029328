"""The host is never harmed: what goes wrong in here is said once in the log, and goes no further.

No exception of ours reaches the program that is watched; its own are never touched.
"""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("flatfare")
_KINDS_MAX = 200  # so that warnings whose key holds what the host gave cannot fill the memory
_said: set[str] = set()


def warn_once(about: str, text: str) -> None:
    """Log a warning, unless one about the same has been logged before."""
    if about in _said or len(_said) >= _KINDS_MAX:
        return
    _said.add(about)
    try:
        _log.warning("%s", text)
    except Exception:  # noqa: BLE001 - a handler of the host's may fail, as with a closed stream
        return


def problem_text(problem: BaseException) -> str:
    """What went wrong, in a line, whatever the exception's own text does."""
    try:
        return f"{type(problem).__name__}: {problem}"[:300]
    except Exception:  # noqa: BLE001 - an exception whose own text raises
        return type(problem).__name__


def harmless(otherwise: Callable[[], R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep a function from raising, also over its arguments; where it would, ``otherwise()`` is returned."""

    def guard(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as problem:  # noqa: BLE001 - the outermost door: the host must not suffer
                name = function.__qualname__
                warn_once(name, f"flatfare: {name} recorded nothing: {problem_text(problem)}")
                return otherwise()

        return guarded

    return guard


def nothing() -> None:
    """What a function returns that has nothing to return."""
