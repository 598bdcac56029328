"""What attempts come to, kept before anything follows from it: verdicts, the task's end, the money."""

import json
from dataclasses import dataclass, replace

from flatfare.core.action import Ending
from flatfare.core.checks.submission import Json
from flatfare.core.moments import HOUR_US
from flatfare.runner import moving, people, telling
from flatfare.runner.books import Shelf
from flatfare.runner.models import Made
from flatfare.runner.proving import Proof
from flatfare.runner.questions import VERIFICATION
from flatfare.runner.working import Work
from flatfare.service.actions import keeping
from flatfare.service.actions.publishing import Published
from flatfare.store import runs
from flatfare.store.runs import Attempt, Booked, Run, State

NOT_TOLD = "what a call has cost is known once it is booked"
UNSAID = "its work was done by commands alone, and the action's file does not say what they cost"
WAITED_US = 12 * HOUR_US
"""How long calls that are not booked yet are waited for; then the cost of a run stays as it was told."""

SETTLES_US = 600_000_000
"""How long after an attempt was cut short its calls may still come in."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that has ended; ``reasons`` may quote the output, ``told`` may not."""

    attempt: Attempt
    ending: Ending
    reasons: tuple[str, ...]
    told: tuple[str, ...]
    verdicts: tuple[dict[str, object], ...]
    output: str | None
    versions: dict[str, str]


def begin(shelf: Shelf, run: Run, rung: str, path: str, now_us: int) -> tuple[Run, Attempt]:
    """Begin the next attempt."""
    attempt = Attempt(run.id, run.attempts + 1, run.take, rung, path, now_us)
    with shelf.book.writing():
        run = runs.update(shelf.book, run, attempts=attempt.number, state=State.WORKING)
        runs.write_attempt(shelf.book, attempt)
    return run, attempt


def ended(
    attempt: Attempt,
    work: Work,
    proof: Proof,
    reasons: tuple[str, ...],
    output: str | None,
    versions: dict[str, str],
    now_us: int,
) -> Ended:
    """The attempt with what it made and what was found of it."""
    findings = proof.findings
    told = tuple(f"{found.verifier}: {found.judgement}" for found in findings) or reasons
    is_whole = all(made.cost_nano is not None for made in work.made)
    finished = replace(
        attempt,
        ended_at_us=now_us,
        ending=str(proof.ending),
        reasons=json.dumps(told),
        calls=json.dumps([[made.id, made.purpose, made.cost_nano] for made in work.made]),
        cost_nano=known_nano(work.made),
        cost_reason=_reason(work) or (None if is_whole else NOT_TOLD),
    )
    said = tuple(telling.verdict(found, attempt.number, now_us) for found in findings)
    return Ended(finished, proof.ending, reasons, told, said, output, versions)


def _reason(work: Work) -> str | None:
    """Why what an attempt has cost is not known, where commands whose cost nobody says are all its work."""
    is_all = all(call.purpose == VERIFICATION for call in work.made)
    return UNSAID if work.is_cost_unsaid and is_all else None


def known_nano(made: list[Made]) -> int:
    """The known part of what calls have cost."""
    return sum(call.cost_nano or 0 for call in made)


def end(shelf: Shelf, run: Run, one: Ended, now_us: int) -> None:
    """Keep an attempt that is not the last."""
    runs.write_attempt(shelf.book, one.attempt)
    events = [telling.judged(run, said) for said in one.verdicts]
    telling.tell(shelf, run, [*telling.tried(run, one.attempt), *events], now_us)


def decide(shelf: Shelf, run: Run, version: Published, one: Ended, output: str | None, now_us: int) -> Run:
    """Keep what a run has come to; from here on it is not done again."""
    keep_us = version.action.keep_us
    verdicts = list(one.verdicts)
    if one.ending not in (Ending.VERIFIED, Ending.AWAITED):
        number = one.attempt.number
        spoken = {said["verifier"] for said in verdicts}
        verdicts += [
            telling.nothing_to_judge(name, one.versions.get(name, "1"), one.ending, number, now_us)
            for name in version.action.definition.required
            if name not in spoken
        ]
    with shelf.book.writing():
        runs.write_attempt(shelf.book, one.attempt)
        return runs.update(
            shelf.book,
            run,
            state=State.JUDGED,
            ending=str(one.ending),
            reasons=json.dumps(one.reasons if keep_us and not keeping.is_sealing() else one.told),
            verdicts=json.dumps(verdicts),
            output=keeping.kept(output, run.id, "output") if keep_us and output is not None else None,
            forget_at_us=now_us + keep_us if keep_us else None,
        )


