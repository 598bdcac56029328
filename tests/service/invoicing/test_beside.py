"""Beside invoices: chargeback to teams, disputes across periods, and what other billing systems are given."""

import http.server
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from flatfare.core.errors import BadInput, Conflict, NotFound, StoreFailure
from flatfare.core.outcome import Judgement
from flatfare.service import selling
from flatfare.service.invoicing import disputing
from flatfare.service.invoicing.chargeback import statements
from flatfare.service.invoicing.disputing import Reverified
from flatfare.service.invoicing.exporting import Format, events
from flatfare.service.invoicing.issuing import Books, issue
from flatfare.service.invoicing.periods import month, month_of
from flatfare.service.invoicing.sending import Receiver, send
from flatfare.service.tasks.recording import Teller, record
from flatfare.store import calls, tasks
from flatfare.store.lake import Lake
from tests.builders import OPENED_US, id_of
from tests.service.selling import shop
from tests.service.selling.shop import USD

NAME = month_of(OPENED_US, "UTC")
AFTER = month(NAME, "UTC").until_us + 1
ME = {"by_whom": "test"}


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with shop.shop_in(tmp_path, "acme", terms="invoice") as book:
        yield Books(book, Lake(tmp_path / "lake"), "UTC")


def call(books: Books, team: str | None, cost_nano: int) -> None:
    row = {
        "id": str(uuid.uuid4()),
        "at_us": OPENED_US,
        "source": "gateway",
        "cost_nano": cost_nano,
        "cost_state": "measured",
        "labels": "{}" if team is None else json.dumps({"team": team}),
    }
    with books.book.writing():
        calls.insert(books.book, [row])


def test_teams_are_charged_back_and_what_nobody_claims_is_shown(books: Books) -> None:
    shop.customer(books.book, "search", terms="team")
    for number in range(3):
        shop.settled(books.book, "search", f"s-{number}")
    for team, nano in (("search", 100), ("search", 20), ("ads", 500), (None, 7)):
        call(books, team, nano)
    found = statements(books, NAME, now_us=AFTER)
    assert [(one.team, one.sold_nano, one.calls_nano, one.calls) for one in found] == [
        ("search", 15 * USD, 120, 2),
        ("ads", 0, 500, 1),
        (None, 0, 7, 1),
    ]
    assert found[0].actions == (("contract-review version 1", 3, 15 * USD),)


def test_what_a_team_pays_in_another_currency_says_which(books: Books) -> None:
    shop.customer(books.book, "essen", terms="team", currency="EUR")
    shop.settled(books.book, "essen", "e-0", {"currency": "EUR", "per_verified": "4.00"})
    call(books, "essen", 100)
    call(books, "ads", 500)
    found = [one for one in statements(books, NAME, now_us=AFTER) if one.team is not None]
    assert [(one.team, one.sold_nano, one.currency) for one in found] == [
        ("ads", 0, "USD"),
        ("essen", 4 * USD, "EUR"),
    ]
    assert found[1].as_json()["actions_currency"] == "EUR"


def settled_by_events(books: Books, name: str) -> str:
    """A sale of a task that was told of, as programs tell."""
    task_id = id_of(name)
    said = {"event": "opened", "id": str(uuid.uuid4()), "task": task_id, "name": "contract-review"}
    record(books.book, books.lake, [{**said, "at": OPENED_US}], Teller("test"), now_us=OPENED_US)
    quote_id = shop.quoted(books.book, "acme", name)
    selling.hold(books.book, task_id=task_id, quote_id=quote_id, at_us=OPENED_US)
    verdict = {"verifier": "tests", "version": "1", "judgement": "pass", "evidence": "seen"}
    event = {"event": "judged", "id": str(uuid.uuid4()), "task": task_id, "at": OPENED_US, **verdict}
    record(books.book, books.lake, [event], Teller("test"), now_us=OPENED_US)
    selling.settle(books.book, task_id=task_id, at_us=OPENED_US)
    return task_id


def test_an_upheld_dispute_reverses_the_sale_in_the_next_period(books: Books) -> None:
    task_id = settled_by_events(books, "t")
    first = issue(books, "acme", NAME, at_us=AFTER, **ME)
    assert first is not None
    opened = disputing.open_dispute(
        books.book, books.lake, dispute_id=uuid.uuid4(), task_id=task_id, reason="clause 4", at_us=AFTER, **ME
    )
    assert (opened.state, opened.customer) == ("open", "acme")
    assert tasks.rows_of(books.book, [task_id])[task_id]["is_disputed"] == 1
    looked = Reverified("second pair of eyes", "1", "human", Judgement.FAIL, "ab12")
    done = disputing.decide(
        books.book,
        books.lake,
        opened.id,
        is_upheld=True,
        reason="it was",
        at_us=AFTER,
        reverified=looked,
        **ME,
    )
    again = disputing.decide(books.book, books.lake, opened.id, is_upheld=True, reason="x", at_us=AFTER, **ME)
    assert (done.state, again.state) == ("upheld", "upheld")
    row = tasks.rows_of(books.book, [task_id])[task_id]
    assert (row["outcome"], row["settlement"], row["is_disputed"]) == ("reversed", "reversed", 0)
    later = month_of(AFTER, "UTC")
    credit = issue(books, "acme", later, at_us=month(later, "UTC").until_us, **ME)
    assert credit is not None
    assert (credit.total_nano, credit.says["lines"][0]["items"][0]["refers"]) == (-5 * USD, first.number)
    assert selling.verify(books.book) == []


