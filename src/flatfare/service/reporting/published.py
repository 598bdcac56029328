"""Published aggregates in a report: rows of their own kind, since nobody spent that money here.

They have counts and totals and no single tasks: no percentiles, no share of spend in
failures, and an interval from the counts alone.
"""

import json
from collections import defaultdict
from decimal import Decimal, InvalidOperation

from flatfare.service.reporting.figures import Figures, Row
from flatfare.service.reporting.keys import Key
from flatfare.service.reporting.question import COMPUTED, Question
from flatfare.store.book import Book
from flatfare.store.book import Row as BookRow

_ROWS = (
    "SELECT benchmark, domain, path, labels, source, n, successes, cost_nano, simulation_nano, "
    "calls_per_task, input_tokens, output_tokens, at_us FROM aggregates ORDER BY id"
)


def published_rows(book: Book, question: Question) -> tuple[list[Row], int]:
    """The aggregates of a book in groups, and how many were left out for lack of the keys asked for."""
    grouped: dict[tuple[str | None, ...], Figures] = defaultdict(Figures)
    left_out = 0
    is_asked = all(key.is_published for key in question.keys) and bool(question.by)
    for row in book.rows(_ROWS):
        if not is_asked or not _is_within(row[12], question):
            left_out += 1
            continue
        values = _values(row)
        if all(_value(key, values) in wanted for key, wanted in question.filters):
            keys = tuple(_value(key, values) for key in question.by)
            grouped[keys] += _figures(row, question)
    return [Row(keys, figures, is_published=True) for keys, figures in grouped.items()], left_out


def _is_within(at_us: object, question: Question) -> bool:
    if question.since_us is None and question.until_us is None:
        return True
    if not isinstance(at_us, int):
        return False
    after = question.since_us is None or at_us >= question.since_us
    return after and (question.until_us is None or at_us < question.until_us)


def _values(row: BookRow) -> dict[str, str]:
    labels = {str(key): str(value) for key, value in json.loads(str(row[3])).items()}
    of_columns = {"benchmark": str(row[0]), "domain": str(row[1])}
    return {**{key: value for key, value in of_columns.items() if value}, **labels} | {
        "\0path": str(row[2]),
        "\0source": str(row[4]),
    }


def _value(key: Key, values: dict[str, str]) -> str | None:
    return values.get(key.label if key.label is not None else f"\0{key.name}")


def _figures(row: BookRow, question: Question) -> Figures:
    n, successes = _whole(row[5]), _whole(row[6])
    is_known = isinstance(row[7], int) and question.cost != COMPUTED
    cost = _whole(row[7]) if is_known else 0
    calls = _calls(row[9], n)
    tokens_in, tokens_out = _whole(row[10]), _whole(row[11])
    priced = tokens_in + tokens_out if is_known else 0
    return Figures(
        tasks=n,
        verified=successes,
        failed=n - successes,
        attempts=n,
        cost_nano=cost,
        costed_tasks=n if is_known else 0,
        unknown_cost_tasks=0 if is_known else n,
        simulation_nano=_whole(row[8]),
        calls=calls or 0,
        called_tasks=n if calls is not None else 0,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        token_cost_nano=cost if priced else 0,
        priced_tokens=priced,
        reported_nano=cost,
        reported_calls=n if is_known else 0,
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _calls(per_task: object, n: int) -> int | None:
    try:
        return round(Decimal(str(per_task)) * n) if per_task is not None else None
    except InvalidOperation:
        return None
