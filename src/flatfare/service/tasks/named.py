"""What tasks are called by those who opened them: the name beside the id, in the book or sealed."""

from collections.abc import Sequence

from flatfare.service.tasks.in_lake import in_lake
from flatfare.store import tasks
from flatfare.store.book import Book
from flatfare.store.lake import Lake


def names_of(book: Book, lake: Lake, task_ids: Sequence[str]) -> dict[str, str]:
    """The names of these tasks by their ids; those that were given none, or are not known, are left out."""
    rows = tasks.rows_of(book, task_ids)
    names = {task: str(row["external_id"]) for task, row in rows.items() if row["external_id"]}
    missing = [one for one in dict.fromkeys(task_ids) if one not in rows]
    for task, lying in in_lake(book, lake, missing, missing).items() if missing else ():
        row = lying.sealed or lying.imported
        if row is not None and row["external_id"]:
            names[task] = str(row["external_id"])
    return names
