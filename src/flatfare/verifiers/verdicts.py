"""From a finding to a verdict on the task: the event that tells of it.

The event's id is made from all that it says: telling it again changes nothing, and the same
work judged anew, which a model may judge otherwise, is another verdict.
"""

from flatfare.core.checks.finding import Finding
from flatfare.core.checks.submission import Submission, plain
from flatfare.core.identity import derived


def event_of(finding: Finding, submission: Submission, task: str, at_us: int) -> dict[str, object]:
    """The finding as an event of a task, given by its id or name.

    What a model was paid for judging is on the task already, through its calls.
    """
    event: dict[str, object] = {
        "event": "judged",
        "id": str(derived("verdict", task, finding.verifier, finding.evidence_hash, str(at_us))),
        "task": task,
        "at": at_us,
        "verifier": finding.verifier,
        "version": finding.version,
        "kind": str(finding.kind),
        "judgement": str(finding.judgement),
        "evidence_hash": finding.evidence_hash,
    }
    if finding.score is not None:
        event["score"] = plain(finding.score)
    if submission.attempt is not None:
        event["attempt_number"] = submission.attempt
    return event
