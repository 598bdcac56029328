"""What a job of batches finds in the books, also where it comes back long after: sealed by then."""

import uuid
from pathlib import Path

import pytest

from flatfare.core.identity import time_ordered
from flatfare.runner.batching import shelving
from flatfare.runner.batching.log import Sent
from flatfare.runner.books import Shelf
from flatfare.store import batches, newest, sealing
from tests.store.rows import MINUTE_US, NOON_US, call, place, write

SENT = Sent(str(time_ordered(NOON_US, bytes(10))), "/v1", "openai", NOON_US, request_hash="h" * 64)
MAKING = str(uuid.UUID(int=1))


def shelf_with_its_making(folder: Path, *, is_sealed: bool) -> Shelf:
    """Books with the call that was to make the batch, whose end nobody saw, and another's."""
    book, lake = place(folder)
    labels = '{"batch":"%s","team":"search"}'
    unseen = {"cost_nano": None, "cost_state": "unknown", "cost_reason": "nobody saw its end"}
    making = {"at_us": NOON_US + MINUTE_US, "endpoint": "batches", "status": "cancelled", **unseen}
    other = {**making, "labels": labels % time_ordered(NOON_US + 1, bytes(10))}
    write(book, [call(0, **{**making, "labels": labels % SENT.id}), call(1, **other)])
    if is_sealed:
        assert sealing.seal_calls(book, lake, before_us=NOON_US * 2, now_us=NOON_US * 2) == 2
    return Shelf(book, lake)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_batch_that_is_found_again_is_of_the_call_that_made_it_and_has_its_labels(
    tmp_path: Path, is_sealed: bool
) -> None:
    shelf = shelf_with_its_making(tmp_path, is_sealed=is_sealed)
    assert shelving.adopt(shelf, "openai", SENT, "batch_7", None) == MAKING
    kept = batches.one(shelf.book, "openai", "batch_7")
    assert kept is not None
    assert (kept.call_id, kept.made_at_us) == (MAKING, NOON_US + MINUTE_US)
    assert '"team":"search"' in kept.labels


@pytest.mark.parametrize("is_sealed", [False, True])
def test_of_a_batch_that_its_provider_does_not_know_the_making_cost_nothing(
    tmp_path: Path, is_sealed: bool
) -> None:
    shelf = shelf_with_its_making(tmp_path, is_sealed=is_sealed)
    shelving.not_made(shelf, SENT, NOON_US * 2)
    other = str(uuid.UUID(int=2))
    found = newest.present(shelf.book, shelf.lake, dict.fromkeys((MAKING, other), NOON_US))
    assert {name: found[name]["cost_nano"] for name in (MAKING, other)} == {MAKING: 0, other: None}
