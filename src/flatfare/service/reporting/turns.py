"""Turns: what the first, the second, the tenth exchange of a conversation costs.

A conversation is a session, or a task where no session is known. Its turn is what the
source said, where it said so of every call; else the calls for work are counted in
their order. Histories sent again and again show as input tokens that grow by the turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flatfare.core.errors import BadUsage
from flatfare.core.money import decimal_text, half_even
from flatfare.service.reporting import holdings, keys
from flatfare.service.reporting.facts import Sources, state_text, tasks_sql
from flatfare.service.reporting.keys import TURN, Key, Kind
from flatfare.service.reporting.question import Question, checked_zone, period_text
from flatfare.service.reporting.resolving import labels_among, resolved_filters
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.engine import translated
from flatfare.store.folding import FIGURES
from flatfare.store.lake import Lake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of all conversations that reached it."""

    keys: tuple[str | None, ...]  # the other keys asked for, in their order
    turn: int
    conversations: int
    calls: int
    unknown_calls: int
    cost_nano: int  # the known part
    through_nano: int  # known cost up to and with this turn, of the conversations that reached it
    input_tokens: int
    cached_tokens: int
    output_tokens: int

    @property
    def mean_nano(self) -> int | None:
        """What this turn costs a conversation; None where nothing of it is known."""
        is_unknown = self.unknown_calls == self.calls
        return None if is_unknown else half_even(self.cost_nano, self.conversations)

    @property
    def through_mean_nano(self) -> int:
        """What a conversation has cost by the end of this turn."""
        return half_even(self.through_nano, self.conversations)

    def as_json(self, names: Sequence[str]) -> dict[str, object]:
        """The turn as a document; money as decimal text."""
        mean = self.mean_nano
        return {
            **dict(zip(names, self.keys, strict=True)),
            "turn": self.turn,
            "conversations": self.conversations,
            "calls": self.calls,
            "cost": None if mean is None else decimal_text(self.cost_nano),
            "cost_is_at_least": self.unknown_calls > 0,
            "unknown_cost_calls": self.unknown_calls,
            "cost_per_conversation": decimal_text(mean),
            "cumulative_cost_per_conversation": decimal_text(self.through_mean_nano),
            "input_tokens_per_turn": round(self.input_tokens / self.conversations, 3),
            "cached_tokens_per_turn": round(self.cached_tokens / self.conversations, 3),
            "output_tokens_per_turn": round(self.output_tokens / self.conversations, 3),
        }


def turns(
    book: Book,
    lake: Lake,
    *,
    now_us: int,
    by: Sequence[str] = (TURN,),
    since_us: int | None = None,
    until_us: int | None = None,
    filters: Iterable[tuple[str, str]] = (),
    time_zone: str = "UTC",
    limit: int | None = None,
) -> tuple[list[Turn], int]:
    """Each turn in its order, and how many calls for work belong to no conversation.

    Other keys than ``turn`` set conversations, or parts of them, apart. Raises
    ``BadUsage`` for a key that is not there.
    """
    asked = keys.asked(by)
    if TURN not in asked:
        raise BadUsage("A report by turn needs the key 'turn'.")
    others, chosen = [name for name in asked if name != TURN], list(filters)
    with reading.opened(book, lake, "calls", "folded", "tasks", "verdicts") as engine:
        labels = labels_among(engine, book, [*others, *(name for name, _ in chosen)])
        question = Question(
            by=tuple(keys.resolved(others, labels)),
            now_us=now_us,
            filters=resolved_filters(chosen, labels),
            since_us=since_us,
            until_us=until_us,
            time_zone=checked_zone(time_zone),
        )
        with translated("Reporting by turn"):
            # How often a task was tried is no matter of its turns, and is not loaded.
            held = replace(holdings.holdings(engine, book), has_attempts=False)
            return _turns(engine, Sources(question, held), limit)


def document_of(found: Sequence[Turn], loose: int, names: Sequence[str]) -> dict[str, object]:
    """The report by turn as a document; ``names`` are the keys that set conversations apart."""
    rows = [turn.as_json(names) for turn in found]
    return {"by": [*names, TURN], "rows": rows, "calls_apart": loose}


