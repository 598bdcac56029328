"""A worker's side of guards: which concern a call, what it says of itself, what a refused client is told.

Where no guard stands nothing is looked at.
"""

from collections.abc import Mapping

from flatfare.core.guard import STOP, Guard, amount_text, sentence
from flatfare.core.units import INPUT_TOKENS, OUTPUT_TOKENS
from flatfare.gateway.admission import Admitted
from flatfare.gateway.guarding.conversation import marks_of, steps_of
from flatfare.gateway.guarding.shares import slow_from
from flatfare.gateway.guarding.tallies import BUDGET_PACE_S
from flatfare.gateway.records import Figures
from flatfare.gateway.reserving.claims import Claim, whose_is
from flatfare.gateway.reserving.messages import Over, Stopped, Watch
from flatfare.gateway.wire import Request
from flatfare.store import guards
from flatfare.store.book import Book

SHAPING = frozenset(("output", "effort", "models"))
"""Kinds that look at what a request asks for, where it is let in."""

DEPTH_MAX = 1_000_000
AWAY = "The guards of this gateway cannot be asked at present. Try again."


class GuardList:
    """The guards as a worker sees them: in memory, as of the last change."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._number: object = None
        self.held: tuple[Guard, ...] = ()
        self.shaping: tuple[Guard, ...] = ()
        self._by_id: Mapping[str, Guard] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self.held)

    def refresh(self) -> None:
        """Take in what has changed; ``StoreFailure`` where the book is away, and the guards known stay."""
        number = guards.change_number(self._book)
        if number != self._number:
            self.held, self._number = tuple(guards.all_of(self._book)), number
            self.shaping = tuple(guard for guard in self.held if guard.kind in SHAPING)
            self._by_id = {guard.id: guard for guard in self.held}

    def of(self, guard_id: str) -> Guard | None:
        """The guard of an id."""
        return self._by_id.get(guard_id)

    def question(self, call_id: str, admitted: Admitted, request: Request, slow: list[str]) -> Watch | None:
        """What is asked of the treasurer for a call; None where no guard concerns it.

        ``slow`` names the budgets of the call that are to be spent slowly.
        """
        if admitted.place.route is not None and admitted.place.route.free is not None:
            return None
        whose = whose_is(admitted.key, admitted.attribution)
        on: list[tuple[str, str, int]] = []
        has_repeats = False
        for guard in self.held:
            subject = guard.subject(whose)
            if subject is None:
                continue
            found = _found(guard, admitted, request)
            if found is not None:
                on.append((guard.id, subject, found))
                has_repeats = has_repeats or guard.kind == "repeat"
        if not on and not slow:
            return None
        marks = marks_of(request.target, request.body) if has_repeats else []
        return Watch(call_id, on, len(request.body), marks, admitted.key_id, admitted.asked.model, slow)

    def stops(self, ask: Watch) -> bool:
        """Whether any of the guards that were asked may stop a call."""
        return any(
            (guard := self._by_id.get(one)) is not None and guard.action == STOP for one, _, _ in ask.on
        )


def _found(guard: Guard, admitted: Admitted, request: Request) -> int | None:
    """What a request carries past a guard; -1 where the tallies tell; None where nothing is to be asked."""
    if guard.kind in SHAPING:
        return None if admitted.findings is None else admitted.findings.get(guard.id)
    if guard.kind == "steps":
        value = steps_of(request.body)
    elif guard.kind == "depth":
        value = depth_of(request)
    else:
        return -1
    return value if guard.is_over(value) else None


def depth_of(request: Request) -> int:
    """How many agents deep a call is, as its client says: ``flatfare-depth``, or in its baggage."""
    said = request.text(b"flatfare-depth")
    if said is None:
        members = (request.text(b"baggage") or "").split(",")
        named = (member.partition(";")[0].strip().partition("=") for member in members)
        said = next((value for name, _, value in named if name == "flatfare.depth"), "")
    said = said.strip()
    return min(int(said), DEPTH_MAX) if said.isdecimal() and len(said) < 10 else 0


def over_of(
    call_id: str, figures: Figures, *, was_sent: bool, has_failed: bool, most_nano: int | None
) -> Over:
    """What the treasurer is told of a call that has ended; of unknown cost it is taken for ``most_nano``."""
    read = _tokens(figures, INPUT_TOKENS)
    written = _tokens(figures, OUTPUT_TOKENS)
    cost_nano = most_nano if figures.cost_nano is None else figures.cost_nano
    return Over(call_id, was_sent, has_failed, read, read + written, cost_nano)


def _tokens(figures: Figures, units: frozenset[str]) -> int:
    return sum(
        count
        for unit, count in figures.usage.items()
        if unit in units and isinstance(count, int) and count > 0
    )


def told(
    guard: Guard, stopped: Stopped, model: str | None, task: str | None
) -> tuple[str, Mapping[str, object]]:
    """The sentence for a person whose call was stopped, and the same as fields.

    A task is named as its client named it, where it did.
    """
    subject = task if guard.per == "task" and task else stopped.subject
    said = sentence(guard, subject, stopped.value, model or "")
    if stopped.retry_s is not None:
        said += f" It may be tried again in {stopped.retry_s} s."
    said += f" Ask {guard.contact}." if guard.contact else f" To see more: flatfare guards show {guard.name}"
    return said, {
        "name": guard.name,
        "kind": guard.kind,
        "per": guard.per,
        "subject": subject,
        "value": amount_text(guard, stopped.value),
        "limit": amount_text(guard, guard.limit),
    }


def told_of_budget(name: str, claim: Claim | None, wait_s: int | None) -> str:
    """The sentence for a person whose call is one too many of a budget that is to be spent slowly."""
    found = () if claim is None else claim.found
    budget = next((one for one, _ in found if name.startswith(f"{one.id} ")), None)
    if budget is None:
        return "A budget is nearly spent, and is to be spent slowly: try again in a while."
    said = (
        f"The budget {budget.name!r} is {slow_from(budget)} % spent, and is to be spent slowly: a call every "
        f"{BUDGET_PACE_S} s. It may be tried again in {wait_s} s."
    )
    return f"{said} Ask {budget.contact}." if budget.contact else said


def status_of(guard: Guard) -> int:
    """403 for what may not be asked for at all; 429 for what was too much."""
    return 403 if guard.kind in SHAPING else 429
