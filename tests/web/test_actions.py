"""Actions over HTTP: published and run, waited for or followed, each for whom it is meant."""

import asyncio
import html
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.core import webhook
from flatfare.core.identity import derived
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.store import runs
from flatfare.store.book import open_book
from flatfare.store.runs import Run, State
from flatfare.web.access import Door
from flatfare.web.application import application
from tests.runner.rig import EMAIL, EXAMPLES, Model, provided, settings_for, stock

TOKEN = "the-token-of-this-start"
LOCAL = "http://localhost:4180"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEPT = (EXAMPLES / "names-and-dates.yaml").read_text().replace("names-and-dates", "kept-names") + (
    "privacy: {keep: 24h}\n"
)
MANAGES = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def settings(tmp_path: Path, model: Model) -> Iterator[Settings]:
    with provided(model) as port:
        found = settings_for(tmp_path, port)
        stock(found, KEPT)
        yield found


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    app = application(settings, Door(TOKEN, is_loopback=True))
    with TestClient(app, base_url=LOCAL, headers=MANAGES) as client:
        yield client


def ask(client: TestClient, body: dict[str, Any], action: str = "names-and-dates", **headers: str) -> Any:
    return client.post(f"/api/actions/{action}/runs", json=body, headers=headers)


def test_the_operator_sees_what_is_published_and_all_of_it(client: TestClient) -> None:
    listed = client.get("/api/actions").json()["actions"]
    assert [one["name"] for one in listed][:2] == ["contract-review", "invoice-extraction"]
    shown = client.get("/api/actions/contract-review").json()
    assert shown["price"]["per_verified"] == "5.00"
    assert shown["ladder"][0]["model"] == "openai/gpt-5-mini"


def test_a_run_that_is_waited_for_comes_with_its_receipt(client: TestClient) -> None:
    answer = ask(client, {"input": {"email": EMAIL}, "customer": "acme"})
    assert answer.status_code == 200
    run = answer.json()
    assert (run["outcome"], run["settlement"]) == ("verified", "settled")
    assert "Ann Smith" in run["output"]["people"]
    receipt = run["receipt"]
    assert receipt["billed"]["amount"] == "1.000000000"
    assert {said["verifier"] for said in receipt["verdicts"]} == {"output-schema", "stand-in-the-email"}
    assert receipt["operator"]["path"][0]["rung"] == "low"
    assert client.get(f"/api/runs/{run['id']}").json()["receipt"]["billed"] == receipt["billed"]


def test_the_same_key_is_the_same_run_and_another_input_a_conflict(client: TestClient, model: Model) -> None:
    first = ask(client, {"input": {"email": EMAIL}, "customer": "acme"}, **{"Idempotency-Key": "k1"}).json()
    again = ask(client, {"input": {"email": EMAIL}, "customer": "acme", "id": "k1"}).json()
    assert again["id"] == first["id"]
    assert len(model.asked) == 1
    other = ask(client, {"input": {"email": "Ann Smith"}, "customer": "acme", "id": "k1"})
    assert other.status_code == 409


