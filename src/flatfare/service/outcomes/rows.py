"""An outcome record as rows of the book and the lake: what ``records`` wrote, read back.

Where a record leaves its calls out, its costs stand for them as given by the source.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flatfare.core.identity import derived
from flatfare.core.labels import canonical
from flatfare.service.outcomes.validating import SOURCE, amount_nano, moment_us
from flatfare.store.home import Value
from flatfare.store.layout import CALLS, COUNT_COLUMNS, TASKS, VERDICTS, Column

Record = Mapping[str, object]
Cells = tuple[object, ...]

_ATTEMPTS = (
    "INSERT INTO attempts (id, task_id, number, path, rung, status, started_at_us, ended_at_us) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_REWORK = (
    "INSERT INTO rework (id, task_id, at_us, minutes_milli, rate_nano_per_hour, cost_nano, by_whom) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_SIGNALS = "INSERT INTO signals (id, task_id, at_us, name, value, source) VALUES (?, ?, ?, ?, ?, ?)"
_DEFINITIONS = "INSERT INTO carried_definitions (task_id, action, version) VALUES (?, ?, ?)"


@dataclass(slots=True)
class RowsOf:
    """The rows of one record: by kind for the lake, by statement for the book."""

    lake: dict[str, list[Cells]]
    book: dict[str, list[tuple[Value, ...]]] = field(default_factory=dict)

    @property
    def has_beside(self) -> bool:
        return any(self.book.values())


def rows_of(record: Record, import_id: str) -> RowsOf:
    """The rows that a record, which was checked, stands for."""
    task = _part(record, "task")
    told = {"task_id": task["id"], "source": task.get("source", SOURCE), "import_id": import_id}
    return RowsOf(
        {
            "tasks": [_in_order(TASKS, _task(record, import_id))],
            "verdicts": [_in_order(VERDICTS, {**told, **_verdict(one)}) for one in _list(record, "verdicts")],
            "calls": [_in_order(CALLS, {**told, **_call(one)}) for one in _list(record, "calls")],
        },
        {
            _ATTEMPTS: list(_attempts(record)),
            _REWORK: list(_rework(record)),
            _SIGNALS: list(_signals(record)),
            _DEFINITIONS: list(_definition(record)),
        },
    )


def _in_order(columns: tuple[Column, ...], row: Mapping[str, object]) -> Cells:
    return tuple(row.get(column.name) for column in columns)


def _part(record: Record, name: str) -> Record:
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _list(record: Record, name: str) -> list[Record]:
    listed = record.get(name)
    return listed if isinstance(listed, list) else []


def _nano(text: object) -> int | None:
    return None if text is None else amount_nano(text)


def _us(text: object) -> int | None:
    return None if text is None else moment_us(text)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _labels(record: Record) -> str:
    return canonical({name: str(value) for name, value in _part(record, "labels").items()})


def _task(record: Record, import_id: str) -> dict[str, object]:
    task, outcome = _part(record, "task"), _part(record, "outcome")
    return {
        "id": task["id"],
        "version": 0,
        "name": task["name"],
        "action_version": task.get("action_version"),
        "path": record.get("path"),
        "labels": _labels(task),
        "session": task.get("session"),
        "opened_at_us": _us(task["opened_at"]),
        "closed_at_us": _us(task.get("closed_at")),
        "matures_at_us": _us(task.get("matures_at")),
        "outcome": outcome["state"],
        "outcome_at_us": _us(outcome.get("at")),
        "outcome_cause": outcome.get("cause"),
        "is_disputed": bool(outcome.get("disputed")),
        "settlement": record["settlement"],
        "value_nano": _nano(task.get("value")),
        "rework_ms": _part(record, "rework").get("milliseconds"),
        "rework_nano": _nano(_part(_part(record, "costs"), "rework").get("amount")),
        **_given(record),
        "source": task.get("source", SOURCE),
        "import_id": import_id,
        "external_id": task.get("external_id"),
    }


def _given(record: Record) -> dict[str, object]:
    """What the source gave; of a record without its calls, what they had cost."""
    given, costs, usage = _part(record, "given"), _part(record, "costs"), _part(record, "usage")
    work = _part(costs, "work")
    if "calls" not in record and usage:
        given = {
            "work": work.get("amount"),
            "work_reason": work.get("reason"),
            "verification": _part(costs, "verification").get("amount"),
            "simulation": _part(costs, "simulation").get("amount"),
            **usage,
        }
    elif not given and "calls" not in record and work.get("amount") is not None:
        given = {
            "work": work["amount"],
            "verification": _part(costs, "verification").get("amount") if not _has_judging(record) else None,
            "simulation": _part(costs, "simulation").get("amount"),
        }
    return {
        "given_nano": _nano(given.get("work")),
        "given_reason": given.get("work_reason"),
        "given_digits": given.get("work_digits"),
        "given_verification_nano": _nano(given.get("verification")),
        "given_simulation_nano": _nano(given.get("simulation")),
        "given_calls": given.get("calls"),
        "given_input_tokens": given.get("input_tokens"),
        "given_output_tokens": given.get("output_tokens"),
    }


def _has_judging(record: Record) -> bool:
    return any("cost" in verdict for verdict in _list(record, "verdicts"))


def _verdict(verdict: Record) -> dict[str, object]:
    found: dict[str, object] = {
        "id": verdict["id"],
        "attempt_number": verdict.get("attempt"),
        "verifier": verdict["verifier"],
        "verifier_version": verdict["version"],
        "at_us": _us(verdict["at"]),
        "cost_nano": _nano(verdict.get("cost")),
        **{name: verdict.get(name) for name in ("kind", "judgement", "score", "evidence_hash", "position")},
        **{name: verdict[name] for name in ("previous_hash", "hash")},
    }
    return found | ({"source": verdict["source"]} if "source" in verdict else {})


_AS_THEY_ARE = (
    *("id", "duration_ms", "external_id", "attempt_id", "session", "turn", "purpose", "status"),
    *("http_status", "delivery", "provider", "endpoint", "model", "model_asked", "service_tier", "region"),
    *("usage_state", "price_version"),
)


def _call(call: Record) -> dict[str, object]:
    cost, computed = _part(call, "cost"), _part(call, "computed")
    reported, original = _part(call, "reported"), _part(call, "original")
    usage, other = _part(call, "usage"), _part(call, "other_usage")
    beyond = {unit: str(count) for unit, count in usage.items() if unit not in COUNT_COLUMNS}
    found: dict[str, object] = {
        **{name: call.get(name) for name in _AS_THEY_ARE},
        **{unit: usage.get(unit) for unit in COUNT_COLUMNS},
        "revision": 0,
        "n": 1,
        "at_us": _us(call["at"]),
        "is_stream": call.get("stream"),
        "other_usage": json.dumps({**other, **beyond}, sort_keys=True) if other or beyond else None,
        "cost_nano": _nano(cost.get("amount")),
        "cost_state": cost["state"],
        "cost_reason": cost.get("reason"),
        "cost_basis": call.get("basis"),
        "computed_nano": _nano(computed.get("amount")),
        "computed_state": computed.get("state"),
        "computed_reason": computed.get("reason"),
        "reported_nano": _nano(reported.get("amount")),
        "reported_digits": reported.get("digits"),
        "reported_source": reported.get("source"),
        "original_nano": _nano(original.get("amount")),
        "original_currency": original.get("currency"),
        "exchange_rate": original.get("rate"),
        "labels": _labels(call),
        "key_id": call.get("key"),
    }
    return found | ({"source": call["source"]} if "source" in call else {})


def _task_id(record: Record) -> str:
    return str(_part(record, "task")["id"])


def _attempts(record: Record) -> Iterator[tuple[Value, ...]]:
    """Each attempt; of a record that only counts them, as many, if there was more than one."""
    tries, task = _part(record, "attempts"), _task_id(record)
    each = _list(tries, "each")
    count = int(str(tries.get("count", 1)))
    if not each and count > 1:
        each = [{"number": number, "status": "ok"} for number in range(1, count + 1)]
    opened = moment_us(_part(record, "task")["opened_at"])
    for one in each:
        number = int(str(one["number"]))
        yield (
            _text(one.get("id")) or str(derived("attempt", task, str(number))),
            task,
            number,
            _text(one.get("path")),
            _text(one.get("rung")),
            str(one["status"]),
            _us(one.get("started_at")) or opened,
            _us(one.get("ended_at")),
        )


def _rework(record: Record) -> Iterator[tuple[Value, ...]]:
    task = _task_id(record)
    for number, one in enumerate(_list(_part(record, "rework"), "each")):
        yield (
            _text(one.get("id")) or str(derived("rework", task, str(number))),
            task,
            moment_us(one["at"]),
            amount_nano(one["minutes"]) // 1_000_000,
            _nano(one.get("rate_per_hour")),
            _nano(one.get("cost")),
            _text(one.get("by_whom")),
        )


def _signals(record: Record) -> Iterator[tuple[Value, ...]]:
    task = _task_id(record)
    for number, one in enumerate(_list(record, "signals")):
        yield (
            _text(one.get("id")) or str(derived("signal", task, str(number))),
            task,
            moment_us(one["at"]),
            str(one["name"]),
            _text(one.get("value")),
            str(one.get("source", SOURCE)),
        )


def _definition(record: Record) -> Iterator[tuple[Value, ...]]:
    said = _part(record, "definition")
    if said:
        yield _task_id(record), str(said["action"]), int(str(said["version"]))
