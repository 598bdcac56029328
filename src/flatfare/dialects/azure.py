"""Azure OpenAI: OpenAI's shape under deployments, whose names are the customer's own.

The model that the answer names is the one priced; the deployment stands beside it.
"""

from flatfare.dialects.dialect import Dialect
from flatfare.dialects.openai import OPENAI_CHAT, RESPONSES
from flatfare.dialects.openai_audio import audio_routes
from flatfare.dialects.openai_pictures import picture_routes
from flatfare.dialects.openai_realtime import realtime_routes
from flatfare.dialects.openai_responses import responses_routes
from flatfare.dialects.openai_shape import (
    chat_routes,
    completion_routes,
    embedding_routes,
    free_routes,
    prompt_of,
    read_request,
)

TRAPS = """
- The model in the URL is a deployment, named by the customer; the answer's `model` is the model. Where an
  answer names none (embeddings of old API versions), the deployment's name is looked up instead: give it
  an alias in your prices.
- A stream's first chunk has `prompt_filter_results`, empty `choices`, an empty `model` and `created` 0.
- A stream has usage only where `stream_options.include_usage` asked for it.
- A filtered prompt is an error with an HTTP status or, in old recordings, an `error` object in its place:
  it costs nothing. A filtered answer is billed as far as it was written.
- Global, data-zone and regional deployments have rates of their own, and the answer does not say which it
  was: state it as the region of your deployment (`global`, `datazone`, or the region).
"""

_DEPLOYMENT = r"openai/deployments/(?P<model>[^/]+)/"

DIALECT = Dialect(
    provider="azure",
    also=("azure-openai", "azure-realtime"),
    hosts=(
        r"[^.]+\.openai\.azure\.com",
        r"[^.]+\.cognitiveservices\.azure\.com",
        r"[^.]+\.services\.ai\.azure\.com",
    ),
    routes=(
        *chat_routes(
            OPENAI_CHAT,
            _DEPLOYMENT + "chat/completions",
            {"prompt_filter_results": None},
            {"object": "", "prompt_filter_results": None},
        ),
        *completion_routes(OPENAI_CHAT, _DEPLOYMENT + "completions"),
        *embedding_routes(_DEPLOYMENT + "embeddings"),
        *picture_routes(_DEPLOYMENT),
        *audio_routes(_DEPLOYMENT),
        *chat_routes(OPENAI_CHAT, "openai/v1/chat/completions"),
        *chat_routes(OPENAI_CHAT, "models/chat/completions"),
        *responses_routes(RESPONSES, "openai/(?:v1/)?"),
        *embedding_routes("(?:openai/v1|models)/embeddings"),
        *picture_routes("openai/v1/"),
        *audio_routes("openai/v1/"),
        *realtime_routes("openai/(?:v1/)?"),
        *free_routes("openai/(?:v1/)?"),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
    tokens="o200k",
)
