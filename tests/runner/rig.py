"""A provider on a real dialect that works well, and misbehaves with a stated chance; a shop with actions."""

import asyncio
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from flatfare.config import Provider as Place
from flatfare.config import Secret, Settings
from flatfare.core.action import Action
from flatfare.runner.running import Runner, running
from flatfare.service import selling
from flatfare.service.actions.publishing import publish
from flatfare.service.actions.reading import read, read_file
from flatfare.store.book import Book, open_book
from tests.gateway.upstreams import Asked, Upstream, upstream, whole

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "actions"
DOLLAR = 10**9

CONTRACT = (
    "SERVICE AGREEMENT. The Supplier may raise its prices at any time without notice to the Buyer. "
    "The Buyer shall indemnify the Supplier against all losses of any kind whatsoever. "
    "This Agreement renews for five years unless it is terminated in writing two years before its end. "
    "Payment is due within 30 days of the date of each invoice. The law of England applies."
)
EMAIL = "Dear Ann Smith, Bob Jones and I can meet on 12 May 2026 or on 3 June 2026. Yours, Clara Novak"
TICKET = "I was charged twice for my subscription this month and want my money back."
INVOICE = "Invoice R-17 of 2026-10-01. Consulting 100.00 EUR. VAT 19.00 EUR. Total 119.00 EUR."
REPORT = "\n\n".join(
    f"Section {n}. Sales of region {n} rose by {n} percent over the year before. "
    + "The board noted this and moved on to other matters of business. " * 20
    for n in range(1, 31)
)

MISBEHAVIOURS = ("schema", "quote", "refusal", "timeout", "error", "slow", "cut", "length", "text")


