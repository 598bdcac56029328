"""Endpoints that providers have beside their usual ones, known by their address."""

import json
from collections.abc import Mapping

import pytest

from flatfare.core.usage import Usage
from flatfare.service.costing.metering import Metered, Response, meter_response, standard_book

NOW_US = 1_794_700_800_000_000  # 2026-11-15
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


def chat(model: str, **usage: object) -> Mapping[str, object]:
    return {"object": "chat.completion", "model": model, "choices": [{}], "usage": {**USAGE, **usage}}


def metered(address: str, body: object, method: str = "POST", request: object = None) -> Metered:
    host, _, path = address.partition("/")
    sent = json.dumps(request).encode() if request else b""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(
        body=content, host=host, path=f"/{path}", method=method, request_body=sent, at_us=NOW_US
    )
    return meter_response(response, standard_book())


@pytest.mark.parametrize(
    ("address", "body", "cost_nano"),
    [
        # 100 × 0.15 + 10 × 0.60
        (
            "bedrock-runtime.us-west-2.amazonaws.com/openai/v1/chat/completions",
            "openai.gpt-oss-120b-1:0",
            21_000,
        ),
        # 100 × 2.50 + 10 × 10.00
        ("api.cohere.ai/compatibility/v1/chat/completions", "command-a-03-2025", 350_000),
        ("x.openai.azure.com/openai/v1/chat/completions", "gpt-4o-2024-08-06", 350_000),
    ],
)
def test_completions_at_other_addresses(address: str, body: str, cost_nano: int) -> None:
    assert metered(address, chat(body)).cost.amount_nano == cost_nano


def test_a_deferred_answer_of_xai_is_billed_when_it_is_fetched() -> None:
    found = metered("api.x.ai/v1/chat/deferred-completion/abc", chat("grok-4.3"), method="GET")
    assert found.usage == Usage(input=100, output=10)
    assert found.cost.is_known


def test_openrouters_charge_stands_on_messages_too() -> None:
    usage = {"input_tokens": 100, "output_tokens": 10, "cost": 0.001}
    body = {"type": "message", "model": "anthropic/claude-sonnet-4.5", "usage": usage}
    assert metered("openrouter.ai/api/v1/messages", body).cost.amount_nano == 1_000_000
    events = [
        {"type": "message_start", "message": {**body, "usage": {"input_tokens": 100, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
    ]
    stream = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
    assert metered("openrouter.ai/api/v1/messages", stream).cost.amount_nano == 1_000_000


def test_deepinfra_says_what_it_charges() -> None:
    found = metered("api.deepinfra.com/v1/openai/chat/completions", chat("any", estimated_cost=0.0000123))
    assert found.cost.amount_nano == 12_300
    assert found.reported_cost is not None
    assert found.reported_cost.source == "usage.estimated_cost"


def test_hugging_face_takes_the_upstream_behind_the_model() -> None:
    address, model = "router.huggingface.co/v1/chat/completions", "meta-llama/Llama-4-Scout-17B-16E-Instruct"
    assert not metered(address, chat(model), request={"model": f"{model}:fastest"}).cost.is_known
    # Together's 0.18 and 0.59
    found = metered(address, chat(model), request={"model": f"{model}:together"})
    assert found.cost.amount_nano == 100 * 180 + 10 * 590


def test_a_conversation_of_mistral_counts_its_connectors() -> None:
    body = {
        "object": "conversation.response",
        "outputs": [{"type": "tool.execution"}, {"type": "message.output", "model": "mistral-medium-2505"}],
        "usage": {**USAGE, "connector_tokens": 30, "connectors": {"web_search": 2}},
    }
    found = metered("api.mistral.ai/v1/conversations", body)
    assert found.usage == Usage(input=100, output=10, tool_use_input=30, web_search=2)
    assert found.model == "mistral-medium-2505"


def test_tools_in_a_stream_of_groq_are_counted_once() -> None:
    tool = {"index": 0, "type": "search"}
    deltas = [{"executed_tools": [tool]}, {"executed_tools": [{**tool, "output": "x"}]}]
    chunks = [
        {"object": "chat.completion.chunk", "model": "groq/compound", "choices": [{"delta": delta}]}
        for delta in deltas
    ]
    last = {**chunks[0], "choices": [], "x_groq": {"usage": USAGE}}
    stream = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in [*chunks, last]).encode()
    assert metered("api.groq.com/openai/v1/chat/completions", stream).usage["web_search"] == 1


def test_an_unknown_path_of_a_known_host_is_named() -> None:
    found = metered("api.openai.com/v1/unheard-of", {"id": "x"})
    assert "'/v1/unheard-of' is no endpoint of openai" in (found.cost.reason or "")


def test_qwen_that_thinks_is_priced_as_thinking() -> None:
    address = "dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions"
    plain = metered(address, chat("qwen-plus")).cost.amount_nano
    thinking = chat("qwen-plus", completion_tokens_details={"reasoning_tokens": 8})
    assert plain == 100 * 400 + 10 * 1_200
    assert metered(address, thinking).cost.amount_nano == 100 * 400 + 10 * 4_000