def test_a_dispute_is_rejected_on_the_evidence_of_somebody_else_only(books: Books) -> None:
    task_id = settled_by_events(books, "t")
    opened = disputing.open_dispute(
        books.book, books.lake, dispute_id=uuid.uuid4(), task_id=task_id, reason="no", at_us=AFTER, **ME
    )
    with pytest.raises(Conflict, match="disputed already"):
        disputing.open_dispute(
            books.book, books.lake, dispute_id=uuid.uuid4(), task_id=task_id, reason="no", at_us=AFTER, **ME
        )

    def reject(looked: Reverified | None) -> disputing.Dispute:
        return disputing.decide(
            books.book,
            books.lake,
            opened.id,
            is_upheld=False,
            reason="fine",
            at_us=AFTER,
            reverified=looked,
            **ME,
        )

    with pytest.raises(BadInput, match="has not spoken yet"):
        reject(None)
    with pytest.raises(BadInput, match="has spoken on this task before"):
        reject(Reverified("tests", "2", "code", Judgement.PASS, "ab"))
    with pytest.raises(BadInput, match="the other way"):
        reject(Reverified("other", "1", "human", Judgement.FAIL, "ab"))
    assert reject(Reverified("other", "1", "human", Judgement.PASS, "ab")).state == "rejected"
    assert tasks.rows_of(books.book, [task_id])[task_id]["settlement"] == "settled"
    with pytest.raises(Conflict, match="rejected already"):
        disputing.decide(books.book, books.lake, opened.id, is_upheld=True, reason="x", at_us=AFTER, **ME)


def test_a_dispute_about_nothing(books: Books) -> None:
    with pytest.raises(NotFound):
        disputing.open_dispute(
            books.book, books.lake, dispute_id=uuid.uuid4(), task_id="nothing", reason="x", at_us=AFTER, **ME
        )


def test_settled_and_reversed_sales_are_given_to_other_systems(books: Books) -> None:
    shop.settled(books.book, "acme", "a")
    shop.settled(books.book, "acme", "b")
    selling.reverse(books.book, task_id=id_of("b"), at_us=OPENED_US + 5, reason="reopened")
    shapes = {form: list(events(books.book, form, since_us=0, until_us=AFTER)) for form in Format}
    assert [one["payload"]["value"] for one in shapes[Format.STRIPE]] == ["1", "1", "-1"]  # type: ignore[index]
    cloud = shapes[Format.CLOUDEVENTS]
    assert {one["type"] for one in cloud} == {"flatfare.sale"}
    assert [one["data"]["settlement"] for one in cloud] == ["settled", "settled", "reversed"]  # type: ignore[index]
    assert [one["data"]["amount"] for one in cloud] == ["5.000000000", "5.000000000", "-5.000000000"]  # type: ignore[index]
    assert all(one["specversion"] == "1.0" and one["subject"] == "acme" for one in cloud)
    assert len({str(one["event"]["transaction_id"]) for one in shapes[Format.LAGO]}) == 3  # type: ignore[index]


class _Billing(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.taken.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(200 if len(self.server.taken) < 3 else 429)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def billing() -> Iterator[http.server.HTTPServer]:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Billing)
    server.taken = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_events_are_sent_with_their_ids_and_a_refusal_is_told(
    books: Books, billing: http.server.HTTPServer
) -> None:
    for name in "abc":
        shop.settled(books.book, "acme", name)
    found = list(events(books.book, Format.STRIPE, since_us=0, until_us=AFTER))
    url = f"http://127.0.0.1:{billing.server_port}"
    with pytest.raises(StoreFailure, match=r"429 .* after 2 were taken"):
        send(books.book, found, Receiver(Format.STRIPE, url, "sk_test"), now_us=lambda: AFTER)
    path, headers, body = billing.taken[0]  # type: ignore[attr-defined]
    assert (path, headers["Authorization"]) == ("/v1/billing/meter_events", "Bearer sk_test")
    assert parse_qs(body)["identifier"] == [found[0]["identifier"]]
    assert parse_qs(body)["payload[value]"] == ["1"]


def test_a_part_given_back_takes_no_unit_back_before_the_last(books: Books) -> None:
    shop.settled(books.book, "acme", "c")
    for number, nano in enumerate([2 * USD, None]):
        selling.reverse(
            books.book,
            task_id=id_of("c"),
            entry_id=uuid.UUID(id_of(f"part {number}")),
            at_us=OPENED_US + 5,
            reason="late",
            amount_nano=nano,
        )
    told = [
        (one["data"]["settlement"], one["data"]["quantity"], one["data"]["amount"])  # type: ignore[index]
        for one in events(books.book, Format.CLOUDEVENTS, since_us=0, until_us=AFTER)
    ]
    assert told == [
        ("settled", 1, "5.000000000"),
        ("reversed", 0, "-2.000000000"),
        ("reversed", -1, "-3.000000000"),
    ]
    counted = events(books.book, Format.STRIPE, since_us=0, until_us=AFTER)
    assert [one["payload"]["value"] for one in counted] == ["1", "-1"]  # type: ignore[index]
