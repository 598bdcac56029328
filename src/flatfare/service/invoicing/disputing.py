"""Disputes: a customer says that a settled outcome is not right, and somebody else decides on evidence.

The one who decides is another than the one whose verdict is disputed. What is upheld is
reversed, in whichever period that falls.
"""

import json
from dataclasses import dataclass
from uuid import UUID

from flatfare.core.definition import DISPUTE_UPHELD
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.identity import derived
from flatfare.core.moments import iso
from flatfare.core.outcome import Judgement, Settlement
from flatfare.service import recording, selling, telling
from flatfare.service.recording import Teller
from flatfare.store import disputes
from flatfare.store.book import Book
from flatfare.store.disputes import Dispute
from flatfare.store.lake import Lake

OPEN, UPHELD, REJECTED = "open", "upheld", "rejected"


@dataclass(frozen=True, slots=True)
class Reverified:
    """What an independent verifier said of a disputed task."""

    verifier: str
    version: str
    kind: str
    judgement: Judgement
    evidence_hash: str


def open_dispute(
    book: Book, lake: Lake, *, dispute_id: UUID, task_id: str, reason: str, at_us: int, by_whom: str
) -> Dispute:
    """Open a dispute about a task; the same id twice is one. ``NotFound`` for a task nobody knows."""
    known = disputes.one(book, str(dispute_id))
    if known is not None:
        return known
    if not reason.strip():
        raise BadInput("A dispute says what is not right: give a reason.")
    task = telling.find(book, lake, task_id, now_us=at_us)
    standing = [one for one in disputes.of_task(book, task.id) if one.state == OPEN]
    if standing:
        raise Conflict(
            f"Task {task.id} is disputed already: {standing[0].id}, since {iso(standing[0].opened_at_us)}."
        )
    made = Dispute(str(dispute_id), task.id, _customer(book, task.id), reason, OPEN, at_us, by_whom)
    _tell(book, lake, "disputed", made, reason, at_us, by_whom)
    with book.writing():
        disputes.insert(book, made)
    return made


def decide(
    book: Book,
    lake: Lake,
    dispute_id: str,
    *,
    is_upheld: bool,
    reason: str,
    at_us: int,
    by_whom: str,
    reverified: Reverified | None = None,
) -> Dispute:
    """Decide a dispute, once; an upheld one fails the task and reverses its sale.

    ``reverified`` is a verdict by another verifier than those that spoke before; it becomes part of
    the task's chain. To reject without one, or to uphold against its pass, is refused.
    """
    found = one_of(book, dispute_id)
    if found.state != OPEN:
        if found.state == (UPHELD if is_upheld else REJECTED):
            return found
        raise Conflict(f"The dispute {found.id} was {found.state} already.")
    _check(book, lake, found, is_upheld, reverified)
    if reverified is not None:
        _tell_verdict(book, lake, found, reverified, at_us, by_whom)
    if is_upheld:
        _give_back(book, lake, found, reason, at_us, by_whom)
    _tell(book, lake, "dispute_resolved", found, reason, at_us, by_whom)
    evidence = None if reverified is None else json.dumps({"evidence_hash": reverified.evidence_hash})
    with book.writing():
        disputes.decide(book, found.id, UPHELD if is_upheld else REJECTED, reason, at_us, by_whom, evidence)
    return one_of(book, dispute_id)


def one_of(book: Book, dispute_id: str) -> Dispute:
    """The dispute of that id; ``NotFound`` where there is none."""
    found = disputes.one(book, dispute_id)
    if found is None:
        raise NotFound(f"There is no dispute {dispute_id[:40]!r}. Those there are: flatfare disputes list")
    return found


def document_of(book: Book, lake: Lake, dispute: Dispute, *, now_us: int) -> dict[str, object]:
    """The dispute with its evidence: the task's whole story, and the money that moved for it."""
    task = telling.find(book, lake, dispute.task_id, now_us=now_us)
    return {**dispute.as_json(), "story": telling.story(book, lake, task, now_us=now_us)}


def _check(book: Book, lake: Lake, dispute: Dispute, is_upheld: bool, reverified: Reverified | None) -> None:
    if reverified is None:
        if not is_upheld:
            raise BadInput(
                "A dispute is rejected on evidence: give the verdict of a verifier that has not spoken yet."
            )
        return
    task = telling.find(book, lake, dispute.task_id, now_us=dispute.opened_at_us)
    verdicts = telling.story(book, lake, task, now_us=dispute.opened_at_us)["verdicts"]
    assert isinstance(verdicts, list)
    if any(said["verifier"] == reverified.verifier for said in verdicts):
        raise BadInput(
            f"{reverified.verifier!r} has spoken on this task before: an independent verifier is another one."
        )
    if is_upheld is (reverified.judgement is Judgement.PASS):
        raise BadInput(
            f"The independent verifier says {reverified.judgement}: that decides it the other way."
        )


def _give_back(book: Book, lake: Lake, dispute: Dispute, reason: str, at_us: int, by_whom: str) -> None:
    event = {
        "event": "signalled",
        "id": str(derived("dispute upheld", dispute.id)),
        "task": dispute.task_id,
        "at": at_us,
        "name": DISPUTE_UPHELD,
        "source": f"dispute {dispute.id}",
    }
    recording.record(book, lake, [event], Teller(by_whom, source="dispute"), now_us=at_us)
    try:
        sale = selling.sale_of(book, dispute.task_id)
    except NotFound:
        return  # it was never sold
    if sale.settlement is Settlement.SETTLED:
        selling.reverse(
            book,
            task_id=dispute.task_id,
            entry_id=derived("dispute", dispute.id),
            at_us=at_us,
            reason=f"dispute upheld: {reason}",
        )


def _tell(book: Book, lake: Lake, kind: str, dispute: Dispute, reason: str, at_us: int, by_whom: str) -> None:
    event = {
        "event": kind,
        "id": str(derived(kind, dispute.id)),
        "task": dispute.task_id,
        "at": at_us,
        "reason": reason,
    }
    recording.record(book, lake, [event], Teller(by_whom, source="dispute"), now_us=at_us)


def _tell_verdict(
    book: Book, lake: Lake, dispute: Dispute, said: Reverified, at_us: int, by_whom: str
) -> None:
    event = {
        "event": "judged",
        "id": str(derived("reverified", dispute.id)),
        "task": dispute.task_id,
        "at": at_us,
        "verifier": said.verifier,
        "version": said.version,
        "kind": said.kind,
        "judgement": str(said.judgement),
        "evidence_hash": said.evidence_hash,
    }
    done = recording.record(book, lake, [event], Teller(by_whom, source="dispute"), now_us=at_us)
    if done.refused:
        raise BadInput(done.refused[0].reason)


def _customer(book: Book, task_id: str) -> str | None:
    try:
        return selling.sale_of(book, task_id).customer
    except NotFound:
        return None
