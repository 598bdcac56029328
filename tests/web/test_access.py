"""Who may ask what: every route and every role in one table, and nobody beyond what is theirs to see."""

import json
import re
import time
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.core.errors import NotAuthorised
from flatfare.service.access import users as people
from flatfare.store.book import open_book
from flatfare.web.access import RIGHTS, SESSION_COOKIE, Door, Right
from flatfare.web.api import ENDPOINTS
from flatfare.web.application import application
from flatfare.web.endpoint import Endpoint
from flatfare.web.pages.navigation import PAGES
from flatfare.web.scope import Scope
from tests.web.conftest import LOCAL, PASSWORD, TOKEN, let_in, looking, signed_in
from tests.web.lively import empty, lively

ROLES = tuple(RIGHTS)
OPEN = (
    "/openapi.json",
    "/sign-in",
    "/sign-in/{issuer}",
    "/sign-in/{issuer}/return",
    "/assets/{name}",
    "/overview",
)
"""Addresses that hold nothing of anybody's."""

SAFE = ("GET", "HEAD")

NEEDS = {
    "overview": "READ",
    "outcomes": "READ",
    "tasks": "READ",
    "task": "READ",
    "spend": "READ",
    "budgets": "READ",
    "prices": "READ",
    "price": "READ",
    "price-version": "READ",
    "unknown": "READ",
    "audit": "AUDIT",
    "settings": "KEYS",
    "create_budget": "BUDGETS",
    "top_up_budget": "BUDGETS",
    "remove_budget": "BUDGETS",
    "create_key_here": "KEYS",
    "revoke_key_here": "KEYS",
    "create_person": "MANAGE",
    "disable_person": "MANAGE",
    "enable_person": "MANAGE",
    "actions": "READ",
    "action": "READ",
    "run": "READ",
    "run_action_here": "RECORD",
    "reviews": "READ",
    "next_review_here": "REVIEW",
    "answer_review_here": "REVIEW",
    "release_review_here": "REVIEW",
    "customers": "READ",
    "customer": "READ",
    "statement": "READ",
    "invoice": "READ",
    "create_customer_here": "BILL",
    "pay_customer_here": "BILL",
    "grant_customer_here": "BILL",
}
"""What each page and deed takes, written down a second time on purpose."""

MAY = {
    "admin": {"RECORD", "READ", "REVIEW", "KEYS", "BUDGETS", "BILL", "AUDIT", "MANAGE"},
    "finance": {"READ", "BUDGETS", "BILL", "AUDIT"},
    "developer": {"READ", "RECORD", "KEYS"},
    "reviewer": {"READ", "REVIEW"},
    "viewer": {"READ"},
}
"""What each role may do, written down a second time on purpose."""


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A firm's book, with somebody of every role, and two who see only a team each."""
    pytest.importorskip("jinja2", reason="needs the web extra")
    pytest.importorskip("argon2", reason="needs the web extra")
    settings = lively(tmp_path_factory.mktemp("firm"), time.time_ns() // 1000)
    for role in ROLES:
        let_in(settings, role, role)
    let_in(settings, "of search", "developer", {"team": "search"})
    let_in(settings, "of legal", "viewer", {"team": "legal"})
    return settings


@pytest.fixture(scope="module")
def clients(firm: Settings) -> dict[str, TestClient]:
    return {name: signed_in(firm, name) for name in (*ROLES, "of search", "of legal")}


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TestClient]:
    """Somebody of every role, before an empty book."""
    pytest.importorskip("jinja2", reason="needs the web extra")
    pytest.importorskip("argon2", reason="needs the web extra")
    settings = empty(tmp_path_factory.mktemp("roles"))
    for role in ROLES:
        let_in(settings, role, role)
    return {role: signed_in(settings, role) for role in ROLES}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_it_may(role: str) -> None:
    held = {str(right.name) for right in Right if right in RIGHTS[role] and right is not Right.NOTHING}
    assert held == MAY[role]


def _asked(client: TestClient, method: str, path: str) -> int:
    filled = re.sub(r"{\w+(:path)?}", "nothing-of-that-name", path)
    if method in SAFE:
        return client.request(method, filled).status_code
    if path.startswith("/api/"):
        return client.request(method, filled, json={}).status_code
    return client.post(filled, data={"mark": _mark(client)}).status_code


def _mark(client: TestClient) -> str:
    found = re.search(r'name="mark" value="([0-9a-f]+)"', client.get("/").text)
    return found[1] if found else ""


