"""Signals of other systems: signed messages that say what became of tasks, each taken once.

A message is believed for its signature alone, by a secret of its source that is kept sealed.
What it says becomes events of tasks by the source's mapping; the message itself is not kept.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from flatfare.core import webhook
from flatfare.core.errors import BadInput, BadUsage, Conflict, FlatfareError, NotFound
from flatfare.core.identity import derived
from flatfare.core.moments import DAY_US, MICROSECONDS, iso
from flatfare.core.signal_mapping import Signal, SignalMapping, mapping_of, signals_in
from flatfare.service.access.secret_box import SecretBox
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import chains, signals
from flatfare.store.book import Book
from flatfare.store.lake import Lake
from flatfare.store.signals import Message, Source

SECRET_BYTES = 32
BODY_BYTES_MAX = 1024 * 1024
FORGOTTEN_US = 90 * DAY_US
"""What came of a message is known so long; a message that old cannot be sent again, by its own time."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ALSO_CALLED = ("svix-id", "svix-timestamp", "svix-signature")
"""What senders that were there before the standard call its headers; the scheme is the same."""


class NotBelieved(FlatfareError):
    """Nothing proves who sent a message."""

    exit_code = 4
    http_status = 401


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a message."""

    message_id: str
    status: str  # recorded, ignored, known
    signals: int


# --- sources


def create(
    book: Book,
    box: SecretBox,
    name: str,
    mapping: object,
    *,
    at_us: int,
    by_whom: str,
    project: str | None = None,
    secret: str | None = None,
) -> str:
    """Let a source tell of tasks; returns its secret, made here unless it has one, to be shown once."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"Found the name {name[:80]!r}: small letters, digits and . _ - make one.")
    mapping_of(mapping)
    given = secret or new_secret()
    webhook.signed("test", 0, b"", [given])  # a secret that is none is refused now
    source = Source(name, project, json.dumps(mapping, sort_keys=True), _sealed(box, name, given), at_us)
    with book.writing():
        known = signals.find_source(book, name)
        if known is not None and known.removed_at_us is None:
            raise Conflict(f"There is a source {name!r} already. To change it: flatfare signals map {name}")
        signals.put_source(book, source)
        _note(book, "created", source, at_us, by_whom)
    return given


def remap(book: Book, name: str, mapping: object, *, at_us: int, by_whom: str) -> Source:
    """Read a source's messages otherwise from now on; those that were refused can be sent again."""
    mapping_of(mapping)
    with book.writing():
        changed = replace(found(book, name), mapping=json.dumps(mapping, sort_keys=True))
        signals.put_source(book, changed)
        _note(book, "mapped", changed, at_us, by_whom)
    return changed


def rotate(
    book: Book,
    box: SecretBox,
    name: str,
    *,
    overlap_us: int,
    at_us: int,
    by_whom: str,
    secret: str | None = None,
) -> str:
    """Give a source a new secret; the former one is taken for a while longer."""
    given = secret or new_secret()
    webhook.signed("test", 0, b"", [given])
    with book.writing():
        source = found(book, name)
        changed = replace(
            source,
            sealed=_sealed(box, name, given),
            former_sealed=source.sealed,
            former_until_us=at_us + overlap_us,
        )
        signals.put_source(book, changed)
        _note(book, "rotated", changed, at_us, by_whom)
    return given


def remove(book: Book, name: str, *, at_us: int, by_whom: str, reason: str | None = None) -> None:
    """Believe a source no more."""
    with book.writing():
        source = found(book, name)
        signals.put_source(book, replace(source, removed_at_us=at_us, sealed="", former_sealed=None))
        _note(book, "removed", source, at_us, by_whom, reason)


def found(book: Book, name: str) -> Source:
    """The source of that name; ``NotFound`` names those there are."""
    source = signals.find_source(book, name)
    if source is None or source.removed_at_us is not None:
        known = ", ".join(one.name for one in signals.sources(book)) or "none"
        raise NotFound(f"There is no source of signals {name[:80]!r}. There are: {known}.")
    return source


def listed(book: Book) -> list[dict[str, object]]:
    """The sources as documents; never a secret."""
    return [document_of(book, source) for source in signals.sources(book)]


def document_of(book: Book, source: Source) -> dict[str, object]:
    """One source, with what came of its messages."""
    counts = signals.counts(book, source.name)
    last = signals.messages(book, source.name, 1)
    return {
        "source": source.name,
        "project": source.project,
        "path": f"/api/signals/{source.name}",
        "mapping": json.loads(source.mapping),
        "created": iso(source.created_at_us),
        "recorded": counts.get("recorded", 0),
        "ignored": counts.get("ignored", 0),
        "refused": counts.get("refused", 0),
        "last": iso(last[0].at_us) if last else None,
    }


def messages_of(book: Book, name: str, limit: int) -> list[dict[str, object]]:
    """What came of a source's last messages."""
    return [
        {
            "id": message.message_id,
            "at": iso(message.at_us),
            "status": message.status,
            "signals": message.signals,
            "reason": message.reason,
        }
        for message in signals.messages(book, found(book, name).name, limit)
    ]


