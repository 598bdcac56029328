"""Work that awaits a person is put before people: blind and twice, as any review is.

Only where the action keeps its results: what an action does not keep is shown to nobody, and
whoever is awaited speaks by other ways, such as an event.
"""

import json
import os

from flatfare.core.checks.submission import Submission
from flatfare.runner.books import Shelf
from flatfare.runner.inputs import Prepared
from flatfare.service.access.secret_box import found_box
from flatfare.service.actions import keeping
from flatfare.service.actions.publishing import published
from flatfare.service.actions.reading import Awaited
from flatfare.service.judging import reviewing
from flatfare.service.judging.reviewing import Wanted
from flatfare.store.runs import Run


def ask(shelf: Shelf, run: Run, now_us: int) -> list[str]:
    """Put a run that awaits a person before people; the ids of the reviews. Asked again, nothing is added."""
    output = keeping.read(run.output, run.id, "output")
    if output is None:
        return []
    given = keeping.read(run.input, run.id, "input")
    shown = "" if given is None else Prepared.from_json(given).text
    action = published(shelf.book, run.action, run.action_version).action
    asked = []
    for check in action.checks:
        if check.is_awaited and check.kind == Awaited.HUMAN:
            wanted = Wanted(
                task_id=run.task_id,
                submission=Submission(output, shown),
                name=run.action,
                verifier=check.name,
                attempt=run.attempts,
                keep_us=max((run.forget_at_us or 0) - now_us, 1),
                labels=json.loads(run.labels),
            )
            review, _ = reviewing.enqueue(
                shelf.book,
                wanted,
                at_us=now_us,
                asked_by=f"the action {run.action!r}",
                box=found_box(os.environ),
            )
            asked.append(review.id)
    return asked
