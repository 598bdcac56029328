"""LiteLLM's price file as a source: a row per model, keys that carry size and tier in their names.

A row whose tokens all cost 0 is left out: the file writes 0 where it does not know. Its amounts
are dollars per single unit (github.com/BerriAI/litellm, the file and its schema, 2026-11-21).
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from flatfare.prices.names import ALIASES, provider_of

PER_UNIT: Mapping[str, str] = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "cache_read_input_audio_token_cost": "cache_read_audio",
    "cache_creation_input_audio_token_cost": "cache_write_audio",
    "cache_read_input_image_token_cost": "cache_read_image",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "input_cost_per_video_token": "input_video",
    "output_cost_per_video_token": "output_video",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_character": "input_character",
    "output_cost_per_character": "output_character",
    "ocr_cost_per_page": "page",
    "code_interpreter_cost_per_session": "code_session",
    "google_maps_grounding_cost_per_query": "maps_grounded_prompt",
}
BY_MODE: Mapping[tuple[str, str], str] = {
    ("audio_transcription", "input_cost_per_second"): "input_audio_second",
    ("audio_speech", "output_cost_per_second"): "output_audio_second",
    ("video_generation", "output_cost_per_second"): "output_video_second",
    ("image_generation", "output_cost_per_image"): "image",
    ("rerank", "input_cost_per_query"): "search_unit",
}
"""Keys that mean a unit only for a kind of model."""

TIERS: Mapping[str, str] = {"batches": "batch"}
PROVIDERS: Mapping[str, str] = {
    "bedrock_converse": "bedrock",
    "bedrock_mantle": "bedrock",
    "cohere_chat": "cohere",
}
_PER_MILLION = frozenset({"input_character", "output_character"})
_KEY = re.compile(
    r"(?P<base>.+?)(?:_above_(?P<size>\d+)k_tokens)?(?:_(?P<tier>batches|flex|priority|balanced|ultrafast))?"
)
_UPLIFT = "regional_processing_uplift_multiplier_"
_REGION = re.compile(r"us|eu|us-gov|global|global-standard|[a-z]{2}(?:-[a-z]+)+-\d")
_ROUTED = frozenset(
    ("azure", "gemini", "bedrock", "xai", "mistral", "deepseek", "groq", "openrouter", "cohere")
)
_SKIPPED = ("sample_spec", "fallback_generalizations")

Statement = dict[str, object]


def catalogues(rows: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Our provider name → a file's content (docs/price-data.md)."""
    found: dict[str, dict[str, object]] = {}
    for name, row in rows.items():
        if name in _SKIPPED or not isinstance(row, Mapping) or "commitment" in name:
            continue
        provider = _provider(str(row.get("litellm_provider", "")))
        model, region = _model(name)
        statements = [_in_region(statement, region) for statement in statements_of(row)]
        if not provider or not statements:
            continue
        content = found.setdefault(provider, {"provider": provider, "source": "litellm", "models": {}})
        models = content["models"]
        assert isinstance(models, dict)
        prices = models.setdefault(model, {"prices": []})["prices"]
        prices += [statement for statement in statements if statement not in prices]
    return found


def statements_of(row: Mapping[str, object]) -> Iterator[Statement]:
    """A row's statements: plain, per size, per tier, off-peak, per region."""
    mode = str(row.get("mode", ""))
    by_condition: dict[tuple[str, str], dict[str, str]] = {}
    for key, value in row.items():
        found = _KEY.fullmatch(key)
        unit = PER_UNIT.get(found["base"]) or BY_MODE.get((mode, found["base"])) if found else None
        if found is None or unit is None or not _is_number(value):
            continue
        size = f"over {int(found['size']) * 1000}" if found["size"] else ""
        tier = found["tier"] or ""
        by_condition.setdefault((TIERS.get(tier, tier), size), {})[unit] = _amount(unit, value)
    plain = by_condition.get(("", ""), {})
    if plain and all(Decimal(text.split()[0]) == 0 for text in plain.values()):
        return
    for (tier, size), rates in sorted(by_condition.items()):
        when = {key: text for key, text in (("tier", tier), ("context", size)) if text}
        yield {**({"when": when} if when else {}), "rates": rates}
    yield from _bands(row)
    yield from _off_peak(row)
    for key, value in row.items():
        if key.startswith(_UPLIFT) and _is_number(value):
            yield {"when": {"region": key.removeprefix(_UPLIFT)}, "times": str(value)}


def _bands(row: Mapping[str, object]) -> Iterator[Statement]:
    """``tiered_pricing``: rates from a size of prompt on."""
    bands = row.get("tiered_pricing")
    for band in bands if isinstance(bands, list) else ():
        low = int(band["range"][0]) if isinstance(band.get("range"), list) else 0
        if rates := _token_rates(band):
            yield {**({"when": {"context": f"over {low}"}} if low else {}), "rates": rates}


def _off_peak(row: Mapping[str, object]) -> Iterator[Statement]:
    """``off_peak_pricing``: other rates in windows of UTC; weekdays are 1 (Monday) to 7."""
    cheap = row.get("off_peak_pricing")
    if not isinstance(cheap, Mapping):
        return
    rates = _token_rates(cheap)
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    for window in cheap.get("windows", ()):
        hours = window.get("hours_utc", [])
        hours = [hours] if isinstance(hours, str) else list(hours)
        hours = ["00:00-24:00" if text == "00:00-00:00" else text for text in hours]
        days = [names[int(day) - 1] for day in window.get("weekdays", range(1, 8))]
        yield {"when": {"during": {"zone": "UTC", "days": days, "hours": hours}}, "rates": rates}


def _token_rates(row: Mapping[str, object]) -> dict[str, str]:
    return {
        PER_UNIT[key]: _amount(PER_UNIT[key], value)
        for key, value in row.items()
        if key in PER_UNIT and _is_number(value)
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _amount(unit: str, value: object) -> str:
    """Dollars per single unit, as the book writes them: per million for tokens and characters."""
    amount = Decimal(str(value))
    per_million = unit in _PER_MILLION or not unit.endswith(
        ("_second", "image", "page", "session", "prompt", "search_unit")
    )
    if unit in ("input_image", "output_image", "cache_read_image"):
        per_million = True
    return format((amount * 1_000_000 if per_million else amount).normalize(), "f")


def _provider(name: str) -> str:
    lowered = name.split("-", maxsplit=1)[0] if name.startswith("vertex_ai-") else name
    return PROVIDERS.get(lowered, provider_of(lowered))


def _model(name: str) -> tuple[str, str | None]:
    """The model's name without the provider LiteLLM routes by, and the region that the name pins."""
    vendor, slash, rest = name.partition("/")
    if slash and (vendor in ALIASES or vendor in _ROUTED):
        name = rest
    place, slash, rest = name.partition("/")
    if slash and _REGION.fullmatch(place):
        return rest, None if place.startswith("global") else place
    return name, None


def _in_region(statement: Statement, region: str | None) -> Statement:
    if region is None:
        return statement
    when = statement.get("when")
    return {**statement, "when": {**(when if isinstance(when, dict) else {}), "region": region}}
