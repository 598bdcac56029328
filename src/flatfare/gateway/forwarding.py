"""One call on its way: kept as an intent, sent, answered, metered, kept as a result.

The client never holds a whole answer whose result is not kept: the last of it waits
for the journal. What happens to a call where something fails is the table in ``failing``.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from flatfare.config import Settings
from flatfare.core.cost import CostState
from flatfare.core.errors import BadInput, StoreFailure
from flatfare.core.money import decimal_text
from flatfare.dialects.compression import opened
from flatfare.dialects.dialect import ResultLine
from flatfare.dialects.reading import Exchange
from flatfare.gateway import failing
from flatfare.gateway.admission import Admitted
from flatfare.gateway.batching.answers import Lines, Writer
from flatfare.gateway.batching.known import AWAITED, Known, without_answers
from flatfare.gateway.batching.known import worth_of as batch_worth
from flatfare.gateway.batching.steps import Step
from flatfare.gateway.delivery import Delivery
from flatfare.gateway.guarding.shares import Shares
from flatfare.gateway.guarding.watching import AWAY, GuardList, over_of, status_of, told, told_of_budget
from flatfare.gateway.journal import Journal, OnKept
from flatfare.gateway.listener import ClientConnection
from flatfare.gateway.metrics import Metrics
from flatfare.gateway.policies import STREAM_USAGE
from flatfare.gateway.records import Ended, Figures, Intent, Result, Told
from flatfare.gateway.refusals import BUDGET_REMAINING, refusal
from flatfare.gateway.reserving.claims import Claim
from flatfare.gateway.reserving.messages import Granted, Over, Passed, Refused, Stopped, Watch
from flatfare.gateway.reserving.reserver import Reserver
from flatfare.gateway.reserving.worth import OUTPUT_LIMIT, Worth, why_refused
from flatfare.gateway.tap import Metered, Tap, nothing, unknown
from flatfare.gateway.texts import Taken
from flatfare.gateway.upstream import Carried
from flatfare.gateway.wire import Headers, Request, plain
from flatfare.prices.book import PriceBook
from flatfare.service.budgets.bounding import with_output_limit

HELD_S = 0.05
"""A whole answer is held this long for its cost to stand in its head; one that takes longer goes out as it
comes."""

LAST_WORD_S = 0.25
"""Where calls are cancelled when clients leave, a stream has this long to end without another word: then its
client had heard all of it."""

RETRY_S_MAX = 60
"""Where a guard stops a call for longer, SDKs are told not to try again by themselves."""

PLENTY = 50
"""Where a budget has so many times left what a call was given, nobody waits for what it did not use."""

BEGINNING_BYTES = 64 * 1024
DRAINED_BYTES_MAX = 64 << 20
_STREAMS = (b"text/event-stream", b"application/vnd.amazon.eventstream", b"application/x-ndjson")
_CANCELLED = "the client left, and the call was cancelled"
NO_FIELDS: Mapping[bytes, bytes] = MappingProxyType({})


class Home(Protocol):
    """What a call needs of the worker it belongs to."""

    settings: Settings
    loop: asyncio.AbstractEventLoop
    journal: Journal
    prices: PriceBook
    metrics: Metrics
    is_ending: bool
    reserver: Reserver
    guards: GuardList
    shares: Shares

    def worth_of(self, admitted: Admitted, request: Request, at_us: int) -> Worth:
        """The budgets that a call falls under, and what it costs at most."""

    def new_id(self, at_us: int) -> str:
        """An id for a try, that sorts by its moment."""

    def ended(self, call: "Call") -> None:
        """A call is over."""

    def count(self, admitted: Admitted, metered: Metered | None, result: Result, sent: float) -> None:
        """Take a result into the figures and the limits."""

    def note_problem(self, call: "Call", problem: str) -> None:
        """A call did not go as it should."""

    def learn_batch(self, call: "Call", admitted: Admitted, request: Request) -> None:
        """Tell the call, by ``batch_known``, what is known of the batch that it is about."""

    def claim_of(self, admitted: Admitted, at_us: int) -> Claim | None:
        """The budgets that a call falls under."""

    def answers_of(self, admitted: Admitted, known: Known, at_us: int) -> Writer:
        """Makes the records of a batch's answers."""

    def keep_batch(
        self, admitted: Admitted, known: Known, beginning: bytes, call: tuple[str, int], body: bytes
    ) -> "asyncio.Future[None]":
        """Keep what an answer says of a batch; what to wait for."""

    def ask_owners(self, call: "Call", admitted: Admitted) -> None:
        """Tell the call, by ``owned``, whether the things that it names are its key's."""

    def keep_text(
        self,
        admitted: Admitted,
        request: Request,
        result: Result,
        at_us: int,
        taken: Taken,
        encoding: str,
    ) -> None:
        """Store what was said in a call, as its key asks."""

    def keep_owner(self, admitted: Admitted, beginning: bytes) -> "asyncio.Future[None] | None":
        """Keep what an answer says was made; what to wait for, if anything."""


