"""A task on a timeline: its attempts, the calls they made and the verdicts, each where it stood in time.

What came long after the rest, such as a signal after days, stands in its table alone: it
would press everything else together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flatfare.core.moments import parse_moment
from flatfare.core.money import dollar_text, nano_of, parse_amount
from flatfare.service.reporting.wording import MISSING
from flatfare.web.pages.blocks import Key, Span, Timeline

SPANS_MAX = 60
"""Calls that a timeline has room for; the table below has all."""

MARKS_MAX = 20
TICKS = 4
Records = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Something with a beginning and an end, or a moment only."""

    begins_us: int
    ends_us: int
    rank: int  # at the same moment: an attempt before its calls before verdicts
    label: str
    tone: str
    said: str
    beside: str = ""
    is_mark: bool = False
    cost_nano: int = 0


def timeline(attempts: Records, calls: Records, verdicts: Records) -> Timeline | None:
    """The timeline; None where nothing has a length or a moment of its own."""
    tried = _of_attempts(attempts, calls)
    made = _of_calls(calls)
    lasting = [*made, *tried]
    kept = [*sorted(made, key=lambda one: -one.cost_nano)[:SPANS_MAX], *tried[:SPANS_MAX]]
    marks = _of_verdicts(verdicts)
    if not lasting:
        return None
    first = min(one.begins_us for one in lasting)
    last = max(one.ends_us for one in lasting)
    near = [one for one in marks if first <= one.begins_us <= last + max(last - first, 60_000_000)]
    last = max([last, *(one.ends_us for one in near)])
    length = max(1, last - first)
    shown = sorted([*kept, *near[:MARKS_MAX]], key=_order)
    return Timeline(
        "On a timeline",
        tuple(_span(one, first, length) for one in shown),
        f"{_lasted(length)} in all",
        _note(len(calls), len(marks) - len(near)),
        _keys(shown),
        tuple(_lasted(length * at // TICKS) if at else "0" for at in range(TICKS + 1)),
    )


def _order(one: _Piece) -> tuple[int, int]:
    return one.begins_us, one.rank


def _span(one: _Piece, first: int, length: int) -> Span:
    begins = (one.begins_us - first) / length
    size = 0.0 if one.is_mark else max(0.004, (one.ends_us - one.begins_us) / length)
    return Span(one.label, min(begins, 0.996), size, one.tone, one.said, one.beside)


def _of_calls(calls: Records) -> list[_Piece]:
    found = []
    for one in calls:
        at = parse_moment(str(one["time"]))[0]
        cost = one["cost"]
        assert isinstance(cost, dict)
        nano = None if cost["amount"] is None else nano_of(parse_amount(str(cost["amount"]))[0])
        money = None if nano is None else dollar_text(nano)
        took_ms = int(str(one["duration_ms"] or 0))
        is_bad = one["status"] not in ("ok", "cached")
        said = (
            f"{one['model'] or 'call'}, {one['status']}, {took_ms / 1000:.1f} s, {money or 'cost not known'}"
        )
        tone = "bad" if is_bad else ("quiet" if one["purpose"] == "verification" else "")
        name = str(one["model"] or one["provider"] or "call")
        ends = at + 1000 * took_ms
        found.append(_Piece(at, ends, 1, name, tone, said, money or MISSING, cost_nano=nano or 0))
    return found


def _of_attempts(attempts: Records, calls: Records) -> list[_Piece]:
    found = []
    for one in attempts:
        if not one["started_at"]:
            continue
        at = parse_moment(str(one["started_at"]))[0]
        own = [
            parse_moment(str(call["time"]))[0] + 1000 * int(str(call["duration_ms"] or 0))
            for call in calls
            if call["attempt"] == one["attempt"]
        ]
        ended = parse_moment(str(one["ended_at"]))[0] if one["ended_at"] else max([at, *own])
        rung = f", {one['rung']}" if one["rung"] else ""
        status = str(one["status"] or "under way")
        label = f"Attempt {one['number'] or ''}".strip() + rung
        found.append(_Piece(at, max(at, ended), 0, label, "attempt", f"{label}, {status}", status))
    return found


def _of_verdicts(verdicts: Records) -> list[_Piece]:
    tones = {"pass": "good", "fail": "bad"}
    found = []
    for one in verdicts:
        if one["at"]:
            at = parse_moment(str(one["at"]))[0]
            judgement = str(one["judgement"])
            said = f"{one['verifier']} said {judgement}"
            tone = tones.get(judgement, "quiet")
            found.append(_Piece(at, at, 2, str(one["verifier"]), tone, said, judgement, is_mark=True))
    return sorted(found, key=_order)


def _keys(shown: Sequence[_Piece]) -> tuple[Key, ...]:
    """What the inks stand for, those that are seen."""
    kinds = {"mark" if one.is_mark else one.tone or "work" for one in shown}
    inks = (
        ("attempt", "attempt", "an attempt"),
        ("s0", "work", "a call for the work"),
        ("point", "quiet", "a call for verification"),
        ("bad", "bad", "a call that did not end well"),
        ("round", "mark", "a verdict"),
    )
    return tuple(Key(ink, text) for ink, kind, text in inks if kind in kinds)


def _note(calls: int, later: int) -> str:
    said = []
    if calls > SPANS_MAX:
        said.append(f"The dearest {SPANS_MAX} of {calls:,} calls; the table below has more.")
    if later:
        said.append(f"{later:,} {'verdict' if later == 1 else 'verdicts'} came at another time: see below.")
    return " ".join(said)


def _lasted(length_us: int) -> str:
    seconds = length_us / 1_000_000
    if seconds < 120:
        return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:,.1f} s"
    return f"{seconds / 60:,.1f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
