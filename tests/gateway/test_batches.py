"""Batches: held when they are sent, each answer booked once as a call of its own, and no other key's."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from flatfare.config import Provider, Secret
from flatfare.core.batch_names import request_name
from flatfare.core.budget import Budget, Scope, Window
from flatfare.core.identity import derived, within
from flatfare.gateway.server import Running, serving
from flatfare.prices.book import PriceBook
from flatfare.service.access import keys
from flatfare.service.access.keys import Terms
from flatfare.service.budgets import budgeting
from flatfare.service.costing.price_versions import rates_in, told
from flatfare.store import budgets
from flatfare.store.book import open_book
from tests.gateway.batch_provider import BatchProvider, chat_answer, message_answer
from tests.gateway.upstreams import Answer, ask, both, rows, settings_for, upstream, whole

ONE_NANO = 1000 * 1250 + 50 * 5000  # gpt-4o at batch rates: $1.25 and $5 per million
TASK, ATTEMPT = str(derived("task", "t")), str(derived("attempt", "a"))


@dataclass
class House:
    """A gateway, the provider of batches behind it, and a client's requests."""

    gateway: Running
    provider: BatchProvider
    headers: str = ""

    async def upload(self, names: list[str], **body: object) -> str:
        """Upload requests; the id of their file."""
        answer = await self.uploaded(names, **body)
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body)["id"])

    async def uploaded(self, names: list[str], **body: object) -> Answer:
        """Upload requests."""
        asked = {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 100,
            **body,
        }
        lines = [
            {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": asked}
            for name in names
        ]
        file = "\n".join(map(json.dumps, lines))
        disposition = "Content-Disposition: form-data; name="
        content = (
            f'--B\r\n{disposition}"purpose"\r\n\r\nbatch\r\n--B\r\n{disposition}"file"; filename="in.jsonl"'
            f"\r\nContent-Type: application/jsonl\r\n\r\n{file}\r\n--B--\r\n"
        )
        kind = f"Content-Type: multipart/form-data; boundary=B\r\n{self.headers}"
        return await ask(self.gateway, content.encode(), kind, "/v1/files")

    async def make(self, file_id: str) -> Answer:
        """Make a batch of an uploaded file."""
        asked = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        return await ask(self.gateway, json.dumps(asked).encode(), self.headers, "/v1/batches")

    async def get(self, path: str) -> Answer:
        """Fetch something."""
        return await ask(self.gateway, b"", self.headers, path, "GET")

    async def calls(self) -> dict[str, dict[str, object]]:
        """The rows of the book, the newest revision of each, by id."""
        found = await rows(self.gateway)
        return {
            str(row["id"]): row
            for row in sorted(found, key=lambda row: int(str(row["revision"])))
            if row["n"] == 1
        }


@asynccontextmanager
async def house(folder: Path, provider: BatchProvider | None = None, *budget: Budget) -> AsyncIterator[House]:
    own = provider or BatchProvider()
    if budget:
        with open_book(f"sqlite:///{folder}/book.db") as book:
            for one in budget:
                budgeting.create(book, one, at_us=time.time_ns() // 1000, by_whom="test")
    async with both(folder) as (gateway, upstream):
        upstream.script = own.script
        yield House(gateway, own)


def hard(amount_nano: int, scope: str = "organisation") -> Budget:
    return Budget("", "held", Scope.of(scope), amount_nano, Window.of("lifetime"))


def spent_nano(own: House) -> int:
    with open_book(own.gateway.worker.settings.database) as book:
        (budget,) = budgets.all_of(book)
        return budgets.standing(
            book, budget, budgets.standings(book, budget, 1)[0].allowance.subject, 1
        ).spent_nano


async def carried_out(own: House, names: list[str]) -> tuple[str, str]:
    """A batch from upload to its answers; the call that made it, and where its answers are."""
    made = await own.make(await own.upload(names))
    assert made.status == 200, made.body
    batch = json.loads(made.body)["id"]
    looked = json.loads((await own.get(f"/v1/batches/{batch}")).body)
    return made.headers["flatfare-call"], f"/v1/files/{looked['output_file_id']}/content"


def test_each_answer_is_a_call_of_its_own_at_the_batch_rate(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as own:
            own.headers = "flatfare-labels: team=search\r\n"
            named = request_name(TASK, ATTEMPT, "0" * 16)
            call, path = await carried_out(own, [named, "row-2"])
            answer = await own.get(path)
            assert answer.status == 200
            found = await own.calls()
            first, second = found[str(within(call, named))], found[str(within(call, "row-2"))]
            assert (first["task_id"], first["attempt_id"]) == (TASK, ATTEMPT)
            assert second["task_id"] is None
            for row in (first, second):
                assert (row["cost_nano"], row["cost_state"], row["service_tier"]) == (
                    ONE_NANO,
                    "measured",
                    "batch",
                )
                assert (row["labels"], row["endpoint"], row["status"]) == (
                    '{"team":"search"}',
                    "batch.answer",
                    "ok",
                )
                assert row["input"] == 1000
                with open_book(own.gateway.worker.settings.database) as book:
                    (terms,) = told(book, PriceBook(()), str(row["price_version"]))
                assert {one["unit"]: one["rate"] for one in rates_in(terms)}["output"] == "5.00"
            assert sum(int(str(row["cost_nano"])) for row in found.values()) == 2 * ONE_NANO

    asyncio.run(play())


def test_a_batch_that_was_made_for_a_task_is_that_task_s_whoever_fetches_it(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as own:
            own.headers = (
                f"flatfare-task: {TASK}\r\nflatfare-attempt: {ATTEMPT}\r\nflatfare-purpose: test\r\n"
            )
            call, path = await carried_out(own, ["a"])
            own.headers = ""
            await own.get(path)
            row = (await own.calls())[str(within(call, "a"))]
            assert (row["task_id"], row["attempt_id"], row["purpose"]) == (TASK, ATTEMPT, "test")

    asyncio.run(play())


def test_fetched_again_and_by_pieces_its_answers_are_booked_once(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as own:
            _, path = await carried_out(own, ["a", "b", "c"])
            for _ in range(3):
                await own.get(path)
            before = await own.calls()
            await own.get(path)
            found = await own.calls()
            assert sum(int(str(row["cost_nano"])) for row in found.values()) == 3 * ONE_NANO
            assert len(found) == len(before) + 1  # the fetching itself, which cost nothing
            assert sum(row["endpoint"] == "batch.answer" for row in found.values()) == 3

    asyncio.run(play())


def test_until_its_answers_are_here_what_a_batch_costs_is_not_known(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as own:
            call, path = await carried_out(own, ["a"])
            row = (await own.calls())[call]
            assert (row["cost_nano"], row["cost_state"]) == (None, "unknown")
            assert "answers are not here yet" in str(row["cost_reason"])
            await own.get(path)
            row = (await own.calls())[call]
            assert (row["cost_nano"], row["cost_state"]) == (0, "measured")
            assert row["cost_reason"] == "its 1 answers are calls of their own"

    asyncio.run(play())


def test_the_most_that_a_batch_can_cost_is_held_until_its_answers_are_here(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path, None, hard(10_000_000)) as own:
            _, path = await carried_out(own, ["a", "b"])
            await own.calls()
            held = spent_nano(own)
            assert held > 2 * 100 * 5000  # at least the longest answers
            refused = await own.make(await own.upload([f"r{n}" for n in range(20)]))
            assert refused.status == 429
            assert b"The budget 'held' has" in refused.body
            assert len(own.provider.batches) == 1
            assert (await own.get(path)).status == 200
            await own.calls()
            assert spent_nano(own) == 2 * ONE_NANO

    asyncio.run(play())


def test_what_was_held_for_batches_is_free_for_the_next(tmp_path: Path) -> None:
    """Each is held at its bound, and eight bounds are more than the budget; what they cost is not."""

    def answer(body: Mapping[str, object]) -> tuple[int, Mapping[str, object]]:
        used = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        return 200, {**chat_answer(body)[1], "usage": used}

    async def play() -> None:
        async with house(tmp_path, BatchProvider(answer=answer), hard(7_000_000)) as own:
            for count in range(1, 9):
                _, path = await carried_out(own, ["a", "b"])
                await own.calls()
                assert spent_nano(own) > 1_200_000  # the bound of this one, and what was spent before
                assert (await own.get(path)).status == 200
                await own.calls()
                assert spent_nano(own) == count * 2 * (10 * 1250 + 5 * 5000)

    asyncio.run(play())


def test_under_a_hard_budget_a_batch_of_requests_nobody_saw_is_refused(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path, None, hard(10**12)) as own:
            own.provider.files["file-unseen"] = b""
            refused = await own.make("file-unseen")
            assert refused.status == 429
            assert b"upload them through the gateway" in refused.body
            assert own.provider.batches == {}

    asyncio.run(play())


def test_a_hard_budget_of_single_tasks_refuses_a_batch_that_names_them(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path, None, hard(10**12, "task=*")) as own:
            refused = await own.make(await own.upload([request_name(TASK, ATTEMPT, "0" * 16)]))
            assert refused.status == 400
            assert b"send its requests one by one" in refused.body
            assert (await own.make(await own.upload(["a"]))).status == 200

    asyncio.run(play())


def test_a_batch_that_failed_holds_nothing_and_cost_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path, BatchProvider(fails="token_limit_exceeded"), hard(10_000_000)) as own:
            made = await own.make(await own.upload(["a"]))
            await own.calls()
            assert spent_nano(own) > 0
            await own.get(f"/v1/batches/{json.loads(made.body)['id']}")
            row = (await own.calls())[made.headers["flatfare-call"]]
            assert (row["cost_nano"], row["cost_reason"]) == (
                0,
                "its batch is failed, and nothing of it was answered",
            )
            assert spent_nano(own) == 0

    asyncio.run(play())


def test_requests_that_failed_or_expired_are_rows_that_cost_nothing(tmp_path: Path) -> None:
    def answer(body: object) -> tuple[int, dict[str, object]]:
        return 400, {"error": {"message": "No.", "type": "invalid_request_error"}}

    provider = BatchProvider(answer=answer, expires=lambda name, _: name == "late")  # type: ignore[arg-type]

    async def play() -> None:
        async with house(tmp_path, provider) as own:
            made = await own.make(await own.upload(["bad", "late"]))
            batch = json.loads(made.body)["id"]
            looked = json.loads((await own.get(f"/v1/batches/{batch}")).body)
            assert looked["output_file_id"] is None
            await own.get(f"/v1/files/{looked['error_file_id']}/content")
            found, call = await own.calls(), made.headers["flatfare-call"]
            for name in ("bad", "late"):
                row = found[str(within(call, name))]
                assert (row["status"], row["cost_nano"], row["cost_state"]) == ("failed", 0, "measured")
            assert found[call]["cost_nano"] == 0

    asyncio.run(play())


@pytest.mark.parametrize("first", ["errors", "answers"])
def test_a_file_of_errors_does_not_end_what_a_batch_holds(tmp_path: Path, first: str) -> None:
    provider = BatchProvider(expires=lambda name, _: name == "late")

    async def play() -> None:
        async with house(tmp_path, provider, hard(10_000_000)) as own:
            made = await own.make(await own.upload(["good", "late"]))
            batch = json.loads(made.body)["id"]
            looked = json.loads((await own.get(f"/v1/batches/{batch}")).body)
            await own.calls()
            before = spent_nano(own)
            await own.get(
                f"/v1/files/{looked['error_file_id' if first == 'errors' else 'output_file_id']}/content"
            )
            await own.calls()
            assert spent_nano(own) == (before if first == "errors" else ONE_NANO)

    asyncio.run(play())


def test_message_batches_are_held_and_booked_the_same_way(tmp_path: Path) -> None:
    provider = BatchProvider(answer=message_answer, shuffles=3)

    async def play() -> None:
        async with both(tmp_path) as (gateway, upstream):
            upstream.script = provider.script
            place = Provider("anthropic", f"http://127.0.0.1:{upstream.port}", "anthropic", Secret("sk-ant"))
            gateway.worker.take_settings(replace(gateway.worker.settings, providers={"anthropic": place}))
            own = House(gateway, provider)
            params = {
                "model": "claude-haiku-4-5",
                "max_tokens": 100,
                "messages": [{"role": "user", "content": "Hi"}],
            }
            asked = {"requests": [{"custom_id": name, "params": params} for name in ("a", "b")]}
            made = await ask(gateway, json.dumps(asked).encode(), "", "/anthropic/v1/messages/batches")
            batch, call = json.loads(made.body)["id"], made.headers["flatfare-call"]
            for _ in range(2):
                await own.get(f"/anthropic/v1/messages/batches/{batch}/results")
            found = await own.calls()
            one_nano = 1000 * 500 + 50 * 2500  # half of $1 and $5 per million
            assert [found[str(within(call, name))]["cost_nano"] for name in ("a", "b")] == [one_nano] * 2
            assert sum(int(str(row["cost_nano"])) for row in found.values()) == 2 * one_nano
            assert found[call]["cost_reason"] == "its 2 answers are calls of their own"

    asyncio.run(play())


def test_the_answers_of_one_key_s_batch_are_not_to_be_had_with_another(tmp_path: Path) -> None:
    secrets = []
    with open_book(f"sqlite:///{tmp_path}/book.db") as book:
        for name in ("mine", "other"):
            made = keys.create(
                book, Terms(name, labels={"team": name}), at_us=time.time_ns() // 1000, by_whom="test"
            )
            secrets.append((made.key.id, f"Authorization: Bearer {made.secret}\r\n"))

    async def play() -> None:
        async with house(tmp_path) as own:
            (mine_id, mine), (_, other) = secrets
            own.headers = mine
            call, path = await carried_out(own, ["a"])
            own.headers = other
            assert (await own.get(path)).status == 404
            assert (await own.get("/v1/batches/batch_0")).status == 404
            assert (await own.make("file-0")).status == 404
            own.headers = mine
            assert (await own.get(path)).status == 200
            row = (await own.calls())[str(within(call, "a"))]
            assert (row["key_id"], row["labels"]) == (mine_id, '{"team":"mine"}')

    asyncio.run(play())


def test_answers_of_a_batch_that_was_made_elsewhere_are_booked_once_too(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as own:
            own.provider.files["f"] = json.dumps({"custom_id": "a", "body": {"model": "gpt-4o"}}).encode()
            own.provider._made({"input_file_id": "f"}, is_messages=False)
            for _ in range(2):
                assert (await own.get("/v1/files/out-batch_0/content")).status == 200
            found = await own.calls()
            assert [row["cost_nano"] for row in found.values() if row["endpoint"] == "batch.answer"] == [
                ONE_NANO
            ]

    asyncio.run(play())


def test_the_answer_to_a_call_one_by_one_costs_twice_as_much(tmp_path: Path) -> None:
    async def play() -> None:
        async with house(tmp_path) as own:
            answer = await ask(own.gateway, b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}')
            assert answer.headers["flatfare-cost"] == f"{2 * ONE_NANO / 1e9:.9f}"

    asyncio.run(play())


GEMINI_LINE = (
    b'{"key": "one", "response": {"candidates": [{"content": {"parts": [{"text": "Hi"}]}}], '
    b'"modelVersion": "gemini-2.5-flash", "usageMetadata": {"promptTokenCount": 1000, '
    b'"candidatesTokenCount": 100, "totalTokenCount": 1100}}}\n'
)
GEMINI_OPERATION = (
    b'{"name": "batches/b1", "done": true, "metadata": {"model": "models/gemini-2.5-flash"}, "response": '
    b'{"inlinedResponses": {"inlinedResponses": [' + GEMINI_LINE.strip() + b"]}}}"
)


async def fetched_from_gemini(folder: Path, path: str, answer: bytes) -> list[dict[str, object]]:
    """The rows after a batch's answers were fetched three times."""

    async def script(asked: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(answer))

    async with upstream() as provider:
        provider.script = script
        place = f"http://127.0.0.1:{provider.port}"
        gemini = {"gemini": Provider("gemini", place, "gemini", Secret("k"))}
        async with serving(settings_for(folder, provider.port, providers=gemini)) as gateway:
            for _ in range(3):
                assert (await ask(gateway, b"", "", path, "GET")).status == 200
            return [row for row in await rows(gateway) if row["n"] == 1]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/gemini/v1beta/files/out1:download?alt=media", GEMINI_LINE * 2),
        ("/gemini/v1beta/batches/b1", GEMINI_OPERATION),
    ],
)
def test_answers_that_are_read_in_one_sum_cost_once_however_often_they_are_fetched(
    tmp_path: Path, path: str, answer: bytes
) -> None:
    found = asyncio.run(fetched_from_gemini(tmp_path, path, answer))
    costs = sorted(int(str(row["cost_nano"])) for row in found)
    assert len(costs) == 4
    assert costs[:3] == [0, 0, 0]
    assert costs[3] > 0
    (call,) = (row for row in found if row["cost_nano"])
    assert (call["endpoint"], call["service_tier"]) == ("batch.answer", "batch")
