"""Entering a run in the book: known by its id, held before its work, taken up where it was cut short."""

import json
from dataclasses import dataclass

from flatfare.core import identity
from flatfare.core.action import Action, Ending, climbed
from flatfare.core.errors import Conflict, FlatfareError, NotFound, StoreFailure
from flatfare.runner import moving, telling
from flatfare.runner.books import Shelf
from flatfare.runner.judging import cut_short, finish, give_back
from flatfare.runner.ownership import LEASE_US, is_gone
from flatfare.service import selling
from flatfare.service.actions import publishing
from flatfare.service.actions.publishing import Published
from flatfare.service.tasks import defining
from flatfare.store import actions, runs, tasks
from flatfare.store.home import KeyTaken
from flatfare.store.runs import Run, State


@dataclass(frozen=True, slots=True)
class Entered:
    """A run in the book, and whether its work is to start now."""

    run: Run
    is_to_start: bool


class Shop:
    """Published actions, each read once."""

    def __init__(self) -> None:
        self._read: dict[str, Published] = {}

    def published(self, shelf: Shelf, name: str, version: int | None, at_us: int) -> Published:
        """The version that is sold at this moment, or the one that is named; ``NotFound``, or ``Conflict``
        where it is still to come."""
        found = actions.identified(shelf.book, name, version, at_us=at_us)
        held = None if found is None else self._read.get(found)
        if held is None or held.is_to_come(at_us):
            held = publishing.valid(shelf.book, name, version, at_us=at_us)
            self._read[held.hash] = held
        return held


def standing(shelf: Shelf, run_id: str) -> Run:
    """The run as it stands."""
    found = runs.one(shelf.book, run_id)
    if found is None:
        raise NotFound(f"There is no run {run_id[:60]!r}.")
    return found


@dataclass(frozen=True, slots=True)
class Course:
    """Where on the ladder a run stands: its rung, how often that was tried, attempts in all, their cost."""

    rung: int = 0
    tried: int = 0
    made: int = 0
    spent_nano: int = 0


def course_of(shelf: Shelf, run: Run, action: Action) -> Course:
    """Where a run goes on; attempts that were cut short count for nothing but their cost."""
    attempts = [one for one in runs.attempts_of(shelf.book, run.id) if one.take == run.take]
    spent_nano = moving.costs_of(attempts, run.take).total_nano
    names = [rung.name for rung in action.ladder]
    rung = tried = made = 0
    for one in attempts:
        if one.ending in (None, str(Ending.INTERRUPTED)) or one.rung not in names:
            continue
        made += 1
        number = names.index(one.rung)
        rung, tried = number, tried + 1 if number == rung else 1
        following = climbed(action.ladder, rung, tried, Ending(str(one.ending)))
        if following is not None and following != rung:
            rung, tried = following, 0
    return Course(rung, tried, made, spent_nano)


def enter(shelf: Shelf, run: Run, version: Published, now_us: int) -> Entered:
    """Enter a run, or find what became of it before.

    ``Conflict`` where its id was used with another input or customer, or where outcomes of this
    action are judged by another version's definition by now.
    """
    _check_definition(shelf, version, now_us)
    found = runs.one(shelf.book, run.id)
    if found is None:
        try:
            runs.insert(shelf.book, run)
            return Entered(begin(shelf, run, version, now_us), True)
        except KeyTaken:
            found = standing(shelf, run.id)
    if (found.input_hash, found.customer) != (run.input_hash, run.customer):
        raise Conflict(
            f"The id {run.request_key!r} was used for another input or customer of {run.action}: "
            "each run has an id of its own."
        )
    return _again(shelf, found, run, version, now_us)


