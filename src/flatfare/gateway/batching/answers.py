"""A batch's answers as they are fetched: each line a call of its own, whoever fetches it and how often.

The id of such a call follows from the call that sent the batch and the request's name, so that
it is booked once. A line that was seen is booked, also where the fetching broke off.

Answers that are fetched one by one by their own ids need another way, see ``gateway.telling``: the
call that began such an answer is one already, and nothing that a later look says names it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from flatfare.core import identity
from flatfare.core.batch_names import named_in
from flatfare.core.budget import Whose
from flatfare.dialects.dialect import ResultLine, Route
from flatfare.dialects.meter import UNREADABLE
from flatfare.dialects.reading import Exchange, Reading, free, unread
from flatfare.gateway.attribution import Attribution, labels_of
from flatfare.gateway.records import Ended, Figures, Intent, Result
from flatfare.gateway.reserving.claims import BudgetList
from flatfare.gateway.tap import Metered
from flatfare.store.batches import Batch
from flatfare.store.keys import Key

ENDPOINT = "batch.answer"


@dataclass(frozen=True, slots=True)
class Source:
    """Where answers come from, and whose they are."""

    provider: str  # as it is configured
    priced_as: str
    thing_id: str  # a batch, or a file of answers
    batch: Batch | None  # None where it was not made through here
    key: Key | None  # of whoever fetches
    whose: Attribution  # the same
    at_us: int  # of fetching

    @property
    def made_at_us(self) -> int:
        """When the batch was made, as far as that is known."""
        return self.at_us if self.batch is None else self.batch.made_at_us

    def call_id(self, name: str) -> str:
        """The id of the call that a line is."""
        if self.batch is not None:
            return str(identity.within(self.batch.call_id, name))
        named = name.replace("\x1f", " ")
        unordered = identity.derived("batch answer", self.provider, self.thing_id, named)
        return str(identity.Id(bytes=unordered.bytes, version=5))  # it says no moment


class Lines:
    """Reads a batch's answers line by line, and hands each on."""

    def __init__(self, route: Route, exchange: Exchange, on_line: Callable[[ResultLine], None]) -> None:
        assert route.lines is not None
        self._read = route.lines
        self._exchange = exchange
        self._on_line = on_line
        self._count = 0
        self._unread: str | None = None

    def event(self, name: str, data: bytes) -> None:
        """One line."""
        try:
            line = self._read(data, self._exchange)
        except UNREADABLE as problem:
            self._unread = self._unread or f"a line of the answers cannot be read: {problem}"
            return
        if line is not None:
            self._count += 1
            self._on_line(line)

    def finish(self) -> Reading:
        """What the fetching itself cost: nothing."""
        if self._unread is not None:
            return unread(self._unread)
        if not self._count:
            return unread("the file has no line of a batch's results")
        return free(f"its {self._count} answers are calls of their own")


class Writer:
    """Makes the records of a batch's answers, each charged to the budgets in force when it was sent."""

    def __init__(self, source: Source, budgets: BudgetList) -> None:
        self._source = source
        self._budgets = budgets.at(source.made_at_us)
        batch = source.batch
        self._labels = source.whose.labels if batch is None else batch.labels
        self._session = source.whose.session if batch is None else batch.session
        self._purpose = source.whose.purpose if batch is None else batch.purpose
        self._key_id = (None if source.key is None else source.key.id) if batch is None else batch.key_id
        self._project = None if source.key is None else source.key.project
        self._traits = msgspec.json.encode({"batch": source.thing_id if batch is None else batch.batch_id})

    @property
    def made_at_us(self) -> int:
        """When the batch was made."""
        return self._source.made_at_us

    def record(self, line: ResultLine, figures: Figures) -> Ended:
        """The call that a line is."""
        source, reading = self._source, line.reading
        call_id = source.call_id(line.name)
        task_id, attempt_id = self._tasks(line.name)
        intent = Intent(
            call_id,
            source.made_at_us,
            source.priced_as,
            ENDPOINT,
            reading.model,
            key_id=self._key_id,
            labels=self._labels,
            task_id=task_id,
            attempt_id=attempt_id,
            session=self._session,
            purpose=self._purpose,
            service_tier="batch",
            reservation=self._reservation(task_id),
        )
        conditions = reading.parts[0].conditions if reading.parts else None
        result = Result(
            call_id,
            time.time_ns() // 1000,
            figures,
            "ok" if line.status < 400 else "failed",
            line.status,
            model=reading.model,
            service_tier="batch",
            region=conditions.region if conditions else None,
            external_id=reading.response_id,
            traits=self._traits.decode(),
        )
        return Ended(intent, result, is_again=True)

    def sum(self, metered: Metered) -> Ended:
        """The call that all answers together are, where they are read in one sum."""
        reading = Reading(parts=(), model=metered.model)
        return self.record(ResultLine("", HTTPStatus.OK, reading), metered.figures)

    def _tasks(self, name: str) -> tuple[str | None, str | None]:
        """Task and attempt, as the request's name says them, within what its key may name."""
        named = named_in(name)
        if named is None:
            of = self._source.batch or self._source.whose
            return of.task_id, of.attempt_id
        return str(identity.task_id(self._project, named[0])), named[1]

    def _reservation(self, task_id: str | None) -> str | None:
        if not len(self._budgets):
            return None
        whose = Whose(self._key_id, self._project, task_id, self._session, labels_of(self._labels))
        claim = self._budgets.claim(whose)
        return None if claim is None else claim.reservation_text(None)
