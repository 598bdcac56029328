"""No endpoint of the API fails through a fault of ours, whatever it is sent.

What is sent comes from Schemathesis, as the document describes it and as it does not, half of
the time with ids of records that there are; who sends it is the operator, or a key.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core import NotSet
from schemathesis.generation import GenerationMode
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.store.book import open_book
from flatfare.web import openapi
from flatfare.web.access import Door
from flatfare.web.api import ENDPOINTS
from flatfare.web.application import application
from tests.builders import id_of
from tests.web.lively import empty, lively

TOKEN = "the-token-of-this-start"
NOW_US = 1_795_219_200_000_000
EXAMPLES = int(os.environ.get("FLATFARE_FUZZ_EXAMPLES", "8"))
"""Cases an endpoint and book; thousands find more, and take their time."""

DESCRIBED = schemathesis.openapi.from_dict(openapi.document(ENDPOINTS))
OPERATIONS = {
    f"{found.ok().method.upper()} {found.ok().path}": found.ok() for found in DESCRIBED.get_all_operations()
}
REAL = (
    "resolve-ticket",
    "review-contract",
    "acme",
    "borealis",
    "openai",
    "legal team",
    "search",
    "1",
    "0",
    "me",
)
NASTY = (
    *(
        "' OR 1=1 --",
        '"] = 1 OR ["',
        "\x00",
        "\ud800",
        "9" * 40,
        "-1",
        "1e309",
        "nan",
        "²",
        "a/b",
        "..",
        "%2e",
    ),
    *(
        "2026-13-45",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "label.",
        "=",
        "team=",
        "\x1f",
        "📎" * 300,
    ),
)


@pytest.fixture(scope="module", params=["empty", "lively"])
def clients(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a book of this test's own, and the headers of those who ask."""
    folder = tmp_path_factory.mktemp(request.param)
    asked = empty(folder) if request.param == "empty" else lively(folder, NOW_US)
    asked = Settings(database=asked.database, lake=asked.lake)  # no provider that a run could reach
    with open_book(asked.database) as book:
        secret = issuing.create(book, Terms("svc"), at_us=NOW_US, by_whom="test").secret
        ids = _ids(book)
    app = application(asked, Door(TOKEN, is_loopback=True))
    with TestClient(app, base_url="http://localhost:4180", raise_server_exceptions=False) as client:
        yield client, (TOKEN, secret), (*REAL, *ids)


def _ids(book: Any) -> list[str]:
    found = [id_of("t1")]
    for table in ("tasks", "keys", "budgets", "reviews"):
        found += [str(row[0]) for row in book.rows(f"SELECT id FROM {table} LIMIT 2")]
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_that_is_sent_to_an_endpoint_is_a_fault_of_ours(clients: Any, name: str) -> None:
    client, tokens, ids = clients
    operation = OPERATIONS[name]
    modes = [
        operation.as_strategy(generation_mode=mode)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ]

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=st.one_of(modes), token=st.sampled_from(tokens), draw=st.data())
    def sent(case: Any, token: str, draw: st.DataObject) -> None:
        answer = _send(client, case, token, ids, draw)
        assert answer.status_code < 500, (case.method, answer.request.url, case.body, answer.text[:500])

    sent()


def _send(client: TestClient, case: Any, token: str, ids: tuple[str, ...], draw: st.DataObject) -> Any:
    values = st.one_of(st.sampled_from(ids), st.sampled_from(NASTY))
    path = case.path
    for part in re.findall(r"{(\w+)}", path):
        drawn = draw.draw(st.one_of(st.just(str((case.path_parameters or {}).get(part, "x"))), values))
        path = path.replace(f"{{{part}}}", quote(drawn.encode("utf-8", "surrogatepass"), safe="") or "x")
    query = {str(key): str(value) for key, value in (case.query or {}).items()}
    for key in [*query]:
        query[key] = draw.draw(st.one_of(st.just(query[key]), values))
    text = "&".join(f"{_quoted(key)}={_quoted(value)}" for key, value in query.items())
    body = _encoded(case.body)
    headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": "application/json"} if body else {})
    return client.request(case.method, f"{path}?{text}" if text else path, content=body, headers=headers)


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _encoded(body: object) -> bytes:
    """As it is sent; what is no JSON at all as it prints."""
    if isinstance(body, NotSet):
        return b""
    try:
        return body if isinstance(body, bytes) else json.dumps(body).encode()
    except (TypeError, ValueError):
        return repr(body).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("/api/report?cost=", "it is counts, reported or computed"),
        ("/api/report?cost=0)+FROM+calls+--", "it is counts, reported or computed"),
        ("/api/ledger/entries?after=9223372036854775808", "64 bits"),
        ("/api/reviews/plans?task=%1F", "unit separator"),
    ],
)
def test_what_was_a_fault_once_is_an_answer_that_says_what_to_write(
    clients: Any, asked: str, said: str
) -> None:
    client, (token, _), _ = clients
    answer = client.get(asked, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["detail"]


def test_what_is_sent_does_get_in(clients: Any) -> None:
    """The fuzzing would find nothing if everything were refused at the door."""
    client, (token, _), _ = clients
    for path in ("/api/report", "/api/tasks", "/api/actions", "/api/reviews", "/api/customers", "/api/calls"):
        assert client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 200
