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
from flatfare.service.budgets.bounding import Bound, Bounds
from flatfare.service.costing import counting
from flatfare.store.book import Book

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
                "amount": None if bound.most_nano is None else decimal_text(bound.most_nano),
                "currency": "USD",
                "reason": bound.reason,
                "output_limit": bound.limit,
            },
            "likely": {
                "amount": None if self.likely_nano is None else decimal_text(self.likely_nano),
                "currency": "USD",
                "input_tokens": self.input_tokens,
                "output_tokens": self.output_tokens,
                "output_from": self.output_from,
            },
        }


def estimate(
    prices: PriceBook,
    book: Book | None,
    body: bytes,
    *,
    at_us: int,
    provider: str = "openai",
    endpoint: str | None = None,
    model: str | None = None,
) -> Estimate:
    """What this request would cost if it were sent now.

    ``endpoint`` is by default the dialect's first. Raises ``BadInput`` for a provider or an
    endpoint that no dialect knows.
    """
    recognised = _recognised(provider, endpoint)
    exchange = recognised.exchange(body, "")
    asked = exchange.asked
    if model is not None:
        asked = Asked(
            model, asked.is_stream, asked.service_tier, asked.region, asked.output_limit, asked.details
        )
    bound = Bounds(prices).of(exchange.provider, exchange.endpoint, asked, body, at_us)
    written, said = _likely_output(book, asked)
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


def _likely_output(book: Book | None, asked: Asked) -> tuple[int, str]:
    """How long the answer is likely to be, and by what."""
    rows = []
    if book is not None and asked.model is not None:
        rows = book.rows(
            "SELECT COALESCE(output, 0) + COALESCE(reasoning, 0) FROM calls WHERE model_asked = ? "
            "AND status = 'ok' AND n = 1 AND output IS NOT NULL ORDER BY at_us DESC LIMIT ?",
            (asked.model, SEEN_MAX),
        )
    seen = sorted(int(row[0] or 0) for row in rows)
    tokens = seen[len(seen) // 2] if seen else GUESSED_OUTPUT
    said = (
        f"the middle of the last {len(seen)} answers here" if seen else "a guess: no answers of it here yet"
    )
    if asked.output_limit is not None and asked.output_limit < tokens:
        return asked.output_limit, "its own limit"
    return tokens, said
