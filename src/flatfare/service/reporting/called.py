"""Tasks that only calls know: a request named them, and nobody has opened, judged or closed them yet.

Each is open, with the labels and the session of its first call. As soon as anything is told of
it, its own row stands in place of this one; what that does not say, its first call still does.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flatfare.core.identity import Id
from flatfare.core.outcome import Outcome, Settlement
from flatfare.store.engine import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CALLED = f"""CREATE TEMP TABLE called_tasks AS
    SELECT task_id AS id, 0 AS version, 'task' AS name, arg_min(labels, first_at_us) AS labels,
        arg_min(session, first_at_us) AS session, min(first_at_us) AS opened_at_us,
        '{Outcome.OPEN}' AS outcome, FALSE AS is_disputed, '{Settlement.NONE}' AS settlement,
        min(source) AS source
    FROM folded
    WHERE task_id IS NOT NULL AND {{condition}}
      AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = folded.task_id)
    GROUP BY task_id HAVING sum(n) > 0"""
_BOTH = """CREATE TEMP VIEW tasks AS
    SELECT * FROM written_tasks UNION ALL BY NAME SELECT * FROM called_tasks"""

_UNSAID = "import_id IS NULL AND (labels = '{}' OR session IS NULL)"
_FIRST_CALLS = f"""CREATE TEMP TABLE first_calls AS
    SELECT task_id, arg_min(labels, first_at_us) AS labels, arg_min(session, first_at_us) AS session
    FROM folded
    WHERE (labels <> '{{}}' OR session IS NOT NULL)
      AND task_id IN (SELECT id FROM tasks WHERE {_UNSAID})
    GROUP BY task_id HAVING sum(n) > 0"""
_COMPLETED = """CREATE TEMP VIEW tasks AS
    SELECT spare_tasks.* REPLACE (
        CASE WHEN spare_tasks.labels = '{}' THEN coalesce(first_calls.labels, '{}')
            ELSE spare_tasks.labels END AS labels,
        coalesce(spare_tasks.session, first_calls.session) AS session)
    FROM spare_tasks LEFT JOIN first_calls ON first_calls.task_id = spare_tasks.id"""


def with_called(engine: "DuckDBPyConnection", ids: Sequence[str] | None = None) -> None:
    """Let the view ``tasks`` hold tasks that are named by calls alone, too; ``ids`` names some."""
    _complete(engine)
    listed = ", ".join(quoted(str(Id(one))) for one in ids or ()) or "NULL"
    engine.execute(_CALLED.format(condition="TRUE" if ids is None else f"task_id IN ({listed})"))
    engine.execute("ALTER VIEW tasks RENAME TO written_tasks")
    engine.execute(_BOTH)


def _complete(engine: "DuckDBPyConnection") -> None:
    """Let a task that was told of, and not imported, have the labels and the session that only calls say."""
    if not engine.execute(f"SELECT 1 FROM tasks WHERE {_UNSAID} LIMIT 1").fetchall():
        return
    engine.execute(_FIRST_CALLS)
    engine.execute("ALTER VIEW tasks RENAME TO spare_tasks")
    engine.execute(_COMPLETED)
