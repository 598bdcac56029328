"""Anthropic: Messages, and the results of message batches.

The same reading whether an answer came whole, as events, or as a line of a batch's results.
"""

import msgspec

from flatfare.dialects.anthropic_shape import (
    BILLED_REFUSALS,
    Message,
    read_message,
    read_request,
    stream_message,
    whole_message,
)
from flatfare.dialects.dialect import Dialect, Prompt, ResultLine, Route, StreamReader, read_lines
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.openai_shape import texts_in
from flatfare.dialects.parts import merged
from flatfare.dialects.reading import Exchange, Part, Reading, free, unread


class _Result(msgspec.Struct):
    type: str | None = None
    message: Message | None = None


class _Line(msgspec.Struct):
    custom_id: str | None = None
    result: _Result | None = None


_decode_line = msgspec.json.Decoder(_Line).decode


def _at_batch_tier(exchange: Exchange) -> Exchange:
    asked = msgspec.structs.replace(exchange.asked, service_tier="batch")
    return msgspec.structs.replace(exchange, asked=asked)


def _read_result(message: Message, exchange: Exchange) -> Reading:
    if message.usage is not None and message.usage.service_tier in (None, "standard"):
        message.usage.service_tier = "batch"  # a line of a batch's results is nothing else
    return read_message(message, exchange)


_STATUS = {"succeeded": 200, "errored": 400, "canceled": 499, "expired": 504}


def _result_line(data: bytes, exchange: Exchange) -> ResultLine | None:
    """One line as a call of its own; None where it says nothing of a request."""
    line = _decode_line(data)
    if line.custom_id is None or line.result is None:
        return None
    status, message = _STATUS.get(line.result.type or "", 500), line.result.message
    if status >= 400 or message is None:
        return ResultLine(
            line.custom_id, max(status, 400), free(f"the request {line.result.type}: it is not billed")
        )
    return ResultLine(line.custom_id, 200, _read_result(message, _at_batch_tier(exchange)))


class BatchResults:
    """Adds up the lines of a batch's results: those that succeeded are billed, at batch rates."""

    __slots__ = ("_exchange", "_model", "_parts", "_problems")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = _at_batch_tier(exchange)
        self._parts: list[Part] = []
        self._model: str | None = None
        self._problems = 0

    def event(self, name: str, data: bytes) -> None:
        line = _decode_line(data)
        if line.result is None or line.result.type != "succeeded" or line.result.message is None:
            return
        reading = _read_result(line.result.message, self._exchange)
        self._model = self._model or reading.model
        self._problems += not reading.parts and not reading.is_free
        self._parts.extend(reading.parts)

    def finish(self) -> Reading:
        if self._problems:
            return unread(f"{self._problems} results of the batch have no usage", self._model)
        if not self._parts:
            return free("no request of the batch succeeded: only those that do are billed", self._model)
        return Reading(parts=merged(self._parts), model=self._model)


def _whole_results(body: bytes, exchange: Exchange) -> Reading:
    """Reads a batch's results that came at once."""
    return read_lines(BatchResults(exchange), body)


def _results(exchange: Exchange) -> StreamReader:
    return BatchResults(exchange)


class _Sent(msgspec.Struct):
    system: msgspec.Raw = msgspec.Raw()
    messages: list[msgspec.Raw] = []
    tools: msgspec.Raw = msgspec.Raw()


_decode_sent = msgspec.json.Decoder(_Sent).decode


def prompt(body: bytes) -> Prompt:
    """What the request sends to be read."""
    sent = _decode_sent(body)
    raws = [bytes(raw) for raw in (sent.system, *sent.messages) if bytes(raw)]
    texts = [text for raw in raws for text in texts_in(msgspec.json.decode(raw))]
    if bytes(sent.tools):
        texts.append(bytes(sent.tools).decode("utf-8", "replace"))
    has_media = any(b'"image"' in raw or b'"document"' in raw for raw in raws)
    return Prompt("".join(texts), len(sent.messages), has_media)


ROUTES = (
    Route("messages.count_tokens", r"v1/messages/count_tokens", free="counting tokens is free"),
    Route(
        "messages.batches.results",
        r"v1/messages/batches/[^/]+/results",
        whole=_whole_results,
        stream=_results,
        lines=_result_line,
        framing=JsonLines,
        adds_up=True,
        methods=("GET",),
        marks={"custom_id": None, "result": None},
        stream_marks={"custom_id": None, "result": None},
    ),
    Route(
        "messages.batches",
        r"v1/messages/batches",
        free="a batch is billed by its results",
        starts="a batch",
    ),
    Route(
        "messages",
        r"v1/messages",
        whole=whole_message,
        stream=stream_message,
        marks={"type": "message", "usage": None, "role": "assistant"},
        stream_marks={"type": "message_start", "message": None},
    ),
)

TRAPS = f"""
- `input_tokens` leaves out what was read from the cache and written to it; `output_tokens` includes
  thinking.
- Cache writes cost more the longer they live: `cache_creation` splits them into 5 minutes and 1 hour.
  Where the split is missing, they live for 5 minutes.
- The counts of `message_delta` are cumulative and take the place of earlier ones; with server tools even
  the input grows. Only `message_start` splits the cache writes, and some deltas give the output alone.
- `iterations` is the record of what is billed. The top level leaves out compaction and the advisor, whose
  model (and rates) are its own.
- A model that declined before it wrote anything is not billed, unless the refusal's category is one of
  {", ".join(sorted(BILLED_REFUSALS))} (since 2026-09-24). A refusal is an answer of status 200.
- Server tools make the model read its prompt several times, and the counts are the sum: no single prompt
  need have been long. A sum above 100,000 tokens is shared out over the samplings before long-context
  rates are chosen.
- Web search is billed by the search, web fetch only by its tokens. Code execution is billed by the hour of
  its container beyond a free allowance: no answer shows it.
- `speed: fast`, `service_tier` (priority, batch) and `inference_geo` (`us` costs 1.1 times) choose the rates.
- Lines of a batch's results are billed at batch rates; errored, cancelled and expired ones are not billed.
"""

DIALECT = Dialect(
    provider="anthropic",
    hosts=(
        r"api\.anthropic\.com",
        r"aws-external-anthropic\.[a-z0-9-]+\.api\.aws",  # Claude Platform on AWS, at Anthropic's rates
        r"[a-z0-9-]+\.services\.ai\.azure\.com",  # Claude in Microsoft Foundry, at Anthropic's rates
    ),
    routes=ROUTES,
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt,
    accepts="/anthropic",
)
