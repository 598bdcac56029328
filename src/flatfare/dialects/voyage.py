"""Voyage: embeddings and rerankers that state a total alone, all of it input."""

import msgspec

from flatfare.dialects.dialect import Dialect, Route
from flatfare.dialects.leaves import Wire, count_of, usage_of
from flatfare.dialects.openai_shape import conditions_of, embedded, embedding_routes, read_request
from flatfare.dialects.reading import Exchange, Part, Reading, unread

TRAPS = """
- `usage` has `total_tokens` alone: all of them are input.
- A reranking counts the query once for each document.
- Multimodal embeddings count `text_tokens` and `image_pixels`: pixels have a price of their own.
"""


class MultimodalUsage(msgspec.Struct):
    """Usage of multimodal embeddings."""

    text_tokens: Wire = None
    image_pixels: Wire = None
    video_pixels: Wire = None
    total_tokens: Wire = None


class MultimodalBody(msgspec.Struct):
    """What the meter reads of multimodal embeddings."""

    model: str | None = None
    usage: MultimodalUsage | None = None


def _multimodal(body: bytes, exchange: Exchange) -> Reading:
    answer = msgspec.json.decode(body, type=MultimodalBody)
    model = answer.model or exchange.asked.model
    usage = answer.usage
    if usage is None or (usage.total_tokens is None and usage.text_tokens is None):
        return unread("the answer has no usage", model)
    pixels = count_of(usage.image_pixels, "image_pixels") + count_of(usage.video_pixels, "video_pixels")
    # 560 pixels are one token (docs.voyageai.com/docs/multimodal-embeddings, 2026-11).
    total = count_of(usage.total_tokens, "total_tokens")
    text = count_of(usage.text_tokens, "text_tokens") if usage.text_tokens is not None else total
    leaves = usage_of(input=text, input_image=-(-pixels // 560))
    return Reading(parts=(Part(model, leaves, conditions_of(None, exchange.asked)),), model=model)


DIALECT = Dialect(
    provider="voyage",
    also=("voyageai",),
    hosts=(r"api\.voyageai\.com", r"ai\.mongodb\.com"),
    routes=(
        Route(
            endpoint="multimodalembeddings",
            path="v1/multimodalembeddings",
            whole=_multimodal,
            marks={"object": "list", "usage.text_tokens": None},
        ),
        *embedding_routes(),
        Route(endpoint="contextualizedembeddings", path="v1/contextualizedembeddings", whole=embedded),
        Route(
            endpoint="rerank",
            path="v1/rerank",
            whole=embedded,
            marks={"object": "list", "data": None, "model": "rerank", "usage.total_tokens": None},
        ),
    ),
    read_request=read_request,
    traps=TRAPS,
)
