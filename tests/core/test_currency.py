"""Rounding to a currency's decimals: nothing is lost, in currencies of 0, 2, 3 and 4 decimals."""

import random
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest

from flatfare.core.currency import billed, check_currency, decimals_of, rounded
from flatfare.core.errors import BadInput
from flatfare.core.money import NANO

CASES = 10_000


def test_lines_and_tax_sum_to_the_total_in_every_currency() -> None:
    dice = random.Random(20261121)
    for _ in range(CASES):
        code = dice.choice(["JPY", "USD", "KWD", "CLF"])
        step = Decimal(1).scaleb(-decimals_of(code))
        amounts = [dice.randrange(-(10**13), 10**15) for _ in range(dice.randrange(0, 12))]
        percent = dice.choice(["0", "7", "7.7", "19", "20", "8.875"])
        bill = billed(amounts, code, Fraction(percent))
        # told again with decimals, line by line
        lines = [(Decimal(one) / NANO).quantize(step, ROUND_HALF_EVEN) for one in amounts]
        tax = (sum(lines, Decimal(0)) * Decimal(percent) / 100).quantize(step, ROUND_HALF_EVEN)
        assert [Decimal(one) / NANO for one in bill.lines_nano] == lines
        assert Decimal(bill.tax_nano) / NANO == tax
        assert bill.net_nano + bill.tax_nano == bill.total_nano
        assert bill.net_nano + bill.rest_nano == sum(amounts)  # what was left over is known to the nano unit
        assert all(isinstance(one, int) for one in (*bill.lines_nano, bill.tax_nano, bill.rest_nano))
        assert bill.total_nano % (NANO // 10 ** decimals_of(code)) == 0


def test_halves_go_to_the_even_digit() -> None:
    assert [rounded(nano * 5_000_000, "USD")[0] for nano in (1, 3, 5)] == [0, 20_000_000, 20_000_000]


def test_a_fraction_of_a_nano_unit_is_rounded_to_whole_ones_first() -> None:
    assert rounded(Fraction(10**9, 3), "USD") == (330_000_000, 3_333_333)


@pytest.mark.parametrize("code", ["usd", "XXX", "", "US", "EURO"])
def test_what_is_no_currency_is_refused(code: str) -> None:
    with pytest.raises(BadInput, match="ISO 4217"):
        check_currency(code)
