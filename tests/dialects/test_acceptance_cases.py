"""At least four cases of each trap that is known, their amounts worked out by hand from the dated rates.

A row is a kind, a case, what it must cost in nano-dollars, and the answer as the provider's
documentation has it. Rates stand beside the amounts per million tokens; nothing is read
back from the price book.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from flatfare.core.moments import parse_moment
from flatfare.service.costing.metering import Metered, Response, meter, meter_response, standard_book

NOW = "2026-11-15T03:00:00Z"  # a Sunday
JSON = Mapping[str, object]


@dataclass(frozen=True)
class Case:
    """One answer and what it must cost."""

    kind: str
    what: str
    cost: int | None  # nano-dollars; None where it must be unknown
    provider: str
    endpoint: str
    body: object  # an object, a list of a stream's events, or the bytes themselves
    at: str = NOW
    state: str = "measured"
    why: str = ""  # a word of its reason
    asks: Mapping[str, object] = field(default_factory=dict)  # fields of the request
    more: Mapping[str, object] = field(default_factory=dict)  # path, region, headers, status, tier …

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def events(*items: JSON, end: str = "\n", done: bool = False) -> bytes:
    """Server-sent events; ``end`` is the line end."""
    lines = []
    for item in items:
        if "type" in item:
            lines.append(f"event: {item['type']}{end}")
        lines.append(f"data: {json.dumps(item)}{end}{end}")
    return "".join([*lines, f"data: [DONE]{end}{end}" if done else ""]).encode()


def chat(
    model: str = "gpt-4o-2024-08-06", prompt: object = 2_000, answer: object = 500, **more: object
) -> JSON:
    details = {
        "prompt_tokens_details": more.pop("read", None),
        "completion_tokens_details": more.pop("wrote", None),
    }
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, **details, **more.pop("usage", {})}  # type: ignore[dict-item]
    return {"object": "chat.completion", "model": model, "choices": [{"message": {}}], "usage": usage, **more}


def chunk(
    model: str = "gpt-4o-2024-08-06", usage: object = None, choices: object = (), **more: object
) -> JSON:
    return {
        "object": "chat.completion.chunk",
        "model": model,
        "choices": list(choices),
        "usage": usage,
        **more,
    }  # type: ignore[call-overload]


def claude(model: str = "claude-sonnet-4-5-20250929", **usage: object) -> JSON:
    return {
        "type": "message",
        "model": model,
        "content": [{"type": "text"}],
        "stop_reason": "end_turn",
        "usage": usage,
    }


def started(**usage: object) -> JSON:
    return {"type": "message_start", "message": {**claude(**usage), "content": []}}


def ended(**usage: object) -> JSON:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def gemini(model: str = "gemini-2.5-pro", candidate: JSON | None = None, **counts: object) -> JSON:
    answer = {"finishReason": "STOP", **(candidate or {})}
    return {"candidates": [answer], "modelVersion": model, "usageMetadata": counts}


def response(model: str = "gpt-5-2025-08-07", output: object = (), **usage: object) -> JSON:
    more = {
        name: usage.pop(name) for name in ("service_tier", "tools", "background", "status") if name in usage
    }
    return {
        "object": "response",
        "model": model,
        "status": "completed",
        "output": list(output),
        "usage": usage,
        **more,
    }  # type: ignore[call-overload]


SAY = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": None}]}
OPENAI = ("openai", "chat.completions")
CLAUDE = ("anthropic", "messages")
GEMINI = ("gemini", "generateContent")
CALLS = ("openai", "responses")
USAGE = {"prompt_tokens": 2_000, "completion_tokens": 500}
PLAIN = 10_000_000  # 2,000 × 2.50 + 500 × 10.00

STREAMED = [
    Case("streamed and whole", "a completion", PLAIN, *OPENAI, chat()),
    Case(
        "streamed and whole",
        "its stream",
        PLAIN,
        *OPENAI,
        events(chunk(**SAY), chunk(usage=USAGE), done=True),
    ),
    Case(
        "streamed and whole",
        "CRLF",
        PLAIN,
        *OPENAI,
        events(chunk(**SAY), chunk(usage=USAGE), end="\r\n", done=True),
    ),
    Case(
        "streamed and whole",
        "comments and pings between",
        PLAIN,
        *OPENAI,
        b": ping\n\n"
        + events(chunk(**SAY))
        + b": OPENROUTER PROCESSING\n\n"
        + events(chunk(usage=USAGE), done=True),
    ),
    Case(
        "streamed and whole",
        "usage on every chunk, cumulative",
        PLAIN,
        *OPENAI,
        events(
            chunk(usage={"prompt_tokens": 2_000, "completion_tokens": 1}, **SAY),
            chunk(usage={"prompt_tokens": 2_000, "completion_tokens": 499}, **SAY),
            chunk(usage=USAGE),
            done=True,
        ),
    ),
    Case(
        "streamed and whole",
        "usage on the last chunk that has content",
        PLAIN,
        *OPENAI,
        events(chunk(usage=USAGE, choices=[{"delta": {"content": "."}, "finish_reason": "stop"}]), done=True),
    ),
    Case(
        "streamed and whole", "a host that ignores stream", PLAIN, *OPENAI, chat(), more={"is_stream": True}
    ),
    Case(
        "streamed and whole",
        "no blank line at the end",
        PLAIN,
        *OPENAI,
        events(chunk(**SAY), chunk(usage=USAGE)).rstrip(b"\n"),
    ),
]

CUT = [
    # 100 × 3.00; "one two" is two tokens by its characters × 15.00
    Case(
        "cut streams",
        "Claude before message_delta",
        330_000,
        *CLAUDE,
        events(
            started(input_tokens=100, output_tokens=1),
            {"type": "content_block_delta", "delta": {"text": "one two"}},
        ),
        state="estimated",
        why="cut",
    ),
    Case(
        "cut streams",
        "Claude with nothing but an error",
        0,
        *CLAUDE,
        events({"type": "error", "error": {}}),
        why="error",
    ),
    Case(
        "cut streams",
        "a Response before its end, without its request",
        None,
        *CALLS,
        events({"type": "response.created", "response": {"model": "gpt-5", "status": "in_progress"}}),
        state="unknown",
        why="cut",
    ),
    Case(
        "cut streams",
        "Gemini before its last chunk",
        1_250_000 + 100_000,
        *GEMINI,
        events(
            {
                "modelVersion": "gemini-2.5-pro",
                "candidates": [{"content": {"parts": [{"text": "x"}]}}],
                "usageMetadata": {
                    "promptTokenCount": 1_000,
                    "candidatesTokenCount": 10,
                    "totalTokenCount": 1_010,
                },
            }
        ),
        state="estimated",
        why="cut",
    ),
    Case(
        "cut streams",
        "a completion cut after usage on every chunk",
        5_000_000 + 10_000,
        *OPENAI,
        events(chunk(usage={"prompt_tokens": 2_000, "completion_tokens": 1}, **SAY)),
        state="estimated",
        why="cut",
    ),
]

CUMULATIVE = [
    Case(
        "cumulative counts",
        "message_delta overwrites, never adds",
        300_000 + 750_000,
        *CLAUDE,
        events(started(input_tokens=100, output_tokens=8), ended(output_tokens=30), ended(output_tokens=50)),
    ),
    Case(
        "cumulative counts",
        "message_delta changes the input",
        3_000_000 + 750_000,
        *CLAUDE,
        events(started(input_tokens=100, output_tokens=1), ended(input_tokens=1_000, output_tokens=50)),
    ),
    Case(  # 1,000 written for an hour × 6.00, split known from the start alone
        "cumulative counts",
        "the split of the cache stands in message_start alone",
        300_000 + 6_000_000 + 750_000,
        *CLAUDE,
        events(
            started(
                input_tokens=100,
                output_tokens=1,
                cache_creation_input_tokens=1_000,
                cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1_000},
            ),
            ended(input_tokens=100, output_tokens=50, cache_creation_input_tokens=1_000),
        ),
    ),
    Case(
        "cumulative counts",
        "Gemini's last chunk, not the largest and not the sum",
        125_000 + 200_000,
        *GEMINI,
        events(
            gemini(promptTokenCount=150, candidatesTokenCount=30, totalTokenCount=180),
            gemini(promptTokenCount=100, candidatesTokenCount=20, totalTokenCount=120),
        ),
    ),
    Case(
        "cumulative counts",
        "Gemini's stream as one array",
        125_000 + 200_000,
        *GEMINI,
        json.dumps(
            [
                gemini(promptTokenCount=100, candidatesTokenCount=1, totalTokenCount=101),
                gemini(promptTokenCount=100, candidatesTokenCount=20, totalTokenCount=120),
            ]
        ).encode(),
    ),
]

CACHED = [
    Case(
        "cached input",
        "inside OpenAI's prompt",
        976 * 2_500 + 1_024 * 1_250 + 500 * 10_000,
        *OPENAI,
        chat(read={"cached_tokens": 1_024}),
    ),
    Case(
        "cached input",
        "beside Claude's input",
        100 * 3_000 + 5_000 * 300 + 10 * 15_000,
        *CLAUDE,
        claude(input_tokens=100, cache_read_input_tokens=5_000, output_tokens=10),
    ),
    Case(
        "cached input",
        "inside Gemini's prompt",
        200 * 1_250 + 800 * 125 + 10 * 10_000,
        *GEMINI,
        gemini(
            promptTokenCount=1_000,
            cachedContentTokenCount=800,
            candidatesTokenCount=10,
            totalTokenCount=1_010,
        ),
    ),
    Case(
        "cached input",
        "beside Converse's input",
        100 * 3_300 + 5_000 * 330 + 10 * 16_500,
        "bedrock",
        "converse",
        {
            "usage": {
                "inputTokens": 100,
                "cacheReadInputTokens": 5_000,
                "outputTokens": 10,
                "totalTokens": 5_110,
            }
        },
        more={"path": "/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/converse"},
    ),
    Case(
        "cached input",
        "written for five minutes and an hour",
        1_000 * 3_750 + 2_000 * 6_000 + 10 * 15_000,
        *CLAUDE,
        claude(
            input_tokens=0,
            output_tokens=10,
            cache_creation_input_tokens=3_000,
            cache_creation={"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
        ),
    ),
    Case(
        "cached input",
        "more than the prompt is refused",
        None,
        *OPENAI,
        chat(prompt=10, read={"cached_tokens": 20}),
        state="unknown",
        why="more than it",
    ),
]

REASONING = [
    Case(
        "reasoning",
        "inside OpenAI's completion",
        125_000 + 100 * 10_000,
        *CALLS,
        response(input_tokens=100, output_tokens=100, output_tokens_details={"reasoning_tokens": 64}),
    ),
    Case(
        "reasoning",
        "outside Gemini's candidates",
        125_000 + 100_000 + 500_000,
        *GEMINI,
        gemini(promptTokenCount=100, candidatesTokenCount=10, thoughtsTokenCount=50, totalTokenCount=160),
    ),
    Case(
        "reasoning",
        "hidden in Gemini's total on its OpenAI endpoint",
        12 * 1_250 + 62 * 10_000,
        "gemini",
        "chat.completions",
        chat("gemini-2.5-pro", 12, 0, usage={"total_tokens": 74}),
    ),
    Case(
        "reasoning",
        "more than the completion is refused",
        None,
        *OPENAI,
        chat(answer=5, wrote={"reasoning_tokens": 9}),
        state="unknown",
        why="more than it",
    ),
    Case(
        "reasoning",
        "rejected predictions are output",
        25_000 + 100 * 10_000,
        *OPENAI,
        chat(
            prompt=10, answer=100, wrote={"accepted_prediction_tokens": 10, "rejected_prediction_tokens": 40}
        ),
    ),
]

TIERS = [
    Case(
        "service tiers",
        "flex served",
        62_500 + 500_000,
        *CALLS,
        response(input_tokens=100, output_tokens=100, service_tier="flex"),
    ),
    Case(
        "service tiers",
        "priority asked, default served",
        125_000 + 1_000_000,
        *CALLS,
        response(input_tokens=100, output_tokens=100, service_tier="default"),
        asks={"service_tier": "priority"},
    ),
    Case(
        "service tiers",
        "priority served",
        250_000 + 2_000_000,
        *CALLS,
        response(input_tokens=100, output_tokens=100, service_tier="priority"),
    ),
    Case(
        "service tiers",
        "batch, named by Claude's usage",
        150_000 + 750_000,
        *CLAUDE,
        claude(input_tokens=100, output_tokens=100, service_tier="batch"),
    ),
    Case(
        "service tiers",
        "Vertex's traffic type",
        62_500 + 50_000,
        "vertex",
        "generateContent",
        gemini(
            promptTokenCount=100, candidatesTokenCount=10, totalTokenCount=110, trafficType="ON_DEMAND_FLEX"
        ),
    ),
    Case(
        "service tiers",
        "capacity bought ahead costs nothing by the token",
        0,
        "vertex",
        "generateContent",
        gemini(
            promptTokenCount=100,
            candidatesTokenCount=10,
            totalTokenCount=110,
            trafficType="PROVISIONED_THROUGHPUT",
        ),
    ),
    Case(
        "service tiers",
        "one that nobody knows",
        None,
        *CALLS,
        response(input_tokens=100, output_tokens=100, service_tier="warp"),
        state="unknown",
        why="warp",
    ),
]

THINKING = [
    Case(
        "reasoning",
        "a preview that thought: all its answer at 3.50",
        100 * 150 + 60 * 3_500,
        *GEMINI,
        gemini(
            "gemini-2.5-flash-preview-05-20",
            promptTokenCount=100,
            candidatesTokenCount=10,
            thoughtsTokenCount=50,
            totalTokenCount=160,
        ),
        at="2025-06-01T00:00:00Z",
    ),
    Case(
        "reasoning",
        "a preview that did not: 0.60",
        100 * 150 + 10 * 600,
        *GEMINI,
        gemini(
            "gemini-2.5-flash-preview-05-20",
            promptTokenCount=100,
            candidatesTokenCount=10,
            totalTokenCount=110,
        ),
        at="2025-06-01T00:00:00Z",
    ),
]


def line_of(body: JSON) -> JSON:
    return {"id": "b", "custom_id": "c", "response": {"status_code": 200, "body": body}, "error": None}


def lines(*items: JSON) -> bytes:
    return b"\n".join(json.dumps(item).encode() for item in items)


BATCH = [
    Case(
        "batch results",
        "of OpenAI at half",
        PLAIN,
        "openai",
        "batch.results",
        lines(line_of(chat()), line_of(chat())),
    ),
    Case(
        "batch results",
        "a request of it that failed",
        PLAIN // 2,
        "openai",
        "batch.results",
        lines(line_of(chat()), {"custom_id": "d", "response": {"status_code": 400, "body": {"error": {}}}}),
    ),
    Case(
        "batch results",
        "of Claude at half",
        150_000 + 750_000,
        "anthropic",
        "messages.batches.results",
        lines(
            {
                "custom_id": "a",
                "result": {"type": "succeeded", "message": claude(input_tokens=100, output_tokens=100)},
            }
        ),
    ),
    Case(
        "batch results",
        "of Claude, one expired",
        150_000 + 750_000,
        "anthropic",
        "messages.batches.results",
        lines(
            {
                "custom_id": "a",
                "result": {"type": "succeeded", "message": claude(input_tokens=100, output_tokens=100)},
            },
            {"custom_id": "b", "result": {"type": "expired"}},
        ),
    ),
]

THRESHOLDS = [
    Case(
        "thresholds",
        "Claude at 200,000: not yet",
        200_000 * 3_000,
        *CLAUDE,
        claude(input_tokens=200_000, output_tokens=0),
        at="2026-01-10T00:00:00Z",
    ),
    Case(
        "thresholds",
        "Claude above, the cache counted",
        1 * 6_000 + 200_000 * 600,
        *CLAUDE,
        claude(input_tokens=1, cache_read_input_tokens=200_000, output_tokens=0),
        at="2026-01-10T00:00:00Z",
    ),
    Case(
        "thresholds",
        "Gemini at 200,000: not yet",
        200_000 * 1_250 + 10_000,
        *GEMINI,
        gemini(promptTokenCount=200_000, candidatesTokenCount=1, totalTokenCount=200_001),
    ),
    Case(
        "thresholds",
        "Gemini above: all of it",
        200_001 * 2_500 + 15_000,
        *GEMINI,
        gemini(promptTokenCount=200_001, candidatesTokenCount=1, totalTokenCount=200_002),
    ),
    Case(
        "thresholds",
        "gpt-5.4 above 272,000",
        272_001 * 5_000 + 22_500,
        *CALLS,
        response("gpt-5.4-2026-03-05", input_tokens=272_001, output_tokens=1),
    ),
]

MODELS = [
    Case(
        "which model",
        "served beats asked",
        PLAIN,
        *OPENAI,
        chat("gpt-4o-2024-08-06"),
        asks={"model": "gpt-4o-mini"},
    ),
    Case(
        "which model",
        "retired, priced as of its day",
        1_000 * 30_000 + 10 * 60_000,
        *OPENAI,
        chat("gpt-4-0314", 1_000, 10),
        at="2024-03-01T00:00:00Z",
    ),
    Case(
        "which model",
        "o3 in May 2025",
        100 * 10_000 + 10 * 40_000,
        *OPENAI,
        chat("o3-2025-04-16", 100, 10),
        at="2025-05-15T00:00:00Z",
    ),
    Case(
        "which model",
        "o3 after its price was cut",
        100 * 2_000 + 10 * 8_000,
        *OPENAI,
        chat("o3-2025-04-16", 100, 10),
        at="2025-07-15T00:00:00Z",
    ),
    Case(
        "which model",
        "one that begins like another",
        None,
        *OPENAI,
        chat("gpt-4o-ultra"),
        state="unknown",
        why="Did you mean 'gpt-4o'",
    ),
    Case(
        "which model",
        "none named",
        None,
        *OPENAI,
        {"choices": [], "usage": USAGE},
        state="unknown",
        why="--model",
    ),
]

CLOUDS = [
    Case(
        "clouds",
        "Azure says the model behind a deployment",
        PLAIN,
        "azure",
        "chat.completions",
        chat(),
        more={"path": "/openai/deployments/mine/chat/completions"},
    ),
    Case(
        "clouds",
        "an Azure deployment without a model",
        None,
        "azure",
        "chat.completions",
        {"object": "chat.completion", "choices": [], "usage": USAGE},
        state="unknown",
        why="--same-as",
        more={"path": "/openai/deployments/mine/chat/completions"},
    ),
    Case(
        "clouds",
        "Bedrock's geographic prefix costs 10 % more",
        110 * 3_000 + 11 * 15_000,
        "bedrock",
        "converse",
        {"usage": {"inputTokens": 100, "outputTokens": 10}},
        more={"path": "/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/converse"},
    ),
    Case(
        "clouds",
        "Bedrock's global profile does not",
        100 * 3_000 + 10 * 15_000,
        "bedrock",
        "converse",
        {"usage": {"inputTokens": 100, "outputTokens": 10}},
        more={"path": "/model/global.anthropic.claude-sonnet-4-5-20250929-v1:0/converse"},
    ),
    Case(
        "clouds",
        "an ARN in the path",
        110 * 3_000 + 11 * 15_000,
        "bedrock",
        "converse",
        {"usage": {"inputTokens": 100, "outputTokens": 10}},
        more={
            "path": "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A0%3Ainference-profile%2F"
            "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
        },
    ),
    Case(
        "clouds",
        "Claude's US residency",
        110 * 5_000 + 11 * 25_000,
        *CLAUDE,
        claude("claude-opus-4-6", input_tokens=100, output_tokens=10, inference_geo="us"),
    ),
    Case(
        "clouds",
        "an inference profile of one's own",
        None,
        "bedrock",
        "converse",
        {"usage": {"inputTokens": 100, "outputTokens": 10}},
        state="unknown",
        why="--same-as",
        more={
            "path": "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A0%3Aapplication-inference-profile%2Fa/converse"
        },
    ),
]

REPORTED = [
    Case(
        "reported charges",
        "OpenRouter's cost counts",
        20_000_000,
        "openrouter",
        "chat.completions",
        chat("openai/gpt-4o-mini", usage={"cost": 0.02}),
    ),
    Case(
        "reported charges",
        "in its stream",
        20_000_000,
        "openrouter",
        "chat.completions",
        events(
            chunk("openai/gpt-4o-mini", **SAY),
            chunk("openai/gpt-4o-mini", usage={**USAGE, "cost": 0.02}),
            done=True,
        ),
    ),
    Case(
        "reported charges",
        "with one's own key: OpenRouter's fee and the upstream's cost",
        21_000_000,
        "openrouter",
        "chat.completions",
        chat(
            "openai/gpt-4o-mini",
            usage={"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}},
        ),
    ),
    Case(
        "reported charges",
        "xAI's ticks of 1e-10",
        1_234_500,
        "xai",
        "chat.completions",
        chat("grok-4-0709", usage={"cost_in_usd_ticks": 12_345_000}),
    ),
]

SEARCH = {"type": "web_search_call", "action": {"type": "search"}}
FEES = [
    Case(
        "fees",
        "Claude's web searches",
        3_000_000 + 150_000 + 20_000_000,
        *CLAUDE,
        claude(input_tokens=1_000, output_tokens=10, server_tool_use={"web_search_requests": 2}),
    ),
    Case(
        "fees",
        "OpenAI's, not its opened pages",
        125_000 + 100_000 + 10_000_000,
        *CALLS,
        response(
            output=[SEARCH, {"type": "web_search_call", "action": {"type": "open_page"}}],
            input_tokens=100,
            output_tokens=10,
        ),
    ),
    Case(
        "fees",
        "a file search",
        125_000 + 100_000 + 2_500_000,
        *CALLS,
        response(output=[{"type": "file_search_call"}], input_tokens=100, output_tokens=10),
    ),
    Case(
        "fees",
        "one container for two runs of code",
        125_000 + 100_000 + 30_000_000,
        *CALLS,
        response(
            output=[{"type": "code_interpreter_call", "container_id": "a"}] * 2,
            input_tokens=100,
            output_tokens=10,
        ),
    ),
    Case(
        "fees",
        "Gemini 2.5 grounds by the prompt",
        125_000 + 100_000 + 35_000_000,
        *GEMINI,
        gemini(
            candidate={
                "groundingMetadata": {
                    "webSearchQueries": ["a", "b"],
                    "groundingChunks": [{"web": {"uri": "x"}}],
                }
            },
            promptTokenCount=100,
            candidatesTokenCount=10,
            totalTokenCount=110,
        ),
    ),
    Case(
        "fees",
        "Gemini 3 by the query, repeated ones once",
        75_000 + 37_500 + 28_000_000,
        *GEMINI,
        gemini(
            "gemini-3.8-flash",
            candidate={
                "groundingMetadata": {
                    "webSearchQueries": ["a", "b", "a", ""],
                    "groundingChunks": [{"web": {"uri": "x"}}],
                }
            },
            promptTokenCount=100,
            candidatesTokenCount=10,
            totalTokenCount=110,
        ),
    ),
    Case(
        "fees",
        "a response fetched again",
        0,
        "openai",
        "responses.retrieve",
        response(input_tokens=100, output_tokens=10),
        why="billed when it was made",
    ),
]

MEDIA = [
    Case(
        "sound and pictures",
        "audio in and out of a completion",
        50 * 2_500 + 100 * 40_000 + 20 * 10_000 + 30 * 80_000,
        *OPENAI,
        chat(
            "gpt-4o-audio-preview-2024-12-17", 150, 50, read={"audio_tokens": 100}, wrote={"audio_tokens": 30}
        ),
    ),
    Case(
        "sound and pictures",
        "cached audio of a realtime turn",
        20 * 4_000 + 20 * 400 + 30 * 32_000 + 30 * 400 + 5 * 16_000 + 15 * 64_000,
        "openai",
        "realtime",
        lines(
            {"type": "session.created", "session": {"model": "gpt-realtime"}},
            {
                "type": "response.done",
                "response": {
                    "usage": {
                        "input_tokens": 100,
                        "output_tokens": 20,
                        "input_token_details": {
                            "cached_tokens": 50,
                            "text_tokens": 40,
                            "audio_tokens": 60,
                            "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 30},
                        },
                        "output_token_details": {"text_tokens": 5, "audio_tokens": 15},
                    }
                },
            },
        ),
    ),
    Case(
        "sound and pictures",
        "Gemini's audio costs more than its text",
        100 * 300 + 200 * 1_000 + 10 * 2_500,
        *GEMINI,
        gemini(
            "gemini-2.5-flash",
            promptTokenCount=300,
            candidatesTokenCount=10,
            totalTokenCount=310,
            promptTokensDetails=[
                {"modality": "AUDIO", "tokenCount": 200},
                {"modality": "TEXT", "tokenCount": 100},
            ],
        ),
    ),
    Case(
        "sound and pictures",
        "a modality by its number",
        100 * 300 + 200 * 1_000 + 10 * 2_500,
        *GEMINI,
        gemini(
            "gemini-2.5-flash",
            promptTokenCount=300,
            candidatesTokenCount=10,
            totalTokenCount=310,
            promptTokensDetails=[{"modality": 4, "tokenCount": 200}, {"modality": 1, "tokenCount": 100}],
        ),
    ),
    Case(
        "sound and pictures",
        "whisper by the second",
        9 * 100_000,
        "openai",
        "audio.transcriptions",
        {"text": "x", "usage": {"type": "duration", "seconds": 9}},
        asks={"model": "whisper-1"},
    ),
    Case(
        "sound and pictures",
        "Groq's whisper for ten seconds at least",
        308_333,
        "groq",
        "audio.transcriptions",
        {"text": "x", "duration": 4.0},
        asks={"model": "whisper-large-v3"},
    ),
    Case(
        "sound and pictures",
        "speech by the character of its request",
        11 * 15_000,
        "openai",
        "audio.speech",
        b"\xff\xf3" + bytes(64),
        asks={"model": "tts-1", "input": "hello world"},
    ),
    Case(
        "sound and pictures",
        "Voxtral's transcription by the second alone",
        10_150_000,
        "mistral",
        "audio.transcriptions",
        {
            "model": "voxtral-mini-2602",
            "usage": {"prompt_audio_seconds": 203, "prompt_tokens": 4, "completion_tokens": 635},
        },
    ),
    Case(
        "sound and pictures",
        "a streamed picture",
        10 * 5_000 + 40 * 10_000 + 50 * 40_000,
        "openai",
        "images.generations",
        events(
            {"type": "image_generation.partial_image"},
            {
                "type": "image_generation.completed",
                "usage": {
                    "input_tokens": 50,
                    "output_tokens": 50,
                    "total_tokens": 100,
                    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                },
            },
        ),
        asks={"model": "gpt-image-1", "stream": True},
    ),
]

VECTORS = [
    Case(
        "embeddings and rerankers",
        "OpenAI's",
        1_000 * 20,
        "openai",
        "embeddings",
        {
            "object": "list",
            "data": [],
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 1_000, "total_tokens": 1_000},
        },
    ),
    Case(
        "embeddings and rerankers",
        "a total alone",
        1_000 * 60,
        "voyageai",
        "embeddings",
        {"object": "list", "data": [], "model": "voyage-3.5", "usage": {"total_tokens": 1_000}},
    ),
    Case(
        "embeddings and rerankers",
        "Cohere by what it bills",
        25 * 2_500 + 10 * 10_000,
        "cohere",
        "v2.chat",
        {
            "usage": {
                "billed_units": {"input_tokens": 25, "output_tokens": 10},
                "tokens": {"input_tokens": 91, "output_tokens": 10},
            }
        },
        asks={"model": "command-a-03-2025"},
    ),
    Case(
        "embeddings and rerankers",
        "Cohere's reranking by the search",
        2_000_000,
        "cohere",
        "v2.rerank",
        {"results": [], "meta": {"billed_units": {"search_units": 1}}},
        asks={"model": "rerank-v3.5"},
    ),
]

BROKEN = [
    Case(
        "bad bodies",
        "an error costs nothing",
        0,
        *OPENAI,
        {"error": {"message": "no"}},
        more={"status": 429},
        why="429",
    ),
    Case("bad bodies", "a page of a proxy", 0, *OPENAI, b"<html>", more={"status": 502}, why="502"),
    Case(
        "bad bodies",
        "a page of a proxy called a success",
        None,
        *OPENAI,
        b"<html>",
        state="unknown",
        why="endpoint",
    ),
    Case("bad bodies", "an error called a success", 0, *OPENAI, {"error": {"message": "no"}}, why="error"),
    Case("bad bodies", "nothing at all", None, *OPENAI, b"", state="unknown", why="no body"),
    Case("bad bodies", "half of it", None, *OPENAI, b'{"usage": {"prompt', state="unknown", why="truncated"),
    Case(
        "bad bodies",
        "null for usage",
        None,
        *OPENAI,
        {**chat(), "usage": None},
        state="unknown",
        why="no usage",
    ),
    Case(
        "bad bodies",
        "an empty usage",
        None,
        *OPENAI,
        {**chat(), "usage": {}},
        state="unknown",
        why="no usage",
    ),
    Case("bad bodies", "null for a count", 5_000_000, *OPENAI, chat(answer=None)),
    Case("bad bodies", "25.0 for 25", 62_500, *OPENAI, chat(prompt=25.0, answer=0)),
    Case("bad bodies", "a negative count", None, *OPENAI, chat(prompt=-5), state="unknown", why="-5"),
    Case(
        "bad bodies",
        "an astronomical count",
        None,
        *OPENAI,
        chat(prompt=10**30),
        state="unknown",
        why="prompt_tokens",
    ),
    Case("bad bodies", "half a token", None, *OPENAI, chat(prompt=0.5), state="unknown", why="whole number"),
    Case(
        "bad bodies",
        "a word for a count",
        None,
        *OPENAI,
        chat(prompt="many"),
        state="unknown",
        why="prompt_tokens",
    ),
    Case(
        "bad bodies",
        "a key twice: the last counts, as in every JSON reader",
        20_000,
        *OPENAI,
        b'{"object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":1,'
        b'"completion_tokens":1},"usage":{"prompt_tokens":0,"completion_tokens":2}}',
    ),
]

CASES = [
    *STREAMED,
    *CUT,
    *CUMULATIVE,
    *CACHED,
    *REASONING,
    *TIERS,
    *THINKING,
    *BATCH,
    *THRESHOLDS,
    *MODELS,
    *CLOUDS,
    *REPORTED,
    *FEES,
    *MEDIA,
    *VECTORS,
    *BROKEN,
]


def metered(case: Case) -> Metered:
    body = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    at_us, _ = parse_moment(case.at)
    asks = json.dumps(case.asks).encode() if case.asks else b""
    response = Response(
        body=body,
        provider=case.provider,
        endpoint=case.endpoint if "path" not in case.more else None,
        request_body=asks,
        at_us=at_us,
        **case.more,  # type: ignore[arg-type]
    )
    return meter_response(response, standard_book())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_costs_what_the_dated_rates_say(case: Case) -> None:
    found = metered(case)
    assert (found.cost.amount_nano, str(found.cost.state)) == (case.cost, case.state), found.cost.reason
    assert case.why in (found.cost.reason or "")


def test_there_are_at_least_four_cases_of_each_kind() -> None:
    assert min(Counter(case.kind for case in CASES).values()) >= 4


def test_a_case_can_fail() -> None:
    assert meter(json.dumps(chat(answer=501)).encode(), at_us=1_794_700_800_000_000).cost.amount_nano != PLAIN
