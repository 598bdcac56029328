"""A report as a document: the columns that JSON and CSV share, money as decimal text, rates as numbers."""

from collections.abc import Mapping

from flatfare.core.moments import iso
from flatfare.core.money import decimal_text, dollar_text, estimate_text
from flatfare.core.statistics import Interval
from flatfare.service.reporting.figures import Figures, Row
from flatfare.service.reporting.keys import LABEL, PERIODS
from flatfare.service.reporting.report import Report

Document = dict[str, object]

_ROUNDED = 9  # digits of a rate behind the point


def document_of(report: Report, currency: str = "USD") -> Document:
    """The whole report."""
    document: Document = {
        "by": list(report.by),
        "since": iso(report.since_us),
        "until": iso(report.until_us),
        "as_of": iso(report.as_of_us),
        "currency": currency,
        "cost": report.cost,
        "handoff_cost": decimal_text(report.handoff_nano) if report.handoff_nano else None,
        "groups": report.groups,
        "rows": rows_of(report),
        "total": figures_of(report.total),
        "published_total": figures_of(report.published_total) if report.published_total else None,
        "idle_fixed_cost": decimal_text(report.idle_nano),
        "notes": notes_of(report),
    }
    if report.conversations is not None:
        found = report.conversations
        document["conversations"] = {
            "n": found.n,
            "spend": decimal_text(found.spend_nano),
            "cost_per_conversation": decimal_text(found.mean_nano),
            "cost_p50": decimal_text(found.spend.p50_nano),
            "cost_p90": decimal_text(found.spend.p90_nano),
            "cost_p99": decimal_text(found.spend.p99_nano),
        }
    return document


def rows_of(report: Report) -> list[Document]:
    """The rows, keys first; by time each with its change against the period before."""
    names = key_columns(report)
    before = previous_rows(report)
    rows = []
    for row in report.rows:
        figures = figures_of(row)
        if before is not None:
            figures |= changes_of(row, before.get(row.keys))
        rows.append({**dict(zip(names, row.keys, strict=True)), **figures})
    return rows


def key_columns(report: Report) -> list[str]:
    """The names of the key columns; a label that is called like a figure is written in full."""
    taken = set(figures_of(report.total)) | {"price_per_million_tokens_change"}
    return [f"{LABEL}{name}" if name in taken else name for name in report.by]


def previous_rows(report: Report) -> dict[tuple[str | None, ...], Row] | None:
    """For each row of a report by time the row of the period before, other keys alike; None for others."""
    position = next((at for at, name in enumerate(report.by) if name in PERIODS), None)
    if position is None:
        return None
    last: dict[tuple[object, ...], Row] = {}
    found: dict[tuple[str | None, ...], Row] = {}
    own = [row for row in report.rows if not row.is_published and row.keys[position] is not None]
    for row in sorted(own, key=lambda row: str(row.keys[position])):
        others = (*row.keys[:position], *row.keys[position + 1 :])
        if others in last:
            found[row.keys] = last[others]
        last[others] = row
    return found


def changes_of(row: Row, before: Row | None) -> Document:
    """How the price of tokens and of verified outcomes moved since the period before, as shares."""
    prices = (row.price_per_million_nano, before.price_per_million_nano if before else None)
    costs = (shown_cost(row), shown_cost(before) if before else None)
    return {
        "price_per_million_tokens_change": _change(*prices),
        "cost_per_verified_outcome_change": _change(*costs),
    }


def shown_cost(row: Row) -> int | None:
    """The cost per verified outcome, where there are successes enough to print one."""
    return row.cost_per_verified_nano if row.is_priced else None


def figures_of(row: Row) -> Document:
    """Everything a row says, in the order it is read."""
    f, success = row.figures, row.success_interval
    ratio = row.cost_per_verified
    interval = ratio.interval if ratio else None
    return {
        "kind": "published aggregate" if row.is_published else "tasks",
        "tasks": f.tasks,
        "verified": f.verified,
        "failed": f.failed,
        "assumed": f.assumed,
        "reversed": f.reversed,
        "open": f.open,
        "attempts": f.attempts,
        "success_rate": _rate(row.success_rate),
        "success_rate_low": _rate(success.low if success else None),
        "success_rate_high": _rate(success.high if success else None),
        "cost": decimal_text(row.cost_nano),
        "cost_is_at_least": f.is_at_least,
        "unknown_cost_tasks": f.unknown_cost_tasks,
        "unknown_cost_calls": f.unknown_cost_calls,
        "cost_per_attempt": decimal_text(row.cost_per_attempt_nano),
        "cost_per_verified_outcome": decimal_text(shown_cost(row)),
        "cost_per_verified_outcome_low": _end(interval, "low"),
        "cost_per_verified_outcome_high": _end(interval, "high"),
        "cost_per_verified_outcome_note": row.note,
        "unverified_spend_share": _rate(row.unverified_share),
        "cost_p50": decimal_text(row.percentiles.p50_nano),
        "cost_p90": decimal_text(row.percentiles.p90_nano),
        "cost_p99": decimal_text(row.percentiles.p99_nano),
        "calls_per_task": _rate(row.calls_per_task),
        "tokens_per_task": _rate(row.tokens_per_task),
        "input_tokens": f.input_tokens,
        "output_tokens": f.output_tokens,
        "price_per_million_tokens": decimal_text(row.price_per_million_nano),
        **_parts(row),
    }


