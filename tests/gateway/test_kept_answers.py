"""Answers that a provider keeps, through a gateway: begun by one call, fetched by others, paid once.

Wire formats as their documents give them (platform.openai.com/docs/guides/background,
ai.google.dev/gemini-api/docs/interactions, 2026-11).
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from flatfare.config import Provider, Secret
from flatfare.core.budget import Budget, Scope, Window
from flatfare.gateway.server import Running, serving
from flatfare.service.budgets import budgeting
from flatfare.store import budgets
from flatfare.store.book import open_book
from tests.gateway.upstreams import Asked, ask, rows, settings_for, upstream, whole

OPENAI_NANO = 1000 * 2500 + 50 * 10_000  # gpt-4o: $2.50 and $10 per million
GEMINI_NANO = 1000 * 300 + 50 * 2500  # gemini-2.5-flash: $0.30 and $2.50 per million


@dataclass
class Keeper:
    """A provider that makes one answer in the background."""

    is_done: bool = False
    looks: list[str] = field(default_factory=list)

    async def script(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.looks.append(asked.line)
        state = self._response() if "/responses" in asked.line else self._interaction()
        writer.write(whole(json.dumps(state).encode()))

    def _response(self) -> dict[str, object]:
        usage = {"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050}
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": int(time.time()),
            "model": "gpt-4o-2024-08-06",
            "background": True,
            "status": "completed" if self.is_done else "queued",
            "output": [],
            "usage": usage if self.is_done else None,
        }

    def _interaction(self) -> dict[str, object]:
        told: dict[str, object] = {
            "id": "v1_1",
            "object": "interaction",
            "created": "2026-11-21T12:00:00Z",
            "model": "gemini-2.5-flash",
            "status": "completed" if self.is_done else "in_progress",
        }
        if self.is_done:
            told["usage"] = {"total_input_tokens": 1000, "total_output_tokens": 50, "total_tokens": 1050}
        return told


async def spent(gateway: Running) -> int:
    with open_book(gateway.worker.settings.database) as book:
        (budget,) = budgets.all_of(book)
        return budgets.standings(book, budget, 1)[0].spent_nano


async def costs(gateway: Running) -> list[tuple[object, object, object]]:
    """Endpoint, cost and tokens read of each call as it stands, in the order of their making."""
    newest = {}
    for row in sorted(await rows(gateway), key=lambda row: int(str(row["revision"]))):
        if row["n"] == 1:
            newest[row["id"]] = (row["endpoint"], row["cost_nano"], row["input"])
    return [newest[one] for one in sorted(newest, key=str)]


RESPONSE = {"model": "gpt-4o", "input": "Hi", "background": True, "max_output_tokens": 100}
INTERACTION = {
    "model": "gemini-2.5-flash",
    "input": "Hi",
    "background": True,
    "generation_config": {"max_output_tokens": 100},
}


@asynccontextmanager
async def keeping(folder: Path, keeper: Keeper, *, is_hard: bool = False) -> AsyncIterator[Running]:
    """A gateway before the keeper, and a budget of a cent."""
    with open_book(f"sqlite:///{folder}/book.db") as book:
        terms = Budget("", "all", Scope.of("organisation"), 10**7, Window.of("lifetime"), is_hard=is_hard)
        budgeting.create(book, terms, at_us=time.time_ns() // 1000, by_whom="test")
    async with upstream() as provider:
        provider.script = keeper.script
        settings = settings_for(folder, provider.port)
        google = Provider("gemini", f"http://127.0.0.1:{provider.port}", "gemini", Secret("g-real"))
        providers = {**settings.providers, "gemini": google}
        async with serving(replace(settings, providers=providers)) as gateway:
            yield gateway


@pytest.mark.parametrize(
    ("path", "body", "begins", "cost_nano"),
    [
        ("/v1/responses", RESPONSE, "responses", OPENAI_NANO),
        ("/gemini/v1beta/interactions", INTERACTION, "interactions", GEMINI_NANO),
    ],
    ids=["openai", "gemini"],
)
def test_an_answer_in_the_background_is_paid_once(
    tmp_path: Path, path: str, body: dict[str, object], begins: str, cost_nano: int
) -> None:
    async def play() -> None:
        keeper = Keeper()
        async with keeping(tmp_path, keeper) as gateway:
            begun = await ask(gateway, json.dumps(body).encode(), path=path)
            assert begun.status == 200, begun.body
            kept = f"{path}/{json.loads(begun.body)['id']}"
            assert (await ask(gateway, b"", path=kept, method="GET")).status == 200
            assert await costs(gateway) == [(begins, None, None), (f"{begins}.retrieve", 0, None)]
            keeper.is_done = True
            for _ in range(2):
                assert (await ask(gateway, b"", path=kept, method="GET")).status == 200
                found = await costs(gateway)
                assert found[0] == (begins, cost_nano, 1000)
                assert {cost for _, cost, _ in found[1:]} == {0}
                assert await spent(gateway) == cost_nano

    asyncio.run(play())


@pytest.mark.parametrize("what", ["", "/cancel"])
def test_under_a_hard_budget_what_was_begun_can_be_fetched_and_cancelled(tmp_path: Path, what: str) -> None:
    async def play() -> None:
        keeper = Keeper()
        async with keeping(tmp_path, keeper, is_hard=True) as gateway:
            begun = await ask(gateway, json.dumps(RESPONSE).encode(), path="/v1/responses")
            assert begun.status == 200, begun.body
            keeper.is_done = True
            method = "POST" if what else "GET"
            answer = await ask(gateway, b"", path=f"/v1/responses/resp_1{what}", method=method)
            assert answer.status == 200, answer.body
            assert [cost for _, cost, _ in await costs(gateway)] == [OPENAI_NANO, 0]

    asyncio.run(play())
