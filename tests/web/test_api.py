"""The API: who may ask what, the same figures as the command line, and errors that say what to do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.store.book import open_book
from flatfare.web.access import COOKIE, Door
from flatfare.web.application import application

TOKEN = "the-token-of-this-start"
LOCAL = "http://localhost:4180"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=f"sqlite:///{tmp_path}/book.db", lake=f"{tmp_path}/lake")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    app = application(settings, Door(TOKEN, is_loopback=True))
    with TestClient(app, base_url=LOCAL, raise_server_exceptions=False) as client:
        yield client


def operator(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def issue(settings: Settings, name: str = "svc") -> str:
    with open_book(settings.database) as book:
        return issuing.create(book, Terms(name), at_us=1_790_000_000_000_000, by_whom="test").secret


def test_the_operator_sees_a_report(client: TestClient) -> None:
    answer = client.get("/api/report?by=model", headers=operator())
    assert answer.status_code == 200
    assert answer.json()["by"] == ["model"]
    assert answer.json()["rows"] == []


@pytest.mark.parametrize("given", [{}, operator("wrong"), {"Authorization": "Basic eDp5"}])
def test_nobody_else_does(client: TestClient, settings: Settings, given: dict[str, str]) -> None:
    issue(settings)
    answer = client.get("/api/report", headers=given)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "flatfare serve prints" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "possible"),
    [
        ("DELETE", "/api/keys", "GET, HEAD, POST"),
        ("PUT", "/api/report", "GET, HEAD"),
        ("GET", "/api/events", "POST"),
        ("DELETE", "/sign-in", "GET, HEAD, POST"),
    ],
)
def test_what_is_not_possible_names_all_that_is(
    client: TestClient, method: str, path: str, possible: str
) -> None:
    answer = client.request(method, path, headers=operator())
    assert (answer.status_code, answer.headers["allow"]) == (405, possible)
    assert answer.json()["detail"] == f"{method} is not possible at {path}; possible: {possible}."


def test_a_key_may_record_and_not_read_what_is_not_its_own(client: TestClient, settings: Settings) -> None:
    answer = client.get("/api/report", headers=operator(issue(settings)))
    assert answer.status_code == 403
    assert "'svc'" in answer.json()["detail"]


def test_a_revoked_key_is_nobody(client: TestClient, settings: Settings) -> None:
    secret = issue(settings)
    with open_book(settings.database) as book:
        issuing.revoke(book, "svc", at_us=1_790_000_000_000_001, by_whom="test")
    answer = client.get("/api/report", headers=operator(secret))
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost:4180", "Origin": "http://evil.example"},
        {"Host": "localhost:4180", "Origin": "null"},
        {"Host": "localhost:4180", "Origin": "http://localhost:9999"},
        {"Host": "localhost:4180", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_place_is_not_let_in_even_with_the_cookie(
    client: TestClient, headers: dict[str, str]
) -> None:
    headers = {**headers, "Cookie": f"{COOKIE}={TOKEN}"}
    answer = client.post("/api/keys", json={"name": "x"}, headers=headers)
    assert answer.status_code == 403


def test_the_cookie_lets_the_operator_in(client: TestClient) -> None:
    headers = {"Cookie": f"{COOKIE}={TOKEN}", "Origin": LOCAL, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/keys", json={"name": "x"}, headers=headers).status_code == 201


def test_off_loopback_the_token_is_nobody_s(settings: Settings) -> None:
    app = application(settings, Door(TOKEN, is_loopback=False))
    with TestClient(app, base_url="http://flatfare.example") as client:
        assert client.get("/api/report", headers=operator()).status_code == 401


def test_a_key_is_made_listed_and_revoked_and_its_secret_shown_once(client: TestClient) -> None:
    made = client.post("/api/keys", json={"name": "ci", "labels": {"team": "a"}}, headers=operator())
    assert made.status_code == 201
    secret = made.json()["key"]
    listed = client.get("/api/keys", headers=operator())
    assert [key["name"] for key in listed.json()["keys"]] == ["ci"]
    assert secret not in listed.text
    assert client.post("/api/keys/ci/revoke", json={}, headers=operator()).json()["state"] == "revoked"
    assert client.get("/api/keys", headers=operator()).json()["keys"] == []
    assert len(client.get("/api/keys?all=true", headers=operator()).json()["keys"]) == 1


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/api/keys", b"{", "cannot be read"),
        ("/api/keys", b'{"nam": "x"}', "`nam`"),
        ("/api/keys", b'{"name": 3}', "$.name"),
        ("/api/keys", b'{"name": "ff_x"}', "ids or secrets"),
        ("/api/keys/nobody/revoke", b"{}", "no key 'nobody'"),
    ],
)
def test_bad_input_says_what_was_found(client: TestClient, path: str, body: bytes, said: str) -> None:
    answer = client.post(path, content=body, headers={**operator(), "Content-Type": "application/json"})
    assert answer.status_code in (400, 404)
    assert said in answer.json()["detail"]


def test_a_form_of_a_web_page_is_no_json(client: TestClient) -> None:
    answer = client.post("/api/keys", data={"name": "x"}, headers=operator())
    assert answer.status_code == 400
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("by=nonsense%20key", "nonsense key"),
        ("unknown=1", "Known: by, filter"),
        ("limit=x", "limit"),
        ("since=yesterday", "yesterday"),
        ("limit=1&limit=2", "more than once"),
        ("filter=team", "key=value"),
        ("handoff_cost=-5", "from 0 up"),
        ("handoff_cost=€5", "an amount in USD was expected"),
    ],
)
def test_a_question_that_cannot_be_read_is_said(client: TestClient, query: str, said: str) -> None:
    answer = client.get(f"/api/report?{query}", headers=operator())
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["detail"]


def test_what_is_not_there_is_said(client: TestClient) -> None:
    assert client.get("/api/nothing").status_code == 404
    assert client.delete("/api/keys").status_code == 405


def test_the_document_names_every_endpoint(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/api/keys"]["post"]["requestBody"]["required"]
    assert "NewKey" in document["components"]["schemas"]
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_every_reference_of_the_document_leads_to_a_schema_in_it(client: TestClient) -> None:
    text = client.get("/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert "Rule" in referred  # named by a parameter alone
    assert {name for name in referred if name.endswith(".Payment")}, "two bodies have this name"
    assert referred <= set(schemas)


def test_a_budget_is_made_topped_up_once_and_removed(client: TestClient) -> None:
    wanted = {"name": "search", "amount": "5.00", "scope": "team=search", "thresholds": ["90:stop"]}
    made = client.post("/api/budgets", json=wanted, headers=operator())
    assert made.status_code == 201
    assert made.json()["thresholds"] == ["90:stop"]
    for _ in range(2):
        more = {"amount": "1.00", "id": "top_1"}
        topped = client.post("/api/budgets/search/top-ups", json=more, headers=operator()).json()
    assert topped["subjects"][0]["limit"] == "6.000000000"
    assert client.get("/api/budgets", headers=operator()).json()["budgets"][0]["name"] == "search"
    assert client.post("/api/budgets/search/remove", json={}, headers=operator()).json()["removed"]
    assert client.get("/api/budgets/search", headers=operator()).status_code == 404


def test_what_a_request_would_cost_is_told_to_who_may_record(client: TestClient, settings: Settings) -> None:
    request = {"model": "gpt-4o", "max_tokens": 10, "messages": []}
    answer = client.post("/api/estimate", json={"request": request}, headers=operator(issue(settings)))
    assert answer.status_code == 200
    assert answer.json()["at_most"]["output_limit"] == 10
    assert float(answer.json()["at_most"]["amount"]) > 0.0001
