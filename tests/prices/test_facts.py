"""Spot prices, each copied by hand from the documentation it names: the book must give the same dollar.

Nothing here is read back from the data. A row is: provider, model, day, unit, amount and the quantity it
buys, and where it matters the tier, the region, the details and the size of the prompt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

import pytest

from flatfare.core.moments import parse_moment
from flatfare.core.money import NANO
from flatfare.core.usage import Usage
from flatfare.prices.book import Circumstances, Missing, PriceBook

MILLION = 1_000_000


@dataclass(frozen=True)
class Fact:
    """What somebody's price page said."""

    provider: str
    model: str
    at: str
    unit: str
    amount: str
    per: int = MILLION
    tier: str | None = None
    region: str | None = None
    prompt: int = 1_000
    details: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        stated = [
            self.tier,
            self.region,
            *self.details.values(),
            f"{self.prompt}" if self.prompt != 1_000 else "",
        ]
        named = "+".join(str(word) for word in stated if word)
        return f"{self.provider}/{self.model} {self.at} {self.unit}{' ' + named if named else ''}"


def fact(line: str, **more: object) -> Fact:
    provider, model, at, unit, amount = line.split()
    return Fact(provider, model, at, unit, amount, **more)  # type: ignore[arg-type]


# OpenAI: https://developers.openai.com/api/docs/pricing, its archived copies and the announcements named.
OPENAI = [
    # "o3 is 80 % cheaper", community.openai.com/t/1284925: $10/$40 became $2/$8 on 2025-06-10
    fact("openai o3 2025-05-01 input 10.00"),
    fact("openai o3 2025-06-09 cache_read 2.50"),
    fact("openai o3-2025-04-16 2025-05-01 output 40.00"),
    fact("openai o3 2025-06-10 input 2.00"),
    fact("openai o3-2025-04-16 2025-09-01 cache_read 0.50"),
    fact("openai o3 2025-09-01 reasoning 8.00"),
    fact("openai o3 2025-05-01 output 20.00", tier="flex"),
    fact("openai o3 2025-09-01 output 4.00", tier="flex"),
    fact("openai o3 2025-09-01 input 3.50", tier="priority"),
    # gpt-4o: $5/$15 as gpt-4o-2024-05-13; $2.50/$10 as gpt-4o-2024-08-06
    fact("openai gpt-4o 2024-06-01 input 5.00"),
    fact("openai gpt-4o-2024-05-13 2025-01-01 output 15.00"),
    fact("openai gpt-4o-2024-08-06 2024-08-10 input 2.50"),
    fact("openai gpt-4o-2024-11-20 2025-01-01 cache_read 1.25"),
    fact("openai gpt-4o 2025-01-01 output 10.00"),
    fact("openai gpt-4o-2024-08-06 2025-08-01 input 4.25", tier="priority"),
    fact("openai gpt-4o-mini-2024-07-18 2025-08-01 output 1.00", tier="priority"),
    fact("openai gpt-4o-mini 2024-09-01 output 0.30", tier="batch"),
    # cached prompts have no discount in the Batch API before GPT-5 (help.openai.com)
    fact("openai gpt-4.1-2025-04-14 2025-08-01 cache_read 1.00", tier="batch"),
    fact("openai gpt-5 2025-09-01 cache_read 0.0625", tier="batch"),
    fact("openai gpt-3.5-turbo-1106 2024-09-01 output 2.00", tier="batch"),
    fact("openai gpt-3.5-turbo 2023-08-01 input 1.50"),
    fact("openai gpt-3.5-turbo-0125 2024-03-01 output 1.50"),
    fact("openai gpt-4-0613 2024-01-01 output 60.00"),
    fact("openai gpt-4-turbo-2024-04-09 2024-05-01 input 10.00"),
    fact("openai gpt-4.5-preview-2025-02-27 2025-04-01 cache_read 37.50"),
    fact("openai chatgpt-4o-latest 2025-04-01 output 15.00"),
    fact("openai o1-2024-12-17 2025-01-15 input 15.00"),
    fact("openai o1-mini-2024-09-12 2024-12-01 input 3.00"),
    fact("openai o1-mini 2025-03-01 output 4.40"),
    fact("openai o3-mini-2025-01-31 2025-03-01 cache_read 0.55"),
    fact("openai gpt-5-mini-2025-08-07 2025-10-01 input 0.45", tier="priority"),
    fact("openai gpt-5-nano-2025-08-07 2025-10-01 output 0.20", tier="flex"),
    # api-priority-processing, 2026: GPT-5.5 at 12.50, 1.25 and 75.00
    fact("openai gpt-5.5-2026-04-23 2026-06-01 cache_read 1.25", tier="priority"),
    fact("openai gpt-5.4-2026-03-05 2026-06-01 cache_read 0.13", tier="flex"),
    # more than 272,000 tokens of prompt: twice input, half as much again for output
    fact("openai gpt-5.4-2026-03-05 2026-06-01 input 5.00", prompt=272_001),
    fact("openai gpt-5.4-2026-03-05 2026-06-01 input 2.50", prompt=272_000),
    fact("openai gpt-5.5 2026-06-01 output 45.00", prompt=300_000),
    # data residency: 10 % for models released from 2026-03-05 on
    fact("openai gpt-5.4-2026-03-05 2026-06-01 output 16.50", region="eu"),
    fact("openai gpt-5.2-2025-12-11 2026-06-01 output 14.00", region="eu"),
    # changelog: Luna and Terra cut on 2026-07-30, Sol on 2026-08-21; cache writes at 1.25 times input
    fact("openai gpt-5.6-luna 2026-07-15 output 6.00"),
    fact("openai gpt-5.6-luna 2026-08-01 output 1.20"),
    fact("openai gpt-5.6-sol 2026-07-17 cache_write 6.25"),
    fact("openai gpt-5.6 2026-09-01 cache_write 5.00"),
    fact("openai gpt-5.6-sol 2026-07-17 input 10.00", tier="priority"),
    fact("openai gpt-6-astra 2026-10-05 output 300.00", tier="ultrafast"),
    # sound
    fact("openai gpt-4o-audio-preview-2024-12-17 2025-02-01 input_audio 40.00"),
    fact("openai gpt-4o-audio-preview-2024-10-01 2024-11-01 output_audio 200.00"),
    fact("openai gpt-4o-mini-audio-preview-2024-12-17 2025-02-01 output_audio 20.00"),
    fact("openai gpt-4o-realtime-preview-2024-12-17 2025-02-01 cache_read_audio 2.50"),
    fact("openai gpt-realtime-2025-08-28 2025-10-01 cache_read_audio 0.40"),
    fact("openai gpt-realtime 2025-10-01 output_audio 64.00"),
    fact("openai gpt-realtime-mini 2025-12-01 input_image 0.80"),
    fact("openai gpt-4o-transcribe 2025-10-01 input_audio 6.00"),
    fact("openai whisper-1 2025-10-01 input_audio_second 0.006", per=60),
    fact("openai tts-1-hd 2025-10-01 input_character 30.00"),
    # pictures
    fact("openai gpt-image-1 2025-10-01 output_image 40.00"),
    fact("openai gpt-image-1.5 2026-02-01 cache_read_image 2.00"),
    fact("openai dall-e-3 2024-10-01 image 0.120", per=1, details={"size": "1024x1792", "quality": "hd"}),
    fact("openai dall-e-2 2024-10-01 image 0.018", per=1, details={"size": "512x512"}),
    fact(
        "openai gpt-image-1-mini 2025-10-10 image 0.005",
        per=1,
        details={"size": "1024x1024", "quality": "low"},
    ),
    fact(
        "openai gpt-image-1-mini 2025-10-10 image 0.052",
        per=1,
        details={"size": "1536x1024", "quality": "high"},
    ),
    fact("openai tts-1-hd 2026-01-01 input_character 30.00"),
    fact("openai text-embedding-ada-002 2023-05-01 input 0.40"),
    fact("openai text-embedding-3-large 2024-10-01 input 0.065", tier="batch"),
    # tools; web search was priced by context size until 2025-06-26 (community.openai.com/t/1299919)
    fact("openai gpt-5-2025-08-07 2025-10-01 web_search 10.00", per=1_000),
    fact(
        "openai gpt-4.1-2025-04-14 2025-10-01 web_search 25.00", per=1_000, details={"web_search": "preview"}
    ),
    fact(
        "openai gpt-4o-2024-08-06 2025-04-01 web_search 35.00", per=1_000, details={"web_search": "preview"}
    ),
    fact("openai o4-mini 2025-10-01 web_search 10.00", per=1_000, details={"web_search": "preview"}),
    fact("openai gpt-4o-mini-search-preview-2025-03-11 2025-10-01 web_search 25.00", per=1_000),
    fact("openai gpt-4.1 2025-10-01 file_search 2.50", per=1_000),
    fact("openai gpt-5 2025-10-01 code_session 0.03", per=1),
    fact("openai gpt-5.4 2026-06-01 code_session 0.48", per=1, details={"container_memory": "16g"}),
    fact("openai gpt-5 2025-10-01 web_search 10.00", per=1_000, tier="batch"),
    fact("openai davinci:2023-07-21-v2 2024-10-01 output 2.00"),
    fact("openai ft:gpt-4.1-mini-2025-04-14:acme::abc 2025-10-01 cache_read 0.20"),
    fact("azure gpt-4.1-mini-2025-04-14 2025-10-01 input 0.44", region="datazone"),
    fact("azure gpt-4.1-mini-2025-04-14 2025-10-01 input 0.40", region="global"),
    fact("azure gpt-35-turbo 2024-09-01 output 1.50"),
    # Azure's own Grok keeps its price where xAI's API serves the name with another model by now
    fact("azure grok-4 2026-11-01 input 3.00"),
    fact("azure grok-4-1-fast-reasoning 2026-11-01 output 0.50", prompt=300_000),
    # Voxtral Mini Transcribe: by the minute, its tokens free (docs.mistral.ai/models)
    fact(
        "mistral voxtral-mini-2507 2025-08-01 input_audio_second 0.002",
        per=60,
        details={"task": "transcription"},
    ),
    fact("mistral voxtral-mini-latest 2026-03-01 output 0", details={"task": "transcription"}),
    # voxtral-small's output rose on 2026-08-11 (genai-prices and LiteLLM agree)
    fact("mistral voxtral-small-2507 2026-08-10 output 0.30"),
    fact("mistral voxtral-small-2507 2026-08-11 output 0.40"),
    fact("vertex claude-sonnet-5@default 2026-11-01 output 10.00"),
    fact("vertex mistral-large@latest 2026-11-01 output 6.00"),
    fact("gemini gemini-pro-latest 2026-11-01 output 12.00"),
]

