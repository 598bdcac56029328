"""Reviews as the book keeps them: what is to be judged by people, who has it before them, what they said.

A place is leased to one reviewer for a time; nobody holds a place, or answers, twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flatfare.core.outcome import Judgement
from flatfare.store.book import Book, Row, Value

_REVIEW = (
    "id, task_id, attempt_number, name, verifier, verifier_version, question, link, content, content_hash, "
    "content_until_us, wanted, rate_nano_per_hour, plan, asked_by, opened_at_us, due_at_us, decided_at_us, "
    "judgement, recorded_at_us, withdrawn_at_us, labels"
)
_ANSWER = "review_id, reviewer, judgement, reason, minutes_milli, is_further, at_us"
_OPEN = "decided_at_us IS NULL AND withdrawn_at_us IS NULL"
_ANSWERS = "(SELECT COUNT(*) FROM review_answers AS a WHERE a.review_id = r.id)"


@dataclass(frozen=True, slots=True)
class Review:
    """One attempt at a task that people are to judge."""

    id: str
    task_id: str
    name: str  # the kind of work
    verifier: str
    verifier_version: str
    question: str
    wanted: int  # reviewers, each of whom sees nothing of the others
    asked_by: str
    opened_at_us: int
    attempt_number: int | None = None
    link: str | None = None  # where the work can be seen
    content: str | None = None  # what is to be judged, sealed where there is a key; erased once decided
    content_hash: str | None = None
    content_until_us: int | None = None
    rate_nano_per_hour: int | None = None
    plan: str | None = None  # the sampling plan that drew it
    due_at_us: int | None = None
    decided_at_us: int | None = None
    judgement: Judgement | None = None
    recorded_at_us: int | None = None  # when its verdict was
    withdrawn_at_us: int | None = None
    labels: str = "{}"  # of the task, canonical JSON: whose it is

    @property
    def state(self) -> str:
        """Open, decided or withdrawn."""
        if self.withdrawn_at_us is not None:
            return "withdrawn"
        return "open" if self.decided_at_us is None else "decided"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one reviewer said."""

    review_id: str
    reviewer: str
    judgement: Judgement
    reason: str | None
    minutes_milli: int | None
    is_further: bool  # asked because those before disagreed
    at_us: int


def insert(book: Book, review: Review) -> bool:
    """Write a review, in the transaction that is open; False where one of that id is there."""
    return bool(
        book.execute(
            f"INSERT INTO reviews ({_REVIEW}) VALUES ({', '.join('?' * 22)}) ON CONFLICT DO NOTHING",
            (
                review.id,
                review.task_id,
                review.attempt_number,
                review.name,
                review.verifier,
                review.verifier_version,
                review.question,
                review.link,
                review.content,
                review.content_hash,
                review.content_until_us,
                review.wanted,
                review.rate_nano_per_hour,
                review.plan,
                review.asked_by,
                review.opened_at_us,
                review.due_at_us,
                review.decided_at_us,
                review.judgement,
                review.recorded_at_us,
                review.withdrawn_at_us,
                review.labels,
            ),
        )
    )


def find(book: Book, review_id: str) -> Review | None:
    """The review of that id."""
    rows = book.rows(f"SELECT {_REVIEW} FROM reviews WHERE id = ?", (review_id,))
    return _review(rows[0]) if rows else None


def listed(
    book: Book,
    *,
    state: str | None = None,
    name: str | None = None,
    task_id: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
    limit: int = 1000,
) -> list[Review]:
    """Reviews by when they were opened, the newest first; ``state`` is open, decided or withdrawn."""
    wheres, values = ["1 = 1"], list[Value]()
    states = {
        "open": _OPEN,
        "decided": "decided_at_us IS NOT NULL AND withdrawn_at_us IS NULL",
        "withdrawn": "withdrawn_at_us IS NOT NULL",
    }
    if state is not None:
        wheres.append(states[state])
    for clause, value in (
        ("name = ?", name),
        ("task_id = ?", task_id),
        ("opened_at_us >= ?", since_us),
        ("opened_at_us < ?", until_us),
    ):
        if value is not None:
            wheres.append(clause)
            values.append(value)
    rows = book.rows(
        f"SELECT {_REVIEW} FROM reviews WHERE {' AND '.join(wheres)} ORDER BY opened_at_us DESC, id LIMIT ?",
        (*values, limit),
    )
    return [_review(row) for row in rows]


