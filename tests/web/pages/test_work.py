"""Forms of the dashboard: budgets, customers, reviews and runs change what the command line shows too."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Response
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.core.budget import Budget, Scope, Window
from flatfare.core.checks.submission import Submission
from flatfare.service.actions import publishing
from flatfare.service.actions.reading import read_file
from flatfare.service.budgets import budgeting
from flatfare.service.invoicing import issuing
from flatfare.service.invoicing.issuing import Books
from flatfare.service.judging import reviewing
from flatfare.service.judging.reviewing import Wanted
from flatfare.store import reviews
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from tests.builders import DAY_US, call, task, write_calls, write_tasks
from tests.service.selling.shop import USD, customer, settled, top_up
from tests.web.conftest import let_in, looking, signed_in
from tests.web.lively import ACTION, HOSTILE, empty, sell_one
from tests.web.pages.test_pages import Read

NOW_US = 1_795_000_000_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    pytest.importorskip("jinja2", reason="needs the web extra")
    return empty(tmp_path)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with looking(settings) as client:
        yield client


def send(client: TestClient, page: str, to: str, **fields: str) -> Response:
    """Send a form that stands on a page, with the mark that the page has."""
    shown = client.get(page).text
    found = re.search(r'name="mark" value="([0-9a-f]+)"', shown)
    assert found is not None
    return client.post(to, data={**fields, "mark": found[1]})


def test_a_budget_on_an_action_says_how_many_units_are_left(client: TestClient, settings: Settings) -> None:
    """Ten reviews at $10, of which eight were verified: $12.50 for each, as the command line says."""
    with open_book(settings.database) as book:
        outcomes = ["verified"] * 8 + ["failed"] * 2
        write_tasks(book, [{**task(f"r{n}", one), "name": "review"} for n, one in enumerate(outcomes)])
        write_calls(book, [call(f"r{n}", f"r{n}", 10 * 10**9) for n in range(10)])
        for scope, amount in (("action=review", 5000), ("action=sort", 5), ("team=search", 5)):
            wanted = Budget("", scope, Scope.of(scope), amount * 10**9, Window.of("quarter"))
            budgeting.create(book, wanted, at_us=NOW_US, by_whom="test")
    said = "about 400 review left, at $12.50 each (an estimate, from 8 verified)"
    page = client.get("/budgets").text
    assert page.count(said) == page.count(" left, at $") == 1, "unknown is left out"
    assert client.get("/budgets.csv").text.count(",400,") == 1
    found = client.get("/budgets.json").json()["budgets"]
    units = {one["name"]: one["subjects"][0].get("units_left", {}).get("said") for one in found}
    assert units == {"action=review": said, "action=sort": None, "team=search": None}


def test_a_budget_is_made_topped_up_and_removed(client: TestClient, settings: Settings) -> None:
    made = send(client, "/budgets", "/budgets", name="search", amount="100", scope="team=search", per="month")
    assert made.status_code == 303, made.text
    with open_book(settings.database) as book:
        (budget,) = budgeting.listed(book, at_us=NOW_US)
    assert (budget["amount"], budget["scope"], budget["hard"]) == ("100.000000000", "team=search", True)
    send(client, "/budgets", "/budgets/top-ups", budget=str(budget["id"]), amount="25", days="3")
    shown = client.get("/budgets.json").json()["budgets"][0]
    assert shown["subjects"][0]["limit"] == "125.000000000"
    refused = send(client, "/budgets", "/budgets/top-ups", budget=str(budget["id"]), amount="lots")
    assert refused.status_code == 400
    send(client, "/budgets", f"/budgets/{budget['id']}/remove")
    assert client.get("/budgets.json").json()["budgets"] == []


def test_a_customer_is_entered_and_a_payment_sent_twice_is_one(client: TestClient) -> None:
    made = send(client, "/customers", "/customers", name="acme", currency="usd", terms="prepaid")
    assert made.headers["location"] == "/customers/acme"
    once = str(uuid.uuid4())
    for _ in range(2):
        paid = send(client, "/customers/acme", "/customers/acme/payments", id=once, amount="20.50")
        assert paid.status_code == 303
    assert client.get("/customers/acme.json").json()["wallet"] == "20.500000000"
    given = {"id": str(uuid.uuid4()), "amount": "5", "days": "30", "reason": "welcome"}
    send(client, "/customers/acme", "/customers/acme/grants", **given)
    shown = Read(client.get("/customers/acme").text).text
    assert "$25.50" in shown
    assert "welcome" in shown


def test_an_invoice_up_to_now_says_so_in_words(client: TestClient, settings: Settings) -> None:
    with open_book(settings.database) as book:
        publishing.publish(book, read_file(ACTION), at_us=NOW_US - DAY_US, by_whom="test")
        send(client, "/customers", "/customers", name="acme", currency="USD", terms="invoice")
        sell_one(book, Lake(settings.lake), 1, "acme", NOW_US - 3_600_000_000)
        books = Books(book, Lake(settings.lake), "UTC")
        kept = issuing.issue_so_far(books, "acme", at_us=NOW_US, by_whom="test")
        assert kept is not None
    shown = Read(client.get(f"/invoices/{kept.number}").text).text
    assert "2026-11 until 2026-11-18 11:06" in shown
    assert "2026-11 until 2026-11-18 11:06 " in Read(client.get("/customers/acme").text).text


def ask(settings: Settings, name: str, labels: dict[str, str] | None = None) -> None:
    """Put a piece of work into the queue."""
    with open_book(settings.database) as book:
        row = task(name)
        write_tasks(book, [row])
        wanted = Wanted(
            str(row["id"]),
            submission=Submission(output=f"It is done. {HOSTILE}", input="Do it."),
            question="Is it done?",
            labels=labels or {},
        )
        reviewing.enqueue(book, wanted, at_us=NOW_US, asked_by="test")


def test_reviews_are_judged_one_after_another_and_blind(settings: Settings) -> None:
    pytest.importorskip("argon2", reason="needs the web extra")
    ask(settings, "first")
    ask(settings, "second")
    let_in(settings, "kim", "reviewer")
    client = signed_in(settings, "kim")
    sheet = send(client, "/reviews", "/reviews/next")
    text = sheet.text
    assert HOSTILE not in text
    assert f"It is done. {HOSTILE}" in Read(text).text
    assert "Is it done?" in text
    for hidden in ("small", "verified", str(task("first")["id"]), str(task("second")["id"])):
        assert hidden not in text.partition('<section class="judge"')[2].partition("</section>")[0]
    (review,) = set(re.findall(r"/reviews/([0-9a-f-]{36})/answers", text))
    answer = {"judgement": "pass", "reason": "looked at it", "minutes": "2"}
    following = send(client, "/reviews", f"/reviews/{review}/answers", **answer)
    (other,) = set(re.findall(r"/reviews/([0-9a-f-]{36})/answers", following.text))
    assert other != review
    last = send(client, "/reviews", f"/reviews/{other}/answers", judgement="fail")
    assert last.headers["location"] == "/reviews"
    assert client.get("/reviews.json").json()["waiting"] == 0
    strange = send(client, "/reviews", f"/reviews/{other}/answers", judgement="perhaps")
    assert strange.status_code == 400


def test_nothing_of_the_queue_tells_a_reviewer_what_others_said_or_whose_work_it_is(
    settings: Settings, client: TestClient
) -> None:
    pytest.importorskip("argon2", reason="needs the web extra")
    ask(settings, "first")
    task_id = str(task("first")["id"])
    for name, word in (("annelie", "pass"), ("bob", "fail"), ("kim", None)):
        let_in(settings, name, "reviewer")
        if word is not None:
            other = signed_in(settings, name)
            (review,) = set(
                re.findall(r"/reviews/([^/]+)/answers", send(other, "/reviews", "/reviews/next").text)
            )
            send(other, "/reviews", f"/reviews/{review}/answers", judgement=word)
    kim = signed_in(settings, "kim")
    page, table, document = (kim.get(f"/reviews{ending}") for ending in ("", ".csv", ".json"))
    for told in (page.text, table.text, document.text):
        assert task_id not in told
        assert "annelie" not in told
    (row,) = document.json()["reviews"]
    assert [row[name] for name in ("answers", "is_disputed", "judgement", "labels")] == [None] * 4
    assert "2 of 2" not in page.text
    assert ">disputed<" not in page.text
    assert client.get("/reviews.json").json()["reviews"][0]["answers"] == 2


def test_a_reviewer_of_one_team_judges_the_work_of_that_team_on_the_page(settings: Settings) -> None:
    pytest.importorskip("argon2", reason="needs the web extra")
    for team in ("legal", "search"):
        ask(settings, team, {"team": team})
    let_in(settings, "rita", "reviewer", {"team": "search"})
    rita = signed_in(settings, "rita")
    shown = rita.get("/reviews.json").json()
    assert (len(shown["reviews"]), shown["waiting"]) == (1, 1)
    sheet = send(rita, "/reviews", "/reviews/next").text
    (own,) = set(re.findall(r"/reviews/([^/]+)/answers", sheet))
    with open_book(settings.database) as book:
        (foreign,) = [one.id for one in reviews.listed(book) if one.id != own]
    refused = send(rita, "/reviews", f"/reviews/{foreign}/answers", judgement="pass")
    assert refused.status_code == 404
    send(rita, "/reviews", f"/reviews/{own}/answers", judgement="pass")
    assert rita.get("/reviews.json").json()["waiting"] == 0


def test_an_input_that_is_no_json_runs_nothing(client: TestClient) -> None:
    refused = send(client, "/settings", "/actions/contract-review/runs", input="{")
    assert refused.status_code == 400
    assert "cannot be read as JSON" in refused.text


def test_a_form_of_an_odd_kind_is_refused(client: TestClient) -> None:
    odd = client.post("/budgets", content=b"{}", headers={"content-type": "application/json"})
    assert odd.status_code == 400
    large = client.post("/budgets", data={"name": "x" * 70_000})
    assert large.status_code == 400


def test_what_an_action_earned_in_two_currencies_is_never_added(
    client: TestClient, settings: Settings
) -> None:
    with open_book(settings.database) as book:
        publishing.publish(book, read_file(ACTION), at_us=NOW_US, by_whom="test")
        customer(book, "acme")
        customer(book, "essen", currency="EUR")
        top_up(book, "acme", 20 * USD)
        top_up(book, "essen", 20 * USD, currency="EUR")
        settled(book, "acme", "one")
        settled(book, "acme", "two")
        settled(book, "essen", "three", {"currency": "EUR", "per_verified": "4.00"})
    for page in ("/actions", "/actions/contract-review"):
        assert "$10.00 + 4.00 EUR" in Read(client.get(page).text).text
    rows = client.get("/actions.json").json()["versions"]
    assert [(row["currency"], row["sales"], row["earned"], row["margin"], row["tasks"]) for row in rows] == [
        ("USD", 2, "10.000000000", "10.000000000", 0),
        ("EUR", 1, "4.000000000", None, None),
    ]
    one = client.get("/actions/contract-review.json").json()
    assert (one["sold"]["earned"], one["sold"]["currency"]) == ("10.000000000", "USD")
    assert [(more["currency"], more["earned"]) for more in one["sold_in_other_currencies"]] == [
        ("EUR", "4.000000000")
    ]


def test_an_action_is_run_from_its_page_and_its_receipt_is_shown(
    client: TestClient, settings: Settings
) -> None:
    with open_book(settings.database) as book:
        action = read_file(ACTION.with_name("word-count.yaml"))
        publishing.publish(book, action, at_us=NOW_US, by_whom="test")
    page = client.get("/actions/word-count")
    assert "$0.05 per verified outcome" in Read(page.text).text
    send(client, "/customers", "/customers", name="acme", currency="USD", terms="invoice")
    fields = {"input": '{"text": "one two two <b>three</b>"}', "customer": "acme", "id": "mine"}
    came = send(client, "/actions/word-count", "/actions/word-count/runs", **fields)
    assert came.status_code == 200, came.text
    shown = Read(came.text).text
    if "verified" not in shown:
        pytest.skip(f"no command can be contained on this machine: {shown[:300]}")
    for part in ("Run of word-count", "Receipt", "What came of it", '"words"', "counted-again", "$0.05"):
        assert part in shown, part
    assert "<b>three</b>" not in came.text
    (run,) = client.get("/actions/word-count.json").json()["runs"]
    assert (run["customer"], run["ending"]) == ("acme", "verified")
    kept = Read(client.get(f"/runs/{run['id']}").text).text
    assert "Receipt" in kept
    assert "counted-again" in kept
