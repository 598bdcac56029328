"""Guards: how far one task, session or key may go before somebody looks, and what happens past that.

A guard counts (calls, tokens, cost, time), watches how somebody behaves (the same request
again, a context that only grows, a storm of retries) or looks at what one request asks for
(steps, depth, length, effort, model). All of it is pure: counts and moments come in, a
judgement comes out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

from flatfare.core.budget import EACH, ORGANISATION, Scope, Whose
from flatfare.core.errors import BadInput
from flatfare.core.money import dollar_text

WATCH, ALERT, THROTTLE, STOP, CAP, DOWNGRADE = "watch", "alert", "throttle", "stop", "cap", "downgrade"
ACTIONS = (WATCH, ALERT, THROTTLE, STOP)

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How hard a model is asked to think, least first: OpenAI's words and Anthropic's (docs, 2026-11)."""

EVERYTHING = Scope(ORGANISATION)
NO_KEY = "no key"
"""The subject of calls that were made without one, on this machine."""

FACTOR_MAX, PACE_S_MAX, WINDOW_S_MAX = 1000, 3600, 86_400
_NAME_LENGTH_MAX = 128
_LIMIT_MAX = 10**18
_PAST_WINDOWS_MIN = 5
"""What was usual is known once so many windows have passed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of guard: the unit of its limit, whose it is by default, and what it may do."""

    name: str
    unit: str  # calls, tokens, dollars, seconds, steps, agents, times, percent, effort
    per: str = "session"
    actions: tuple[str, ...] = ACTIONS
    action: str = STOP  # by default
    window_s: int = 0
    least: int = 0  # of context and retries: so many calls before anything is said
    limit: int | None = None  # by default; None where one has to be given


KINDS = {
    one.name: one
    for one in (
        Kind("calls", "calls"),
        Kind("tokens", "tokens"),
        Kind("cost", "dollars"),
        Kind("time", "seconds"),
        Kind("steps", "steps"),
        Kind("depth", "agents"),
        Kind("repeat", "times", window_s=600),
        Kind("context", "tokens", least=8, action=ALERT),
        Kind("retries", "percent", per="key", window_s=60, least=20, limit=50, action=ALERT),
        Kind("output", "tokens", per="key", actions=(*ACTIONS, CAP), action=CAP),
        Kind("effort", "effort", per="key", actions=(*ACTIONS, CAP), action=CAP),
        Kind("models", "percent", per="key", actions=(*ACTIONS, DOWNGRADE), action=DOWNGRADE, limit=90),
    )
}
"""Every kind by name."""

COUNTED = frozenset(("calls", "tokens", "cost", "time"))
"""Kinds that add up as long as their subject lasts: past its limit a subject stays there."""

BEHAVED = frozenset(("repeat", "context", "retries"))
"""Kinds that look at the last while: they may pass."""


