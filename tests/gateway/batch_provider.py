"""A provider of batches: OpenAI's files and batches, Anthropic's message batches, and how they go wrong.

Wire formats as their documents give them (platform.openai.com/docs/guides/batch,
platform.claude.com/docs/en/build-with-claude/batch-processing, 2026-11).
"""

import asyncio
import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.gateway.upstreams import Asked, whole

Json = Mapping[str, object]
Answer = Callable[[Json], tuple[int, Json]]
"""From a request's body to status and body of its answer."""


def chat_answer(body: Json) -> tuple[int, Json]:
    """An answer of 1,000 tokens read and 50 written."""
    message = {"role": "assistant", "content": "Hi."}
    return 200, {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
    }


def message_answer(body: Json) -> tuple[int, Json]:
    """The same, as Anthropic says it."""
    return 200, {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1000, "output_tokens": 50, "service_tier": "batch"},
    }


@dataclass
class Batch:
    """A batch as the provider knows it."""

    id: str
    requests: list[tuple[str, Json]]
    made_at: float
    metadata: object = None
    looks: int = 0
    answers: dict[str, tuple[int, Json]] = field(default_factory=dict)  # each is thought of once


@dataclass
class BatchProvider:
    """Answers batches, and calls one by one, as it is told."""

    answer: Answer = chat_answer
    takes_s: float = 0.0
    takes_looks: int = 0  # is not done before it was looked at so often
    expires: Callable[[str, Json], bool] = lambda name, body: False
    fails: str | None = None  # every batch, with this code
    shuffles: int | None = None  # the order of answers, by seed
    slow_s: float = 0.0  # before each answer to a request about a batch
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    lone: list[Json] = field(default_factory=list)  # asked one by one
    lost_creations: int = 0  # so many batches are made, and their answers never come

    async def script(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        method, path, _ = asked.line.split(" ")
        path = path.partition("?")[0]
        self.log.append(f"{method} {path}")
        if "batches" in path or "files" in path:
            await asyncio.sleep(self.slow_s)
        if method == "POST" and path.endswith("batches") and self.lost_creations:
            self.lost_creations -= 1
            self._answered(method, path, asked)
            writer.close()
            return
        status, body, kind = self._answered(method, path, asked)
        reason = {200: "OK", 404: "Not Found"}.get(status, "Bad Request")
        writer.write(whole(body, f"{status} {reason}", f"Content-Type: {kind}\r\n"))

    def _answered(self, method: str, path: str, asked: Asked) -> tuple[int, bytes, str]:
        if method == "POST" and path == "/v1/files":
            return self._json(self._upload(asked))
        if found := re.fullmatch(r"/v1/files/([^/]+)/content", path):
            return 200, self._content(found[1]), "application/octet-stream"
        if found := re.fullmatch(r"/v1/messages/batches/([^/]+)/results", path):
            return 200, self._results(self.batches[found[1]]), "application/x-jsonl"
        if found := re.fullmatch(r"/v1/(messages/)?batches(?:/([^/]+))?(/cancel)?", path):
            return self._json(self._batch(method, found[2], asked, is_messages=bool(found[1])))
        body = json.loads(asked.body)
        self.lone.append(body)
        return self._json(*reversed(self.answer(body)))

    def _json(self, body: Json, status: int = 200) -> tuple[int, bytes, str]:
        return status, json.dumps(body).encode(), "application/json"

    def _upload(self, asked: Asked) -> Json:
        boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
        parts = asked.body.split(b"--" + boundary)
        assert any(b'name="purpose"' in part and part.strip().endswith(b"batch") for part in parts)
        file = next(part for part in parts if b'name="file"' in part)
        name = f"file-{len(self.files)}"
        self.files[name] = file.partition(b"\r\n\r\n")[2].rstrip()
        return {"id": name, "object": "file", "purpose": "batch", "bytes": len(self.files[name])}

    def _batch(self, method: str, batch_id: str | None, asked: Asked, *, is_messages: bool) -> Json:
        if method == "POST" and batch_id is None:
            batch = self._made(json.loads(asked.body), is_messages=is_messages)
        elif batch_id is None:
            listed = [*self.batches.values()][::-1]
            shown = [self._shown(one, is_messages=is_messages) for one in listed]
            return {"object": "list", "data": shown, "has_more": False}
        else:
            batch = self.batches[batch_id]
            batch.looks += method == "GET"
        return self._shown(batch, is_messages=is_messages)

    def _made(self, body: Json, *, is_messages: bool) -> Batch:
        name = f"{'msgbatch' if is_messages else 'batch'}_{len(self.batches)}"
        if is_messages:
            requests = [(one["custom_id"], one["params"]) for one in body["requests"]]  # type: ignore[attr-defined]
        else:
            lines = map(json.loads, self.files[str(body["input_file_id"])].splitlines())
            requests = [(line["custom_id"], line["body"]) for line in lines]
        assert len({name for name, _ in requests}) == len(requests)
        assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name, _ in requests)
        self.batches[name] = Batch(name, requests, time.time(), body.get("metadata"))
        return self.batches[name]

    def _is_done(self, batch: Batch) -> bool:
        return time.time() >= batch.made_at + self.takes_s and batch.looks >= self.takes_looks

    def _shown(self, batch: Batch, *, is_messages: bool) -> Json:
        done, total = self._is_done(batch), len(batch.requests)
        if is_messages:
            counts = {"processing": 0 if done else total, "succeeded": total if done else 0}
            url = f"https://api.anthropic.com/v1/messages/batches/{batch.id}/results" if done else None
            created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(batch.made_at))
            status = "ended" if done else "in_progress"
            shown = {"id": batch.id, "type": "message_batch", "processing_status": status}
            return {**shown, "request_counts": counts, "results_url": url, "created_at": created}
        base = {
            "id": batch.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "created_at": int(batch.made_at),
            "metadata": batch.metadata,
        }
        if self.fails is not None:
            errors = {"object": "list", "data": [{"code": self.fails, "message": "No.", "line": 1}]}
            return {
                **base,
                "status": "failed",
                "errors": errors,
                "request_counts": {"total": 0, "completed": 0},
            }
        if not done:
            return {
                **base,
                "status": "in_progress",
                "request_counts": {"total": total, "completed": total // 2},
            }
        good, bad = self._lines(batch)
        expired = any(self.expires(name, body) for name, body in batch.requests)
        return {
            **base,
            "status": "expired" if expired else "completed",
            "output_file_id": f"out-{batch.id}" if good else None,
            "error_file_id": f"err-{batch.id}" if bad else None,
            "request_counts": {"total": total, "completed": len(good), "failed": len(bad)},
        }

    def _answer(self, batch: Batch, name: str, body: Json) -> tuple[int, Json]:
        if name not in batch.answers:
            batch.answers[name] = self.answer(body)
        return batch.answers[name]

    def _lines(self, batch: Batch) -> tuple[list[Json], list[Json]]:
        good: list[Json] = []
        bad: list[Json] = []
        for name, body in batch.requests:
            if self.expires(name, body):
                error = {"code": "batch_expired", "message": "This request could not be executed in time."}
                bad.append({"id": "r", "custom_id": name, "response": None, "error": error})
                continue
            status, answer = self._answer(batch, name, body)
            response = {"status_code": status, "request_id": "req", "body": answer}
            line = {"id": "r", "custom_id": name, "response": response, "error": None}
            (good if status < 400 else bad).append(line)
        if self.shuffles is not None:
            random.Random(self.shuffles).shuffle(good)
        return good, bad

    def _content(self, file_id: str) -> bytes:
        kind, _, batch_id = file_id.partition("-")
        good, bad = self._lines(self.batches[batch_id])
        return b"".join(json.dumps(line).encode() + b"\n" for line in (good if kind == "out" else bad))

    def _results(self, batch: Batch) -> bytes:
        lines = []
        for name, body in batch.requests:
            status, answer = self._answer(batch, name, body)
            result: Json = {"type": "succeeded", "message": answer}
            if self.expires(name, body):
                result = {"type": "expired"}
            elif status >= 400:
                result = {"type": "errored", "error": {"type": "error", "error": answer}}
            lines.append(json.dumps({"custom_id": name, "result": result}).encode() + b"\n")
        if self.shuffles is not None:
            random.Random(self.shuffles).shuffle(lines)
        return b"".join(lines)
