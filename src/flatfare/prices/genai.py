"""genai-prices as a source: its dated prices, variants and match rules in the book's own form.

What it says is kept as it says it: a later set of prices replaces the whole earlier one,
a tier of prompt size holds above its start, a variant adds to the standard set.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from flatfare.prices.names import ALIASES

if TYPE_CHECKING:
    from genai_prices import types as genai

PROVIDERS: Mapping[str, str] = {"google": "gemini", "aws": "bedrock", "x-ai": "xai"}
"""Their names of providers where ours differ."""

UNITS: Mapping[str, tuple[str, int]] = {
    "input_mtok": ("input", 1_000_000),
    "output_mtok": ("output", 1_000_000),
    "cache_read_mtok": ("cache_read", 1_000_000),
    "cache_write_mtok": ("cache_write", 1_000_000),
    "cache_write_5m_mtok": ("cache_write_5m", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h", 1_000_000),
    "input_audio_mtok": ("input_audio", 1_000_000),
    "output_audio_mtok": ("output_audio", 1_000_000),
    "cache_audio_read_mtok": ("cache_read_audio", 1_000_000),
    "cache_audio_write_mtok": ("cache_write_audio", 1_000_000),
    "input_image_mtok": ("input_image", 1_000_000),
    "output_image_mtok": ("output_image", 1_000_000),
    "cache_image_read_mtok": ("cache_read_image", 1_000_000),
    "input_video_mtok": ("input_video", 1_000_000),
    "output_video_mtok": ("output_video", 1_000_000),
    "cache_video_read_mtok": ("cache_read_video", 1_000_000),
    "input_tool_mtok": ("tool_use_input", 1_000_000),
    "output_reasoning_mtok": ("reasoning", 1_000_000),
    "input_mchars": ("input_character", 1_000_000),
    "audio_hours": ("input_audio_second", 3600),
    "input_audio_hours": ("input_audio_second", 3600),
    "output_audio_hours": ("output_audio_second", 3600),
    "input_document_kpages": ("page", 1000),
    "rerank_searches_kcount": ("search_unit", 1000),
    "web_searches_kcount": ("web_search", 1000),
    "social_searches_kcount": ("x_search", 1000),
    "storage_searches_kcount": ("file_search", 1000),
    "code_executions_kcount": ("code_execution", 1000),
    "requests_kcount": ("request", 1000),
}
"""Their price keys, our unit and the quantity the price is for; keys without one of ours are left out."""

CONDITIONS: Mapping[str, str] = {"processing": "tier", "service_tier": "tier", "speed": "tier"}
"""Their names of conditions where ours differ; the rest are details by their own name."""

Statement = dict[str, object]


def catalogues() -> dict[str, dict[str, object]]:
    """The installed package's data: our provider name → a file's content (docs/price-data.md)."""
    from genai_prices import __version__
    from genai_prices.data import providers

    found = {}
    for provider in providers:
        name = PROVIDERS.get(provider.id, provider.id)
        windows: dict[str, object] = {}
        models = {model.id: model_of(model, windows) for model in provider.models}
        content: dict[str, object] = {"provider": name, "source": f"genai-prices {__version__}"}
        if provider.fallback_model_providers:
            content["rates_of"] = [_ours(other) for other in provider.fallback_model_providers]
        if windows:
            content["windows"] = windows
        content["models"] = models
        found[name] = content
    return found


def model_of(model: "genai.ModelInfo", windows: dict[str, object]) -> dict[str, object]:
    """One model: how its names match, and its statements."""
    clause = clause_of(model.match)
    names = _names(clause)
    content: dict[str, object] = {"match": clause} if names is None else {}
    if others := [name for name in names or () if name != model.id.lower()]:
        content["also"] = others
    content["prices"] = [*_standard(model, windows), *_variants(model, windows)]
    return content


def written(content: Mapping[str, object]) -> bytes:
    """A catalogue as JSON with a line per model, so that a change of one model is a change of one line."""
    head = {key: value for key, value in content.items() if key != "models"}
    models = content["models"]
    assert isinstance(models, Mapping)
    lines = ",\n".join(f"{_json(name)}:{_json(model)}" for name, model in models.items())
    return f'{_json(head)[:-1]},"models":{{\n{lines}\n}}}}\n'.encode()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _names(clause: list[object]) -> list[str] | None:
    """The names a match lists, where it does nothing but list names."""
    if clause[0] == "equals":
        return [str(clause[1])]
    if clause[0] != "or":
        return None
    found: list[str] = []
    for item in clause[1:]:
        assert isinstance(item, list)
        names = _names(item)
        if names is None:
            return None
        found += names
    return found


def clause_of(clause: "genai.MatchLogic") -> list[object]:
    """A match rule as a list: ``["equals", "gpt-4o"]``."""
    from genai_prices import types as genai

    if isinstance(clause, genai.ClauseOr):
        return ["or", *map(clause_of, clause.or_)]
    if isinstance(clause, genai.ClauseAnd):
        return ["and", *map(clause_of, clause.and_)]
    if isinstance(clause, genai.ClauseRegex):
        return ["regex", clause.regex]
    if isinstance(clause, genai.ClauseStartsWith):
        return ["starts", clause.starts_with.lower()]
    if isinstance(clause, genai.ClauseEndsWith):
        return ["ends", clause.ends_with.lower()]
    if isinstance(clause, genai.ClauseContains):
        return ["contains", clause.contains.lower()]
    return ["equals", clause.equals.lower()]


def _standard(model: "genai.ModelInfo", windows: dict[str, object]) -> Iterator[Statement]:
    from genai_prices import types as genai

    conditional = (
        model.prices if isinstance(model.prices, list) else [genai.ConditionalPrice(prices=model.prices)]
    )
    starts = [_start(item.constraint) for item in conditional]
    for position, item in enumerate(conditional):
        # The last one whose day has come applies, so each ends where a later one begins.
        later = [start for start in starts[position + 1 :] if start is not None]
        yield from _statements(item.prices, item.constraint, {}, min(later, default=None), windows)


def _variants(model: "genai.ModelInfo", windows: dict[str, object]) -> Iterator[Statement]:
    for variant in reversed(
        model.price_variants or []
    ):  # theirs: the first applies; ours: the one further down
        when = {CONDITIONS.get(key, key): value for key, value in variant.when.items()}
        if when.get("tier") == "default":
            continue
        yield from _statements(variant.prices, variant.constraint, when, None, windows)


def _statements(
    prices: "genai.ModelPrice",
    constraint: object,
    when: Mapping[str, str],
    until: date | None,
    windows: dict[str, object],
) -> Iterator[Statement]:
    """One statement for the plain rates and one for each threshold of prompt size."""
    from genai_prices import types as genai

    dated: Statement = {}
    if start := _start(constraint):
        dated["from"] = start.isoformat()
    if until:
        dated["until"] = until.isoformat()
    conditions = dict(when)
    if isinstance(constraint, genai.TimeOfDateConstraint):
        conditions["during"] = _window(constraint, windows)
    by_size: dict[int, dict[str, str]] = {0: {}}
    for key, value in prices.__dict__.items():
        if value is None or key not in UNITS:
            continue
        unit, per = UNITS[key]
        tiered = isinstance(value, genai.TieredPrices)
        by_size[0][unit] = _amount(value.base if tiered else value, per)
        for tier in value.tiers if tiered else ():
            by_size.setdefault(tier.start, {})[unit] = _amount(tier.price, per)
    for size, rates in by_size.items():
        if rates:
            stated = conditions if size == 0 else {**conditions, "context": f"over {size}"}
            yield {**dated, **({"when": stated} if stated else {}), "rates": rates}


def _start(constraint: object) -> date | None:
    from genai_prices import types as genai

    return constraint.start_date if isinstance(constraint, genai.StartDateConstraint) else None


def _window(constraint: "genai.TimeOfDateConstraint", windows: dict[str, object]) -> str:
    hours = f"{constraint.start_time:%H:%M}-{constraint.end_time:%H:%M}"
    name = f"utc {hours}"
    windows[name] = {"zone": "UTC", "hours": [hours]}
    return name


def _amount(value: Decimal, per: int) -> str:
    text = format(value.normalize(), "f")
    return text if per == 1_000_000 else f"{text} per {per}"


def _ours(provider: str) -> str:
    name = PROVIDERS.get(provider, provider)
    return ALIASES.get(name, name)
