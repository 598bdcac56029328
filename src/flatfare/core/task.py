"""Tasks and attempts: one unit of work somebody wants done, and each try at it.

A task's outcome says whether it was done, its settlement what money moved; neither
implies the other. It is matured once its window has closed, and only matured tasks
count in the headline.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from flatfare.core.outcome import Outcome, Settlement


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a task on one rung of its path."""

    id: UUID
    task_id: UUID
    number: int
    rung: str | None
    started_at_us: int
    ended_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One unit of work, as it stands."""

    id: UUID
    name: str
    opened_at_us: int
    path: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    closed_at_us: int | None = None
    matures_at_us: int | None = None
    outcome: Outcome = Outcome.OPEN
    settlement: Settlement = Settlement.NONE
    is_disputed: bool = False

    def is_matured(self, at_us: int) -> bool:
        """Its window has closed: nothing is expected to turn the outcome any more."""
        return self.matures_at_us is not None and self.matures_at_us <= at_us
