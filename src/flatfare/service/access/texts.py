"""Stored texts: shown, erased and expired, each reading and erasing on record without the text."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress

from flatfare.config import Settings
from flatfare.core.errors import BadInput, NotFound
from flatfare.core.moments import iso
from flatfare.dialects.compression import opened
from flatfare.service.access.secret_box import found_box
from flatfare.store import chains
from flatfare.store.book import Book
from flatfare.store.texts import Text, TextStore, hash_of, text_folder

_CALL = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def text_store(settings: Settings, environment: Mapping[str, str]) -> TextStore:
    """The texts of this book's calls; ``BadInput`` where there is a key to them that is none."""
    return TextStore(text_folder(settings.database), found_box(environment))


def show(book: Book, texts: TextStore, call_id: str, *, at_us: int, by_whom: str) -> dict[str, object]:
    """What was said in a call; that it was read is on record. ``NotFound`` where nothing is stored."""
    _check_call(call_id)
    text = texts.find(call_id, at_us // 1_000_000)
    if text is None:
        raise NotFound(
            f"No text of the call {call_id} is stored: it has expired, was erased, or was never asked for."
        )
    with book.writing():
        chains.record_change(book, "texts.shown", call_id, {}, at_us=at_us, by_whom=by_whom, reason=None)
    return document_of(text)


def erase(
    book: Book,
    texts: TextStore,
    *,
    subject: str | None = None,
    call_id: str | None = None,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
) -> int:
    """Erase all that is stored of a subject (``label=value``) or of one call; how many texts there were.

    The record names a subject by its label and the hash of its value.
    """
    if (subject is None) == (call_id is None):
        raise BadInput("Say whose texts to erase: either a subject such as user=alice, or a call.")
    if subject is not None:
        label, sign, value = subject.partition("=")
        if not sign or not label or not value:
            raise BadInput(f"Found the subject {subject[:80]!r}: write label=value, such as user=alice.")
        count, whose = texts.erase_subject(subject), f"{label}:{hash_of(subject)}"
    else:
        assert call_id is not None
        _check_call(call_id)
        count, whose = texts.erase_call(call_id), call_id
    with book.writing():
        chains.record_change(
            book, "texts.erased", whose, {"texts": count}, at_us=at_us, by_whom=by_whom, reason=reason
        )
    return count


def expire(texts: TextStore) -> int:
    """Erase what has expired; how many texts there were."""
    return texts.expire(time.time_ns() // 1_000_000_000)


def document_of(text: Text) -> dict[str, object]:
    """A text as the command line shows it; compressed answers are opened."""
    answer = text.answer
    with suppress(BadInput):  # one that was cut, or of an encoding that is not known, is shown as it came
        answer = opened(answer, text.answer_encoding or "")
    return {
        "call": text.call_id,
        "at": iso(text.at_us),
        "key": text.key_id,
        "provider": text.provider,
        "endpoint": text.endpoint,
        "model": text.model,
        "subject": text.subject,
        "is_cut": text.is_cut,
        "request": text.request.decode(errors="replace"),
        "answer": answer.decode(errors="replace"),
    }


def _check_call(call_id: str) -> None:
    if not _CALL.fullmatch(call_id):
        raise BadInput(f"Found {call_id[:60]!r} where a call's id was expected: it stands in flatfare-call.")
