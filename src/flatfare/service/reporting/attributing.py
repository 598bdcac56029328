"""Outcomes attributed to the parts that touched them, beside what each part spent.

A part is the value of a key of calls, such as the label ``part``; people who worked on a task
afterwards are a part of their own. The rule is stated with the figures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from flatfare.core.attribution import Rule, Touch, Touched, credited
from flatfare.core.errors import BadUsage
from flatfare.core.money import decimal_text, half_even
from flatfare.service.reporting.keys import Kind
from flatfare.service.reporting.resolving import question_of
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import translated
from flatfare.store.lake import Lake

HUMAN = "human"
"""The part that rework is."""

NOT_GIVEN = "—"

PART = "part"
"""The label that says which part of the work a call was."""

_UNLABELLED = (
    "No call says which part of the work it was. Label calls, such as flatfare-labels: part=router, or "
    "tell parts by what calls have: --by model."
)


@dataclass(frozen=True, slots=True)
class Attributed:
    """One part: the tasks it touched, the outcomes that are its by the rule, and what its own work cost."""

    part: str
    tasks: int
    verified: Fraction
    spend_nano: int  # what is known of it
    unknown_calls: int

    @property
    def cost_per_verified_nano(self) -> int | None:
        """What it spent for each outcome that is its; None without one, or where the spend is not known."""
        if self.verified <= 0 or (self.unknown_calls and not self.spend_nano):
            return None
        each = self.spend_nano / self.verified
        return half_even(each.numerator, each.denominator)

    def as_json(self, by: str) -> dict[str, object]:
        """The part as a document."""
        each = self.cost_per_verified_nano
        return {
            by: self.part,
            "tasks": self.tasks,
            "verified": round(float(self.verified), 9),
            "spend": decimal_text(self.spend_nano),
            "spend_is_at_least": self.unknown_calls > 0,
            "cost_per_verified_outcome": decimal_text(each),
        }


def attributed(
    book: Book,
    lake: Lake,
    *,
    now_us: int,
    rule: Rule,
    by: str = PART,
    shares: Mapping[str, Fraction] | None = None,
    filters: Iterable[tuple[str, str]] = (),
    since_us: int | None = None,
    until_us: int | None = None,
) -> list[Attributed]:
    """Every part of the matured tasks, the most credited first. ``filters`` are by keys of tasks."""
    with reading.opened(book, lake, "folded", "tasks") as engine, translated("Attributing"):
        try:
            question = question_of(
                engine, book, by=(by,), now_us=now_us, filters=filters, since_us=since_us, until_us=until_us
            )
        except BadUsage as problem:
            raise (BadUsage(_UNLABELLED) if repr(PART) in str(problem) else problem) from None
        key = question.by[0]
        if key.kind not in (Kind.CALL, Kind.BOTH):
            raise BadUsage(
                f"Parts cannot be told by {by!r}: it takes a key of calls, such as a label or model."
            )
        for chosen, _ in question.filters:
            if chosen.kind not in (Kind.TASK, Kind.BOTH):
                raise BadUsage(f"Tasks cannot be chosen by {chosen.name!r}: only by what is said of a task.")
        passes = question.passes({chosen: chosen.of_task for chosen, _ in question.filters})
        engine.execute(
            "CREATE TEMP TABLE asked AS SELECT id, outcome = 'verified' AS is_verified, outcome_at_us, "
            "rework_ms, rework_nano, coalesce(closed_at_us, outcome_at_us, opened_at_us) AS ended_us "
            f"FROM tasks WHERE matures_at_us <= {now_us} AND {passes} AND {question.within('opened_at_us')}"
        )
        rows = engine.execute(
            f"SELECT CAST(task_id AS VARCHAR), coalesce({key.of_call}, '{NOT_GIVEN}') AS part, "
            "min(first_at_us), max(last_at_us), sum(cost_nano), sum(unknown_n), any_value(is_verified), "
            "any_value(outcome_at_us) FROM folded JOIN asked ON asked.id = folded.task_id "
            "WHERE purpose = 'work' GROUP BY ALL HAVING sum(n) > 0 "
            f"UNION ALL SELECT CAST(id AS VARCHAR), '{HUMAN}', ended_us, ended_us, "
            "coalesce(rework_nano, 0), CAST(rework_nano IS NULL AS BIGINT), is_verified, outcome_at_us "
            "FROM asked WHERE rework_ms > 0 OR rework_nano > 0 ORDER BY 1"
        ).fetchall()
    return _parts(rows, rule, shares)


def weights_of(shares: Iterable[str]) -> dict[str, Fraction]:
    """Weights from ``PART=WEIGHT``; ``BadUsage`` for anything else."""
    found = {}
    for text in shares:
        part, sign, weight = text.partition("=")
        try:
            found[part.strip()] = Fraction(weight.strip())
        except (ValueError, ZeroDivisionError):
            sign = ""
        if not sign or found[part.strip()] < 0:
            raise BadUsage(f"Found the share {text[:60]!r}: write PART=WEIGHT, such as bot=0.5.")
    return found


def _parts(
    rows: list[tuple[object, ...]], rule: Rule, shares: Mapping[str, Fraction] | None
) -> list[Attributed]:
    tasks: dict[str, tuple[list[Touch], bool, int | None]] = {}
    spend: dict[str, list[int]] = {}
    for task, part, first, last, nano, unknown, is_verified, outcome_at in rows:
        touches, *_ = tasks.setdefault(
            str(task), ([], bool(is_verified), None if outcome_at is None else int(str(outcome_at)))
        )
        touches.append(Touch(str(part), int(str(first)), int(str(last))))
        sums = spend.setdefault(str(part), [0, 0, 0])
        for at, amount in enumerate((1, int(str(nano)), int(str(unknown)))):
            sums[at] += amount
    given = credited([Touched(tuple(t), verified, at) for t, verified, at in tasks.values()], rule, shares)
    found = [
        Attributed(part, count, given[part], nano, unknown) for part, (count, nano, unknown) in spend.items()
    ]
    return sorted(found, key=lambda one: (-one.verified, one.part))
