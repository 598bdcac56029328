"""One call on its way: kept as an intent, sent, answered, metered, kept as a result.

The client never holds a whole answer whose result is not kept: the last of it waits
for the journal. What fails, and what then happens, is the table in DESIGN.md.
"""

import asyncio
import os
import random
import time
from typing import Protocol

from flatfare.config import Settings
from flatfare.core.errors import BadInput, StoreFailure
from flatfare.core.identity import time_ordered
from flatfare.core.money import decimal_text
from flatfare.dialects.compression import opened
from flatfare.gateway.admission import Admitted
from flatfare.gateway.journal import Journal, OnKept
from flatfare.gateway.listener import ClientConnection
from flatfare.gateway.metrics import Metrics
from flatfare.gateway.policies import STREAM_USAGE, UsageHidden
from flatfare.gateway.records import Ended, Intent, Result
from flatfare.gateway.refusals import refusal
from flatfare.gateway.tap import Metered, Tap, header_of, nothing, unknown
from flatfare.gateway.upstream import Carried
from flatfare.gateway.wire import Headers, Request, head, passed_on, plain, status_line
from flatfare.prices.book import PriceBook

HELD_BYTES_MAX = 1 << 20
HELD_S = 0.05
"""A whole answer is held this long for its cost to stand in its head; one that takes longer goes out as it
comes."""

BEGINNING_BYTES = 64 * 1024
DRAINED_BYTES_MAX = 64 << 20
_STREAMS = (b"text/event-stream", b"application/vnd.amazon.eventstream", b"application/x-ndjson")
_LENGTH = frozenset((b"content-length",))
_NONE: frozenset[bytes] = frozenset()


class Home(Protocol):
    """What a call needs of the worker it belongs to."""

    settings: Settings
    loop: asyncio.AbstractEventLoop
    journal: Journal
    prices: PriceBook
    metrics: Metrics
    is_ending: bool

    def ended(self, call: "Call") -> None:
        """A call is over."""

    def count(self, admitted: Admitted, metered: Metered | None, result: Result, sent: float) -> None:
        """Take a result into the figures and the limits."""

    def note_problem(self, call: "Call", problem: str) -> None:
        """A call did not go as it should."""

    def ask_owners(self, call: "Call", admitted: Admitted) -> None:
        """Tell the call, by ``owned``, whether the things that it names are its key's."""

    def keep_owner(self, admitted: Admitted, beginning: bytes) -> "asyncio.Future[None] | None":
        """Keep what an answer says was made; what to wait for, if anything."""