def new_secret() -> str:
    """A secret as Standard Webhooks writes one."""
    return webhook.PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


# --- messages


def receive(
    book: Book,
    lake: Lake,
    box: SecretBox | None,
    name: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_us: int,
) -> Received:
    """Take a signed message; ``headers`` by lower-case name.

    ``NotBelieved`` where nothing proves who sent it, ``BadInput`` where its mapping cannot read it,
    ``Conflict`` where another message of its id was taken. The same message again changes nothing.
    """
    if len(body) > BODY_BYTES_MAX:
        raise BadInput(f"Found a message of {len(body)} bytes: at most {BODY_BYTES_MAX}.")
    source, message_id, sent_us = _believed(book, box, name, headers, body, now_us)
    body_hash = hashlib.sha256(body).hexdigest()
    known = signals.find_message(book, name, message_id)
    if known is not None and known.status != "refused":
        if known.body_hash != body_hash:
            raise Conflict(f"Another message of the id {message_id[:80]!r} was taken before.")
        return Received(message_id, "known", known.signals)
    try:
        said = _told(book, lake, source, message_id, sent_us, body, now_us)
    except BadInput as problem:
        _keep(book, Message(name, message_id, body_hash, "refused", 0, str(problem)[:500], now_us))
        raise
    status = "recorded" if said else "ignored"
    _keep(book, Message(name, message_id, body_hash, status, said, None, now_us))
    return Received(message_id, status, said)


def read_message(mapping: SignalMapping, body: bytes) -> list[Signal]:
    """What a message says by a mapping, recording nothing."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput("The message is no JSON.") from None
    return signals_in(mapping, message)


def event_of(signal: Signal, source: str, message_id: str, index: int, sent_us: int) -> dict[str, object]:
    """A signal as an event; its id is made from the message's, so that it counts once."""
    event: dict[str, object] = {
        "event": "signalled",
        "id": str(derived("signal", source, message_id, str(index))),
        "task": signal.task,
        "at": sent_us if signal.at_us is None else signal.at_us,
        "name": signal.name,
        "source": source,
    }
    return event if signal.value is None else {**event, "value": signal.value}


def _believed(
    book: Book, box: SecretBox | None, name: str, headers: Mapping[str, str], body: bytes, now_us: int
) -> tuple[Source, str, int]:
    """Who sent it, its id and when it says it was sent."""
    source = signals.find_source(book, name)
    if source is None or source.removed_at_us is not None:
        raise NotBelieved("The signature of the message is not that of a secret known here.")
    if box is None:
        raise BadUsage(
            f"The secret of the source {name!r} is kept sealed, and the key to it is not here: set "
            "FLATFARE_SECRET_KEY where flatfare serves."
        )
    secrets = [_opened(box, name, source.sealed)]
    if source.former_sealed is not None and now_us < (source.former_until_us or 0):
        secrets.append(_opened(box, name, source.former_sealed))
    signed = _standard(headers)
    try:
        message_id = webhook.check(signed, body, secrets, now_s=now_us // MICROSECONDS)
    except FlatfareError as problem:
        raise NotBelieved(str(problem)) from None
    return source, message_id, int(signed[webhook.TIMESTAMP]) * MICROSECONDS


def _standard(headers: Mapping[str, str]) -> dict[str, str]:
    names = (webhook.ID, webhook.TIMESTAMP, webhook.SIGNATURE)
    return {
        name: headers[own]
        for name, also in zip(names, _ALSO_CALLED, strict=True)
        for own in (name if name in headers else also,)
        if own in headers
    }


def _told(
    book: Book, lake: Lake, source: Source, message_id: str, sent_us: int, body: bytes, now_us: int
) -> int:
    said = read_message(mapping_of(json.loads(source.mapping)), body)
    events = [event_of(signal, source.name, message_id, index, sent_us) for index, signal in enumerate(said)]
    if events:
        teller = Teller(f"the source {source.name!r}", source="signals", project=source.project)
        done = record(book, lake, events, teller, now_us=now_us)
        if done.refused:
            raise BadInput(f"A signal of the message was refused: {done.refused[0].reason}")
    return len(events)


def _keep(book: Book, message: Message) -> None:
    with book.writing():
        signals.put_message(book, message, forget_before_us=message.at_us - FORGOTTEN_US)


def _sealed(box: SecretBox, name: str, secret: str) -> str:
    return base64.b64encode(box.seal(secret.encode(), _place(name))).decode()


def _opened(box: SecretBox, name: str, sealed: str) -> str:
    return box.open(base64.b64decode(sealed), _place(name)).decode()


def _place(name: str) -> str:
    return f"signal source {name}"


def _note(book: Book, what: str, source: Source, at_us: int, by_whom: str, reason: str | None = None) -> None:
    chains.record_change(
        book,
        f"signal_source.{what}",
        source.name,
        {"project": source.project, "mapping": json.loads(source.mapping)},
        at_us=at_us,
        by_whom=by_whom,
        reason=reason,
    )