def begin(shelf: Shelf, run: Run, version: Published, now_us: int) -> Run:
    """Open the run's task and hold its price; where that cannot be, the run was refused.

    What nobody can pay for was not attempted: it is no task, and nothing is kept of it but why.
    """
    try:
        quote_id = moving.promise(shelf, run, version.action, now_us)
        if not tasks.rows_of(shelf.book, [run.task_id]):  # before its run has ended a task is not sealed
            if quote_id is not None:
                selling.check_credit(shelf.book, quote_id, at_us=now_us)
            opened = telling.opened(run, version.action, json.loads(run.labels), run.started_at_us)
            telling.tell(shelf, run, [opened], now_us)
        moving.hold(shelf, run, quote_id, now_us)
    except FlatfareError as problem:
        _not_begun(shelf, run, problem)
        raise
    return run


def _not_begun(shelf: Shelf, run: Run, problem: FlatfareError) -> None:
    """Say why a run could not be begun; one whose task is open is looked after as one that was cut short."""
    reasons = json.dumps([str(problem)])
    if isinstance(problem, StoreFailure) or tasks.rows_of(shelf.book, [run.task_id]):
        runs.update(shelf.book, run, state=State.INTERRUPTED, owner=None, reasons=reasons)
    else:
        runs.update(shelf.book, run, state=State.REFUSED, owner=None, reasons=reasons, input=None)


def _again(shelf: Shelf, found: Run, asked: Run, version: Published, now_us: int) -> Entered:
    """What is done about a run that is asked for a second time."""
    if found.state is State.REFUSED:
        return _anew(shelf, found, asked, version, now_us)
    if found.state is State.DONE:
        if not found.is_delivered and is_gone(found.owner, found.alive_until_us, now_us):
            found = give_back(shelf, found, now_us)
        if found.ending != Ending.INTERRUPTED:
            return Entered(found, False)
        return _anew(shelf, found, asked, version, now_us)
    if found.state is not State.INTERRUPTED and not is_gone(found.owner, found.alive_until_us, now_us):
        return Entered(found, False)
    if found.ending == Ending.AWAITED and found.owner is None:
        return Entered(found, False)
    if not runs.claim(shelf.book, found, str(asked.owner), now_us + LEASE_US, now_us):
        return Entered(standing(shelf, found.id), False)
    if found.state is State.JUDGED:
        done = finish(shelf, standing(shelf, found.id), now_us, is_lost=found.output is None)
        if done.ending != Ending.INTERRUPTED:
            return Entered(done, False)
        return _anew(shelf, done, asked, version, now_us)
    cut_short(shelf, found, now_us)
    taken = runs.update(
        shelf.book,
        standing(shelf, found.id),
        state=State.ACCEPTED,
        started_at_us=now_us,
        reasons="[]",
        patience_us=asked.patience_us,
    )
    return Entered(begin(shelf, taken, version, now_us), True)


def _anew(shelf: Shelf, found: Run, asked: Run, version: Published, now_us: int) -> Entered:
    """Begin a run again that was given back or refused: the same run, another task, the price of today."""
    if not runs.begin_take(shelf.book, found):
        return Entered(standing(shelf, found.id), False)
    fresh = runs.update(
        shelf.book,
        standing(shelf, found.id),
        task_id=str(identity.task_id(found.project, telling.task_name(found.id, found.take + 1))),
        state=State.ACCEPTED,
        started_at_us=now_us,
        ended_at_us=None,
        ending=None,
        reasons="[]",
        verdicts="[]",
        is_delivered=0,
        is_cost_final=0,
        owner=asked.owner,
        alive_until_us=now_us + LEASE_US,
        input=asked.input,
        forget_at_us=None,  # what it keeps now is not what it kept then
        action_version=version.action.version,
        patience_us=asked.patience_us,
    )
    return Entered(begin(shelf, fresh, version, now_us), True)


def _check_definition(shelf: Shelf, version: Published, now_us: int) -> None:
    action = version.action
    in_force = defining.in_force(shelf.book, action.name, now_us)
    if in_force.version != version.definition_version:
        raise Conflict(
            f"Version {action.version} of {action.name!r} was published with definition "
            f"{version.definition_version} of its outcome, and definition {in_force.version} is in force. "
            "Run the newest version, or publish this file again under the next number."
        )