# Anthropic: https://platform.claude.com/docs/en/about-claude/pricing and what it links to.
ANTHROPIC = [
    fact("anthropic claude-3-5-haiku-20241022 2024-11-10 output 5.00"),
    fact("anthropic claude-3-5-haiku-20241022 2025-01-10 input 0.80"),
    fact("anthropic claude-3-haiku-20240307 2025-01-10 cache_write_5m 0.30"),
    fact("anthropic claude-2.1 2024-03-01 output 24.00"),
    fact("anthropic claude-3-opus-20240229 2024-10-01 cache_read 1.50"),
    fact("anthropic claude-opus-4-1-20250805 2025-10-01 cache_write_1h 30.00"),
    fact("anthropic claude-opus-4-5-20251101 2025-12-01 output 25.00"),
    fact("anthropic claude-sonnet-4-5-20250929 2025-12-01 cache_write_1h 6.00"),
    fact("anthropic claude-sonnet-4-5-20250929 2025-12-01 cache_write_5m 3.75"),
    fact("anthropic claude-sonnet-4-5-20250929 2025-12-01 output 22.50", prompt=200_001),
    fact("anthropic claude-sonnet-4-5-20250929 2025-12-01 output 15.00", prompt=200_000),
    fact("anthropic claude-sonnet-4-20250514 2025-10-01 cache_read 0.60", prompt=250_000),
    fact("anthropic claude-sonnet-4-6 2026-03-01 input 6.00", prompt=250_000),
    fact("anthropic claude-sonnet-4-6 2026-03-14 input 3.00", prompt=250_000),
    fact("anthropic claude-haiku-4-5-20251001 2026-01-01 output 2.50", tier="batch"),
    fact("anthropic claude-haiku-5-5 2026-11-01 output 0.50", prompt=100_000),
    fact("anthropic claude-haiku-5-5 2026-11-01 output 2.50", prompt=100_001),
    fact("anthropic claude-sonnet-4-5 2026-01-01 cache_write_1h 3.00", tier="batch"),
    fact("anthropic claude-opus-4-6 2026-04-01 output 150.00", tier="fast"),
    fact("anthropic claude-opus-4-6 2026-02-10 input 60.00", tier="fast", prompt=250_000),
    fact("anthropic claude-opus-4-6 2026-04-01 input 30.00", tier="fast", prompt=250_000),
    fact("anthropic claude-opus-4-8 2026-08-01 cache_read 1.00", tier="fast"),
    fact("anthropic claude-opus-5-5 2026-10-01 output 40.00", tier="fast"),
    fact("anthropic claude-opus-4-6 2026-04-01 input 5.50", region="us"),
    fact("anthropic claude-opus-4-6 2026-04-01 output 165.00", tier="fast", region="us"),
    fact("anthropic claude-sonnet-4-5 2026-04-01 input 3.00", region="global"),
    fact("anthropic claude-fable-5-1 2026-10-01 cache_read 0.25"),
    fact("anthropic claude-sonnet-5-5 2026-10-01 cache_read 0.20"),
    fact("anthropic claude-sonnet-5-5 2026-10-08 cache_read 0.10"),
    fact("anthropic claude-opus-4-8 2026-08-01 web_search 10.00", per=1_000),
    fact("anthropic claude-opus-4-8 2026-08-01 web_fetch 0", per=1),
    # clouds: 10 % anywhere but at the global endpoint, from Claude 4.5 on
    fact("bedrock us.anthropic.claude-sonnet-4-5-20250929-v1:0 2025-12-01 input 3.30"),
    fact("bedrock global.anthropic.claude-sonnet-4-5-20250929-v1:0 2025-12-01 input 3.00"),
    fact("bedrock us.anthropic.claude-sonnet-4-5-20250929-v1:0 2025-12-01 output 24.75", prompt=250_000),
    fact("bedrock us.anthropic.claude-3-7-sonnet-20250219-v1:0 2025-06-01 input 3.00"),
    fact("bedrock eu.anthropic.claude-opus-4-6-v1 2026-04-01 cache_write_1h 11.00"),
    fact("vertex claude-sonnet-4-5@20250929 2025-12-01 output 16.50", region="us-east5"),
    fact("vertex claude-sonnet-4-5@20250929 2025-12-01 output 15.00", region="global"),
    fact("vertex claude-3-7-sonnet@20250219 2025-12-01 output 15.00", region="us-east5"),
]

