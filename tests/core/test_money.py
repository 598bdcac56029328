"""Money is whole nano-dollars: read, rounded once, printed without loss."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.errors import BadInput
from flatfare.core.money import NANO, decimal_text, dollar_text, half_even, nano_of, parse_amount


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("1.25", "1.25", None),
        ("$1,234.50", "1234.50", "USD"),
        ("3.0632e-05", "0.000030632", None),
        ("1E+2", "100", None),
        ("-$5", "-5", "USD"),
        ("$-5", "-5", "USD"),
        ("5 EUR", "5", "EUR"),
        ("€0.99", "0.99", "EUR"),
        (" .5 ", "0.5", None),
        ("0", "0", None),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, amount: str, currency: str | None) -> None:
    assert parse_amount(text) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "0,125",
        "NaN",
        "inf",
        "1.2.3",
        "1,23",
        "$",
        "--1",
        "-$-1",
        "1e999",
        "0x10",
        "$5 EUR",
        "9" * 80,
    ],
)
def test_what_is_no_amount_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadInput, match="Found"):
        parse_amount(text)


def test_a_half_nano_goes_to_the_even_one() -> None:
    assert nano_of(Decimal("0.0000000125")) == 12
    assert nano_of(Decimal("0.0000000135")) == 14
    assert nano_of(Decimal("-0.0000000125")) == -12


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
def test_rounding_agrees_with_exact_fractions(numerator: int, denominator: int) -> None:
    assert half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers(-(10**18), 10**18))
def test_printing_and_reading_gives_the_same_amount(nano: int) -> None:
    assert nano_of(parse_amount(decimal_text(nano))[0]) == nano


@given(st.integers(1, 10**15))
def test_an_amount_is_never_printed_as_zero_when_it_is_not(nano: int) -> None:
    digits = dollar_text(nano).replace("$", "").replace(",", "")
    assert Decimal(digits) > 0
    assert abs(Decimal(digits) * NANO - nano) <= max(Decimal(nano) * Decimal("0.06"), 1)


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (999, "$0.00000100"),
        (45_678, "$0.000046"),
        (1_000_000, "$0.0010"),
        (999_940_000, "$0.9999"),
        (999_950_000, "$1.00"),
        (-999_965_000, "-$1.00"),
        (1_234_567_890_000, "$1,234.57"),
        (-2_500_000_000, "-$2.50"),
    ],
)
def test_amounts_read_well(nano: int, text: str) -> None:
    assert dollar_text(nano) == text
