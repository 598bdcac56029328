"""Result files of a batch: an answer on each line, all at the batch tier.

Each line is read as the answer of its own endpoint; a line that failed cost nothing.
"""

import msgspec

from flatfare.core.errors import BadInput
from flatfare.dialects.dialect import ResultLine, Route, StreamReader, Whole, read_lines
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.reading import Asked, Conditions, Exchange, Part, Reading, free, unread


class Answer(msgspec.Struct):
    """The answer within a line."""

    status_code: int | None = None
    body: msgspec.Raw = msgspec.Raw()


class Line(msgspec.Struct):
    """One line of a result file."""

    custom_id: str | None = None
    response: Answer | None = None
    error: msgspec.Raw = msgspec.Raw()


class Kind(msgspec.Struct):
    """By which a body within a line is known."""

    object: str | None = None


_NO_ERROR = (msgspec.Raw(), msgspec.Raw(b"null"))
_decode = msgspec.json.Decoder(Line).decode
_kind = msgspec.json.Decoder(Kind).decode

_FREE = "a batch is billed by its answers, which are in its result file"


def _has_failed(line: Line) -> bool:
    return line.response is None or not line.response.body or (line.response.status_code or 200) >= 400


def _answered(line: Line, readers: dict[str, Whole], exchange: Exchange) -> Reading:
    """The answer within a line, as its endpoint reads it, at the batch tier."""
    assert line.response is not None
    reader = readers.get(_kind(line.response.body).object or "")
    if reader is None:
        return unread("it is of an endpoint that is not read in batches", exchange.asked.model)
    asked = Asked(model=exchange.asked.model, service_tier="batch", region=exchange.asked.region)
    reading = reader(bytes(line.response.body), msgspec.structs.replace(exchange, asked=asked))
    parts = tuple(
        Part(
            part.model,
            part.usage,
            Conditions("batch", part.conditions.region, part.conditions.details),
            part.provider,
            part.estimated,
        )
        for part in reading.parts
    )
    return msgspec.structs.replace(reading, parts=parts)


def _result_line(data: bytes, readers: dict[str, Whole], exchange: Exchange) -> ResultLine | None:
    """One line as a call of its own; None where it holds neither an answer nor an error."""
    line = _decode(data)
    if line.custom_id is None or (line.response is None and line.error in _NO_ERROR):
        return None
    status = 500 if line.response is None else line.response.status_code or 200
    if _has_failed(line):
        return ResultLine(line.custom_id, max(status, 400), free("the request failed: it is not billed"))
    return ResultLine(line.custom_id, status, _answered(line, readers, exchange))


class BatchReader:
    """Gathers the parts of every line, merged by model and conditions."""

    __slots__ = ("_answered", "_exchange", "_failed", "_parts", "_readers", "_unread")

    def __init__(self, readers: dict[str, Whole], exchange: Exchange) -> None:
        self._readers = readers
        self._exchange = exchange
        self._parts: dict[object, Part] = {}
        self._answered = self._failed = 0
        self._unread: str | None = None

    def event(self, name: str, data: bytes) -> None:
        try:
            self._line(_decode(data))
        except (msgspec.MsgspecError, BadInput) as problem:
            self._unread = self._unread or f"a line cannot be read: {problem}"

    def _line(self, line: Line) -> None:
        if _has_failed(line):
            self._failed += 1
            return
        reading = _answered(line, self._readers, self._exchange)
        if not reading.parts and not reading.is_free:
            self._unread = self._unread or f"line {line.custom_id}: {reading.reason}"
        self._answered += 1
        for part in reading.parts:
            self._add(part)

    def _add(self, part: Part) -> None:
        details = tuple(sorted(part.conditions.details.items()))
        key = (part.model, part.conditions.region, details, part.estimated)
        known = self._parts.get(key)
        usage = known.usage + part.usage if known else part.usage
        self._parts[key] = msgspec.structs.replace(part, usage=usage)

    def finish(self) -> Reading:
        parts = tuple(self._parts.values())
        if self._unread is not None:
            raise BadInput(f"The batch cannot be read whole: {self._unread}.")
        if not parts:
            if self._failed:
                return free("every request of the batch failed: failed requests are not billed")
            return unread("the file has no line of a batch's results")
        remark = f"{self._answered} answers, {self._failed} failed" if self._failed else None
        return Reading(parts=parts, model=parts[0].model, reason=remark)


def batch_routes(readers: dict[str, Whole]) -> tuple[Route, ...]:
    """A batch made and looked at, which costs nothing, and its results, which say what it cost."""

    def stream(exchange: Exchange) -> StreamReader:
        return BatchReader(readers, exchange)

    def whole(body: bytes, exchange: Exchange) -> Reading:
        return read_lines(BatchReader(readers, exchange), body)

    def lines(data: bytes, exchange: Exchange) -> ResultLine | None:
        return _result_line(data, readers, exchange)

    return (
        Route(endpoint="batches", path="v1/batches", free=_FREE, starts="a batch"),
        Route(
            endpoint="batches",
            path="v1/batches(?:/[^/]+(?:/cancel)?)?",
            methods=("GET", "POST"),
            free=_FREE,
        ),
        Route(
            endpoint="batch.results",
            path="v1/files/[^/]+/content",
            whole=whole,
            stream=stream,
            lines=lines,
            framing=JsonLines,
            adds_up=True,
            methods=("GET",),
            stream_marks={"custom_id": None, "response.body": None},
        ),
    )