# Google: https://ai.google.dev/gemini-api/docs/pricing, its archived copies, developers.googleblog.com.
GOOGLE = [
    fact("gemini gemini-1.5-pro-001 2024-08-01 input 3.50"),
    fact("gemini gemini-1.5-pro-002 2024-10-02 input 1.25"),
    fact("gemini gemini-1.5-pro 2024-08-01 output 21.00", prompt=130_000),
    fact("gemini gemini-1.5-pro-002 2025-01-01 output 10.00", prompt=128_001),
    fact("gemini gemini-1.5-flash 2024-07-01 input 0.35"),
    fact("gemini imagen-4.0-fast-generate-001 2025-10-01 image 0.02", per=1),
    fact("vertex imagen-4.0-ultra-generate-001 2025-10-01 image 0.06", per=1),
    fact("gemini gemini-2.0-flash-live-001 2025-06-01 output_audio 8.50"),
    fact("gemini gemini-1.5-flash 2024-09-01 output 0.30"),
    fact("gemini gemini-1.5-flash-8b 2024-12-01 output 0.15"),
    fact("gemini gemini-1.0-pro 2024-06-01 output 1.50"),
    fact("gemini gemini-2.0-flash 2025-06-01 input_audio 0.70"),
    fact("gemini gemini-2.0-flash 2025-06-01 cache_read_audio 0.175"),
    fact("gemini gemini-2.5-flash-preview-05-20 2025-06-01 output 0.60"),
    fact("gemini gemini-2.5-flash-preview-05-20 2025-06-01 output 3.50", details={"thinking": "on"}),
    fact("gemini gemini-2.5-flash 2025-07-01 output 2.50"),
    fact("gemini gemini-2.5-flash 2025-07-01 input_audio 1.00"),
    fact("gemini gemini-2.5-pro-preview-06-05 2025-06-10 cache_read 0.31"),
    fact("gemini gemini-2.5-pro 2026-01-01 input 2.50", prompt=200_001),
    fact("gemini gemini-2.5-pro 2026-01-01 cache_read 0.25", prompt=200_001),
    fact("gemini gemini-2.5-pro 2026-06-01 output 5.00", tier="batch"),
    fact("gemini gemini-2.5-flash 2026-06-01 cache_read 0.03", tier="flex"),
    fact("gemini gemini-2.5-flash 2026-06-01 output 4.50", tier="priority"),
    fact("gemini gemini-3-flash-preview 2026-06-01 input_audio 1.80", tier="priority"),
    fact("gemini gemini-3-pro-preview 2025-12-01 output 18.00", prompt=200_001),
    fact("gemini gemini-2.5-flash-image 2025-12-01 output_image 30.00"),
    fact("gemini gemini-3-pro-image-preview 2025-12-01 output_image 120.00"),
    fact("gemini gemini-3.6-flash 2026-08-12 output 7.50"),
    fact("gemini gemini-3.6-flash 2026-09-01 output 3.75"),
    fact("gemini gemini-2.5-flash 2025-12-01 grounded_prompt 35.00", per=1_000),
    fact("gemini gemini-3-flash-preview 2026-02-01 web_search 14.00", per=1_000),
    fact("gemini gemini-2.5-pro 2026-01-01 maps_grounded_prompt 25.00", per=1_000),
    fact("gemini gemini-embedding-001 2025-12-01 input 0.15"),
    fact("vertex gemini-3-flash-preview 2026-06-30 input 0.50", region="us-central1"),
    fact("vertex gemini-3-flash-preview 2026-07-02 input 0.55", region="us-central1"),
    fact("vertex gemini-3-flash-preview 2026-07-02 input 0.50", region="global"),
    fact("vertex gemini-2.5-pro 2026-07-02 input 1.25", region="europe-west4"),
    fact("vertex gemini-2.5-flash 2026-06-01 input 0.15", tier="ON_DEMAND_FLEX", region="global"),
    fact("vertex gemini-2.5-flash 2026-06-01 output 0", tier="PROVISIONED_THROUGHPUT"),
    fact("vertex gemini-2.5-pro 2026-01-01 enterprise_grounded_prompt 45.00", per=1_000),
]

