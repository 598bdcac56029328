"""What an action costs its customer: a price fixed before the work starts, and what of it is due in the end.

Nothing that is not verified is billed unless the price says so; and what is due never
exceeds what was held, the most that the price can come to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from flatfare.core.currency import check_currency, payable_text
from flatfare.core.errors import BadInput
from flatfare.core.money import half_even, nano_of, parse_amount
from flatfare.core.outcome import Outcome

AMOUNT_NANO_MAX = 10**9 * 10**9
"""A thousand million units of currency for one sale: more is a slip of the pen."""

PERCENT_MAX = 1000
TIERS_MAX = CONDITIONS_MAX = 100


@dataclass(frozen=True, slots=True)
class Tier:
    """The price of inputs up to a size: a flat amount, and an amount for each unit of it."""

    up_to: int | None  # None: any size
    flat_nano: int
    each_nano: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """What a signal does to the price of verified work: it makes it so many percent of it."""

    signal: str
    percent: int  # 0 is free
    below: Decimal | None = None
    at_least: Decimal | None = None

    def holds(self, signals: Mapping[str, str | None]) -> bool:
        """The signal was given, on this side of the bounds."""
        if self.signal not in signals:
            return False
        if self.below is None and self.at_least is None:
            return True
        try:
            value = Decimal(signals[self.signal] or "")
        except InvalidOperation:
            return False
        if not value.is_finite():
            return False
        return (self.below is None or value < self.below) and (
            self.at_least is None or value >= self.at_least
        )


@dataclass(frozen=True, slots=True)
class ActionPrice:
    """The price of one kind of work, in nano units of its currency."""

    currency: str
    per_verified_nano: int
    per_attempt_nano: int = 0  # billed for each attempt, verified or not
    minimum_nano: int = 0  # of a sale whose verified work is billed at all
    bills_assumed: bool = False  # silence is billed like verified work
    size: str | None = None  # what tiers go by, such as pages
    tiers: tuple[Tier, ...] = ()
    is_graduated: bool = False  # each tier prices its own part of the size; else one tier prices all of it
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class DueLine:
    """One line of what is due."""

    text: str
    amount_nano: int


@dataclass(frozen=True, slots=True)
class Due:
    """What a sale comes to, line by line; with a reason where nothing is due."""

    amount_nano: int
    lines: tuple[DueLine, ...] = ()
    reason: str | None = None


def verified_nano(price: ActionPrice, size: int | None) -> int:
    """What verified work on an input of this size costs, before conditions.

    ``BadInput`` where the price goes by size and none is given, or by sizes below this one.

    >>> pages = (Tier(10, 5_000_000_000), Tier(None, 5_000_000_000, 100_000_000))
    >>> verified_nano(ActionPrice("USD", 0, size="pages", tiers=pages), 20)
    7000000000
    """
    if not price.tiers:
        return price.per_verified_nano
    if size is None or size < 0:
        raise BadInput(f"The price goes by {price.size}: give the size of the input, a whole number from 0.")
    largest = price.tiers[-1].up_to
    if largest is not None and size > largest:
        raise BadInput(f"Found an input of {size} {price.size}: this action is priced up to {largest}.")
    return _graduated(price.tiers, size) if price.is_graduated else _whole(price.tiers, size)


def _whole(tiers: Sequence[Tier], size: int) -> int:
    tier = next(tier for tier in tiers if tier.up_to is None or size <= tier.up_to)
    return tier.flat_nano + tier.each_nano * size


def _graduated(tiers: Sequence[Tier], size: int) -> int:
    amount_nano, below = 0, 0
    for number, tier in enumerate(tiers):
        if number and size <= below:
            break
        upper = size if tier.up_to is None else min(size, tier.up_to)
        amount_nano += tier.flat_nano + tier.each_nano * (upper - below)
        below = upper if tier.up_to is None else tier.up_to
    return amount_nano


def most(price: ActionPrice, *, attempts_max: int, size: int | None) -> int:
    """The most that a sale can come to: what is held before the work starts."""
    percent = max([100, *(condition.percent for condition in price.conditions)])
    work_nano = max(_share(verified_nano(price, size), percent), price.minimum_nano)
    return work_nano + price.per_attempt_nano * attempts_max


def due(
    price: ActionPrice,
    *,
    outcome: Outcome,
    attempts: int,
    size: int | None,
    signals: Mapping[str, str | None],
) -> Due:
    """What is due for a task that came to this outcome.

    >>> five = parse_price("5.00")
    >>> due(five, outcome=Outcome.FAILED, attempts=2, size=None, signals={}).reason
    'the task is failed, and only verified work is billed'
    """
    lines = []
    if price.per_attempt_nano and attempts:
        text = f"{attempts} × {payable_text(price.per_attempt_nano, price.currency)} per attempt"
        lines.append(DueLine(text, price.per_attempt_nano * attempts))
    work, reason = _work_due(price, outcome, size, signals)
    lines += [] if work is None else [work]
    amount_nano = sum(line.amount_nano for line in lines)
    return Due(amount_nano, tuple(lines), None if amount_nano else reason or "the price is zero")


def _work_due(
    price: ActionPrice, outcome: Outcome, size: int | None, signals: Mapping[str, str | None]
) -> tuple[DueLine | None, str | None]:
    if outcome is not Outcome.VERIFIED and not (outcome is Outcome.ASSUMED and price.bills_assumed):
        return None, f"the task is {outcome}, and only verified work is billed"
    amount_nano = verified_nano(price, size)
    text = f"{outcome}" if size is None or not price.tiers else f"{outcome}, {size} {price.size}"
    # where several conditions hold, the one that is best for the customer counts
    held = min((one for one in price.conditions if one.holds(signals)), key=_percent, default=None)
    if held is not None:
        amount_nano = _share(amount_nano, held.percent)
        text += f", {held.percent} % by {held.signal}"
        if not held.percent:
            return None, f"the work is free by the signal {held.signal!r}"
    if amount_nano < price.minimum_nano:
        amount_nano, text = price.minimum_nano, f"{text}, at least"
    return (DueLine(text, amount_nano), None) if amount_nano else (None, None)


def _percent(condition: Condition) -> int:
    return condition.percent


def _share(amount_nano: int, percent: int) -> int:
    exact = Fraction(amount_nano * percent, 100)
    return half_even(exact.numerator, exact.denominator)


# reading and writing


_FIELDS = {
    "currency",
    "per_verified",
    "per_attempt",
    "minimum",
    "assumed",
    "size",
    "tiers",
    "tiers_are",
    "when",
}


def parse_price(given: object, where: str = "price") -> ActionPrice:
    """The price that an action file states; ``BadInput`` names the field.

    >>> parse_price("5.00").per_verified_nano, parse_price({"currency": "EUR", "per_verified": "1"}).currency
    (5000000000, 'EUR')
    """
    if isinstance(given, str | int) and not isinstance(given, bool):
        given = {"per_verified": given}
    fields = _fields(given, where, _FIELDS)
    named = _currency_of(fields.get("per_verified"))
    currency = fields.get("currency", named or "USD")
    if not isinstance(currency, str):
        raise BadInput(f"{where}.currency: expected a code such as USD.")
    try:
        check_currency(currency)
    except BadInput as problem:
        raise BadInput(f"{where}.currency: {problem}") from None
    tiers = _tiers(fields, where, currency)
    if not tiers and "per_verified" not in fields and "per_attempt" not in fields:
        raise BadInput(f'{where}: say what verified work costs, such as per_verified: "5.00".')
    return ActionPrice(
        currency,
        _amount(fields, "per_verified", where, currency),
        _amount(fields, "per_attempt", where, currency),
        _amount(fields, "minimum", where, currency),
        _choice(fields, "assumed", where, ("free", "billable")) == "billable",
        _size(fields, where, bool(tiers)),
        tiers,
        _choice(fields, "tiers_are", where, ("whole", "graduated")) == "graduated",
        _conditions(fields.get("when", ()), where),
    )


def price_document(price: ActionPrice) -> dict[str, object]:
    """The price as ``parse_price`` reads it.

    >>> price_document(parse_price("5.00"))
    {'currency': 'USD', 'per_verified': '5.00'}
    """
    code = price.currency
    document: dict[str, object] = {"currency": code}
    if not price.tiers:
        document["per_verified"] = payable_text(price.per_verified_nano, code)
    if price.per_attempt_nano:
        document["per_attempt"] = payable_text(price.per_attempt_nano, code)
    if price.minimum_nano:
        document["minimum"] = payable_text(price.minimum_nano, code)
    if price.bills_assumed:
        document["assumed"] = "billable"
    if price.tiers:
        document["size"] = price.size
        document["tiers_are"] = "graduated" if price.is_graduated else "whole"
        document["tiers"] = [_tier_document(tier, code) for tier in price.tiers]
    if price.conditions:
        document["when"] = [_condition_document(condition) for condition in price.conditions]
    return document


def _tier_document(tier: Tier, code: str) -> dict[str, object]:
    document: dict[str, object] = {} if tier.up_to is None else {"up_to": tier.up_to}
    document["per_verified"] = payable_text(tier.flat_nano, code)
    if tier.each_nano:
        document["each"] = payable_text(tier.each_nano, code)
    return document


def _condition_document(condition: Condition) -> dict[str, object]:
    document: dict[str, object] = {"signal": condition.signal}
    if condition.below is not None:
        document["below"] = str(condition.below)
    if condition.at_least is not None:
        document["at_least"] = str(condition.at_least)
    return document | {"percent": condition.percent}


def _fields(given: object, where: str, known: set[str]) -> Mapping[str, object]:
    if not isinstance(given, Mapping):
        raise BadInput(
            f"{where}: expected an amount or fields such as per_verified, found {str(given)[:40]!r}."
        )
    for name in given:
        if name not in known:
            raise BadInput(f"{where}.{name}: no such field. Known: {', '.join(sorted(known))}.")
    return given


def _currency_of(given: object) -> str | None:
    try:
        return parse_amount(given)[1] if isinstance(given, str) else None
    except BadInput:
        return None  # said where the amount itself is read


def _amount(fields: Mapping[str, object], name: str, where: str, currency: str) -> int:
    given = fields.get(name, "0")
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise BadInput(
            f'{where}.{name}: write the amount as text, such as "5.00"; found {str(given)[:40]!r}, which is '
            f"{'a fraction that a computer rounds' if isinstance(given, float) else 'no amount'}."
        )
    try:
        amount, named = parse_amount(str(given))
    except BadInput as problem:
        raise BadInput(f"{where}.{name}: {problem}") from None
    if named not in (None, currency):
        raise BadInput(f"{where}.{name}: found an amount in {named} in a price in {currency}.")
    nano = nano_of(amount)
    if not 0 <= nano <= AMOUNT_NANO_MAX:
        raise BadInput(f"{where}.{name}: found {given}: a price is from 0 to 1,000,000,000.")
    return nano


def _choice(fields: Mapping[str, object], name: str, where: str, known: tuple[str, str]) -> str:
    given = fields.get(name, known[0])
    if given not in known:
        raise BadInput(f"{where}.{name}: found {str(given)[:40]!r}, expected {' or '.join(known)}.")
    return str(given)


def _size(fields: Mapping[str, object], where: str, has_tiers: bool) -> str | None:
    size = fields.get("size")
    if not has_tiers:
        if size is not None:
            raise BadInput(f"{where}.size: only tiers go by size; add tiers, or leave it out.")
        return None
    if not isinstance(size, str) or not size:
        raise BadInput(f"{where}.size: say what the tiers go by, such as pages or characters.")
    return size


def _tiers(fields: Mapping[str, object], where: str, currency: str) -> tuple[Tier, ...]:
    listed = _listed(fields.get("tiers", ()), f"{where}.tiers", TIERS_MAX)
    if listed and "per_verified" in fields:
        raise BadInput(f"{where}: give either per_verified or tiers, not both.")
    tiers, below = [], 0
    for number, one in enumerate(listed):
        place = f"{where}.tiers[{number}]"
        tier = _fields(one, place, {"up_to", "per_verified", "each"})
        up_to = tier.get("up_to")
        if up_to is None and number != len(listed) - 1:
            raise BadInput(f"{place}.up_to: only the last tier may be without an upper end.")
        if up_to is not None:
            if isinstance(up_to, bool) or not isinstance(up_to, int) or up_to <= below:
                raise BadInput(f"{place}.up_to: expected a whole number above {below}, found {up_to!r}.")
            below = up_to
        flat, each = (_amount(tier, name, place, currency) for name in ("per_verified", "each"))
        tiers.append(Tier(None if up_to is None else below, flat, each))
    return tuple(tiers)


def _conditions(given: object, where: str) -> tuple[Condition, ...]:
    conditions = []
    for number, one in enumerate(_listed(given, f"{where}.when", CONDITIONS_MAX)):
        place = f"{where}.when[{number}]"
        fields = _fields(one, place, {"signal", "below", "at_least", "then", "percent"})
        signal = fields.get("signal")
        if not isinstance(signal, str) or not signal:
            raise BadInput(f"{place}.signal: name the signal, such as csat.")
        conditions.append(
            Condition(
                signal,
                _percent_of(fields, place),
                _bound(fields, "below", place),
                _bound(fields, "at_least", place),
            )
        )
    return tuple(conditions)


def _listed(given: object, where: str, most_of_them: int) -> Sequence[object]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise BadInput(f"{where}: expected a list.")
    if len(given) > most_of_them:
        raise BadInput(f"{where}: found {len(given)}, at most {most_of_them} fit.")
    return given


def _percent_of(fields: Mapping[str, object], place: str) -> int:
    if ("then" in fields) == ("percent" in fields):
        raise BadInput(f"{place}: say either then: free or percent: 50.")
    if "then" in fields:
        if fields["then"] != "free":
            raise BadInput(f"{place}.then: found {str(fields['then'])[:40]!r}, expected free.")
        return 0
    percent = fields["percent"]
    if isinstance(percent, bool) or not isinstance(percent, int) or not 0 <= percent <= PERCENT_MAX:
        raise BadInput(
            f"{place}.percent: expected a whole number from 0 to {PERCENT_MAX}, found {percent!r}."
        )
    return percent


def _bound(fields: Mapping[str, object], name: str, place: str) -> Decimal | None:
    given = fields.get(name)
    if given is None:
        return None
    try:
        bound = Decimal(str(given))
    except InvalidOperation:
        bound = Decimal("NaN")
    if isinstance(given, bool) or not bound.is_finite():
        raise BadInput(f"{place}.{name}: expected a number, found {str(given)[:40]!r}.")
    return bound
