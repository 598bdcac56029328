"""Plain requests: text, and functions of the client's own, and nothing else that bears on what is read.

Of such a request a token is at least one byte, all of it stands in its body, and it is answered
once. A request is plain only if every field of it is known to be: what is not known is not plain.
Reading it so is also many times faster than looking for what it might refer to.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

_NOTHING = msgspec.Raw(b"null")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Any field that is not named makes a request one that is not plain."""


class _Text(_Strict):
    type: Literal["text", "input_text", "output_text"]
    text: str


class _Function(_Strict):
    name: str
    arguments: str


class _Call(_Strict):
    id: str
    type: Literal["function"]
    function: _Function
    index: int | None = None


class _Message(_Strict):
    role: str
    content: str | list[_Text] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Described(_Strict):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = _NOTHING
    strict: bool | None = None


class _Tool(_Strict):
    type: Literal["function"]
    function: _Described


class _StreamOptions(_Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _Sampling(_Strict):
    """What changes neither what is read nor how often it is answered."""

    model: str | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    service_tier: str | None = None


class _Chat(_Sampling):
    """OpenAI's chat completions, and the many that speak it."""

    messages: list[_Message] = []
    tools: list[_Tool] | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream_options: _StreamOptions | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    user: str | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None


class _Use(_Strict, tag="tool_use"):
    id: str
    name: str
    input: msgspec.Raw


class _Said(_Strict, tag="text"):
    text: str


class _Found(_Strict, tag="tool_result"):
    tool_use_id: str
    content: str | list[_Text] = ""
    is_error: bool | None = None


class _Turn(_Strict):
    role: str
    content: str | list[_Use | _Said | _Found]


class _OwnTool(_Strict):
    name: str
    input_schema: msgspec.Raw
    description: str | None = None
    type: Literal["custom"] | None = None


class _Metadata(_Strict):
    user_id: str | None = None


class _Messages(_Sampling):
    """Anthropic's messages, without marks of its cache, whose writing costs more than reading."""

    messages: list[_Turn] = []
    system: str | list[_Text] | None = None
    tools: list[_OwnTool] | None = None
    max_tokens: int | None = None
    stop_sequences: list[str] | None = None
    top_k: int | None = None
    metadata: _Metadata | None = None


class _Item(_Strict):
    role: str
    content: str | list[_Text]
    type: Literal["message"] | None = None


class _OwnFunction(_Strict):
    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: msgspec.Raw = _NOTHING
    strict: bool | None = None


class _Responses(_Sampling):
    """OpenAI's responses, where they refer to no former one."""

    input: str | list[_Item] = ""
    instructions: str | None = None
    tools: list[_OwnFunction] | None = None
    tool_choice: str | None = None
    max_output_tokens: int | None = None
    store: bool | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None


class _Part(_Strict):
    text: str


class _Content(_Strict):
    parts: list[_Part]
    role: str | None = None


class _Thinking(_Strict):
    thinkingBudget: int | None = None  # noqa: N815 - as the provider writes it
    thinkingLevel: str | None = None  # noqa: N815
    includeThoughts: bool | None = None  # noqa: N815


class _Config(_Strict, rename="camel"):
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    thinking_config: _Thinking | None = None


class _Generate(_Strict, rename="camel"):
    """Gemini's generateContent."""

    contents: list[_Content] | _Content = []
    system_instruction: _Content | None = None
    generation_config: _Config | None = None
    model: str | None = None

    tools: None = None


_Plain = _Chat | _Messages | _Responses | _Generate
_DECODERS: Mapping[str, msgspec.json.Decoder[_Plain]] = {
    "chat.completions": msgspec.json.Decoder(_Chat),
    "messages": msgspec.json.Decoder(_Messages),
    "responses": msgspec.json.Decoder(_Responses),
    "generateContent": msgspec.json.Decoder(_Generate),
    "streamGenerateContent": msgspec.json.Decoder(_Generate),
}


def offers_functions(endpoint: str, body: bytes) -> bool | None:
    """Whether a plain request offers functions of the client's own; None for one that is not plain.

    >>> offers_functions("chat.completions", b'{"messages": [{"role": "user", "content": "x"}]}')
    False
    >>> offers_functions("chat.completions", b'{"messages": [], "web_search_options": {}}')
    """
    decoder = _DECODERS.get(endpoint)
    if decoder is None:
        return None
    try:
        return bool(decoder.decode(body).tools)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
