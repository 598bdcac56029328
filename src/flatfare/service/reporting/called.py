"""Tasks that only calls know: a request named them, and nobody has opened, judged or closed them yet.

Each is open, with the labels and the session of its first call; as soon as anything is told of
it, its own row stands in place of this one.
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


def with_called(engine: "DuckDBPyConnection", ids: Sequence[str] | None = None) -> None:
    """Let the view ``tasks`` hold tasks that are named by calls alone, too; ``ids`` names some."""
    listed = ", ".join(quoted(str(Id(one))) for one in ids or ()) or "NULL"
    engine.execute(_CALLED.format(condition="TRUE" if ids is None else f"task_id IN ({listed})"))
    engine.execute("ALTER VIEW tasks RENAME TO written_tasks")
    engine.execute(_BOTH)