def answers_of(book: Book, review_ids: Iterable[str]) -> dict[str, list[Answer]]:
    """What was said, by review, in the order in which it was said."""
    found: dict[str, list[Answer]] = {}
    wanted = list(review_ids)
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        marks = ", ".join("?" * len(some))
        for row in book.rows(
            f"SELECT {_ANSWER} FROM review_answers WHERE review_id IN ({marks}) ORDER BY at_us, reviewer",
            some,
        ):
            answer = _answer(row)
            found.setdefault(answer.review_id, []).append(answer)
    return found


def add_answer(book: Book, answer: Answer) -> None:
    """Write what a reviewer said, whose place is free then; in the transaction that is open."""
    book.execute(
        f"INSERT INTO review_answers ({_ANSWER}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            answer.review_id,
            answer.reviewer,
            answer.judgement,
            answer.reason,
            answer.minutes_milli,
            int(answer.is_further),
            answer.at_us,
        ),
    )
    release(book, answer.review_id, answer.reviewer)


def held_by(book: Book, reviewer: str, now_us: int) -> Review | None:
    """The open review that this reviewer has before them."""
    rows = book.rows(
        f"SELECT {_prefixed(_REVIEW)} FROM reviews AS r JOIN review_leases AS l ON l.review_id = r.id "
        f"WHERE l.reviewer = ? AND l.until_us > ? AND {_OPEN} ORDER BY l.from_us, r.id LIMIT 1",
        (reviewer, now_us),
    )
    return _review(rows[0]) if rows else None


def waiting_for(book: Book, reviewer: str, now_us: int, name: str | None = None) -> Iterator[Review]:
    """Open reviews with a place for another reviewer, which this one has not judged, in their order."""
    batches = book.stream(
        f"SELECT {_REVIEW} FROM reviews AS r WHERE {_OPEN} "
        "AND (CAST(? AS TEXT) IS NULL OR name = ?) AND NOT EXISTS "
        "(SELECT 1 FROM review_answers AS own WHERE own.review_id = r.id AND own.reviewer = ?) "
        f"AND {_ANSWERS} + (SELECT COUNT(*) FROM review_leases AS l WHERE l.review_id = r.id "
        "AND l.until_us > ? AND l.reviewer <> ?) "
        f"< CASE WHEN {_ANSWERS} < wanted THEN wanted ELSE wanted + 1 END "
        "ORDER BY CASE WHEN due_at_us IS NULL THEN 1 ELSE 0 END, due_at_us, "
        f"{_ANSWERS} DESC, opened_at_us, id",
        (name, name, reviewer, now_us, reviewer),
        100,
    )
    for batch in batches:
        yield from map(_review, batch)


def lease(book: Book, review_id: str, reviewer: str, from_us: int, until_us: int) -> None:
    """Give a reviewer a place, or hold it for longer; in the transaction that is open."""
    book.execute(
        "INSERT INTO review_leases (review_id, reviewer, from_us, until_us) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (review_id, reviewer) DO UPDATE SET until_us = excluded.until_us",
        (review_id, reviewer, from_us, until_us),
    )


def leases_of(book: Book, review_id: str) -> dict[str, int]:
    """Until when each place is held, by reviewer; ended ones too."""
    rows = book.rows("SELECT reviewer, until_us FROM review_leases WHERE review_id = ?", (review_id,))
    return {str(reviewer): int(until_us or 0) for reviewer, until_us in rows}


def release(book: Book, review_id: str, reviewer: str) -> int:
    """Give a place back; how many were held."""
    return book.execute(
        "DELETE FROM review_leases WHERE review_id = ? AND reviewer = ?", (review_id, reviewer)
    )


