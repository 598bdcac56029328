"""Neighbours: how a task's cost stands to that of matured tasks of its kind and path, and what makes it so.

The task itself is not among its neighbours. What the sentences say multiplies out: so many
times the calls, each so many times as dear, and what people's work and its judging add.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flatfare.core.money import decimal_text, dollar_text
from flatfare.service.reporting.figures import Figures
from flatfare.service.reporting.listing import Listed
from flatfare.service.reporting.report import report
from flatfare.store.book import Book
from flatfare.store.lake import Lake

ALIKE = 1.1
"""Within so many times a task costs as much as another."""

NOTABLE = 1.2
"""From so many times on a part is named as a reason."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of the task beside the mean of its neighbours; None where it is not known."""

    name: str
    own: float | None
    mean: float | None
    is_money: bool = False  # in nano-dollars

    @property
    def factor(self) -> float | None:
        """How many times the neighbours' mean."""
        return self.own / self.mean if self.own is not None and self.mean else None

    def as_json(self) -> dict[str, object]:
        """The figure as a document; money as decimal text."""

        def text(value: float | None) -> object:
            return decimal_text(round(value)) if self.is_money and value is not None else value

        return {"name": self.name, "own": text(self.own), "mean": text(self.mean), "times": self.factor}


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A task among its neighbours."""

    n: int
    median_nano: int | None  # of what a task costs, this one too
    measures: tuple[Measure, ...]

    def of(self, name: str) -> Measure:
        """The figure of that name."""
        return next(one for one in self.measures if one.name == name)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What makes the task dearer than its neighbours, the most of it first; none where it is not."""
        found = [
            (factor, text.format(_times(factor)))
            for name, text in _TIMES.items()
            if (factor := self.of(name).factor) is not None and factor >= NOTABLE
        ]
        total = self.of(COST)
        for name, text in _BESIDE.items():
            one = self.of(name)
            if total.own and one.own and one.own - (one.mean or 0) > total.own * (1 - 1 / NOTABLE):
                found.append(
                    (total.own / max(1.0, total.own - one.own), text.format(dollar_text(round(one.own))))
                )
        return tuple(text for _, text in sorted(found, key=lambda one: -one[0]))

    @property
    def sentence(self) -> str:
        """How the task stands to its neighbours, and why, in words."""
        factor = self.of(COST).factor
        if factor is None:
            return ""
        who = f"its {self.n:,} neighbours" if self.n > 1 else "its one neighbour"
        if 1 / ALIKE < factor < ALIKE:
            return f"It cost about as much as {who} on average."
        said = f"It cost {_times(factor)} what {who} cost on average"
        reasons = self.reasons if factor >= NOTABLE else ()
        return f"{said}: {', '.join(reasons)}." if reasons else f"{said}."

    def as_json(self) -> dict[str, object]:
        """The comparison as a document."""
        return {
            "n": self.n,
            "median": decimal_text(self.median_nano),
            "sentence": self.sentence,
            "measures": [one.as_json() for one in self.measures],
        }


COST, CALLS, EACH, ATTEMPTS = "cost", "calls", "cost of a call", "attempts"
TOKENS_IN, TOKENS_OUT = "tokens in a call", "tokens out of a call"
VERIFICATION, REWORK = "verification", "rework"

_TIMES = {
    CALLS: "{} as many calls",
    EACH: "each call {} as dear",
    TOKENS_IN: "{} as many tokens into each",
    TOKENS_OUT: "{} as many tokens out of each",
    ATTEMPTS: "{} as many attempts",
}
_BESIDE = {REWORK: "{} of it is people's work afterwards", VERIFICATION: "{} of it is its verification"}


def _times(factor: float) -> str:
    return f"{factor:,.0f} times" if factor >= 20 else f"{factor:.1f} times"


def neighbours(
    book: Book,
    lake: Lake,
    task: Listed,
    calls: Sequence[Mapping[str, object]],
    *,
    now_us: int,
    filters: Iterable[tuple[str, str]] = (),
) -> Neighbours | None:
    """The task among the others; None where there are none. ``calls`` are those of its story."""
    kind = [("action", str(task.columns["name"]))]
    if task.columns["path"]:
        kind.append(("path", str(task.columns["path"])))
    found = report(book, lake, now_us=now_us, by=("action",), filters=[*filters, *kind])
    row = next((row for row in found.rows if not row.is_published), None)
    if row is None:
        return None
    mine = _own(task, calls)
    others = row.figures if task.state == "open" else _without(row.figures, mine)
    if others.tasks < 1 or not others.is_costed:
        return None
    return Neighbours(others.tasks, row.percentiles.p50_nano, _measures(mine, others))


def told(
    book: Book,
    lake: Lake,
    task: Listed,
    story: dict[str, object],
    *,
    now_us: int,
    filters: Iterable[tuple[str, str]] = (),
) -> dict[str, object]:
    """A task's story with how it stands to its neighbours."""
    calls = story["calls"]
    assert isinstance(calls, list)
    found = neighbours(book, lake, task, calls, now_us=now_us, filters=filters)
    return {**story, "neighbours": None if found is None else found.as_json()}


def _own(task: Listed, calls: Sequence[Mapping[str, object]]) -> Figures:
    """The task's own figures, as a report sums them."""
    counted = [one for one in calls if one["purpose"] in ("work", "verification")]
    cost = task.cost
    return Figures(
        tasks=1,
        attempts=task.attempts,
        cost_nano=cost.known_nano,
        costed_tasks=1,
        verification_nano=cost.verification_nano or 0,
        rework_nano=cost.rework_nano or 0,
        calls=task.calls or 0,
        called_tasks=0 if task.calls is None else 1,
        input_tokens=sum(int(str(one["input_tokens"] or 0)) for one in counted),
        output_tokens=sum(int(str(one["output_tokens"] or 0)) for one in counted),
    )


def _without(whole: Figures, part: Figures) -> Figures:
    names = (
        *("tasks", "attempts", "cost_nano", "costed_tasks", "verification_nano", "rework_nano", "calls"),
        *("called_tasks", "input_tokens", "output_tokens"),
    )
    return Figures(**{name: max(0, getattr(whole, name) - getattr(part, name)) for name in names})


def _measures(mine: Figures, others: Figures) -> tuple[Measure, ...]:
    def each(name: str) -> tuple[float, float]:
        return getattr(mine, name), getattr(others, name) / others.tasks

    def per_call(name: str) -> tuple[float | None, float | None]:
        return _ratio(getattr(mine, name), mine.calls), _ratio(getattr(others, name), others.calls)

    all_called = others.called_tasks == others.tasks  # else some tasks' cost has no calls to it
    called = (_ratio(mine.calls, mine.called_tasks), _ratio(others.calls, others.called_tasks))
    dear = (
        _ratio(mine.cost_nano - mine.rework_nano, mine.calls),
        _ratio(others.cost_nano - others.rework_nano, others.calls) if all_called else None,
    )
    return (
        Measure(COST, *each("cost_nano"), is_money=True),
        Measure(ATTEMPTS, *each("attempts")),
        Measure(CALLS, *called),
        Measure(EACH, *dear, is_money=True),
        Measure(TOKENS_IN, *per_call("input_tokens")),
        Measure(TOKENS_OUT, *per_call("output_tokens")),
        Measure(VERIFICATION, *each("verification_nano"), is_money=True),
        Measure(REWORK, *each("rework_nano"), is_money=True),
    )


def _ratio(amount: int, by: int) -> float | None:
    return amount / by if by else None