def _table() -> list[tuple[str, str, str]]:
    rows = [("GET", page.path, page.right.name or "") for page in PAGES]
    rows += [("POST", deed.path, deed.right.name or "") for page in PAGES for deed in page.deeds]
    rows += [(one.method, one.path, one.right.name or "") for one in ENDPOINTS if not _decides_itself(one)]
    return rows + [("HEAD", path, right) for method, path, right in rows if method == "GET"]


def _decides_itself(one: Endpoint) -> bool:
    """Whoever asks is told what is theirs, or is believed for a signature."""
    return one.is_signed or one.right is Right.NOTHING


@pytest.mark.parametrize(("method", "path", "right"), _table(), ids=str)
def test_every_route_lets_in_every_role_that_may_and_no_other(
    method: str, path: str, right: str, roles: dict[str, TestClient]
) -> None:
    for role in ROLES:
        status = _asked(roles[role], method, path)
        if right in MAY[role]:
            assert status not in (401, 403, 500), (role, status)
        else:
            assert status == 403, (role, status)


@pytest.mark.parametrize(("method", "path", "right"), _table(), ids=str)
def test_no_route_lets_in_a_stranger(method: str, path: str, right: str, firm: Settings) -> None:
    stranger = looking(firm, has_token=False)
    status = _asked(stranger, method, path)
    is_page = method in SAFE and not path.startswith("/api/")
    assert status == 303 if is_page else status == 401, status
    if is_page:
        assert (
            stranger.request(method, re.sub(r"{\w+(:path)?}", "x", path))
            .headers["location"]
            .startswith("/sign-in?next=")
        )


@pytest.mark.parametrize(("method", "path", "right"), _table(), ids=str)
def test_who_says_nothing_of_who_asks_is_nobody_before_a_book_without_keys_too(
    method: str, path: str, right: str, roles: dict[str, TestClient]
) -> None:
    """A program of this machine may record there without a key; for all else it is asked who it is."""
    nobody = TestClient(roles["admin"].app, LOCAL, raise_server_exceptions=False, follow_redirects=False)
    filled, is_page = re.sub(r"{\w+(:path)?}", "nothing", path), not path.startswith("/api/")
    sent: dict[str, object] = {} if method in SAFE else {"data" if is_page else "json": {"mark": "x"}}
    answer = nobody.request(method, filled, **sent)  # type: ignore[arg-type]
    if is_page and method != "POST":
        assert answer.status_code == 303
    elif right != "RECORD":
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert method == "HEAD" or "flatfare serve prints" in answer.text
    elif not is_page:
        assert answer.status_code not in (401, 403, 500)


@pytest.mark.parametrize("path", ["/", "/overview.json", "/spend.csv", "/api/report", "/openapi.json"])
def test_head_is_answered_as_get_is_without_the_body(path: str, clients: dict[str, TestClient]) -> None:
    whole, head = (clients["viewer"].request(method, path) for method in ("GET", "HEAD"))
    assert (whole.status_code, head.status_code) == (200, 200)
    assert whole.content
    assert head.content == b""
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_the_table_holds_every_route_there_is(firm: Settings) -> None:
    app = application(firm, Door(TOKEN, is_loopback=True))
    known = {path for _, path, _ in _table()} | set(OPEN) | {"/live", "/sign-out"}
    known |= {one.path for one in ENDPOINTS if _decides_itself(one)}
    shapes = set()
    for route in app.routes:
        assert isinstance(route, Route)
        shape = route.path if route.path in OPEN else re.sub(r"\.(json|csv)$", "", route.path)
        shape = re.sub(r"/charts/{chart}\.{ending}$", "", shape)
        shapes.add("/" if shape == "/overview" else shape)
    assert shapes <= known, shapes - known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_takes_the_right_that_was_agreed(page: object) -> None:
    assert page.right.name == NEEDS[page.name]  # type: ignore[attr-defined]
    for deed in page.deeds:  # type: ignore[attr-defined]
        assert deed.right.name == NEEDS[deed.name]


SHAPES = ("/", "/overview.json", "/overview.csv", "/spend", "/spend.json", "/spend.csv", "/outcomes.json")


@pytest.mark.parametrize("path", [*SHAPES, "/tasks", "/tasks.json", "/tasks.csv", "/unknown.json"])
def test_a_team_s_pages_hold_nothing_of_another_s(path: str, clients: dict[str, TestClient]) -> None:
    groups = "" if "tasks" in path or "unknown" in path else "&by=team"
    for query in ("?period=all&limit=0", f"?period=all{groups}"):
        text = clients["of legal"].get(path + query).text
        for other in ("search", "support"):
            assert not re.search(rf"team={other}|\"{other}\"|>{other}<|,{other},", text), (path, query)


