"""OpenAI: chat completions, responses, embeddings, pictures, audio, realtime sessions, batches, assistants.

Prompt and completion are totals that include their parts; the tier that served and the
model that served beat what was asked for.
"""

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Dialect, Route
from flatfare.dialects.leaves import usage_of
from flatfare.dialects.openai_audio import audio_routes
from flatfare.dialects.openai_batch import batch_routes
from flatfare.dialects.openai_pictures import picture_routes
from flatfare.dialects.openai_realtime import realtime_routes
from flatfare.dialects.openai_responses import ResponseBody, ResponsesShape, responses_routes
from flatfare.dialects.openai_runs import run_routes
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatShape,
    chat_routes,
    chat_usage,
    completion_routes,
    embedding_routes,
    free_routes,
    prompt_of,
    read_request,
)
from flatfare.dialects.reading import Conditions, Exchange, Part, Reading


def _usage(body: ChatBody) -> Usage | None:
    """As everywhere, with the search that search models make for every request, and bill by the call."""
    usage = chat_usage(body)
    if usage is not None and body.model and "-search-" in body.model and body.model.startswith("gpt-"):
        return usage + usage_of(web_search=1)
    return usage


class Container(msgspec.Struct):
    """A sandbox that was opened ahead."""

    memory_limit: str | None = None


def _container(body: bytes, exchange: Exchange) -> Reading:
    """A sandbox is billed when it is opened; the responses that run code in it do not count it again."""
    memory = msgspec.json.decode(body, type=Container).memory_limit
    details = {"container_memory": memory} if memory and memory != "1g" else {}
    return Reading(parts=(Part("container", usage_of(code_session=1), Conditions(details=details)),))


OPENAI_CHAT = ChatShape(ChatBody, _usage)
RESPONSES = ResponsesShape(ResponseBody)

TRAPS = """
- `prompt_tokens` includes `cached_tokens`, `cache_write_tokens` and `audio_tokens`; `completion_tokens`
  includes `reasoning_tokens`, `audio_tokens` and rejected predictions.
- A stream has usage only when `stream_options.include_usage` asked for it: in one last chunk whose
  `choices` are empty. A stream that was cut never has it: its text is then counted offline, the cost is
  estimated.
- `service_tier` in the answer is the tier that served; it may differ from the one asked for.
- Models named `…-search-preview` and `…-search-api` search once for every request, and each search has a
  fee that the answer does not show.
- Responses have usage in `response.completed`, `response.incomplete` or `response.failed`. A background
  response has none until it is fetched after it has completed; a later look at one that was not in the
  background repeats usage that was billed before.
- Fees of tools stand nowhere as amounts. A web search is billed for each call whose action is `search`
  (`open_page` and `find_in_page` are free), a file search for each call, a code interpreter for each
  container opened. Where the answer counts by itself (`tool_usage`), its count is taken.
- Pictures drawn within a response are billed by the picture model's tokens. Answers since 2026-07 count
  them in `tool_usage.image_gen`; before, they follow from quality and size, and the cost is estimated.
- DALL·E is billed by picture, size and quality; GPT image models by tokens.
- A transcription has `usage.type` `tokens` or `duration`; older answers only `duration`, which is billed
  rounded to the nearest second.
- Speech is sound and has no usage: `tts-1` is billed by the characters of the request; other models say
  it only in the last event of `stream_format=sse`.
- A realtime session is the sum of its `response.done`; what transcribes the user's speech is billed by
  its own model's price.
- A run of an assistant repeats its usage at every look, and its steps repeat it in pieces.
- A sandbox that was opened ahead (`v1/containers`) is billed there, not again by what runs in it.
- `eu.api.openai.com` and `us.api.openai.com` bill newer models with a premium for where data reside.
"""

DIALECT = Dialect(
    provider="openai",
    also=("openai-realtime", "openai-responses", "openai-chat"),
    hosts=(r"api\.openai\.com", r"(?P<region>us|eu)\.api\.openai\.com"),
    routes=(
        *chat_routes(OPENAI_CHAT),
        *responses_routes(RESPONSES),
        *completion_routes(OPENAI_CHAT),
        *embedding_routes(),
        *picture_routes(),
        *audio_routes(),
        *realtime_routes(),
        *run_routes(),
        Route(endpoint="containers", path="v1/containers", whole=_container),
        *batch_routes(
            {
                "chat.completion": OPENAI_CHAT.whole,
                "response": RESPONSES.whole,
                "list": embedding_routes()[0].whole,
                "text_completion": OPENAI_CHAT.whole,
            }
        ),
        *free_routes(),
    ),
    read_request=read_request,
    traps=TRAPS,
    prompt=prompt_of,
    tokens="o200k",
)