# https://api-docs.deepseek.com/quick_start/pricing, its news and its archived copies.
DEEPSEEK = [
    fact("deepseek deepseek-chat 2025-01-15 output 0.28"),
    fact("deepseek deepseek-chat 2025-02-08T16:00:00Z output 1.10"),
    fact("deepseek deepseek-chat 2025-03-10T17:00:00Z input 0.135"),
    fact("deepseek deepseek-chat 2025-03-11T00:15:00Z cache_read 0.035"),
    fact("deepseek deepseek-chat 2025-03-11T00:45:00Z input 0.27"),
    fact("deepseek deepseek-chat 2025-02-26T12:00:00Z input 0.27"),
    fact("deepseek deepseek-reasoner 2025-03-10T17:00:00Z output 0.55"),
    fact("deepseek deepseek-reasoner 2025-03-10T12:00:00Z output 2.19"),
    fact("deepseek deepseek-reasoner 2025-09-05T17:00:00Z output 1.68"),
    fact("deepseek deepseek-chat 2025-10-01 output 0.42"),
    fact("deepseek deepseek-chat 2025-10-01 cache_read 0.028"),
    fact("deepseek deepseek-v4-flash 2026-08-10T02:00:00Z input 0.14"),
    fact("deepseek deepseek-v4-flash 2026-08-17T02:00:00Z input 0.44"),  # Monday, in the first peak
    fact("deepseek deepseek-v4-flash 2026-08-17T05:00:00Z input 0.22"),  # between the two peaks
    fact("deepseek deepseek-v4-flash 2026-08-22T02:00:00Z input 0.22"),  # Saturday
    fact("deepseek deepseek-v4-flash 2026-09-10T08:00:00Z output 1.20"),
    fact("deepseek deepseek-v4-flash 2026-09-25T02:00:00Z output 0.60"),  # Mid-Autumn Festival
    fact("deepseek deepseek-v4-flash 2026-09-28T10:00:00Z output 0.60"),  # the peak has just ended
    fact("deepseek deepseek-v4-pro 2026-06-01 cache_read 0.003625"),
    fact("deepseek deepseek-v4-pro 2026-09-28T09:59:00Z output 3.96"),
]

