"""The batch APIs of providers: how requests are sent, looked at and read, one small class each.

Sources: developers.openai.com/api/reference/resources/batches and platform.openai.com/docs/guides/batch;
platform.claude.com/docs/en/build-with-claude/batch-processing and its API reference (2026-11).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from flatfare.core.action import Ending
from flatfare.runner.batching.asking import Reply, unanswered

HOURS = 24
"""Both providers answer within so many hours, or not at all."""

_CHAT = b"/v1/chat/completions"
_GONE = "The batch expired before this request was answered."


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a batch is."""

    is_over: bool
    done: int
    outputs: tuple[str, ...]  # paths of its answers, below the base
    otherwise: Reply  # for requests that its outputs say nothing of


class Wire(Protocol):
    """One provider's batch API."""

    kind: str
    requests_max: int
    headers: Mapping[str, str]  # of every request
    makes_at: str  # the path, below the base
    uploads_at: str | None

    def upload(self, requests: Sequence[tuple[str, bytes]]) -> bytes:
        """The file of requests, where the API wants one."""

    def making(self, own_id: str, file_id: str | None, requests: Sequence[tuple[str, bytes]]) -> bytes:
        """The body that makes a batch."""

    def looks_at(self, batch_id: str) -> str:
        """The path at which a batch is looked at."""

    def looked(self, document: Mapping[str, Any], count: int) -> Looked:
        """What a look says."""

    def read(self, line: bytes) -> tuple[str, Reply] | None:
        """Name and reply of one line of its answers."""

    def found(self, listed: Iterable[Mapping[str, Any]], own_id: str, count: int, at_us: int) -> list[str]:
        """Those of the batches that the provider lists that may be ours."""


class OpenAI:
    """A file of requests, a batch of that file, and files of answers and of errors."""

    kind = "openai"
    requests_max = 50_000
    headers: Mapping[str, str] = MappingProxyType({})
    makes_at = "/batches"
    uploads_at: str | None = "/files"
    _ended = ("completed", "failed", "expired", "cancelled")

    def upload(self, requests: Sequence[tuple[str, bytes]]) -> bytes:
        """Lines of JSON, each a request of its own."""
        lines = [
            b'{"custom_id":"%b","method":"POST","url":"%b","body":%b}' % (name.encode(), _CHAT, body)
            for name, body in requests
        ]
        return b"\n".join(lines) + b"\n"

    def making(self, own_id: str, file_id: str | None, requests: Sequence[tuple[str, bytes]]) -> bytes:
        """A batch of an uploaded file; our id is among its metadata."""
        said = {
            "input_file_id": file_id,
            "endpoint": _CHAT.decode(),
            "completion_window": f"{HOURS}h",
            "metadata": {"flatfare": own_id},
        }
        return json.dumps(said).encode()

    def looks_at(self, batch_id: str) -> str:
        """The batch itself."""
        return f"/batches/{batch_id}"

    def looked(self, document: Mapping[str, Any], count: int) -> Looked:
        """Its status, and the files of its answers once it has ended."""
        counts = document.get("request_counts") or {}
        done = int(counts.get("completed") or 0) + int(counts.get("failed") or 0)
        status = document.get("status")
        files = [document.get("output_file_id"), document.get("error_file_id")]
        outputs = tuple(f"/files/{file}/content" for file in files if file)
        otherwise = self._otherwise(str(status), document)
        return Looked(status in self._ended, min(done, count), outputs, otherwise)

    def _otherwise(self, status: str, document: Mapping[str, Any]) -> Reply:
        if status == "expired":
            return unanswered(Ending.TIMEOUT, _GONE)
        if status == "failed":
            errors = (document.get("errors") or {}).get("data") or []
            codes = sorted({str(one.get("code")) for one in errors if isinstance(one, Mapping)})
            why = ", ".join(codes) or "no reason"
            return unanswered(Ending.ERROR, f"The provider refused the batch: {why}.")
        return unanswered(Ending.ERROR, f"The batch is {status}, and has no answer to this request.")

    def read(self, line: bytes) -> tuple[str, Reply] | None:
        """An answer, or an error in its place."""
        said = json.loads(line)
        name, response, error = str(said["custom_id"]), said.get("response"), said.get("error") or {}
        if response is not None and response.get("body") is not None:
            status = int(response.get("status_code") or 200)
            return name, Reply(status, json.dumps(response["body"]).encode())
        if error.get("code") == "batch_expired":
            return name, unanswered(Ending.TIMEOUT, _GONE)
        return name, unanswered(Ending.ERROR, f"The request failed in its batch: {error.get('code')}.")

    def found(self, listed: Iterable[Mapping[str, Any]], own_id: str, count: int, at_us: int) -> list[str]:
        """By our id among its metadata."""
        return [str(one["id"]) for one in listed if (one.get("metadata") or {}).get("flatfare") == own_id]


