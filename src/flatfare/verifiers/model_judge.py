"""A model finds that the work meets a rubric, criterion by criterion.

`models` are those that may judge, as `provider/model`; the first of another family than the
producer's judges, and where there is none the finding says so (`family: required` makes it
abstain, `any` does not look). Its calls go through the gateway with the task's name and
`flatfare-purpose: verification`, so that they are part of what the task cost.

A rubric is one criterion or a list; each is judged by itself, met, not met or unsure. The work
passes where all are met. `samples` answers are asked for, one by one, until more than half of
them say one thing. With `against: expected` the work is compared with what was expected, in both
orders: a preference that turns with the order counts for neither. `must: not-worse` (the default)
passes a draw, `better` does not.

```yaml
kind: model-judge
parameters:
  models: [anthropic/claude-sonnet-4-5, openai/gpt-5-mini]
  rubric:
    - The answer names the notice period of the lease in months.
    - Every statement about the lease is supported by the input.
```

The work stands between marks that its author cannot know, and an answer counts only if it gives
back a code from the instructions. Work that speaks to whoever judges it is not passed on this
judge's word (`addressed: ignore` to have it otherwise). Abstains where most answers are unsure, do
not count, or do not come. A judge errs: [calibrate it](../guides/judges.md).
"""

from typing import Literal

from flatfare.core.checks import pairs, rubric
from flatfare.core.checks.finding import Ruling, abstained, failed
from flatfare.core.checks.question import Material, Vote, material
from flatfare.core.checks.submission import NothingThere, Submission, canonical, picked
from flatfare.core.outcome import VerifierKind
from flatfare.verifiers.asked import Asked, Put, asked_of, chosen, marks, rubric_in
from flatfare.verifiers.kinds import Kind, Means


class ModelJudge(Asked, frozen=True, kw_only=True):
    """What the work must be, and whether it stands alone or against what was expected."""

    rubric: str | list[str] | None = None
    rubric_file: str | None = None
    against: Literal["nothing", "expected"] = "nothing"
    must: Literal["not-worse", "better"] = "not-worse"

    def check(self) -> None:
        """The rubric can be read."""
        super().check()
        rubric_in(self.rubric, self.rubric_file)

    def material(self) -> str:
        """The rubric, wherever it stands."""
        return canonical(rubric_in(self.rubric, self.rubric_file))


def judge(submission: Submission, parameters: ModelJudge, means: Means) -> Ruling:
    """Ask a model whether the work meets the rubric."""
    criteria = rubric_in(parameters.rubric, parameters.rubric_file)
    try:
        work = picked(submission.output, parameters.at)
    except NothingThere as problem:
        return failed(str(problem))
    if parameters.against == "expected":
        return _against(submission, work, criteria, parameters, means)
    shown = _shown(submission, work=work)

    def vote(put: Put) -> Vote:
        own = marks()
        return rubric.vote_of(put(rubric.asked(criteria, shown, own), own), criteria)

    return asked_of(parameters, means, shown, vote)


def _against(
    submission: Submission, work: str, criteria: list[str], parameters: ModelJudge, means: Means
) -> Ruling:
    if submission.expected is None:
        return abstained("Nothing was expected: there is nothing to compare the work with.")
    other = submission.expected if isinstance(submission.expected, str) else canonical(submission.expected)
    forward = _shown(submission, first_work=work, second_work=other)
    swapped = _shown(submission, first_work=other, second_work=work)

    def vote(put: Put) -> Vote:
        own, again = marks(), marks()
        return pairs.preference(
            put(pairs.asked_which(criteria, forward, own), own),
            put(pairs.asked_which(criteria, swapped, again), again),
            tie_holds=parameters.must == "not-worse",
        )

    return asked_of(parameters, means, forward, vote)


def _shown(submission: Submission, **work: str) -> Material:
    return material(**({"task": submission.input} if submission.input else {}), **work)


KIND = Kind("model-judge", ModelJudge, judge, VerifierKind.MODEL, chosen=chosen)
