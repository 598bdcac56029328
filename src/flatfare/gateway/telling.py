"""Telling: results that come late, and costs that one call tells of another, each counted once.

An answer that its provider keeps is shown to whoever fetches it, as often as somebody looks, and is
billed once. One call bears its cost: the one that began it, where that is here, else the first that
fetched it; the others cost nothing, in whatever order and wherever they are booked. The id of the
call that began it follows from nothing that a later look says, so that it has to be looked for: in
the book, and among the sealed calls of the time in which providers keep answers.

A batch's answers need no such search. Each is a call whose id follows from the batch (see
``gateway.batching.answers``; of one whose answers are read in one sum, that sum is the call), so
that it is booked once by its id; and what was kept of the batch says which call made it, so that
whoever fetches them tells that one by its id that it cost nothing beside them.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from flatfare.core import identity
from flatfare.gateway import rows
from flatfare.gateway.records import Result
from flatfare.gateway.tap import nothing
from flatfare.gateway.turns import Turn
from flatfare.store import journals, newest
from flatfare.store.book import Book, Value
from flatfare.store.calls import SHOWN_BY, begins_answer, is_of_kept_answer
from flatfare.store.lake import Lake
from flatfare.store.newest import Answer, Call, answer_of
from flatfare.store.whereabouts import CLOCKS_US

HOT_US_MIN = 600_000_000
"""Calls stay in the book for so long at least before they are sealed."""

KEPT_US = 60 * 86_400_000_000
"""Providers keep answers for less: OpenAI for 30 days, Google for 55 (their documentation, 2026-11)."""

_REMEMBERED_MAX = 20_000

_AT_ITS_BEGINNING = "counted at the call that began it"
_BEFORE = "counted when it was fetched first"


@dataclass(frozen=True, slots=True)
class _Bearer:
    """The call that an answer is counted at."""

    call_id: str
    cost_state: Value
    is_beginning: bool

    @property
    def elsewhere(self) -> str:
        """Why other calls that show the answer cost nothing."""
        return _AT_ITS_BEGINNING if self.is_beginning else _BEFORE


def shows(endpoint: object, result: Result) -> bool:
    """Whether a call tells what an answer cost that another call began; a look at one under way does not."""
    return endpoint in SHOWN_BY and result.external_id is not None


class Telling:
    """Resolves what a turn has read of calls that are perhaps booked already."""

    def __init__(self, book: Book, lake: Lake) -> None:
        self._book = book
        self._lake = lake
        self._bearers: OrderedDict[Answer, _Bearer] = OrderedDict()  # so that nothing is looked for again
        self._ahead: dict[str, Call] = {}  # what this turn was found to need, mostly of the lake

    def look_ahead(self, turn: Turn) -> None:
        """Find what lies in the lake, before the book is locked: that may take a while."""
        near_us = {call_id: identity.moment_of(call_id) for call_id in self._named(turn)}
        stored = newest.present(self._book, self._lake, near_us)
        horizon_us = time.time_ns() // 1000 - HOT_US_MIN
        since_us = {answer: us for answer, us in self._answers(turn, stored).items() if us < horizon_us}
        stored |= newest.hot_of(self._book, since_us)
        here = _by_answer(stored.values())
        since_us = {answer: us for answer, us in since_us.items() if answer not in here}
        self._ahead = stored | newest.sealed_of(self._book, self._lake, since_us)

    def resolve(self, turn: Turn) -> None:
        """Make rows and corrections of it, in the open transaction: others may have booked meanwhile."""
        stored = self._ahead | newest.hot(self._book, self._named(turn))
        stored |= newest.hot_of(self._book, self._answers(turn, stored))
        by_answer = _by_answer(stored.values())
        shown_again = list(self._resolve_late(turn, stored))
        for beginning in turn.beginnings():
            self._begin(turn, beginning, by_answer)
        for call, result in shown_again:
            shown = self._shown(turn, str(call["provider"]), result, stored, by_answer)
            turn.change(call, rows.change_of(call, shown))
        for intent, result in turn.fetched:
            shown = self._shown(turn, intent.provider, result, stored, by_answer)
            turn.book(rows.row_of(intent, shown), intent, shown.figures.cost_nano)
        self._tell_calls(turn, stored)

    def _named(self, turn: Turn) -> set[str]:
        """The ids of the calls that are told of, and are not booked in this turn."""
        named = {result.call_id for _, result in turn.late} | {told.call_id for told in turn.told}
        for intent, result in turn.fetched:
            bearer = self._bearers.get((intent.provider, str(result.external_id)))
            if bearer is not None and rows.is_surer(result.figures.cost_state, bearer.cost_state):
                named.add(bearer.call_id)
        return named - turn.rows.keys()

    def _answers(self, turn: Turn, stored: Mapping[str, Call]) -> dict[Answer, int]:
        """The answers whose bearers have to be looked for, and since when there may be such."""
        found: dict[Answer, int] = {}
        for call in turn.beginnings():
            found[answer_of(call)] = int(str(call["at_us"])) - CLOCKS_US
        for intent, result in turn.late:
            late = stored.get(result.call_id) or ({} if intent is None else rows.row_of(intent, result))
            if not is_of_kept_answer({**late, "external_id": result.external_id}):
                continue
            answer = (str(late["provider"]), str(result.external_id))
            if begins_answer(late):
                found[answer] = int(str(late["at_us"])) - CLOCKS_US
            else:
                found.setdefault(answer, _since_us(result))
        for intent, result in turn.fetched:
            answer = (intent.provider, str(result.external_id))
            if answer not in self._bearers:
                found.setdefault(answer, _since_us(result))
        return found

    def _resolve_late(self, turn: Turn, stored: Mapping[str, Call]) -> Iterator[tuple[Call, Result]]:
        """Results without an open intent: of a call given up too soon, booked already, or damaged.

        Gives those that show an answer, and were given up before.
        """
        seen = set(turn.rows)
        for intent, result in turn.late:
            call = stored.get(result.call_id)
            if result.call_id in seen or (call is not None and not _says_more(call, result)):
                turn.repeated += 1
            elif call is not None and shows(call["endpoint"], result):
                yield call, result
            elif call is not None:
                turn.change(call, rows.change_of(call, result))
            elif intent is None:
                turn.book(rows.lone_row(result), None, result.figures.cost_nano)
            elif shows(intent.endpoint, result):
                turn.fetched.append((intent, result))
            else:
                turn.book(rows.row_of(intent, result), intent, result.figures.cost_nano)
            seen.add(result.call_id)

    def _begin(self, turn: Turn, call: Call, by_answer: Mapping[Answer, list[Call]]) -> None:
        """An answer's beginning is booked: it bears the cost, also where a fetch was booked before it."""
        answer = answer_of(call)
        cost_state = call["cost_state"]
        for one in by_answer.get(answer, ()):
            if begins_answer(one) or one["id"] == call["id"]:
                continue
            moved = rows.moved_change(one)
            if rows.is_surer(moved["cost_state"], cost_state):
                turn.change(call, moved)
                cost_state = moved["cost_state"]
            turn.change(one, rows.told_change(nothing(_AT_ITS_BEGINNING)))
        self._remember(answer, _Bearer(str(call["id"]), cost_state, is_beginning=True))

    def _shown(
        self,
        turn: Turn,
        provider: str,
        result: Result,
        stored: Mapping[str, Call],
        by_answer: Mapping[Answer, list[Call]],
    ) -> Result:
        """What a fetch is booked as: itself where it bears the cost; else nothing, and its bearer is told."""
        answer = (provider, str(result.external_id))
        bearer = self._bearers.get(answer) or _bearer_of(by_answer.get(answer, ()))
        told_state = result.figures.cost_state
        if bearer is None:
            self._remember(answer, _Bearer(result.call_id, told_state, is_beginning=False))
            return result
        if rows.is_surer(told_state, bearer.cost_state):
            if turn.present(bearer.call_id, stored) is None:  # it was remembered, and not looked for ahead
                near_us = {bearer.call_id: identity.moment_of(bearer.call_id)}
                stored = newest.present(self._book, self._lake, near_us)
            self._tell(turn, bearer.call_id, rows.shown_change(result), stored)
            bearer = _Bearer(bearer.call_id, told_state, bearer.is_beginning)
        self._remember(answer, bearer)
        return msgspec.structs.replace(result, figures=nothing(bearer.elsewhere))

    def _tell_calls(self, turn: Turn, stored: Mapping[str, Call]) -> None:
        """What calls are told by their ids: in this turn, or before they were booked."""
        for call_id, change in journals.told_calls(self._book).items():
            if call_id in turn.rows:
                self._tell(turn, call_id, change, stored)
                journals.remove_told(self._book, call_id)
        for told in turn.told:
            if not self._tell(turn, told.call_id, rows.told_change(told.figures), stored):
                turn.repeated += 1

    def _tell(
        self, turn: Turn, call_id: str, change: Mapping[str, Value], stored: Mapping[str, Call]
    ) -> bool:
        """Give a call a cost that is surer than its own; one that is not booked yet is told when it is."""
        call = turn.present(call_id, stored)
        if call is None:
            journals.keep_told(self._book, call_id, change)
        elif rows.is_surer(change["cost_state"], call["cost_state"]):
            turn.change(call, change)
        else:
            return False
        return True

    def _remember(self, answer: Answer, bearer: _Bearer) -> None:
        self._bearers[answer] = bearer
        self._bearers.move_to_end(answer)
        if len(self._bearers) > _REMEMBERED_MAX:
            self._bearers.popitem(last=False)


def _since_us(result: Result) -> int:
    """Since when there may be calls about the answer that a call has fetched."""
    begun_us = result.begun_at_us
    return result.ended_at_us - KEPT_US if begun_us is None else begun_us - CLOCKS_US


def _says_more(call: Call, result: Result) -> bool:
    """Whether a late result changes its call: nobody saw how that ended."""
    change = rows.change_of(call, result)
    return rows.is_given_up(call) and any(call.get(name) != value for name, value in change.items())


def _by_answer(calls: Iterable[Call]) -> dict[Answer, list[Call]]:
    """The calls that may bear the cost of each answer, the earliest first."""
    bearing = [
        call for call in calls if is_of_kept_answer(call) and (begins_answer(call) or call["cost_nano"] != 0)
    ]
    found: dict[Answer, list[Call]] = {}
    for call in sorted(bearing, key=lambda call: (int(str(call["at_us"])), str(call["id"]))):
        found.setdefault(answer_of(call), []).append(call)
    return found


def _bearer_of(calls: Iterable[Call]) -> _Bearer | None:
    found = sorted(calls, key=lambda call: not begins_answer(call))
    if not found:
        return None
    return _Bearer(str(found[0]["id"]), found[0]["cost_state"], begins_answer(found[0]))
