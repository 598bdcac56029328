"""Amazon SageMaker: endpoints of one's own, billed by the hour of their instances.

Tokens are counted where the container counts them, since the hours are shared out by
them; the call itself bills nothing.
"""

import msgspec

from flatfare.dialects.dialect import Dialect, Route, StreamReader
from flatfare.dialects.eventstream import EventStream
from flatfare.dialects.openai_shape import ChatBody, chat_usage
from flatfare.dialects.reading import Asked, Conditions, Exchange, Part, Reading, free

BY_THE_HOUR = (
    "a SageMaker endpoint is billed by the hour of its instances and not by the call: "
    "flatfare commitments add"
)


class Answer(ChatBody):
    """An answer of a container that speaks OpenAI's shape."""


_decode = msgspec.json.Decoder(Answer).decode


def whole_answer(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer of a container: whatever it holds, the call bills nothing."""
    model = exchange.asked.model
    try:
        answer = _decode(body)
    except msgspec.MsgspecError:
        return free(BY_THE_HOUR, model)
    usage = chat_usage(answer)
    if not usage:
        return free(BY_THE_HOUR, model)
    conditions = Conditions(None, exchange.asked.region)
    return Reading(parts=(Part(model, usage, conditions),), model=model, reason=BY_THE_HOUR)


class _ByTheHour:
    """Reads nothing of a stream, since nothing of it is billed."""

    __slots__ = ("_model",)

    def __init__(self, exchange: Exchange) -> None:
        self._model = exchange.asked.model

    def event(self, name: str, data: bytes) -> None:
        return

    def finish(self) -> Reading:
        return free(BY_THE_HOUR, self._model)


def stream_answer(exchange: Exchange) -> StreamReader:
    """Reads the stream of an endpoint."""
    return _ByTheHour(exchange)


def read_request(body: bytes, path: str) -> Asked:
    """The endpoint stands in the address; what was sent is the container's own."""
    return Asked(is_stream=path.rstrip("/").endswith("invocations-response-stream"))


ROUTES = (
    Route("invocations", r"endpoints/(?P<model>[^/]+)/invocations", whole=whole_answer),
    Route(
        "invocations-response-stream",
        r"endpoints/(?P<model>[^/]+)/invocations-response-stream",
        whole=whole_answer,
        stream=stream_answer,
        framing=EventStream,
    ),
    Route("async-invocations", r"endpoints/(?P<model>[^/]+)/async-invocations", free=BY_THE_HOUR),
)

TRAPS = """
- An endpoint is billed by the hour of its instances and not by the token: its cost is a commitment
  (`flatfare commitments add`), and a call bills nothing.
- The answer has the shape of the container: tokens are counted only where it counts them.
"""

DIALECT = Dialect(
    provider="sagemaker",
    hosts=(
        r"runtime\.sagemaker(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?",
        r"runtime-fips\.sagemaker\.(?P<region>[a-z0-9-]+)\.amazonaws\.com",
    ),
    routes=ROUTES,
    read_request=read_request,
    traps=TRAPS,
)
