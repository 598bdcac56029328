"""Runs whose process is gone: taken up where they stood, or given back; none is done twice."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from flatfare.core.action import Ending
from flatfare.core.errors import FlatfareError
from flatfare.core.outcome import Outcome
from flatfare.runner import judging, moving, telling
from flatfare.runner.books import Books, Shelf
from flatfare.runner.ownership import LEASE_US, is_gone
from flatfare.service.actions import publishing
from flatfare.service.tasks.recording import row_of
from flatfare.store import runs, tasks
from flatfare.store.runs import Run, State

_GIVEN_UP = "its process ended before the work was decided, and nobody asked for it again"


@dataclass(frozen=True, slots=True)
class Stuck:
    """A run that could not be looked after, and why; the next round looks at it again."""

    run_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class Left:
    """What became of runs that were left behind, of those that were looked at together."""

    finished: tuple[Run, ...] = ()  # decided before: told of, and their money moved
    given_back: tuple[Run, ...] = ()
    to_resume: tuple[Run, ...] = ()  # their input was kept
    waiting: tuple[Run, ...] = ()  # until they are asked for again, or their deadline has passed
    stuck: tuple[Stuck, ...] = ()
    last: tuple[int, str] | None = None  # the last one's moment and id; None where none is left to look at

    def counts(self) -> dict[str, int]:
        """How many became what."""
        return {name: len(getattr(self, name)) for name in ("finished", "given_back", "to_resume", "waiting")}


async def recover_all(
    books: Books, owner: str, now: Callable[[], int], *, give_up: bool = False
) -> AsyncIterator[Left]:
    """Look after every run whose process is gone, some at a time: other work has its turn between."""
    left = await books.do(recover, owner, now(), give_up=give_up)
    while left.last is not None:
        yield left
        left = await books.do(recover, owner, now(), give_up=give_up, after=left.last)


def recover(
    shelf: Shelf, owner: str, now_us: int, *, give_up: bool = False, after: tuple[int, str] | None = None
) -> Left:
    """Look after runs whose process is gone, as many as are looked at together, beyond ``after``.

    What stands in the way of one of them stands in no other's. ``give_up``: do not wait to be asked
    for one again.
    """
    found: dict[str, list[Run]] = {"finished": [], "given_back": [], "to_resume": [], "waiting": []}
    stuck = []
    at_hand = runs.left_behind(shelf.book, but_of=_living(shelf, owner, now_us), after=after)
    for run in at_hand:
        if run.state is not State.INTERRUPTED and not is_gone(run.owner, run.alive_until_us, now_us):
            continue
        try:
            if not give_up and _still_waits(shelf, run, now_us):
                found["waiting"].append(run)
            elif runs.claim(shelf.book, run, owner, now_us + LEASE_US, now_us):
                what, looked_after = _looked_after(shelf, run, now_us, give_up)
                found[what].append(looked_after)
        except FlatfareError as problem:
            let_go(shelf, run, owner)
            stuck.append(Stuck(run.id, str(problem)))
    last = (at_hand[-1].started_at_us, at_hand[-1].id) if at_hand else None
    return Left(**{name: tuple(held) for name, held in found.items()}, stuck=tuple(stuck), last=last)


def let_go(shelf: Shelf, run: Run, owner: str) -> None:
    """Have a run that was taken over and could not be looked after looked at again."""
    with suppress(FlatfareError):
        runs.let_go(shelf.book, run, owner)


def _living(shelf: Shelf, owner: str, now_us: int) -> list[str]:
    """Processes that work at their runs, this one among them."""
    known = runs.owners_under_way(shelf.book)
    return [owner, *(one for one, until_us in known.items() if not is_gone(one, until_us, now_us))]


def _still_waits(shelf: Shelf, run: Run, now_us: int) -> bool:
    """It was looked after before, and nothing has changed since."""
    was_looked_after = run.state is State.INTERRUPTED and run.owner is None
    return was_looked_after and not _is_alone(run) and not _is_late(shelf, run, now_us)


def _is_alone(run: Run) -> bool:
    """Its input was kept, and no job takes it up: what is asked in batches its job does, which knows
    what was sent; here it would be sent again."""
    return run.input is not None and not run.patience_us


def _looked_after(shelf: Shelf, run: Run, now_us: int, give_up: bool) -> tuple[str, Run]:
    if run.state is State.DONE:
        return "given_back", judging.give_back(shelf, run, now_us)
    if run.state is State.JUDGED:
        done = judging.finish(shelf, run, now_us, is_lost=run.output is None)
        return ("given_back" if done.ending == Ending.INTERRUPTED else "finished"), done
    judging.cut_short(shelf, run, now_us)
    if _is_alone(run) and not give_up and not _is_late(shelf, run, now_us):
        return "to_resume", runs.update(shelf.book, run, state=State.ACCEPTED)
    if give_up or _is_late(shelf, run, now_us):
        return "given_back", _given_up(shelf, run, now_us)
    return "waiting", runs.update(shelf.book, run, state=State.INTERRUPTED, owner=None)


def _is_late(shelf: Shelf, run: Run, now_us: int) -> bool:
    if now_us < run.started_at_us + run.patience_us:
        return False
    action = publishing.published(shelf.book, run.action, run.action_version).action
    return now_us >= run.started_at_us + action.limits.deadline_us + run.patience_us


def _given_up(shelf: Shelf, run: Run, now_us: int) -> Run:
    """End a run that nobody takes up: its task has failed, and its money goes back."""
    action = publishing.published(shelf.book, run.action, run.action_version).action
    at_us, number = run.ended_at_us or now_us, max(1, run.attempts)
    run = runs.update(shelf.book, run, ended_at_us=at_us)  # told of with this moment, also if told again
    if tasks.rows_of(shelf.book, [run.task_id]):  # open as it is, it is not sealed
        said = [
            telling.judged(run, telling.nothing_to_judge(name, "1", Ending.INTERRUPTED, number, at_us))
            for name in action.definition.required
        ]
        telling.tell(shelf, run, [*said, telling.closed(run, at_us)], now_us)
    moving.give_back(shelf, run, now_us, _GIVEN_UP)
    return runs.update(
        shelf.book,
        run,
        state=State.DONE,
        ending=str(Ending.INTERRUPTED),
        reasons=json.dumps([_GIVEN_UP]),
        is_delivered=1,
        owner=None,
        forget_at_us=at_us + action.keep_us if action.keep_us else None,
    )


@dataclass(frozen=True, slots=True)
class Followed:
    """Runs whose money was moved, of those that were looked at together, and the last of these."""

    moved: tuple[Run, ...]
    last: tuple[int, str] | None  # its moment and id; None where none is left to look at


async def follow_all_awaited(books: Books, now: Callable[[], int]) -> None:
    """Follow every run that waited for somebody's word, some at a time: other work has its turn between."""
    followed = await books.do(follow_awaited, now())
    while followed.last is not None:
        followed = await books.do(follow_awaited, now(), followed.last)