@dataclass(frozen=True, slots=True)
class Guard:
    """How far somebody may go, as it was agreed."""

    id: str
    name: str
    kind: str
    limit: int  # in its kind's unit; dollars as nano-dollars, an effort as its place among ``EFFORTS``
    action: str = STOP
    per: str = "session"  # whose: task, session, key, project, any label, organisation
    scope: Scope = EVERYTHING  # which calls it looks at
    window_s: int = 0  # repeat, retries: how far back it looks
    pace_s: int = 10  # throttled, one call may go every so many seconds
    least: int = 0  # context: so many calls in a row; retries: so many calls within the window
    factor: int = 3  # retries: so many times the usual rate
    budget: str | None = None  # models: whose share counts, by name; else the fullest that holds for a call
    models: tuple[str, ...] = ()  # models, to stop: those still allowed, as patterns
    instead: tuple[tuple[str, str], ...] = ()  # models, to downgrade: a pattern, and what takes its place
    contact: str | None = None  # whom to ask; a refusal says so
    created_at_us: int = 0
    removed_at_us: int | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > _NAME_LENGTH_MAX or not self.name.isprintable():
            raise BadInput(f"Found the name {self.name[:40]!r} for a guard: a name is plain text.")
        kind = KINDS.get(self.kind)
        if kind is None:
            raise BadInput(f"Found the kind {self.kind!r}: a guard is of one of {', '.join(KINDS)}.")
        if self.action not in kind.actions:
            raise BadInput(f"Found the action {self.action!r}: {self.kind} takes {', '.join(kind.actions)}.")
        if not 0 <= self.limit <= _LIMIT_MAX or (kind.unit == "percent" and self.limit > 1000):
            raise BadInput(f"Found a limit of {self.limit} {kind.unit} for the guard {self.name!r}.")
        self._check_bounds()
        self._check_models()

    def _check_bounds(self) -> None:
        for name, value, most in (
            ("pace", self.pace_s, PACE_S_MAX),
            ("factor", self.factor, FACTOR_MAX),
            ("window", self.window_s, WINDOW_S_MAX),
        ):
            if not (0 if name == "window" else 1) <= value <= most:
                raise BadInput(f"Found a {name} of {value} for the guard {self.name!r}: at most {most}.")
        if not self.per.strip():
            raise BadInput(f"The guard {self.name!r} is of nobody: write per: session, task, key or a label.")

    def _check_models(self) -> None:
        if self.kind == "models" and self.action == DOWNGRADE and not self.instead:
            raise BadInput(
                f"The guard {self.name!r} downgrades to nothing: write instead: {{gpt-4o: gpt-4o-mini}}."
            )
        if self.kind == "models" and self.action != DOWNGRADE and not self.models:
            raise BadInput(f"The guard {self.name!r} names no models that stay allowed: write models: […].")
        if self.kind != "models" and (self.models or self.instead or self.budget):
            raise BadInput(f"The guard {self.name!r} is of {self.kind}: only models has models and a budget.")

    @property
    def unit(self) -> str:
        """What its limit is counted in."""
        return KINDS[self.kind].unit

    @property
    def is_past_one(self) -> bool:
        """The limit itself is still allowed of what one request carries; a count may only reach it."""
        return self.kind in ("steps", "depth", "output", "effort")

    def is_over(self, value: int) -> bool:
        """Whether so much is more than it allows.

        >>> Guard("g", "g", "calls", 3).is_over(3), Guard("g", "g", "steps", 3).is_over(3)
        (True, False)
        """
        return value > self.limit if self.is_past_one else value >= self.limit

    def subject(self, whose: Whose) -> str | None:
        """In whose name a call is counted; None where the guard does not concern it."""
        scope = self.scope
        if scope.key != ORGANISATION:
            value = whose.value(scope.key)
            if value is None or scope.value not in (EACH, value):
                return None
        if self.per == ORGANISATION:
            return ORGANISATION
        found = whose.value(self.per)
        return NO_KEY if found is None and self.per == "key" else found

    def instead_of(self, model: str) -> str | None:
        """The model that takes the place of one; None where it stays.

        >>> some = Guard("g", "g", "models", 90, DOWNGRADE, instead=(("gpt-4o", "gpt-4o-mini"),))
        >>> some.instead_of("gpt-4o"), some.instead_of("gpt-4o-mini")
        ('gpt-4o-mini', None)
        """
        found = next((other for pattern, other in self.instead if _is_like(model, pattern)), None)
        return None if found == model else found

    def allows(self, model: str) -> bool:
        """Whether a model is among those still allowed."""
        return any(_is_like(model, pattern) for pattern in self.models)


def _is_like(model: str, pattern: str) -> bool:
    return fnmatchcase(model.lower(), pattern.lower())


def grows(contexts: Sequence[int], in_a_row: int, limit: int) -> bool:
    """Whether a context has grown with each of the last calls, and is beyond a limit.

    >>> grows([1, 2, 3], 3, 3), grows([1, 3, 2], 3, 2), grows([1, 2, 3], 4, 1)
    (True, False, False)
    """
    last = contexts[-in_a_row:]
    if len(last) < max(2, in_a_row) or last[-1] < limit:
        return False
    return all(former < later for former, later in pairwise(last))


@dataclass(frozen=True, slots=True)
class Slot:
    """Calls that ended within one stretch of time, and how many of them failed."""

    begins_s: int
    calls: int
    failed: int