def _parts(row: Row) -> Document:
    f = row.figures
    return {
        "verification_cost": _part(f.verification_nano, f.unknown_verification_tasks),
        "rework_cost": _part(f.rework_nano, f.unknown_rework_tasks),
        "fixed_cost": decimal_text(f.fixed_nano),
        "simulation_cost": _part(f.simulation_nano, f.unknown_simulation_calls),
        "simulation_cost_is_at_least": f.unknown_simulation_calls > 0,
        "test_cost": _part(f.test_nano, f.unknown_test_calls),
        "test_cost_is_at_least": f.unknown_test_calls > 0,
        "open_cost": _part(f.open_nano, f.unknown_open_tasks),
        "open_cost_is_at_least": f.unknown_open_tasks > 0,
        "outside_cost": _part(f.outside_nano, f.unknown_outside_calls),
        "outside_cost_is_at_least": f.unknown_outside_calls > 0,
        "outside_calls": f.outside_calls,
        "spend": _part(f.spend_nano, f.unknown_of_spend),
        "spend_is_at_least": f.unknown_of_spend > 0,
        "computed_cost": decimal_text(f.computed_nano) if f.computed_calls else None,
        "reported_cost": decimal_text(f.reported_nano) if f.reported_calls else None,
        "handoff_cost": decimal_text(f.handoff_nano(row.handoff_nano)) if row.handoff_nano else None,
    }


def _calls(count: int) -> str:
    return "1 call belongs" if count == 1 else f"{count:,} calls belong"


def notes_of(report: Report) -> list[str]:
    """What has to be said below the figures, in sentences."""
    notes = []
    if report.splits:
        keys = " and ".join(report.splits)
        notes.append(
            f"A task counts in each {keys} that worked on it; the total counts it once. What no call says "
            "(a total given by the source, rework) stands in the row that all its calls agree on, else in "
            "the one without a value."
        )
    notes += _notes_of(report.total.figures)
    if report.idle_nano:
        notes.append(
            f"{dollar_text(report.idle_nano)} of fixed fees served nobody and stand in no row: "
            "flatfare commitments show."
        )
    if report.published_total is not None:
        notes.append(
            "Published aggregates are other people's runs: they are in no total of yours, and their interval "
            "comes from counts alone."
        )
    if report.left_out:
        notes.append(
            f"{report.left_out:,} published aggregates are left out: they have a path, a source, labels and "
            "sometimes a date, and nothing else."
        )
    return notes


def _notes_of(figures: Figures) -> list[str]:
    """What has to be said of the total."""
    notes = []
    if figures.outside_calls:
        notes.append(
            f"{_calls(figures.outside_calls)} to no task: they count apart, as outside. To name one: "
            "header flatfare-task, --map task=COLUMN."
        )
    if figures.is_at_least:
        notes.append(
            f"The cost of {figures.unknown_cost_tasks:,} of {figures.tasks:,} tasks is not wholly known: "
            "flatfare doctor says why."
        )
    if figures.open:
        notes.append(
            f"{_open_tasks(figures.open)} at {_spent(figures.open_nano, figures.unknown_open_tasks)}: "
            "what is open counts once its window has closed."
        )
    if figures.fixed_nano:
        notes.append(
            f"{dollar_text(figures.fixed_nano)} of the cost are shares of fixed fees; calls that a fee "
            "covers are not billed by themselves."
        )
    return notes


def _open_tasks(count: int) -> str:
    return "1 task is open," if count == 1 else f"{count:,} tasks are open,"


def _spent(nano: int, unknown: int) -> str:
    if unknown:
        return f"{dollar_text(nano)} or more" if nano else "a cost not known"
    return dollar_text(nano)


def csv_columns(report: Report) -> list[str]:
    """The header of the report as CSV."""
    changes: Mapping[str, object] = {} if previous_rows(report) is None else changes_of(report.total, None)
    return [*key_columns(report), *figures_of(report.total), *changes]


def _part(nano: int, unknown: int) -> str | None:
    """A part of the cost; None where something is unknown and nothing is known."""
    return None if unknown and not nano else decimal_text(nano)


def _end(interval: Interval | None, which: str) -> str | None:
    if interval is None:
        return None
    end = interval.low if which == "low" else interval.high
    return estimate_text(end)


def _rate(value: float | None) -> float | None:
    return None if value is None else round(value, _ROUNDED)


def _change(now: int | None, before: int | None) -> float | None:
    return round(now / before - 1, _ROUNDED) if now is not None and before else None
