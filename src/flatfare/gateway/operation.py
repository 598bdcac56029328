"""What a worker says of itself to who operates it: whether it lives, whether it is ready, its figures."""

from typing import Protocol

import msgspec

from flatfare.core.errors import StoreFailure
from flatfare.gateway.admission import Gate, why_hidden
from flatfare.gateway.journal import Journal
from flatfare.gateway.metrics import Metrics
from flatfare.gateway.refusals import refusal
from flatfare.gateway.wire import Request, whole_answer


class Operated(Gate, Protocol):
    """A worker as its operator sees it."""

    journal: Journal
    keyring_failure: StoreFailure | None
    is_ending: bool

    def all_metrics(self) -> Metrics:
        """Its own figures and those of the other workers."""


def answer_of_operation(worker: Operated, path: bytes, request: Request) -> bytes | None:
    """The answer to an operator's question; None where a request is none."""
    if request.method not in ("GET", "HEAD"):
        return None
    if path == b"/healthz":
        return whole_answer(200, b"application/json", b'{"status":"ok"}', ())
    if path == b"/readyz":
        status, document = readiness(worker)
        if why_hidden(worker, request) is not None:
            document = {"status": document["status"]}
        return whole_answer(status, b"application/json", msgspec.json.encode(document), ())
    if path == b"/metrics":
        hidden = why_hidden(worker, request)
        if hidden is not None:
            return refusal("openai", hidden.status, hidden.reason)
        return whole_answer(200, b"text/plain; version=0.0.4", worker.all_metrics().text().encode(), ())
    return None


def readiness(worker: Operated) -> tuple[int, dict[str, object]]:
    """Whether calls can be taken, and what is amiss; HTTP status and a document."""
    forwards = worker.settings.on_journal_failure == "forward"
    journal = worker.journal.failure
    is_ready = not worker.is_ending and (journal is None or forwards)
    return 200 if is_ready else 503, {
        "status": "ready" if is_ready else "not ready",
        "journal": "ok" if journal is None else str(journal),
        "on_journal_failure": worker.settings.on_journal_failure,
        "calls_may_be_lost": forwards,
        "book": "ok" if worker.keyring_failure is None else str(worker.keyring_failure),
        "is_stopping": worker.is_ending,
        "held_back": sorted(name for name, reach in worker.reaches.items() if reach.circuit.is_open),
    }