def test_what_cannot_be_run_is_a_problem_and_moves_no_money(client: TestClient, model: Model) -> None:
    for body, status in (
        ({"input": {"mail": EMAIL}, "customer": "acme"}, 400),
        ({"input": {"email": EMAIL}, "customer": "nobody"}, 404),
        ({"input": {"email": "x" * 200_000}, "customer": "acme"}, 413),
        ({"input": {"email": EMAIL}, "wait": False}, 400),
        ({"input": {"email": EMAIL}, "webhook": {"url": "https://example.com", "secret": SECRET}}, 400),
    ):
        answer = ask(client, body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert ask(client, {"input": {}}, "no-such-action").status_code == 404
    assert model.asked == []


def test_who_has_no_credit_left_is_told_before_anything_is_done(client: TestClient, model: Model) -> None:
    from flatfare.service import selling

    settings = client.app.state.workshop._settings  # type: ignore[attr-defined]
    with open_book(settings.database) as book:
        selling.customers.create(book, name="broke", at_us=time.time_ns() // 1000, by_whom="test")
    answer = ask(client, {"input": {"email": EMAIL}, "customer": "broke", "id": "k"})
    assert answer.status_code == 402
    why = answer.json()["detail"]
    assert "Top it up" in why
    assert model.asked == []
    (run,) = client.get("/api/runs").json()["runs"]
    assert (run["state"], run["ending"], run["reasons"]) == ("refused", None, [why])
    assert client.get(f"/api/runs/{run['id']}").json() == run
    events = client.get(f"/api/runs/{run['id']}/events").text
    assert events.startswith("event: refused\n")
    for place in ("/actions/names-and-dates", f"/runs/{run['id']}"):
        page = client.get(place).text
        assert "refused" in page
        assert html.escape(why) in page
        assert "What the verifiers said" not in page


def test_a_run_that_is_not_waited_for_is_followed_to_its_end(client: TestClient) -> None:
    answer = ask(
        client, {"input": {"email": EMAIL}, "customer": "acme"}, "kept-names", Prefer="respond-async"
    )
    assert answer.status_code == 202
    place = answer.headers["location"]
    events = client.get(f"{place}/events").text
    assert [line[7:] for line in events.splitlines() if line.startswith("event: ")] == [
        *("held", "attempt_started", "attempt_ended", "judged", "done")
    ]
    run = client.get(place).json()
    assert (run["state"], run["outcome"], run["output_kept"]) == ("done", "verified", True)
    assert run["output"]["people"]
    assert [one["output"] for one in client.get("/api/runs").json()["runs"]] == [None]


def test_the_end_of_a_run_is_told_by_a_signed_webhook(settings: Settings) -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = {"url": f"http://127.0.0.1:{server.server_port}/hook", "secret": SECRET}
    body = {"input": {"email": EMAIL}, "customer": "acme", "wait": False, "webhook": hook}
    app = application(settings, Door(TOKEN, is_loopback=True))
    with TestClient(app, base_url=LOCAL, headers=MANAGES) as client:
        refused = ask(client, body, "kept-names")
        assert refused.status_code == 403
        assert "inside the own network" in refused.json()["detail"]
    app = application(replace(settings, private_webhooks=True), Door(TOKEN, is_loopback=True))
    with TestClient(app, base_url=LOCAL, headers=MANAGES) as client:
        run = ask(client, body, "kept-names").json()
        waited = time.monotonic()
        while not got and time.monotonic() - waited < 10:
            time.sleep(0.05)
    server.shutdown()
    server.server_close()
    headers, raw = got[0]
    assert webhook.check(headers, raw, [SECRET], now_s=int(time.time())) == run["id"]
    told = json.loads(raw)
    assert (told["type"], told["data"]["outcome"]) == ("run.done", "verified")
    assert "operator" not in told["data"]["receipt"]


def test_a_customers_key_runs_for_that_customer_and_sees_no_cost(
    client: TestClient, settings: Settings
) -> None:
    now = time.time_ns() // 1000
    with open_book(settings.database) as book:
        own = Terms("acme-key", project="acme", labels={"customer": "acme", "team": "legal"})
        secret = issuing.create(book, own, at_us=now, by_whom="test").secret
        other = issuing.create(book, Terms("other", project="other"), at_us=now, by_whom="test").secret
    mine, theirs = ({"Authorization": f"Bearer {one}"} for one in (secret, other))
    assert ask(client, {"input": {"email": EMAIL}, "customer": "umbrella"}, **mine).status_code == 403
    run = ask(client, {"input": {"email": EMAIL}}, **mine).json()
    assert (run["customer"], run["settlement"]) == ("acme", "settled")
    assert "operator" not in run["receipt"]
    shown = client.get("/api/actions/names-and-dates", headers=mine).json()
    assert "ladder" not in shown
    assert "steps" not in shown
    assert client.get(f"/api/runs/{run['id']}", headers=mine).status_code == 200
    assert client.get(f"/api/runs/{run['id']}", headers=theirs).status_code == 404
    assert client.get("/api/runs", headers=theirs).json()["runs"] == []
    assert len(client.get("/api/runs", headers=mine).json()["runs"]) == 1


def test_an_action_is_published_over_http_or_told_what_is_wrong(client: TestClient) -> None:
    text = (
        (EXAMPLES / "names-and-dates.yaml")
        .read_text()
        .replace("action: names-and-dates", "action: more-names")
    )
    wrong = text.replace("effort: minimal", "effort: huge")
    found = client.post("/api/actions/check", json={"text": wrong, "file": "n.yaml"}).json()
    assert found["problems"][0].startswith("n.yaml:34: Found 'huge' as 'effort'")
    assert client.post("/api/actions", json={"text": wrong}).status_code == 400
    assert client.post("/api/actions", json={"text": text}).status_code == 201
    assert client.post("/api/actions", json={"text": text}).status_code == 201
    changed = client.post("/api/actions", json={"text": text.replace('"1.00"', '"2.00"')})
    assert changed.status_code == 409
    assert "a published version never changes" in changed.json()["detail"]


def test_a_version_to_come_is_listed_and_neither_quoted_nor_run(client: TestClient) -> None:
    text = (EXAMPLES / "names-and-dates.yaml").read_text().replace("version: 1", "version: 2")
    dearer = {"text": text.replace('"1.00"', '"2.00"'), "valid_from": "2100-01-01T00:00:00Z"}
    made = client.post("/api/actions", json=dearer)
    assert (made.status_code, made.json()["valid_from"]) == (201, "2100-01-01T00:00:00Z")
    listed = {one["name"]: one for one in client.get("/api/actions").json()["actions"]}["names-and-dates"]
    assert (listed["version"], listed["to_come"][0]["version"]) == (1, 2)
    assert client.get("/api/actions/names-and-dates").json()["version"] == 1
    asked = {"customer": "acme", "action": "names-and-dates"}
    quote = client.post("/api/quotes", json=asked).json()
    assert (quote["action_version"], quote["amount"]) == ("1", "1.000000000")
    assert client.post("/api/quotes", json=asked | {"version": "2"}).status_code == 409
    run = client.post("/api/actions/names-and-dates/runs", json={"input": {}, "version": 2})
    assert run.status_code == 409
    page = client.get("/actions/names-and-dates").text
    assert "To come: version 2" in page
    assert "2100-01-01" in page
    assert "from 2100-01-01" in client.get("/actions").text


def test_a_run_that_a_former_process_left_is_looked_after_at_the_start(settings: Settings) -> None:
    left = Run(
        id=str(derived("left", "1")),
        action="names-and-dates",
        action_version=1,
        task_id=str(derived("left", "1")),
        state=State.ACCEPTED,
        input_hash="x",
        started_at_us=1_790_000_000_000_000,
        owner="gone/1/1/1",
    )
    with open_book(settings.database) as book:
        runs.insert(book, left)
    app = application(settings, Door(TOKEN, is_loopback=True))
    with TestClient(app, base_url=LOCAL, headers=MANAGES) as client:
        waited = time.monotonic()
        while time.monotonic() - waited < 15:
            run = client.get(f"/api/runs/{left.id}").json()
            if run["state"] == "done":
                break
            time.sleep(0.1)
    assert (run["state"], run["ending"]) == ("done", "interrupted")


@pytest.mark.parametrize(("key", "settlement"), [(None, "reversed"), ("k9", "settled")])
def test_who_leaves_before_the_result_is_there_is_billed_only_if_they_can_ask_again(
    settings: Settings, model: Model, key: str | None, settlement: str
) -> None:
    model.think_s = 0.6
    app = application(settings, Door(TOKEN, is_loopback=True))
    body = json.dumps({"input": {"email": EMAIL}, "customer": "acme", "id": key}).encode()
    sent: list[Any] = []

    async def ask_and_leave() -> None:
        messages: list[Any] = [
            {"type": "http.request", "body": body, "more_body": False},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Any:
            if len(messages) == 1:
                await asyncio.sleep(0.3)
            return messages.pop(0) if messages else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/actions/names-and-dates/runs",
            "raw_path": b"/api/actions/names-and-dates/runs",
            "query_string": b"",
            "headers": [
                (b"host", b"localhost:4180"),
                (b"content-type", b"application/json"),
                (b"authorization", f"Bearer {TOKEN}".encode()),
            ],
            "app": app,
        }
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    asyncio.run(ask_and_leave())
    assert sent == []
    with open_book(settings.database) as book:
        run = runs.listed(book)[0]
        assert book.value("SELECT settlement FROM tasks WHERE id = ?", (run.task_id,)) == settlement
