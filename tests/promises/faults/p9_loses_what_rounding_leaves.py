"""What rounding to a currency leaves over is forgotten."""

from flatfare.core import currency

CAUGHT_BY = ("../core/test_currency.py::test_lines_and_tax_sum_to_the_total_in_every_currency",)

_rounded = currency.rounded
currency.rounded = lambda nano, code: (_rounded(nano, code)[0], 0)
