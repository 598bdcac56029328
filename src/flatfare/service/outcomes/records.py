"""One task as an outcome record: rows of the book and the lake as one document without texts.

Nothing is computed here but what each part cost; ``docs/outcome-record.md`` says what each field means.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flatfare.core.chain import GENESIS
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.core.units import INPUT_TOKENS
from flatfare.store.home import Value
from flatfare.store.layout import COUNT_COLUMNS, TOKEN_COLUMNS

FORMAT = "outcome-record/1"
_SIGNAL_LENGTH_MAX = 100  # what is longer is a text
_NOTHING_KNOWN = "nobody recorded what the work cost"

Row = Mapping[str, Value]
Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Parts:
    """All rows that speak of one task; calls are None where they are left out."""

    task: Row
    verdicts: Sequence[Row] = ()  # in the order of their chain
    calls: Sequence[Row] = ()
    attempts: Sequence[Row] = ()
    rework: Sequence[Row] = ()
    signals: Sequence[Row] = ()
    definition: tuple[str, int] | None = None


def record_of(parts: Parts, *, with_calls: bool = True) -> Record:
    """The task's record."""
    task = parts.task
    tries = [_attempt(row) for row in parts.attempts]
    record = {
        "format": FORMAT,
        "task": _task(task),
        "path": task["path"],
        "attempts": _present({"count": max(len(tries), 1), "each": tries or None}),
        "costs": _costs(parts),
        "usage": _usage(parts),
        "given": _given(task) or None,
        "verdicts": [_verdict(row, task) for row in parts.verdicts],
        "chain": {
            "length": len(parts.verdicts),
            "head": parts.verdicts[-1]["hash"] if parts.verdicts else GENESIS,
        },
        "rework": _rework(parts) or None,
        "signals": [_signal(row) for row in parts.signals] or None,
        "outcome": _present(
            {
                "state": task["outcome"],
                "at": _time(task["outcome_at_us"]),
                "cause": task["outcome_cause"],
                "disputed": bool(task["is_disputed"]) or None,
            }
        ),
        "settlement": task["settlement"],
        "definition": parts.definition and {"action": parts.definition[0], "version": parts.definition[1]},
        "calls": [_call(row, task) for row in parts.calls] if with_calls and parts.calls else None,
    }
    return _present(record)


def _present(fields: Mapping[str, object]) -> Record:
    return {name: value for name, value in fields.items() if value is not None}


def _time(at_us: Value) -> str | None:
    return None if at_us is None else iso(int(at_us))


def _money(nano: Value) -> str | None:
    return None if nano is None else decimal_text(int(nano))


def _labels(row: Row) -> dict[str, str] | None:
    found: dict[str, str] = json.loads(str(row["labels"]))
    return found or None


def _task(task: Row) -> Record:
    return _present(
        {
            "id": task["id"],
            "name": task["name"],
            "action_version": task["action_version"],
            "external_id": task["external_id"],
            "source": task["source"],
            "session": task["session"],
            "labels": _labels(task),
            "opened_at": _time(task["opened_at_us"]),
            "closed_at": _time(task["closed_at_us"]),
            "matures_at": _time(task["matures_at_us"]),
            "value": _money(task["value_nano"]),
        }
    )


def _costs(parts: Parts) -> Record:
    """What each part cost: its calls if all are known, else what the source gave, else at least."""
    task, given = parts.task, parts.task["given_nano"]
    judging = task["given_verification_nano"]
    if judging is None:
        told = [int(row["cost_nano"]) for row in parts.verdicts if row["cost_nano"] is not None]
        judging = sum(told) if told else None
    why = str(task["given_reason"] or _NOTHING_KNOWN)
    costs = {
        "work": _part(_of(parts.calls, "work"), given) or _unknown(why),
        "verification": _part(_of(parts.calls, "verification"), judging),
        "rework": _rework_cost(task),
        "simulation": _part(_of(parts.calls, "simulation"), task["given_simulation_nano"]),
        "test": _part(_of(parts.calls, "test"), None),
    }
    return _present(costs)


def _of(calls: Iterable[Row], purpose: str) -> list[Row]:
    return [call for call in calls if call["purpose"] == purpose]


def _part(calls: Sequence[Row], given: Value) -> Record | None:
    known = [int(call["cost_nano"]) for call in calls if call["cost_nano"] is not None]
    if calls and len(known) == len(calls):
        states = {call["cost_state"] for call in calls}
        return {"amount": _money(sum(known)), "state": "estimated" if "estimated" in states else "measured"}
    if given is not None:
        return {"amount": _money(given), "state": "measured"}
    if not calls:
        return None
    reasons = sorted({str(call["cost_reason"]) for call in calls if call["cost_nano"] is None})
    return _unknown("; ".join(reasons)[:2000], sum(known) if known else None)


def _unknown(reason: str, at_least_nano: int | None = None) -> Record:
    known = {"at_least": _money(at_least_nano), "reason": reason}
    return {"amount": None, "state": "unknown", **_present(known)}


