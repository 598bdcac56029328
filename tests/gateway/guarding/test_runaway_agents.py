"""A model that asks for the same tool for ever, on the providers' own SDKs: it is stopped, and says why."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flatfare.core.budget import Budget, Scope, Window
from flatfare.service.budgets import budgeting, guarding
from flatfare.store.book import open_book
from tests.gateway.rig import whole
from tests.gateway.rig_pair import Pair, pair, until

openai = pytest.importorskip("openai", reason="needs the SDK `openai` (dependency group test)")
anthropic = pytest.importorskip("anthropic", reason="needs the SDK `anthropic` (dependency group test)")

pytestmark = pytest.mark.filterwarnings("ignore")

TURNS_MAX = 200
"""So many turns an agent would take here if nobody stopped it."""

OPENAI_TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}
ANTHROPIC_TOOL = {
    "name": "look",
    "description": "looks",
    "input_schema": {"type": "object", "properties": {}},
}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_795_000_000,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
                ],
            },
        }
    ],
    "usage": {"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 400, "output_tokens": 100},
}
COST_NANO = {"openai": 400 * 2500 + 100 * 10_000, "anthropic": 400 * 3000 + 100 * 15_000}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    def answer(request: Any) -> Any:
        return whole(json.dumps(MESSAGE if "/messages" in request.path else CHAT).encode())

    with (
        pair(tmp_path_factory.mktemp("agents"), "api.openai.com", "api.anthropic.com", workers=2) as opened,
        opened.provider.answers(answer),
    ):
        yield opened


def openai_agent(both: Pair, labels: dict[str, str]) -> Callable[[], object]:
    """An agent that uses tools until it is done, and never is; what it was told in the end."""

    def run() -> object:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{both.gateway.port}/v1", api_key=both.secret)
        messages: list[Any] = [{"role": "user", "content": "Find the file."}]
        for _ in range(TURNS_MAX):
            answer = client.chat.completions.create(
                model="gpt-4o", messages=messages, tools=[OPENAI_TOOL], max_tokens=200, extra_headers=labels
            )
            said = answer.choices[0].message
            messages.append(said.model_dump(exclude_none=True))
            messages += [
                {"role": "tool", "tool_call_id": call.id, "content": "not found"} for call in said.tool_calls
            ]
        return None

    return run


def anthropic_agent(both: Pair, labels: dict[str, str]) -> Callable[[], object]:
    def run() -> object:
        client = anthropic.Anthropic(
            base_url=f"http://127.0.0.1:{both.gateway.port}/anthropic", api_key=both.secret
        )
        messages: list[Any] = [{"role": "user", "content": "Find the file."}]
        for _ in range(TURNS_MAX):
            answer = client.messages.create(
                model="claude-sonnet-4-5",
                messages=messages,
                tools=[ANTHROPIC_TOOL],
                max_tokens=200,
                extra_headers=labels,
            )
            messages.append({"role": "assistant", "content": [one.model_dump() for one in answer.content]})
            results = [
                {"type": "tool_result", "tool_use_id": one.id, "content": "not found"}
                for one in answer.content
                if one.type == "tool_use"
            ]
            messages.append({"role": "user", "content": results})
        return None

    return run


AGENTS = {
    "openai": (openai_agent, openai.RateLimitError),
    "anthropic": (anthropic_agent, anthropic.RateLimitError),
}


def shown(error: Any) -> str:
    """What an application shows a person of the SDK's error."""
    body = error.body
    return str(body["message"] if "message" in body else body["error"]["message"])


def spent(both: Pair, task: str) -> int:
    def is_booked() -> bool:
        return both.gateway.open_calls() == 0

    time.sleep(0.3)
    until(is_booked, 10)
    return sum(row["cost_nano"] for row in both.gateway.rows("labels LIKE ?", f"%{task}%"))


@pytest.mark.parametrize("name", AGENTS)
def test_a_looping_agent_is_stopped_within_its_tasks_budget(both: Pair, name: str) -> None:
    make, error = AGENTS[name]
    limit = 12 * COST_NANO[name]
    wanted = Budget("", f"{name} task", Scope("task", "*"), limit, Window.of("lifetime"), contact="ann")
    with open_book(str(both.gateway.book)) as book:
        budgeting.create(book, wanted, at_us=1, by_whom="test")
    both.wait_until_noticed()
    try:
        task = f"budget-{name}"
        agent = make(both, {"flatfare-task": task, "flatfare-labels": f"run={task}"})
        with pytest.raises(error) as caught:
            agent()
        assert shown(caught.value).startswith(f"The budget '{name} task' of task ")
        assert shown(caught.value).endswith("Ask ann.")
        assert 3 * COST_NANO[name] <= spent(both, task) <= limit
    finally:
        with open_book(str(both.gateway.book)) as book:
            budgeting.remove(book, f"{name} task", at_us=2, by_whom="test")
        both.wait_until_noticed()


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize(
    ("terms", "turns", "said"),
    [
        ({"kind": "calls", "at_most": 8, "per": "task"}, 8, "has made 8 calls. The guard"),
        (
            {"kind": "steps", "at_most": 6},
            7,
            "The model has taken 7 steps in this request since somebody last spoke.",
        ),
        ({"kind": "repeat", "at_most": 3, "per": "task"}, 4, "has made the same request 3 times within 10m."),
        ({"kind": "tokens", "at_most": 2500}, 5, "has used 2,500 tokens."),
        (
            {"kind": "context", "at_most": 400, "least": 5, "action": "stop"},
            4,
            "has sent more with each of its last 5 calls",
        ),
    ],
)
def test_a_looping_agent_is_stopped_by_a_guard_and_says_which(
    both: Pair, name: str, terms: dict[str, object], turns: int, said: str
) -> None:
    make, error = AGENTS[name]
    task = f"{terms['kind']}-{name}"
    with open_book(str(both.gateway.book)) as book:
        wanted = guarding.guard_of(task, {"scope": f"run={task}", **terms})
        guarding.create(book, wanted, at_us=1, by_whom="test")
    both.wait_until_noticed()
    before = len(both.provider.log)
    agent = make(both, {"flatfare-task": task, "flatfare-session": task, "flatfare-labels": f"run={task}"})
    with pytest.raises(error) as caught:
        agent()
    assert said in shown(caught.value)
    assert task in shown(caught.value)
    if terms.get("per") == "task":
        assert f"The task '{task}'" in shown(caught.value), "as its client named it"
    assert caught.value.response.headers["flatfare-guard"] == task
    assert len(both.provider.log) - before == turns
