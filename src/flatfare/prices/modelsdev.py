"""models.dev as a source: its api.json, a table of costs per model, in dollars per million tokens.

A model whose input and output both cost 0 is left out unless its name says free: the table does not
tell a plan's included model from a free one (anomalyco/models.dev, README and schema, 2026-11-21).
"""

from collections.abc import Mapping
from decimal import Decimal

from flatfare.prices.names import provider_of

UNITS: Mapping[str, str] = {
    "input": "input",
    "output": "output",
    "reasoning": "reasoning",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "input_audio": "input_audio",
    "output_audio": "output_audio",
}
PROVIDERS: Mapping[str, str] = {
    "amazon-bedrock": "bedrock",
    "google": "gemini",
    "google-vertex": "vertex",
    "google-vertex-anthropic": "vertex",
    "azure-cognitive-services": "azure",
    "togetherai": "together",
    "fireworks-ai": "fireworks",
    "novita-ai": "novita",
}
_OVER = "context_over_"


def catalogues(document: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Our provider name → a file's content (docs/price-data.md)."""
    found: dict[str, dict[str, object]] = {}
    for identity, provider in document.items():
        if not isinstance(provider, Mapping) or not isinstance(provider.get("models"), Mapping):
            continue
        name = PROVIDERS.get(identity, provider_of(identity))
        content = found.setdefault(name, {"provider": name, "source": "models.dev", "models": {}})
        models = content["models"]
        assert isinstance(models, dict)
        for model, row in provider["models"].items():
            cost = row.get("cost") if isinstance(row, Mapping) else None
            if isinstance(cost, Mapping) and (statements := statements_of(cost, model.endswith(":free"))):
                models.setdefault(model, {"prices": statements})
    return found


def statements_of(cost: Mapping[str, object], may_be_free: bool = False) -> list[dict[str, object]]:
    """A cost table's statements: plain, and per size of prompt."""
    plain = _rates(cost)
    if not may_be_free and all(Decimal(plain.get(unit, "0")) == 0 for unit in ("input", "output")):
        return []
    found: list[dict[str, object]] = [{"rates": plain}]
    tiers = cost.get("tiers")
    for tier in tiers if isinstance(tiers, list) else ():
        bound = tier.get("tier")
        if isinstance(bound, Mapping) and bound.get("type") == "context":
            found.append({"when": {"context": f"from {int(bound['size'])}"}, "rates": _rates(tier)})
    if len(found) == 1:
        for key, value in cost.items():
            size = key.removeprefix(_OVER).removesuffix("k")
            if key.startswith(_OVER) and size.isdigit() and isinstance(value, Mapping):
                found.append({"when": {"context": f"over {int(size) * 1000}"}, "rates": _rates(value)})
    return found


def _rates(cost: Mapping[str, object]) -> dict[str, str]:
    return {
        unit: format(Decimal(str(cost[key])).normalize(), "f")
        for key, unit in UNITS.items()
        if isinstance(cost.get(key), int | Decimal) and not isinstance(cost[key], bool)
    }
