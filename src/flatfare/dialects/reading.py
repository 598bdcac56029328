"""What a dialect is given and what it answers: an exchange with a provider, and its reading.

A reading is usage in leaves that do not overlap, the model that served it, and the
conditions that choose its rates. It never holds text of a prompt or an answer, but for
a stream without usage, whose text is counted and dropped.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from flatfare.core.usage import Usage

NOTHING: Mapping[str, str] = MappingProxyType({})


class Asked(msgspec.Struct, frozen=True):
    """What the request said that bears on the cost; everything is None where it did not say."""

    model: str | None = None
    is_stream: bool = False
    service_tier: str | None = None
    region: str | None = None  # from the host, the URL or the request: us-east-1, europe-west4, eu …
    output_limit: int | None = None
    details: Mapping[str, str] = NOTHING  # other conditions by name, such as size and quality of an image


NOTHING_ASKED = Asked()


class Exchange(msgspec.Struct, frozen=True):
    """One request and its answer, as far as the meter needs them; the answer's body is given apart."""

    provider: str  # openai, azure, anthropic, gemini, vertex, bedrock …
    endpoint: str  # chat.completions, responses, messages, generateContent …
    status: int = 200
    asked: Asked = NOTHING_ASKED
    headers: Mapping[str, str] = NOTHING  # of the answer, names in lower case
    at_us: int | None = None  # when the request was made


class Conditions(msgspec.Struct, frozen=True):
    """What chooses among the rates of one model."""

    service_tier: str | None = None  # standard, flex, priority, batch, fast, provisioned
    region: str | None = None
    details: Mapping[str, str] = NOTHING


NO_CONDITIONS = Conditions()


class Reported(msgspec.Struct, frozen=True):
    """A charge that the provider itself named, its digits as given."""

    amount: str
    currency: str
    source: str  # the field it stood in, such as usage.cost
    shares: Mapping[str, str] = NOTHING  # what of it was for what, where told: upstream, input, output


class Part(msgspec.Struct, frozen=True):
    """Usage of one model within a call; most calls have one part, an advisor or a fallback adds others."""

    model: str | None
    usage: Usage
    conditions: Conditions = NO_CONDITIONS
    provider: str | None = None  # whose rates apply, where not the exchange's own
    estimated: str | None = None  # how its counts were inferred, where the answer does not state them


class Reading(msgspec.Struct, frozen=True):
    """What a body or a stream said about its usage."""

    parts: tuple[Part, ...]
    model: str | None = None  # the model that served, as the provider names it
    reason: str | None = None  # why there is no usage, where parts is empty; else a remark on it
    is_free: bool = False  # an error or a free endpoint: it cost nothing, and reason says why
    is_complete: bool = True  # False where a stream ended before its usage came
    reported: Reported | None = None
    created_at_us: int | None = None  # the moment the provider stamped on it
    text_seen: str | None = None  # answer text of a stream without usage, for counting offline; never stored
    response_id: str | None = None  # a background answer is fetched many times under one id, and billed once


def unread(reason: str, model: str | None = None) -> Reading:
    """A reading without usage; the reason says what a person can do."""
    return Reading(parts=(), model=model, reason=reason)


def free(reason: str, model: str | None = None) -> Reading:
    """A reading of what costs nothing, and why."""
    return Reading(parts=(), model=model, reason=reason, is_free=True)
