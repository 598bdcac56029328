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
from flatfare.dialects.reading import Exchange, Part, Reading, free


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


def _reading(run: Run, exchange: Exchange, sandboxes: int = 0) -> Reading:
    usage = run.usage
    model = run.model or exchange.asked.model
    if usage is not None:
        usage.prompt_tokens_details = usage.prompt_tokens_details or usage.prompt_token_details
    leaves = chat_usage(ChatBody(usage=usage))
    if leaves is None:
        if run.status in ("failed", "expired"):
            return free(f"the run {run.status} and has no usage: providers bill no failed request", model)
        reason = (
            f"the run is {run.status or 'not ended'}: its usage comes when it is fetched after it has ended"
        )
        return Reading(parts=(), model=model, reason=reason, created_at_us=moment_of(run.created_at))
    part = Part(model, leaves + usage_of(code_session=sandboxes), conditions_of(None, exchange.asked))
    return Reading(parts=(part,), model=model, created_at_us=moment_of(run.created_at), response_id=run.id)


def _whole(body: bytes, exchange: Exchange) -> Reading:
    return _reading(_decode(body), exchange)


class RunStream:
    """A streamed run: usage of the run itself, not of its steps, which repeat it in pieces."""

    __slots__ = ("_exchange", "_run", "_sandboxes")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
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
        return _reading(self._run, self._exchange, self._sandboxes)


def _stream(exchange: Exchange) -> StreamReader:
    return RunStream(exchange)


def run_routes(prefix: str = "v1/") -> tuple[Route, ...]:
    """Runs started, fetched and continued."""
    paths = ("runs", "[^/]+/runs", "[^/]+/runs/[^/]+", "[^/]+/runs/[^/]+/(?:submit_tool_outputs|cancel)")
    return tuple(
        Route(
            endpoint="assistants.runs",
            path=f"{prefix}threads/{path}",
            whole=_whole,
            stream=_stream,
            methods=("GET", "POST"),
            marks={"object": "thread.run", "status": None} if path == "runs" else {},
            stream_marks={"object": "thread.run", "status": None} if path == "runs" else {},
        )
        for path in paths
    )
