"""OpenAI's assistants: a run has its usage once it has ended, and every later look repeats it."""

import msgspec

from flatfare.dialects.dialect import Route, StreamReader
from flatfare.dialects.leaves import Wire, usage_of
from flatfare.dialects.openai_shape import (
    ChatBody,
    ChatUsage,
    PromptDetails,
    chat_usage,
    conditions_of,
    moment_of,
)
from flatfare.dialects.reading import Exchange, Part, Reading, free, unread


class RunUsage(ChatUsage):
    """Usage of a run, whose details are named in the singular."""

    prompt_token_details: PromptDetails | None = None


class Run(msgspec.Struct):
    """What the meter reads of a run."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    status: str | None = None
    created_at: Wire = None
    usage: RunUsage | None = None


_decode = msgspec.json.Decoder(Run).decode


_UNDER_WAY = ("queued", "in_progress", "requires_action", "cancelling")


def _reading(run: Run, exchange: Exchange, sandboxes: int = 0, *, is_looked_at: bool = False) -> Reading:
    usage = run.usage
    model = run.model or exchange.asked.model
    if usage is not None:
        usage.prompt_tokens_details = usage.prompt_tokens_details or usage.prompt_token_details
    leaves = chat_usage(ChatBody(usage=usage))
    if leaves is None and is_looked_at and run.status in _UNDER_WAY:
        return free("a look at a run under way", model)
    if leaves is not None:
        part = Part(model, leaves + usage_of(code_session=sandboxes), conditions_of(None, exchange.asked))
        reading = Reading(parts=(part,), model=model)
    elif run.status in ("failed", "expired"):
        reading = free(f"the run {run.status} and has no usage: providers bill no failed request", model)
    else:
        status = run.status or "not ended"
        reading = unread(f"the run is {status}: its usage comes when it is fetched after it has ended", model)
    return msgspec.structs.replace(reading, created_at_us=moment_of(run.created_at), response_id=run.id)


def _whole(body: bytes, exchange: Exchange) -> Reading:
    return _reading(_decode(body), exchange)


def _looked_at(body: bytes, exchange: Exchange) -> Reading:
    return _reading(_decode(body), exchange, is_looked_at=True)


class RunStream:
    """A streamed run: usage of the run itself, not of its steps, which repeat it in pieces."""

    __slots__ = ("_exchange", "_is_looked_at", "_run", "_sandboxes")

    def __init__(self, exchange: Exchange, is_looked_at: bool = False) -> None:
        self._exchange = exchange
        self._is_looked_at = is_looked_at
        self._run: Run | None = None
        self._sandboxes = 0

    def event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]":
            return
        # Steps that ran code opened a sandbox, one for the thread within the hour.
        if name == "thread.run.step.completed" and b'"code_interpreter"' in data:
            self._sandboxes = 1
        if b'"thread.run"' in data:
            run = _decode(data)
            if run.object == "thread.run":
                self._run = run

    def finish(self) -> Reading:
        if self._run is None:
            reason = "the stream was cut before the run began"
            return Reading(parts=(), model=self._exchange.asked.model, reason=reason, is_complete=False)
        return _reading(self._run, self._exchange, self._sandboxes, is_looked_at=self._is_looked_at)


def _stream(exchange: Exchange) -> StreamReader:
    return RunStream(exchange)


def _stream_looked_at(exchange: Exchange) -> StreamReader:
    return RunStream(exchange, is_looked_at=True)


def run_routes() -> tuple[Route, ...]:
    """Runs started, listed, fetched and continued."""
    marks = {"object": "thread.run", "status": None}
    one = "v1/threads/[^/]+/runs/[^/]+"
    return (
        Route(
            endpoint="assistants.runs",
            path="v1/threads/runs",
            whole=_whole,
            stream=_stream,
            marks=marks,
            stream_marks=marks,
        ),
        Route(endpoint="assistants.runs", path="v1/threads/[^/]+/runs", whole=_whole, stream=_stream),
        Route(
            endpoint="assistants.runs.list",
            path="v1/threads/[^/]+/runs",
            methods=("GET",),
            free="listing runs is free",
        ),
        Route(endpoint="assistants.runs.retrieve", path=one, whole=_looked_at, methods=("GET",)),
        Route(
            endpoint="assistants.runs.continue",
            path=f"{one}(?:/(?:submit_tool_outputs|cancel))?",
            whole=_looked_at,
            stream=_stream_looked_at,
        ),
    )
