"""The meter beside a call: it sees every byte that passes and says in the end what the call cost.

Whatever goes wrong in here, the call goes on as if nothing had: its cost is then
unknown, with the reason.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from flatfare.core.cost import CostState
from flatfare.core.errors import BadInput
from flatfare.dialects.compression import opened
from flatfare.dialects.dialect import ResultLine, Route, StreamReader
from flatfare.dialects.framing import ServerSentEvents
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import NOTHING_ASKED, Asked, Exchange, Reading, unread
from flatfare.dialects.recognition import Recognised
from flatfare.gateway.costing import figures_of
from flatfare.gateway.records import Figures
from flatfare.gateway.routes import Place
from flatfare.prices.book import PriceBook
from flatfare.service.costing.metering import Response, counted_offline, is_streamed
from flatfare.store.calls import SHOWN_BY

WHOLE_BYTES_MAX = 64 * 1024 * 1024
_FAILED = "metering failed: see the gateway's log; flatfare meter on the recorded answer says more"
_log = logging.getLogger("flatfare.gateway")


@dataclass(frozen=True, slots=True)
class Metered:
    """What a call cost, and what its answer said of itself."""

    figures: Figures
    model: str | None = None
    service_tier: str | None = None
    region: str | None = None
    external_id: str | None = None
    tokens: int = 0
    begun_at_us: int | None = None  # where an answer was fetched: when the provider says it was begun


def unknown(reason: str) -> Figures:
    """The figures of a call of which nothing is known."""
    return Figures(usage_state=str(CostState.UNKNOWN), cost_reason=reason)


def nothing(reason: str) -> Figures:
    """The figures of a call that cost nothing, and why."""
    measured = str(CostState.MEASURED)
    return Figures(
        cost_nano=0,
        cost_state=measured,
        cost_reason=reason,
        cost_basis="computed",
        computed_nano=0,
        computed_state=measured,
    )


def asked_of(place: Place, body: bytes) -> Asked:
    """What a request asks for; nothing where it cannot be read."""
    if place.route is None:
        return NOTHING_ASKED
    try:
        recognised = Recognised(place.upstream.dialect, place.route, place.named)
        return recognised.exchange(body, place.plain_path).asked
    except Exception:  # noqa: BLE001 - an outermost door: a request that breaks a reader is forwarded all the same
        _log.exception("A request could not be read.")
        return NOTHING_ASKED


class Tap:
    """Meters one answer: ``begin`` with its head, ``feed`` each piece, ``finish`` once."""

    __slots__ = (
        "_at_us",
        "_body",
        "_call_id",
        "_counts_reported",
        "_exchange",
        "_is_broken",
        "_pieces",
        "_place",
        "_prices",
        "_size",
        "_stream",
        "asked",
        "batch_lines",
    )

    def __init__(
        self,
        place: Place,
        asked: Asked,
        body: bytes,
        prices: PriceBook,
        at_us: int,
        counts_reported: bool,
        call_id: str | None = None,
    ) -> None:
        self.asked = asked
        self._call_id = call_id  # for the log
        self._place = place
        self._body = body
        self._prices = prices
        self._at_us = at_us
        self._counts_reported = counts_reported
        self._exchange: Exchange | None = None
        self._stream: Stream | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_broken = False
        self.batch_lines: Callable[[Exchange], StreamReader] | None = None  # where each line is a call

    def begin(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        """The answer's head is here."""
        route = self._place.route
        if route is None:
            return
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        provider = self._place.upstream.dialect.provider
        self._exchange = Exchange(provider, route.endpoint, status, self.asked, fields)
        if self.batch_lines is not None:
            route, fields = msgspec.structs.replace(route, stream=self.batch_lines), {**fields}
            fields.pop("content-type", None)  # whatever it is called, it is read line by line
        is_json = fields.get("content-type", "").startswith("application/json")
        if status < 400 and not route.free and route.stream is not None and not is_json:
            try:
                self._stream = Stream(route, self._exchange)
            except Exception:  # noqa: BLE001 - the call must not suffer from its meter
                self._break()

    def feed(self, piece: bytes) -> None:
        """A piece of the body passes."""
        if self._is_broken:
            return
        if self._stream is None:
            self._size += len(piece)
            if self._size <= WHOLE_BYTES_MAX:
                self._pieces.append(piece)
            else:
                self._pieces.clear()
            return
        try:
            self._stream.feed(piece)
        except Exception:  # noqa: BLE001 - the call must not suffer from its meter
            self._break()

    def so_far(self) -> Metered | None:
        """What a session has cost by now; None where nothing is known to have been used."""
        if self._is_broken or self._exchange is None or self._stream is None:
            return None
        try:
            reading = self._stream.so_far()
            return self._metered(reading, self._exchange) if reading.parts else None
        except Exception:  # noqa: BLE001 - the call must not suffer from its meter
            self._break()
            return None

    def finish(self, cut: str | None = None) -> Metered:
        """What the answer cost; ``cut`` says why it ended before its end, if it did."""
        if self._place.route is None:
            return Metered(unknown(f"{self._place.path} is no known endpoint: nothing reads what it costs"))
        if self._is_broken or self._exchange is None:
            return Metered(unknown(_FAILED))
        try:
            reading = self._read(self._exchange, cut)
            return self._metered(reading, self._exchange)
        except Exception:  # noqa: BLE001 - the call must not suffer from its meter
            self._break()
            return Metered(unknown(_FAILED))

    def _break(self) -> None:
        self._is_broken = True
        self._stream = None
        _log.exception("A call could not be metered; it goes on.", extra={"call": self._call_id})

    def _read(self, exchange: Exchange, cut: str | None) -> Reading:
        route = self._place.route
        assert route is not None
        if self._stream is not None:
            reading = self._stream.finish()
        elif self._size > WHOLE_BYTES_MAX:
            reading = unread(f"the answer is larger than {WHOLE_BYTES_MAX} bytes", exchange.asked.model)
        else:
            reading = self._read_whole(route, exchange)
        if reading.text_seen is not None:
            recognised = Recognised(self._place.upstream.dialect, route, self._place.named)
            reading = counted_offline(reading, recognised, exchange, self._body)
        if cut is not None and not reading.parts and not reading.is_free:
            reading = msgspec.structs.replace(reading, reason=f"{cut}; {reading.reason}")
        return reading

    def _read_whole(self, route: Route, exchange: Exchange) -> Reading:
        """What came as one JSON document, or as a stream that its head does not tell from one."""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        encoding = exchange.headers.get("content-encoding")
        if encoding is not None and exchange.status < 400 and not route.free:
            try:
                body = opened(body, encoding)
            except BadInput as problem:
                return unread(str(problem), exchange.asked.model)
        if route.framing is ServerSentEvents or exchange.status >= 400 or not self._is_streamed(route, body):
            return read_whole(route, body, exchange)
        headers = {name: value for name, value in exchange.headers.items() if name != "content-encoding"}
        stream = Stream(route, msgspec.structs.replace(exchange, headers=headers))
        stream.feed(body)
        return stream.finish()

    def _is_streamed(self, route: Route, body: bytes) -> bool:
        recognised = Recognised(self._place.upstream.dialect, route, self._place.named)
        return is_streamed(recognised, Response(body))

    def line_figures(self, line: ResultLine, at_us: int) -> Figures:
        """What one line of a batch's answers costs, sent at a moment."""
        assert self._exchange is not None
        return self._figures(line.reading, self._exchange, at_us)

    def _figures(self, reading: Reading, exchange: Exchange, at_us: int) -> Figures:
        priced_as = self._place.upstream.priced_as
        if priced_as != exchange.provider:
            exchange = msgspec.structs.replace(exchange, provider=priced_as)
        return figures_of(self._prices, reading, exchange, at_us, counts_reported=self._counts_reported)

    def _metered(self, reading: Reading, exchange: Exchange) -> Metered:
        figures = self._figures(reading, exchange, self._at_us)
        conditions = reading.parts[0].conditions if reading.parts else None
        return Metered(
            figures,
            model=reading.model,
            service_tier=conditions.service_tier if conditions else None,
            region=conditions.region if conditions else None,
            external_id=reading.response_id,
            tokens=sum(part.usage.input_tokens + part.usage.output_tokens for part in reading.parts),
            begun_at_us=reading.created_at_us if exchange.endpoint in SHOWN_BY else None,
        )
