"""The number in the output is the expected one, within a stated tolerance.

Numbers are read exactly, as people write them: `$1,234.50`, `1 234,50 €` (with
`decimal_mark: ","`), `12.5 %`, `3.2 km`, `1.2 million`. Units of one dimension are converted
(3.2 km is 3200 m); other units, and other currencies, do not agree. A number without a unit
is taken in the other's. `absolute` and `relative` are tolerances of which the larger holds;
the relative one is a share of the larger number, so that it makes no difference which of the
two was expected.

```yaml
kind: numeric-match
parameters: {pick: last, relative: 0.01}
```

Fails where the output holds no number or another one. Abstains where it holds several and
`pick` does not say which (`first` or `last`), where a number can be read in two ways
(`1,23`), and where nothing was expected.
"""

from decimal import Decimal
from typing import Literal

from flatfare.core.checks import numeric
from flatfare.core.checks.finding import Ruling, failed
from flatfare.core.checks.submission import NothingThere, Submission, picked
from flatfare.core.errors import BadInput
from flatfare.verifiers.expected import Expected
from flatfare.verifiers.kinds import Kind


class NumericMatch(Expected, frozen=True, kw_only=True):
    """Which number is judged, and how near it must be."""

    pick: Literal["only", "first", "last"] = "only"
    absolute: Decimal = Decimal(0)
    relative: Decimal = Decimal(0)
    decimal_mark: Literal[".", ","] = "."

    def check(self) -> None:
        """No tolerance is below zero."""
        for key, value in (("absolute", self.absolute), ("relative", self.relative)):
            if not value.is_finite() or value < 0:
                raise BadInput(f"{key!r} is {value}: a tolerance is zero or more.")


def judge(submission: Submission, parameters: NumericMatch) -> Ruling:
    """Compare the output's number with the expected one."""
    expected = numeric.expected_quantity(parameters.wanted(submission), parameters.decimal_mark)
    if isinstance(expected, Ruling):
        return expected
    try:
        text = picked(submission.output, parameters.at)
    except NothingThere as problem:
        return failed(str(problem))
    found = numeric.picked(text, parameters.pick, parameters.decimal_mark)
    if isinstance(found, Ruling):
        return found
    return numeric.compared(found, expected, parameters.absolute, parameters.relative)


KIND = Kind("numeric-match", NumericMatch, judge)
