"""Signals over HTTP: from any host, without a key, believed for their signature alone."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from flatfare.cli.root import root
from flatfare.config import Settings
from flatfare.core import webhook
from flatfare.web.access import Door
from flatfare.web.application import application

TOKEN = "the-token-of-this-start"
MAPPING = "task: ticket\nsignals:\n- {signal: reopened, when: {type: reopened}}\n"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLATFARE_SECRET_KEY", base64.b64encode(bytes(32)).decode())
    Path("desk.yaml").write_text(MAPPING, encoding="utf-8")
    made = CliRunner().invoke(root, ["signals", "create-source", "desk", "--map", "desk.yaml", "--json"])
    assert made.exit_code == 0, made.output
    return str(json.loads(made.stdout)["secret"])


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(database=f"sqlite:///{tmp_path}/flatfare.db", lake=f"{tmp_path}/lake")
    app = application(settings, Door(TOKEN, is_loopback=True))
    with TestClient(app, base_url="https://hooks.example.org", raise_server_exceptions=False) as client:
        yield client


def signed(secret: str, body: bytes, message_id: str = "msg_1") -> dict[str, str]:
    return webhook.signed(message_id, int(time.time()), body, [secret])


def test_a_signed_message_is_taken_and_told_of(secret: str, client: TestClient) -> None:
    body = b'{"type": "reopened", "ticket": "17"}'
    for status in ("recorded", "known"):
        answer = client.post("/api/signals/desk", content=body, headers=signed(secret, body))
        assert (answer.status_code, answer.json()) == (
            200,
            {"message": "msg_1", "status": status, "signals": 1},
        )
    run = CliRunner()
    assert "recorded" in run.invoke(root, ["signals", "messages", "desk"]).stdout
    (row,) = (
        json.loads(line) for line in run.invoke(root, ["signals", "list", "--json"]).stdout.splitlines()
    )
    assert (row["source"], row["recorded"]) == ("desk", 1)
    assert "reopened" in run.invoke(root, ["tasks", "show", "17"]).stdout


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("/api/signals/desk", {"webhook-signature": "v1,AAAA"}, 401),
        ("/api/signals/nobody", {}, 401),
        ("/api/signals/desk", {"webhook-timestamp": "1"}, 401),
    ],
)
def test_what_is_not_believed_is_401(
    secret: str, client: TestClient, path: str, change: dict[str, str], status: int
) -> None:
    body = b'{"type": "reopened", "ticket": "17"}'
    answer = client.post(path, content=body, headers={**signed(secret, body), **change})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_message_without_its_task_is_400_and_one_that_is_too_long_is_not_read(
    secret: str, client: TestClient
) -> None:
    body = b'{"type": "reopened"}'
    assert client.post("/api/signals/desk", content=body, headers=signed(secret, body)).status_code == 400
    assert client.post("/api/signals/desk", content=b" " * (1024 * 1024 + 1)).status_code == 400


def test_a_signature_opens_nothing_else(secret: str, client: TestClient) -> None:
    body = b'{"task": "17", "output": "x"}'
    headers = {**signed(secret, body), "content-type": "application/json"}
    assert client.post("/api/reviews", content=body, headers=headers).status_code == 403  # a foreign host
    local = {**headers, "host": "localhost"}
    assert client.get("/api/signals", headers=local).status_code == 401  # it proves nothing here


def test_a_mapping_is_tried_on_a_message_without_recording(secret: str, tmp_path: Path) -> None:
    run = CliRunner()
    tried = ["signals", "try", "desk.yaml", "--message", "-"]
    assert run.invoke(root, tried, input='{"type": "reopened", "ticket": 17}').stdout == (
        "reopened of the task 17\n"
    )
    assert "Nothing" in run.invoke(root, tried, input="{}").stdout
    assert run.invoke(root, ["signals", "rotate", "desk"]).exit_code == 0
    assert run.invoke(root, ["signals", "map", "desk", "desk.yaml"]).exit_code == 0
    assert run.invoke(root, ["signals", "remove", "desk", "--reason", "over"]).exit_code == 0
    assert "No sources" in run.invoke(root, ["signals", "list"]).stdout
