"""What a call does in the life of a batch: what is held for it, its answers as calls of their own.

A batch's making costs what its answers cost, and is told to cost nothing beside them once they are here.
"""

import asyncio
from functools import partial

from flatfare.core.cost import CostState
from flatfare.core.errors import BadInput, StoreFailure
from flatfare.dialects.dialect import ResultLine
from flatfare.dialects.reading import Exchange
from flatfare.gateway.admission import Admitted
from flatfare.gateway.batching.answers import Lines, Writer
from flatfare.gateway.batching.known import AWAITED, Known, without_answers, worth_of
from flatfare.gateway.batching.steps import Step
from flatfare.gateway.forwarding.home import Home
from flatfare.gateway.records import Figures, Told
from flatfare.gateway.reserving.worth import Worth
from flatfare.gateway.tap import Metered, Tap, nothing, unknown


class BatchStep:
    """One call's step in a batch's life."""

    def __init__(
        self, worker: Home, admitted: Admitted, known: Known, call: tuple[str, int], tap: Tap
    ) -> None:
        self.known = known
        self._worker = worker
        self._admitted = admitted
        self._call = call  # its id and its moment
        self._tap = tap
        self._problem: StoreFailure | None = None  # why some of the answers are not kept
        if admitted.batch is Step.ANSWERS:
            tap.batch_lines = self._lines

    def worth(self) -> Worth:
        """The budgets that it falls under, and what it costs at most."""
        step = self._admitted.batch
        assert step is not None
        return worth_of(step, self.known, self._worker.claim_of(self._admitted, self._call[1]))

    def _lines(self, exchange: Exchange) -> Lines:
        """Reads a batch's answers, each a call of its own."""
        route = self._admitted.place.route
        assert route is not None
        answers = self._worker.look_ups.answers_of(self._admitted, self.known, self._call[1])
        return Lines(route, exchange, partial(self._keep_line, answers))

    def _keep_line(self, answers: Writer, line: ResultLine) -> None:
        """Keep one answer of a batch, whatever becomes of the rest."""
        figures = self._tap.line_figures(line, answers.made_at_us)
        try:
            self._worker.journal.write(answers.record(line, figures))
        except (StoreFailure, BadInput) as problem:
            self._problem = StoreFailure(str(problem))

    def keep(self, beginning: bytes, body: bytes) -> "asyncio.Future[None]":
        """Keep what the answer says of the batch; what to wait for."""
        if self._admitted.batch is Step.LOOK and self.known.batch is not None:
            self._tell_cost(without_answers(beginning))
        return self._worker.look_ups.keep_batch(self._admitted, self.known, beginning, self._call, body)

    def cost(self, metered: Metered) -> Metered:
        """What the step cost: what its making did is told once all its answers are here."""
        if self._admitted.batch is Step.MAKE:
            return Metered(unknown(AWAITED))
        if self._admitted.batch is not Step.ANSWERS:
            return metered
        if self._problem is not None:
            return Metered(unknown(f"some of its answers could not be kept: {self._problem}"))
        if metered.figures.cost_state == CostState.MEASURED and self.known.has_answers:
            self._tell_cost(nothing(metered.figures.cost_reason or ""))
        return metered

    def _tell_cost(self, figures: Figures | None) -> None:
        """Its answers are all here: its making cost nothing beside them, and holds nothing any more."""
        if self.known.batch is None or figures is None:
            return
        try:
            self._worker.journal.write(Told(self.known.batch.call_id, figures))
        except (StoreFailure, BadInput) as problem:
            self._worker.note_problem(self._call[0], str(problem))


def cost_of_sum(worker: Home, admitted: Admitted, thing_id: str, at_us: int, metered: Metered) -> Metered:
    """A batch's answers that are read in one sum: a call of their own, however often they are fetched."""
    writer = worker.look_ups.answers_of(admitted, Known(thing_id=thing_id), at_us)
    try:
        worker.journal.write(writer.sum(metered))
    except (StoreFailure, BadInput) as problem:
        return Metered(unknown(f"its answers could not be kept: {problem}"))
    return Metered(nothing("its answers are a call of their own, whoever fetches them and how often"))
