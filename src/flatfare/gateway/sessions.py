"""One session over a websocket: passed both ways byte for byte, metered beside, and one row in the end.

It is a call like any other: its intent is kept before it is sent, its result before the
connection is let go, and an answer under way is heard out when its client has left. What it
has used by the end of an answer is kept, and charged to its budgets, before its client hears of
that end; where a hard budget is spent by then, so is the session.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import msgspec

from flatfare.core.cost import CostState
from flatfare.core.errors import BadInput, StoreFailure
from flatfare.gateway import failing
from flatfare.gateway.forwarding.call import Call
from flatfare.gateway.forwarding.recording import NO_FIELDS
from flatfare.gateway.messages import Messages
from flatfare.gateway.passage import Passage
from flatfare.gateway.records import Progress
from flatfare.gateway.reserving.messages import Granted, Refused, Reserve
from flatfare.gateway.reserving.worth import why_spent
from flatfare.gateway.tap import Metered, unknown
from flatfare.gateway.upstream import UpstreamConnection
from flatfare.gateway.wire import Headers, head, passed_on, status_line

SWITCHING = 101
SETUP_BYTES_MAX = 1 << 20
_BEGUN = (b'"response.created"', b'"modelTurn"')
_DONE = (b'"response.done"', b'"turnComplete"')
"""An answer within a session begins and ends with these: OpenAI's and xAI's events, Gemini's messages
(platform.openai.com/docs/api-reference/realtime-server-events, ai.google.dev/api/live, 2026-11)."""

_COUNTED = (b'"usage"', b'"usageMetadata"')
"""Messages that count what was used have one of these."""

SESSION_END = "session_end"
"""Named among a session's changes where the gateway ended it, its budget being spent."""

POLICY = 1008
"""The code of a close for a reason that no other code names (RFC 6455, section 7.4.1)."""

_UNFINISHED = "the session ended within an answer, whose usage did not come: this is what was stated"
_log = logging.getLogger("flatfare.gateway")


class _Named(msgspec.Struct):
    model: str | None = None


class _FirstWord(msgspec.Struct):
    """What a client says first in a Live session."""

    setup: _Named | None = None


_decode_first = msgspec.json.Decoder(_FirstWord).decode


