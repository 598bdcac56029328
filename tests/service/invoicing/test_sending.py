"""What is sent to another billing system counts there once: through retries, crashes, days and refusals."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from flatfare.core.errors import StoreFailure
from flatfare.service.invoicing.exporting import Format, events
from flatfare.service.invoicing.sending import Delivery, Receiver, send
from flatfare.store.book import Book, open_book
from tests.service.selling import shop
from tests.service.selling.shop import DAY_US

HOUR_US = DAY_US // 24
DUPLICATE = '{"error": {"message": "An event already exists with identifier %s."}}'


class Stripe(http.server.ThreadingHTTPServer):
    """Counts as Stripe does: it knows an identifier for a day, and refuses one that it knows."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.counted: list[str] = []
        self.known: set[str] = set()
        self.refuses: dict[str, int] = {}  # identifiers, and with which status
        self.hangs_up_after: int | None = None  # counts so many, and of the last the answer is lost


class _Asked(http.server.BaseHTTPRequestHandler):
    server: Stripe

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        (identifier,) = parse_qs(body)["identifier"]
        if identifier in self.server.refuses:
            self._answer(self.server.refuses[identifier], "no such customer")
            return
        if identifier in self.server.known:
            self._answer(400, DUPLICATE % identifier)
            return
        self.server.known.add(identifier)
        self.server.counted.append(identifier)
        if len(self.server.counted) == self.server.hangs_up_after:
            self.close_connection = True
            return
        self._answer(200, "{}")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def stripe() -> Iterator[Stripe]:
    server = Stripe()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with shop.shop_in(tmp_path, "acme", terms="invoice") as book:
        for name in "abc":
            shop.settled(book, "acme", name)
        yield book


Sending = Callable[..., Delivery]


@pytest.fixture
def sending(book: Book, stripe: Stripe) -> Sending:
    """Sends every sale there is, at a moment."""

    def at(at_us: int = 0, secret: str = "sk_live_1", name: str = "", **how: str) -> Delivery:
        receiver = Receiver(Format.STRIPE, f"http://127.0.0.1:{stripe.server_port}", secret, name)
        found = list(events(book, Format.STRIPE, since_us=0, until_us=1 << 62))
        return send(book, found, receiver, now_us=lambda: at_us, **how)

    return at


def test_a_resend_after_the_receiver_forgot_counts_nothing_twice(sending: Sending, stripe: Stripe) -> None:
    assert (sending().taken, sending().before) == (3, 3)
    stripe.known.clear()  # days later
    again = sending(9 * DAY_US)
    assert (again.taken, again.before, len(stripe.counted)) == (0, 3, 3)


def test_an_answer_that_was_lost_is_asked_for_again_while_the_id_is_known(
    sending: Sending, stripe: Stripe
) -> None:
    stripe.hangs_up_after = 2
    with pytest.raises(StoreFailure, match="1 were taken, and are not sent again"):
        sending()
    again = sending(HOUR_US)
    assert (again.taken, again.before, len(stripe.counted)) == (2, 1, 3)


def test_after_that_it_is_named_and_not_sent_until_somebody_says_what_holds(
    sending: Sending, stripe: Stripe
) -> None:
    stripe.hangs_up_after = 2
    with pytest.raises(StoreFailure):
        sending()
    stripe.known.clear()
    later = sending(DAY_US)
    assert (later.taken, later.before, later.unanswered) == (1, 1, [stripe.counted[1]])
    assert len(stripe.counted) == 3
    held = sending(2 * DAY_US, unanswered="taken")
    assert (held.taken, held.before, held.unanswered, len(stripe.counted)) == (0, 3, [], 3)
    assert sending(3 * DAY_US).before == 3


def test_or_it_is_sent_once_more(sending: Sending, stripe: Stripe) -> None:
    stripe.hangs_up_after = 2
    with pytest.raises(StoreFailure):
        sending()
    stripe.known.clear()
    again = sending(DAY_US, unanswered="send")
    assert (again.taken, again.before, len(stripe.counted)) == (2, 1, 4)


@pytest.mark.parametrize(("status", "left"), [(400, []), (429, []), (500, [1])])
def test_what_was_refused_counts_nothing_and_may_be_sent_at_any_time(
    sending: Sending, stripe: Stripe, status: int, left: list[int]
) -> None:
    known = sending()
    assert known.taken == 3
    second = stripe.counted[1]
    stripe.counted.clear()
    stripe.known.clear()
    stripe.refuses[second] = status
    with pytest.raises(StoreFailure, match=f"answered {status} .* after 1 were taken"):
        sending(name="another account")
    stripe.refuses.clear()
    later = sending(2 * DAY_US, name="another account")
    assert len(later.unanswered) == len(left)
    assert later.taken == 2 - len(left)


def test_stripe_s_test_mode_and_accounts_are_receivers_of_their_own(sending: Sending, stripe: Stripe) -> None:
    for receiver in ({"secret": "sk_test_1"}, {"secret": "sk_live_1"}, {"name": "other"}):
        stripe.known.clear()
        assert sending(**receiver).taken == 3
    assert sending(secret="rk_live_2").before == 3
    assert sending(secret="rk_test_2").before == 3


def test_what_was_taken_is_remembered_by_any_database(database: str, stripe: Stripe) -> None:
    with open_book(database) as book:
        shop.customer(book, "acme", terms="invoice")
        shop.settled(book, "acme", "a")
        receiver = Receiver(Format.STRIPE, f"http://127.0.0.1:{stripe.server_port}", "sk_live_1")
        found = list(events(book, Format.STRIPE, since_us=0, until_us=1 << 62))
        moments = (lambda: 0, lambda: 2 * DAY_US)
        done = [send(book, found, receiver, now_us=now) for now in moments]
    assert [(one.taken, one.before) for one in done] == [(1, 0), (0, 1)]
    assert len(stripe.counted) == 1


def test_an_id_that_lago_knows_is_taken(book: Book) -> None:
    from flatfare.service.invoicing.sending import _is_taken_before

    said = (
        '{"status":422,"code":"validation_errors","error_details":{"transaction_id":["value_already_exist"]}}'
    )
    assert _is_taken_before(Format.LAGO, 422, said)
    assert not _is_taken_before(Format.LAGO, 422, '{"error_details":{"code":["not_found"]}}')
    assert not _is_taken_before(Format.CLOUDEVENTS, 400, said)
