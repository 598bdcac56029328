"""Bulk runs in batches: the shop's provider answers batches, and rows are numbered emails."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flatfare.config import Provider, Secret, Settings
from flatfare.core.action import Action
from flatfare.runner import bulk
from flatfare.runner.batching.desk import Desk
from flatfare.runner.batching.log import BatchLog
from flatfare.runner.batching.under_way import Pace
from flatfare.runner.running import running
from flatfare.service.actions.publishing import published
from flatfare.store.book import open_book
from tests.gateway.batch_provider import BatchProvider
from tests.runner.rig import EMAIL, EXAMPLES, Model

PACE = Pace(linger_s=0.3, first_s=0.05, longest_s=0.2, retry_s=0.05, late_s=0.3)
NAMES = "names-and-dates"
ON_CLAUDE = (
    (EXAMPLES / "names-and-dates.yaml")
    .read_text()
    .replace("action: names-and-dates", "action: names-on-claude")
    .replace("openai/gpt-5-nano", "anthropic/claude-haiku-4-5")
    .replace("openai/gpt-5-mini", "anthropic/claude-sonnet-4-5")
)


def answering(model: Model) -> BatchProvider:
    """A provider of batches that answers as a model does."""

    def answer(body: Mapping[str, Any]) -> tuple[int, Mapping[str, object]]:
        _, status, content = model.answered(body)
        return status, content

    return BatchProvider(answer=answer)


def answering_messages(model: Model) -> BatchProvider:
    """The same, as Anthropic says it."""
    inner = answering(model)

    def answer(body: Mapping[str, Any]) -> tuple[int, Mapping[str, object]]:
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        offered = [
            {"type": "function", "function": {"name": one["name"], "parameters": one["input_schema"]}}
            for one in body.get("tools", [])
        ]
        asked = {"model": body["model"], "messages": [{"content": text}], "tools": offered}
        status, said = inner.answer(asked)
        if status >= 400:
            return status, {"type": "api_error", "message": "boom"}
        message: Any = said["choices"][0]["message"]  # type: ignore[index]
        (call,) = message["tool_calls"]
        block = {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "answer",
            "input": json.loads(call["function"]["arguments"]),
        }
        usage = {"input_tokens": 100, "output_tokens": 20, "service_tier": "batch"}
        return 200, {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [block],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": usage,
        }

    return BatchProvider(answer=answer)


def with_claude(settings: Settings, port: int) -> Settings:
    """Settings that also serve Anthropic at a port."""
    claude = Provider("anthropic", f"http://127.0.0.1:{port}", "anthropic", Secret("sk-ant"))
    return replace(settings, providers={**settings.providers, "anthropic": claude})


def rows(count: int) -> Iterator[bulk.Row]:
    """Numbered emails."""
    return (bulk.Row(f"row-{n}", {"email": f"{EMAIL} {n}"}) for n in range(count))


def action_of(settings: Settings, name: str = NAMES) -> Action:
    """A published action."""
    with open_book(settings.database) as book:
        return published(book, name).action


def job_of(settings: Settings, folder: Path, name: str = NAMES, customer: str | None = "acme") -> bulk.Job:
    """A job whose results lie in a folder."""
    action = action_of(settings, name)
    return bulk.Job(action, "job", customer, folder / "out.jsonl", folder / "rejects.jsonl", 1000)


async def run_job(
    settings: Settings,
    job: bulk.Job,
    given: Iterable[bulk.Row],
    said: list[str] | None = None,
    pace: Pace = PACE,
) -> bulk.Told:
    """Carry a job out in batches."""
    told, heard = bulk.Told(), said if said is not None else list[str]()
    log = job.results.with_name("out.jsonl.batches")

    async with running(
        settings,
        desk_of=lambda gate, books: Desk(gate, books, BatchLog(log, 1), heard.append, pace),
    ) as runner:
        await bulk.carry_out(runner, job, iter(given), told)
    return told


def results_of(job: bulk.Job) -> dict[str, dict[str, Any]]:
    """The lines of the results, by row; each row stands once."""
    lines = [json.loads(line) for line in job.results.read_text().splitlines()]
    assert len({line["row"] for line in lines}) == len(lines)
    return {line["row"]: line for line in lines}