def test_a_team_s_sums_are_those_of_its_own(clients: dict[str, TestClient]) -> None:
    own = clients["of legal"].get("/api/report?by=path").json()["total"]
    asked = clients["admin"].get("/api/report?by=path&filter=team%3Dlegal").json()["total"]
    everything = clients["admin"].get("/api/report?by=path").json()["total"]
    assert own == asked
    assert own["spend"] != everything["spend"]


def test_turns_are_told_over_http_and_to_a_team_those_of_its_own(clients: dict[str, TestClient]) -> None:
    own = clients["of legal"].get("/api/report?by=turn").json()
    asked = clients["admin"].get("/api/report?by=turn&filter=team%3Dlegal").json()
    apart = clients["admin"].get("/api/report?by=team,turn").json()
    assert own == asked
    assert [row["turn"] for row in own["rows"]][:2] == [1, 2]
    legal = [row for row in apart["rows"] if row.pop("team") == "legal"]
    assert (apart["by"], legal) == (["team", "turn"], own["rows"])


@pytest.mark.parametrize("path", ["/?by=turn", "/spend?by=turn", "/outcomes.json?by=turn"])
def test_what_has_no_other_figures_is_said_to_have_none(path: str, clients: dict[str, TestClient]) -> None:
    answer = clients["admin"].get(path)
    assert answer.status_code == 400
    assert "Turns have a report of their own" in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "filter=team%3Dsearch",
        "filter=label.team%3Dsearch",
        "filter=team%3Dlegal&filter=team%3Dsearch",
        "filter=team%3Dlegal&filter=label.team%3Dsupport",
    ],
)
@pytest.mark.parametrize(
    "path", ["/api/report", "/api/tasks", "/spend", "/tasks.csv", "/spend/charts/spend.svg"]
)
def test_no_filter_leads_beyond_the_own_team(path: str, query: str, clients: dict[str, TestClient]) -> None:
    answer = clients["of legal"].get(f"{path}?{query}")
    assert answer.status_code == 403
    assert "not yours to see" in answer.text


def test_another_team_s_task_is_not_there(clients: dict[str, TestClient]) -> None:
    found = clients["admin"].get("/api/tasks?filter=team%3Dsearch&limit=1").json()["tasks"][0]
    for path in (f"/tasks/{found['task']}", f"/tasks/{found['task']}.json", f"/api/tasks/{found['task']}"):
        assert clients["admin"].get(path).status_code == 200
        assert clients["of legal"].get(path).status_code == 404
    assert clients["of legal"].get(f"/tasks/{found['external_id']}").status_code == 404


def test_a_visitor_s_scope_hides_which_prices_others_used(clients: dict[str, TestClient]) -> None:
    """They tell which models others call; what a call of one's own names can be looked up."""
    (kept,) = clients["viewer"].get("/prices/version.json").json()["versions"]
    assert clients["of legal"].get("/prices/version.json").json()["versions"] == []
    looked = clients["of legal"].get("/prices/version.json", params={"of": kept["version"]})
    assert [terms["model"] for terms in looked.json()["prices"]] == ["claude-sonnet-4-5"]


def test_a_team_sees_its_own_budget_and_keys_and_no_other(clients: dict[str, TestClient]) -> None:
    budgets = clients["of legal"].get("/budgets.json").json()["budgets"]
    assert [one["name"] for one in budgets] == ["legal team"]
    assert "search team" not in clients["of legal"].get("/budgets").text
    keys = clients["of search"].get("/settings.json?all=yes").json()["keys"]
    assert [one["name"] for one in keys] == ["search-service"]
    assert "ff_" in clients["of search"].get("/settings").text
    assert "legal" not in clients["of search"].get("/settings").text


def test_a_team_s_developer_makes_keys_of_the_team_and_revokes_no_other(
    clients: dict[str, TestClient],
) -> None:
    client = clients["of search"]
    beyond = {"name": "sly", "labels": "team=legal", "mark": _mark_of(client)}
    assert client.post("/settings/keys", data=beyond).status_code == 400
    made = client.post("/settings/keys", data={"name": "own", "mark": _mark_of(client)})
    assert made.status_code == 200
    assert re.search(r"ff_[0-9A-Za-z]{43}", made.text)
    keys = clients["admin"].get("/settings.json").json()["keys"]
    (own,) = [one for one in keys if one["name"] == "own"]
    assert own["labels"] == {"team": "search"}
    (other,) = [one for one in keys if one["labels"] == {"team": "legal"}]
    revoking = {"mark": _mark_of(client)}
    assert client.post(f"/settings/keys/{other['id']}/revoke", data=revoking).status_code == 404
    assert client.post(f"/settings/keys/{own['id']}/revoke", data=revoking).status_code == 303