def _turns(engine: "DuckDBPyConnection", sources: Sources, limit: int | None) -> tuple[list[Turn], int]:
    question = sources.question
    engine.execute(f"CREATE TEMP VIEW work AS {_work(engine, sources)}")
    at_keys = [f"k{at}" for at in range(len(question.by))]
    listed = "".join(f"{name}, " for name in at_keys)
    texts = "".join(
        f"{period_text(key.name, name) if key.kind is Kind.PERIOD else name}, "
        for key, name in zip(question.by, at_keys, strict=True)
    )
    rows = engine.execute(
        f"""WITH placed AS (
                SELECT *, CASE WHEN COUNT(turn) OVER whole = COUNT(*) OVER whole THEN turn
                               ELSE ROW_NUMBER() OVER (whole ORDER BY at_us, id) END AS place
                FROM work WHERE conversation IS NOT NULL WINDOW whole AS (PARTITION BY conversation)),
            taken AS (
                SELECT {listed}conversation, place, COUNT(*) AS calls, SUM(unknown) AS unknown,
                       COALESCE(SUM(cost), 0) AS cost, SUM(tokens_in) AS tokens_in, SUM(cached) AS cached,
                       SUM(tokens_out) AS tokens_out
                FROM placed GROUP BY {listed}conversation, place),
            summed AS (
                SELECT *, SUM(cost) OVER (PARTITION BY {listed}conversation ORDER BY place) AS through
                FROM taken)
        SELECT {texts}place, COUNT(*), SUM(calls), SUM(unknown), SUM(cost), SUM(through), SUM(tokens_in),
               SUM(cached), SUM(tokens_out)
        FROM summed GROUP BY {listed}place ORDER BY {listed}place{f" LIMIT {limit}" if limit else ""}"""
    ).fetchall()
    loose = engine.execute("SELECT COUNT(*) FROM work WHERE conversation IS NULL").fetchone()
    count = len(at_keys)
    found = [
        Turn(tuple(None if key is None else str(key) for key in row[:count]), *map(int, row[count:]))
        for row in rows
    ]
    return found, int(loose[0]) if loose else 0


def _work(engine: "DuckDBPyConnection", sources: Sources) -> str:
    """Calls for work as they stand, each with its conversation and keys."""
    question = sources.question
    texts = {f"t{at}": key.of_task for at, key in enumerate(question.keys) if _is_static(key)}
    values = {key: _value(at, key, question) for at, key in enumerate(question.keys)}
    shown = "".join(f"{values[key]} AS k{at}, " for at, key in enumerate(question.by))
    selected = "".join(f", {key.of_call} AS c{at}" for at, key in enumerate(question.keys) if _of_calls(key))
    tokens = {name: FIGURES[f"{name}_tokens"].removeprefix("SUM") for name in ("input", "cached", "output")}
    calls = "calls WHERE purpose = 'work'"
    if engine.execute("SELECT 1 FROM calls WHERE n < 0 LIMIT 1").fetchall():
        calls = (
            "(SELECT * FROM calls WHERE n = 1 "
            "QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY revision DESC) = 1) WHERE purpose = 'work'"
        )
    tasks = tasks_sql(sources, {**texts, "its_session": "tasks.session", "opened": "opened_at_us"})
    return f"""SELECT {shown}COALESCE(its_session, session, CAST(task_id AS VARCHAR)) AS conversation,
               id, turn, at_us, cost, unknown, tokens_in, cached, tokens_out
        FROM (SELECT c.*, t.* EXCLUDE (id), COALESCE(t.opened, c.at_us) AS moment FROM (
                  SELECT id, task_id, session, turn, at_us, cost_nano AS cost,
                         CASE WHEN cost_state = 'unknown' THEN 1 ELSE 0 END AS unknown,
                         {tokens["input"]} AS tokens_in, {tokens["cached"]} AS cached,
                         {tokens["output"]} AS tokens_out{selected} FROM {calls}) AS c
              LEFT JOIN ({tasks}) AS t ON t.id = c.task_id)
        WHERE {question.passes(values)} AND {question.within("moment")}"""


def _value(at: int, key: Key, question: Question) -> str:
    if key.kind is Kind.PERIOD:
        return question.period(key.name, "moment")
    if key.kind is Kind.OUTCOME:
        return state_text("COALESCE(state, 0)")
    if key.kind is Kind.BOTH:
        return f"COALESCE(t{at}, c{at})"
    return f"c{at}" if key.kind is Kind.CALL else f"t{at}"


def _is_static(key: Key) -> bool:
    return key.kind in (Kind.TASK, Kind.BOTH)


def _of_calls(key: Key) -> bool:
    return key.kind in (Kind.CALL, Kind.BOTH)
