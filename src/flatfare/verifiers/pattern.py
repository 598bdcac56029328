"""A regular expression finds something in the output, matches all of it, or finds nothing.

The syntax is RE2's, whose time is linear in the text: no pattern and no text can make it
hang. It has no look-around and no back references; a pattern with either is refused when the
check is made. `must` is `find` (the default), `match` (the whole text) or `not-find`.

```yaml
kind: pattern
parameters: {pattern: "^INV-[0-9]{6}$", must: match, at: /invoice, ignore_case: true}
```

Needs `pip install 'flatfare[verifiers]'` (google-re2).
"""

import functools
from typing import Any, Literal

from flatfare.core.checks.finding import Ruling, failed, passed
from flatfare.core.checks.submission import NothingThere, Submission, picked
from flatfare.core.errors import BadInput, BadUsage
from flatfare.verifiers.kinds import Kind, OnOutput

MEMORY_BYTES_MAX = 16 << 20


class Pattern(OnOutput, frozen=True, kw_only=True):
    """The expression, and what must come of it."""

    pattern: str
    must: Literal["find", "match", "not-find"] = "find"
    ignore_case: bool = False

    def check(self) -> None:
        """The expression is one."""
        _compiled(self.pattern, self.ignore_case)


def judge(submission: Submission, parameters: Pattern) -> Ruling:
    """Look for the expression in the output."""
    expression = _compiled(parameters.pattern, parameters.ignore_case)
    try:
        text = picked(submission.output, parameters.at)
    except NothingThere as problem:
        return failed(str(problem))
    is_whole = parameters.must == "match"
    match = expression.fullmatch(text) if is_whole else expression.search(text)
    details = {"span": [match.start(), match.end()]} if match else {}
    if (match is None) == (parameters.must == "not-find"):
        return passed(
            f"The pattern {parameters.pattern!r} is as it must: {parameters.must}.", details=details
        )
    found = f"at characters {match.start()} to {match.end()}" if match else "nowhere"
    whole = " in full" if is_whole else ""
    return failed(
        f"Found the pattern {parameters.pattern!r}{whole} {found}: it must {parameters.must}.",
        details=details,
    )


@functools.lru_cache(256)
def _compiled(pattern: str, ignore_case: bool) -> Any:
    try:
        import re2  # type: ignore[import-untyped]
    except ImportError:
        raise BadUsage("Patterns need google-re2: pip install 'flatfare[verifiers]'.") from None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY_BYTES_MAX
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options=options)
    except re2.error as problem:
        said = problem.args[0]
        why = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise BadInput(f"'pattern' is {pattern!r}, which cannot be used: {why} (RE2 syntax).") from None


KIND = Kind("pattern", Pattern, judge, engines=("google-re2",))
