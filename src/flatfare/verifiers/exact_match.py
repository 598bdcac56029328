"""The output is what was expected, as text or as a value of JSON.

What may differ is stated, never guessed: `ignore` takes any of `forms`, `invisible`, `quotes`,
`dashes`, `case`, `accents`, `punctuation`, `articles`, `whitespace` and `surrounding`
(whitespace at both ends, the default). A list of expected values accepts any of them. As
`json`, the order of keys and the way a number is written do not count.

```yaml
kind: exact-match
parameters: {at: /answer, ignore: [case, surrounding], expected: ["yes", "yes, it does"]}
```

Abstains where nothing was expected.
"""

from typing import Literal

from flatfare.core.checks import exact, likeness
from flatfare.core.checks.finding import Ruling, failed
from flatfare.core.checks.submission import NothingThere, Submission, picked, value_at
from flatfare.verifiers.expected import Expected
from flatfare.verifiers.kinds import Kind


class ExactMatch(Expected, frozen=True, kw_only=True):
    """Judges text or JSON."""

    read_as: Literal["text", "json"] = "text"
    ignore: tuple[str, ...] = ("surrounding",)

    def check(self) -> None:
        """The steps are known ones."""
        likeness.checked(self.ignore)


def judge(submission: Submission, parameters: ExactMatch) -> Ruling:
    """Compare the output with what was expected."""
    expected = parameters.wanted(submission)
    try:
        if parameters.read_as == "json":
            return exact.same_json(value_at(submission.output, parameters.at), expected)
        found = picked(submission.output, parameters.at)
    except NothingThere as problem:
        return failed(str(problem))
    return exact.same_text(found, expected, likeness.checked(parameters.ignore))


KIND = Kind("exact-match", ExactMatch, judge)
