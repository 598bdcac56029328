"""Plans: what a customer pays each month beside single sales: base fee, included actions, minimum, tokens.

A plan is versioned; a subscription says who has which plan from when. Base fee and minimum are for
calendar months and are shared out by days where a month is not whole. A plan may have prices of its
own, which then count instead of the actions'.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from types import MappingProxyType

from flatfare.core.action import SIZE_UNITS
from flatfare.core.action_price import ActionPrice, parse_price, price_document
from flatfare.core.currency import check_currency
from flatfare.core.errors import BadInput
from flatfare.core.invoice import percent_text
from flatfare.core.money import decimal_text, half_even, nano_of

_FIELDS = ("plan", "version", "currency", "base_fee", "included", "minimum", "prices", "tokens")
TOKEN_CURRENCY = "USD"
"""What calls cost, and are billed in."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is agreed for each month."""

    name: str
    version: int = 0
    currency: str = "USD"
    base_nano: int = 0
    included: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))  # units of actions
    minimum_nano: int = 0  # of what is used
    markup: Fraction | None = None  # of calls by the token, in percent; None: they are not billed
    prices: Mapping[str, ActionPrice] = field(default_factory=lambda: MappingProxyType({}))  # by action

    def base_of(self, days: int, days_of_month: int) -> int:
        """The base fee for so many days of a month, in nano units.

        >>> Plan("team", base_nano=31_000_000_000).base_of(10, 31)
        10000000000
        """
        return half_even(self.base_nano * days, days_of_month)

    def minimum_of(self, days: int, days_of_month: int) -> int:
        """The minimum for so many days of a month, in nano units."""
        return half_even(self.minimum_nano * days, days_of_month)


def at_cost_plus(cost_nano: int, markup: Fraction) -> int:
    """What calls that cost so much are billed at, in nano units.

    >>> at_cost_plus(10_000_000, Fraction(20))
    12000000
    """
    exact = cost_nano * (1 + markup / 100)
    return half_even(exact.numerator, exact.denominator)


def plan_of(document: object) -> Plan:
    """The plan that a document says; ``BadInput`` names the field, what was found and expected.

    >>> plan_of({"plan": "team", "base_fee": "49.00", "included": {"review": 10}}).base_nano
    49000000000
    """
    if not isinstance(document, Mapping):
        raise BadInput(f"Found {document!r:.60} where a plan was expected: a mapping with 'plan'.")
    unknown = sorted(set(map(str, document)) - set(_FIELDS))
    if unknown:
        raise BadInput(f"Found the field {unknown[0]!r} in a plan: expected {', '.join(_FIELDS)}.")
    name = document.get("plan")
    if not isinstance(name, str) or not name:
        raise BadInput(f"Found {name!r:.60} as plan: expected its name.")
    version = document.get("version", 0)
    if not isinstance(version, int) or version < 0:
        raise BadInput(f"Found {version!r:.60} as version: expected a whole number.")
    currency = check_currency(str(document.get("currency", "USD")))
    markup = _markup(document.get("tokens"))
    if markup is not None and currency != TOKEN_CURRENCY:
        raise BadInput(
            f"Found tokens in a plan in {currency}: calls cost {TOKEN_CURRENCY}, and are billed in that only."
        )
    return Plan(
        name,
        version,
        currency,
        _amount("base_fee", document.get("base_fee", "0")),
        _included(document.get("included", {})),
        _amount("minimum", document.get("minimum", "0")),
        markup,
        _prices(document.get("prices", {}), currency),
    )


def document_of(plan: Plan) -> dict[str, object]:
    """The plan as a document."""
    prices = {action: price_document(price) for action, price in plan.prices.items()}
    tokens = None if plan.markup is None else {"markup_percent": percent_text(plan.markup)}
    return {
        "plan": plan.name,
        "version": plan.version,
        "currency": plan.currency,
        "base_fee": decimal_text(plan.base_nano),
        "included": dict(plan.included),
        "minimum": decimal_text(plan.minimum_nano),
        **({"prices": prices} if prices else {}),
        **({} if tokens is None else {"tokens": tokens}),
    }


def _amount(what: str, given: object) -> int:
    amount = _decimal(what, given)
    if amount < 0:
        raise BadInput(f"Found {given} as {what}: expected 0 or more.")
    return nano_of(amount)


def _included(given: object) -> dict[str, int]:
    if not isinstance(given, Mapping):
        raise BadInput(f"Found {given!r:.60} as included: expected actions and how many of each.")
    for action, units in given.items():
        if not isinstance(units, int) or isinstance(units, bool) or units < 1:
            raise BadInput(f"Found {units!r:.60} of {action!r} as included: expected a whole number above 0.")
    return {str(action): int(units) for action, units in given.items()}


def _prices(given: object, currency: str) -> dict[str, ActionPrice]:
    if not isinstance(given, Mapping):
        raise BadInput(f"Found {given!r:.60} as prices: expected actions and the price of each.")
    prices = {}
    for action, price in given.items():
        fields = price if isinstance(price, Mapping) else {"per_verified": price}
        read = parse_price({"currency": currency, **fields}, f"prices.{action}")
        if read.currency != currency:
            raise BadInput(f"prices.{action}: found a price in {read.currency} in a plan in {currency}.")
        if read.size not in (None, *SIZE_UNITS):
            raise BadInput(
                f"prices.{action}.size: found {read.size!r:.40}, expected {', '.join(SIZE_UNITS)}."
            )
        prices[str(action)] = read
    return prices


def _markup(given: object) -> Fraction | None:
    if given is None:
        return None
    if not isinstance(given, Mapping) or set(given) - {"markup_percent"}:
        raise BadInput(f"Found {given!r:.60} as tokens: expected {{markup_percent: 20}}.")
    markup = _decimal("markup_percent", given.get("markup_percent", 0))
    if markup < 0:
        raise BadInput(f"Found {markup} as markup_percent: expected 0 or more.")
    return Fraction(markup)


def _decimal(what: str, given: object) -> Decimal:
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or isinstance(given, bool) or abs(number) > 9_000_000_000:
        raise BadInput(f"Found {given!r:.60} as {what}: expected a number such as 49.00.")
    return number
