"""Customers, packs and the ledger over HTTP: the verbs of the command line, once each."""

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
        yield client


def test_a_customer_pays_in_buys_a_pack_and_is_shown(client: TestClient) -> None:
    assert client.post("/api/customers", json={"name": "acme"}).status_code == 201
    assert client.post("/api/customers", json={"name": "acme"}).status_code == 409
    payment = {"amount": "50.00", "id": str(uuid.uuid4()), "reason": "bank 17"}
    for _ in range(2):  # the same payment, told twice
        answer = client.post("/api/customers/acme/payments", json=payment)
        assert answer.status_code == 201
        assert [one["amount"] for one in answer.json()["postings"]] == ["-50.000000000", "50.000000000"]
    assert client.post("/api/customers/acme/payments", json=payment | {"amount": "51"}).status_code == 409
    pack = {"name": "blog-10", "price": "20", "units": 10, "actions": ["blog-post"], "expires_days": 365}
    assert client.post("/api/packs", json=pack).status_code == 201
    bought = client.post("/api/customers/acme/grants", json={"pack": "blog-10"}).json()
    assert (bought["units"], bought["amount"], bought["category"]) == (10, "20.000000000", "paid")
    given = client.post("/api/customers/acme/grants", json={"amount": "5", "expires": "2100-01-01"}).json()
    assert (given["units"], given["category"]) == (None, "promotion")
    shown = client.get("/api/customers/acme").json()
    assert (shown["wallet"], shown["available"]) == ("50.000000000", "55.000000000")
    assert client.get("/api/customers").json()["customers"] == [shown]
    statement = client.get("/api/customers/acme/statement").json()
    assert [(one["text"], one["amount"], one["balance"]) for one in statement["lines"]] == [
        ("paid in", "50.000000000", "50.000000000"),
        ("pack blog-10, 10 units", "20.000000000", "70.000000000"),
        ("credit, given", "5.000000000", "75.000000000"),
    ]
    assert statement["after"]["balance"] == "75.000000000"
    rows = client.get("/api/customers/acme/statement.csv").text.splitlines()
    assert rows[0].startswith("at,kind,text")
    assert len(rows) == 5
    assert client.get("/api/customers/acme/statement.pdf").content.startswith(b"%PDF-")
    totals = {one["account"]: one["balance"] for one in client.get("/api/ledger/totals").json()["totals"]}
    assert totals["cash"] == "-70.000000000"
    (line,) = client.get("/api/ledger/accounts/wallet:acme:USD").json()["lines"]
    assert (line["position"], line["balance"]) == (1, "50.000000000")
    assert len(client.get("/api/ledger/entries?customer=acme&after=1").json()["entries"]) == 2
    assert client.post("/api/packs/blog-10/withdraw", json={}).json()["withdrawn_at"]
    assert client.post("/api/customers/acme/grants", json={"pack": "blog-10"}).status_code == 409


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/api/customers", {"name": "a b"}, 400, "customer's name"),
        ("/api/customers", {"name": "b", "currency": "usd"}, 400, "ISO 4217"),
        ("/api/customers", {"name": "b", "terms": "later"}, 400, "expected one of prepaid"),
        ("/api/customers", {"name": "b", "credit_limit": "5"}, 400, "customers who pay later"),
        ("/api/customers/nobody/payments", {"amount": "5"}, 404, "no customer 'nobody'"),
        ("/api/customers/acme/payments", {"amount": "€5"}, 400, "an amount in USD was expected"),
        ("/api/customers/acme/payments", {"amount": "-5"}, 400, "not above zero"),
        ("/api/customers/acme/payments", {"amount": "5", "id": "x"}, 400, "expected a UUID"),
        ("/api/customers/acme/grants", {}, 400, "either an amount of credit or a pack"),
        ("/api/customers/acme/grants", {"amount": "5", "paid": "later"}, 400, "expected one of cash"),
        ("/api/customers/acme/grants", {"amount": "5", "expires": "2001-01-01"}, 400, "before it is granted"),
        ("/api/customers/acme/grants", {"pack": "x"}, 404, "no pack 'x'"),
    ],
)
def test_what_cannot_be_is_said(client: TestClient, path: str, body: dict, status: int, says: str) -> None:
    client.post("/api/customers", json={"name": "acme"})
    answer = client.post(path, json=body)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.json()
    assert client.get("/api/sales/nothing").status_code == 404
