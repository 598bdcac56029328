"""What is wrong with an action before it is ever run: what cannot work is refused, what is unwise is said.

Refused: a verifier that cannot be used or can never pass, a provider that is not served.
Said: a price below what any run costs, a run that may cost more than it earns, a model
without a price, currencies that cannot be compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from flatfare.config import Provider, Settings
from flatfare.core.action import Action, Check, Rung
from flatfare.core.action_price import verified_nano
from flatfare.core.checks.submission import Json
from flatfare.core.errors import BadInput, FlatfareError
from flatfare.core.money import dollar_text
from flatfare.core.usage import Usage
from flatfare.gateway.routes import upstream_of
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.runner.proving import Prover
from flatfare.service import clock
from flatfare.service.actions import templates
from flatfare.service.costing.pricing import open_price_book

CHARACTERS_OF_A_TOKEN = 8
"""More than any text has on average: so many characters are at least one token."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: sentences with a line where one is known."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def check(action: Action, settings: Settings, file: str = "action.yaml") -> Checked:
    """Look at an action that could be read."""
    problems = [*_providers(action, settings.providers), *_verifiers(action)]
    warnings = [] if problems else [*_prices(action, settings), *_wisdom(action, settings)]
    return Checked(
        tuple(f"{file}:{text}" for text in problems), tuple(f"{file}: {text}" for text in warnings)
    )


def _providers(action: Action, providers: Mapping[str, Provider]) -> Iterator[str]:
    for rung in action.ladder:
        if providers and rung.model.provider not in providers:
            known = ", ".join(sorted(providers))
            yield f" The rung {rung.name!r} asks {rung.model.provider!r}: the gateway serves {known}."


def _verifiers(action: Action) -> Iterator[str]:
    for one in action.checks:
        if not one.is_awaited and (why := never_passes(action, one)):
            yield f"{one.line}: The verifier {one.name!r} can never pass: {why}."
    try:
        Prover(action).close()
    except FlatfareError as problem:
        yield f" {problem}"


def never_passes(action: Action, one: Check) -> str | None:
    """Why a verifier can never pass with this action; None where it may."""
    parameters, schema = one.parameters, action.output_schema
    at = parameters.get("at")
    if isinstance(at, str) and at:
        if schema is None:
            return "it looks into JSON, and there is no output schema"
        if (missing := _nowhere(schema, at)) is not None:
            return f"the output never has {missing!r}"
    if one.kind in ("exact-match", "numeric-match", "set-match") and "expected" not in parameters:
        return "it compares with what was expected, and nothing says what that is: state 'expected'"
    if one.kind == "json-schema":
        own = parameters.get("schema")
        return _contradiction(own) or (_excluded(own, schema) if schema is not None and not at else None)
    if one.kind == "quoted-spans" and "text" not in parameters and not _has_text(action):
        return "there is no text in the input to look quotations up in"
    return None


def _nowhere(schema: Json, at: str) -> str | None:
    """The first step of a pointer that the schema rules out."""
    for step in at.strip("/").split("/"):
        if not isinstance(schema, Mapping):
            return None
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and step in properties:
            schema = properties[step]
        elif schema.get("type") == "array" and step.isdigit():
            schema = schema.get("items")
        elif isinstance(properties, Mapping) and schema.get("additionalProperties") is False:
            return step
        else:
            return None
    return None


_BOUNDS = (
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)


def _contradiction(schema: Json) -> str | None:
    """Why no value can meet a schema, as far as that shows."""
    if schema is False or (isinstance(schema, Mapping) and schema.get("not") in ({}, True)):
        return "its schema accepts nothing"
    if not isinstance(schema, Mapping):
        return None
    if schema.get("enum") == []:
        return "its schema lists no value"
    for low, high in _BOUNDS:
        least, most = schema.get(low), schema.get(high)
        if isinstance(least, int) and isinstance(most, int) and least > most:
            return f"{low} {least} is more than {high} {most}"
    properties, required = schema.get("properties"), schema.get("required", [])
    for name in required if isinstance(required, list) else []:
        own = properties.get(str(name)) if isinstance(properties, Mapping) else None
        if own is None and schema.get("additionalProperties") is False:
            return f"{name!r} is required and not allowed"
        if own is not None and (why := _contradiction(own)):
            return f"of {name!r}, {why}"
    return None