# https://docs.x.ai/developers/pricing and its guide to the retirements of 2026-05-15.
XAI = [
    fact("xai grok-4-0709 2025-10-01 cache_read 0.75"),
    fact("xai grok-4-0709 2025-10-01 output 30.00", prompt=128_000),
    fact("xai grok-4-fast-reasoning 2025-12-01 output 0.50"),
    fact("xai grok-4-fast-reasoning 2025-12-01 output 1.00", prompt=130_000),
    fact("xai grok-4-fast-reasoning 2026-07-02 output 2.50"),
    fact("xai grok-4.3 2026-08-12 input 2.50", prompt=200_000),
    fact("xai grok-4.3 2026-08-12 input 1.25", prompt=199_999),
    fact("xai grok-4.3 2026-08-12 cache_read 0.20"),
    fact("xai grok-4.3 2026-08-12 output 2.00", tier="batch"),
    fact("xai grok-4.3 2026-08-12 web_search 5.00", per=1_000),
    fact("xai grok-3 2025-08-01 search_source 25.00", per=1_000),
    fact("xai grok-imagine-image-pro 2026-04-30 image 0.07", per=1),
    fact("xai grok-imagine-image-quality 2026-11-10 image 0.04", per=1),
    fact("xai grok-4.6 2026-10-10 output 6.60", region="us"),
    fact("xai grok-4.5 2026-08-10 output 12.00", tier="priority"),
    fact("xai grok-4.3 2026-06-10 output 2.50", region="us-east-1"),
    fact("xai grok-voice-think-fast-1.0 2026-06-01 session_second 0.05", per=60),
    fact("xai grok-voice-latest 2026-10-01 session_second 0.08", per=60),
    fact("xai grok-4.3 2026-08-12 x_search 5.00", per=1_000),
    fact("xai grok-4.3 2026-08-12 collection_search 2.50", per=1_000),
    fact("xai grok-code-fast-1 2025-12-01 output 1.50"),
]

