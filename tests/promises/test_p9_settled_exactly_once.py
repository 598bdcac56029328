"""P9: each sale moves money once: through kills, races, retries, full disks and servers that go away."""

import os
import random
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from flatfare.core.errors import Conflict, NotFound, StoreFailure
from flatfare.core.ledger import Kind
from flatfare.service import selling
from flatfare.store.book import Book, open_book
from tests.builders import OPENED_US, id_of
from tests.promises import sellers
from tests.promises.killing import kill_somewhere, run_whole
from tests.promises.ledger_oracle import dump
from tests.service.selling.shop import USD, held, judge, open_task, quoted, settled, shop_in, top_up

KILLS, KILLS_ON_POSTGRES = 20, 4
COUNT = 300
INJECTIONS = 100
FAULT = "from tests.promises.faults import p9_acknowledge_before_commit\n"


def program(name: str) -> str:
    """A program that sells, as a script."""
    return f"import tests.promises.applied_fault; from tests.promises import sellers; sellers.{name}()"


def acknowledged(file: Path) -> set[tuple[str, int]]:
    """What the programs were told was done, whole lines only."""
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return {(verb, int(number)) for verb, number in (line.split() for line in lines if line.endswith("\n"))}


def stands(book: Book) -> set[tuple[str, int]]:
    """What the ledger says was done."""
    names = {id_of(f"sale {number}"): number for number in range(COUNT)}
    issues = {id_of(f"invoice {number}"): number for number in range(COUNT)}
    quotes = {id_of(f"quote sale {number}"): number for number in range(COUNT)}
    found = {("quote", quotes[str(one)]) for (one,) in book.rows("SELECT id FROM quotes")}
    for one, verb, task in book.rows("SELECT id, verb, task_id FROM entries"):
        if verb == "issue":
            found.add(("issue", issues[str(one)]))
        elif task is not None and verb != "cost":
            found.add((str(verb), names[str(task)]))
    return found


def expected_totals() -> dict[str, int]:
    """What all sales together come to, told without the product."""
    totals = {"cash": -sellers.CREDIT_NANO, "wallet": sellers.CREDIT_NANO}
    for number in range(COUNT):
        earned = sellers.ends_as(number) != "voided"
        kept = sellers.ends_as(number) == "settled"
        source = "wallet" if number % 2 == 0 else "accrued"
        moves = {
            "revenue": USD * earned,
            "refunds": -USD * (earned and not kept),
            source: -USD * kept,
            "model_cost": -(1000 + number),
            "payable": 1000 + number,
        }
        if number % 6 == 3:
            moves["accrued"] = moves.get("accrued", 0) + USD
            moves["receivable"] = -USD
        for kind, nano in moves.items():
            totals[kind] = totals.get(kind, 0) + nano
    return {kind: nano for kind, nano in totals.items() if nano}


def killed_and_finished(address: str, folder: Path, kills: int, fault: str = "") -> tuple[int, set, Book]:
    """Sell under kills; returns how many there were, what was acknowledged and lost, and the book."""
    dice = random.Random(20261121)
    told = folder / "told"
    arguments = [address, str(told), str(COUNT)]
    script = fault + program("run")
    with open_book(address):
        pass
    killed, lost = 0, set()
    while killed < kills:
        was_killed = kill_somewhere(script, arguments, 0.9, dice)
        killed += was_killed
        with open_book(address) as book:
            lost |= acknowledged(told) - stands(book)
        if not was_killed or lost:
            told.unlink(missing_ok=True)  # from the beginning: all of it is asked again
        if lost:
            break
    if not lost:
        run_whole(script, arguments)
    return killed, lost, open_book(address)


