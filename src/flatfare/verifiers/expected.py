"""Parameters of checks that compare with something: stated with the check, or by the task itself."""

from flatfare.core.checks.submission import Json, Submission
from flatfare.verifiers.kinds import OnOutput


class Expected(OnOutput, frozen=True, kw_only=True):
    """What was expected, for every task alike; without it each task's own counts."""

    expected: object = None

    def wanted(self, submission: Submission) -> Json:
        """What this submission is compared with."""
        return submission.expected if self.expected is None else self.expected  # type: ignore[return-value]
