"""Vertex AI: Gemini, Claude and other publishers' models, as Google Cloud serves them.

The location is in the address and chooses the rates; the traffic type is the tier.
"""

import msgspec

from flatfare.dialects.anthropic_shape import read_request as read_message_request
from flatfare.dialects.anthropic_shape import stream_message, whole_message
from flatfare.dialects.dialect import Dialect, Route
from flatfare.dialects.framing import JsonLines
from flatfare.dialects.gemini import (
    CONTENT_ROUTES,
    prompt,
    stream_session,
    whole_session,
)
from flatfare.dialects.gemini import read_request as read_content_request
from flatfare.dialects.gemini_batch import stream_results, whole_results
from flatfare.dialects.gemini_openai import OPENAI_TRAPS, VERTEX_ROUTES
from flatfare.dialects.openai_shape import ChatBody, ChatShape, chat_usage
from flatfare.dialects.openai_shape import read_request as read_chat_request
from flatfare.dialects.reading import Asked

CHAT = ChatShape(ChatBody, chat_usage)

_PLACE = r"locations/(?P<region>[^/]+)/publishers"
_MODEL = r"models/(?P<model>[^/:]+)"


def read_request(body: bytes, path: str) -> Asked:
    """What a request asked for, in the shape of the publisher whose model it is for."""
    if "/publishers/anthropic/" in path:
        asked = read_message_request(body, path)
        is_stream = asked.is_stream or ":streamRawPredict" in path
        return msgspec.structs.replace(asked, is_stream=is_stream)
    if "/endpoints/openapi/" in path or "awPredict" in path:
        return read_chat_request(body, path)
    return read_content_request(body, path)


def _placed(route: Route) -> Route:
    """The route below a location, by which it is not known without its address."""
    return msgspec.structs.replace(route, path=rf"{_PLACE}/[^/]+/{route.path}", marks={}, stream_marks={})


_TRAFFIC = {"candidates": None, "usageMetadata": None, "usageMetadata.trafficType": None}
"""What Vertex's answers bear beyond Gemini's own."""


def _bare(route: Route) -> Route:
    return msgspec.structs.replace(
        route, marks=_TRAFFIC if route.marks else {}, stream_marks=_TRAFFIC if route.stream_marks else {}
    )


ROUTES = (
    *(_placed(route) for route in CONTENT_ROUTES),
    *(_bare(route) for route in CONTENT_ROUTES),
    Route(
        "messages.count_tokens",
        rf"{_PLACE}/anthropic/models/count-tokens:rawPredict",
        free="counting tokens is free",
    ),
    Route(
        "messages",
        rf"{_PLACE}/anthropic/{_MODEL}:(?:rawPredict|streamRawPredict)",
        whole=whole_message,
        stream=stream_message,
    ),
    Route(
        "chat.completions",
        rf"{_PLACE}/[^/]+/{_MODEL}:(?:rawPredict|streamRawPredict)",
        whole=CHAT.whole,
        stream=CHAT.stream,
    ),
    Route(
        "live",
        r"ws/google\.cloud\.aiplatform\.\w+\.LlmBidiService/BidiGenerateContent(?:/.*)?",
        whole=whole_session,
        stream=stream_session,
        framing=JsonLines,
        methods=("GET", "WS"),
    ),
    *(msgspec.structs.replace(route, marks={}, stream_marks={}) for route in VERTEX_ROUTES),
    Route(
        "batches.results",
        r"batchPredictionJobs/[^/]+/results",  # a name of ours: the results lie in a bucket
        whole=whole_results,
        stream=stream_results,
        framing=JsonLines,
        adds_up=True,
        methods=("GET",),
        marks={"request": None, "response": None, "status": None},
        stream_marks={"request": None, "response": None, "status": None},
    ),
)

TRAPS = f"""
- The location in the address chooses the rates: for newer models, places other than `global` cost more.
- `trafficType` is the tier: `PROVISIONED_THROUGHPUT` is billed by the capacity and not by the token,
  `ON_DEMAND_FLEX` and `ON_DEMAND_PRIORITY` have rates of their own. It may be a number, as may a modality.
- Chunks of a stream may name the traffic type alone: counts come with the last one.
- A prompt up to Gemini 2.5 is billed as grounded only where it found sources, not where it merely searched.
- Claude answers in Anthropic's shape, other publishers in OpenAI's.
- Results of a batch lie in a bucket, an answer on each line: all at the batch tier.
{OPENAI_TRAPS.strip()}
"""

DIALECT = Dialect(
    provider="vertex",
    also=("google-vertex", "vertexai", "vertex-ai"),
    hosts=(
        r"aiplatform\.googleapis\.com",
        r"(?P<region>[a-z0-9-]+)-aiplatform\.googleapis\.com",
        r"aiplatform\.(?P<region>[a-z0-9-]+)\.rep\.googleapis\.com",
    ),
    routes=ROUTES,
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt,
    accepts="/vertex",
)
