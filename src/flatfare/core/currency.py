"""Currencies: which there are, their decimals, and the one place where amounts are rounded to them.

What rounding leaves over is given back beside the rounded amount, so that nothing is lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from flatfare.core.errors import BadInput
from flatfare.core.money import NANO, half_even, nano_of, parse_amount

# ISO 4217, list one; decimals and codes as in its table read 2026-11-21. All others have two decimals.
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"
_TWO_DECIMALS = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD
    CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP
    GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN
    QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD
    TWD TZS UAH USD USN UYU UZS VED VES WST XCD YER ZAR ZMW ZWL"""

DECIMALS: dict[str, int] = {
    code: decimals
    for decimals, codes in (
        (0, _NO_DECIMALS),
        (2, _TWO_DECIMALS),
        (3, _THREE_DECIMALS),
        (4, _FOUR_DECIMALS),
    )
    for code in codes.split()
}
"""Every currency that can be sold in, and its decimals."""


def check_currency(code: str) -> str:
    """The code itself; ``BadInput`` where it is no currency.

    >>> check_currency("EUR")
    'EUR'
    """
    if code not in DECIMALS:
        raise BadInput(
            f"Found the currency {code[:20]!r}: expected a code of ISO 4217 in capitals, such as USD or EUR."
        )
    return code


def decimals_of(code: str) -> int:
    """How many decimals an amount has that can be paid.

    >>> decimals_of("JPY"), decimals_of("USD"), decimals_of("KWD"), decimals_of("CLF")
    (0, 2, 3, 4)
    """
    return DECIMALS[check_currency(code)]


def rounded(amount_nano: int | Fraction, code: str) -> tuple[int, int]:
    """The amount as it can be paid, half to even, and what that leaves over: both in whole nano units.

    An exact fraction of a nano unit is first rounded to whole ones.

    >>> rounded(1_005_000_000, "USD"), rounded(1_005_000_000, "JPY"), rounded(-15_000_000, "USD")
    ((1000000000, 5000000), (1000000000, 5000000), (-20000000, 5000000))
    """
    exact = Fraction(amount_nano)
    whole_nano = half_even(exact.numerator, exact.denominator)
    step: int = NANO // 10 ** decimals_of(code)
    paid_nano = half_even(whole_nano, step) * step
    return paid_nano, whole_nano - paid_nano


def payable_text(amount_nano: int, code: str) -> str:
    """An amount that can be paid, with its currency's decimals; more where it has more.

    >>> payable_text(5_000_000_000, "USD"), payable_text(12_000_000_000, "JPY"), payable_text(1, "USD")
    ('5.00', '12', '0.000000001')
    """
    sign, size = ("-" if amount_nano < 0 else ""), abs(amount_nano)
    whole, rest = divmod(size, NANO)
    decimals = f"{rest:09d}".rstrip("0").ljust(decimals_of(code), "0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def check_payable(amount_nano: int, code: str) -> int:
    """The amount itself; ``BadInput`` where nobody can pay it, for it is finer than its currency.

    >>> check_payable(5_250_000_000, "USD")
    5250000000
    """
    decimals = decimals_of(code)
    step: int = NANO // 10**decimals
    if amount_nano % step:
        fineness = f"{decimals} decimals" if decimals else "no decimals"
        next_nano = amount_nano - amount_nano % step + step
        raise BadInput(
            f"Found {payable_text(amount_nano, code)} {code} to be paid: {code} has {fineness} (ISO 4217). "
            f"Write an amount such as {payable_text(next_nano, code)}."
        )
    return amount_nano


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines as they can be paid: the lines and the tax sum to the total, what rounding left is beside."""

    lines_nano: tuple[int, ...]
    tax_nano: int
    rest_nano: int  # of the lines; exact amounts = lines + rest

    @property
    def net_nano(self) -> int:
        """The lines together."""
        return sum(self.lines_nano)

    @property
    def total_nano(self) -> int:
        """What is to be paid."""
        return self.net_nano + self.tax_nano


def billed(amounts_nano: Iterable[int], code: str, tax_percent: Fraction = Fraction(0)) -> Bill:
    """Each line rounded once, and the tax once on the sum of the lines as printed.

    >>> billed([333_333_333] * 3, "USD", Fraction(19)).total_nano
    1180000000
    """
    lines, rest_nano = [], 0
    for amount_nano in amounts_nano:
        line_nano, left_nano = rounded(amount_nano, code)
        lines.append(line_nano)
        rest_nano += left_nano
    tax_nano = rounded(Fraction(sum(lines)) * tax_percent / 100, code)[0]
    return Bill(tuple(lines), tax_nano, rest_nano)


def parse_in(text: str, code: str) -> int:
    """An amount as people write it, in nano units of this currency; ``BadInput`` for one in another.

    >>> parse_in("20", "USD"), parse_in("€5.00", "EUR")
    (20000000000, 5000000000)
    """
    amount, named = parse_amount(text)
    if named not in (None, check_currency(code)):
        raise BadInput(f"Found {text[:40]!r} where an amount in {code} was expected.")
    return nano_of(amount)


def dollars(text: str, *, from_zero: bool = False) -> int:
    """An amount of dollars as people write it, in nano-dollars; ``BadInput`` for one in another currency.

    >>> dollars("$1.50")
    1500000000
    """
    nano = parse_in(text, "USD")
    if from_zero and nano < 0:
        raise BadInput(f"Found {text[:40]!r}: write dollars from 0 up, such as 5.00.")
    return nano