def set_decided(book: Book, review_id: str, judgement: Judgement, at_us: int) -> None:
    """The reviewers add up to this; what they judged is erased."""
    book.execute(
        "UPDATE reviews SET decided_at_us = ?, judgement = ?, content = NULL WHERE id = ?",
        (at_us, judgement, review_id),
    )
    book.execute("DELETE FROM review_leases WHERE review_id = ?", (review_id,))


def set_recorded(book: Book, review_id: str, at_us: int) -> None:
    """Its verdict is on record."""
    book.execute("UPDATE reviews SET recorded_at_us = ? WHERE id = ?", (at_us, review_id))


def set_withdrawn(book: Book, review_id: str, at_us: int) -> int:
    """Nobody is asked any more, and what was to be judged is erased; 0 where it was not open."""
    return book.execute(
        f"UPDATE reviews SET withdrawn_at_us = ?, content = NULL WHERE id = ? AND {_OPEN}", (at_us, review_id)
    )


def not_recorded(book: Book) -> list[Review]:
    """Decided reviews whose verdict is not on record yet."""
    rows = book.rows(
        f"SELECT {_REVIEW} FROM reviews WHERE decided_at_us IS NOT NULL AND recorded_at_us IS NULL "
        "ORDER BY decided_at_us, id"
    )
    return [_review(row) for row in rows]


def expire(book: Book, now_us: int) -> int:
    """Withdraw open reviews whose content has expired, and erase it; how many there were."""
    return book.execute(
        f"UPDATE reviews SET withdrawn_at_us = ?, content = NULL WHERE {_OPEN} AND content_until_us <= ?",
        (now_us, now_us),
    )


def count_expired(book: Book, now_us: int) -> int:
    """Open reviews whose content has expired."""
    found = book.value(f"SELECT COUNT(*) FROM reviews WHERE {_OPEN} AND content_until_us <= ?", (now_us,))
    return int(found or 0)


def not_judged_by(book: Book, reviewer: str, name: str | None = None) -> list[str]:
    """The labels of each open review that this reviewer has not judged."""
    rows = book.rows(
        f"SELECT labels FROM reviews AS r WHERE {_OPEN} AND (CAST(? AS TEXT) IS NULL OR name = ?) "
        "AND NOT EXISTS (SELECT 1 FROM review_answers AS a WHERE a.review_id = r.id AND a.reviewer = ?)",
        (name, name, reviewer),
    )
    return [str(labels) for (labels,) in rows]


def _prefixed(columns: str) -> str:
    return ", ".join(f"r.{column}" for column in columns.split(", "))


def _review(row: Row) -> Review:
    return Review(
        id=str(row[0]),
        task_id=str(row[1]),
        attempt_number=_whole(row[2]),
        name=str(row[3]),
        verifier=str(row[4]),
        verifier_version=str(row[5]),
        question=str(row[6]),
        link=_text(row[7]),
        content=_text(row[8]),
        content_hash=_text(row[9]),
        content_until_us=_whole(row[10]),
        wanted=int(row[11] or 0),
        rate_nano_per_hour=_whole(row[12]),
        plan=_text(row[13]),
        asked_by=str(row[14]),
        opened_at_us=int(row[15] or 0),
        due_at_us=_whole(row[16]),
        decided_at_us=_whole(row[17]),
        judgement=None if row[18] is None else Judgement(str(row[18])),
        recorded_at_us=_whole(row[19]),
        withdrawn_at_us=_whole(row[20]),
        labels=str(row[21]),
    )


def _answer(row: Row) -> Answer:
    return Answer(
        review_id=str(row[0]),
        reviewer=str(row[1]),
        judgement=Judgement(str(row[2])),
        reason=_text(row[3]),
        minutes_milli=_whole(row[4]),
        is_further=bool(row[5]),
        at_us=int(row[6] or 0),
    )


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def _whole(value: Value) -> int | None:
    return None if value is None else int(value)