class Anthropic:
    """A batch that carries its requests, and one stream of results."""

    kind = "anthropic"
    requests_max = 100_000
    headers: Mapping[str, str] = MappingProxyType({"anthropic-version": "2023-06-01"})
    makes_at = "/messages/batches"
    uploads_at: str | None = None
    _statuses = {  # noqa: RUF012 - never changed; platform.claude.com/docs/en/api/errors, 2026-11
        "invalid_request_error": 400,
        "authentication_error": 401,
        "permission_error": 403,
        "not_found_error": 404,
        "request_too_large": 413,
        "rate_limit_error": 429,
        "overloaded_error": 529,
    }

    def upload(self, requests: Sequence[tuple[str, bytes]]) -> bytes:
        """Nothing is uploaded."""
        return b""

    def making(self, own_id: str, file_id: str | None, requests: Sequence[tuple[str, bytes]]) -> bytes:
        """All requests in one body."""
        each = (b'{"custom_id":"%b","params":%b}' % (name.encode(), body) for name, body in requests)
        return b'{"requests":[' + b",".join(each) + b"]}"

    def looks_at(self, batch_id: str) -> str:
        """The batch itself."""
        return f"/messages/batches/{batch_id}"

    def looked(self, document: Mapping[str, Any], count: int) -> Looked:
        """Its status; its counts come only with its end."""
        counts = document.get("request_counts") or {}
        left = int(counts.get("processing") or 0)
        is_over = document.get("processing_status") == "ended"
        outputs = (f"/messages/batches/{document['id']}/results",) if is_over else ()
        missing = unanswered(Ending.ERROR, "The batch has ended, and has no answer to this request.")
        return Looked(is_over, max(0, count - left), outputs, missing)

    def read(self, line: bytes) -> tuple[str, Reply] | None:
        """A message, or why there is none."""
        said = json.loads(line)
        name, result = str(said["custom_id"]), said.get("result") or {}
        kind = result.get("type")
        if kind == "succeeded":
            return name, Reply(200, json.dumps(result["message"]).encode())
        if kind == "errored":
            error = result.get("error") or {}
            inner = error.get("error") or {}
            status = self._statuses.get(str(inner.get("type")), 500)
            return name, Reply(status, json.dumps(error).encode(), None, 0)
        if kind == "expired":
            return name, unanswered(Ending.TIMEOUT, _GONE)
        return name, unanswered(Ending.ERROR, f"The request was {kind} in its batch.")

    def found(self, listed: Iterable[Mapping[str, Any]], own_id: str, count: int, at_us: int) -> list[str]:
        """By when it was made and of how many requests: a message batch carries nothing else of ours."""
        found = []
        for one in listed:
            counts = one.get("request_counts") or {}
            made_us = datetime.fromisoformat(str(one.get("created_at"))).timestamp() * 1e6
            is_near = at_us - 60_000_000 <= made_us <= at_us + 600_000_000
            if is_near and sum(int(number or 0) for number in counts.values()) == count:
                found.append(str(one["id"]))
        return found


_WIRES: Mapping[str, Wire] = {"openai": OpenAI(), "anthropic": Anthropic()}
_ENDPOINTS = {"/chat/completions": "openai", "/messages": "anthropic"}


def wire_of(kind: str) -> Wire | None:
    """The batch API that providers of a dialect have; None for one without a batch mode here."""
    return _WIRES.get(kind)


def asked_at(path: str) -> tuple[str, str] | None:
    """Base and kind of a call's path; None for one that cannot stand in a batch.

    >>> asked_at("/v1/chat/completions"), asked_at("/anthropic/v1/messages"), asked_at("/v1/embeddings")
    (('/v1', 'openai'), ('/anthropic/v1', 'anthropic'), None)
    """
    found = next((end for end in _ENDPOINTS if path.endswith(end)), None)
    return None if found is None else (path.removesuffix(found), _ENDPOINTS[found])