def check_sold_once(address: str, folder: Path, kills: int) -> None:
    killed, lost, book = killed_and_finished(address, folder, kills)
    with book:
        assert (killed, lost) == (kills, set())
        assert len(book.rows("SELECT 1 FROM sales")) == COUNT
        assert book.value("SELECT COUNT(*) FROM entries WHERE verb = 'hold'") == COUNT
        assert {str(k): v["USD"] for k, v in selling.totals(book).items() if v["USD"]} == expected_totals()
        assert selling.verify(book) == []
        with open_book(":memory:") as fresh:
            selling.rebuilt(book, fresh)
            assert dump(fresh) == dump(book)


def test_sales_are_settled_once_through_kills(tmp_path: Path) -> None:
    check_sold_once(f"sqlite:///{tmp_path}/flatfare.db", tmp_path, KILLS)


def test_sales_are_settled_once_through_kills_on_postgresql(postgres, tmp_path: Path) -> None:
    check_sold_once(postgres.new_database(), tmp_path, KILLS_ON_POSTGRES)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_sales_are_settled_once_through_200_kills(database: str, tmp_path: Path, part: int) -> None:
    check_sold_once(database, tmp_path, 20)


def test_the_kills_would_show_a_change_that_was_acknowledged_before_it_was_kept(tmp_path: Path) -> None:
    _, lost, book = killed_and_finished(f"sqlite:///{tmp_path}/flatfare.db", tmp_path, 60, FAULT)
    book.close()
    assert lost


# races


