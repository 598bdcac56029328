"""Families of models: who made a model, told from its name, however a host writes it.

A judge of the family that produced the work is suspected of favouring it; the two are told
apart by maker alone, since models of one maker learn from one another.
"""

import re

_FAMILIES = (
    ("openai", r"gpt|chatgpt|o[1-9](?:-|$)|davinci|codex|computer-use-preview"),
    ("anthropic", r"claude"),
    ("google", r"gemini|gemma|palm|bison"),
    ("meta", r"llama|muse"),
    ("mistral", r"mistral|mixtral|ministral|codestral|magistral|devstral|pixtral|voxtral"),
    ("cohere", r"command|aya|c4ai"),
    ("alibaba", r"qwen|qwq|qvq"),
    ("deepseek", r"deepseek"),
    ("xai", r"grok"),
    ("amazon", r"nova|titan"),
    ("microsoft", r"phi|mai-|wizardlm"),
    ("moonshot", r"kimi|moonshot"),
    ("zhipu", r"glm|chatglm"),
    ("minimax", r"minimax|abab"),
    ("ai21", r"jamba|j2-"),
    ("ibm", r"granite"),
    ("nvidia", r"nemotron"),
)
_PATTERNS = tuple((name, re.compile(rf"(?:^|[^a-z])(?:{pattern})")) for name, pattern in _FAMILIES)


def family_of(model: str) -> str | None:
    """The maker of a model, or None where its name does not say.

    A model that was distilled or tuned from another counts as its base, whose name comes last:
    what it says it learned from it.

    >>> family_of("azure/gpt-4o-2024-11-20"), family_of("us.anthropic.claude-sonnet-4-5-v1:0")
    ('openai', 'anthropic')
    >>> family_of("openrouter/meta-llama/llama-4-scout"), family_of("our-own-model")
    ('meta', None)
    """
    text = model.lower()
    found = [(match.start(), name) for name, pattern in _PATTERNS for match in pattern.finditer(text)]
    return max(found)[1] if found else None