class Call:
    """The life of one request, with all its tries."""

    __slots__ = (
        "_admitted",
        "_answer_body",
        "_arrived",
        "_at_us",
        "_beginning",
        "_broken",
        "_carried",
        "_changed",
        "_client",
        "_drained",
        "_ended",
        "_first_byte",
        "_headers",
        "_hidden",
        "_holds",
        "_is_client_here",
        "_is_head_sent",
        "_is_kept",
        "_is_sent",
        "_is_swallowed",
        "_last",
        "_left_to_send",
        "_metered",
        "_owning",
        "_phase",
        "_pieces",
        "_reason",
        "_request",
        "_sent",
        "_status",
        "_tap",
        "_timer",
        "_trailers",
        "_tries",
        "_uses_chunks",
        "_worker",
        "call_id",
        "deadline",
    )  # fmt: skip

    def __init__(self, worker: Home, client: ClientConnection, request: Request, admitted: Admitted) -> None:
        self._worker = worker
        self._client = client
        self._request = request
        self._admitted = admitted
        self._arrived = request.arrived_at
        self._is_client_here = True
        self._tries = 0
        self._timer: asyncio.TimerHandle | None = None
        self._answer_body: bytes | None = None
        self.deadline = 0.0
        self._begin_try()

    def _begin_try(self) -> None:
        self._tries += 1
        self._at_us = time.time_ns() // 1000
        self.call_id = str(time_ordered(self._at_us, os.urandom(10)))
        self._carried: Carried | None = None
        self._phase = "journal"
        self._is_sent = self._is_head_sent = self._is_swallowed = self._is_kept = False
        self._holds = True
        self._sent = self._first_byte = self._ended = 0.0
        self._status: int | None = None
        self._reason = b""
        self._headers: Headers = []
        self._trailers: Headers = []
        self._pieces: list[bytes] = []
        self._last = b""
        self._left_to_send: int | None = None
        self._uses_chunks = False
        self._metered: Metered | None = None
        self._hidden: UsageHidden | None = None
        self._drained = 0
        self._broken: str | None = None
        self._beginning = b""
        self._owning: asyncio.Future[None] | None = None
        self._changed = self._admitted.changed
        admitted = self._admitted
        self._tap = Tap(
            admitted.place,
            admitted.asked,
            self._request.body,
            self._worker.prices,
            self._at_us,
            self._worker.settings.cost_that_counts == "reported",
        )

    # the intent

    def start(self) -> None:
        """See whose the things are that the request names, and keep the intent; the rest follows."""
        if self._admitted.things and self._tries == 1:
            self._phase = "owners"
            self._worker.ask_owners(self, self._admitted)
        else:
            self._keep_intent()

    def owned(self, problem: tuple[int, str] | None) -> None:
        """The things that the request names are the key's; or status and reason why it may not go."""
        if problem is None:
            self._keep_intent()
            return
        status, reason = problem
        if self._is_client_here:
            self._answer_body = refusal(self._dialect, status, reason, self.call_id)
        self._finish_as("refused", Metered(nothing(f"refused: {reason}")), status)

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
            None,
            None,
            admitted.traits,
        )

    def _intent_kept(self, problem: StoreFailure | None) -> None:
        self._is_kept = problem is None
        if problem is not None and self._worker.settings.on_journal_failure != "forward":
            self._worker.metrics.journal_refusals += 1
            self._answer_refused(503, f"{problem}")
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
        message = admitted.message(self._request, self._at_us)
        self._carried = admitted.reach.pool.send(message, self)

    def on_sent(self) -> None:
        self._is_sent = True
        self._sent = time.monotonic()
        self.deadline = self._sent + self._worker.settings.timeouts.first_byte

    # the answer

    def on_head(self, status: int, reason: bytes, headers: Headers) -> None:
        self._status, self._reason, self._headers = status, reason, headers
        self._first_byte = time.monotonic()
        self._admitted.reach.circuit.succeeded()
        self._set_idle_deadline()
        self._tap.begin(status, headers)
        if self._may_retry() and status in self._worker.settings.retries.statuses:
            self._is_swallowed = True
            return
        is_plain = header_of(headers, b"content-encoding") is None
        if STREAM_USAGE in self._changed and status < 400 and is_plain:
            self._hidden = UsageHidden()
        kind = (header_of(headers, b"content-type") or b"").partition(b";")[0].strip().lower()
        if kind in _STREAMS:
            self._release()
        else:
            self._timer = self._worker.loop.call_later(HELD_S, self._release)

    def on_piece(self, piece: bytes) -> None:
        self._tap.feed(piece)
        if self._admitted.makes_things and len(self._beginning) < BEGINNING_BYTES:
            self._beginning += piece
        if not self._is_client_here:
            self._drained += len(piece)
            if self._drained > DRAINED_BYTES_MAX:
                self._break_off("the client left, and its answer was heard out no further than its bound")
            return
        if self._is_swallowed:
            return
        if self._hidden is not None:
            piece = self._hidden.feed(piece)
        self._pass(piece)
        if self._is_head_sent:
            self._set_idle_deadline()

    def on_end(self, trailers: Headers) -> None:
        self._carried = None
        self._ended = time.monotonic()
        self._trailers = trailers
        self._stop_timer()
        if self._is_swallowed and self._is_client_here:
            self._finish_try("failed")
            return
        if self._hidden is not None and self._is_client_here:
            self._pass(self._hidden.finish())
        if self._beginning and (self._status or 0) < 300:
            opened = self._opened_beginning()
            self._owning = self._worker.keep_owner(self._admitted, opened)
        status = "ok" if (self._status or 0) < 400 else "failed"
        self._finish_as(status if self._is_client_here else "cancelled", self._tap.finish(), self._status)

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
        if self._first_byte:
            self._finish_as(state, self._tap.finish(problem), self._status)
            return
        if not was_sent and self._may_retry():
            self._finish_try(state, Metered(nothing("the provider was not reached")))
            return
        if self._is_client_here:
            self._answer_body = refusal(self._dialect, http_status, problem, self.call_id)
        figures = (
            unknown(f"{problem} Whether it was billed only the provider knows.")
            if was_sent
            else nothing("the provider was not reached")
        )
        self._finish_as(state, Metered(figures), http_status)

    # to the client

    def _pass(self, piece: bytes) -> None:
        if not piece:
            return
        if self._holds:
            self._pieces.append(piece)
            if sum(map(len, self._pieces)) > HELD_BYTES_MAX:
                self._release()
        else:
            self._write_piece(piece)

    def _write_piece(self, piece: bytes) -> None:
        if self._uses_chunks:
            self._client.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        elif self._left_to_send is not None:
            # With a length the client knows the end by itself: the last of it waits for the journal.
            self._left_to_send -= len(piece)
            if self._left_to_send <= 0:
                self._last += piece
                return
            self._client.write(piece)
        else:
            self._client.write(piece)
        if self._client.is_full and self._carried is not None:
            self._carried.pause()

    def _release(self) -> None:
        """Send the head and what was held, and hold no more."""
        self._stop_timer()
        if self._is_head_sent or not self._is_client_here or self._phase != "provider":
            return
        self._client.write(self._head(None))
        self._is_head_sent = True
        self._holds = False
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            self._write_piece(piece)

    def _head(self, metered: Metered | None) -> bytes:
        """The head of the answer, its own headers as they came, and the gateway's."""
        headers = self._headers
        connection = header_of(headers, b"connection") or b""
        dropped = _LENGTH if self._hidden is not None else _NONE
        kept = passed_on(headers, connection, dropped)
        length = None if dropped else header_of(headers, b"content-length")
        has_body = self._status not in (204, 304)
        if length is not None:
            self._left_to_send = int(length)
        elif has_body and self._request.minor_version:
            self._uses_chunks = True
            kept.append((b"Transfer-Encoding", b"chunked"))
        if self._closes_after():
            kept.append((b"Connection", b"close"))
        kept.append((b"flatfare-call", self.call_id.encode()))
        if metered is not None and metered.figures.cost_nano is not None:
            kept.append((b"flatfare-cost", decimal_text(metered.figures.cost_nano).encode()))
        if self._changed:
            kept.append((b"flatfare-changed", ",".join(self._changed).encode()))
        if self._admitted.attribution.note:
            kept.append((b"flatfare-note", plain(self._admitted.attribution.note)))
        return head(status_line(self._status or 502, self._reason), kept)

    def _closes_after(self) -> bool:
        request = self._request
        delimited = self._uses_chunks or self._left_to_send is not None or self._status in (204, 304)
        return not request.minor_version or not request.keep_alive or not delimited or self._worker.is_ending

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
        try:
            # Where the intent was not kept, and the call forwarded all the same, both are told together.
            journal.write(result if self._is_kept else Ended(self._intent(), result), on_kept)
        except (StoreFailure, BadInput) as problem:
            self._worker.note_problem(self, str(problem))
            if on_kept is not None:
                self._result_kept(None)

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
            return opened(
                self._beginning, (header_of(self._headers, b"content-encoding") or b"").decode("latin-1")
            )
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
        client = self._client
        if not self._is_client_here:
            return
        if self._answer_body is not None:
            client.write(self._answer_body)
            client.finished(self._request.keep_alive)
        elif self._broken is not None:
            self._flush_broken()
            client.abort()
        else:
            self._flush()
            client.finished(not self._closes_after())

    def _flush(self) -> None:
        """What is left of the answer: all of it, or its end."""
        out = []
        if not self._is_head_sent:
            out.append(self._head(self._metered))
        body = self._last + b"".join(self._pieces)
        if self._uses_chunks:
            if body:
                out.append(b"%x\r\n%b\r\n" % (len(body), body))
            out.append(b"0\r\n")
            out += [name + b": " + value + b"\r\n" for name, value in self._trailers]
            out.append(b"\r\n")
        elif self._status not in (204, 304):
            out.append(body)
        self._client.write(b"".join(out))

    def _flush_broken(self) -> None:
        """An answer that broke off: what came of it, and no end."""
        if not self._is_head_sent:
            self._client.write(self._head(None))
            self._is_head_sent = True
            self._holds = False
        for piece in self._pieces:
            self._write_piece(piece)
        if self._last:
            self._client.write(self._last)

    def _answer_refused(self, status: int, reason: str) -> None:
        """An answer of the gateway's own, without a row: nothing was sent, and nothing can be kept."""
        self._phase = "done"
        self.deadline = 0.0
        self._worker.ended(self)
        if self._is_client_here:
            self._client.write(refusal(self._dialect, status, reason, self.call_id))
            self._client.finished(self._request.keep_alive)

    # what happens meanwhile

    def client_left(self) -> None:
        """The client is gone: hear the answer out within a bound, or cancel it."""
        self._is_client_here = False
        self._pieces = []
        if self._phase == "waiting":
            self._stop_timer()
            self._phase = "done"
            self._worker.ended(self)
        elif self._phase == "provider":
            settings = self._worker.settings
            if settings.when_client_leaves == "cancel":
                self._break_off("the client left, and the call was cancelled")
                return
            self.deadline = time.monotonic() + settings.timeouts.drain
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
            self._break_off(f"the client left, and its answer took longer than {timeouts.drain:g} s more")
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
        if self._first_byte:
            metered = self._tap.finish(why)
        elif self._is_sent:
            metered = Metered(unknown(f"{why}: whether it was billed only the provider knows"))
        else:
            metered = Metered(nothing("the provider was not reached"))
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

    def _may_retry(self) -> bool:
        return self._is_client_here and self._tries <= self._worker.settings.retries.times

    def _delay_s(self) -> float:
        """The provider's Retry-After where it said so, else doubling, with jitter."""
        retries = self._worker.settings.retries
        given = header_of(self._headers, b"retry-after")
        if given is not None and given.strip().isdigit():
            return min(float(given), retries.delay_s_max)
        delay_s = min(retries.first_delay_s * float(1 << (self._tries - 1)), retries.delay_s_max)
        return delay_s * random.uniform(0.5, 1.0)

    @property
    def _dialect(self) -> str:
        return self._admitted.place.upstream.dialect.provider
