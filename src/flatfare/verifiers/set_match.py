"""Enough of the expected members are in the output, and enough of what is there was expected.

Members are those of a JSON list (at `at`), or the parts of a text between `separator`s (lines
by default). Their order is of no account, and one that comes twice counts once. `precision`
is the least share of those found that must have been expected, `recall` the least share of
those expected that must be found; both are 1 by default. The score is their harmonic mean
(F1).

```yaml
kind: set-match
parameters: {at: /labels, recall: 0.9, ignore: [case, surrounding]}
```

Abstains where nothing was expected.
"""

from decimal import Decimal

from flatfare.core.checks import likeness, sets
from flatfare.core.checks.finding import Ruling, abstained, failed
from flatfare.core.checks.submission import Json, NothingThere, NotJson, Submission, read_json, value_at
from flatfare.core.errors import BadInput
from flatfare.verifiers.expected import Expected
from flatfare.verifiers.kinds import Kind


class SetMatch(Expected, frozen=True, kw_only=True):
    """How members are told apart, and how many must agree."""

    separator: str = "\n"
    precision: Decimal = Decimal(1)
    recall: Decimal = Decimal(1)
    ignore: tuple[str, ...] = ("surrounding",)

    def check(self) -> None:
        """Shares lie between 0 and 1."""
        likeness.checked(self.ignore)
        if not self.separator:
            raise BadInput("'separator' is empty: members are parted by something.")
        for key, value in (("precision", self.precision), ("recall", self.recall)):
            if not (value.is_finite() and 0 <= value <= 1):
                raise BadInput(f"{key!r} is {value}: a share lies between 0 and 1.")


def judge(submission: Submission, parameters: SetMatch) -> Ruling:
    """Compare the output's members with the expected ones."""
    wanted = parameters.wanted(submission)
    if wanted is None:
        return abstained("Nothing was expected: there is nothing to compare the output with.")
    ignored = likeness.checked(parameters.ignore)
    try:
        found = _value(submission.output, parameters.at)
    except NothingThere as problem:
        return failed(str(problem))
    return sets.compared(
        sets.members(found, parameters.separator, ignored),
        sets.members(wanted, parameters.separator, ignored),
        parameters.precision,
        parameters.recall,
    )


def _value(output: str, at: str | None) -> Json:
    """The value that is judged: a text that is no JSON list stands for itself."""
    if at is not None:
        return value_at(output, at)
    try:
        value = read_json(output)
    except NotJson:
        return output
    return value if isinstance(value, list) else output


KIND = Kind("set-match", SetMatch, judge)