def together(script: str, arguments: list[list[str]]) -> list[str]:
    """Run a program in as many processes as there are arguments, at once; what each printed."""
    running = [
        subprocess.Popen([sys.executable, "-c", script, *one], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for one in arguments
    ]
    said = []
    for process in running:
        out, complaint = process.communicate(timeout=300)
        assert process.returncode == 0, complaint.decode()
        said.append(out.decode().strip())
    return said


def test_eight_processes_spend_a_hundred_credits_and_no_more(database: str) -> None:
    with open_book(database) as book:
        sellers.customer(book, "acme")
        top_up(book, "acme", 100 * USD)
    done = together(program("spend"), [[database, f"process {n}", "50"] for n in range(8)])
    assert sum(map(int, done)) == 100
    with open_book(database) as book:
        assert selling.balance(book, "acme", at_us=OPENED_US).wallet_nano == 0
        assert selling.totals(book)[Kind.REVENUE] == {"USD": 100 * USD}
        assert selling.verify(book) == []


def test_eight_processes_with_the_same_keys_sell_each_once(database: str) -> None:
    keys = 200
    with open_book(database) as book:
        sellers.customer(book, "acme")
        top_up(book, "acme", 1000 * USD)
        for number in range(keys):
            open_task(book, f"key {number}")
            judge(book, f"key {number}")
    conflicts = together(program("same_keys"), [[database, str(keys), str(25 * n)] for n in range(8)])
    assert conflicts == [str(keys)] * 8  # the same key with another body is a conflict, every time
    with open_book(database) as book:
        verbs = dict(book.rows("SELECT verb, COUNT(*) FROM entries GROUP BY verb"))
        assert verbs == {"top_up": 1, "hold": keys, "settle": keys}
        assert selling.balance(book, "acme", at_us=OPENED_US).wallet_nano == 950 * USD
        assert selling.verify(book) == []


# order and duplicates


def shuffled(seed: int, book: Book) -> dict:
    """The same events in another order, some of them twice; what all accounts come to."""
    dice = random.Random(seed)
    tell = []
    for number in range(6):
        name = f"sale {number}"
        open_task(book, name)
        judge(book, name, ("verified", "failed")[number % 3 == 2])
        task_id, quote_id = id_of(name), uuid.UUID(id_of(f"quote {name}"))
        tell.append(lambda name=name, n=number: quoted(book, "acme", name, f"{n + 1}.00"))
        tell.append(lambda t=task_id, q=quote_id: selling.hold(book, task_id=t, quote_id=q, at_us=OPENED_US))
        costs = selling.Costs(1000 * number, 7)
        tell.append(lambda t=task_id, c=costs: selling.book_costs(book, task_id=t, costs=c, at_us=OPENED_US))
        if number % 3 == 2:
            tell.append(lambda t=task_id: selling.void(book, task_id=t, at_us=OPENED_US, reason="failed"))
            continue
        tell.append(lambda t=task_id: selling.settle(book, task_id=t, at_us=OPENED_US))
        if number % 3 == 1:
            tell.append(lambda t=task_id: selling.reverse(book, task_id=t, at_us=OPENED_US, reason="back"))
    tell += [lambda n=n: top_up(book, "acme", 10 * USD, f"{n}") for n in range(3)]
    waiting = [*tell, *dice.sample(tell, 8)]
    dice.shuffle(waiting)
    while waiting:
        still = []
        for one in waiting:
            try:
                one()
            except (selling.NotEnoughCredit, NotFound, Conflict):
                still.append(one)  # too early: told again, as a client that retries does
        assert len(still) < len(waiting)
        waiting = still
    return {**selling.balance(book, "acme", at_us=OPENED_US).accounts}


def check_orders(count: int) -> None:
    found = None
    with open_book(":memory:") as book:
        for seed in range(count):
            for table in (
                "customers",
                "accounts",
                "entries",
                "postings",
                "quotes",
                "sales",
                "tasks",
                "verdicts",
            ):
                book.execute(f"DELETE FROM {table}")
            sellers.customer(book, "acme")
            totals = shuffled(seed, book)
            assert selling.verify(book) == [], seed
            assert found is None or totals == found, seed
            found = totals
    assert found[selling.Account(Kind.REVENUE, "acme", "USD")] == 12 * USD


def test_events_in_any_order_and_twice_come_to_the_same() -> None:
    check_orders(40)


@pytest.mark.soak
def test_events_in_a_thousand_orders_come_to_the_same() -> None:
    check_orders(1000)


# the disk and the server


def sell_under(book: Book, name: str) -> None:
    """A sale from its task to its end, begun again from the start by whoever retries."""
    if book.value("SELECT 1 FROM tasks WHERE id = ?", (id_of(name),)) is None:
        open_task(book, name)
    quote_id = quoted(book, "acme", name, "1.00")
    selling.hold(book, task_id=id_of(name), quote_id=quote_id, at_us=OPENED_US)
    if book.value("SELECT outcome FROM tasks WHERE id = ?", (id_of(name),)) == "open":
        judge(book, name)
    selling.settle(book, task_id=id_of(name), at_us=OPENED_US)


class FailingDisk:
    """Raises, at one statement of many, what SQLite raises when its disk does; as the disk would, unasked."""

    def __init__(self, book: Book, error: str, at: int) -> None:
        self._home, self._error, self._at = book._home, error, at
        self.statements = 0
        self._inner = self._home._connection
        self._home._connection = self

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    def execute(self, statement: str, parameters=()):
        self._count(statement)
        return self._inner.execute(statement, parameters)

    def executemany(self, statement: str, rows):
        self._count(statement)
        return self._inner.executemany(statement, rows)

    def repaired(self) -> None:
        self._home._connection = self._inner

    def _count(self, statement: str) -> None:
        import sqlite3

        self.statements += 1
        if self.statements == self._at and statement != "ROLLBACK":
            raise sqlite3.OperationalError(self._error)


@pytest.mark.parametrize(
    ("error", "says"),
    [("database or disk is full", "is full"), ("disk I/O error", "disk I/O error")],
    ids=["full", "I/O"],
)
def test_a_disk_that_fails_at_any_statement_leaves_nothing_half_written(
    tmp_path: Path, error: str, says: str
) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 1000 * USD)
    sell_under(book, "a sale that opens the accounts")
    counting = FailingDisk(book, error, at=0)
    sell_under(book, "a sale on a disk that is well")
    counting.repaired()
    for number in range(INJECTIONS // 2):
        name = f"sale {number}"
        disk = FailingDisk(book, error, at=1 + number % counting.statements)
        try:
            with pytest.raises(StoreFailure, match=says):
                sell_under(book, name)
        finally:
            disk.repaired()
        assert selling.verify(book) == []
        sell_under(book, name)  # once there is room again, the client's retry completes it
    assert selling.totals(book)[Kind.REVENUE] == {"USD": (INJECTIONS // 2 + 2) * USD}
    assert selling.verify(book) == []


def test_a_file_that_may_not_grow_is_said_and_changes_nothing(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 1000 * USD)
    book.execute(f"PRAGMA max_page_count = {int(str(book.value('PRAGMA page_count'))) + 8}")
    number = 0

    def sell_on() -> None:
        nonlocal number
        for number in range(10_000):
            sell_under(book, f"sale {number}")

    with pytest.raises(StoreFailure, match=r"disk of the book .* is full\. Nothing was changed"):
        sell_on()
    stood = dump(book)
    assert selling.verify(book) == []
    book.execute("PRAGMA max_page_count = 1000000")
    for retried in range(number, number + 3):
        sell_under(book, f"sale {retried}")
    assert selling.verify(book) == []
    assert len(dump(book)[1]) > len(stood[1])


_LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from flatfare.core.errors import Conflict, NotFound, StoreFailure
from flatfare.store.book import open_book
from tests.promises.test_p9_settled_exactly_once import sell_under
with open_book(sys.argv[1]) as book:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    done = 0
    try:
        for number in range(1000):
            sell_under(book, f"sale {number}")
            done += 1
    except StoreFailure as problem:
        print(done, problem)
"""


def test_a_write_that_the_system_refuses_is_said_and_changes_nothing(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 1000 * USD)
    address = f"sqlite:///{tmp_path}/flatfare.db"
    for limit_kb in range(300, 700, 100):
        (said,) = together(_LIMITED, [[address, str(limit_kb * 1024)]])
        assert "disk" in said, said
        assert selling.verify(book) == []
        assert book.value("SELECT COUNT(*) FROM sales WHERE settlement = 'settled'") >= int(said.split()[0])
    sell_under(book, "sale 1000")
    assert selling.verify(book) == []


def test_a_server_that_stops_in_the_middle_changes_nothing_by_halves(postgres) -> None:
    address = postgres.new_database()
    with open_book(address) as book:
        sellers.customer(book, "acme")
        top_up(book, "acme", 1000 * USD)
        done, attempts = 0, 0
        for stop in range(3):
            process = subprocess.Popen([sys.executable, "-c", program("spend"), address, f"p{stop}", "1000"])
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.5)
            postgres.stop()
            process.wait(60)
            postgres.start()
            attempts += 1
            with open_book(address) as again:
                assert selling.verify(again) == []
                done = int(str(again.value("SELECT COUNT(*) FROM sales WHERE settlement = 'settled'")))
        assert attempts == 3
        assert done > 0
    with open_book(address) as book:
        open_sales = selling.sales_of(book, settlement="held")
        for sale in open_sales:
            selling.void(book, task_id=sale.task_id, at_us=OPENED_US, reason="the server went away")
        assert selling.balance(book, "acme", at_us=OPENED_US).held_nano == 0
        assert selling.verify(book) == []


def test_prices_are_frozen_and_reversals_bounded(tmp_path: Path) -> None:
    book = shop_in(tmp_path, "acme")
    top_up(book, "acme", 100 * USD)
    sale = held(book, "acme", "one", "5.00")
    quoted(book, "acme", "two", "9.00")  # the price has gone up since
    judge(book, "one")
    assert selling.settle(book, task_id=sale.task_id, at_us=OPENED_US).settled_nano == 5 * USD
    settled(book, "acme", "two", "9.00")
    for name, nano in (("one", 5 * USD), ("two", 9 * USD)):
        assert selling.reverse(book, task_id=id_of(name), at_us=OPENED_US, reason="x").reversed_nano == nano
    assert selling.totals(book)[Kind.REFUNDS] == {"USD": -14 * USD}
    assert os.path.exists(tmp_path / "flatfare.db")
