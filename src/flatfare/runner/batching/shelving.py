"""What a job of batches asks of the book: what calls cost, what may be used again, and with which key."""

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flatfare.core import identity
from flatfare.core.cost import CostState
from flatfare.core.errors import FlatfareError
from flatfare.core.identity import time_ordered
from flatfare.core.moments import DAY_US
from flatfare.gateway.rows import told_change
from flatfare.gateway.tap import nothing
from flatfare.runner import telling
from flatfare.runner.batching.log import Sent
from flatfare.runner.books import Shelf
from flatfare.runner.gate import KEY_VARIABLE, Gate
from flatfare.service.access import keys
from flatfare.service.access.keys import Terms
from flatfare.store import adjustments, batches, made_things, newest, runs
from flatfare.store.adjustments import Correction
from flatfare.store.batches import Batch

KEY_NAME = "action-batches"
KEY_LIVES_US = 30 * DAY_US
"""Providers keep the answers of a batch for about so long."""


@dataclass(frozen=True, slots=True)
class Run:
    """Of the run that a task is of: all its tasks, and its attempts that have come to an end."""

    task_ids: frozenset[str]
    ended: frozenset[str]


def run_of(shelf: Shelf, task_id: str) -> Run:
    """The run of a task; attempts that were cut short have not come to an end."""
    run = runs.of_task(shelf.book, task_id)
    if run is None:
        return Run(frozenset((task_id,)), frozenset())
    names = (telling.task_name(run.id, take) for take in range(1, run.take + 1))
    ended = (
        telling.attempt_id(run, one.number)
        for one in runs.attempts_of(shelf.book, run.id)
        if one.take == run.take and one.ending not in (None, "interrupted")
    )
    return Run(frozenset(str(identity.task_id(run.project, name)) for name in names), frozenset(ended))


def costs_of(shelf: Shelf, call_ids: Iterable[str], sent_at_us: int) -> Mapping[str, int | None]:
    """What the answers of a batch were booked with; those that are not booked yet are left out."""
    found = newest.present(shelf.book, shelf.lake, dict.fromkeys(call_ids, sent_at_us))
    return {
        call_id: None if row["cost_nano"] is None else int(str(row["cost_nano"]))
        for call_id, row in found.items()
    }


def take_key(shelf: Shelf, gate: Gate, known: str | None, now_us: int) -> str | None:
    """Have the key that earlier batches of the job were made with, or a new one; its id where it is ours."""
    if gate.key is None:
        gate.key = os.environ.get(KEY_VARIABLE)
    if gate.key is not None or not keys.listed(shelf.book, at_us=now_us):
        return None
    reason = "an action calls models in batches with it"
    if known is not None:
        try:
            made = keys.rotate(
                shelf.book, known, overlap_us=0, at_us=now_us, by_whom=KEY_NAME, reason="the job goes on"
            )
        except FlatfareError:  # it has expired, or somebody revoked it
            made = None
        if made is not None and (made.key.expires_at_us or 0) > now_us:
            gate.key = made.secret
            return made.key.id
    terms = Terms(f"{KEY_NAME}-{secrets.token_hex(4)}", expires_at_us=now_us + KEY_LIVES_US)
    created = keys.create(shelf.book, terms, at_us=now_us, by_whom=KEY_NAME, reason=reason)
    gate.key = created.secret
    return created.key.id


def give_up_key(shelf: Shelf, key_id: str, now_us: int) -> None:
    """Revoke the job's key: every answer is here."""
    keys.revoke(shelf.book, key_id, at_us=now_us, by_whom=KEY_NAME, reason="the job is done")


def made_by(shelf: Shelf, request_hash: str) -> Batch | None:
    """The batch that a request has made, as the gateway heard it."""
    return batches.of_request(shelf.book, request_hash)


def adopt(shelf: Shelf, provider: str, sent: Sent, batch_id: str, key_id: str | None) -> str | None:
    """Keep a batch whose making nobody heard of: the id of the call that made it; None if it is another's."""
    known = batches.one(shelf.book, provider, batch_id)
    if known is not None:
        return known.call_id if known.request_hash == sent.request_hash else None
    making = batches.making_call(shelf.book, shelf.lake, sent.id, sent.at_us)
    fallback = str(time_ordered(sent.at_us, identity.Id(sent.id).bytes[:10]))
    call_id, made_at_us, labels = (
        (making.id, making.at_us, making.labels) if making else (fallback, sent.at_us, "{}")
    )
    batches.keep(
        shelf.book,
        Batch(provider, batch_id, call_id, key_id, labels, None, "work", made_at_us, sent.request_hash or ""),
    )
    if key_id is not None:
        made_things.insert(shelf.book, [(provider, batch_id, key_id, made_at_us)])
    return call_id


def not_made(shelf: Shelf, sent: Sent, now_us: int) -> None:
    """The provider knows no such batch: the call that was to make it, and nobody saw end, cost nothing."""
    making = batches.making_call(shelf.book, shelf.lake, sent.id, sent.at_us)
    if making is None:
        return
    change = told_change(nothing("its provider lists no such batch"))
    corrections = [
        Correction(call, change)
        for call in newest.present(shelf.book, shelf.lake, {making.id: making.at_us}).values()
        if call["cost_state"] != CostState.MEASURED
    ]
    with shelf.book.writing():
        adjustments.write(
            shelf.book,
            corrections,
            kind="result",
            reason="the provider was asked, and lists no such batch",
            by_whom=KEY_NAME,
            at_us=now_us,
        )
