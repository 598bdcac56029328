"""OpenAI's models on Bedrock, at the endpoint that speaks OpenAI's own shape.

The rates are those of Bedrock in the region that the host names.
"""

import msgspec

from flatfare.dialects.dialect import Dialect
from flatfare.dialects.openai_responses import ResponseBody, ResponsesShape, responses_routes
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    chat_routes,
    chat_usage,
    free_routes,
    prompt_of,
    read_request,
)
from flatfare.dialects.reading import Exchange, Part, Reading

TRAPS = """
- `openai.gpt-oss-120b` and the like are Bedrock's models at Bedrock's prices, by region; the usage is
  OpenAI's.
- Projects and service tiers are those of Bedrock.
"""


class MantleResponses(ResponsesShape[ResponseBody]):
    """Responses priced as Bedrock."""

    def reading(self, answer: ResponseBody, exchange: Exchange) -> Reading:
        return _as_bedrock(super().reading(answer, exchange))


class MantleChat(ChatShape[ChatBody]):
    """Chat completions priced as Bedrock."""

    def whole(self, body: bytes, exchange: Exchange) -> Reading:
        return _as_bedrock(super().whole(body, exchange))


def _as_bedrock(reading: Reading) -> Reading:
    parts = tuple(
        Part(part.model, part.usage, part.conditions, "bedrock", part.estimated) for part in reading.parts
    )
    return msgspec.structs.replace(reading, parts=parts)


DIALECT = Dialect(
    provider="bedrock-mantle",
    hosts=(
        r"bedrock-mantle\.(?P<region>[a-z0-9-]+)\.api\.aws",
        # The runtime's own host has the same paths (Bedrock user guide, OpenAI API, 2026-11).
        r"bedrock-runtime(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com",
    ),
    routes=(
        *responses_routes(MantleResponses(ResponseBody), "(?:openai/)?v1/"),
        *chat_routes(MantleChat(ChatBody, chat_usage), "(?:openai/)?v1/chat/completions"),
        *free_routes("(?:openai/)?v1/"),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
    tokens="o200k",
)
