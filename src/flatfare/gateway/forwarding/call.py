"""One call from its request to the moment it is sent: what it names, its guards, its budgets, its intent.

Each asks whether it may go and, where it may not, ends it as a row like any other. What
happens to a call where something fails is the table in ``failing``.
"""

import time
from collections.abc import Mapping

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.gateway import failing
from flatfare.gateway.batching.known import Known
from flatfare.gateway.forwarding.answering import AnsweredCall
from flatfare.gateway.forwarding.batch import BatchStep
from flatfare.gateway.guarding.watching import AWAY, status_of, told, told_of_budget
from flatfare.gateway.looking_up import Problem
from flatfare.gateway.refusals import refusal
from flatfare.gateway.reserving.messages import Granted, Over, Passed, Refused, Stopped, Watch
from flatfare.gateway.reserving.worth import OUTPUT_LIMIT, why_refused
from flatfare.gateway.tap import Metered, nothing
from flatfare.service.budgets.bounding import with_output_limit

RETRY_S_MAX = 60
"""Where a guard stops a call for longer, SDKs are told not to try again by themselves."""

_LEFT = "the client left before the call was sent"


class Call(AnsweredCall):
    """One try of a request, which is a row of its own."""

    _watch: Watch | None = None  # what its guards were asked
    _limited_body: bytes | None = None

    def start(self) -> None:
        """See whose the things are that the request names, and keep the intent; the rest follows."""
        if self._admitted.things and self._tries == 1:
            self._phase = "owners"
            self._worker.look_ups.ask_owners(self._admitted, self._owned)
        else:
            self._learn_batch()

    def _try_again(self) -> None:
        """The same request as a call of its own: nothing of this try is left for the next."""
        self._timer = None
        again = type(self)(self._worker, self._client, self._request, self._admitted, self._tries + 1)
        if self._batch is not None:
            again._take_known(self._batch.known)
        self._worker.tried_again(self, again)
        self._client.served_by(again)
        again.start()

    def _refuse(
        self,
        status: int,
        reason: str,
        retry_after_s: int | None = None,
        *,
        again: bool = True,
        guard: Mapping[str, object] | None = None,
        left_nano: int | None = None,
    ) -> None:
        """It may not go; that is a row like any other."""
        if self._is_client_here:
            self._answer_body = refusal(
                self._dialect,
                status,
                reason,
                self.call_id,
                retry_after_s,
                may_retry=again,
                guard=guard,
                left_nano=left_nano,
            )
        self._finish_as("refused", Metered(nothing(f"refused: {reason}")), status)

    # the things and the batch that it names

    def _owned(self, problem: Problem | None) -> None:
        """The things that the request names are the key's, or it may not go."""
        if problem is None:
            self._learn_batch()
        else:
            self._refuse(*problem)

    def _learn_batch(self) -> None:
        """See what is known of the batch that it is about, if it is."""
        if self._admitted.batch is None or self._batch is not None:
            self._ask_guards()
        else:
            self._phase = "batch"
            self._worker.look_ups.learn_batch(
                self._admitted, self._request, self._worker.prices, self._batch_known
            )

    def _batch_known(self, known: Known, problem: Problem | None) -> None:
        """What is known of its batch, or it may not go."""
        if problem is not None:
            self._refuse(*problem)
            return
        self._take_known(known)
        self._ask_guards()

    def _take_known(self, known: Known) -> None:
        call = self.call_id, self._at_us
        self._batch = BatchStep(self._worker, self._admitted, known, call, self._tap)
        self._worth = self._batch.worth()

    # the guards

    def _ask_guards(self) -> None:
        """Ask those that concern it whether it may go."""
        guards, shares = self._worker.guards, self._worker.shares
        slow = shares.slow(self._worth.claim) if shares.is_slow_anywhere else []
        if not slow and not len(guards):
            self._reserve()
            return
        watch = guards.question(self.call_id, self._admitted, self._request, slow)
        if watch is None:
            self._reserve()
            return
        self._phase, self._watch = "guard", watch
        self._worker.reserver.watch(watch, self._guarded)

    def _guarded(self, answer: Passed | Stopped | None) -> None:
        """The treasurer's answer; None where there is none."""
        watch = self._watch
        if self._phase != "guard" or watch is None:
            return
        if isinstance(answer, Passed):
            self._is_watched = True
            if answer.wait_ms:
                self._timer = self._worker.loop.call_later(answer.wait_ms / 1000, self._waited)
            else:
                self._reserve()
        elif isinstance(answer, Stopped):
            self._stop(answer)
        elif self._worker.guards.stops(watch):
            self._refuse(503, AWAY, 1)
        else:
            self._reserve()

    def _waited(self) -> None:
        self._timer = None
        self._reserve()

    def _stop(self, stopped: Stopped) -> None:
        self._worker.metrics.guard_refusals += 1
        guard = self._worker.guards.of(stopped.guard_id)
        if guard is None:
            reason = told_of_budget(stopped.guard_id, self._worth.claim, stopped.retry_s)
            self._refuse(429, reason, stopped.retry_s)
            return
        task = self._request.text(b"flatfare-task")
        reason, fields = told(guard, stopped, self._admitted.asked.model, task)
        again = stopped.retry_s is not None and stopped.retry_s <= RETRY_S_MAX
        self._refuse(status_of(guard), reason, stopped.retry_s, again=again, guard=fields)

    # the budgets

    def _reserve(self) -> None:
        """Have what it may cost held against its budgets, where any must not be exceeded."""
        worth = self._worth
        if not worth.must_fit:
            self._keep_intent()
            return
        if (refused := worth.unbounded_budget()) is not None:
            status, hard = refused
            said = f"The hard budget {hard.name!r} allows only calls of which the most they cost is known"
            self._refuse(status, f"{said}: {worth.bound.reason}.", again=False)
            return
        if (budget := worth.unlimited_budget()) is not None:
            said = f"Under the budget {budget.name!r} a call must say how long its answer may be"
            self._refuse(400, f"{said}: set {worth.bound.limit_field}.", again=False)
            return
        question = worth.question(self.call_id, self._kind())
        if question is None:
            self._keep_intent()
        else:
            self._phase = "budget"
            self._worker.reserver.reserve(question, self._reserved)

    def _kind(self) -> str:
        """Calls of one kind need about the same."""
        return f"{self._admitted.place.upstream.name}\t{self._admitted.asked.model}\t{self._admitted.key_id}"

    def _reserved(self, answer: Granted | Refused) -> None:
        """The treasurer's answer."""
        if self._phase != "budget":
            self._worker.reserver.settle(self.call_id, 0, None)
        elif isinstance(answer, Granted) and self._worth.bound.most_nano is None:
            self._worker.reserver.settle(self.call_id, 0, None)  # something is left: no more can be said
            self._keep_intent()
        elif isinstance(answer, Granted):
            self._granted = answer
            self._limit_output(answer.nano)
            self._keep_intent()
        elif answer.is_away and failing.BOOK.under.refuses(self._worth.where_away) is None:
            self._worker.metrics.budget_open += 1
            self._worker.note_problem(
                self.call_id, "A call was sent although its budgets could not be asked."
            )
            self._keep_intent()
        elif self._worth.asked is not None and not answer.is_away:
            self._worth = self._worker.counted(self._worth, self._admitted, self._at_us)
            self._reserve()
        else:
            reason, wait_s = why_refused(self._worth, answer, self._at_us)
            self._worker.metrics.budget_refusals += 1
            status = failing.BOOK.under.status if answer.is_away else 429
            left_nano = None if answer.is_away else answer.left_nano
            self._refuse(status or 503, reason, wait_s, again=wait_s is not None, left_nano=left_nano)

    def _limit_output(self, held_nano: int) -> None:
        """Where less is held than the longest answer costs, the answer is limited to what is held."""
        bound = self._worth.bound
        if bound.is_flexible and bound.limit_field and held_nano < (bound.most_nano or 0):
            limit = bound.output_for(held_nano)
            self._limited_body = with_output_limit(self._admitted.body, bound.limit_field, limit)
            self._changed = (*self._changed, OUTPUT_LIMIT)

    # the intent, and the sending

    def _keep_intent(self) -> None:
        self._phase = "journal"
        try:
            self._worker.journal.write(self._intent(), self._intent_kept)
        except (StoreFailure, BadInput) as problem:
            self._intent_kept(StoreFailure(str(problem)))

    def _intent_kept(self, problem: StoreFailure | None) -> None:
        self._is_kept = problem is None
        if problem is not None:
            then = failing.JOURNAL.then(is_hard=self._worth.must_fit)
            status = then.refuses(self._worker.settings.on_journal_failure)
            if status is not None:
                self._worker.metrics.journal_refusals += 1
                self._refuse_unrecorded(status, f"{problem}")
                return
        if not self._is_client_here:
            self._finish_as("cancelled", Metered(nothing(_LEFT)), None)
            return
        self._send()

    def _refuse_unrecorded(self, status: int, reason: str) -> None:
        """It may not go, and there is no row of it: nothing was sent, and nothing can be kept."""
        if self._granted is not None:
            self._granted = None
            self._worker.reserver.settle(self.call_id, 0, None)
        if self._is_watched:
            self._is_watched = False
            self._worker.reserver.over(Over(self.call_id, was_sent=False))
        self.deadline = 0.0
        self._end_request()
        if self._is_client_here:
            self._client.write(refusal(self._dialect, status, reason, self.call_id))
            self._client.finished(self._request.keep_alive)

    def _send(self) -> None:
        self._phase = "provider"
        admitted = self._admitted
        timeouts = self._worker.settings.timeouts
        self.deadline = time.monotonic() + timeouts.connect + timeouts.first_byte
        message = admitted.message(self._request, self._at_us, self._limited_body)
        self._carried = admitted.reach.pool.send(message, self)

    def client_left(self) -> None:
        """The client is gone: what has not been sent is not sent any more."""
        if self._phase not in ("guard", "budget"):
            super().client_left()
            return
        self._is_client_here = False
        self._stop_timer()
        if self._phase == "budget":
            self._worker.reserver.settle(self.call_id, 0, None)
        elif not self._is_watched:
            self._worker.reserver.over(Over(self.call_id, was_sent=False))
        self._finish_as("cancelled", Metered(nothing(_LEFT)), None)