def _excluded(own: Json, output: Mapping[str, Json]) -> str | None:
    """What a verifier's schema asks for and the output schema does not let through."""
    if not isinstance(own, Mapping):
        return None
    kind, given = own.get("type"), output.get("type")
    if isinstance(kind, str) and isinstance(given, str) and kind != given:
        return f"it wants {kind}, and the output schema {given}"
    properties = output.get("properties")
    required = own.get("required", [])
    for name in required if isinstance(required, list) else []:
        is_known = isinstance(properties, Mapping) and name in properties
        if not is_known and output.get("additionalProperties") is False:
            return f"it requires {name!r}, which the output schema does not allow"
    return None


def _has_text(action: Action) -> bool:
    properties = action.input_schema.get("properties")
    if action.files or not isinstance(properties, Mapping):
        return True
    kinds = [member.get("type") for member in properties.values() if isinstance(member, Mapping)]
    return any(kind in ("string", None) or isinstance(kind, list) for kind in kinds)


# --- prices


def _prices(action: Action, settings: Settings) -> Iterator[str]:
    prices, at_us = open_price_book(settings), clock.now_us()
    if not action.ladder:
        return
    unpriced = [rung.name for rung in action.ladder if _rates(prices, settings, rung, at_us) is None]
    for name in unpriced:
        yield f"The model of {name!r} has no price: what it costs is unknown, and a limit on cost refuses it."
    least_nano = least_cost_nano(action, settings, prices, at_us)
    if action.price.currency != "USD":
        yield (
            f"The price is in {action.price.currency} and models cost dollars: the margin is not computed."
        )
    elif least_nano is not None and _lowest_nano(action) < least_nano:
        yield (
            f"The price is below any possible cost: one attempt costs at least {dollar_text(least_nano)}, "
            f"and the lowest price is {dollar_text(_lowest_nano(action))}."
        )


def least_cost_nano(action: Action, settings: Settings, prices: PriceBook, at_us: int) -> int | None:
    """What one attempt on the first rung costs at the very least; None where its model has no price."""
    rates = _rates(prices, settings, action.ladder[0], at_us)
    if rates is None:
        return None
    prompts = [step for step in action.steps if step.command is None]
    characters = sum(templates.plain_characters(step.system + step.prompt) for step in prompts)
    read, written = rates
    tokens = Fraction(characters, CHARACTERS_OF_A_TOKEN)
    return int(tokens * read + len(prompts) * written)


def _rates(prices: PriceBook, settings: Settings, rung: Rung, at_us: int) -> tuple[Fraction, Fraction] | None:
    """Nano-dollars of a token read and of one written."""
    provider = settings.providers.get(str(rung.model.provider))
    priced_as = upstream_of(provider).priced_as if provider else str(rung.model.provider)
    usage = Usage(input=1_000_000, output=1_000_000)
    found = prices.find(priced_as, rung.model.model, at_us, Circumstances(), usage)
    if not isinstance(found, Found) or found.currency != "USD":
        return None
    parts = [found.cost_nano(one) for one in (Usage(input=1_000_000), Usage(output=1_000_000))]
    read, written = (Fraction(part or 0, 1_000_000) for part in parts)
    return read, written


def _lowest_nano(action: Action) -> int:
    try:
        return max(verified_nano(action.price, 1), action.price.minimum_nano)
    except BadInput:
        return 0


def _wisdom(action: Action, settings: Settings) -> Iterator[str]:
    price, limit = action.price, action.limits.cost_nano
    if action.ladder and limit is None:
        yield "There is no limit on what a run may cost: write limits: {cost: …}."
    elif limit is not None and price.currency == "USD" and limit > _lowest_nano(action) > 0:
        earned = dollar_text(_lowest_nano(action))
        yield f"A run may cost up to {dollar_text(limit)} and earns {earned}: it can lose the difference."
    if price.currency != settings.currency:
        yield f"The price is in {price.currency}, and these books are kept in {settings.currency}."
    rungs = {rung.name: number for number, rung in enumerate(action.ladder)}
    tries = sum(rung.tries for rung in action.ladder) or 1
    if action.limits.attempts < len(rungs):
        yield f"{action.limits.attempts} attempts never reach the last of {len(rungs)} rungs."
    if price.per_attempt_nano and action.limits.attempts > tries:
        yield "The price bills attempts: the hold covers as many as 'limits: attempts' allows."
