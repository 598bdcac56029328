"""Attempts that a source only counts: so many tries at a task, the last of which is the one it tells of.

A task of one try needs no row; what recorded attempts there are stay as they are.
"""

from flatfare.core.identity import derived
from flatfare.service.importing.landing import Landing
from flatfare.service.importing.reading import Readable
from flatfare.store.book import Book, Row

ATTEMPTS_MAX = 10_000
"""More tries at one task than that are a figure in the wrong column."""


def too_many() -> str:
    """What is wrong with a row's count of attempts, in SQL; null where nothing is."""
    return (
        f"CASE WHEN attempts > {ATTEMPTS_MAX} THEN 'Found ' || attempts || ' attempts at one task: "
        f"at most {ATTEMPTS_MAX} are taken.' END"
    )


def land_attempts(file: Readable, landing: Landing, kept: str) -> None:
    """Have the attempts of these tasks written in the landing's own transaction."""
    if not file.mapping.has("attempts"):
        return
    counted = file.engine.execute(
        f"SELECT CAST(id AS VARCHAR), attempts, path, outcome, opened_at_us, closed_at_us FROM {kept} "
        "WHERE attempts > 1"
    ).fetchall()
    if counted:
        landing.writes.append(lambda book: _write(book, counted))


def _write(book: Book, counted: list[Row]) -> None:
    told = {str(task_id) for (task_id,) in book.rows("SELECT DISTINCT task_id FROM attempts")}
    for task_id, tries, path, outcome, opened_at_us, closed_at_us in counted:
        if str(task_id) in told:
            continue
        last = int(str(tries))
        book.execute_many(
            "INSERT INTO attempts (id, task_id, number, path, rung, status, started_at_us, ended_at_us) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    str(derived("attempt", str(task_id), str(number))),
                    str(task_id),
                    number,
                    path,
                    None,
                    "failed" if number < last or outcome == "failed" else "ok",
                    opened_at_us,
                    closed_at_us if number == last else None,
                )
                for number in range(1, last + 1)
            ),
        )