class Call:
    """The life of one request, with all its tries."""

    # What differs in few calls has its default here: setting it anew for each call would cost time.
    _carried: Carried | None = None
    _timer: asyncio.TimerHandle | None = None
    _delivery: Delivery | None = None
    _answer_body: bytes | None = None  # a refusal of the gateway's own
    _owning: "asyncio.Future[None] | None" = None
    _metered: Metered | None = None
    _known: Known | None = None  # of the batch that it is about
    _answers: Writer | None = None  # of a batch
    _lines_problem: StoreFailure | None = None  # why some of these are not kept
    _granted: Granted | None = None  # what is held for it against its budgets
    _watch: Watch | None = None  # what its guards were asked
    _is_watched = False  # its guards let it go, and are to be told how it ends
    _taken: Taken | None = None  # the answer, where its key asks for it to be stored
    _broken: str | None = None  # why the answer ended before its end
    _status: int | None = None
    _fields: Mapping[bytes, bytes] = NO_FIELDS
    _trailers: Headers = []  # noqa: RUF012 - never changed
    _is_client_here = True
    _has_missed = False  # the client left before all was passed on to it
    _is_sent = False
    _is_swallowed = False  # an answer that is heard out and not passed on, since the call is tried again
    _is_kept = False
    _sent = 0.0
    _first_byte = 0.0
    _ended = 0.0
    _drained = 0
    _tries = 0
    _beginning = b""
    _phase = "journal"
    _limited_body: bytes | None = None
    deadline = 0.0

    def __init__(self, worker: Home, client: ClientConnection, request: Request, admitted: Admitted) -> None:
        self._worker = worker
        self._client = client
        self._request = request
        self._admitted = admitted
        self._arrived = request.arrived_at
        self._begin_try()

    def _begin_try(self) -> None:
        self._tries += 1
        self._at_us = time.time_ns() // 1000
        self.call_id = self._worker.new_id(self._at_us)
        admitted = self._admitted
        self._changed = admitted.changed
        self._worth = self._worker.worth_of(admitted, self._request, self._at_us)
        if self._known is not None:
            self._take_known(self._known)
        if admitted.text_terms is not None:
            self._taken = Taken()
        self._tap = Tap(
            admitted.place,
            admitted.asked,
            self._request.body,
            self._worker.prices,
            self._at_us,
            self._worker.settings.cost_that_counts == "reported",
            self.call_id,
        )
        if admitted.batch is Step.ANSWERS:
            self._tap.batch_lines = self._lines

    def _forget_try(self) -> None:
        """Nothing of a try that failed is left for the next: the defaults above hold again."""
        for name in (
            "_status",
            "_fields",
            "_granted",
            "_watch",
            "_is_watched",
            "_limited_body",
            "_is_sent",
            "_is_swallowed",
            "_is_kept",
            "_sent",
            "_first_byte",
            "_ended",
        ):
            self.__dict__.pop(name, None)
        for name in ("_trailers", "_beginning", "_metered", "_broken", "_delivery"):
            self.__dict__.pop(name, None)

    # the intent

    def start(self) -> None:
        """See whose the things are that the request names, and keep the intent; the rest follows."""
        if self._admitted.things and self._tries == 1:
            self._phase = "owners"
            self._worker.ask_owners(self, self._admitted)
        else:
            self._learn_batch()

    def owned(self, problem: tuple[int, str] | None) -> None:
        """The things that the request names are the key's; or status and reason why it may not go."""
        if problem is None:
            self._learn_batch()
        else:
            self._refuse(*problem)

    def _learn_batch(self) -> None:
        """See what is known of the batch that it is about, if it is."""
        if self._admitted.batch is None or self._known is not None:
            self._ask_guards()
        else:
            self._phase = "batch"
            self._worker.learn_batch(self, self._admitted, self._request)

    def batch_known(self, known: Known, problem: tuple[int, str] | None = None) -> None:
        """What is known of its batch; or status and reason why it may not go."""
        if problem is not None:
            self._refuse(*problem)
            return
        self._known = known
        self._take_known(known)
        self._ask_guards()

    def _take_known(self, known: Known) -> None:
        step = self._admitted.batch
        assert step is not None
        self._worth = batch_worth(step, known, self._worker.claim_of(self._admitted, self._at_us))

    def _lines(self, exchange: Exchange) -> Lines:
        """Reads a batch's answers, each a call of its own."""
        route, known = self._admitted.place.route, self._known
        assert route is not None
        assert known is not None
        self._answers = self._worker.answers_of(self._admitted, known, self._at_us)
        return Lines(route, exchange, self._keep_line)

    def _keep_line(self, line: ResultLine) -> None:
        """Keep one answer of a batch, whatever becomes of the rest."""
        answers = self._answers
        assert answers is not None
        figures = self._tap.line_figures(line, answers.made_at_us)
        try:
            self._worker.journal.write(answers.record(line, figures))
        except (StoreFailure, BadInput) as problem:
            self._lines_problem = StoreFailure(str(problem))

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

    def _tell_guards(self, result: Result) -> None:
        """How it ended, once."""
        if self._is_watched:
            self._is_watched = False
            failed = result.status == "failed"
            over = over_of(
                self.call_id,
                result.figures,
                was_sent=self._is_sent,
                has_failed=failed,
                most_nano=self._worth.bound.most_nano,
            )
            self._worker.reserver.over(over)

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
            self._worker.note_problem(self, "A call was sent although its budgets could not be asked.")
            self._keep_intent()
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

    def _settling(self, result: Result, on_kept: OnKept | None) -> OnKept | None:
        """What it cost takes the place of what was held for it, as soon as that is kept and no sooner.

        Where it could not be kept, it is charged what was held: what the book will say is not known.
        """
        granted, self._granted = self._granted, None
        if granted is None:
            return on_kept
        call_id, cost_nano = self.call_id, result.figures.cost_nano
        may_wait = granted.left_nano > PLENTY * granted.nano
        tokens = [result.figures.usage.get(unit) for unit in ("output", "reasoning")]
        written = sum(count for count in tokens if isinstance(count, int))
        needed = self._worth.bound.amount_for(written) if written and self._worth.bound.is_flexible else None

        def settle(problem: StoreFailure | None) -> None:
            kept_nano = cost_nano if problem is None else None
            self._worker.reserver.settle(call_id, kept_nano, needed, may_wait=may_wait)
            if on_kept is not None:
                on_kept(problem)

        return settle

    def _keep_intent(self) -> None:
        self._phase = "journal"
        try:
            self._worker.journal.write(self._intent(), self._intent_kept)
        except (StoreFailure, BadInput) as problem:
            self._intent_kept(StoreFailure(str(problem)))

    def _intent(self) -> Intent:
        admitted = self._admitted
        asked = admitted.asked
        whose = admitted.attribution
        return Intent(
            self.call_id,
            self._at_us,
            admitted.place.upstream.priced_as,
            admitted.place.endpoint,
            asked.model,
            asked.is_stream,
            admitted.key_id,
            whose.labels,
            whose.task_id,
            whose.attempt_id,
            whose.session,
            None,
            whose.purpose,
            asked.service_tier,
            asked.region,
            self._worth.bound.most_nano if self._granted is None else self._granted.nano,
            None if self._worth.bound.most_nano is not None else self._worth.bound.reason,
            admitted.traits,
            self._reservation(),
        )

    def _reservation(self) -> str | None:
        claim = self._worth.claim
        if claim is None:
            return None
        return claim.reservation_text(None if self._granted is None else self._worker.reserver.epoch)

    def _intent_kept(self, problem: StoreFailure | None) -> None:
        self._is_kept = problem is None
        if problem is not None:
            then = failing.JOURNAL.then(is_hard=self._worth.must_fit)
            status = then.refuses(self._worker.settings.on_journal_failure)
            if status is not None:
                self._worker.metrics.journal_refusals += 1
                self._answer_refused(status, f"{problem}")
                return
        if not self._is_client_here:
            self._finish_as("cancelled", Metered(nothing("the client left before the call was sent")), None)
            return
        self._send()

    # sending

    def _send(self) -> None:
        self._phase = "provider"
        admitted = self._admitted
        timeouts = self._worker.settings.timeouts
        self.deadline = time.monotonic() + timeouts.connect + timeouts.first_byte
        message = admitted.message(self._request, self._at_us, self._limited_body)
        self._carried = admitted.reach.pool.send(message, self)

    def on_sent(self) -> None:
        self._is_sent = True
        self._sent = time.monotonic()
        self.deadline = self._sent + self._worker.settings.timeouts.first_byte

    # the answer

    def on_head(self, status: int, reason: bytes, headers: Headers, fields: Mapping[bytes, bytes]) -> None:
        self._status, self._fields = status, fields
        self._first_byte = time.monotonic()
        self._admitted.reach.circuit.succeeded()
        self._set_idle_deadline()
        self._tap.begin(status, fields)
        if not self._is_client_here:
            return
        if (
            self._may_retry()
            and self._admitted.batch is None
            and status in self._worker.settings.retries.statuses
        ):
            self._is_swallowed = True
            return
        self._delivery = Delivery(
            self._client,
            self._request,
            status,
            reason,
            headers,
            fields,
            self._own_headers(),
            hides_usage=STREAM_USAGE in self._changed and status < 400 and b"content-encoding" not in fields,
            is_ending=self._worker.is_ending,
        )
        if fields.get(b"content-type", b"").partition(b";")[0].strip().lower() in _STREAMS:
            self._delivery.release()

    def on_piece(self, piece: bytes) -> None:
        self._tap.feed(piece)
        if self._taken is not None:
            self._taken.add(piece)
        if self._admitted.makes_things and len(self._beginning) < BEGINNING_BYTES:
            self._beginning += piece
        if not self._is_client_here:
            self._drain(piece)
            return
        delivery = self._delivery
        if delivery is None:
            return
        delivery.pass_on(piece)
        self._set_idle_deadline()
        if self._client.is_full and self._carried is not None:
            self._carried.pause()
        elif not delivery.is_head_sent and self._timer is None:
            self._timer = self._worker.loop.call_later(HELD_S, self._release)

    def _drain(self, piece: bytes) -> None:
        """A piece for a client that has left."""
        self._drained += len(piece)
        if not self._has_missed and piece.strip():
            self._has_missed = True
            if self._worker.settings.when_client_leaves == "cancel":
                self._break_off(_CANCELLED)
                return
        if self._drained > DRAINED_BYTES_MAX:
            self._break_off("the client left, and its answer was heard out no further than its bound")

    def on_end(self, trailers: Headers) -> None:
        self._carried = None
        self._ended = time.monotonic()
        self._trailers = trailers
        self._stop_timer()
        if self._is_swallowed and self._is_client_here:
            self._finish_try("failed")
            return
        if self._beginning and (self._status or 0) < 300:
            self._owning = self._kept_of(self._opened_beginning())
        status = "ok" if (self._status or 0) < 400 else "failed"
        is_heard = self._is_client_here or not self._has_missed
        metered = self._tap.finish()
        if self._admitted.batch is not None and status == "ok":
            metered = self._of_batch(metered)
        elif self._admitted.sum_of is not None and metered.figures.cost_nano:
            metered = self._of_sum(self._admitted.sum_of, metered)
        self._finish_as(status if is_heard else "cancelled", metered, self._status)

    def _kept_of(self, beginning: bytes) -> "asyncio.Future[None] | None":
        """Keep what the answer says was made; what to wait for."""
        owning = self._worker.keep_owner(self._admitted, beginning)
        known, call = self._known, (self.call_id, self._at_us)
        if known is None:
            return owning
        if self._admitted.batch is Step.LOOK and known.batch is not None:
            self._tell_cost(known, without_answers(beginning))
        kept = self._worker.keep_batch(self._admitted, known, beginning, call, self._request.body)
        return kept if owning is None else asyncio.ensure_future(_all_of(owning, kept))

    def _of_batch(self, metered: Metered) -> Metered:
        """What a step of a batch cost: what its making did is told once all its answers are here."""
        if self._admitted.batch is Step.MAKE:
            return Metered(unknown(AWAITED))
        if self._admitted.batch is Step.ANSWERS and self._known is not None:
            if self._lines_problem is not None:
                return Metered(unknown(f"some of its answers could not be kept: {self._lines_problem}"))
            if metered.figures.cost_state == CostState.MEASURED and self._known.has_answers:
                self._tell_cost(self._known, nothing(metered.figures.cost_reason or ""))
        return metered

    def _of_sum(self, thing_id: str, metered: Metered) -> Metered:
        """A batch's answers that are read in one sum: a call of their own, however often they are fetched."""
        writer = self._worker.answers_of(self._admitted, Known(thing_id=thing_id), self._at_us)
        try:
            self._worker.journal.write(writer.sum(metered))
        except (StoreFailure, BadInput) as problem:
            return Metered(unknown(f"its answers could not be kept: {problem}"))
        return Metered(nothing("its answers are a call of their own, whoever fetches them and how often"))

    def _tell_cost(self, known: Known, figures: Figures | None) -> None:
        """A batch's answers are all here: its making cost nothing beside them, and holds nothing any more."""
        if known.batch is None or figures is None:
            return
        try:
            self._worker.journal.write(Told(known.batch.call_id, figures))
        except (StoreFailure, BadInput) as problem:
            self._worker.note_problem(self, str(problem))

    def on_lost(self, problem: str, *, was_sent: bool) -> None:
        self._carried = None
        self._lost(502, problem, was_sent)

    def _lost(self, http_status: int, problem: str, was_sent: bool) -> None:
        self._ended = time.monotonic()
        self._stop_timer()
        self._broken = problem
        if not was_sent or not self._first_byte:
            self._admitted.reach.circuit.failed(self._ended)
        self._worker.note_problem(self, problem)
        state = "failed" if self._is_client_here else "cancelled"
        if self._is_swallowed and self._is_client_here:
            self._finish_try(state)
        elif self._first_byte:
            self._finish_as(state, self._metered_until(problem), self._status)
        elif not was_sent and self._may_retry():
            self._finish_try(state, Metered(nothing("the provider was not reached")))
        else:
            if self._is_client_here:
                self._answer_body = refusal(self._dialect, http_status, problem, self.call_id)
            self._finish_as(state, _without_answer(problem, was_sent), http_status)

    def _release(self) -> None:
        """A whole answer has been held long enough."""
        self._timer = None
        if self._delivery is not None and self._is_client_here and self._phase == "provider":
            self._delivery.release()

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        own = [(b"flatfare-call", self.call_id.encode())]
        if self._changed:
            own.append((b"flatfare-changed", ",".join(self._changed).encode()))
        if self._granted is not None:
            own.append((BUDGET_REMAINING, decimal_text(self._granted.left_nano).encode()))
        if self._admitted.attribution.note:
            own.append((b"flatfare-note", plain(self._admitted.attribution.note)))
        return own

    # the result

    def _finish_try(self, state: str, metered: Metered | None = None) -> None:
        """Keep the result of a try that is repeated, and repeat it after a while."""
        delay_s = self._delay_s()
        self._keep(self._result(state, metered or self._tap.finish(), self._status), None)
        self._phase = "waiting"
        self.deadline = 0.0
        self._timer = self._worker.loop.call_later(delay_s, self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        self._forget_try()
        self._begin_try()
        self.start()

    def _finish_as(self, state: str, metered: Metered, http_status: int | None) -> None:
        self._phase = "result"
        self.deadline = 0.0
        self._metered = metered
        if not self._ended:
            self._ended = time.monotonic()
        self._keep(self._result(state, metered, http_status), self._result_kept)

    def _keep(self, result: Result, on_kept: OnKept | None) -> None:
        journal = self._worker.journal
        self._worker.count(self._admitted, self._metered, result, self._sent)
        # Where the intent was not kept, and the call forwarded all the same, both are told together.
        record = result if self._is_kept else Ended(self._intent(), result)
        on_kept = self._settling(result, on_kept)
        self._tell_guards(result)
        if self._taken is not None:
            encoding = self._fields.get(b"content-encoding", b"").decode("latin-1")
            self._worker.keep_text(self._admitted, self._request, result, self._at_us, self._taken, encoding)
        try:
            journal.write(record, on_kept)
        except (StoreFailure, BadInput) as problem:
            self._worker.note_problem(self, str(problem))
            if on_kept is not None:
                on_kept(StoreFailure(str(problem)))

    def _result(self, state: str, metered: Metered, http_status: int | None) -> Result:
        now = time.monotonic()
        ended = self._ended or now
        is_proven = bool(self._first_byte)
        return Result(
            self.call_id,
            time.time_ns() // 1000,
            metered.figures,
            state,
            http_status,
            "proven" if is_proven else "unproven",
            round((ended - self._arrived) * 1000),
            metered.model,
            metered.service_tier,
            metered.region,
            metered.external_id,
            self._traits(ended, now),
        )

    def _traits(self, ended: float, now: float) -> str:
        parts = []
        if self._first_byte:
            parts.append(f'"first_byte_ms":{round((self._first_byte - self._sent) * 1000)}')
            parts.append(f'"added_us":{round((self._sent - self._arrived + now - ended) * 1e6)}')
        if self._tries > 1:
            parts.append(f'"try":{self._tries}')
        if self._changed:
            parts.append(f'"changed":"{",".join(self._changed)}"')
        return "{" + ",".join(parts) + "}"

    def _opened_beginning(self) -> bytes:
        try:
            encoding = self._fields.get(b"content-encoding", b"").decode("latin-1")
            return opened(self._beginning, encoding)
        except BadInput:
            return b""

    def _result_kept(self, problem: StoreFailure | None) -> None:
        """The result is kept (or kept in memory until it can be): the client gets the end of its answer."""
        owning, self._owning = self._owning, None
        if owning is not None and not owning.done():
            owning.add_done_callback(lambda _: self._result_kept(problem))
            return
        self._phase = "done"
        self._worker.ended(self)
        if not self._is_client_here:
            return
        client, delivery = self._client, self._delivery
        if self._answer_body is not None:
            client.write(self._answer_body)
            client.finished(self._request.keep_alive)
        elif self._broken is not None or delivery is None:
            if delivery is not None:
                delivery.break_off()
            else:
                client.abort()
        else:
            cost_nano = None if self._metered is None else self._metered.figures.cost_nano
            delivery.end(self._trailers, None if cost_nano is None else decimal_text(cost_nano).encode())
            client.finished(delivery.keeps_alive)

    def _answer_refused(self, status: int, reason: str) -> None:
        """An answer of the gateway's own, without a row: nothing was sent, and nothing can be kept."""
        self._phase = "done"
        if self._granted is not None:
            self._granted = None
            self._worker.reserver.settle(self.call_id, 0, None)
        if self._is_watched:
            self._is_watched = False
            self._worker.reserver.over(Over(self.call_id, was_sent=False))
        self.deadline = 0.0
        self._worker.ended(self)
        if self._is_client_here:
            self._client.write(refusal(self._dialect, status, reason, self.call_id))
            self._client.finished(self._request.keep_alive)

    # what happens meanwhile

    def client_left(self) -> None:
        """The client is gone: hear the answer out within a bound, or cancel it."""
        self._is_client_here = False
        if self._phase == "waiting":
            self._stop_timer()
            self._phase = "done"
            self._worker.ended(self)
        elif self._phase in ("guard", "budget"):
            self._stop_timer()
            if self._phase == "budget":
                self._worker.reserver.settle(self.call_id, 0, None)
            elif not self._is_watched:
                self._worker.reserver.over(Over(self.call_id, was_sent=False))
            self._finish_as("cancelled", Metered(nothing("the client left before the call was sent")), None)
        elif self._phase == "provider":
            settings = self._worker.settings
            # An SDK may hang up at the last word of a stream, before the stream has ended.
            delivery = self._delivery
            self._has_missed = delivery is None or not delivery.is_all_passed_on or self._client.is_full
            is_cancelled = settings.when_client_leaves == "cancel"
            if is_cancelled and self._has_missed:
                self._break_off(_CANCELLED)
                return
            self.deadline = time.monotonic() + (LAST_WORD_S if is_cancelled else settings.timeouts.drain)
            if self._carried is not None:
                self._carried.resume()

    def client_ready(self) -> None:
        if self._carried is not None:
            self._carried.resume()
            self._set_idle_deadline()

    def check(self, now: float) -> None:
        """End what has taken too long; called every so often."""
        if not self.deadline or now < self.deadline:
            return
        self.deadline = 0.0
        timeouts = self._worker.settings.timeouts
        if not self._is_client_here:
            is_cancelled = self._worker.settings.when_client_leaves == "cancel"
            why = f"the client left, and its answer took longer than {timeouts.drain:g} s more"
            self._break_off(_CANCELLED if is_cancelled else why)
        elif self._client.is_full:
            self._client.abort()
            self.client_left()
        elif not self._first_byte:
            self._cancel_carried()
            self._lost(504, f"The provider did not answer within {timeouts.first_byte:g} s.", self._is_sent)
        else:
            self._cancel_carried()
            self._lost(504, f"The provider paused for more than {timeouts.idle:g} s in its answer.", True)

    def break_off(self) -> None:
        """The worker ends and waits no longer."""
        if self._phase == "provider":
            self._break_off("the gateway was stopped before the answer ended")
            self._client.abort()

    @property
    def is_waiting_to_try(self) -> bool:
        """Whether nothing is under way but a pause before the next try."""
        return self._phase == "waiting"

    def _break_off(self, why: str) -> None:
        self._cancel_carried()
        self._ended = time.monotonic()
        self._stop_timer()
        self._broken = why
        metered = self._metered_until(why) if self._first_byte else _without_answer(f"{why}.", self._is_sent)
        self._finish_as("cancelled", metered, self._status)

    def _metered_until(self, why: str) -> Metered:
        """What an answer cost that ended before its end."""
        return self._tap.finish(why)

    def _cancel_carried(self) -> None:
        carried, self._carried = self._carried, None
        if carried is not None:
            carried.cancel()

    def _set_idle_deadline(self) -> None:
        if self._is_client_here:
            self.deadline = time.monotonic() + self._worker.settings.timeouts.idle

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _may_retry(self) -> bool:
        return self._is_client_here and self._tries <= self._worker.settings.retries.times

    def _delay_s(self) -> float:
        """The provider's Retry-After where it said so, else doubling, with jitter."""
        retries = self._worker.settings.retries
        given = self._fields.get(b"retry-after")
        if given is not None and given.strip().isdigit():
            return min(float(given), retries.delay_s_max)
        delay_s = min(retries.first_delay_s * float(1 << (self._tries - 1)), retries.delay_s_max)
        return delay_s * random.uniform(0.5, 1.0)

    @property
    def _dialect(self) -> str:
        return self._admitted.place.upstream.dialect.provider


async def _all_of(*futures: "asyncio.Future[None]") -> None:
    await asyncio.gather(*futures, return_exceptions=True)


def _without_answer(problem: str, was_sent: bool) -> Metered:
    """The figures of a call that got no answer."""
    if was_sent:
        return Metered(unknown(f"{problem} Whether it was billed only the provider knows."))
    return Metered(nothing("the provider was not reached"))
