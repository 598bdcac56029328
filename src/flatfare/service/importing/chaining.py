"""Verdicts that were read, set behind the head of their task's chain; and the outcomes they add up to.

The lake computes each link as the core does, set by set: first every task's first new
verdict, then every second one.
"""

from itertools import groupby
from typing import TYPE_CHECKING

from flatfare.core.chain import GENESIS
from flatfare.core.definition import UNDECLARED, standing_of
from flatfare.core.outcome import Judgement, Outcome, Verdict, VerifierKind
from flatfare.service.tasks.defining import Register
from flatfare.store.engine import quoted
from flatfare.store.layout import VERDICTS
from flatfare.store.verdict_chains import SAID

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PAGE = 100_000

_COLUMNS = ", ".join(f"CAST({column.name} AS {column.lake_type}) AS {column.name}" for column in VERDICTS)


def chained(engine: "DuckDBPyConnection", fresh: str, heads: str | None) -> str:
    """The relation of new verdicts with their place in their chains.

    ``fresh`` has every column of a verdict but its place, and ``line``; ``heads`` has
    ``task_id``, ``next_position`` and ``hash`` of tasks that have verdicts already.
    """
    joined = "LEFT JOIN " + heads + " AS heads ON heads.task_id = fresh.task_id" if heads else ""
    start = "coalesce(heads.next_position, 0)" if heads else "0"
    head = f"coalesce(heads.hash, '{GENESIS}')" if heads else f"'{GENESIS}'"
    ranked = (
        f"SELECT fresh.*, {start} AS start, {head} AS head, {SAID.replace('task_id', 'fresh.task_id')} "
        "AS said, "
        "row_number() OVER (PARTITION BY fresh.task_id ORDER BY at_us, line) - 1 AS rank "
        f"FROM {fresh} AS fresh {joined}"
    )
    longest = engine.execute(
        f"SELECT max(n) FROM (SELECT count(*) AS n FROM {fresh} GROUP BY task_id)"
    ).fetchone()
    steps = int(longest[0] or 0) if longest else 0
    if steps <= 1:
        only = ranked.replace("row_number() OVER (PARTITION BY fresh.task_id ORDER BY at_us, line) - 1", "0")
        return (
            f"SELECT {_COLUMNS} FROM (SELECT *, start AS position, head AS previous_hash, "
            f"sha256(head || said) AS hash FROM ({only}))"
        )
    return _step_by_step(engine, ranked, steps)


def _step_by_step(engine: "DuckDBPyConnection", ranked: str, steps: int) -> str:
    engine.execute(f"CREATE TEMP TABLE ranked AS {ranked}")
    engine.execute(
        "CREATE TEMP TABLE linked AS SELECT *, start AS position, head AS previous_hash, "
        "sha256(head || said) AS hash FROM ranked WHERE rank = 0"
    )
    for rank in range(1, steps):
        engine.execute(
            "INSERT INTO linked SELECT ranked.*, ranked.start + ranked.rank, linked.hash, "
            "sha256(linked.hash || ranked.said) FROM ranked JOIN linked "
            f"ON linked.task_id = ranked.task_id AND linked.rank = {rank - 1} WHERE ranked.rank = {rank}"
        )
    return f"SELECT {_COLUMNS} FROM linked"


def fold_outcomes(engine: "DuckDBPyConnection", verdicts: str, tasks: str, register: Register) -> None:
    """Make the table ``outcomes`` (task_id, outcome, at_us, cause) by the core's own fold.

    ``verdicts`` holds all verdicts of the tasks in question, old and new; ``tasks`` what is known of
    them (task_id, name, outcome, opened_at_us, closed_at_us). Each is judged by the definition that
    was in force when it was opened; one that was closed in silence begins as assumed.
    """
    engine.execute(
        "CREATE TEMP TABLE outcomes (task_id UUID, outcome VARCHAR, outcome_at_us BIGINT, cause VARCHAR)"
    )
    engine.execute(
        "CREATE TEMP TABLE to_fold AS SELECT CAST(said.task_id AS VARCHAR) AS task_id, "
        "CAST(said.id AS VARCHAR) AS id, "
        f"verifier, verifier_version, kind, judgement, evidence_hash, at_us, score, "
        "coalesce(told.outcome = 'assumed', false) AS assumed, told.name, told.opened_at_us, "
        f"told.closed_at_us, source, attempt_number FROM ({verdicts}) AS said "
        f"LEFT JOIN ({tasks}) AS told ON told.task_id = said.task_id"
    )
    counted = engine.execute("SELECT count(*) FROM to_fold").fetchone()
    pages = int(counted[0] if counted else 0) // _PAGE + 1
    for page in range(pages):
        rows = engine.execute(
            f"SELECT * FROM to_fold WHERE hash(task_id) % {pages} = {page} ORDER BY task_id"
        ).fetchall()
        folded = [
            _folded(task, list(group), register) for task, group in groupby(rows, key=lambda row: str(row[0]))
        ]
        if folded:
            with engine.appender("outcomes") as appender:
                appender.append_rows(folded)
    engine.execute("DROP TABLE to_fold")


def _folded(task_id: str, rows: list[tuple[object, ...]], register: Register) -> tuple[object, ...]:
    verdicts = [
        Verdict(
            str(verifier),
            str(version),
            VerifierKind(str(kind)),
            Judgement(str(judgement)),
            str(evidence),
            int(str(at_us)),
            id=str(own),
            attempt=None if attempt is None else int(str(attempt)),
            score=None if score is None else str(score),
            source=str(source),
        )
        for _, own, verifier, version, kind, judgement, evidence, at_us, score, *_, source, attempt in rows
    ]
    assumed, name, opened_at_us, closed_at_us = rows[0][9:13]
    definition = register.of(str(name), int(str(opened_at_us or 0))) if name is not None else UNDECLARED
    begins = Outcome.ASSUMED if assumed else Outcome.OPEN
    closes = None if closed_at_us is None else int(str(closed_at_us))
    standing = standing_of(verdicts, definition, begins=begins, closes_at_us=closes)
    return task_id, str(standing.outcome), standing.at_us, standing.cause


def verdict_id(source: str, key: str) -> str:
    """The id of an imported verdict in SQL, from its key in SQL."""
    return f"CAST(md5('verdict' || chr(31) || {quoted(source)} || chr(31) || {key}) AS UUID)"