def _rework_cost(task: Row) -> Record | None:
    if task["rework_nano"] is not None:
        return {"amount": _money(task["rework_nano"]), "state": "measured"}
    return None if task["rework_ms"] is None else _unknown("the rate of this rework is not known")


def _usage(parts: Parts) -> Record | None:
    calls = [call for call in parts.calls if call["purpose"] in ("work", "verification")]
    if not calls:
        return None
    used = {
        name: sum(int(call[unit] or 0) for call in calls for unit in units) for name, units in _TOKENS.items()
    }
    return {"calls": len(calls), **used}


_TOKENS = {
    "input_tokens": [unit for unit in TOKEN_COLUMNS if unit in INPUT_TOKENS],
    "output_tokens": [unit for unit in TOKEN_COLUMNS if unit not in INPUT_TOKENS],
}


def _given(task: Row) -> Record:
    return _present(
        {
            "work": _money(task["given_nano"]),
            "work_reason": task["given_reason"],
            "work_digits": task["given_digits"],
            "verification": _money(task["given_verification_nano"]),
            "simulation": _money(task["given_simulation_nano"]),
            "calls": task["given_calls"],
            "input_tokens": task["given_input_tokens"],
            "output_tokens": task["given_output_tokens"],
        }
    )


def _verdict(row: Row, task: Row) -> Record:
    return _present(
        {
            "id": row["id"],
            "attempt": row["attempt_number"],
            "verifier": row["verifier"],
            "version": row["verifier_version"],
            "kind": row["kind"],
            "judgement": row["judgement"],
            "score": row["score"],
            "evidence_hash": row["evidence_hash"],
            "at": _time(row["at_us"]),
            "cost": _money(row["cost_nano"]),
            "source": row["source"] if row["source"] != task["source"] else None,
            "position": row["position"],
            "previous_hash": row["previous_hash"],
            "hash": row["hash"],
        }
    )


def _attempt(row: Row) -> Record:
    return _present(
        {
            "id": row["id"],
            "number": row["number"],
            "path": row["path"],
            "rung": row["rung"],
            "status": row["status"],
            "started_at": _time(row["started_at_us"]),
            "ended_at": _time(row["ended_at_us"]),
        }
    )


def _rework(parts: Parts) -> Record:
    each = [
        _present(
            {
                "id": row["id"],
                "at": _time(row["at_us"]),
                "minutes": decimal_text(int(row["minutes_milli"] or 0) * 1_000_000),
                "rate_per_hour": _money(row["rate_nano_per_hour"]),
                "cost": _money(row["cost_nano"]),
                "by_whom": row["by_whom"],
            }
        )
        for row in parts.rework
    ]
    return _present({"milliseconds": parts.task["rework_ms"], "each": each or None})


def _signal(row: Row) -> Record:
    value = row["value"]
    return _present(
        {
            "id": row["id"],
            "at": _time(row["at_us"]),
            "name": row["name"],
            "value": value if value is None or len(str(value)) <= _SIGNAL_LENGTH_MAX else None,
            "source": row["source"],
        }
    )


def _call(row: Row, task: Row) -> Record:
    usage = {unit: row[unit] for unit in COUNT_COLUMNS if row[unit] is not None}
    reported = {"digits": row["reported_digits"], "source": row["reported_source"]}
    has_report = row["reported_nano"] is not None or any(value is not None for value in reported.values())
    is_ours = row["original_nano"] is None
    return _present(
        {
            "id": row["id"],
            "at": _time(row["at_us"]),
            "duration_ms": row["duration_ms"],
            "external_id": row["external_id"],
            "attempt_id": row["attempt_id"],
            "session": row["session"],
            "turn": row["turn"],
            "purpose": row["purpose"],
            "status": row["status"],
            **{name: row[name] for name in ("http_status", "delivery", "provider", "endpoint", "model")},
            **{name: row[name] for name in ("model_asked", "service_tier", "region")},
            "stream": None if row["is_stream"] is None else bool(row["is_stream"]),
            "usage": usage or None,
            "other_usage": json.loads(str(row["other_usage"])) if row["other_usage"] else None,
            "usage_state": row["usage_state"],
            "cost": _cost(row["cost_nano"], row["cost_state"], row["cost_reason"]),
            "basis": row["cost_basis"],
            "computed": _cost(row["computed_nano"], row["computed_state"], row["computed_reason"])
            if row["computed_state"] is not None
            else None,
            "reported": {"amount": _money(row["reported_nano"]), **_present(reported)}
            if has_report
            else None,
            "original": None
            if is_ours
            else {
                "amount": _money(row["original_nano"]),
                "currency": row["original_currency"] or "USD",
                **_present({"rate": row["exchange_rate"]}),
            },
            "price_version": row["price_version"],
            "key": row["key_id"],
            "labels": _labels(row),
            "source": row["source"] if row["source"] != task["source"] else None,
        }
    )


def _cost(nano: Value, state: Value, reason: Value) -> Record:
    return {"amount": _money(nano), "state": state or "unknown", **_present({"reason": reason})}
