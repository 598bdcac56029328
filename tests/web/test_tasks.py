"""Tasks over HTTP: told by a key, read by who may, the same figures as the command line."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.store.book import open_book
from flatfare.web.access import Door
from flatfare.web.application import application

TOKEN = "the-token-of-this-start"
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=f"sqlite:///{tmp_path}/book.db", lake=f"{tmp_path}/lake")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    app = application(settings, Door(TOKEN, is_loopback=True))
    with TestClient(app, base_url="http://localhost:4180", raise_server_exceptions=False) as client:
        yield client


def event(kind: str, **said: object) -> dict[str, object]:
    return {"event": kind, "id": str(uuid.uuid4()), "task": "t-1", "at": "2026-11-01T12:00:00Z", **said}


def verdict(**said: object) -> dict[str, object]:
    return event(
        "judged", **{"verifier": "tests", "version": "1", "judgement": "pass", "evidence": "x", **said}
    )


def test_a_key_tells_and_the_operator_reads(client: TestClient, settings: Settings) -> None:
    with open_book(settings.database) as book:
        terms = Terms("svc", project="shop", labels={"team": "search"})
        secret = issuing.create(book, terms, at_us=1_790_000_000_000_000, by_whom="test").secret
    events = [
        event("opened", name="review", labels={"team": "stolen", "step": "a"}),
        verdict(),
        {"event": "x"},
    ]
    answer = client.post(
        "/api/events", json={"events": events}, headers={"Authorization": f"Bearer {secret}"}
    )
    assert answer.status_code == 200
    assert (answer.json()["recorded"], answer.json()["refused"][0]["index"]) == (2, 2)
    found = client.get("/api/tasks?filter=action=review", headers=OPERATOR).json()["tasks"]
    assert [(one["outcome"], one["external_id"]) for one in found] == [("verified", "t-1")]
    assert found[0]["labels"] == {"team": "search", "step": "a"}  # the key's word is the last
    told = client.get(f"/api/tasks/{found[0]['task']}", headers=OPERATOR).json()
    assert [move["to"] for move in told["moves"]] == ["verified"]
    assert told["verdicts"][0]["verifier"] == "tests"
    assert told["chain_holds"] is True
    refused = client.get("/api/tasks", headers={"Authorization": f"Bearer {secret}"})
    assert refused.status_code == 403


def test_sent_again_it_is_known(client: TestClient) -> None:
    body = {"events": [event("opened"), verdict()]}
    assert client.post("/api/events", json=body, headers=OPERATOR).json()["recorded"] == 2
    assert client.post("/api/events", json=body, headers=OPERATOR).json()["known"] == 2


def test_a_definition_is_put_in_force_by_who_may(client: TestClient, settings: Settings) -> None:
    document = {"definition": {"action": "review", "verifiers": ["tests", "judge"]}}
    assert client.post("/api/definitions", json=document).status_code == 401
    assert client.post("/api/definitions", json=document, headers=OPERATOR).json()["version"] == 1
    assert client.get("/api/definitions", headers=OPERATOR).json()["definitions"][0]["action"] == "review"
    bad = client.post("/api/definitions", json={"definition": {"action": ""}}, headers=OPERATOR)
    assert (bad.status_code, "as action" in bad.json()["detail"]) == (400, True)


def test_a_task_nobody_told_of_is_not_found(client: TestClient) -> None:
    answer = client.get("/api/tasks/nothing", headers=OPERATOR)
    assert answer.status_code == 404


@pytest.mark.parametrize("query", ["sort=colour", "limit=0", "filter=model=gpt", "filter=nothing"])
def test_a_question_that_cannot_be_asked(client: TestClient, query: str) -> None:
    client.post("/api/events", json={"events": [event("opened")]}, headers=OPERATOR)
    assert client.get(f"/api/tasks?{query}", headers=OPERATOR).status_code == 400
