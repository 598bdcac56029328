"""Results of Gemini's batches, on Gemini and on Vertex: an answer on each line, or all in one operation.

Every answer is billed at the batch tier; a line that failed costs nothing.
"""

import msgspec

from flatfare.dialects.dialect import StreamReader, read_lines
from flatfare.dialects.gemini_shape import Answer, AnswerReader
from flatfare.dialects.parts import merged
from flatfare.dialects.reading import Exchange, Part, Reading, free, unread


class Line(msgspec.Struct):
    """One line of a result file, or one answer of an operation that holds them inline."""

    response: Answer | None = None


class BatchReader:
    """Gathers the answers of a batch."""

    __slots__ = ("_answered", "_exchange", "_model", "_parts", "_problem")

    def __init__(self, exchange: Exchange) -> None:
        asked = msgspec.structs.replace(exchange.asked, service_tier="batch")
        self._exchange = msgspec.structs.replace(exchange, asked=asked)
        self._parts: list[Part] = []
        self._model: str | None = None
        self._answered = 0
        self._problem: str | None = None

    def event(self, name: str, data: bytes) -> None:
        self.add(_decode_line(data))

    def add(self, line: Line) -> None:
        """Take one answer."""
        answer = line.response
        if answer is None:
            return
        self._answered += 1
        if answer.usage_metadata is not None:  # the file is a batch's, whatever its answers call their tier
            answer.usage_metadata.service_tier = answer.usage_metadata.traffic_type = None
        reader = AnswerReader(self._exchange)
        reader.add(answer)
        reader.is_done = True
        reading = reader.finish()
        self._model = self._model or reading.model
        self._parts += reading.parts
        if not reading.parts and not reading.is_free:
            self._problem = reading.reason

    def finish(self) -> Reading:
        if self._problem is not None:
            return unread(f"an answer of the batch cannot be read: {self._problem}", self._model)
        if not self._parts:
            return free("no answer of the batch is billed: those that failed cost nothing", self._model)
        return Reading(parts=merged(self._parts), model=self._model)


_decode_line = msgspec.json.Decoder(Line).decode


def whole_results(body: bytes, exchange: Exchange) -> Reading:
    """Reads a result file that came at once."""
    return read_lines(BatchReader(exchange), body)


def stream_results(exchange: Exchange) -> StreamReader:
    """Reads a result file as it comes."""
    return BatchReader(exchange)


class _Inlined(msgspec.Struct, rename="camel"):
    inlined_responses: list[Line] | None = None


class _Response(msgspec.Struct, rename="camel"):
    inlined_responses: _Inlined | None = None
    responses_file: str | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    model: str | None = None
    output: _Response | None = None


class _Operation(msgspec.Struct):
    metadata: _Metadata | None = None
    response: _Response | None = None


_decode_operation = msgspec.json.Decoder(_Operation).decode


def whole_operation(body: bytes, exchange: Exchange) -> Reading:
    """Reads the operation of a batch, which holds small results itself."""
    operation = _decode_operation(body)
    metadata = operation.metadata or _Metadata()
    held = operation.response or metadata.output
    if held is None or held.inlined_responses is None:
        return free("a batch is billed by its results, which are not in this answer", metadata.model)
    asked = msgspec.structs.replace(exchange.asked, model=exchange.asked.model or metadata.model)
    reader = BatchReader(msgspec.structs.replace(exchange, asked=asked))
    for line in held.inlined_responses.inlined_responses or ():
        reader.add(line)
    return reader.finish()
