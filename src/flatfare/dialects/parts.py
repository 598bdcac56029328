"""Parts of a call added up where that changes no cost.

Rates may hang on how long a prompt was, so parts are added only as long as their sum
stays below every threshold that a provider has.
"""

from collections.abc import Iterable

import msgspec

from flatfare.dialects.reading import Part

PROMPT_MAX = 32_000
"""The lowest threshold above which a provider bills a prompt at long-context rates (Qwen, 2026-11)."""


def merged(parts: Iterable[Part], prompt_max: int = PROMPT_MAX) -> tuple[Part, ...]:
    """Parts of one model under one set of conditions added up, none past ``prompt_max`` prompt tokens."""
    open_parts: dict[tuple[object, ...], Part] = {}
    closed: list[Part] = []
    for part in parts:
        held_under = part.conditions
        details = tuple(sorted(held_under.details.items()))
        key = (part.model, part.provider, part.estimated, held_under.service_tier, held_under.region, details)
        held = open_parts.get(key)
        if held is None:
            open_parts[key] = part
        elif held.usage.input_tokens + part.usage.input_tokens <= prompt_max:
            open_parts[key] = msgspec.structs.replace(held, usage=held.usage + part.usage)
        else:
            closed.append(held)
            open_parts[key] = part
    return (*closed, *open_parts.values())
