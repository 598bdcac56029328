"""Sales over HTTP: programs that do the work themselves quote, hold, settle and reverse, each once."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flatfare.config import Settings
from tests.web.conftest import calling


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(database=f"sqlite:///{tmp_path}/book.db", lake=f"{tmp_path}/lake")
    with calling(settings) as client:
        assert client.post("/api/customers", json={"name": "acme"}).status_code == 201
        assert client.post("/api/customers/acme/payments", json={"amount": "20"}).status_code == 201
        definition = {"action": "review", "verifiers": ["tests"]}
        assert client.post("/api/definitions", json={"definition": definition}).status_code == 201
        yield client


def told(client: TestClient, task: str, what: str, **more: object) -> None:
    event = {"event": what, "id": str(uuid.uuid4()), "task": task, **more}
    answer = client.post("/api/events", json={"events": [event]})
    assert answer.json()["refused"] == [], answer.json()


def judged(client: TestClient, task: str, judgement: str = "pass") -> None:
    told(
        client,
        task,
        "judged",
        verifier="tests",
        version="1",
        kind="code",
        judgement=judgement,
        evidence_hash="e" * 64,
    )


def held(client: TestClient, task: str, price: object = "5.00") -> dict:
    told(client, task, "opened", name="review", labels={"customer": "acme"})
    asked = {"customer": "acme", "action": "review", "price": price}
    quote = client.post("/api/quotes", json=asked, headers={"Idempotency-Key": f"quote {task}"})
    assert quote.status_code == 201, quote.json()
    answer = client.post("/api/holds", json={"task": task, "quote": quote.json()["id"]})
    assert answer.status_code == 201, answer.json()
    found: dict = answer.json()
    return found


def wallet(client: TestClient) -> str:
    return str(client.get("/api/customers/acme").json()["wallet"])


def test_a_sale_from_quote_to_reversal_each_step_twice(client: TestClient) -> None:
    task = "order 17"
    first = held(client, task)
    quoted = client.post(
        "/api/quotes",
        json={"customer": "acme", "action": "review", "price": "5.00"},
        headers={"Idempotency-Key": f"quote {task}"},
    ).json()
    assert client.get(f"/api/quotes/{quoted['id']}").json() == quoted
    again = client.post("/api/holds", json={"task": task, "quote": quoted["id"]})
    assert (again.status_code, again.json()["task"]) == (201, first["task"])
    assert (again.json()["settlement"], wallet(client)) == ("held", "15.000000000")

    open_still = client.post(f"/api/holds/{task}/settle", json={})
    assert (open_still.status_code, "is open" in open_still.json()["detail"]) == (409, True)
    judged(client, task)
    costs = {"work": "0.40", "verification": "0.05"}
    for _ in range(2):
        done = client.post(f"/api/holds/{task}/settle", json={"costs": costs}).json()
        assert (done["settlement"], done["settled"], done["margin"]) == (
            "settled",
            "5.000000000",
            "4.550000000",
        )
    for _ in range(2):
        part = client.post(
            f"/api/sales/{task}/reverse",
            json={"reason": "late", "amount": "1.50"},
            headers={"Idempotency-Key": "late 17"},
        ).json()
        assert (part["settlement"], part["net"], wallet(client)) == ("settled", "3.500000000", "16.500000000")
    rest = client.post(f"/api/sales/{task}/reverse", json={"reason": "reopened", "id": str(uuid.uuid4())})
    assert (rest.json()["settlement"], wallet(client)) == ("reversed", "20.000000000")
    assert client.get(f"/api/sales/{first['task']}").json() == rest.json()
    verbs = [one["verb"] for one in client.get(f"/api/ledger/entries?task={first['task']}").json()["entries"]]
    assert verbs == ["hold", "settle", "reverse", "reverse"]


def test_what_is_not_verified_is_voided_and_costs_all_the_same(client: TestClient) -> None:
    held(client, "t")
    judged(client, "t", "fail")
    refused = client.post("/api/holds/t/settle", json={})
    assert (refused.status_code, "only verified work is billed" in refused.json()["detail"]) == (409, True)
    for _ in range(2):
        done = client.post("/api/holds/t/void", json={"reason": "failed", "costs": {"work": "0.30"}})
        assert (done.json()["settlement"], done.json()["margin"]) == ("voided", "-0.300000000")
    assert wallet(client) == "20.000000000"
    assert client.post("/api/holds/t/settle", json={}).status_code == 409
    assert client.post("/api/sales/t/reverse", json={"reason": "x"}).status_code == 409


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/api/quotes", {"customer": "acme", "action": "review"}, 404, "No action 'review' is published"),
        ("/api/quotes", {"customer": "nobody", "action": "x", "price": "1"}, 404, "no customer 'nobody'"),
        ("/api/quotes", {"customer": "acme", "action": "x", "price": "€1"}, 400, "books are in USD"),
        ("/api/quotes", {"customer": "acme", "action": "x", "price": {"per": "1"}}, 400, "no such field"),
        ("/api/quotes", {"customer": "acme", "action": "x", "price": "1", "valid_s": 0}, 400, "valid_s"),
        ("/api/quotes", {"customer": "acme", "action": "x", "version": "v2"}, 400, "whole numbers"),
        ("/api/quotes", {"customer": "acme", "action": "x", "price": "1", "id": "7"}, 400, "expected a UUID"),
        ("/api/holds", {"task": "t", "quote": "x"}, 404, "POST /api/quotes"),
        ("/api/holds/t/settle", {}, 404, "There is no sale"),
        ("/api/holds/unknown/settle", {}, 404, "There is no task"),
        ("/api/holds/t/void", {"reason": " "}, 400, "Found no reason"),
        ("/api/sales/t/reverse", {"reason": "x"}, 404, "nothing was held"),
    ],
)
def test_what_cannot_be_is_said(client: TestClient, path: str, body: dict, status: int, says: str) -> None:
    told(client, "t", "opened", name="review")
    answer = client.post(path, json=body)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.json()


def test_more_than_there_is_cannot_be_held(client: TestClient) -> None:
    told(client, "t", "opened", name="review")
    quote = client.post("/api/quotes", json={"customer": "acme", "action": "x", "price": "20.01"}).json()
    answer = client.post("/api/holds", json={"task": "t", "quote": quote["id"]})
    assert (answer.status_code, wallet(client)) == (402, "20.000000000")


def test_a_customer_s_key_buys_for_itself_and_decides_nothing(client: TestClient) -> None:
    def key(**labels: str) -> dict[str, str]:
        made = client.post("/api/keys", json={"name": f"k{len(labels)}", "labels": labels}).json()
        return {"Authorization": f"Bearer {made['key']}"}

    own, worker = key(customer="acme"), key()
    told(client, "t", "opened", name="review")
    priced = {"customer": "acme", "action": "review", "price": "0.01"}
    assert client.post("/api/quotes", json=priced, headers=own).status_code == 403
    other = {"customer": "bolt", "action": "review"}
    assert client.post("/api/quotes", json=other, headers=own).status_code == 403
    assert client.post("/api/quotes", json=priced, headers=worker).status_code == 201
    for path, body in (("settle", {}), ("void", {"reason": "x"})):
        assert client.post(f"/api/holds/t/{path}", json=body, headers=own).status_code == 403
    assert client.post("/api/sales/t/reverse", json={"reason": "x"}, headers=worker).status_code == 403


def test_a_plan_is_offered_and_assigned_and_its_price_is_quoted(client: TestClient) -> None:
    plan = {"plan": "trade", "prices": {"review": "3.00"}}
    for _ in range(2):
        made = client.post("/api/plans", json={"plan": plan})
        assert (made.status_code, made.json()["version"]) == (201, 1)
    assert client.post("/api/plans", json={"plan": {"plan": "x"}, "since": "2001-01-01"}).status_code == 400
    on = client.post("/api/customers/acme/plan", json={"plan": "trade"})
    assert on.json() == {"customer": "acme", "plan": "trade"}
    text = (
        "action: review\nversion: 1\ndescription: Reviews.\ninput: {type: object}\n"
        "output: {type: object}\nsteps: [{name: a, run: [cat], files: []}]\n"
        'limits: {attempts: 1}\nprice: "5.00"\n'
    )
    published = client.post("/api/actions", json={"text": text})
    assert published.status_code == 201, published.json()
    quote = client.post("/api/quotes", json={"customer": "acme", "action": "review"})
    assert (quote.status_code, quote.json()["amount"]) == (201, "3.000000000")
    assert client.post("/api/customers/acme/plan", json={"plan": None}).status_code == 200
    assert client.post("/api/quotes", json={"customer": "acme", "action": "review"}).json()["amount"] == (
        "5.000000000"
    )


def test_what_is_owed_so_far_is_issued_and_paid_back_by_note(client: TestClient) -> None:
    client.post("/api/customers", json={"name": "bolt", "terms": "invoice"})
    told(client, "b", "opened", name="review")
    quote = client.post("/api/quotes", json={"customer": "bolt", "action": "review", "price": "5.00"}).json()
    client.post("/api/holds", json={"task": "b", "quote": quote["id"]})
    judged(client, "b")
    assert client.post("/api/holds/b/settle", json={}).json()["settlement"] == "settled"
    (kept,) = client.post("/api/invoices", json={"customer": "bolt", "so_far": True}).json()["invoices"]
    assert (kept["total"], kept["status"]) == ("5.000000000", "issued")
    again = client.post("/api/invoices", json={"customer": "bolt", "so_far": True}).json()
    assert again == {"invoices": []}
    for wrong in ({"so_far": True}, {}, {"customer": "bolt", "so_far": True, "month": "2026-10"}):
        assert client.post("/api/invoices", json=wrong).status_code == 400
    number, paid = kept["number"], {"id": str(uuid.uuid4())}
    foreign = client.post(f"/api/invoices/{number}/payments", json={**paid, "amount": "€5.00"})
    assert (foreign.status_code, "an amount in USD was expected" in foreign.text) == (400, True)
    assert client.post(f"/api/invoices/{number}/payments", json=paid).json()["status"] == "paid"
    asked = {"id": str(uuid.uuid4()), "amount": "2.00", "reason": "late"}
    note = client.post(f"/api/invoices/{number}/credit", json=asked).json()
    out = client.post(f"/api/invoices/{note['number']}/payout", json={"id": str(uuid.uuid4())})
    assert (out.status_code, out.json()["paid"]) == (200, "2.000000000")
    assert client.post(f"/api/invoices/{number}/payout", json={"id": str(uuid.uuid4())}).status_code == 409
