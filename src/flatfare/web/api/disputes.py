"""Disputes over HTTP: opened, and decided on the evidence of somebody who has not spoken before."""

from uuid import UUID

import msgspec

from flatfare.core.errors import BadInput
from flatfare.core.outcome import Judgement
from flatfare.service.invoicing import disputing
from flatfare.service.invoicing.disputing import Reverified
from flatfare.service.tasks.events import evidence_hash
from flatfare.store import disputes as kept_disputes
from flatfare.web.access import Right
from flatfare.web.endpoint import Asked, Endpoint


class Disputing(msgspec.Struct, forbid_unknown_fields=True):
    """What is not right about a task."""

    id: UUID
    task: str
    reason: str


class Deciding(msgspec.Struct, forbid_unknown_fields=True):
    """How a dispute is decided, and who looked anew at what."""

    is_upheld: bool
    reason: str
    verifier: str | None = None
    version: str = "1"
    kind: str = "human"
    evidence: str | None = None


class DisputesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """In which state; in all if none is named."""

    state: str | None = None


def _disputes(asked: Asked) -> object:
    query: DisputesQuery = asked.query
    return {"disputes": [one.as_json() for one in kept_disputes.listed(asked.books.book, query.state)]}


def _dispute(asked: Asked) -> object:
    given: Disputing = asked.body
    made = disputing.open_dispute(
        asked.books.book,
        asked.books.lake,
        dispute_id=given.id,
        task_id=given.task,
        reason=given.reason,
        at_us=asked.books.now_us,
        by_whom=asked.visitor.name,
    )
    return made.as_json()


def _decide(asked: Asked) -> object:
    given: Deciding = asked.body
    looked = None
    if given.verifier is not None:
        if given.evidence is None:
            raise BadInput("A verdict has evidence: give what was looked at as 'evidence'; it is hashed.")
        said = Judgement.FAIL if given.is_upheld else Judgement.PASS
        looked = Reverified(given.verifier, given.version, given.kind, said, evidence_hash(given.evidence))
    found = disputing.decide(
        asked.books.book,
        asked.books.lake,
        asked.path["dispute"],
        is_upheld=given.is_upheld,
        reason=given.reason,
        at_us=asked.books.now_us,
        by_whom=asked.visitor.name,
        reverified=looked,
    )
    return found.as_json()


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/disputes",
        "list_disputes",
        "Disputes, the newest first",
        Right.READ,
        _disputes,
        query=DisputesQuery,
    ),
    Endpoint(
        "POST",
        "/api/disputes",
        "open_dispute",
        "Say that a task's outcome is not right; the same id twice is one",
        Right.BILL,
        _dispute,
        takes=Disputing,
        writes=True,
        status=201,
    ),
    Endpoint(
        "POST",
        "/api/disputes/{dispute}/decision",
        "decide_dispute",
        "Decide a dispute on the evidence of a verifier that has not spoken before",
        Right.BILL,
        _decide,
        takes=Deciding,
        writes=True,
    ),
)
