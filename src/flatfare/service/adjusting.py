"""Adjusting: a late label, a late link to a task, or another change to calls that stand already.

What was written stays; reports read the correction as if it had come in time.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flatfare.core import labels
from flatfare.core.errors import BadUsage
from flatfare.core.identity import derived
from flatfare.service.tasks.recording import open_at_calls
from flatfare.store import adjustments, first_calls, reading
from flatfare.store.adjustments import Correction
from flatfare.store.book import Book, Value
from flatfare.store.lake import Lake

Call = Mapping[str, Value]

_EXACT = {"provider", "model", "source", "session", "purpose", "external_id", "task_id", "id"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls: all that meet every condition given."""

    since_us: int | None = None
    until_us: int | None = None
    equal: Mapping[str, str] = field(default_factory=dict)  # column → value
    labelled: Mapping[str, str] = field(default_factory=dict)

    def condition(self) -> tuple[str, list[Value]]:
        """As SQL over the view ``calls``; refuses to mean every call there is."""
        parts: list[str] = []
        values: list[Value] = []
        for sign, moment in ((">=", self.since_us), ("<", self.until_us)):
            if moment is not None:
                parts.append(f"at_us {sign} ?")
                values.append(moment)
        for column, value in self.equal.items():
            if column not in _EXACT:
                raise BadUsage(
                    f"Calls are not chosen by {column!r}. Choose by one of {', '.join(sorted(_EXACT))}."
                )
            parts.append(f"{column} = ?")
            values.append(value)
        for key, value in self.labelled.items():
            parts.append("json_extract_string(labels, ?) = ?")
            values += [f'$."{key}"', value]
        if not parts:
            raise BadUsage("No calls were chosen. Say which, such as --model gpt-5 or --since 2026-08-01.")
        return " AND ".join(parts), values


def relabel(
    book: Book,
    lake: Lake,
    chosen: Selection,
    given: Mapping[str, str],
    *,
    reason: str,
    by_whom: str,
    at_us: int,
) -> int:
    """Give calls labels, over those they have; an empty value takes one away. Returns how many changed."""
    added = labels.checked(given)

    def relabelled(call: Call) -> dict[str, Value]:
        merged = {**json.loads(str(call["labels"])), **added}
        return {"labels": labels.canonical({key: value for key, value in merged.items() if value})}

    return change(book, lake, chosen, relabelled, kind="label", reason=reason, by_whom=by_whom, at_us=at_us)


def link(
    book: Book,
    lake: Lake,
    chosen: Selection,
    task_key: str,
    *,
    source: str,
    reason: str,
    by_whom: str,
    at_us: int,
) -> int:
    """Give calls to a task, named by the key its source gave it, which opens no later than they were made.

    Returns how many changed.
    """
    task_id = str(derived("task", source, task_key))
    moments: list[int] = []

    def linked(call: Call) -> dict[str, Value]:
        moments.append(int(str(call["at_us"])))
        return {"task_id": task_id}

    def note() -> None:
        if moments:
            first_calls.note_linked(book, task_id, min(moments))

    changed = change(
        book,
        lake,
        chosen,
        linked,
        kind="link",
        reason=reason,
        by_whom=by_whom,
        at_us=at_us,
        beside=note,
    )
    open_at_calls(book, lake, now_us=at_us)
    return changed


def change(
    book: Book,
    lake: Lake,
    chosen: Selection,
    new: Callable[[Call], dict[str, Value]],
    *,
    kind: str,
    reason: str,
    by_whom: str,
    at_us: int,
    beside: Callable[[], None] = lambda: None,
) -> int:
    """Change columns of the chosen calls; ``new`` gives each call's. Returns how many changed.

    ``beside`` writes what belongs to it, in the same transaction.
    """
    where, values = chosen.condition()
    with reading.opened(book, lake, "calls") as engine:
        found = adjustments.present_calls(engine, where, values)
    corrections = (Correction(call, new(call)) for call in found)
    with book.writing():
        changed = adjustments.write(book, corrections, kind=kind, reason=reason, by_whom=by_whom, at_us=at_us)
        beside()
    return changed
