"""Token counts of an export as leaves that do not overlap.

Whether cached tokens stand inside the prompt's count or beside it is told by the
names that the columns bear, unless the order says; a row where that cannot be is
refused, never clamped.
"""

from dataclasses import dataclass

from flatfare.service.importing.columns import FileMapping, SourceColumn
from flatfare.service.importing.fields import plain
from flatfare.service.importing.reading import Readable

COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "web_searches",
)
"""The fields of a call that count something."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """How the counts of a file overlap."""

    cached: str  # inside, outside, or mixed: each row by its own columns
    reasoning: str
    outside_sql: str = "false"  # a predicate over the file's columns: this row counts what was cached outside

    def says(self) -> str:
        """For a person."""
        cached = "inside or outside, by each row's own names," if self.cached == "mixed" else self.cached
        return f"cached tokens {cached} the prompt's count, reasoning {self.reasoning} the answer's"


def overlaps_of(mapping: FileMapping) -> Overlaps:
    """How a file's counts overlap, by the names of its columns.

    Anthropic counts cache reads and writes outside ``input_tokens`` (docs,
    2026-07-29); Langfuse's ``usageDetails`` are parts whose sum is the total (its docs on token
    usage, 2026-11-21). ``prompt_tokens``, OpenAI's ``input_tokens_details`` and OpenTelemetry's
    ``gen_ai.usage.input_tokens`` include what was cached. Gemini counts thoughts beside
    the candidates.
    """
    reasoning = mapping.switches.get("reasoning") or (
        "outside" if _reasoning_is_outside(mapping) else "inside"
    )
    asked = mapping.switches.get("cached")
    if asked:
        return Overlaps(asked, reasoning, "true" if asked == "outside" else "false")
    rules = [(column, _outside_of(column, mapping)) for column in _columns(mapping, "prompt_tokens")]
    if len(rules) > 1 and any(rule != "false" for _, rule in rules):
        cases = " ".join(f"WHEN {_is_given(column)} THEN {rule}" for column, rule in rules)
        return Overlaps("mixed", reasoning, f"coalesce(CASE {cases} END, false)")
    is_outside = bool(rules) and rules[0][1] != "false"
    return Overlaps("outside" if is_outside else "inside", reasoning, "true" if is_outside else "false")


def _columns(mapping: FileMapping, ours: str) -> tuple[SourceColumn, ...]:
    bound = mapping.fields.get(ours)
    return (*bound.columns, *bound.others) if bound else ()


def _is_given(column: SourceColumn) -> str:
    return f"nullif(trim(CAST({column.sql} AS VARCHAR)), '') IS NOT NULL"


def _outside_of(prompt: SourceColumn, mapping: FileMapping) -> str:
    """A predicate: where this column counts the prompt, what was cached is counted beside it."""
    name = plain(prompt.name)
    if "usage_details" in name or name.endswith("_no_cache"):
        return "true"
    if not name.endswith("input_tokens") or "gen_ai" in name:
        return "false"
    beside = [
        _is_given(column)
        for ours in ("cached_tokens", "cache_write_tokens")
        for column in _columns(mapping, ours)
        if plain(column.name).endswith(
            ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_write_input_tokens")
        )
    ]
    return f"({' OR '.join(beside)})" if beside else "false"


def _name(mapping: FileMapping, ours: str) -> str:
    columns = _columns(mapping, ours)
    return plain(columns[0].name) if columns else ""


def _reasoning_is_outside(mapping: FileMapping) -> bool:
    return "thoughts" in _name(mapping, "reasoning_tokens") or "usage_details" in _name(
        mapping, "completion_tokens"
    )


def leaves(overlaps: Overlaps) -> dict[str, str]:
    """Each leaf in SQL over the parsed counts, null where the file says nothing of it."""
    written = (
        "greatest(coalesce(cache_write_tokens, 0) - coalesce(cache_write_5m_tokens, 0) - "
        "coalesce(cache_write_1h_tokens, 0), 0)"
    )
    cached = {
        "inside": ("cached_tokens", "cache_write_of_prompt"),
        "outside": (),
        "mixed": (
            "CASE WHEN cached_is_outside THEN 0 ELSE coalesce(cached_tokens, 0) + cache_write_of_prompt END",
        ),
    }[overlaps.cached]
    reasoning = ("reasoning_tokens",) if overlaps.reasoning == "inside" else ()
    return {
        "input": _less("prompt_tokens", *cached, "input_audio_tokens"),
        "cache_read": "cached_tokens",
        "cache_write": f"CASE WHEN cache_write_tokens IS NOT NULL THEN {written} END",
        "cache_write_5m": "cache_write_5m_tokens",
        "cache_write_1h": "cache_write_1h_tokens",
        "input_audio": "input_audio_tokens",
        "output": _less("completion_tokens", *reasoning, "output_audio_tokens"),
        "reasoning": "reasoning_tokens",
        "output_audio": "output_audio_tokens",
        "web_search": "web_searches",
    }


CACHE_WRITTEN = (
    "greatest(coalesce(cache_write_tokens, 0), coalesce(cache_write_5m_tokens, 0) + "
    "coalesce(cache_write_1h_tokens, 0))"
)
"""All tokens written to the cache: the total, or its parts where they say more."""


def _less(whole: str, *parts: str) -> str:
    return " - ".join([whole, *(f"coalesce({part}, 0)" for part in parts)])


def contradictions() -> list[str]:
    """What in a row's counts cannot be, in SQL, null where all is well."""
    return [
        (
            "CASE WHEN input < 0 THEN 'Found ' || (coalesce(cached_tokens, 0) + cache_write_of_prompt) || "
            "' cached tokens in a prompt of ' || prompt_tokens || ': they cannot be part of it. "
            "If the source counts them beside it, say --set cached=outside.' END"
        ),
        (
            "CASE WHEN output < 0 THEN 'Found ' || coalesce(reasoning_tokens, 0) || "
            "' reasoning tokens in an answer of ' || completion_tokens || ': they cannot be part of it. "
            "If the source counts them beside it, say --set reasoning=outside.' END"
        ),
    ]


def tokens_given(file: Readable) -> str:
    """A predicate over the leaves: the row gives token counts and every one of them is 0."""
    given = [name for name in COUNTS if file.mapping.has(name)]
    if not given:
        return "false"
    return (
        f"coalesce({', '.join(given)}) IS NOT NULL AND "
        f"{' + '.join(f'coalesce({name}, 0)' for name in given)} = 0"
    )
