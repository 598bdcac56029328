"""Tools that a provider runs itself: after each use the model reads again all that there is by then.

Every such round is billed. OpenAI sums what is read over the rounds of a response (measured as twice
the context for a search, github.com/turnstonelabs/turnstone/issues/1191, 2026-09-19); Anthropic counts
what is new in each round, and what the cache holds once for each round (same place). A round reads at
most what the model can. So how often it goes round bounds what it reads; where nobody says how often,
nothing sound can be said.
"""

import re
from collections.abc import Mapping

import msgspec

ANTHROPIC_ROUNDS = 10
"""Its loop ends there with ``pause_turn`` (platform.claude.com, handling stop reasons, read 2026-11-21)."""

SEARCH_ROUNDS = 2
"""A search in the options of a chat is made before the answer: read once without it, once with."""

OTHER_ROUNDS = 10
"""Gemini tries code at most five times in one request (ai.google.dev, code execution, 2026-11)."""

SEARCHES = 50
"""Uses of one tool, for its fee, in a call that names no limit; the loops above end far below."""

SEARCHES_A_USE = 5
"""Fees of one use that the call allows: a search may be several (OpenAI's support, as told on its forum)."""

_TOOL = re.compile(
    rb'"type"\s*:\s*"(?:[a-z_:]*(?:search|fetch|code_interpreter|code_execution|mcp|builtin_function)[a-z0-9_]*)"'
    rb'|"systemTool"\s*:'
)
_OPTION = re.compile(
    rb'"(?:googleSearch|google_search|urlContext|url_context|codeExecution|code_execution|googleSearchRetrieval|'
    rb'googleMaps|web_search_options|search_parameters|plugins|connectors|enable_search|mcp_servers|mcpServers)"\s*:'
)
_OWN_SEARCHES = re.compile(rb'"(?:search_parameters|plugins)"\s*:')
"""They say themselves how many sources are read, and each has a fee."""

_OTHER_MODEL = re.compile(rb'"type"\s*:\s*"[a-z_:]*(?:advisor|subagent|fusion|image_generation)')
_RUN_BY_CLIENTS = re.compile(
    rb'"(?:function|custom|namespace|local_shell|apply_patch|bash|text_editor|computer|memory|tool)(?:_[a-z0-9_]*)?"'
)
"""OpenAI's and Anthropic's tools whose use the client itself carries out (their tool pages, 2026-11)."""

_CLIENTS_OWN = frozenset(("functionDeclarations", "function_declarations", "computerUse", "computer_use"))
_USES = re.compile(rb'"max_tool_calls"\s*:\s*(\d{1,6})\s*[,}]')
_WORKS_ON = re.compile(r"deep-research|compound|multi-agent|openrouter/(?:auto|fusion)")


def calls_other_models(model: str, body: bytes) -> str | None:
    """Why a call may cost what no rate of its own model bounds; None where it does not.

    >>> calls_other_models("groq/compound", b"{}")
    'groq/compound works on by itself, with searches or other models, as often as it likes'
    """
    if _WORKS_ON.search(model):
        return f"{model} works on by itself, with searches or other models, as often as it likes"
    if _OTHER_MODEL.search(body):
        return "a hosted tool of the request calls another model, however often it likes"
    return None


class _Offered(msgspec.Struct):
    tools: list[dict[str, msgspec.Raw]] | None = None


def hosted(body: bytes) -> int:
    """How many tools of a request the provider runs; a function of one's own is none, whatever its name.

    >>> hosted(b'{"tools": [{"type": "web_search"}, {"type": "function", "name": "web_search"}]}')
    1
    """
    return max(len(_TOOL.findall(body)) + len(_OPTION.findall(body)), _not_the_clients(body))


def _not_the_clients(body: bytes) -> int:
    """How many of the tools offered are none that a client is known to run itself.

    >>> _not_the_clients(b'{"tools": [{"fileSearch": {}}, {"functionDeclarations": []}, {"type": "custom"}]}')
    1
    """
    if b'"tools"' not in body:
        return 0
    try:
        offered = msgspec.json.decode(body, type=_Offered).tools or []
    except msgspec.MsgspecError:
        return 0
    return sum(not _is_the_clients(tool) for tool in offered)


def _is_the_clients(tool: Mapping[str, msgspec.Raw]) -> bool:
    kind = tool.get("type")
    if kind is not None:
        return bytes(kind) == b"null" or _RUN_BY_CLIENTS.fullmatch(bytes(kind)) is not None
    return "name" in tool or "function" in tool or set(tool) <= _CLIENTS_OWN


def rounds(endpoint: str, body: bytes) -> int | None:
    """How often the model reads at most in a call with hosted tools; None where nobody says."""
    allowed = _USES.search(body)
    if allowed is not None and endpoint == "responses":
        return int(allowed[1]) + 1
    if endpoint == "responses":
        return None
    if endpoint == "messages":
        return ANTHROPIC_ROUNDS
    if endpoint == "chat.completions":
        return None if _TOOL.search(body) or _not_the_clients(body) else SEARCH_ROUNDS
    return OTHER_ROUNDS


def uses(endpoint: str, body: bytes) -> int:
    """How often the fee of one hosted tool may fall due."""
    if endpoint == "chat.completions" and not _OWN_SEARCHES.search(body):
        return SEARCH_ROUNDS * SEARCHES_A_USE
    allowed = _USES.search(body) if endpoint == "responses" else None
    return SEARCHES if allowed is None else max(SEARCHES, SEARCHES_A_USE * int(allowed[1]))


def answers_each_round(endpoint: str) -> bool:
    """The limit on an answer holds for each round by itself, not for all of them together.

    OpenAI's is of the whole response (its API reference, ``max_output_tokens``, 2026-11); Anthropic's is of
    each round: 20,215 tokens were written under a limit of 16,000.
    """
    return endpoint not in ("responses", "chat.completions")
