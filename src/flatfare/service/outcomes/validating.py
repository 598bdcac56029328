"""Check outcome records: by the published schema, then what a schema cannot say.

The chain of verdicts must hold to its head, no task is verified without a verdict that passed, and a
cost that calls explain is the sum of their costs.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from flatfare.core.chain import GENESIS, first_break
from flatfare.core.definition import SIGNAL
from flatfare.core.errors import BadInput
from flatfare.core.moments import parse_moment
from flatfare.core.money import nano_of
from flatfare.service.outcomes import schema
from flatfare.service.outcomes.schema import Problem, shown
from flatfare.store.layout import VERDICT_SAYS

Record = Mapping[str, object]
SOURCE = "record"
"""Where a record comes from that does not say."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file of records: the record, or what is wrong with it."""

    number: int
    record: Record | None
    problems: tuple[Problem, ...] = ()


def checked(number: int, text: str) -> Line:
    """A line of a file of records."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as problem:
        return Line(number, None, (Problem("", shown(text), f"a record in JSON ({problem})"),))
    found = tuple(problems(document))
    return Line(number, None if found else document, found)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object, refused where it names a field twice: two readers would read two records."""
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} stands twice")
    return document


def problems(document: object) -> Iterator[Problem]:
    """What is wrong with a record; nothing where it is right."""
    found = schema.problems(document)
    if found or not isinstance(document, dict):
        yield from found
        return
    yield from _moments(document, "")
    verdicts = _records(document, "verdicts")
    yield from _chain(document, verdicts)
    yield from _evidence(document, verdicts)
    yield from _sums(document)


def moment_us(text: object) -> int:
    """Microseconds since 1970."""
    return parse_moment(str(text))[0]


def amount_nano(text: object) -> int:
    """Nano units of a decimal amount."""
    return nano_of(Decimal(str(text)))


def _records(document: Record, name: str) -> list[Record]:
    listed = document.get(name, [])
    assert isinstance(listed, list)
    return listed


def _part(document: Record, name: str) -> Record:
    part = document.get(name, {})
    assert isinstance(part, dict)
    return part


def _moments(value: object, path: str) -> Iterator[Problem]:
    """Moments that look like one and are none, such as the 31st of February."""
    if isinstance(value, dict):
        for name, inner in value.items():
            below = f"{path}.{name}" if path else name
            if (name == "at" or name.endswith("_at")) and isinstance(inner, str):
                try:
                    parse_moment(inner)
                except BadInput:
                    yield Problem(below, shown(inner), "a moment between the years 2000 and 2200")
            elif not name.startswith("x_"):
                yield from _moments(inner, below)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _moments(inner, f"{path}[{number}]")


def says(verdict: Record, task: Record) -> tuple[str, ...]:
    """What a verdict's hash covers, in the order of ``store.layout.VERDICT_SAYS``."""
    cost = verdict.get("cost")
    fields: Record = {
        **verdict,
        "task_id": task["id"],
        "attempt_number": verdict.get("attempt"),
        "verifier_version": verdict["version"],
        "at_us": moment_us(verdict["at"]),
        "cost_nano": None if cost is None else amount_nano(cost),
        "source": verdict.get("source", task.get("source", SOURCE)),
    }
    return tuple("" if fields.get(name) is None else str(fields[name]) for name in VERDICT_SAYS)


def _chain(document: Record, verdicts: list[Record]) -> Iterator[Problem]:
    chain, task = _part(document, "chain"), _part(document, "task")
    for number, verdict in enumerate(verdicts):
        if verdict["position"] != number:
            yield Problem(f"verdicts[{number}].position", shown(verdict["position"]), str(number))
            return
    try:
        broken = first_break(
            (str(one["previous_hash"]), str(one["hash"]), says(one, task)) for one in verdicts
        )
    except BadInput:
        return  # a moment that is none is named already
    if broken is not None:
        said = shown(verdicts[broken]["hash"])
        yield Problem(
            f"verdicts[{broken}].hash",
            said,
            "the hash of this verdict behind the one before it: it was changed",
        )
    head = verdicts[-1]["hash"] if verdicts else GENESIS
    if chain["head"] != head:
        yield Problem("chain.head", shown(chain["head"]), f"{head}, the hash of the last verdict")
    if chain["length"] != len(verdicts):
        yield Problem("chain.length", shown(chain["length"]), f"{len(verdicts)}, the number of verdicts")


def _evidence(document: Record, verdicts: list[Record]) -> Iterator[Problem]:
    outcome = _part(document, "outcome")
    cause = outcome.get("cause")
    if outcome["state"] == "verified" and not any(_may_verify(one, cause) for one in verdicts):
        yield Problem("outcome.state", '"verified"', "a verdict that passed: none is verified without")
    if cause not in (None, "silence", *(one["id"] for one in verdicts)):
        yield Problem("outcome.cause", shown(cause), "the id of one of the verdicts, or silence")


def _may_verify(verdict: Record, cause: object) -> bool:
    """It passed; or it is the signal, such as an acceptance, that is named as the cause."""
    is_cause_signal = str(verdict["verifier"]).startswith(SIGNAL) and verdict["id"] == cause
    return verdict["judgement"] == "pass" or is_cause_signal


def _sums(document: Record) -> Iterator[Problem]:
    """A part whose calls are all known costs what they cost together."""
    calls, costs = _records(document, "calls"), _part(document, "costs")
    for name in ("work", "verification", "simulation", "test"):
        own = [_part(call, "cost").get("amount") for call in calls if call["purpose"] == name]
        said = _part(costs, name).get("amount")
        if not own or any(amount is None for amount in own):
            continue
        total = sum(amount_nano(amount) for amount in own)
        if said is None or amount_nano(said) != total:
            yield Problem(
                f"costs.{name}.amount", shown(said), f"{Decimal(total).scaleb(-9)}, the sum of its calls"
            )
