"""Looking again: what a sampling plan has drawn is judged by the plan's verifier, and the verdict recorded.

What a task says must be known: actions keep it where they say so, nothing else is stored. A task is
judged once by a plan, whoever runs it.
"""

from collections.abc import Callable, Mapping

from flatfare.core.checks.submission import Submission
from flatfare.core.definition import Definition
from flatfare.core.errors import BadInput
from flatfare.core.outcome import Judgement
from flatfare.service import clock
from flatfare.service.judging import sampling
from flatfare.service.judging.asking import Asker, Whose
from flatfare.service.judging.sampling import Drawn
from flatfare.service.tasks.recording import Teller, record
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from flatfare.store.sampling import HUMAN, Plan
from flatfare.verifiers import kinds, verdicts
from flatfare.verifiers.kinds import Means

AT_ONCE = 20
"""Tasks of a plan that are judged before the next plan has its turn."""

AskerOf = Callable[[Whose], Asker]


def check(definition: Definition) -> None:
    """``BadInput`` where a definition sends tasks to a verifier that cannot be."""
    sampled = definition.sampled
    if sampled is not None and sampled.sends_to != HUMAN:
        kinds.verifier(sampled.sends_to, _parameters(sampled.terms))


def has_plans(book: Book) -> bool:
    """Some plan sends tasks to a verifier."""
    return any(plan.sends_to != HUMAN for plan in sampling.plans(book))


def judge_all(book: Book, lake: Lake, asker_of: AskerOf) -> int:
    """Judge some of what any plan has drawn, has ended, and is kept; how many were judged."""
    count = 0
    with book.alone("looking again"):
        for plan in sampling.plans(book):
            if plan.sends_to == HUMAN:
                continue
            drawn = sampling.waiting(book, lake, plan, sampling.AT_ONCE, only_ended=True)
            contents = sampling.kept(book, drawn)
            known = [one for one in drawn if one.task_id in contents]
            for one in known[:AT_ONCE]:
                judged(book, lake, plan, one, contents[one.task_id], asker_of)
                count += 1
    return count


def judged(
    book: Book, lake: Lake, plan: Plan, one: Drawn, submission: Submission, asker_of: AskerOf
) -> Judgement:
    """Let the plan's verifier judge a task, and record what it found."""
    means = Means(asker_of(Whose(one.task_id)), one.models)
    check = kinds.verifier(plan.sends_to, _parameters(plan.terms), name=plan.verifier, means=means)
    finding = check.judge(submission)
    now_us = clock.now_us()
    event = verdicts.event_of(finding, submission, one.task_id, now_us)
    done = record(book, lake, [event], Teller(f"the plan {plan.name!r}", source="sampling"), now_us=now_us)
    if done.refused:
        raise BadInput(f"The verdict on {one.name} was refused: {done.refused[0].reason}")
    return finding.judgement


def _parameters(terms: Mapping[str, object]) -> Mapping[str, object]:
    given = terms.get("parameters", {})
    return given if isinstance(given, Mapping) else {}
