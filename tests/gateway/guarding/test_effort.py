"""Effort as each provider writes it, asked for and lowered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.guard import EFFORTS
from flatfare.gateway.guarding.effort import asked_effort, with_less_effort

LOW, MEDIUM, NONE = (EFFORTS.index(word) for word in ("low", "medium", "none"))
CHAT, RESPONSES, MESSAGES, GEMINI = "chat.completions", "responses", "messages", "generateContent"

CASES: dict[str, tuple[str, str, dict[str, Any], str | None, dict[str, Any]]] = {
    # endpoint, model, request, the effort it asks for, the request that asks for low at most
    "openai chat": (CHAT, "o3", {"reasoning_effort": "high"}, "high", {"reasoning_effort": "low"}),
    "openai chat, low": (CHAT, "o3", {"reasoning_effort": "low"}, "low", {"reasoning_effort": "low"}),
    "openai chat, minimal": (
        CHAT,
        "gpt-5",
        {"reasoning_effort": "minimal"},
        "minimal",
        {"reasoning_effort": "minimal"},
    ),
    "openai chat, unasked": (CHAT, "gpt-5-mini-2025-08-07", {}, "medium", {"reasoning_effort": "low"}),
    "openai chat, no thinker": (CHAT, "gpt-4o", {}, None, {}),
    "openai chat, thinks only if asked": (CHAT, "gpt-5.1", {}, None, {}),
    "openai chat, takes no other": (CHAT, "gpt-5-pro", {}, None, {}),
    "responses": (
        RESPONSES,
        "gpt-5.1",
        {"reasoning": {"effort": "xhigh", "summary": "auto"}},
        "xhigh",
        {"reasoning": {"effort": "low", "summary": "auto"}},
    ),
    "responses, unasked": (
        RESPONSES,
        "gpt-5",
        {"reasoning": {"summary": "auto"}},
        "medium",
        {"reasoning": {"effort": "low", "summary": "auto"}},
    ),
    "anthropic budget": (
        MESSAGES,
        "claude-sonnet-4-5",
        {"thinking": {"type": "enabled", "budget_tokens": 10_000}},
        "high",
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    "anthropic effort": (
        MESSAGES,
        "claude-opus-4-6",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        "max",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    ),
    "anthropic, unasked": (MESSAGES, "claude-opus-4-6", {}, "high", {"output_config": {"effort": "low"}}),
    "anthropic, no effort": (MESSAGES, "claude-haiku-4-5", {}, None, {}),
    "gemini budget": (
        GEMINI,
        "gemini-2.5-flash",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 20_000, "includeThoughts": True}}},
        "high",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True}}},
    ),
    "gemini, as it sees fit": (
        GEMINI,
        "gemini-2.5-flash",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}},
        "high",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 1024}}},
    ),
    "gemini off": (
        GEMINI,
        "gemini-2.5-flash",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
        "none",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}},
    ),
    "gemini level": (
        GEMINI,
        "gemini-3-pro-preview",
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}},
        "high",
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
    ),
    "gemini snake": (
        GEMINI,
        "gemini-3-flash",
        {"generation_config": {"thinking_config": {"thinking_level": "high"}}},
        "high",
        {"generation_config": {"thinking_config": {"thinking_level": "low"}}},
    ),
    "gemini level, unasked": (
        GEMINI,
        "gemini-3-pro-preview",
        {"contents": []},
        "high",
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}}, "contents": []},
    ),
    "gemini budget, unasked": (
        GEMINI,
        "gemini-2.5-pro",
        {"generationConfig": {"temperature": 0}},
        "high",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 1024}, "temperature": 0}},
    ),
    "gemini lite": (GEMINI, "gemini-2.5-flash-lite", {}, None, {}),
    "bedrock": (
        "converse",
        "anthropic.claude-sonnet-4-5-v1:0",
        {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 9000}}},
        "high",
        {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}},
    ),
    "openrouter": (
        CHAT,
        "x",
        {"reasoning": {"max_tokens": 9000}},
        "high",
        {"reasoning": {"max_tokens": 1024}},
    ),
    "text that speaks of effort": (
        CHAT,
        "gpt-4o",
        {"messages": [{"content": '"reasoning_effort":"high"'}]},
        None,
        {"messages": [{"content": '"reasoning_effort":"high"'}]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_effort_of_a_request_is_read_and_brought_down(name: str) -> None:
    endpoint, model, request, effort, lowered = CASES[name]
    body = json.dumps(request).encode()
    asked = asked_effort(body, endpoint, model)
    assert (None if asked is None else EFFORTS[asked]) == effort
    changed = with_less_effort(body, endpoint, model, LOW)
    assert json.loads(changed) == lowered
    if request == lowered:
        assert changed == body


def test_no_effort_at_all_is_written_as_each_provider_takes_it() -> None:
    off = with_less_effort(b'{"thinking":{"type":"enabled","budget_tokens":2048}}', MESSAGES, "x", NONE)
    assert off == b'{"thinking":{"type":"disabled"}}'
    assert with_less_effort(b'{"output_config":{"effort":"high"}}', MESSAGES, "x", NONE) == (
        b'{"output_config":{"effort":"low"}}'
    )
    pro = with_less_effort(b"{}", GEMINI, "gemini-2.5-pro", NONE)
    assert b'"thinkingBudget":128' in pro


def test_what_is_within_the_limit_stays_byte_for_byte() -> None:
    body = b'{ "reasoning_effort" : "medium" }'
    assert with_less_effort(body, CHAT, "o3", MEDIUM) == body


VALUES = st.sampled_from([*EFFORTS, "HIGH", "auto"]) | st.integers(-1, 100_000) | st.none() | st.booleans()
INNER = st.dictionaries(
    st.sampled_from(["effort", "budget_tokens", "type", "thinkingConfig", "thinkingLevel", "max_tokens"]),
    VALUES | st.dictionaries(st.sampled_from(["thinkingBudget", "thinkingLevel"]), VALUES, max_size=2),
    max_size=3,
)
REQUESTS = st.dictionaries(
    st.sampled_from(
        ["reasoning_effort", "reasoning", "thinking", "output_config", "generationConfig", "model"]
    ),
    VALUES | INNER,
    max_size=5,
)


@given(
    REQUESTS,
    st.sampled_from([CHAT, RESPONSES, MESSAGES, GEMINI]),
    st.sampled_from(["gpt-5", "claude-opus-4-6", "gemini-2.5-pro", "gemini-3-pro-preview", "x"]),
    st.integers(LOW, len(EFFORTS) - 1),
)
def test_whatever_a_request_says_it_asks_for_no_more_afterwards(
    request: dict[str, Any], endpoint: str, model: str, most: int
) -> None:
    body = json.dumps(request).encode()
    before = asked_effort(body, endpoint, model)
    changed = with_less_effort(body, endpoint, model, most)
    after = asked_effort(changed, endpoint, model)
    assert json.loads(changed).keys() >= request.keys()
    assert after is None or after <= most
    if before is None or before <= most:
        assert changed == body
