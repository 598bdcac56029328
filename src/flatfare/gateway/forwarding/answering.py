"""The answer to a call: metered beside, passed on as it comes, and asked for again where that may help.

The client never holds a whole answer whose result is not kept: the last of it waits for
the journal.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.core.money import decimal_text
from flatfare.dialects.compression import opened
from flatfare.gateway.admission import Admitted
from flatfare.gateway.delivery import Delivery
from flatfare.gateway.forwarding.batch import BatchStep, cost_of_sum
from flatfare.gateway.forwarding.home import Home
from flatfare.gateway.forwarding.recording import RecordedCall
from flatfare.gateway.listener import ClientConnection
from flatfare.gateway.policies import STREAM_USAGE
from flatfare.gateway.refusals import BUDGET_REMAINING, refusal
from flatfare.gateway.tap import Metered, Tap, nothing, unknown
from flatfare.gateway.upstream import Carried
from flatfare.gateway.wire import Headers, Request, plain

HELD_S = 0.05
"""A whole answer is held this long for its cost to stand in its head; one that takes longer goes out as it
comes."""

LAST_WORD_S = 0.25
"""Where calls are cancelled when clients leave, a stream has this long to end without another word: then its
client had heard all of it."""

BEGINNING_BYTES = 64 * 1024
DRAINED_BYTES_MAX = 64 << 20
_STREAMS = (b"text/event-stream", b"application/vnd.amazon.eventstream", b"application/x-ndjson")
_CANCELLED = "the client left, and the call was cancelled"


class AnsweredCall(RecordedCall, ABC):
    """One try of a request from the moment it is sent."""

    _carried: Carried | None = None
    _timer: asyncio.TimerHandle | None = None
    _delivery: Delivery | None = None
    _answer_body: bytes | None = None  # a refusal of the gateway's own
    _metered: Metered | None = None
    _owning: "asyncio.Future[None] | None" = None
    _batch: BatchStep | None = None  # what it does with the batch that it is about
    _broken: str | None = None  # why the answer ended before its end
    _trailers: Headers = []  # noqa: RUF012 - never changed
    _is_client_here = True
    _has_missed = False  # the client left before all was passed on to it
    _is_swallowed = False  # an answer that is heard out and not passed on, since the call is tried again
    _drained = 0
    _beginning = b""
    _phase = "journal"
    deadline = 0.0

    def __init__(
        self, worker: Home, client: ClientConnection, request: Request, admitted: Admitted, tries: int = 1
    ) -> None:
        super().__init__(worker, request, admitted, tries)
        self._client = client
        self._tap = Tap(
            admitted.place,
            admitted.asked,
            request.body,
            worker.prices,
            self._at_us,
            worker.settings.cost_that_counts == "reported",
            self.call_id,
        )

    # upstream.Answered

    def on_sent(self) -> None:
        self._is_sent = True
        self._sent = time.monotonic()
        self.deadline = self._sent + self._worker.settings.timeouts.first_byte

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
        thing_id = self._admitted.sum_of
        if self._batch is not None and status == "ok":
            metered = self._batch.cost(metered)
        elif thing_id is not None and metered.figures.cost_nano:
            metered = cost_of_sum(self._worker, self._admitted, thing_id, self._at_us, metered)
        self._finish_as(status if is_heard else "cancelled", metered, self._status)

    def on_lost(self, problem: str, *, was_sent: bool) -> None:
        self._carried = None
        self._lost(502, problem, was_sent)

    def _lost(self, http_status: int, problem: str, was_sent: bool) -> None:
        self._ended = time.monotonic()
        self._stop_timer()
        self._broken = problem
        if not was_sent or not self._first_byte:
            self._admitted.reach.circuit.failed(self._ended)
        self._worker.note_problem(self.call_id, problem)
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

    # what is passed on, and what it made

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        own = [(b"flatfare-call", self.call_id.encode())]
        if self._changed:
            own.append((b"flatfare-changed", ",".join(self._changed).encode()))
        if self._granted is not None:
            own.append((BUDGET_REMAINING, decimal_text(self._granted.left_nano).encode()))
        if self._admitted.attribution.note:
            own.append((b"flatfare-note", plain(self._admitted.attribution.note)))
        return own

    def _release(self) -> None:
        """A whole answer has been held long enough."""
        self._timer = None
        if self._delivery is not None and self._is_client_here and self._phase == "provider":
            self._delivery.release()

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

    def _opened_beginning(self) -> bytes:
        try:
            encoding = self._fields.get(b"content-encoding", b"").decode("latin-1")
            return opened(self._beginning, encoding)
        except BadInput:
            return b""

    def _kept_of(self, beginning: bytes) -> "asyncio.Future[None] | None":
        """Keep what the answer says was made; what to wait for."""
        owning = self._worker.look_ups.keep_owner(self._admitted, beginning)
        if self._batch is None:
            return owning
        kept = self._batch.keep(beginning, self._request.body)
        return kept if owning is None else asyncio.ensure_future(_all_of(owning, kept))

    def _metered_until(self, why: str) -> Metered:
        """What an answer cost that ended before its end."""
        return self._tap.finish(why)

    # the end

    def _finish_as(self, state: str, metered: Metered, http_status: int | None) -> None:
        self._phase = "result"
        self.deadline = 0.0
        self._metered = metered
        if not self._ended:
            self._ended = time.monotonic()
        self._keep(self._result(state, metered, http_status), self._result_kept)

    def _result_kept(self, problem: StoreFailure | None) -> None:
        """The result is kept (or kept in memory until it can be): the client gets the end of its answer."""
        owning, self._owning = self._owning, None
        if owning is not None and not owning.done():
            owning.add_done_callback(lambda _: self._result_kept(problem))
            return
        self._end_request()
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

    def _end_request(self) -> None:
        self._phase = "done"
        self._worker.ended(self, self._admitted, 0 if self._metered is None else self._metered.tokens)

    # another try

    def _may_retry(self) -> bool:
        return self._is_client_here and self._tries <= self._worker.settings.retries.times

    def _finish_try(self, state: str, metered: Metered | None = None) -> None:
        """Keep the result of a try that is repeated, and repeat it after a while."""
        delay_s = self._delay_s()
        self._keep(self._result(state, metered or self._tap.finish(), self._status), None)
        self._phase = "waiting"
        self.deadline = 0.0
        self._timer = self._worker.loop.call_later(delay_s, self._try_again)

    def _delay_s(self) -> float:
        """The provider's Retry-After where it said so, else doubling, with jitter."""
        retries = self._worker.settings.retries
        given = self._fields.get(b"retry-after")
        if given is not None and given.strip().isdigit():
            return min(float(given), retries.delay_s_max)
        delay_s = min(retries.first_delay_s * float(1 << (self._tries - 1)), retries.delay_s_max)
        return delay_s * random.uniform(0.5, 1.0)

    @abstractmethod
    def _try_again(self) -> None:
        """Make the next try of the same request."""

    # what happens meanwhile

    def client_left(self) -> None:
        """The client is gone: hear the answer out within a bound, or cancel it."""
        self._is_client_here = False
        if self._phase == "waiting":
            self._stop_timer()
            self._end_request()
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
        """What was written has gone out: more may come."""
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

    def _break_off(self, why: str) -> None:
        self._cancel_carried()
        self._ended = time.monotonic()
        self._stop_timer()
        self._broken = why
        metered = self._metered_until(why) if self._first_byte else _without_answer(f"{why}.", self._is_sent)
        self._finish_as("cancelled", metered, self._status)

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
