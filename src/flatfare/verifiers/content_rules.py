"""The output says what it must, and nothing that is forbidden.

`contains` are phrases of which each must be there, `contains_any` of which one must,
`forbidden` of which none may. Whole words by default and whatever the case. Signs of no
width, full-width letters and other ways to hide a word do not hide it.

```yaml
kind: content-rules
parameters: {contains: ["not legal advice"], forbidden: ["guaranteed return", "risk-free"]}
```
"""

from flatfare.core.checks import content
from flatfare.core.checks.finding import Ruling, failed
from flatfare.core.checks.submission import NothingThere, Submission, picked
from flatfare.core.errors import BadInput
from flatfare.verifiers.kinds import Kind, OnOutput


class ContentRules(OnOutput, frozen=True, kw_only=True):
    """The phrases."""

    contains: tuple[str, ...] = ()
    contains_any: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    whole_words: bool = True
    ignore_case: bool = True

    def check(self) -> None:
        """There is something to look for, and no phrase is empty."""
        phrases = [*self.contains, *self.contains_any, *self.forbidden]
        if not phrases:
            raise BadInput("'contains', 'contains_any' and 'forbidden' are all empty: state a phrase.")
        if not all(phrase.strip() for phrase in phrases):
            raise BadInput("A phrase is empty: it would stand in every text.")


def judge(submission: Submission, parameters: ContentRules) -> Ruling:
    """Look for the phrases in the output."""
    try:
        text = picked(submission.output, parameters.at)
    except NothingThere as problem:
        return failed(str(problem))
    return content.judged(
        text,
        parameters.contains,
        parameters.contains_any,
        parameters.forbidden,
        whole_words=parameters.whole_words,
        ignore_case=parameters.ignore_case,
    )


KIND = Kind("content-rules", ContentRules, judge)
