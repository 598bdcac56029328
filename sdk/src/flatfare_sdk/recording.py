"""What a program says: that a task begins, and later, from wherever, what became of it."""

import os
from collections.abc import Callable, Mapping
from typing import TypeVar, overload

from flatfare_sdk import events
from flatfare_sdk.events import known
from flatfare_sdk.guarding import harmless, nothing
from flatfare_sdk.recorder import Status, process
from flatfare_sdk.settings import settings
from flatfare_sdk.task import Silent, Task, work_here

F = TypeVar("F", bound=Callable[..., object])


def _silent() -> object:
    return Silent()


@overload
def task(name: F, /) -> F: ...


@overload
def task(
    name: str = "task",
    /,
    *,
    id: str | None = None,
    labels: Mapping[str, object] | None = None,
    session: str | None = None,
    path: str | None = None,
    version: str | None = None,
    deadline: object = None,
    value: object = None,
    **more_labels: object,
) -> Task: ...


@harmless(_silent)
def task(name: object = "task", /, **given: object) -> object:
    """A piece of work by the name of its kind: ``with task("contract-review", customer="acme") as t:``.

    The same as a decorator makes a task of each call: ``@task("contract-review")``, or ``@task``
    by the function's own name. ``id`` is an id or a name of yours by which it is spoken of later
    (``signal("ticket-4711", "accepted")``), else one is made: ``t.id``. ``labels`` say whose it is,
    and so does every further keyword; ``deadline`` is a datetime or ISO 8601 text, ``value`` what the
    work is worth, in dollars; ``path`` is how it is done, ``version`` the action's.
    """
    if callable(name) and not given:
        return _task(getattr(name, "__name__", "task"))(name)
    return _task(name, **given)


def _task(
    name: object,
    *,
    id: object = None,  # noqa: A002 - the word that a caller expects
    labels: object = None,
    session: object = None,
    path: object = None,
    version: object = None,
    deadline: object = None,
    value: object = None,
    **more_labels: object,
) -> Task:
    both = {**(known("labels", events.labels, labels) or {}), **events.labels(more_labels)}
    if len(both) > events.LABELS_MAX:
        both = events.labels(both)
    return Task(
        known("name", events.text, name) or "task",
        known("id", events.text, id),
        known("session", events.text, session),
        {
            "action_version": known("version", events.text, version),
            "path": known("path", events.text, path),
            "labels": both or None,
            "deadline": known("deadline", events.moment, deadline),
            "value": known("value", events.decimal, value),
        },
    )


def current() -> Task:
    """The task that is current here; where there is none, one that takes everything and records nothing."""
    task, _, _ = work_here()
    return task or Silent()


@harmless(nothing)
def verdict(
    task: Task | str,
    verifier: str,
    passed: bool | None,
    *,
    evidence: object,
    version: str = "1",
    kind: str = "code",
    score: object = None,
    cost: object = None,
    attempt_number: int | None = None,
) -> None:
    """Whether a task's work was done, by its id or name, from any process and at any time later."""
    line = events.judged(
        _id(task),
        verifier,
        passed,
        evidence=evidence,
        version=version,
        kind=kind,
        score=score,
        cost=cost,
        attempt_number=attempt_number,
    )
    process.recorder().put(line)


@harmless(nothing)
def signal(task: Task | str, name: str, value: object = None, *, source: str | None = None) -> None:
    """What the world said of a task, by its id or name, from any process and at any time later."""
    process.recorder().put(events.signalled(_id(task), name, value, source))


@harmless(nothing)
def rework(task: Task | str, minutes: object, rate: object = None, *, by_whom: str | None = None) -> None:
    """A person put a task's work right: for so many minutes, at so many dollars an hour."""
    process.recorder().put(events.reworked(_id(task), minutes, rate, by_whom))


def _id(task: object) -> str:
    if isinstance(task, Task):
        task.begin()
        task = task.id
    written = events.text(task).strip() if task is not None else ""
    if not written:
        raise events.Misuse("a task is named by its id or name")
    return written


def _false() -> bool:
    return False


@harmless(_false)
def flush(timeout: float = 5.0, *, sent: bool = False) -> bool:
    """Wait until all that was recorded is in the spool, on the disk; or ``sent``: taken by the server.

    The one function here that waits, for ``timeout`` seconds at most; whether it got there.
    """
    return process.recorder().flush(timeout, sent=sent)


def _nothing_known() -> Status:
    return Status(0, 0, 0, 0, 0)


@harmless(_nothing_known)
def status() -> Status:
    """What became of this process's events so far, in numbers: among them how many were lost."""
    return process.recorder().status()


@harmless(nothing)
def configure(*, url: str | None = None, key: str | None = None, spool: str | None = None) -> None:
    """Where events go, where the environment should not say: address, key, and the spool's folder."""
    process.record_by(settings(os.environ, url=url, key=key, spool=spool))