def storm(slots: Iterable[Slot], now_s: int, guard: Guard) -> int | None:
    """The share of calls that failed of late, in percent, where it is a storm; None where it is none.

    A storm is many failures (``limit`` percent of at least ``least`` calls), twice what was usual,
    at ``factor`` times the usual rate. What was usual is known after five windows; before that the
    failures alone tell.
    """
    since = now_s - guard.window_s
    calls = failed = past_calls = past_failed = 0
    first = since
    for slot in slots:
        if slot.begins_s > since:
            calls += slot.calls
            failed += slot.failed
        else:
            first = min(first, slot.begins_s)
            past_calls += slot.calls
            past_failed += slot.failed
    if calls < max(1, guard.least):
        return None
    share = 100 * failed // calls
    if share < guard.limit:
        return None
    windows = (since - first) // guard.window_s if guard.window_s else 0
    if windows < _PAST_WINDOWS_MIN:
        return share
    is_faster = calls * windows >= guard.factor * past_calls
    is_worse = failed * past_calls >= 2 * past_failed * calls
    return share if is_faster and is_worse else None


def sentence(guard: Guard, subject: str, value: int, about: str = "") -> str:
    """What a person is told of a call that goes past a guard; ``about`` names a model where one matters.

    >>> sentence(Guard("g", "loops", "calls", 50), "s-1", 50)
    "The session 's-1' has made 50 calls. The guard 'loops' allows 50 calls."
    """
    whose = f"The {guard.per} {subject!r}" if subject not in (ORGANISATION, NO_KEY) else "This client"
    shown = amount_text(guard, value)
    window = span_text(guard.window_s)
    said = {
        "calls": f"{whose} has made {shown}.",
        "tokens": f"{whose} has used {shown}.",
        "cost": f"{whose} has cost {shown}.",
        "time": f"{whose} has gone on for {shown}.",
        "steps": f"The model has taken {shown} in this request since somebody last spoke.",
        "depth": f"This call is {shown} deep.",
        "repeat": f"{whose} has made the same request {shown} within {window}.",
        "context": f"{whose} has sent more with each of its last {guard.least} calls, {shown} by now.",
        "retries": f"Of the calls of {whose[0].lower()}{whose[1:]} {shown} failed within {window}, "
        "more and faster than is usual.",
        "output": f"The request asks for an answer of up to {shown}.",
        "effort": f"The request asks for the effort {shown!r}.",
        "models": f"A budget is {shown} spent, and the request asks for the model {about!r}.",
    }[guard.kind]
    return f"{said} {_allowed(guard)}"


def _allowed(guard: Guard) -> str:
    limit = amount_text(guard, guard.limit)
    if guard.kind == "models":
        models = ", ".join(guard.models or [other for _, other in guard.instead])
        return f"From {limit} on the guard {guard.name!r} allows {models}."
    if guard.kind in ("context", "retries"):
        return f"The guard {guard.name!r} watches from {limit} on."
    return f"The guard {guard.name!r} allows {limit}."


def amount_text(guard: Guard, value: int) -> str:
    """An amount in the unit of a guard, as people write it."""
    if guard.unit == "dollars":
        return dollar_text(value)
    if guard.unit == "seconds":
        return span_text(value)
    if guard.unit == "effort":
        return EFFORTS[min(value, len(EFFORTS) - 1)]
    if guard.unit == "percent":
        return f"{value} %"
    unit = guard.unit[:-1] if value == 1 else guard.unit
    return f"{value:,} {unit}"


def span_text(seconds: int) -> str:
    """A length of time: 90s, 10m, 2h.

    >>> span_text(90), span_text(600), span_text(7200)
    ('90s', '10m', '2h')
    """
    if seconds and seconds % 3600 == 0:
        return f"{seconds // 3600}h"
    return f"{seconds // 60}m" if seconds and seconds % 60 == 0 else f"{seconds}s"


def effort_rank(text: str) -> int | None:
    """The place of an effort among ``EFFORTS``; None for a word that is none of them."""
    word = text.strip().lower()
    return EFFORTS.index(word) if word in EFFORTS else None
