"""From what is asked in words to a question: each key's name resolved by what book and lake hold."""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from flatfare.core.errors import BadUsage
from flatfare.service.reporting import holdings, keys
from flatfare.service.reporting.keys import Key, Kind
from flatfare.service.reporting.paths import name_by_models
from flatfare.service.reporting.question import COUNTS, Question, checked_zone
from flatfare.store.book import Book

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PATH = "path"


def question_of(
    engine: "DuckDBPyConnection",
    book: Book,
    *,
    now_us: int,
    by: Sequence[str] = (),
    filters: Iterable[tuple[str, str]] = (),
    since_us: int | None = None,
    until_us: int | None = None,
    cost: str = COUNTS,
    time_zone: str = "UTC",
) -> Question:
    """The question by these keys and filters; ``BadUsage`` names a key that is not there."""
    if keys.TURN in by:
        raise BadUsage("Turns have a report of their own, and no other figures: flatfare report --by turn")
    chosen = list(filters)
    names = (*by, *(name for name, _ in chosen))
    if PATH in names:
        name_by_models(engine)
    labels = labels_among(engine, book, names)
    return Question(
        by=tuple(keys.resolved(by, labels)),
        now_us=now_us,
        filters=resolved_filters(chosen, labels),
        since_us=since_us,
        until_us=until_us,
        cost=cost,
        time_zone=checked_zone(time_zone),
    )


def labels_among(engine: "DuckDBPyConnection", book: Book, names: Iterable[str]) -> set[str]:
    """The label keys there are; none where no name can be that of a label."""
    return holdings.label_keys(engine, book) if any(map(keys.is_label, names)) else set()


def resolved_filters(
    chosen: Sequence[tuple[str, str]], labels: Collection[str]
) -> tuple[tuple[Key, tuple[str, ...]], ...]:
    """Each key that is filtered by, with all its values: any of them will do."""
    values: dict[Key, tuple[str, ...]] = {}
    for (_, value), key in zip(chosen, keys.resolved([name for name, _ in chosen], labels), strict=True):
        if key.kind is Kind.TURN:
            raise BadUsage(
                "Nothing can be filtered by 'turn': turns are counted among the calls that are left. Report "
                "by it, and read off those that are wanted."
            )
        values[key] = (*values.get(key, ()), value)
    return tuple(values.items())
