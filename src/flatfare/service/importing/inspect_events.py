"""The events of one sample of an Inspect log: which models were called, what for, and with what usage."""

from collections.abc import Iterator, Mapping

from flatfare.service.importing.found import Cells, as_text, mapping
from flatfare.service.importing.words import read_purpose

Record = Mapping[str, object]

_PROVIDERS = {
    "openai/azure": "azure",
    "azureai": "azure",
    "anthropic/bedrock": "bedrock",
    "anthropic/vertex": "vertex",
    "google/vertex": "vertex",
    "google": "gemini",
    "grok": "xai",
    "openai-api": "",  # a compatible service, which the next part names
}
"""Names of providers and services that differ from ours (Inspect's docs on providers, 2026-11-21)."""


def split_model(name: str) -> tuple[str | None, str]:
    """The provider and the model that a name of Inspect's means.

    >>> split_model("openai/gpt-4o"), split_model("google/vertex/gemini-2.5-pro"), split_model("gpt-4o")
    (('openai', 'gpt-4o'), ('vertex', 'gemini-2.5-pro'), (None, 'gpt-4o'))
    """
    provider, slash, model = name.partition("/")
    if not slash:
        return None, name
    service, more, rest = model.partition("/")
    both = f"{provider}/{service}"
    if more and both in _PROVIDERS:
        return _PROVIDERS[both], rest
    if more and provider == "openai-api":
        return service, rest
    return _PROVIDERS.get(provider) or provider, model


def calls_of(events: list[Record], key: str, *, is_batch: bool, at: str | None) -> Iterator[Cells]:
    """A row for each model event."""
    judging = _judging_spans(events)
    is_judging = False
    number = 0
    for event in events:
        kind = event.get("event")
        if kind == "step" and event.get("type") in ("scorer", "scorers"):  # spans, before 0.3.80
            is_judging = event.get("action") == "begin"
        if kind != "model":
            continue
        number += 1
        judges = is_judging or as_text(event.get("span_id")) in judging
        config = mapping(event.get("config"))
        yield {
            "id": as_text(event.get("uuid")) or f"{key}/call {number}",
            "at": as_text(event.get("timestamp")) or at,
            "ended_at": as_text(event.get("completed")),
            "turn": str(number),
            "purpose": _purpose(as_text(event.get("role")), judges),
            "status": _status(event),
            "service_tier": "batch" if is_batch or config.get("batch") else None,
            **_models(event),
            **_usage_of(event),
        }


def _models(event: Record) -> Cells:
    asked = as_text(event.get("model")) or ""
    provider, name = split_model(asked)
    served = as_text(mapping(event.get("output")).get("model")) or name
    if served == asked:
        served = name
    return {"provider": provider, "model": served or None, "model_asked": name or None}


def _purpose(role: str | None, judges: bool) -> str:
    said = read_purpose(role)[0] if role else None
    return "verification" if judges and said != "simulation" else str(said or "work")


def _status(event: Record) -> str:
    if event.get("cache") == "read":
        return "cached"
    if event.get("error"):
        return "failed"
    return "cancelled" if event.get("pending") else "ok"


def _usage_of(event: Record) -> Cells:
    if event.get("cache") == "read":  # answered from Inspect's own cache: nothing was asked of the provider
        return {"prompt_tokens": "0", "completion_tokens": "0", "cost": "0"}
    return usage_cells(mapping(mapping(event.get("output")).get("usage")))


def usage_cells(usage: Record) -> Cells:
    """Token counts with what was cached inside the prompt and reasoning inside the answer.

    Newer logs count both beside ``input_tokens``, some older ones inside: their total tells.
    """
    if not usage:
        return {}
    said = {name: _count(usage.get(name)) for name in usage}
    prompt, answer = said.get("input_tokens") or 0, said.get("output_tokens") or 0
    cached = (said.get("input_tokens_cache_read") or 0) + (said.get("input_tokens_cache_write") or 0)
    reasoning, total = said.get("reasoning_tokens") or 0, said.get("total_tokens")
    is_inside = total == prompt + answer and cached <= prompt
    whole = prompt if is_inside else prompt + cached
    is_beside = reasoning > answer or (reasoning > 0 and total == whole + answer + reasoning)
    return {
        "prompt_tokens": str(whole),
        "completion_tokens": str(answer + reasoning if is_beside else answer),
        "cached_tokens": as_text(usage.get("input_tokens_cache_read")),
        "cache_write_tokens": as_text(usage.get("input_tokens_cache_write")),
        "reasoning_tokens": as_text(usage.get("reasoning_tokens")),
        "cost": as_text(usage.get("total_cost")),
    }


def _count(value: object) -> int | None:
    """A whole number, as JSON has it or written with a point, such as 12.0."""
    text = as_text(value) or ""
    whole, _, rest = text.partition(".")
    return int(whole) if whole.isdigit() and not rest.strip("0") else None


def calls_of_totals(totals: Record, roles: Record, key: str, at: str | None) -> list[Cells]:
    """A row for each model, where only totals are known; a total that is a role's own has its purpose."""
    rows = []
    for number, (name, usage) in enumerate(totals.items(), start=1):
        provider, model = split_model(name)
        role = next((role for role, own in roles.items() if own == usage and role), None)
        rows.append(
            {
                "id": f"{key}/total {number}",
                "at": at,
                "provider": provider,
                "model": model,
                "purpose": _purpose(role, judges=False),
                **usage_cells(mapping(usage)),
            }
        )
    return rows


def judged_by_model(events: list[Record]) -> frozenset[str]:
    """The scorers in whose spans a model was called."""
    names = _scorer_of_spans(events)
    asked = {as_text(event.get("span_id")) for event in events if event.get("event") == "model"}
    return frozenset(name.rpartition("/")[2] for span, name in names.items() if span in asked)


def _judging_spans(events: list[Record]) -> frozenset[str]:
    """The spans in which scorers work."""
    return frozenset(_scorer_of_spans(events))


def _scorer_of_spans(events: list[Record]) -> dict[str, str]:
    """The scorer that each span belongs to, for spans within one."""
    found: dict[str, str] = {}
    for event in events:
        if event.get("event") != "span_begin":
            continue
        span = as_text(event.get("id")) or as_text(event.get("span_id")) or ""
        parent = as_text(event.get("parent_id")) or ""
        if event.get("type") == "scorer":
            found[span] = as_text(event.get("name")) or "scorer"
        elif event.get("type") == "scorers" or parent in found:
            found[span] = found.get(parent, "scorers")
    return found


def span_of_events(events: list[Record]) -> tuple[str | None, str | None]:
    """When the first and the last event was; ISO 8601 of one zone sorts as text."""
    moments = [moment for event in events if (moment := as_text(event.get("timestamp")))]
    return (min(moments), max(moments)) if moments else (None, None)