def _mark_of(client: TestClient) -> str:
    found = re.search(r'name="mark" value="([0-9a-f]+)"', client.get("/settings").text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", [one.path for one in ENDPOINTS if one.method == "GET" and not one.narrows])
def test_what_cannot_be_narrowed_is_not_shown_to_a_team(path: str, clients: dict[str, TestClient]) -> None:
    filled = re.sub(r"{\w+}", "x", path)
    assert clients["of search"].get(filled).status_code == 403


def test_what_is_left_of_a_scope_when_it_is_asked_beyond() -> None:
    scope = Scope.of([("team", "a"), ("team", "b"), ("label.site", "x")])
    assert str(scope) == "site=x, team=a, team=b"
    assert scope.narrowed([("path", "p")]) == [
        ("path", "p"),
        ("label.site", "x"),
        ("label.team", "a"),
        ("label.team", "b"),
    ]
    assert scope.narrowed([("team", "b")]) == [("label.site", "x"), ("label.team", "b")]
    with pytest.raises(NotAuthorised, match="team=c is not yours"):
        scope.narrowed([("team", "a"), ("label.team", "c")])
    assert scope.sees({"team": "a", "site": "x"})
    assert not scope.sees({"team": "a"})
    assert not scope.sees({"team": "c", "site": "x"})


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({}, {"name": "x"}),
        ({}, {"name": "x", "mark": "0" * 64}),
        ({"Origin": "http://evil.example"}, {"name": "x", "mark": "own"}),
        ({"Sec-Fetch-Site": "cross-site"}, {"name": "x", "mark": "own"}),
    ],
)
def test_a_form_that_is_not_of_our_pages_is_refused(
    clients: dict[str, TestClient], headers: dict[str, str], data: dict[str, str]
) -> None:
    client = clients["developer"]
    if data.get("mark") == "own":
        data = {**data, "mark": _mark_of(client)}
    answer = client.post("/settings/keys", data=data, headers=headers)
    assert answer.status_code == 403
    names = [one["name"] for one in clients["admin"].get("/settings.json").json()["keys"]]
    assert "x" not in names


@pytest.fixture
def door(tmp_path: Path) -> Settings:
    pytest.importorskip("argon2", reason="needs the web extra")
    settings = Settings(database=f"sqlite:///{tmp_path}/book.db", lake=f"{tmp_path}/lake")
    let_in(settings, "ada", "admin")
    return settings


def test_a_session_begins_lasts_and_ends(door: Settings) -> None:
    client = looking(door, has_token=False)
    begun = client.post("/sign-in", data={"name": "ada", "password": PASSWORD, "next": "/spend?by=team"})
    assert begun.headers["location"] == "/spend?by=team"
    cookie = begun.headers["set-cookie"]
    for part in (SESSION_COOKIE, "HttpOnly", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert client.get("/").status_code == 200
    stolen = client.cookies[SESSION_COOKIE]
    out = client.post("/sign-out", data={"mark": _mark(client)})
    assert out.status_code == 303
    again = looking(door, has_token=False)
    again.cookies[SESSION_COOKIE] = stolen
    assert again.get("/").status_code == 303


@pytest.mark.parametrize(
    "there", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "x"]
)
def test_signing_in_leads_nowhere_else(door: Settings, there: str) -> None:
    data = {"name": "ada", "password": PASSWORD, "next": there}
    answer = looking(door, has_token=False).post("/sign-in", data=data)
    assert answer.headers["location"] == "/"


def test_failures_in_a_row_make_a_name_wait_and_say_nothing_of_who_exists(door: Settings) -> None:
    client = looking(door, has_token=False)
    wrong = {"name": "ada", "password": "not the password"}
    said = {client.post("/sign-in", data=wrong).text.count("do not belong together") for _ in range(5)}
    nobody = client.post("/sign-in", data={"name": "nobody", "password": "x"})
    assert said == {1}
    assert nobody.status_code == 401
    assert "do not belong together" in nobody.text
    locked = client.post("/sign-in", data={"name": "ada", "password": PASSWORD})
    assert locked.status_code == 401
    assert re.search(r"wait \d+ seconds", locked.text)


