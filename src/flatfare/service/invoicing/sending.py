"""Sending sales to another billing system: each event is counted there once, however often it is asked for.

Receivers heed an event's id for a while only: what one has taken is written down here for good, and is
not sent to it again.
"""

import http.client
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit

from flatfare.core.errors import BadUsage, StoreFailure
from flatfare.core.moments import HOUR_US
from flatfare.service.invoicing.exporting import PATHS, Format, body_of, id_of
from flatfare.store import exports
from flatfare.store.book import Book
from flatfare.store.exports import Sent

TIMEOUT_S = 30

KNOWN_US: Mapping[Format, int] = {Format.STRIPE: 23 * HOUR_US}
"""How long an id is sure to be known after it was first sent; the others deduplicate by id without an end.

Stripe: "uniqueness within a rolling period of at least 24 hours" (docs.stripe.com/api/billing/meter-event,
read 2026-11-21); an hour is left for clocks and for what is under way.
"""

_TAKEN_BEFORE: Mapping[Format, tuple[int, re.Pattern[str]]] = {
    Format.STRIPE: (400, re.compile("event already exists with identifier", re.IGNORECASE)),
    Format.LAGO: (422, re.compile(r"transaction_id[^}]*value_already_exist")),
}
"""How a receiver refuses an event that it has counted: status and words, read 2026-11-21 (Stripe's in
langfuse/langfuse#16292; Lago's at getlago.com/docs, events)."""

_UNSURE = frozenset({408, 409})
"""Of what is refused: it may have been counted all the same."""

_TEST_SECRET = re.compile(r"[a-z]+_test_")


@dataclass(frozen=True, slots=True)
class Receiver:
    """A billing system: its address, the secret it asks for, and a name where one address serves several."""

    form: Format
    url: str
    secret: str
    name: str = ""

    def __post_init__(self) -> None:
        place = urlsplit(self.url)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise BadUsage(f"Found the address {self.url!r}: write it like https://api.stripe.com.")

    @property
    def id(self) -> str:
        """What the book remembers it by. Stripe's test mode counts for itself, and so is another one."""
        place = urlsplit(self.url)
        is_test = self.form is Format.STRIPE and _TEST_SECRET.match(self.secret)
        parts = (
            str(self.form),
            f"{place.scheme}://{place.netloc.rpartition('@')[2]}{place.path.rstrip('/')}",
            "test" if is_test else "",
            self.name,
        )
        return " ".join(part for part in parts if part)


@dataclass(slots=True)
class Delivery:
    """What became of the events that were to be sent."""

    taken: int = 0
    before: int = 0  # had been taken by then
    unanswered: list[str] = field(default_factory=list)  # sent so long ago that the receiver forgot their ids


def send(
    book: Book,
    found: Iterable[Mapping[str, object]],
    receiver: Receiver,
    *,
    now_us: Callable[[], int],
    unanswered: str | None = None,
) -> Delivery:
    """Post each event that the receiver has not taken yet. ``StoreFailure`` names the first it refused.

    What was sent and not answered is sent again while its id is known there. After that nobody can say
    here whether it counts: it is left out and named, or, as ``unanswered`` says, sent once more (``send``)
    or held to be taken (``taken``).
    """
    by_id = {id_of(event): event for event in found}
    former = exports.sent(book, receiver.id, list(by_id))
    delivery = Delivery()
    with _Wire(receiver) as wire:
        for event_id, event in by_id.items():
            before = former.get(event_id)
            is_forgotten = _is_forgotten(before, receiver.form, now_us())
            if before is not None and before.taken_at_us is not None:
                delivery.before += 1
            elif is_forgotten and unanswered == "taken":
                _note(book, exports.take, receiver.id, event_id, now_us())
                delivery.before += 1
            elif is_forgotten and unanswered is None:
                delivery.unanswered.append(event_id)
            else:
                _deliver(book, wire, event_id, event, now_us, delivery)
    return delivery


def _is_forgotten(before: Sent | None, form: Format, now_us: int) -> bool:
    known_us = KNOWN_US.get(form)
    return before is not None and known_us is not None and now_us - before.begun_at_us >= known_us


def _deliver(
    book: Book,
    wire: "_Wire",
    event_id: str,
    event: Mapping[str, object],
    now_us: Callable[[], int],
    delivery: Delivery,
) -> None:
    """Send one event, with what is known of it written down before and after."""
    receiver = wire.receiver
    _note(book, exports.begin, receiver.id, event_id, now_us())
    try:
        status, said = wire.post(event_id, event)
    except (OSError, http.client.HTTPException) as problem:
        host = urlsplit(receiver.url).hostname
        raise StoreFailure(
            f"{host} cannot be reached: {problem}. {delivery.taken} were taken, and are not sent again: ask "
            "for the same once more."
        ) from problem
    if status >= 300 and not _is_taken_before(receiver.form, status, said):
        if 400 <= status < 500 and status not in _UNSURE:
            with book.writing():
                exports.refuse(book, receiver.id, event_id)
        raise StoreFailure(
            f"{urlsplit(receiver.url).hostname} answered {status} to the event {event_id}, after "
            f"{delivery.taken} were taken: {said[:300]}"
        )
    _note(book, exports.take, receiver.id, event_id, now_us())
    delivery.taken += 1


def _is_taken_before(form: Format, status: int, said: str) -> bool:
    refusal = _TAKEN_BEFORE.get(form)
    return refusal is not None and status == refusal[0] and refusal[1].search(said) is not None


def _note(
    book: Book, what: Callable[[Book, str, str, int], None], receiver: str, event_id: str, at_us: int
) -> None:
    with book.writing():
        what(book, receiver, event_id, at_us)


class _Wire:
    """A connection to a receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        place = urlsplit(receiver.url)
        secure = place.scheme == "https"
        maker = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = maker(str(place.hostname), place.port, timeout=TIMEOUT_S)
        self._path = place.path.rstrip("/") + PATHS[receiver.form]

    def __enter__(self) -> "_Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def post(self, event_id: str, event: Mapping[str, object]) -> tuple[int, str]:
        """Send one event: the status of the answer and its first words."""
        body, kind = body_of(event, self.receiver.form)
        headers = {
            "Authorization": f"Bearer {self.receiver.secret}",
            "Content-Type": kind,
            "Idempotency-Key": event_id,
        }
        self._connection.request("POST", self._path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read(2000).decode("utf-8", "replace")
