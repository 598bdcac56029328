"""The dashboard on a book in PostgreSQL: people sign in, and every page answers."""

import time
from decimal import Decimal
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.service import example_firm
from flatfare.service.importing.run import Stores
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from tests.store.servers import Server
from tests.web.conftest import let_in, signed_in
from tests.web.pages.test_pages import PLAIN


def test_every_page_answers_from_postgresql(postgres: Server, tmp_path: Path) -> None:
    pytest.importorskip("jinja2", reason="needs the web extra")
    pytest.importorskip("argon2", reason="needs the web extra")
    settings = Settings(database=postgres.new_database(), lake=f"{tmp_path}/lake")
    with open_book(settings.database) as book:
        stores = Stores(book, Lake(settings.lake), settings)
        example_firm.found(stores, time.time_ns() // 1000)
    let_in(settings, "ada", "admin")
    with signed_in(settings, "ada") as client:
        for page in PLAIN:
            answer = client.get(page.path)
            assert answer.status_code == 200, (page.path, answer.text[:500])
        assert "agents in a circle" in client.get("/").text
        assert "legal team" in client.get("/budgets").text
        _statements_add_up(client)


def _statements_add_up(client: TestClient) -> None:
    """Of each customer, over all time and over the last month, which begins where the time before ended."""
    listed = client.get("/customers.json").json()["customers"]
    assert listed
    for one in listed:
        address = f"/customers/{one['name']}/statement"
        assert client.get(f"{address}?period=all").status_code == 200
        whole = client.get(f"{address}.json?period=all").json()
        month = client.get(f"{address}.json?period=30d").json()
        assert month["after"] == whole["after"]
        for said in (whole, month):
            moved = sum(Decimal(line["amount"]) for line in said["lines"])
            assert Decimal(said["before"]["balance"]) + moved == Decimal(said["after"]["balance"])
