"""Batches that were sent through here, until their answers come: whose they are, and what they cost at most.

A provider names a batch by its id, the requests of one by a file, and its answers by another
file: each is kept under the provider's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flatfare.core.moments import DAY_US
from flatfare.store import whereabouts
from flatfare.store.book import Book, Row, Value
from flatfare.store.lake import Lake
from flatfare.store.whereabouts import CLOCKS_US


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it was made: by which call, and whose its answers are."""

    provider: str
    batch_id: str
    call_id: str
    key_id: str | None
    labels: str  # canonical JSON
    session: str | None
    purpose: str
    made_at_us: int
    request_hash: str  # of the body that made it: by which it is found where nobody heard the answer
    task_id: str | None = None  # for which it was made, where its requests' names do not say
    attempt_id: str | None = None


@dataclass(frozen=True, slots=True)
class Requests:
    """What the requests of a batch cost at most, and whether their names say tasks."""

    most_nano: int | None
    reason: str | None  # why that is not known; else how it came about
    names_tasks: bool = False


_MAKING_TAKES_US = DAY_US
"""How long after a batch is planned it may still be on its way to its provider."""

_BATCH = (
    "provider, batch_id, call_id, key_id, labels, session, purpose, made_at_us, request_hash, task_id, "
    "attempt_id"
)


def keep(book: Book, batch: Batch) -> None:
    """Keep a batch; one that is known stays as it is."""
    with book.writing():
        book.execute(
            f"INSERT INTO batches ({_BATCH}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                *(batch.provider, batch.batch_id, batch.call_id, batch.key_id),
                *(batch.labels, batch.session, batch.purpose, batch.made_at_us, batch.request_hash),
                *(batch.task_id, batch.attempt_id),
            ),
        )


def one(book: Book, provider: str, batch_id: str) -> Batch | None:
    """The batch of this id."""
    rows = book.rows(
        f"SELECT {_BATCH} FROM batches WHERE provider = ? AND batch_id = ?", (provider, batch_id)
    )
    return _batch(rows[0]) if rows else None


def of_request(book: Book, request_hash: str) -> Batch | None:
    """The batch that a request with this body has made."""
    rows = book.rows(f"SELECT {_BATCH} FROM batches WHERE request_hash = ?", (request_hash,))
    return _batch(rows[0]) if rows else None


@dataclass(frozen=True, slots=True)
class Making:
    """The call that was to make a batch."""

    id: str
    at_us: int
    labels: str  # canonical JSON


def making_call(book: Book, lake: Lake, mark: str, planned_at_us: int) -> Making | None:
    """The call that was to make the batch that carries a mark in its labels, hot or sealed by now."""
    span = (planned_at_us - CLOCKS_US, planned_at_us + _MAKING_TAKES_US)
    rows = whereabouts.rows(
        book,
        lake,
        "id, at_us, labels, revision",
        "at_us BETWEEN ? AND ? AND endpoint IN ('batches', 'messages.batches') AND labels LIKE ?",
        (*span, f"%{mark}%"),
        [span],
    )
    if not rows:
        return None
    call_id, at_us, labels, _ = max(rows, key=lambda row: int(row[3] or 0))
    return Making(str(call_id), int(at_us or 0), str(labels))


def of_answers(book: Book, provider: str, thing_id: str) -> tuple[Batch | None, bool]:
    """The batch whose answers are in a file of this id, or that has this id itself.

    And whether that holds all its answers: a file of errors holds none that is billed.
    """
    rows = book.rows(
        "SELECT batch_id, has_answers FROM batch_outputs WHERE provider = ? AND file_id = ?",
        (provider, thing_id),
    )
    if not rows:
        return one(book, provider, thing_id), True
    return one(book, provider, str(rows[0][0])), bool(rows[0][1])


def keep_outputs(book: Book, provider: str, batch_id: str, files: Mapping[str, bool]) -> None:
    """Keep which files hold a batch's answers (True) and errors (False)."""
    with book.writing():
        book.execute_many(
            "INSERT INTO batch_outputs (provider, file_id, batch_id, has_answers) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            ((provider, file_id, batch_id, int(has_answers)) for file_id, has_answers in files.items()),
        )


def keep_requests(book: Book, provider: str, file_id: str, requests: Requests, at_us: int) -> None:
    """Keep what the requests in a file come to."""
    with book.writing():
        book.execute(
            "INSERT INTO batch_requests (provider, file_id, most_nano, reason, names_tasks, made_at_us) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                *(provider, file_id, requests.most_nano, requests.reason),
                *(int(requests.names_tasks), at_us),
            ),
        )


def requests_of(book: Book, provider: str, file_id: str) -> Requests | None:
    """What the requests in a file come to."""
    rows = book.rows(
        "SELECT most_nano, reason, names_tasks FROM batch_requests WHERE provider = ? AND file_id = ?",
        (provider, file_id),
    )
    if not rows:
        return None
    most, reason, names_tasks = rows[0]
    return Requests(
        None if most is None else int(str(most)),
        None if reason is None else str(reason),
        bool(names_tasks),
    )


def _batch(row: Row) -> Batch:
    provider, batch_id, call_id, key_id, labels, session, purpose, made_at_us, request_hash, task, attempt = (
        row
    )
    return Batch(
        provider=str(provider),
        batch_id=str(batch_id),
        call_id=str(call_id),
        key_id=_text(key_id),
        labels=str(labels),
        session=_text(session),
        purpose=str(purpose),
        made_at_us=int(str(made_at_us)),
        request_hash=str(request_hash),
        task_id=_text(task),
        attempt_id=_text(attempt),
    )


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