@dataclass
class Model:
    """What answers: well, unless a throw of the dice says otherwise."""

    seed: int = 1
    chances: Mapping[str, float] = field(default_factory=dict)
    always: str | None = None  # one way to misbehave, each time
    only_models: tuple[str, ...] = ()  # misbehaves as these, and works well as any other
    think_s: float = 0.0
    patience_s: float = 30.0  # how long it stays silent where it never answers
    did: Counter[str] = field(default_factory=Counter)
    asked: list[dict[str, object]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    dice: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.dice.seed(self.seed)

    async def script(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request as OpenAI's chat completions do."""
        body = json.loads(asked.body)
        self.asked.append(body)
        self.heads.append(asked.headers)
        if self.think_s:
            await asyncio.sleep(self.think_s)
        how, status, content = self.answered(body)
        if how == "timeout":
            await asyncio.sleep(self.patience_s)
        answer = whole(json.dumps(content).encode(), "200 OK" if status == 200 else f"{status} Failed")
        if how == "cut":
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
            writer.close()
        elif how == "slow":
            for start in range(0, len(answer), 200):
                writer.write(answer[start : start + 200])
                await writer.drain()
                await asyncio.sleep(0.005)
        else:
            writer.write(answer)

    def answered(self, body: Mapping[str, object]) -> tuple[str, int, dict[str, object]]:
        """How it behaves, and status and body of its answer."""
        how = self._how(str(body["model"]))
        self.did[how] += 1
        if how == "error":
            return how, 500, {"error": {"message": "boom", "type": "server_error"}}
        return how, 200, self._completion(body, how)

    def _how(self, model: str) -> str:
        if self.only_models and model not in self.only_models:
            return "well"
        if self.always is not None:
            return self.always
        throw = self.dice.random()
        for how, chance in self.chances.items():
            if throw < chance:
                return how
            throw -= chance
        return "well"

    def _completion(self, body: Mapping[str, object], how: str) -> dict[str, object]:
        messages = body["messages"]
        assert isinstance(messages, list)
        prompt = str(messages[-1]["content"])
        message: dict[str, object] = {"role": "assistant", "content": None}
        reason = "stop"
        tools = body.get("tools")
        if how == "refusal":
            message["refusal"] = "I cannot help with that."
        elif how == "text":
            message["content"] = "Here is what I think of it."
        elif isinstance(tools, list):
            schema = tools[0]["function"]["parameters"]
            arguments = json.dumps(
                worked(set(schema["properties"]), prompt, how, str(messages[0]["content"]))
            )
            call = {
                "id": "call_1",
                "type": "function",
                "function": {"name": "answer", "arguments": arguments},
            }
            message["tool_calls"], reason = [call], "tool_calls"
        else:
            message["content"] = f'Noted: "{_sentence(prompt, how)}"'
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1750000000,
            "model": body["model"],
            "choices": [
                {"index": 0, "message": message, "finish_reason": "length" if how == "length" else reason}
            ],
            "usage": usage_of(prompt, message),
        }


def usage_of(prompt: str, message: Mapping[str, object]) -> dict[str, int]:
    """Tokens as a provider might count them: four characters each."""
    read, written = len(prompt) // 4 + 10, len(json.dumps(message)) // 4
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def worked(wanted: set[str], prompt: str, how: str, system: str = "") -> dict[str, object]:
    """The work of each example, done well or not."""
    quote = _sentence(prompt, how)
    if how == "schema":
        return {"result": 17}
    if "findings" in wanted and "code" in wanted:  # the question of a judge
        code = re.search(r"Put the code (\S+) into", system)
        finding = {"criterion": 1, "because": "It is.", "met": "yes"}
        return {"code": code[1] if code else "", "addressed": False, "findings": [finding]}
    if wanted == {"review", "risks"}:
        review = f'The contract says: "{quote}" That is risky, and more so because nothing limits it at all.'
        return {
            "review": review,
            "risks": [{"clause": "1", "severity": "high", "why": "It is one-sided."}],
        }
    if wanted == {"summary", "findings"}:
        text = f'The report says "{quote}" and goes on in the same way for every region that it covers. '
        return {"summary": text * 3, "findings": ["Sales rose."]}
    if wanted == {"as_written", "people", "dates"}:
        names = ["Ann Smith", "Bob Jones", "Clara Novak"] if how != "quote" else ["John Doe", "Ann Smith"]
        return {"as_written": [*names, "12 May 2026"], "people": names, "dates": ["2026-05-12"]}
    if wanted == {"queue", "urgency", "because"}:
        return {"queue": "billing", "urgency": "normal", "because": f'They wrote "{quote}"'}
    if wanted == {"number", "date", "currency", "lines", "total"}:
        lines = [{"what": "Consulting", "amount": "100.00"}, {"what": "VAT", "amount": "19.00"}]
        total = "119.00" if how != "quote" else "120.00"
        return {"number": "R-17", "date": "2026-10-01", "currency": "EUR", "lines": lines, "total": total}
    return dict.fromkeys(wanted, "hello")


def _sentence(prompt: str, how: str) -> str:
    """A sentence that stands in what was given, or one that does not."""
    if how == "quote":
        return "The parties shall meet on every full moon to renegotiate the terms."
    found = [text for text in re.findall(r"[A-Z][^.\"]{30,}\.", prompt) if "quote" not in text.lower()]
    return found[-1].strip() if found else "I was charged twice for my subscription"


@dataclass
class Shop:
    """A runner with published actions, its provider, and its book to look into."""

    folder: Path
    settings: Settings
    model: Model
    provider: Upstream
    runner: Runner

    def book(self) -> Book:
        """The book, open."""
        return open_book(self.settings.database)


def settings_for(folder: Path, port: int, database: str | None = None) -> Settings:
    """Settings whose only provider answers at a port."""
    return Settings(
        listen="127.0.0.1:0",
        database=database or f"sqlite:///{folder}/book.db",
        journal=f"{folder}/journal",
        lake=f"{folder}/lake",
        providers={"openai": Place("openai", f"http://127.0.0.1:{port}/v1", "openai", Secret("sk-real"))},
    )


def stock(
    settings: Settings,
    *texts: str,
    wallet: int = 1000,
    examples: bool = True,
    rung_s: float | None = None,
) -> None:
    """Publish actions, and give the customer acme a wallet of so many dollars."""
    at_us = time.time_ns() // 1000
    with open_book(settings.database) as book:
        actions = [read_file(file) for file in sorted(EXAMPLES.glob("*.yaml"))] if examples else []
        if rung_s is not None:  # so that nobody waits for a model that never answers
            actions = [_hurried(action, rung_s) for action in actions]
        for action in [*actions, *(read(text) for text in texts)]:
            publish(book, action, at_us=at_us, by_whom="test")
        selling.customers.create(book, name="acme", at_us=at_us, by_whom="test")
        if wallet:
            selling.top_up_wallet(
                book,
                entry_id=identity_of("top-up"),
                customer="acme",
                amount_nano=wallet * DOLLAR,
                currency="USD",
                at_us=at_us,
                by_whom="test",
            )


def _hurried(action: Action, rung_s: float) -> Action:
    source = re.sub(r"(output_tokens: \d+), seconds: \d+", rf"\1, seconds: {rung_s}", action.source)
    return read(source, bundle=action.bundle)


def identity_of(name: str):  # type: ignore[no-untyped-def]
    """An id for a test."""
    from flatfare.core.identity import derived

    return derived("test", name)


@asynccontextmanager
async def shop(
    folder: Path, model: Model | None = None, *texts: str, database: str | None = None, **stocked: object
) -> AsyncIterator[Shop]:
    """A shop that is open as long as the context lasts."""
    own = model or Model()
    async with upstream() as provider:
        provider.script = own.script
        settings = settings_for(folder, provider.port, database)
        stock(settings, *texts, **stocked)  # type: ignore[arg-type]
        async with running(settings) as runner:
            yield Shop(folder, settings, own, provider, runner)


class Scripted(Protocol):
    """What answers requests."""

    async def script(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one."""


@contextmanager
def provided(answering: Scripted) -> Iterator[int]:
    """A provider in a thread of its own; its port."""
    ready, port, loop = threading.Event(), [0], asyncio.new_event_loop()
    stop = asyncio.Event()

    async def work() -> None:
        async with upstream() as provider:
            provider.script = answering.script
            port[0] = provider.port
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(work(),))
    thread.start()
    ready.wait(10)
    try:
        yield port[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