def test_the_wait_grows_and_ends(door: Settings) -> None:
    at_us = 1_790_000_000_000_000
    with open_book(door.database) as book:
        for number in range(7):
            with pytest.raises(people.SignInRefused):
                people.sign_in(book, "ada", "wrong", at_us=at_us + number * 3_600_000_000)
        last = at_us + 6 * 3_600_000_000
        with pytest.raises(people.SignInRefused, match="wait 120 seconds"):
            people.sign_in(book, "ada", PASSWORD, at_us=last)
        assert people.sign_in(book, "ada", PASSWORD, at_us=last + 121_000_000).user.name == "ada"
        assert people.sign_in(book, "ada", PASSWORD, at_us=last + 122_000_000).user.name == "ada"


def test_who_is_shut_out_is_out_at_once(door: Settings) -> None:
    let_in(door, "sue", "viewer")
    client = signed_in(door, "sue")
    assert client.get("/").status_code == 200
    with open_book(door.database) as book:
        people.disable(book, "sue", at_us=time.time_ns() // 1000, by_whom="test")
    assert client.get("/").status_code == 303
    refused = looking(door, has_token=False).post("/sign-in", data={"name": "sue", "password": PASSWORD})
    assert refused.status_code == 401


def test_a_new_role_or_password_ends_every_session(door: Settings) -> None:
    let_in(door, "sue", "viewer")
    client = signed_in(door, "sue")
    with open_book(door.database) as book:
        people.change(book, "sue", role="finance", at_us=time.time_ns() // 1000, by_whom="test")
    assert client.get("/").status_code == 303
    assert signed_in(door, "sue").get("/audit").status_code == 200


def test_no_password_and_no_session_is_kept_as_it_is(door: Settings, tmp_path: Path) -> None:
    client = signed_in(door, "ada")
    secret = client.cookies[SESSION_COOKIE]
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("book.db*"))
    assert PASSWORD.encode() not in kept
    assert secret.encode() not in kept
    assert b"$argon2id$" in kept


def test_people_are_made_and_shut_out_on_the_page_and_it_is_on_record(door: Settings) -> None:
    client = signed_in(door, "ada")
    made = {"name": "kim", "password": PASSWORD, "role": "reviewer", "mark": _mark_of(client)}
    assert client.post("/settings/people", data=made).status_code == 303
    (kim,) = [one for one in client.get("/settings.json").json()["users"] if one["name"] == "kim"]
    assert kim["role"] == "reviewer"
    assert "hash" not in json.dumps(kim)
    assert (
        client.post(f"/settings/people/{kim['id']}/disable", data={"mark": _mark_of(client)}).status_code
        == 303
    )
    kinds = [one["kind"] for one in client.get("/audit.json").json()["records"]]
    assert kinds[:2] == ["user.disabled", "user.created"]
    ada = next(one for one in client.get("/settings.json").json()["users"] if one["name"] == "ada")
    last = client.post(f"/settings/people/{ada['id']}/disable", data={"mark": _mark_of(client)})
    assert last.status_code == 409
    assert "last administrator" in last.text


def test_off_loopback_the_token_lets_nobody_in(door: Settings) -> None:
    client = looking(door, is_loopback=False)
    assert client.get("/").headers["location"].startswith("/sign-in")
    assert client.get(f"/?token={TOKEN}").status_code == 401


def test_a_team_hears_of_its_own_budget_alone(clients: dict[str, TestClient]) -> None:
    assert "The budget legal team is" in clients["viewer"].get("/").text
    assert "The budget legal team is" in clients["of legal"].get("/").text
    assert "legal team" not in clients["of search"].get("/").text


def test_what_became_of_a_price_is_shown_to_who_may_bill_and_sees_everybody(
    clients: dict[str, TestClient],
) -> None:
    (task, *_) = clients["finance"].get("/tasks.json?period=all&filter=settlement%3Dsettled").json()["tasks"]
    address = f"/tasks/{task['task']}"
    for name in ("admin", "finance"):
        assert clients[name].get(f"{address}.json").json()["sale"]["net"] == "5.000000000"
        assert "Settlement: settled" in clients[name].get(address).text
    for name in ("developer", "reviewer", "viewer", "of legal"):
        assert "sale" not in clients[name].get(f"{address}.json").json()
        assert "Settlement: settled" not in clients[name].get(address).text
        assert clients[name].get(f"{address}.csv?table=settlement").status_code == 404
