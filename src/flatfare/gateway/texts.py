"""Takes down what is said in a call whose key asks for that, and for no other; on a thread of its own.

A text that cannot be stored is left out and logged: the call does not suffer from it.
"""

import logging
import os
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from flatfare.config import Settings
from flatfare.core.errors import FlatfareError
from flatfare.gateway.admission import Admitted
from flatfare.gateway.records import Result
from flatfare.gateway.wire import Request
from flatfare.service.access.texts import expire, text_store
from flatfare.store.text_terms import TextTerms
from flatfare.store.texts import Text, TextStore

TEXT_BYTES_MAX = 8 << 20
"""More of a request or an answer is not stored."""

WAITING_MAX = 1000
"""Texts that wait to be written; with more the disk does not keep up, and memory is not for them."""

_log = logging.getLogger("flatfare.gateway")


class Taken:
    """An answer as it is taken down."""

    __slots__ = ("is_cut", "pieces", "size")

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.size = 0
        self.is_cut = False

    def add(self, piece: bytes) -> None:
        """A piece of the answer."""
        left = TEXT_BYTES_MAX - self.size
        if len(piece) > left:
            self.is_cut = True
        self.pieces.append(piece[:left])
        self.size += min(len(piece), left)


def subject_of(terms: TextTerms, labels: str) -> str | None:
    """Whom a call is about, as label=value; None where its labels do not say."""
    if terms.subject is None:
        return None
    value = msgspec.json.decode(labels, type=dict[str, str]).get(terms.subject)
    return None if value is None else f"{terms.subject}={value}"


class TextKeeper:
    """Stores texts, one after another, beside the event loop."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        self._settings = settings
        self._environment = environment
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="texts")
        self._store: TextStore | None = None
        self._waiting = 0

    def keep_of_call(
        self, admitted: Admitted, request: Request, result: Result, at_us: int, taken: Taken, encoding: str
    ) -> None:
        """Store what was said in a call, as its key asks."""
        terms = admitted.text_terms
        assert terms is not None
        text = Text(
            call_id=result.call_id,
            at_us=at_us,
            key_id=admitted.key_id or "",
            provider=admitted.place.upstream.name,
            endpoint=admitted.place.endpoint,
            subject=subject_of(terms, admitted.attribution.labels),
            model=result.model or admitted.asked.model,
            request=request.body,
            answer_encoding=encoding or None,
        )
        self.keep(text, taken, terms.keep_us)

    def keep(self, text: Text, taken: Taken, keep_us: int) -> None:
        """Store a text; it expires so long after its call began."""
        if self._waiting >= WAITING_MAX:
            _log.warning("A text is not stored: the disk does not keep up.", extra={"call": text.call_id})
            return
        self._waiting += 1
        self._thread.submit(self._put, text, taken, (text.at_us + keep_us) // 1_000_000)

    def expire(self) -> None:
        """Erase what has expired."""
        self._thread.submit(self._expire)

    def close(self) -> None:
        """Store what waits, and end."""
        self._thread.shutdown()

    def _put(self, text: Text, taken: Taken, expires_s: int) -> None:
        self._waiting -= 1
        whole = msgspec.structs.replace(
            text,
            request=text.request[:TEXT_BYTES_MAX],
            answer=b"".join(taken.pieces),
            is_cut=taken.is_cut or len(text.request) > TEXT_BYTES_MAX,
        )
        try:
            self._opened().put(whole, expires_s)
        except FlatfareError as problem:
            _log.warning("A text is not stored: %s", problem, extra={"call": text.call_id})

    def _expire(self) -> None:
        try:
            expire(self._opened())
        except (FlatfareError, OSError) as problem:
            _log.warning("Texts that have expired cannot be erased: %s", problem)

    def _opened(self) -> TextStore:
        if self._store is None:
            self._store = text_store(self._settings, self._environment)
        return self._store
