"""What a request asks for beyond a guard: noted for its judgement, or brought down where the guard says so.

A request is changed only by a guard whose action is to cap or to downgrade; every change is
named in ``flatfare-changed``, and every byte that it does not concern stays as it was.
"""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, unquote

import msgspec

from flatfare.core.budget import Whose
from flatfare.core.guard import CAP, DOWNGRADE, Guard
from flatfare.gateway.admission import Admitted
from flatfare.gateway.guarding.editing import value_at, with_value
from flatfare.gateway.guarding.effort import THINKING_MIN, asked_effort, with_less_effort
from flatfare.gateway.guarding.shares import Shares
from flatfare.gateway.reserving.claims import Claim
from flatfare.gateway.routes import Place
from flatfare.gateway.wire import Request
from flatfare.prices.limits import limits_of
from flatfare.service.budgets.bounding import limit_field

OUTPUT_CAP, EFFORT_CAP, DOWNGRADED = "output_cap", "effort_cap", "downgrade"
"""As ``flatfare-changed`` names them."""

LONGEST = 1_000_000
"""An answer whose limit nobody knows may be so long."""

_LIMITS: tuple[tuple[str, ...], ...] = (
    ("max_completion_tokens",),
    ("max_tokens",),
    ("max_output_tokens",),
    ("max_tokens_to_sample",),
    *(
        (config, limit)
        for config in ("generationConfig", "generation_config")
        for limit in ("maxOutputTokens", "max_output_tokens")
    ),
    ("inferenceConfig", "maxTokens"),
    ("options", "num_predict"),
)
_LIMIT_MARKS = (b"max", b"num_predict")
_THINKING: tuple[tuple[str, ...], ...] = (
    ("thinking", "budget_tokens"),
    ("additionalModelRequestFields", "thinking", "budget_tokens"),
)


def shape(
    guards: Sequence[Guard],
    admitted: Admitted,
    request: Request,
    whose: Whose,
    shares: Shares,
    claim: Claim | None,
) -> str | None:
    """Look at what a request asks for, and bring it down where a guard says so.

    Returns why it may not go, where it cannot be looked at. Models come first: what they do unasked
    differs.
    """
    concerned = [guard for guard in guards if guard.subject(whose) is not None]
    place = admitted.place
    if not concerned or place.route is None or place.route.free is not None or admitted.is_session:
        return None
    if b"content-encoding" in request.fields:
        name = concerned[0].name
        return f"The guard {name!r} looks at what a request asks for: send it without a content-encoding."
    if not _is_object(admitted.body):
        return None  # the provider will say what is wrong with it
    findings: dict[str, int] = {}
    for kind in ("models", "effort", "output"):
        for guard in concerned:
            if guard.kind == kind:
                found = _look(guard, admitted, shares, claim)
                if found is not None:
                    findings[guard.id] = found
    if findings:
        admitted.findings = findings
    return None


def _look(guard: Guard, admitted: Admitted, shares: Shares, claim: Claim | None) -> int | None:
    """What a request asks for beyond one guard; None where it keeps within it."""
    if guard.kind == "models":
        return _models(guard, admitted, shares.of(claim, guard.budget))
    return _effort(guard, admitted) if guard.kind == "effort" else _output(guard, admitted)


