"""OpenAI: chat completions.

Prompt and completion are totals that include their parts; the tier that served and the
model that served beat what was asked for.
"""

from flatfare.dialects.dialect import Dialect
from flatfare.dialects.openai_shape import ChatBody, ChatShape, chat_routes, chat_usage, read_request

CHAT = ChatShape(ChatBody, chat_usage)

TRAPS = """
- `prompt_tokens` includes `cached_tokens`, `cache_write_tokens` and `audio_tokens`; `completion_tokens`
  includes `reasoning_tokens`, `audio_tokens` and rejected predictions.
- A stream has usage only when `stream_options.include_usage` asked for it: in one last chunk whose `choices`
  are empty. A stream that was cut never has it: its text is then counted offline, the cost is estimated.
- `service_tier` in the answer is the tier that served; it may differ from the one asked for.
"""

DIALECT = Dialect(
    provider="openai",
    hosts=(r"api\.openai\.com", r"(?P<region>us|eu)\.api\.openai\.com"),
    routes=chat_routes(CHAT),
    read_request=read_request,
    traps=TRAPS,
    tokens="o200k",
)
