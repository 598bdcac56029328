"""What a request would cost, before it is sent: at most, and likely.

The most is the bound that budgets hold. The likely cost counts what is read and takes the
answer to be as long as the model's answers here have been, or says that it guesses.
"""

from dataclasses import dataclass

from flatfare.core.errors import BadInput
from flatfare.core.money import decimal_text
from flatfare.core.usage import Usage
from flatfare.dialects import recognition
from flatfare.dialects.reading import Asked
from flatfare.dialects.recognition import Recognised
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.service.budgets.bounding import AT_ONCE, Bound, Bounds, by_default
from flatfare.service.costing import counting
from flatfare.store import whereabouts
from flatfare.store.book import Book
from flatfare.store.lake import Lake

GUESSED_OUTPUT = 500
"""Tokens of an answer where nothing is known of the model's answers."""

SEEN_MAX = 500


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request would cost."""

    provider: str
    endpoint: str
    model: str | None
    bound: Bound
    input_tokens: int | None  # counted or estimated from its text
    output_tokens: int | None
    output_from: str
    likely_nano: int | None

    def as_json(self) -> dict[str, object]:
        """As command line and API show it; money as decimal text."""
        bound = self.bound
        return {
            "provider": self.provider,
            "endpoint": self.endpoint,
            "model": self.model,
            "at_most": {
                "amount": decimal_text(bound.most_nano),
                "currency": "USD",
                "reason": bound.reason,
                "output_limit": bound.limit,
            },
            "likely": {
                "amount": decimal_text(self.likely_nano),
                "currency": "USD",
                "input_tokens": self.input_tokens,
                "output_tokens": self.output_tokens,
                "output_from": self.output_from,
            },
        }


def estimate(
    prices: PriceBook,
    place: tuple[Book, Lake] | None,
    body: bytes,
    *,
    at_us: int,
    provider: str = "openai",
    endpoint: str | None = None,
    model: str | None = None,
    default_tier: str | None = None,
) -> Estimate:
    """What this request would cost if it were sent now.

    ``place`` is where the model's former answers lie; without it their length is a guess.
    ``endpoint`` is by default the dialect's first; ``default_tier`` is the one at which the provider is
    known to serve requests that name none. Raises ``BadInput`` for a provider or an
    endpoint that no dialect knows.
    """
    recognised = _recognised(provider, endpoint)
    exchange = recognised.exchange(body, "")
    asked = exchange.asked
    if model is not None:
        asked = Asked(
            model, asked.is_stream, asked.service_tier, asked.region, asked.output_limit, asked.details
        )
    tiered = by_default(asked, default_tier)
    line = body[2 : body.find(b"\r\n")] if body.startswith(b"--") else b""
    kind = b"multipart/form-data; boundary=" + line if line else b""  # a form begins with what parts it
    bounds = Bounds(prices)
    bound = bounds.of(exchange.provider, exchange.endpoint, tiered, body, at_us, kind)
    if len(body) in AT_ONCE:
        bound = bounds.counted(exchange.provider, exchange.endpoint, tiered, body, at_us) or bound
    written, said = _likely_output(place, asked)
    read = _likely_input(recognised, asked, body)
    likely_nano = None
    if asked.model is not None and read is not None:
        circumstances = Circumstances(asked.service_tier, asked.region, asked.details)
        usage = Usage(input=read, output=written)
        found = prices.find(exchange.provider, asked.model, at_us, circumstances, usage)
        likely_nano = found.cost_nano(usage) if isinstance(found, Found) and found.currency == "USD" else None
    return Estimate(
        exchange.provider, exchange.endpoint, asked.model, bound, read, written, said, likely_nano
    )


def _recognised(provider: str, endpoint: str | None) -> Recognised:
    dialect = recognition.dialect_of(provider)
    name = endpoint or dialect.routes[0].endpoint
    if not any(route.endpoint == name for route in dialect.routes):
        known = ", ".join(dict.fromkeys(route.endpoint for route in dialect.routes))
        raise BadInput(f"Found the endpoint {name!r}: {provider} has {known}.")
    return recognition.by_name(provider, name)


def _likely_input(recognised: Recognised, asked: Asked, body: bytes) -> int | None:
    read = recognised.dialect.prompt
    if read is None:
        return counting.by_characters(body.decode("utf-8", "replace"))
    try:
        prompt = read(body)
    except (BadInput, ValueError):
        return None
    return counting.count_prompt(prompt, counting.vocabulary_of(asked.model, recognised.dialect.tokens))


def _seen_outputs(place: tuple[Book, Lake] | None, model: str | None) -> tuple[list[int], bool]:
    """How long the model's last answers were, the shortest first; whether all there are were looked at."""
    if place is None or model is None:
        return [], True
    where = "model_asked = ? AND status = 'ok' AND n = 1 AND output IS NOT NULL"
    rows, are_all = whereabouts.latest(*place, "output, reasoning", where, (model,), SEEN_MAX)
    return sorted(int(output or 0) + int(reasoning or 0) for output, reasoning in rows), are_all


def _likely_output(place: tuple[Book, Lake] | None, asked: Asked) -> tuple[int, str]:
    """How long the answer is likely to be, and by what."""
    seen, are_all = _seen_outputs(place, asked.model)
    if seen:
        tokens, said = seen[len(seen) // 2], f"the middle of the last {len(seen)} answers here"
    else:
        tokens, said = GUESSED_OUTPUT, f"a guess: no answers of it here {'yet' if are_all else 'of late'}"
    if asked.output_limit is not None and asked.output_limit < tokens:
        return asked.output_limit, "its own limit"
    return tokens, said