def follow_awaited(shelf: Shelf, now_us: int, after: tuple[int, str] | None = None) -> Followed:
    """Move the money of runs that waited for a person's, a customer's or a signal's word, and have it.

    As many as are looked at together, beyond ``after``; what stands in the way of one of them stands
    in no other's, and is looked at again with the next round.
    """
    found = runs.awaited_and_decided(shelf.book, after=after)
    moved = (_followed(shelf, run, now_us) for run in found)
    last = (found[-1].started_at_us, found[-1].id) if found else None
    return Followed(tuple(run for run in moved if run is not None), last)


def _followed(shelf: Shelf, run: Run, now_us: int) -> Run | None:
    """The run, ended; None where that cannot be yet."""
    try:
        task = row_of(shelf.book, shelf.lake, run.task_id)
        outcome = Outcome.OPEN if task is None else Outcome(str(task["outcome"]))
        if outcome is Outcome.OPEN:
            return None
        moving.settle(shelf, run, now_us, f"the task is {outcome}")
    except FlatfareError:
        return None
    ending = Ending.VERIFIED if outcome is Outcome.VERIFIED else Ending.FAILED
    return runs.update(
        shelf.book,
        run,
        state=State.DONE,
        ending=str(ending),
        ended_at_us=now_us,
        is_delivered=1,
        owner=None,
    )
