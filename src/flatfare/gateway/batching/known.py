"""What is known of a batch before a request about it goes out, and what is kept of the answer to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from flatfare.core.budget import Budget
from flatfare.gateway.admission import Admitted
from flatfare.gateway.batching import requests as batch_requests
from flatfare.gateway.batching.steps import Step
from flatfare.gateway.ownership import made_in, thing_in
from flatfare.gateway.records import Figures
from flatfare.gateway.reserving.claims import Claim
from flatfare.gateway.reserving.worth import Worth
from flatfare.gateway.tap import nothing
from flatfare.gateway.wire import Request
from flatfare.service.budgets.bounding import Bound, Bounds
from flatfare.store import batches
from flatfare.store.batches import Batch, Requests
from flatfare.store.book import Book

AWAITED = "its answers are not here yet: each will be a call of its own"
_FREE = Bound(0, 0, "its answers are calls of their own")
_NOT_SEEN = Requests(None, "its requests were not sent through here: upload them through the gateway")
_ENDED = ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a batch before a request about it goes out."""

    requests: Requests | None = None  # that are sent
    batch: Batch | None = None  # that was made before
    has_answers: bool = True  # what is fetched holds all that is billed
    thing_id: str = ""  # that the request names


class _Made(msgspec.Struct):
    input_file_id: str = ""


class _Counts(msgspec.Struct):
    completed: int = 0


class _Looked(msgspec.Struct):
    id: str = ""
    status: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _Counts | None = None


def counted(admitted: Admitted, request: Request, bounds: Bounds, at_us: int) -> Known | None:
    """What the requests within a request come to; None where it carries none. For a thread: it takes long."""
    upstream = admitted.place.upstream
    carries = admitted.batch is Step.REQUESTS or upstream.dialect.provider == "anthropic"
    if admitted.batch not in (Step.REQUESTS, Step.MAKE) or not carries:
        return None
    if b"content-encoding" in request.fields:
        return Known(Requests(None, "the request is compressed"))
    if admitted.batch is Step.MAKE:
        return Known(batch_requests.of_body(upstream, request.body, bounds, at_us))
    content_type = request.fields.get(b"content-type", b"").decode("latin-1")
    return Known(batch_requests.of_upload(upstream, content_type, request.body, bounds, at_us))


def looked_up(book: Book, admitted: Admitted, request: Request) -> Known:
    """What the book knows."""
    provider = admitted.place.upstream.name
    if admitted.batch is Step.MAKE:
        try:
            file_id = msgspec.json.decode(request.body, type=_Made).input_file_id
        except msgspec.MsgspecError:
            file_id = ""
        return Known(batches.requests_of(book, provider, file_id) or _NOT_SEEN)
    thing_id, _ = thing_in(admitted.place.plain_path)
    if admitted.batch is Step.LOOK:
        return Known(batch=batches.one(book, provider, thing_id), thing_id=thing_id)
    batch, has_answers = batches.of_answers(book, provider, thing_id)
    return Known(batch=batch, has_answers=has_answers, thing_id=thing_id)


def worth_of(step: Step, known: Known, claim: Claim | None) -> Worth:
    """What a step costs its budgets: making a batch costs the most that its requests can."""
    if step is not Step.MAKE or known.requests is None:
        return Worth(_FREE, None)
    most_nano = known.requests.most_nano
    return Worth(Bound(most_nano, most_nano, known.requests.reason), claim)


def of_single_tasks(known: Known, held: tuple[Budget, ...]) -> Budget | None:
    """A hard budget of single tasks, which cannot be held for the tasks that the requests name."""
    if known.requests is None or not known.requests.names_tasks:
        return None
    return next((one for one in held if one.scope.key == "task" and one.is_hard), None)


def keep(
    book: Book, admitted: Admitted, known: Known, answer: bytes, call: tuple[str, int], body: bytes
) -> None:
    """Keep what an answer says was made; ``call`` is the id and moment of who made it."""
    provider, step = admitted.place.upstream.name, admitted.batch
    made = made_in(answer)
    if step is Step.REQUESTS and made and known.requests is not None:
        batches.keep_requests(book, provider, made[0], known.requests, call[1])
    elif step is Step.MAKE and made:
        whose = admitted.attribution
        batch = Batch(
            provider=provider,
            batch_id=made[0],
            call_id=call[0],
            key_id=admitted.key_id,
            labels=whose.labels,
            session=whose.session,
            purpose=whose.purpose,
            made_at_us=call[1],
            request_hash=sha256(body).hexdigest(),
            task_id=whose.task_id,
            attempt_id=whose.attempt_id,
        )
        batches.keep(book, batch)
    if step in (Step.MAKE, Step.LOOK) and (files := _files_in(answer)):
        batches.keep_outputs(book, provider, made[0], files)


def _files_in(answer: bytes) -> Mapping[str, bool]:
    looked = _looked(answer)
    files = {looked.output_file_id: True, looked.error_file_id: False}
    return {file_id: has_answers for file_id, has_answers in files.items() if file_id}


def without_answers(answer: bytes) -> Figures | None:
    """What a batch cost that has ended, and of which nothing was answered."""
    looked = _looked(answer)
    answered = looked.request_counts.completed if looked.request_counts is not None else None
    if looked.status not in _ENDED or looked.output_file_id is not None:
        return None
    if looked.status != "failed" and answered != 0:
        return None
    return nothing(f"its batch is {looked.status}, and nothing of it was answered")


def _looked(answer: bytes) -> _Looked:
    try:
        return msgspec.json.decode(answer, type=_Looked)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Looked()