# https://aws.amazon.com/bedrock/pricing/
BEDROCK = [
    fact("bedrock us.amazon.nova-pro-v1:0 2026-06-01 output 1.60", tier="flex"),
    fact("bedrock us.amazon.nova-pro-v1:0 2026-06-01 input 1.40", tier="priority"),
    fact("bedrock amazon.nova-micro-v1:0 2026-06-01 input 0.0175", tier="batch"),
    fact("bedrock us.amazon.nova-2-lite-v1:0 2026-06-01 output 2.75"),
    fact("bedrock us.amazon.nova-pro-v1:0 2026-06-01 input 1.00", details={"latency": "optimized"}),
    fact("bedrock anthropic.claude-v2 2024-06-01 output 24.00"),
    fact("bedrock meta.llama3-1-70b-instruct-v1:0 2025-06-01 input 0.72"),
    fact("bedrock amazon.titan-embed-text-v2:0 2025-06-01 input 0.02"),
    fact("bedrock openai.gpt-oss-120b-1:0 2026-06-01 output 0.60"),
    fact(
        "bedrock us.meta.llama3-1-70b-instruct-v1:0 2025-07-20 output 0.90", details={"latency": "optimized"}
    ),
    fact(
        "bedrock amazon.titan-image-generator-v2:0 2025-07-20 image 0.012",
        per=1,
        details={"quality": "premium"},
    ),
    fact("bedrock cohere.rerank-v3-5:0 2026-06-01 search_unit 2.00", per=1_000),
    fact(
        "bedrock us.meta.llama3-1-405b-instruct-v1:0 2025-06-01 input 3.00", details={"latency": "optimized"}
    ),
    fact("bedrock amazon.rerank-v1:0 2026-06-01 search_unit 1.00", per=1_000),
    fact("bedrock amazon.nova-canvas-v1:0 2026-06-01 image 0.04", per=1, details={"quality": "standard"}),
    fact(
        "bedrock amazon.nova-canvas-v1:0 2026-06-01 image 0.08",
        per=1,
        details={"quality": "premium", "size": "2048x2048"},
    ),
    fact("bedrock stability.stable-image-ultra-v1:1 2026-06-01 image 0.14", per=1),
]

