"""P5 over two nodes that share one book in PostgreSQL: none killed, and no server restarted, loses a call."""

import random
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from flatfare.store.book import open_book
from flatfare.store.layout import CALLS, names
from tests.gateway.rig import Pause, Provider, whole
from tests.gateway.rig_gateway import ROOT, Gateway, Row, configuration
from tests.gateway.rig_load import BODY, Load, answering_soon, check_each_has_one_row
from tests.gateway.rig_pair import CHAT, OPENAI, until
from tests.store.servers import Server

FAULTS = Path(__file__).parent / "faults"


@dataclass
class Node(Gateway):
    """``flatfare serve`` on a book that it shares."""

    @property
    def database(self) -> str:
        return str(self.settings["database"])

    def issue_shared(self) -> str:
        from flatfare.service.access import keys
        from flatfare.service.access.keys import Terms

        with open_book(self.database) as book:
            issued = keys.create(book, Terms("rig"), at_us=time.time_ns() // 1000, by_whom="test")
        return issued.secret


def all_rows(database: str) -> list[Row]:
    with open_book(database) as book:
        rows = book.rows(f"SELECT {names(CALLS)} FROM calls ORDER BY id, revision, n DESC")
    found = [dict(zip((column.name for column in CALLS), row, strict=True)) for row in rows]
    newest = {row["id"]: row for row in found if row["n"] == 1}
    for call_id in newest:
        assert sum(int(row["n"]) for row in found if row["id"] == call_id) == 1, "each call counts once"
    return list(newest.values())


def settled(database: str, within_s: float = 30.0) -> list[Row]:
    """All rows, once no call is open and no more come."""
    deadline, before = time.monotonic() + within_s, -1
    while time.monotonic() < deadline:
        rows = all_rows(database)
        with open_book(database) as book:
            count_open = book.value("SELECT COUNT(*) FROM open_calls")
        if len(rows) == before and not count_open:
            return rows
        before = len(rows)
        time.sleep(0.5)
    raise AssertionError("calls stay open")


def nodes_on(database: str, folder: Path, provider: Provider, prelude: str = "") -> list[Node]:
    """Two nodes that are not started, each with a folder of its own, and one lake."""
    settings = configuration(provider, (OPENAI,), database=database, lake=str(folder / "lake"))
    return [
        Node(folder / name, settings | {"journal": str(folder / name / "journal")}, prelude=prelude)
        for name in ("one", "two")
    ]


def reported(node: Node) -> str:
    """What the report counts, as a user of that node sees it."""
    command = [
        sys.executable,
        "-m",
        "flatfare",
        "--config",
        "flatfare.yaml",
        "report",
        "--by",
        "model",
        "--csv",
    ]
    done = subprocess.run(
        command,
        cwd=node.folder,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin", "HOME": str(node.folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("rounds", [3, pytest.param(40, marks=pytest.mark.soak)])
def test_two_nodes_lose_and_double_nothing(tmp_path: Path, postgres: Server, rounds: int) -> None:
    dice = random.Random(20261121)
    database = postgres.new_database()
    with Provider() as provider, ExitStack() as stack:
        nodes = nodes_on(database, tmp_path, provider)
        secret = nodes[0].issue_shared()
        for node in nodes:
            stack.enter_context(node)
        loads = [
            Load(node, secret, clients=4, _count=1_000_000 * number) for number, node in enumerate(nodes)
        ]
        in_flight = 0
        with provider.answers(answering_soon), loads[0].running(), loads[1].running():
            for turn in range(rounds):
                time.sleep(dice.uniform(0.3, 0.8))
                victim = dice.choice(nodes)
                victim.kill()
                in_flight += 4
                if turn == 1:  # the book goes away for a moment, and the journals keep the calls
                    postgres.stop()
                    time.sleep(0.5)
                    postgres.start()
                victim.start()
            until(lambda: all(load.answered[200] > 0 for load in loads), 10)
            time.sleep(1.0)
        rows = settled(database)
        check_each_has_one_row(provider.log, rows, in_flight)
        proven = {row["labels"] for row in rows if row["delivery"] == "proven"}
        for load in loads:
            assert load.answered[200] > 50, load.answered
            missing = [name for name in load.whole if f'{{"probe":"{name}"}}' not in proven]
            assert not missing, "who got a whole answer has its cost on record"
        assert reported(nodes[0]) == reported(nodes[1]) != ""


def test_a_node_leaves_the_open_calls_and_places_of_another_alone(tmp_path: Path, postgres: Server) -> None:
    """Without this a node that starts would give up what another is still waiting for."""
    from flatfare.gateway.booking import Booker
    from flatfare.store import journals
    from flatfare.store.lake import Lake
    from tests.gateway.calls import intent, write_journal

    with open_book(postgres.new_database()) as book:
        with book.writing():
            journals.set_position(book, "far-away", 3, 400, "another node")
            journals.add_open_calls(book, [("call", "far-away", "{}")], "another node")
        write_journal(tmp_path / "journal", [intent(1)])
        booker = Booker(book, Lake(tmp_path / "lake"), tmp_path / "journal")
        booker.book_once()
        booker.book_once()
        assert journals.positions(book) == {"far-away": (3, 400)}
        assert [call_id for call_id, _, _ in journals.open_calls(book)] == ["call"]
        assert book.value("SELECT COUNT(*) FROM calls") == 1


def test_a_booker_of_every_node_is_found_out(tmp_path: Path, postgres: Server) -> None:
    """The negative control: with the fault, a node that starts gives up a call that another waits for."""
    database = postgres.new_database()
    fault = (FAULTS / "book_for_every_node.py").read_text()
    with Provider(lambda _: (Pause(4.0), *whole(BODY))) as provider:
        one, two = nodes_on(database, tmp_path, provider, fault)
        secret = one.issue_shared()
        with one:
            thread = threading.Thread(
                target=one.ask, args=(secret, "POST", CHAT, b'{"model": "gpt-4o", "messages": []}')
            )
            thread.start()
            with open_book(database) as book:
                until(lambda: book.value("SELECT COUNT(*) FROM open_calls") == 1, 10)
                with two:
                    until(lambda: book.value("SELECT MAX(delivery) FROM calls") == "unproven", 3.5)
            thread.join(10)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the server's processes below /proc")
@pytest.mark.parametrize("frozen_s", [4.0, pytest.param(30.0, marks=pytest.mark.soak)])
def test_a_book_that_stands_still_keeps_no_call_waiting(
    tmp_path: Path, postgres: Server, frozen_s: float
) -> None:
    """As behind a network that is cut: calls go on from the journal, and each is booked once afterwards."""
    database = postgres.new_database()
    with Provider() as provider, ExitStack() as stack:
        node = nodes_on(database, tmp_path, provider)[0]
        secret = node.issue_shared()
        stack.enter_context(node)
        load = Load(node, secret, clients=4)
        with provider.answers(answering_soon), load.running():
            until(lambda: load.answered[200] > 3, 10)
            postgres.freeze()
            try:
                time.sleep(0.5)
                before = load.answered[200]
                time.sleep(frozen_s)
                meanwhile = load.answered[200] - before
            finally:
                postgres.thaw()
        assert meanwhile > 20, load.answered
        rows = settled(database)
        check_each_has_one_row(provider.log, rows, 0)
        assert {row["delivery"] for row in rows} == {"proven"}