class Session(Call):
    """The life of one websocket."""

    _upstream: UpstreamConnection | None = None
    _heard: Messages | None = None  # what the provider says
    _said: Messages | None = None  # what the client says
    _unread: str | None = None  # why a part of the session is not metered
    _passage: Passage | None = None
    _is_tapped = False
    _is_answering = False
    _is_counting = False  # what it has used by now is being kept
    _has_more = False  # and it has used more since
    _counted: Metered | None = None  # what was kept last
    _counted_nano = 0  # of what it cost, what its hard budgets were asked for
    _counts = 0
    _spent: str | None = None  # the budget that is spent, in words for the client

    # upstream.Switched

    def on_switched(
        self,
        connection: UpstreamConnection,
        reason: bytes,
        headers: Headers,
        fields: Mapping[bytes, bytes],
        rest: bytes,
    ) -> None:
        """The provider agreed: from here on bytes pass both ways."""
        self._upstream = connection
        self._status, self._fields = SWITCHING, fields
        self._first_byte = time.monotonic()
        self._admitted.reach.circuit.succeeded()
        self._set_idle_deadline()
        agreed = fields.get(b"sec-websocket-extensions", b"").decode("latin-1")
        self._heard = Messages(is_of_server=True, extensions=agreed)
        self._said = Messages(is_of_server=False, extensions=agreed)
        if not self._is_client_here:
            self._end()
            return
        answer: Headers = passed_on(headers, fields.get(b"connection", b""), frozenset())
        answer += [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), *self._own_headers()]
        self._client.write(head(status_line(SWITCHING, reason), answer))
        self._passage = Passage(self._client)
        early = self._client.switch(self)
        if early:
            self.client_said(early)
        if rest:
            self.on_bytes(rest)

    def on_bytes(self, data: bytes) -> None:
        """The provider said something."""
        self._read(data)
        if self._is_client_here and self._passage is not None:
            self._passage.pass_on(data)
            self._set_idle_deadline()
            if (self._client.is_full or self._passage.is_held) and self._carried is not None:
                self._carried.pause()
        if not self._is_client_here and not self._is_answering:
            self._end()

    def on_hung_up(self, problem: str | None) -> None:
        """The provider closed the connection."""
        self._carried = None
        self._upstream = None
        if self._phase == "provider":
            self._end(problem)

    def on_full(self, is_full: bool) -> None:
        """Whether the provider takes no more for now."""
        if is_full:
            self._client.pause()
        else:
            self._client.resume()

    # listener.Switched

    def client_said(self, data: bytes) -> None:
        """The client said something."""
        if self._upstream is None or self._phase != "provider":
            return
        self._upstream.write(data)
        self._set_idle_deadline()
        said = self._said
        if said is None:
            return
        try:
            for message in said.feed(data):
                self._take_model(message)
        except Exception:  # noqa: BLE001 - the session must not suffer from its meter
            self._said = None

    def client_left(self) -> None:
        """Hear an answer that is under way out; otherwise that was the session."""
        if self._phase != "provider" or self._status != SWITCHING:
            super().client_left()
            return
        self._is_client_here = False
        settings = self._worker.settings
        if self._is_answering and settings.when_client_leaves == "drain":
            self.deadline = time.monotonic() + settings.timeouts.drain
            if self._carried is not None:
                self._carried.resume()
        else:
            self._end()

    # the meter

    def _read(self, data: bytes) -> None:
        if self._heard is None:
            return
        try:
            messages = self._heard.feed(data)
        except Exception:  # noqa: BLE001 - the session must not suffer from its meter
            _log.exception("A session could not be metered; it goes on.", extra={"call": self.call_id})
            self._heard, self._unread = None, "metering failed: see the gateway's log"
            return
        self._unread = self._heard.problem
        for message in messages:
            if any(mark in message for mark in _DONE):
                self._is_answering = False
            elif any(mark in message for mark in _BEGUN):
                self._is_answering = True
            if not self._is_tapped:
                self._is_tapped = True
                self._tap.begin(SWITCHING, NO_FIELDS)
            # One message is one event: as JSON it means the same on one line.
            self._tap.feed(message.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")
            if any(mark in message for mark in _COUNTED):
                self._count()

    # what it has used by now

    def _count(self) -> None:
        """Keep what it has used by now; until that is kept, the client hears no more."""
        if self._is_counting:
            self._has_more = True
            return
        metered = self._tap.so_far()
        if metered is None or metered == self._counted:
            return
        self._is_counting, self._counted = True, metered
        if self._passage is not None:
            self._passage.hold()
        nano = (metered.figures.cost_nano or 0) - self._counted_nano
        claim = self._worth.claim
        if claim is None or not self._worth.must_fit or nano <= 0:
            self._keep_count(metered, None)
            return
        self._counted_nano += nano
        self._counts += 1
        ask = Reserve(f"{self.call_id} {self._counts}", claim.names, nano, nano, self._kind(), claim.queue_ms)
        self._worker.reserver.reserve(ask, partial(self._count_held, metered, nano))

    def _count_held(self, metered: Metered, nano: int, answer: Granted | Refused) -> None:
        """It was used, whatever its budgets say: what is held for it is spent, and else there is no more."""
        is_held = isinstance(answer, Granted)
        if is_held:
            is_on = self._phase == "provider"
            self._worker.reserver.settle(answer.call_id, nano if is_on else 0, None)
        if self._phase != "provider":  # its end has told all of it meanwhile
            return
        if isinstance(answer, Granted):
            is_spent = not answer.left_nano
        elif answer.is_away:
            is_spent = failing.BOOK.under.refuses(self._worth.where_away) is not None
        else:
            is_spent = True
        if is_spent:
            self._spent = why_spent(self._worth, answer)
        self._keep_count(metered, self._worker.reserver.epoch if is_held else None)

    def _keep_count(self, metered: Metered, epoch: str | None) -> None:
        claim = self._worth.claim
        reservation = None if claim is None else claim.reservation_text(epoch)
        try:
            progress = Progress(self._result("ok", metered, SWITCHING), reservation)
            self._worker.journal.write(progress, self._count_kept)
        except (StoreFailure, BadInput) as problem:
            self._worker.note_problem(self.call_id, str(problem))
            self._count_kept(None)

    def _count_kept(self, problem: StoreFailure | None) -> None:
        """It is kept, or will be with what follows: the session goes on, or ends with its budget."""
        self._is_counting = False
        if self._phase != "provider":
            return
        if self._has_more:
            self._has_more = False
            self._count()
            if self._is_counting:
                return
        if self._spent is not None:
            self._end_spent(self._spent)
            return
        if self._passage is not None:
            self._passage.release()
        if self._carried is not None and not self._client.is_full:
            self._carried.resume()

    def _end_spent(self, reason: str) -> None:
        """Nothing more may be used: the client hears what was used, and why there is no more."""
        self._changed = (*self._changed, SESSION_END)
        self._worker.metrics.budget_refusals += 1
        if self._passage is not None and self._is_client_here:
            self._passage.close(POLICY, reason)
        self._end()

    def _take_model(self, message: bytes) -> None:
        """Gemini's sessions name their model in the first message."""
        if self._tap.asked.model is not None or len(message) > SETUP_BYTES_MAX or b'"setup"' not in message:
            return
        try:
            first = _decode_first(message)
        except msgspec.MsgspecError:
            return
        if first.setup is not None and first.setup.model:
            self._tap.asked = msgspec.structs.replace(self._tap.asked, model=first.setup.model)

    # the end

    def _end(self, problem: str | None = None) -> None:
        """Both sides are done, or one of them is gone."""
        upstream, self._upstream = self._upstream, None
        self._carried = None
        if upstream is not None:
            upstream.close_soon()
        self._ended = time.monotonic()
        self._finish_as(self._how_it_went(), self._metered_until(problem), SWITCHING)

    def _metered_until(self, why: str | None) -> Metered:
        """What the session cost; a part that could not be read leaves it unknown, never too low."""
        if self._status != SWITCHING:
            return super()._metered_until(why or "")
        if not self._is_tapped:
            self._tap.begin(SWITCHING, NO_FIELDS)
        metered = self._tap.finish(why)
        if self._unread is not None:
            return replace(metered, figures=unknown(self._unread))
        measured = str(CostState.MEASURED)
        if not self._is_answering or metered.figures.cost_state != measured:
            return metered
        estimated = str(CostState.ESTIMATED)
        figures = msgspec.structs.replace(
            metered.figures,
            usage_state=estimated,
            cost_state=estimated,
            cost_reason=_UNFINISHED,
            computed_state=estimated,
            computed_reason=_UNFINISHED,
        )
        return replace(metered, figures=figures)

    def _how_it_went(self) -> str:
        heard, said = self._heard, self._said
        if self._spent is not None:
            return "cancelled"
        code = None if heard is None else heard.closed_code
        if code is not None:
            return "ok" if heard is not None and heard.is_closed_well else "failed"
        if said is not None and said.is_closed_well and not self._is_answering:
            return "ok"
        return "failed" if self._is_client_here else "cancelled"

    def _result_kept(self, problem: StoreFailure | None) -> None:
        if self._status != SWITCHING:
            super()._result_kept(problem)
            return
        self._end_request()
        if not self._is_client_here:
            return
        if self._passage is not None:
            self._passage.release()
        if self._broken is not None:
            self._client.abort()
        else:
            self._client.close()
