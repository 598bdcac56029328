"""A first budget, as somebody who has never used Flatfare meets it: set it, burn it, hear of it, see who did,
top it up. Every step is a command or a call of an SDK's shape, in processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.rig import Provider, Request, Seen, ask, asking, whole
from tests.gateway.rig_gateway import ROOT, Gateway, serving
from tests.gateway.rig_pair import CHAT, until

HOOKS = "hooks.example"
ASKED = b'{"model":"gpt-4","max_tokens":4000,"messages":[{"role":"user","content":"Write a long poem."}]}'
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_795_000_000,
    "model": "gpt-4-0613",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Roses are red"}}
    ],
    "usage": {"prompt_tokens": 20, "completion_tokens": 4000, "total_tokens": 4020},
}
COST = 20 * 30_000 + 4000 * 60_000  # nano-dollars: gpt-4 at $30 and $60 a million


def answer(request: Request) -> tuple[bytes, ...]:
    found = whole(json.dumps(ANSWER).encode() if request.path.startswith("/v1") else b"{}")
    assert all(isinstance(part, bytes) for part in found)
    return found  # type: ignore[return-value]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Provider, Gateway]]:
    """A provider that answers dearly, and ``flatfare serve`` before it, which tells a webhook of alerts."""
    with Provider(answer) as provider:
        channel = {
            "url": provider.url(HOOKS, "/told"),
            "secret": "whsec_" + "c2VjcmV0" * 4,
            "allow_private": True,
        }
        with serving(tmp_path, provider, ["api.openai.com"], 2, alerts={"ops": channel}) as gateway:
            yield provider, gateway


def flatfare(gateway: Gateway, *words: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "flatfare", *words, "--config", str(gateway.folder / "flatfare.yaml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=gateway.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def call(gateway: Gateway, secret: str) -> Seen:
    return ask(gateway.port, asking("POST", CHAT, ASKED, [("authorization", f"Bearer {secret}")]), 30.0)


def told(provider: Provider) -> list[str]:
    """What the webhook was told."""
    return [request.body.decode() for request in provider.log if request.path == "/told"]


def test_a_five_dollar_budget_is_set_burned_told_of_explained_and_topped_up(
    place: tuple[Provider, Gateway],
) -> None:
    provider, gateway = place
    ann = json.loads(flatfare(gateway, "keys", "create", "--name", "ann", "--json"))
    bob = json.loads(flatfare(gateway, "keys", "create", "--name", "bob", "--json"))

    assert "$5.00 per month" in flatfare(gateway, "budgets", "create", "--name", "mine", "--amount", "5.00")
    gateway.wait_for_key(bob["key"])
    time.sleep(1.0)

    burned = [call(gateway, ann["key"]).status for _ in range(4)]
    refused = None
    while refused is None:
        seen = call(gateway, bob["key"])
        burned.append(seen.status)
        refused = seen if seen.status != 200 else None
        assert len(burned) < 40
    spent = (len(burned) - 1) * COST
    assert 4.5 * 10**9 < spent <= 5 * 10**9, "nearly all of it, and no more"
    assert refused.status == 429
    message = json.loads(refused.body)["error"]["message"]
    assert message.startswith("The budget 'mine' has $")
    assert "To raise it: flatfare budgets top-up mine" in message

    until(lambda: sum("has reached 90 %" in one for one in told(provider)) == 1, 15, "nobody was told")
    alerts = [json.loads(line) for line in flatfare(gateway, "alerts", "list", "--json").splitlines()]
    said = {one["data"]["percent"]: one for one in alerts if one["kind"] == "budget.crossed"}
    assert sorted(said) == [50, 75, 90]
    top = said[90]["data"]["top"]
    assert (top[0]["key"], top[0]["model"]) == (bob["id"], "gpt-4-0613"), "who burned it"

    until(lambda: gateway.open_calls() == 0, 10)
    report = json.loads(flatfare(gateway, "report", "--by", "key", "--json"))
    spend = {row["key"]: row["spend"] for row in report["rows"] if row.get("key")}
    assert spend[ann["id"]] == f"{4 * COST / 10**9:.9f}"
    assert max(spend, key=lambda key: float(spend[key])) == bob["id"]

    flatfare(gateway, "budgets", "top-up", "mine", "5.00", "--reason", "one more poem")
    time.sleep(1.0)
    assert call(gateway, bob["key"]).status == 200
    shown = json.loads(flatfare(gateway, "budgets", "show", "mine", "--json"))
    assert shown["subjects"][0]["limit"] == "10.000000000"
    assert shown["top_ups"][0]["reason"] == "one more poem"
    flatfare(gateway, "audit", "verify")
