"""Paths of tasks that named none: the models that their calls for work went to.

A path that was told always stands; this one is read off the calls each time, and kept nowhere. In which
order the models were meant to be tried no call says: they stand by their names.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SEPARATOR = " + "

_UNNAMED = "SELECT 1 FROM tasks WHERE path IS NULL LIMIT 1"
_CALLED = f"""CREATE TEMP TABLE called_paths AS
    SELECT task_id, string_agg(model, '{SEPARATOR}' ORDER BY model) AS path FROM (
        SELECT task_id, model FROM folded
        WHERE purpose = 'work' AND model IS NOT NULL
          AND task_id IN (SELECT id FROM tasks WHERE path IS NULL)
        GROUP BY task_id, model HAVING sum(n) > 0)
    GROUP BY task_id"""
_NAMED = """CREATE TEMP VIEW tasks AS
    SELECT told_tasks.* REPLACE (coalesce(told_tasks.path, called_paths.path) AS path)
    FROM told_tasks LEFT JOIN called_paths ON called_paths.task_id = told_tasks.id"""


def name_by_models(engine: "DuckDBPyConnection") -> None:
    """Let the view ``tasks`` say the models of a task's calls where it names no path."""
    is_done = engine.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'told_tasks'").fetchall()
    if is_done or not engine.execute(_UNNAMED).fetchall():
        return
    engine.execute(_CALLED)
    engine.execute("ALTER VIEW tasks RENAME TO told_tasks")
    engine.execute(_NAMED)
