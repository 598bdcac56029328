"""Keys: what a report can be grouped and filtered by, and where each one's value is found.

A task's own value counts before that of its calls. A key that only calls have (model,
provider, key, purpose) splits a task among the values its calls show.
"""

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flatfare.core.errors import BadUsage
from flatfare.store.engine import quoted

PERIODS = ("day", "week", "month", "quarter", "year")
"""Keys of time: the moment a task was opened, a call outside tasks was made."""

LABELS_OF_OLD = ("team", "feature", "customer", "user", "environment", "domain", "benchmark")
"""Labels that everybody uses: asked for where nobody has set them, they read as not given."""

TURN = "turn"
PURPOSE = "purpose"
LABEL = "label."

_TASK_COLUMNS = {
    "path": "path",
    "action": "name",
    "name": "name",
    "action_version": "action_version",
    "settlement": "settlement",
}
_CALL_COLUMNS = {"model": "model", "provider": "provider", "key": "key_id", PURPOSE: "purpose"}
_BOTH_COLUMNS = {"session": "session", "source": "source"}
_BUILT_IN = (*_TASK_COLUMNS, *_CALL_COLUMNS, *_BOTH_COLUMNS, "outcome", TURN, *PERIODS)

PUBLISHED = frozenset({"path", "source"})
"""Keys, beside labels, that published aggregates have too."""


class Kind(StrEnum):
    """Where the value of a key is found."""

    TASK = "task"
    CALL = "call"
    BOTH = "both"
    PERIOD = "period"
    OUTCOME = "outcome"
    TURN = "turn"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: how it was asked for, and the SQL of its value over tasks and over calls."""

    name: str
    kind: Kind
    of_task: str = "NULL"
    of_call: str = "NULL"
    label: str | None = None

    @property
    def is_published(self) -> bool:
        """Published aggregates have it too."""
        return self.label is not None or self.name in PUBLISHED


def asked(names: Iterable[str]) -> list[str]:
    """The names of keys in ``--by path,domain --by model``, each once, in order."""
    found = [part.strip() for name in names for part in name.split(",")]
    return list(dict.fromkeys(name for name in found if name))


def is_label(name: str) -> bool:
    """Whether a name can only be that of a label."""
    return name not in _BUILT_IN


def resolved(names: Sequence[str], labels: Collection[str]) -> list[Key]:
    """The keys of these names; ``labels`` are the label keys there are.

    Raises ``BadUsage`` for a name that is none of them, naming those there are.
    """
    return [_resolved(name, labels) for name in names]


def _resolved(name: str, labels: Collection[str]) -> Key:
    if name in _TASK_COLUMNS:
        return Key(name, Kind.TASK, of_task=_TASK_COLUMNS[name])
    if name in _CALL_COLUMNS:
        return Key(name, Kind.CALL, of_call=_CALL_COLUMNS[name])
    if name in _BOTH_COLUMNS:
        return Key(name, Kind.BOTH, _BOTH_COLUMNS[name], _BOTH_COLUMNS[name])
    if name in PERIODS:
        return Key(name, Kind.PERIOD)
    if name == "outcome":
        return Key(name, Kind.OUTCOME)
    if name == TURN:
        return Key(name, Kind.TURN)
    label = name.removeprefix(LABEL)
    if label in labels or label in LABELS_OF_OLD:
        place = quoted(f'$."{label}"')
        value = f"json_extract_string(labels, {place})"
        return Key(name, Kind.BOTH, value, value, label)
    raise _unknown(name, labels)


def _unknown(name: str, labels: Collection[str]) -> BadUsage:
    there = [*dict.fromkeys((*_BUILT_IN, *sorted(labels)))]
    near = difflib.get_close_matches(name.removeprefix(LABEL), there, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    own = f"; labels in this book: {', '.join(sorted(labels))}" if labels else "; this book has no labels"
    return BadUsage(f"There is no key {name!r} to report by.{hint} Keys: {', '.join(_BUILT_IN)}{own}.")
