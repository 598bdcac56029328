"""The dearest rates that may apply to a call, whatever its length and the tier that will serve it."""

import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from flatfare.core.pricing import Rate
from flatfare.dialects.reading import Asked
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.prices.limits import limits_of
from flatfare.service.budgets import contents

MILLION = 1_000_000

_EDGES = (32_000, 128_000, 200_000, 256_000, 272_000, 512_000)
"""Sizes of prompts, in tokens, beyond which rates change."""

_SIZES = tuple(
    tuple(sorted({1, *_EDGES[: count + 1], *(edge + 1 for edge in _EDGES[:count])}))
    for count in range(len(_EDGES) + 1)
)

_INPUT_UNITS = ("input", "tool_use_input", "input_image", "cache_read")
_HEARD_UNITS = ("input_audio", "input_video", "cache_read_audio", "cache_read_image", "cache_read_video")
_OUTPUT_UNITS = ("output", "reasoning", "output_audio", "output_image", "output_video")
_CACHES_WHEN_ASKED = re.compile("claude|qwen")
"""Whose models keep only what a request marks; what others read may be billed as written to their cache."""

UNSAID = (None, "auto")
"""What a request says of its tier that leaves it to its provider."""

TIER_UNSAID = '"tier":"unsaid"'
"""In the traits of a call under a hard budget that left its tier to what its project is set to."""

OWN_DEFAULT = frozenset(("openai", "azure"))
"""Whose projects or deployments have a tier of their own for requests that name none, or ``auto``: it may be
priority (OpenAI's API reference, service_tier; learn.microsoft.com, priority processing; both 2026-11)."""

_FEES = (
    *("web_search", "web_fetch", "grounded_prompt", "maps_grounded_prompt", "enterprise_grounded_prompt"),
    *("x_search", "search_source", "file_search", "collection_search", "code_session", "code_execution"),
    "tool_call",
)


@dataclass(frozen=True, slots=True)
class Terms:
    """The dearest rates that may apply to a call, in nano-dollars per million, and the model's limits."""

    reading: int
    hearing: int  # the same where what is read may be sound or film
    caching: int
    caching_1h: int
    writing: int
    request: int
    search_unit: int
    character: int
    picture: int
    image: int  # one picture drawn
    second: int  # of what is heard
    is_timed: bool  # what is read may be billed by the second
    fee: int | None  # the dearest of one hosted tool's use; None where none has a rate
    reads: int | None
    writes: int | None
    may_be_dearer: bool = False  # the provider may serve it at a dearer tier than it names

    def ranking(self, body: bytes) -> int:
        """What a reranker's search units cost: one for each hundred documents of 500 tokens."""
        documents = body.count(b'"') // 2 + len(body) // 500
        return self.search_unit * (documents // 100 + 1)

    def input_rate(self, body: bytes) -> int:
        """The dearest rate of what is read."""
        reading = self.hearing if contents.stands_elsewhere(body) else self.reading
        if contents.is_kept_an_hour(body):
            return max(self.caching_1h, self.caching, reading)
        return max(self.caching, reading) if contents.is_kept(body) else reading

    @property
    def is_by_character(self) -> bool:
        """All of it is billed by the characters of what is read."""
        return self.character > 0 and not self.reading and not self.writing and not self.is_timed


def tiers_of(provider: str, tier: str | None) -> tuple[str | None, ...]:
    """The tier that a request names, and any other at which the provider may serve it by itself.

    >>> tiers_of("openai", None), tiers_of("openai", "default"), tiers_of("anthropic", None)
    ((None, 'priority'), ('default',), (None,))
    """
    if tier == "auto" or (tier is None and provider in OWN_DEFAULT):
        return tier, "priority"
    # The tier that serves may be another than was asked for (OpenAI's API reference, service_tier, 2026-11).
    return (tier, "default") if tier == "flex" else (tier,)


def sizes_of(reads: int | None) -> tuple[int, ...]:
    """The sizes of a prompt of so many tokens at most at which rates may differ, but for the model's largest.

    A longer prompt may have other rates, for all of it: every size that it may have counts.

    >>> sizes_of(40_000)
    (1, 32000, 32001, 128000)
    """
    return _SIZES[len(_EDGES) if reads is None else bisect_left(_EDGES, reads)]


def terms_of(
    prices: PriceBook,
    provider: str,
    asked: Asked,
    at_us: int,
    sizes: Sequence[int],
    tiers: Sequence[str | None],
) -> Terms | str:
    """The dearest terms at any of some sizes and tiers, or why there are none."""
    assert asked.model is not None
    largest = limits_of(asked.model).reads or 2_000_000
    counted = [size for size in sizes if size <= largest or size == 1]
    if sizes[-1] > _EDGES[-1] and largest not in counted:
        counted.append(largest)
    found: list[Found] = []
    own = 0  # of them, at the tier that is named
    for tier in tiers:
        one = Circumstances(tier, asked.region, asked.details)
        for size in counted:
            at = prices.find(provider, asked.model, at_us, one, {"input": size, "output": 1})
            if isinstance(at, Found):
                found.append(at)
                own += tier == tiers[0]
            elif tier == asked.service_tier:
                return at.reason  # a model without a rate of another tier is not served at it
    if all(one.currency == "USD" for one in found):
        return _dearest(
            asked.model, found, Fraction(1), may_be_dearer=tiers[-1] == "priority" and len(found) > own
        )
    exchanged = prices.exchange.at(found[0].currency, at_us)
    if exchanged is None:
        return f"no exchange rate of {found[0].currency} is known for the day"
    return _dearest(asked.model, found, exchanged.rate)


def _dearest(
    model: str, found: Sequence[Found], factor: Fraction, *, may_be_dearer: bool = False
) -> Terms | str:
    def dearest(*units: str) -> int:
        rate = max((_rate(one, unit) for one in found for unit in units), default=Fraction(0))
        return math.ceil(rate * factor * MILLION)

    reading, caching = dearest(*_INPUT_UNITS), dearest("cache_write", "cache_write_5m")
    writing, character = dearest(*_OUTPUT_UNITS), dearest("input_character")
    if not (character or reading or writing) and not all(one.rates for one in found):
        return f"no rate by tokens is known of {model}"
    if not _CACHES_WHEN_ASKED.search(model.lower()):
        reading = max(reading, caching)
    fees = [_rate(found[0], unit) for unit in _FEES if unit in found[0].rates]
    limits = limits_of(model)
    return Terms(
        reading=reading,
        hearing=max(reading, dearest(*_HEARD_UNITS)),
        caching=caching,
        caching_1h=dearest("cache_write_1h"),
        writing=writing,
        request=dearest("request"),
        search_unit=dearest("search_unit"),
        character=character,
        picture=dearest("input_image_count"),
        image=dearest("image"),
        second=dearest("input_audio_second"),
        is_timed=dearest("input_audio_second", "input_video_second") > 0,
        fee=math.ceil(max(fees) * factor * MILLION) if fees else None,
        reads=limits.reads,
        writes=limits.writes,
        may_be_dearer=may_be_dearer,
    )


def _rate(found: Found, unit: str) -> Fraction:
    governing = found.rates.governing(unit)
    rate: Rate | None = None if governing is None else found.rates[governing]
    return Fraction(0) if rate is None else Fraction(rate.amount_nano, rate.per)
