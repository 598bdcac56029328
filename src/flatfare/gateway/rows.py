"""From the journal's records to the rows of the book: one call, one row."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from flatfare.core.cost import CostState
from flatfare.core.identity import derived, moment_of
from flatfare.gateway.records import Figures, Intent, Result
from flatfare.store.book import Value
from flatfare.store.layout import COUNT_COLUMNS

SOURCE: Final = "gateway"
_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HAS_COLUMN = frozenset(COUNT_COLUMNS)
_NO_USAGE: Final[Mapping[str, Value]] = dict.fromkeys([*COUNT_COLUMNS, "other_usage"])
_SURENESS: Final[tuple[Value, ...]] = tuple(
    map(str, (CostState.UNKNOWN, CostState.ESTIMATED, CostState.MEASURED))
)

ENDED_EARLY = "the gateway ended before the answer did"
AT_LEAST = "the gateway ended before the session did: this is what it had used, and it costs at least that"
INTENT_LOST = "its intent was damaged in the journal: who made it is not known"


_NUL = "\0"
"""PostgreSQL holds no such sign in a text; what others say may have it."""


def row_of(intent: Intent, result: Result) -> dict[str, Value]:
    """The row of a call that ended."""
    row = _of_intent(intent)
    row.update(_of_result(result, intent))
    return row


def unproven_row(intent: Intent) -> dict[str, Value]:
    """The row of a call whose worker died before its end: perhaps sent, and costing its bound at most."""
    row = _of_intent(intent)
    row.update(
        status="failed",
        delivery="unproven",
        usage_state=str(CostState.UNKNOWN),
        cost_nano=intent.bound_nano,
        computed_nano=intent.bound_nano,
    )
    if intent.bound_nano is None:
        state, basis = CostState.UNKNOWN, None
        reason = _text(f"{ENDED_EARLY}, and {intent.bound_reason or 'what it costs at most is not known'}")
    else:
        state, basis = CostState.ESTIMATED, "computed"
        reason = f"{ENDED_EARLY}: this is what it costs at most"
    row.update(
        cost_state=str(state),
        cost_reason=reason,
        cost_basis=basis,
        computed_state=str(state),
        computed_reason=reason,
    )
    return row


def given_up_row(intent: Intent) -> dict[str, Value]:
    """The row of a call whose worker died before its end: what it is known to have used, or its bound."""
    so_far = intent.so_far
    if so_far is None:
        return unproven_row(intent)
    return row_of(intent, msgspec.structs.replace(so_far, status="failed", figures=_at_least(so_far.figures)))


def is_given_up(call: Mapping[str, Value]) -> bool:
    """Whether a booked call may yet be told better: nobody saw how it ended."""
    return call["delivery"] == "unproven" or AT_LEAST in str(call["cost_reason"])


def lone_row(result: Result) -> dict[str, Value]:
    """The row of a result without its intent: what it cost is known, who made it is not."""
    at_us = moment_of(result.call_id) or result.ended_at_us - (result.duration_ms or 0) * 1000
    row: dict[str, Value] = {"id": result.call_id, "at_us": at_us, "source": SOURCE, "labels": "{}"}
    row.update(_of_result(result, None))
    reason = result.figures.cost_reason
    row["cost_reason"] = f"{reason}; {INTENT_LOST}" if reason else INTENT_LOST
    return row


def change_of(call: Mapping[str, Value], result: Result) -> dict[str, Value]:
    """The columns of an unproven call that its late result changes; what the result does not say stays."""
    change = _of_result(result, None)
    for name in ("model", "service_tier", "region", "external_id"):
        if change[name] is None:
            change[name] = call.get(name)
    traits = call.get("traits")
    if isinstance(traits, str):
        is_told = result.traits is None or result.traits[1:] in traits
        change["traits"] = traits if is_told else _merged(traits, result.traits)
    return {**_NO_USAGE, **change}


def told_change(figures: Figures) -> dict[str, Value]:
    """The columns of a call that change where its cost is told after its end."""
    change: dict[str, Value] = {**_NO_USAGE, **_of_figures(figures), "delivery": "proven"}
    _add_usage(change, figures)
    return change


def shown_change(result: Result) -> dict[str, Value]:
    """The columns of the call that began an answer, as one that fetched it tells of it."""
    said = {"model": result.model, "service_tier": result.service_tier, "region": result.region}
    served = {name: _text(value) for name, value in said.items() if value is not None}
    return {**told_change(result.figures), **served}


def moved_change(call: Mapping[str, Value]) -> dict[str, Value]:
    """The same, where the call that fetched it was booked before."""
    served = {name: call[name] for name in ("model", "service_tier", "region") if call[name] is not None}
    return {name: call[name] for name in told_change(Figures())} | served


def is_surer(state: Value, than: Value) -> bool:
    """Whether a cost of one state is surer than one of another."""
    return _SURENESS.index(state) > _SURENESS.index(than)


def _at_least(figures: Figures) -> Figures:
    """Figures of a part as those of a whole that is not known: an estimate, which says so."""
    if figures.cost_nano is None:
        reason = f"{figures.cost_reason}; {AT_LEAST}" if figures.cost_reason else AT_LEAST
        return msgspec.structs.replace(figures, cost_reason=reason)
    estimated = str(CostState.ESTIMATED)
    return msgspec.structs.replace(
        figures,
        usage_state=estimated,
        cost_state=estimated,
        cost_reason=AT_LEAST,
        computed_state=estimated if figures.computed_nano is not None else figures.computed_state,
        computed_reason=AT_LEAST,
    )


def _of_intent(intent: Intent) -> dict[str, Value]:
    return {
        "id": intent.call_id,
        "at_us": intent.at_us,
        "source": SOURCE,
        "task_id": _id_of("task", intent.task_id),
        "attempt_id": _id_of("attempt", intent.attempt_id),
        "session": _text(intent.session),
        "turn": intent.turn,
        "purpose": intent.purpose,
        "provider": intent.provider,
        "endpoint": intent.endpoint,
        "model": _text(intent.model_asked),
        "model_asked": _text(intent.model_asked),
        "service_tier": _text(intent.service_tier),
        "region": _text(intent.region),
        "is_stream": int(intent.is_stream),
        "labels": intent.labels,
        "key_id": intent.key_id,
        "traits": intent.traits,
    }


def _id_of(kind: str, given: str | None) -> str | None:
    """An id as text; what is none, and could not be sealed as one, becomes one."""
    if given is None or _ID.fullmatch(given):
        return given
    return str(derived(kind, "import", given.replace("\x1f", " ")))


def _of_result(result: Result, intent: Intent | None) -> dict[str, Value]:
    figures = result.figures
    asked = (None, None, None, None) if intent is None else _asked(intent)
    row: dict[str, Value] = {
        "status": result.status,
        "http_status": result.http_status,
        "delivery": result.delivery,
        "duration_ms": result.duration_ms,
        "model": _text(result.model or asked[0]),
        "service_tier": _text(result.service_tier or asked[1]),
        "region": _text(result.region or asked[2]),
        "external_id": _text(result.external_id),
        "traits": _merged(asked[3], result.traits),
        **_of_figures(figures),
    }
    _add_usage(row, figures)
    return row


def _of_figures(figures: Figures) -> dict[str, Value]:
    return {
        "usage_state": figures.usage_state,
        "cost_nano": figures.cost_nano,
        "cost_state": figures.cost_state,
        "cost_reason": _text(figures.cost_reason),
        "cost_basis": figures.cost_basis,
        "computed_nano": figures.computed_nano,
        "computed_state": figures.computed_state,
        "computed_reason": _text(figures.computed_reason),
        "reported_nano": figures.reported_nano,
        "reported_digits": figures.reported_digits,
        "reported_source": figures.reported_source,
        "original_nano": figures.original_nano,
        "original_currency": figures.original_currency,
        "exchange_rate": figures.exchange_rate,
        "price_version": figures.price_version,
    }


def _text(said: str | None) -> str | None:
    """What somebody outside said, as every book can hold it."""
    return said.replace(_NUL, "\ufffd") if said is not None and _NUL in said else said


def _asked(intent: Intent) -> tuple[str | None, str | None, str | None, str | None]:
    return intent.model_asked, intent.service_tier, intent.region, intent.traits


def _add_usage(row: dict[str, Value], figures: Figures) -> None:
    other: dict[str, str] = {}
    for unit, count in figures.usage.items():
        if unit in _HAS_COLUMN and isinstance(count, int):
            row[unit] = count
        else:
            other[unit] = str(count)
    if other:
        row["other_usage"] = msgspec.json.encode(other, order="sorted").decode()


def _merged(first: str | None, second: str | None) -> str | None:
    """Two JSON objects as one; the second's keys stand behind the first's."""
    if not first or first == "{}":
        return second
    if not second or second == "{}":
        return first
    return f"{first[:-1]},{second[1:]}"
