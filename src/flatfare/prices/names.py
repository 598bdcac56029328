"""What a model's name may also be written as: prefixes, paths, ARNs, suffixes, snapshots, fine-tunes.

A name leads to forms, the most special first; a form is only ever the same model
under the same rates, or what its maker bills a dated snapshot at. A fine-tune never becomes
the model it was tuned from, since its rates differ.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

NAME_LENGTH_MAX = 512

ALIASES: Mapping[str, str] = {
    "azure-openai": "azure",
    "azure_openai": "azure",
    "azure-realtime": "azure",
    "azure_ai": "azure",
    "google": "gemini",
    "google-gla": "gemini",
    "google_ai_studio": "gemini",
    "gemini-live": "gemini",
    "google-vertex": "vertex",
    "vertex_ai": "vertex",
    "vertexai": "vertex",
    "aws": "bedrock",
    "aws-bedrock": "bedrock",
    "bedrock-mantle": "bedrock",
    "bedrock_converse": "bedrock",
    "amazon": "bedrock",
    "x-ai": "xai",
    "xai-grpc": "xai",
    "xai-realtime": "xai",
    "openai-realtime": "openai",
    "voyage": "voyageai",
    "z.ai": "zai",
    "z-ai": "zai",
    "together_ai": "together",
    "togetherai": "together",
    "fireworks_ai": "fireworks",
    "fireworks-ai": "fireworks",
    "mistralai": "mistral",
    "meta-llama": "meta",
    "moonshot": "moonshotai",
    "hugging-face": "huggingface",
    "alibaba": "dashscope",
    "qwen": "dashscope",
}
"""Other names of providers, as exports, gateways and libraries write them."""

RATES_OF: Mapping[str, tuple[str, ...]] = {
    "azure": ("openai", "anthropic", "deepseek", "xai", "mistral", "cohere", "moonshotai", "meta"),
    "vertex": ("gemini", "anthropic", "mistral"),
}
"""Providers that sell others' models at the makers' rates, where their own data say nothing else."""

ROUTERS = frozenset(
    ("openrouter", "litellm", "vercel", "vercel_ai_gateway", "cloudflare-ai-gateway", "portkey", "helicone")
)
"""Gateways that pass on the price of the maker whose name stands before the slash."""

PASSES_ON = "huggingface"
"""A router that adds nothing to its upstreams' prices (huggingface.co/docs/api-inference/pricing, 2026)."""

_GEOGRAPHIES = ("us-gov", "us", "eu", "apac", "global", "jp", "au", "ca", "sa", "in", "kr")
_BEDROCK_GEOGRAPHY = re.compile(rf"({'|'.join(_GEOGRAPHIES)})\.(?=[a-z0-9-]+\.)")
_BEDROCK_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:bedrock|sagemaker):(?P<region>[a-z0-9-]*):\d*:[a-z-]+/(?P<model>.+)"
)
_BEDROCK_VERSION = re.compile(r"(?:-v\d+)?(?::\d+(?:k|:\w+)*)$|-v\d+$")
_BEDROCK_VENDOR = re.compile(
    r"(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|writer|stability)\."
)
_PATHS = re.compile(r"^(?:.*/)?(?:publishers/[^/]+/)?models/|^(?:accounts/[^/]+/models/)")
_SNAPSHOT = re.compile(r"(?:[-@]20\d{2}-[01]\d-[0-3]\d|[-@]20\d{2}[01]\d[0-3]\d)(?=$|:)")
_MONTH_DAY = re.compile(r"-(?:0[1-9]|1[0-2])-20\d{2}$|-preview-(?:0[1-9]|1[0-2])-[0-3]\d$")
_FINE_TUNE = re.compile(r"(ft:[^:]+)(?::.*)?$")
_ROUTER_SUFFIX = re.compile(r":(?:nitro|floor|online|exacto|beta|extended|thinking)$")
_VERTEX_DEFAULT = re.compile(r"@(?:default|latest)$")
_COMPACT = re.compile(r"-(20\d{2})([01]\d)([0-3]\d)(?=$|:)")


@dataclass(frozen=True, slots=True)
class Named:
    """A model's name in its forms, and what the name says about the conditions."""

    forms: tuple[str, ...]
    undated: tuple[str, ...] = ()  # forms without their snapshot's date: used where no dated form is known
    details: Mapping[str, str] = field(default_factory=dict)
    is_free: bool = False
    is_fine_tune: bool = False
    region: str | None = None


@lru_cache(maxsize=1024)
def provider_of(name: str) -> str:
    """The provider's name as the dialects write it.

    >>> provider_of("google-vertex"), provider_of("OpenAI")
    ('vertex', 'openai')
    """
    lowered = name.strip().lower()
    return ALIASES.get(lowered, lowered)


def forms_of(provider: str, model: str) -> Named:
    """The forms of a model's name at a provider.

    >>> forms_of("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0").details
    {'profile': 'us'}
    >>> forms_of("vertex", "publishers/anthropic/models/claude-3-7-sonnet@20250219").forms[-1]
    'claude-3-7-sonnet-20250219'
    """
    name = model.strip().lower()[:NAME_LENGTH_MAX]
    if fine_tune := _FINE_TUNE.match(name):
        base = fine_tune[1]
        return Named(_unique(name, base), _undated((base,)), is_fine_tune=True)
    if provider == "bedrock":
        return _bedrock(name)
    forms = [name]
    path = _PATHS.sub("", name)
    forms.append(path)
    forms.append(_ROUTER_SUFFIX.sub("", path))
    if provider != "openrouter" and "/" in path:
        vendor, _, rest = path.partition("/")
        if provider_of(vendor) == provider or "/" not in rest:
            forms.append(rest)
    forms += [_VERTEX_DEFAULT.sub("", form) for form in forms if "@" in form]
    forms += [form.replace("@", "-") for form in forms if "@" in form]
    forms += [form.removesuffix("-latest") for form in forms if form.endswith("-latest")]
    unique = _unique(*forms)
    return Named(unique, _undated(unique), is_free=provider == "openrouter" and name.endswith(":free"))


def vendor_of(model: str) -> tuple[str, str] | None:
    """The provider and name behind a router's slug, ``openai/gpt-5-mini:online``; None if none."""
    vendor, slash, rest = model.strip().lower().lstrip("~").partition("/")
    return (provider_of(vendor), _ROUTER_SUFFIX.sub("", rest)) if slash and rest else None


def _bedrock(name: str) -> Named:
    details: dict[str, str] = {}
    region = None
    forms = [name]
    if arn := _BEDROCK_ARN.fullmatch(name):
        region = arn["region"] or None
        name = arn["model"]
        forms.append(name)
    if geography := _BEDROCK_GEOGRAPHY.match(name):
        details["profile"] = geography[1]
        bare = name[geography.end() :]
    else:
        details["profile"] = "none"
        bare = name
    forms.append(bare)
    unversioned = _BEDROCK_VERSION.sub("", bare)
    forms += [_BEDROCK_VERSION.sub("", name), unversioned, _BEDROCK_VENDOR.sub("", unversioned)]
    unique = _unique(*forms)
    return Named(unique, _undated(unique), details, region=region)


def _undated(forms: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    for form in forms:
        found.append(_COMPACT.sub(r"-\1-\2-\3", form))
        found.append(_SNAPSHOT.sub("", form))
        found.append(_MONTH_DAY.sub("", form))
        found.append(_BEDROCK_VERSION.sub("", _SNAPSHOT.sub("", form)))
    return tuple(form for form in _unique(*found) if form not in forms)


def _unique(*forms: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(form for form in forms if form))