# The others, each from its own page of prices.
OTHERS = [
    fact("mistral mistral-large-latest 2024-08-01 output 9.00"),
    fact("mistral mistral-large-latest 2025-06-01 output 6.00"),
    fact("mistral mistral-large-latest 2026-01-01 output 1.50"),
    fact("mistral mistral-medium-latest 2025-10-01 input 0.40"),
    fact("mistral mistral-large-2512 2026-06-01 input 0.25", tier="batch"),
    fact("mistral mistral-ocr-2503 2025-04-01 page 1.00", per=1_000),
    fact("mistral mistral-ocr-2512 2026-01-15 page 3.00", per=1_000, details={"annotated": "true"}),
    fact("cohere command-r-08-2024 2025-06-01 output 0.60"),
    fact("cohere command-r 2025-06-01 output 1.50"),
    fact("cohere command-a-03-2025 2025-06-01 output 10.00"),
    fact("cohere rerank-v3.5 2025-06-01 search_unit 2.00", per=1_000),
    fact("cohere embed-v4.0 2025-06-01 input_image 0.47"),
    fact("groq llama-3.3-70b-versatile 2025-06-01 output 0.79"),
    fact("groq llama-3.3-70b-versatile 2025-06-01 output 0.79", tier="flex"),
    fact("groq llama-3.3-70b-versatile 2025-06-01 output 0.395", tier="batch"),
    fact("groq whisper-large-v3-turbo 2025-06-01 input_audio_second 0.04", per=3_600),
    fact("voyageai voyage-3.5 2025-10-01 input 0.06"),
    fact("voyageai rerank-2-lite 2025-10-01 input 0.02"),
    fact("perplexity sonar 2025-10-01 request 5.00", per=1_000),
    fact("perplexity sonar-pro 2025-10-01 request 14.00", per=1_000, details={"search_context_size": "high"}),
    fact("perplexity sonar-deep-research 2025-10-01 reasoning 3.00"),
    fact("zai glm-4.6 2025-12-01 output 2.20"),
    fact("dashscope qwen3-coder-plus 2026-01-01 output 60.00", prompt=256_001),
    fact("dashscope qwen-plus 2026-01-01 input 0.40", prompt=256_000),
    fact("openrouter minimax/minimax-m2:free 2025-11-03 output 0"),
    fact("openrouter google/gemini-2.5-flash 2026-03-08 cache_read 0.03"),
    fact("openrouter anthropic/claude-4.6-sonnet-20260217 2026-03-08 cache_write 3.75"),
    fact("ollama llama3 2026-03-08 output 0"),
    fact("crusoe meta-llama/Llama-3.3-70B-Instruct 2026-08-11 output 0.75"),
    fact("crusoe openai/gpt-oss-120b 2026-10-11 output 0.25"),
    fact("mistral voxtral-mini-latest 2026-06-01 input_audio_second 0.003", per=60),
    fact("mistral voxtral-small-2507 2026-06-01 input_audio_second 0.004", per=60),
    fact("groq groq/compound 2026-06-01 web_search 5.00", per=1_000),
]

FACTS = [*OPENAI, *ANTHROPIC, *GOOGLE, *DEEPSEEK, *XAI, *BEDROCK, *OTHERS]


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.standard()


@pytest.mark.parametrize("stated", FACTS, ids=str)
def test_the_book_says_what_the_price_page_says(book: PriceBook, stated: Fact) -> None:
    """One unit of one model under one set of conditions on one day, to the last digit."""
    circumstances = Circumstances(stated.tier, stated.region, stated.details)
    counts = Usage(input=stated.prompt)
    found = book.find(stated.provider, stated.model, parse_moment(stated.at)[0], circumstances, counts)
    assert not isinstance(found, Missing), found
    governing = found.rates.governing(stated.unit)
    assert governing is not None, sorted(found.rates)
    rate = found.rates[governing]
    assert Fraction(rate.amount_nano, rate.per) == Fraction(Decimal(stated.amount)) * NANO / stated.per


def test_there_are_enough_facts_to_call_it_a_check() -> None:
    assert len({str(stated) + stated.unit for stated in FACTS}) >= 80


def test_whisper_on_groq_bills_ten_seconds_at_least(book: PriceBook) -> None:
    """console.groq.com/docs/speech-to-text, minimum billed length."""
    found = book.find("groq", "whisper-large-v3", parse_moment("2025-06-01")[0])
    assert not isinstance(found, Missing)
    assert found.minimums == {"input_audio_second": 10}


@pytest.mark.parametrize("model", ["gpt-5.2-proo", "text-embedding-4-ultra", "claude-sonet-4-5"])
def test_a_name_nobody_sells_has_no_price(book: PriceBook, model: str) -> None:
    for provider in ("openai", "anthropic"):
        assert isinstance(book.find(provider, model, parse_moment("2026-06-01")[0]), Missing)
