"""Bedrock's batches: records, each the body of an InvokeModel or a Converse answer, at the batch tier.

A record in whose place an error stands costs nothing.
"""

import msgspec

from flatfare.dialects.bedrock_converse import whole_converse
from flatfare.dialects.bedrock_invoke import whole_invocation
from flatfare.dialects.dialect import StreamReader, read_lines
from flatfare.dialects.parts import merged
from flatfare.dialects.reading import NOTHING, Exchange, Part, Reading, free, unread


class _Record(msgspec.Struct, rename="camel"):
    model_output: msgspec.Raw = msgspec.Raw()


class _Kind(msgspec.Struct):
    metrics: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()


_decode_record = msgspec.json.Decoder(_Record).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode


class BatchReader:
    """Gathers the records of a batch's output, each the body of an InvokeModel or a Converse answer."""

    __slots__ = ("_exchange", "_model", "_parts", "_problem")

    def __init__(self, exchange: Exchange) -> None:
        asked = msgspec.structs.replace(exchange.asked, service_tier="batch")
        self._exchange = msgspec.structs.replace(exchange, asked=asked, headers=NOTHING)
        self._parts: list[Part] = []
        self._model: str | None = exchange.asked.model
        self._problem: str | None = None

    def event(self, name: str, data: bytes) -> None:
        body = bytes(_decode_record(data).model_output)
        if body in (b"", b"null"):  # an error stands in its place
            return
        is_converse = bytes(_decode_kind(body).metrics) not in (b"", b"null")
        reading = (whole_converse if is_converse else whole_invocation)(body, self._exchange)
        self._model = self._model or reading.model
        self._parts += reading.parts
        if not reading.parts and not reading.is_free:
            self._problem = reading.reason

    def finish(self) -> Reading:
        if self._problem is not None:
            return unread(f"a record of the batch cannot be read: {self._problem}", self._model)
        if not self._parts:
            return free("no record of the batch is billed: those that failed cost nothing", self._model)
        parts = (
            msgspec.structs.replace(
                part,
                conditions=msgspec.structs.replace(part.conditions, service_tier="batch"),
            )
            for part in self._parts
        )
        return Reading(parts=merged(parts), model=self._model)


def whole_batch(body: bytes, exchange: Exchange) -> Reading:
    """Reads a batch's output that came at once."""
    return read_lines(BatchReader(exchange), body)


def stream_batch(exchange: Exchange) -> StreamReader:
    """Reads a batch's output as it comes."""
    return BatchReader(exchange)
