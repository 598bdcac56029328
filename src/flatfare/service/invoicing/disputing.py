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
from flatfare.service import selling
from flatfare.service.tasks import recording, telling
from flatfare.service.tasks.recording import Teller
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
    made = Dispute(str(dispute_id), task.id, _customer(book, task.id), reason, OPEN, at_us, by_whom)
    with book.writing():
        known = disputes.one(book, made.id)
        if known is not None:
            return known
        standing = [one for one in disputes.of_task(book, task.id) if one.state == OPEN]
        if standing:
            raise Conflict(
                f"Task {task.id} is disputed already: {standing[0].id}, since "
                f"{iso(standing[0].opened_at_us)}."
            )
        _tell(book, lake, [_said("disputed", made, reason, at_us)], at_us, by_whom)
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
    the task's chain. To reject without one, or to uphold against its pass, is refused. What is told
    of the task and the decision stand together or not at all; should it end before the sale is
    reversed, the bookkeeper reverses it, since its task has turned.
    """
    with book.writing():
        found = one_of(book, dispute_id)
        if found.state == OPEN:
            _check(book, lake, found, is_upheld, reverified)
            at_us = max(at_us, found.opened_at_us)
            events = [_said("dispute_resolved", found, reason, at_us)]
            if is_upheld:
                events.insert(0, _upheld(found, at_us))
            if reverified is not None:
                events.insert(0, _verdict(found, reverified, at_us))
            _tell(book, lake, events, at_us, by_whom)
            evidence = None if reverified is None else json.dumps({"evidence_hash": reverified.evidence_hash})
            state = UPHELD if is_upheld else REJECTED
            disputes.decide(book, found.id, state, reason, at_us, by_whom, evidence)
        elif found.state != (UPHELD if is_upheld else REJECTED):
            raise Conflict(f"The dispute {found.id} was {found.state} already.")
        found = one_of(book, dispute_id)
    if is_upheld:
        _give_back(book, found, at_us)
    return found


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
    verdicts = recording.known_of(book, lake, [dispute.task_id])[dispute.task_id].verdicts
    if any(said["verifier"] == reverified.verifier for said in verdicts):
        raise BadInput(
            f"{reverified.verifier!r} has spoken on this task before: an independent verifier is another one."
        )
    if is_upheld is (reverified.judgement is Judgement.PASS):
        raise BadInput(
            f"The independent verifier says {reverified.judgement}: that decides it the other way."
        )


def _give_back(book: Book, dispute: Dispute, at_us: int) -> None:
    try:
        if selling.sale_of(book, dispute.task_id).settlement is not Settlement.SETTLED:
            return
        selling.reverse(
            book,
            task_id=dispute.task_id,
            entry_id=derived("dispute", dispute.id),
            at_us=at_us,
            reason=f"dispute upheld: {dispute.decision}",
        )
    except NotFound:
        return  # it was never sold
    except Conflict:  # the bookkeeper, who follows turned tasks, may have been faster
        if selling.sale_of(book, dispute.task_id).settlement is Settlement.SETTLED:
            raise


def _tell(book: Book, lake: Lake, events: list[dict[str, object]], at_us: int, by_whom: str) -> None:
    teller = Teller(by_whom, source=recording.DISPUTES)
    recording.record_open(book, lake, events, teller, now_us=at_us)


def _said(kind: str, dispute: Dispute, reason: str, at_us: int) -> dict[str, object]:
    return {
        "event": kind,
        "id": str(derived(kind, dispute.id)),
        "task": dispute.task_id,
        "at": at_us,
        "reason": reason,
    }


def _upheld(dispute: Dispute, at_us: int) -> dict[str, object]:
    return {
        "event": "signalled",
        "id": str(derived("dispute upheld", dispute.id)),
        "task": dispute.task_id,
        "at": at_us,
        "name": DISPUTE_UPHELD,
        "source": f"dispute {dispute.id}",
    }


def _verdict(dispute: Dispute, said: Reverified, at_us: int) -> dict[str, object]:
    return {
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


def _customer(book: Book, task_id: str) -> str | None:
    try:
        return selling.sale_of(book, task_id).customer
    except NotFound:
        return None
