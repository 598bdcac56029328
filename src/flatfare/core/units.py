"""The billable units: everything a provider charges for, as leaves that do not overlap.

A unit knows the unit it is a special kind of (its ``parent``), so that a rate for
the general kind prices the special one where the book has none for it: reasoning
tokens at the output rate, cached audio at the cached rate. A unit without a parent
never borrows a rate.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing that is counted and billed."""

    name: str
    quantum: str  # what one of it is: token, request, second …
    parent: str | None
    meaning: str


_TABLE = (
    # name                 quantum      parent            meaning
    ("input", "token", None, "prompt tokens read in full: not cached, not of another modality"),
    ("cache_read", "token", "input", "prompt tokens read from the provider's cache"),
    ("cache_write", "token", "input", "prompt tokens written to the cache, time to live not stated"),
    ("cache_write_5m", "token", "cache_write", "prompt tokens written to the cache for five minutes"),
    ("cache_write_1h", "token", "cache_write", "prompt tokens written to the cache for one hour"),
    ("tool_use_input", "token", "input", "prompt tokens that results of the provider's own tools added"),
    ("input_audio", "token", "input", "audio tokens heard"),
    ("cache_read_audio", "token", "cache_read", "audio tokens read from the cache"),
    ("cache_write_audio", "token", "cache_write", "audio tokens written to the cache"),
    ("input_image", "token", "input", "image tokens seen"),
    ("cache_read_image", "token", "cache_read", "image tokens read from the cache"),
    ("input_video", "token", "input", "video tokens seen"),
    ("cache_read_video", "token", "cache_read", "video tokens read from the cache"),
    ("output", "token", None, "tokens written as text in the answer"),
    ("reasoning", "token", "output", "tokens spent thinking, billed but not in the answer"),
    ("output_audio", "token", "output", "audio tokens spoken"),
    ("output_image", "token", "output", "image tokens drawn"),
    ("output_video", "token", "output", "video tokens made"),
    ("input_audio_second", "second", None, "seconds of audio heard, where billed by time"),
    ("output_audio_second", "second", None, "seconds of audio spoken, where billed by time"),
    ("input_video_second", "second", None, "seconds of video seen, where billed by time"),
    ("output_video_second", "second", None, "seconds of video made, where billed by time"),
    ("input_character", "character", None, "characters read, where billed by character"),
    ("output_character", "character", None, "characters written, where billed by character"),
    ("image", "image", None, "images made, where billed by image"),
    ("input_image_count", "image", None, "images read, where billed by image"),
    ("page", "page", None, "document pages read"),
    ("request", "request", None, "requests, where each has a fee of its own"),
    ("search_unit", "search", None, "search units of a reranker"),
    ("web_search", "search", None, "web searches made by the provider"),
    ("web_fetch", "fetch", None, "web pages fetched by the provider"),
    ("grounded_prompt", "prompt", None, "prompts grounded in web search, where billed by prompt"),
    ("maps_grounded_prompt", "prompt", None, "prompts grounded in maps"),
    ("enterprise_grounded_prompt", "prompt", None, "prompts grounded in enterprise web search"),
    ("x_search", "search", None, "searches of posts on X"),
    ("search_source", "source", None, "sources read by a live search, where billed by source"),
    ("file_search", "search", None, "searches of stored files"),
    ("collection_search", "search", None, "searches of the provider's document collections"),
    ("code_session", "session", None, "sandboxes opened for code execution"),
    ("code_execution", "call", None, "runs of code by the provider, where billed by run"),
    ("code_execution_second", "second", None, "seconds of sandbox time for code execution"),
    ("tool_call", "call", None, "other tools run by the provider, where billed by call"),
    ("session_second", "second", None, "seconds of a live session, where billed by time"),
    ("compute_second", "second", None, "seconds of rented compute"),
)

UNITS: dict[str, Unit] = {row[0]: Unit(*row) for row in _TABLE}
"""Every unit by name."""

INPUT_TOKENS = frozenset(
    name
    for name, unit in UNITS.items()
    if unit.quantum == "token" and name.split("_")[0] in {"input", "cache", "tool"}
)
"""Units that together are the prompt: what a context-size condition counts."""

OUTPUT_TOKENS = frozenset(
    name for name, unit in UNITS.items() if unit.quantum == "token" and name not in INPUT_TOKENS
)
"""Units that together are the answer, thinking included."""


def lineage(name: str) -> tuple[str, ...]:
    """The unit and what it is a kind of, most special first.

    >>> lineage("cache_write_1h")
    ('cache_write_1h', 'cache_write', 'input')
    """
    chain = [name]
    while parent := UNITS[chain[-1]].parent:
        chain.append(parent)
    return tuple(chain)
