"""Every span that the output quotes stands word for word in the source.

The source is the task's input and the text files that came with it (`source: input` or
`files` for one of them), or a text stated here. Quotations are what stands between
quotation marks of any kind, and Markdown's block quotes. Levelled on both sides: the marks'
shape, dashes, runs of space, words parted at a line's end, `…` and `[...]` that leave something
out (the parts must come in their order), `[T]he` for `the`, a comma put within the marks.
Shorter ones than `words_min` (3) are names and irony, and pass.

```yaml
kind: quoted-spans
parameters: {words_min: 4, quotes_min: 1}
```

Fails with each quotation that is missing, and where there are fewer than `quotes_min`.
Abstains without a source, without a quotation, and where a quotation mark is never closed.
"""

from typing import Literal

from flatfare.core.checks import quotes
from flatfare.core.checks.finding import Ruling, failed
from flatfare.core.checks.submission import NothingThere, Submission, picked
from flatfare.core.errors import BadInput
from flatfare.verifiers.kinds import Kind, OnOutput


class QuotedSpans(OnOutput, frozen=True, kw_only=True):
    """What counts as a quotation, and where it must stand."""

    source: Literal["input", "files", "all"] = "all"
    text: str | None = None
    words_min: int = 3
    quotes_min: int = 0
    ignore_case: bool = False
    blockquotes: bool = True

    def check(self) -> None:
        """Counts are counts."""
        if self.words_min < 1 or self.quotes_min < 0:
            raise BadInput("'words_min' is at least 1 and 'quotes_min' at least 0.")


def judge(submission: Submission, parameters: QuotedSpans) -> Ruling:
    """Look for each quotation in the source."""
    try:
        output = picked(submission.output, parameters.at)
    except NothingThere as problem:
        return failed(str(problem))
    return quotes.judged(
        output,
        _sources(submission, parameters),
        words_min=parameters.words_min,
        quotes_min=parameters.quotes_min,
        ignore_case=parameters.ignore_case,
        blockquotes=parameters.blockquotes,
    )


def _sources(submission: Submission, parameters: QuotedSpans) -> list[str]:
    if parameters.text is not None:
        return [parameters.text]
    found = [submission.input] if parameters.source != "files" else []
    if parameters.source != "input":
        found += [content.decode("utf-8", "replace") for _, content in sorted(submission.files.items())]
    return found


KIND = Kind("quoted-spans", QuotedSpans, judge)
