"""Functions that tests let judge."""

from flatfare.core.checks.submission import Submission


def is_short(submission: Submission) -> tuple[bool, str]:
    """At most ten characters."""
    return len(submission.output) <= 10, f"it has {len(submission.output)} characters"


def raises(submission: Submission) -> bool:
    """Cannot tell."""
    raise ValueError("broken")
