"""Plain requests: every field is known to be harmless, and one that is not makes a request not plain."""

import json

import pytest

from flatfare.service.budgets.plain_requests import offers_functions

CHAT = {
    "model": "m",
    "messages": [{"role": "user", "content": "web_search for an image, a video and a file_id"}],
}
FUNCTION = {"type": "function", "function": {"name": "web_search", "parameters": {"type": "object"}}}
CALLED = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def said(endpoint: str, *bodies: object) -> bool | None:
    merged: dict[str, object] = {}
    for body in bodies:
        merged |= body  # type: ignore[arg-type]
    return offers_functions(endpoint, json.dumps(merged).encode())


@pytest.mark.parametrize(
    ("endpoint", "body", "offers"),
    [
        ("chat.completions", CHAT, False),
        ("chat.completions", CHAT | {"max_tokens": 5, "stream": True, "temperature": 0.5}, False),
        ("chat.completions", CHAT | {"tools": [FUNCTION]}, True),
        (
            "chat.completions",
            {"messages": [{"role": "assistant", "content": None, "tool_calls": [CALLED]}]},
            False,
        ),
        ("messages", {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}, False),
        ("messages", {"messages": [], "tools": [{"name": "web_search", "input_schema": {}}]}, True),
        ("responses", {"model": "m", "input": "x"}, False),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]}, False),
        ("generateContent", {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}, False),
        ("generateContent", {"contents": [], "generationConfig": {"maxOutputTokens": 5}}, False),
    ],
)
def test_text_and_functions_of_ones_own_are_plain(endpoint: str, body: object, offers: bool) -> None:
    assert said(endpoint, body) is offers


@pytest.mark.parametrize(
    ("endpoint", "more"),
    [
        ("chat.completions", {"n": 2}),
        ("chat.completions", {"models": ["a", "b"]}),
        ("chat.completions", {"plugins": [{"id": "web"}]}),
        ("chat.completions", {"web_search_options": {}}),
        ("chat.completions", {"tools": [{"type": "web_search"}]}),
        ("chat.completions", {"anything": "else"}),
        (
            "chat.completions",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        ),
        ("chat.completions", {"messages": [{"role": "user", "content": "x", "cache_control": {}}]}),
        ("messages", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ("messages", {"mcp_servers": [{"url": "x"}]}),
        ("messages", {"container": "c"}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}),
        ("messages", {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}),
        ("responses", {"previous_response_id": "r"}),
        ("responses", {"conversation": "c"}),
        ("responses", {"prompt": {"id": "p"}}),
        ("responses", {"tools": [{"type": "code_interpreter", "container": {}}]}),
        ("responses", {"input": [{"type": "item_reference", "id": "x"}]}),
        ("generateContent", {"cachedContent": "c"}),
        ("generateContent", {"tools": [{"googleSearch": {}}]}),
        ("generateContent", {"generationConfig": {"candidateCount": 3}}),
        ("generateContent", {"contents": [{"parts": [{"fileData": {"fileUri": "gs://x"}}]}]}),
        ("converse", {}),
    ],
)
def test_what_is_not_known_to_be_harmless_is_not_plain(endpoint: str, more: dict[str, object]) -> None:
    assert said(endpoint, more) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": [{"role": "user", "content": "\xff"}]}'])
def test_what_cannot_be_read_is_not_plain(body: bytes) -> None:
    assert offers_functions("chat.completions", body) is None