def finish(shelf: Shelf, run: Run, now_us: int, *, is_lost: bool = False) -> Run:
    """Tell of a run that is decided, move its money, and end it; whatever of that was done is not done again.

    ``is_lost``: the process that had the result is gone. What is verified then and was not kept
    is given back.
    """
    verdicts: list[dict[str, Json]] = json.loads(run.verdicts)
    attempts = [one for one in runs.attempts_of(shelf.book, run.id) if one.take == run.take]
    last = attempts[-1]
    events = [telling.judged(run, said) for said in verdicts]
    closed = telling.closed(run, last.ended_at_us or now_us)
    telling.tell(shelf, run, [*telling.tried(run, last), *events, closed], now_us)
    ending = Ending(str(run.ending))
    if ending is Ending.AWAITED and not is_lost:
        people.ask(shelf, run, now_us)
        return runs.update(shelf.book, run, owner=None)
    if is_lost and ending in (Ending.VERIFIED, Ending.AWAITED):
        return give_back(shelf, run, now_us)
    moving.settle(shelf, run, now_us, f"the work ended as {ending}")
    is_kept = run.output is not None or ending is not Ending.VERIFIED
    return _done(shelf, run, now_us, is_delivered=int(is_kept))


def give_back(shelf: Shelf, run: Run, now_us: int) -> Run:
    """Give back a run whose result was lost before it was handed over."""
    moving.give_back(shelf, run, now_us)
    return _done(shelf, run, now_us, ending=str(Ending.INTERRUPTED), is_delivered=1)


def cut_short(shelf: Shelf, run: Run, now_us: int) -> None:
    """End the attempt that a process left open when it ended."""
    cut = str(Ending.INTERRUPTED)
    for attempt in runs.attempts_of(shelf.book, run.id):
        if attempt.take != run.take or attempt.ending not in (None, cut):
            continue
        ended_so = attempt
        if attempt.ending is None:  # written first: told again it is told with the same moment
            ended_so = replace(attempt, ended_at_us=now_us, ending=cut, cost_reason=NOT_TOLD)
            runs.write_attempt(shelf.book, ended_so)
        telling.tell(shelf, run, telling.tried(run, ended_so), now_us)


def _done(shelf: Shelf, run: Run, now_us: int, **changes: str | int) -> Run:
    owner = None if changes["is_delivered"] else run.owner
    ended_at_us = run.ended_at_us or now_us
    return runs.update(shelf.book, run, state=State.DONE, ended_at_us=ended_at_us, owner=owner, **changes)


def book_open_costs(shelf: Shelf, now_us: int) -> int:
    """Bring the cost of runs that are done up to what their calls were booked with; how many became final."""
    left = [(run, _own_attempts(shelf, run)) for run in runs.with_open_cost(shelf.book)]
    spans = {run.task_id: _span(run, attempts, now_us) for run, attempts in left}
    booked = runs.booked_calls(shelf.book, shelf.lake, spans)
    return sum(_book_cost(shelf, run, own, booked.get(run.task_id, []), now_us) for run, own in left)


def _own_attempts(shelf: Shelf, run: Run) -> list[Attempt]:
    return [one for one in runs.attempts_of(shelf.book, run.id) if one.take == run.take]


def _span(run: Run, attempts: list[Attempt], now_us: int) -> tuple[int, int]:
    """When the calls of a run were made: while it tried, however long it waited for somebody's word then."""
    first_us = min((one.started_at_us for one in attempts), default=run.started_at_us)
    return first_us, max((one.ended_at_us or now_us for one in attempts), default=now_us)


def _book_cost(shelf: Shelf, run: Run, attempts: list[Attempt], booked: list[Booked], now_us: int) -> bool:
    """Take the cost of a run's attempts from its calls, once each of them is booked."""
    by_attempt: dict[str | None, list[Booked]] = {}
    for call in booked:
        by_attempt.setdefault(call.attempt_id, []).append(call)
    found = [(one, by_attempt.get(telling.attempt_id(run, one.number), [])) for one in attempts]
    if not all(_is_whole(one, calls, now_us) for one, calls in found):
        is_over = now_us > (run.ended_at_us or 0) + WAITED_US
        if is_over:
            runs.update(shelf.book, run, is_cost_final=1)
        return is_over
    exact = [_exact(one, calls) for one, calls in found]
    for one, before in zip(exact, attempts, strict=True):
        if one != before:
            runs.write_attempt(shelf.book, one)
    moving.book_costs(shelf, run, moving.costs_of(exact, run.take), now_us)
    runs.update(shelf.book, run, is_cost_final=1)
    return True


def _is_whole(attempt: Attempt, calls: list[Booked], now_us: int) -> bool:
    """Each call that an attempt made is booked; those whose end it has not seen are waited for a while."""
    told = json.loads(attempt.calls)
    if not {call for call, _, _ in told if call} <= {call.id for call in calls}:
        return False
    is_settled = now_us > (attempt.ended_at_us or 0) + SETTLES_US
    return is_settled or (len(calls) >= len(told) and attempt.ending != Ending.INTERRUPTED)


def _exact(attempt: Attempt, calls: list[Booked]) -> Attempt:
    """The attempt with its calls as they were booked."""
    own_nano = (attempt.cost_nano or 0) - sum(cost or 0 for _, _, cost in json.loads(attempt.calls))
    reasons = [call.reason for call in calls if call.reason]
    if attempt.cost_reason == UNSAID and all(call.purpose == VERIFICATION for call in calls):
        reasons.append(UNSAID)
    return replace(
        attempt,
        calls=json.dumps([[call.id, call.purpose, call.cost_nano] for call in calls]),
        cost_nano=own_nano + sum(call.cost_nano or 0 for call in calls),
        cost_reason=reasons[0] if reasons else None,
    )
