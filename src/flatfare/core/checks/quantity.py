"""Numbers as people write them: with parted thousands, a currency, a unit, a per cent sign; always exact.

What could be read in two ways is not read: ``Ambiguous`` says so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

_LENGTH = {"nm": "1e-9", "µm": "1e-6", "mm": "1e-3", "cm": "1e-2", "dm": "0.1", "m": "1", "km": "1000"}
_IMPERIAL = {
    "inch": "0.0254",
    "inches": "0.0254",
    "ft": "0.3048",
    "yd": "0.9144",
    "mi": "1609.344",
}  # international yard, 1959
_MASS = {
    "µg": "1e-9",
    "mg": "1e-6",
    "g": "1e-3",
    "kg": "1",
    "t": "1000",
    "lb": "0.45359237",
    "oz": "0.028349523125",
}
_TIME = {"ns": "1e-9", "µs": "1e-6", "ms": "1e-3", "s": "1", "sec": "1", "seconds": "1", "min": "60",
         "minutes": "60", "h": "3600", "hours": "3600", "days": "86400", "weeks": "604800"}  # fmt: skip
_VOLUME = {"ml": "1e-3", "mL": "1e-3", "cl": "1e-2", "dl": "0.1", "l": "1", "L": "1"}
_DATA = {"B": "1", "kB": "1e3", "KB": "1e3", "MB": "1e6", "GB": "1e9", "TB": "1e12",
         "KiB": "1024", "MiB": "1048576", "GiB": "1073741824", "TiB": "1099511627776"}  # fmt: skip
_SHARE = {"%": "0.01", "percent": "0.01", "per cent": "0.01", "‰": "0.001", "bp": "0.0001", "bps": "0.0001"}

UNITS: Mapping[str, tuple[str, Fraction]] = {
    unit: (dimension, Fraction(Decimal(factor)))
    for dimension, table in (
        ("length", _LENGTH | _IMPERIAL),
        ("mass", _MASS),
        ("time", _TIME),
        ("volume", _VOLUME),
        ("data", _DATA),
        ("share", _SHARE),
    )
    for unit, factor in table.items()
}
"""A unit's dimension, and how much of the dimension's own unit it is, exactly."""

MAGNITUDES: Mapping[str, int] = {
    "thousand": 10**3, "million": 10**6, "mn": 10**6, "billion": 10**9, "bn": 10**9, "trillion": 10**12,
}  # fmt: skip

CODES = frozenset(
    {
        "AED", "ARS", "AUD", "BGN", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP", "EUR",
        "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KES", "KRW", "MAD", "MXN", "MYR", "NGN",
        "NOK", "NZD", "PEN", "PHP", "PKR", "PLN", "RON", "RSD", "RUB", "SAR", "SEK", "SGD", "THB", "TRY",
        "TWD", "UAH", "USD", "VND", "ZAR",
    }
)  # fmt: skip
SYMBOLS: Mapping[str, frozenset[str]] = {
    "US$": frozenset({"USD"}), "A$": frozenset({"AUD"}), "C$": frozenset({"CAD"}), "HK$": frozenset({"HKD"}),
    "NZ$": frozenset({"NZD"}), "S$": frozenset({"SGD"}), "R$": frozenset({"BRL"}),
    "$": frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN"}), "€": frozenset({"EUR"}),
    "£": frozenset({"GBP", "EGP"}), "¥": frozenset({"JPY", "CNY"}), "₹": frozenset({"INR"}),
    "₩": frozenset({"KRW"}), "₽": frozenset({"RUB"}), "₺": frozenset({"TRY"}), "zł": frozenset({"PLN"}),
    "kr": frozenset({"SEK", "NOK", "DKK", "ISK"}),
}  # fmt: skip

_SIGNS = "-+−–"
_SPACES = " \u00a0\u202f"
_PARTING = ",.'’" + _SPACES
_SYMBOL = "|".join(re.escape(symbol) for symbol in sorted(SYMBOLS, key=len, reverse=True))
_MONEY = rf"(?:{_SYMBOL}|(?:{'|'.join(sorted(CODES))})\b)"
_NUMBER = re.compile(
    rf"(?<![\w.,])(?P<sign>[{_SIGNS}])?(?P<before>{_MONEY})?\s?(?P<inner>[{_SIGNS}])?"
    rf"(?P<digits>(?:\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[,.'’]\d+)*|[.,]\d+)"
    r"(?:[eE][-+−]?\d{1,3})?)"
    rf"(?:\s?(?P<magnitude>{'|'.join(MAGNITUDES)})\b)?"
    rf"(?:\s?(?P<after>{_MONEY}|per cent\b|[%‰]|[A-Za-zµ]+))?(?!\d)"
)


class Ambiguous(Exception):
    """A number can be read in two ways; says which and what to state, as a sentence."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as written, and what it counts: a unit, one of several currencies, or nothing stated."""

    number: Fraction
    unit: str | None = None
    currencies: frozenset[str] = frozenset()

    @property
    def dimension(self) -> str | None:
        """What its unit measures."""
        return UNITS[self.unit][0] if self.unit else None

    @property
    def value(self) -> Fraction:
        """The number in its dimension's own unit."""
        return self.number * UNITS[self.unit][1] if self.unit else self.number

    @property
    def is_bare(self) -> bool:
        """It states no unit and no currency."""
        return not self.unit and not self.currencies


def numbers(text: str) -> list[re.Match[str]]:
    """Every place of the text where a number stands, for ``quantity`` to read."""
    return list(_NUMBER.finditer(text))


def quantity(match: re.Match[str], decimal_mark: str = ".") -> Quantity:
    """The number at a place, with what it counts; ``Ambiguous`` where it could be two.

    >>> quantity(numbers("it is $1,234.50 net")[0]).number
    Fraction(2469, 2)
    """
    number = _value(match["digits"], decimal_mark)
    if (match["sign"] or match["inner"] or "+") != "+":
        number = -number
    number *= MAGNITUDES.get(match["magnitude"] or "", 1)
    for named in filter(None, (match["before"], match["after"])):
        if named in SYMBOLS or named in CODES:
            return Quantity(number, None, SYMBOLS.get(named) or frozenset({named}))
        if named in UNITS:
            return Quantity(number, named)
    return Quantity(number)


def _value(written: str, decimal_mark: str) -> Fraction:
    mantissa, _, exponent = written.replace("−", "-").lower().partition("e")
    whole, mark, fraction = mantissa.rpartition(decimal_mark)
    if not mark:
        whole, fraction = mantissa, ""
    if not re.fullmatch(r"\d*", fraction):
        raise Ambiguous(_advice(written, decimal_mark))
    groups = re.split(f"[{_PARTING}]", whole)
    if len(groups) > 1 and not _are_thousands(whole, groups):
        raise Ambiguous(_advice(written, decimal_mark))
    digits = Decimal(f"{''.join(groups) or '0'}.{fraction or '0'}")
    return Fraction(digits) * Fraction(10) ** int(exponent or 0)


def _are_thousands(whole: str, groups: list[str]) -> bool:
    """One sign parts all groups; the last has three digits, those between three or two (as in India)."""
    one_sign = len({sign for sign in whole if not sign.isdigit()}) == 1
    inner = {len(group) for group in groups[1:-1]}
    return one_sign and len(groups[-1]) == 3 and inner in (set(), {3}, {2}) and 1 <= len(groups[0]) <= 3


def _advice(written: str, decimal_mark: str) -> str:
    return (
        f"Found {written!r}, which is no number with {decimal_mark!r} as its decimal mark: "
        "state 'decimal_mark' if it has another."
    )