def _is_object(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _changed(admitted: Admitted, body: bytes, name: str) -> None:
    admitted.body = body
    if name not in admitted.changed:
        admitted.changed = (*admitted.changed, name)


# effort


def _effort(guard: Guard, admitted: Admitted) -> int | None:
    """The effort asked for, where that is more than the guard allows."""
    endpoint, model = admitted.place.endpoint, admitted.asked.model
    asked = asked_effort(admitted.body, endpoint, model)
    if asked is None or not guard.is_over(asked):
        return None
    if guard.action == CAP:
        _changed(admitted, with_less_effort(admitted.body, endpoint, model, guard.limit), EFFORT_CAP)
    return asked


# output


def _output(guard: Guard, admitted: Admitted) -> int | None:
    """How long the answer may be, where that is longer than the guard allows."""
    body, place = admitted.body, admitted.place
    named = list(_limits_in(body))
    field = limit_field(place.upstream.priced_as, place.endpoint)
    if not named and field is None:
        return None  # it is answered without text, or nobody knows how to limit it
    asked = max((limit for _, limit in named), default=0)
    asked = asked if asked > 0 else _longest(admitted)
    if not guard.is_over(asked):
        return None
    if guard.action == CAP:
        for path, limit in named:
            if limit > guard.limit or limit <= 0:
                body = with_value(body, path, b"%d" % guard.limit)
        if not named and field is not None:
            body = with_value(body, field.split("."), b"%d" % guard.limit)
        _changed(admitted, _with_room(body, guard.limit), OUTPUT_CAP)
        admitted.asked = msgspec.structs.replace(admitted.asked, output_limit=guard.limit)
    return asked


def _limits_in(body: bytes) -> list[tuple[tuple[str, ...], int]]:
    """Every limit on the answer that a request names."""
    if not any(mark in body for mark in _LIMIT_MARKS):
        return []
    found = [(path, value_at(body, path)) for path in _LIMITS]
    return [(path, value) for path, value in found if isinstance(value, int) and not isinstance(value, bool)]


def _longest(admitted: Admitted) -> int:
    model = admitted.asked.model
    return (limits_of(model).writes if model is not None else None) or LONGEST


def _with_room(body: bytes, limit: int) -> bytes:
    """Anthropic's thinking must fit within the answer's limit (docs, 2026-11)."""
    for path in _THINKING:
        budget = value_at(body, path)
        if isinstance(budget, int) and budget >= limit:
            less = limit - 1
            if less >= THINKING_MIN:
                body = with_value(body, path, b"%d" % less)
            else:
                body = with_value(body, path[:-1], b'{"type":"disabled"}')
    return body


# models


def _models(guard: Guard, admitted: Admitted, percent: int) -> int | None:
    """The share of a budget that is spent, where that much allows the model no longer."""
    model = admitted.asked.model
    if model is None or percent < guard.limit:
        return None
    if guard.action != DOWNGRADE:
        return None if guard.allows(model) else percent
    other = guard.instead_of(model)
    if other is None or not _may_use(admitted, other):
        return None
    if not _put_model(admitted, model, other):
        return None
    admitted.asked = msgspec.structs.replace(admitted.asked, model=other)
    said = b'"downgraded_from":' + msgspec.json.encode(model)
    rest = (admitted.traits or "{}")[1:]
    admitted.traits = "{" + said.decode() + ("," if rest != "}" else "") + rest
    return percent


def _may_use(admitted: Admitted, model: str) -> bool:
    key = admitted.key
    return key is None or key.why_not(admitted.place.upstream.name, model) is None


def _put_model(admitted: Admitted, model: str, other: str) -> bool:
    """Put another model where the request names one: in its body, or in its address."""
    if value_at(admitted.body, ["model"]) is not None:
        body = with_value(admitted.body, ["model"], msgspec.json.encode(other))
        _changed(admitted, body, DOWNGRADED)
        return True
    place = _elsewhere(admitted.place, other)
    if place is None:
        return False
    admitted.place = place
    _changed(admitted, admitted.body, DOWNGRADED)
    return True


def _elsewhere(place: Place, other: str) -> Place | None:
    """The place with another model in its address; None where the address does not name it."""
    named = place.named.get("model")
    if named is None:
        return None
    for written in dict.fromkeys(
        (named, unquote(named), quote(unquote(named), safe=""), quote(unquote(named)))
    ):
        before, found, after = place.path.rpartition(f"/{written}")
        if found and after[:1] in ("", "/", ":"):
            path = f"{before}/{quote(other, safe=':' if ':' in written else '')}{after}"
            return replace(place, path=path, plain_path=unquote(path), named={**place.named, "model": other})
    return None
