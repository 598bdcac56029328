"""P4 over two nodes that share one book in PostgreSQL: a budget is one budget, however many lease of it."""

import random
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from flatfare.core.budget import Budget, Scope
from flatfare.service.budgets import budgeting
from flatfare.store import budgets
from flatfare.store.book import open_book
from tests.gateway.rig import Pause, Provider, ask, asking, whole
from tests.gateway.rig_load import BODY, Load
from tests.gateway.rig_pair import CHAT, until
from tests.promises.test_p4_no_overspend import ASKED, LIFETIME, NOW_US, bound_nano, cost_nano
from tests.promises.test_p5_nodes_killed import Node, nodes_on, settled
from tests.store.servers import Server

KEEPALIVES = ("idle", "interval", "count")


def budgeted(database: str, amount_nano: int, queue_ms: int) -> None:
    wanted = Budget("", "held", Scope("organisation"), amount_nano, LIFETIME, queue_ms=queue_ms)
    with open_book(database) as book:
        budgeting.create(book, wanted, at_us=NOW_US, by_whom="test")


def standing(database: str) -> tuple[int, int]:
    with open_book(database) as book:
        (budget,) = budgets.all_of(book)
        found = budgets.standing(book, budget, "organisation", NOW_US)
    return found.spent_nano, found.leased_nano


def at_once(nodes: list[Node], secret: str, count: int) -> Counter[int]:
    """So many calls at one time, shared out over the nodes."""
    found: Counter[int] = Counter()
    lock = threading.Lock()
    request = asking("POST", CHAT, ASKED, [("authorization", f"Bearer {secret}")])

    def one(port: int) -> None:
        status = ask(port, request, 30).status
        with lock:
            found[status] += 1

    threads = [threading.Thread(target=one, args=(nodes[at % len(nodes)].port,)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_burst_over_two_nodes_is_let_in_exactly_as_far_as_it_fits(tmp_path: Path, postgres: Server) -> None:
    """(b) 100 at once over two nodes, the budget fits 10 bounds."""
    database = postgres.new_database()
    with Provider() as provider, ExitStack() as stack:
        nodes = nodes_on(database, tmp_path, provider)
        secret = nodes[0].issue_shared()
        budgeted(database, 10 * bound_nano() + bound_nano() - 1, queue_ms=0)
        for node in nodes:
            node.workers = 2
            stack.enter_context(node)
        with provider.answers(lambda _: (Pause(4), *whole(BODY))):
            assert at_once(nodes, secret, 100) == {200: 10, 429: 90}
        assert len(provider.log) == 10
        settled(database)
        until(lambda: standing(database)[0] == 10 * cost_nano(), 20)


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=pytest.mark.soak)])
def test_killing_whole_nodes_overspends_nothing_and_leaks_nothing(
    tmp_path: Path, postgres: Server, rounds: int
) -> None:
    dice = random.Random(20261121)
    database = postgres.new_database()
    limit = 3000 * cost_nano()
    with Provider() as provider, ExitStack() as stack:
        nodes = nodes_on(database, tmp_path, provider)
        secret = nodes[0].issue_shared()
        budgeted(database, limit, queue_ms=500)
        for node in nodes:
            stack.enter_context(node)
        loads = [Load(node, secret, clients=4, _count=10**6 * number) for number, node in enumerate(nodes)]
        with (
            provider.answers(lambda _: (Pause(dice.uniform(0, 0.02)), *whole(BODY))),
            loads[0].running(),
            loads[1].running(),
        ):
            for _ in range(rounds):
                time.sleep(dice.uniform(0.3, 0.8))
                victim = dice.choice(nodes)
                victim.kill()
                victim.start()
            time.sleep(1.0)
        spent = sum(row["cost_nano"] or 0 for row in settled(database))
        assert spent <= limit
        assert len(provider.log) * cost_nano() <= limit
        until(lambda: standing(database)[0] == spent, 20, "what is spent is not what the rows say")
        until(lambda: standing(database)[1] == 0, 60, "a lease is leaked")


@pytest.mark.skipif(sys.platform != "linux", reason="finds the server's processes below /proc")
@pytest.mark.parametrize("frozen_s", [7.0, pytest.param(30.0, marks=pytest.mark.soak)])
def test_a_server_that_stands_still_costs_no_budget_and_no_call(
    tmp_path: Path, postgres: Server, frozen_s: float
) -> None:
    """As behind a network that is cut: what is leased is served, the rest refused; then all goes on."""
    database = postgres.new_database()
    limit = 400 * bound_nano()
    with Provider() as provider, ExitStack() as stack:
        nodes = nodes_on(database, tmp_path, provider)
        secret = nodes[0].issue_shared()
        budgeted(database, limit, queue_ms=200)
        for node in nodes:
            stack.enter_context(node)
        loads = [
            Load(node, secret, clients=4, timeout_s=15, _count=10**6 * number)
            for number, node in enumerate(nodes)
        ]
        with provider.answers(lambda _: whole(BODY)), loads[0].running(), loads[1].running():
            until(lambda: all(load.answered[200] > 3 for load in loads), 10)
            postgres.freeze()
            try:
                time.sleep(frozen_s)
            finally:
                postgres.thaw()
            former = [load.answered[200] + load.answered[429] for load in loads]
            until(
                lambda: all(
                    load.answered[200] + load.answered[429] > before
                    for load, before in zip(loads, former, strict=True)
                ),
                20,
                "a node does not go on",
            )
        assert not any(load.answered[0] for load in loads), [load.answered for load in loads]
        rows = settled(database)
        sent = [row for row in rows if row["status"] == "ok"]
        assert len(sent) == len(provider.log) == sum(load.answered[200] for load in loads)
        spent = sum(row["cost_nano"] or 0 for row in sent)
        assert spent <= limit
        until(lambda: standing(database)[0] == spent, 20, "what is spent is not what the rows say")


def test_a_machine_that_is_gone_keeps_nobody_out_for_long(postgres: Server) -> None:
    """The server looks after its clients: a lock of one that is cut off is free within half a minute."""
    with open_book(postgres.new_database()) as book:
        found = [book.value(f"SELECT current_setting('tcp_keepalives_{name}')") for name in KEEPALIVES]
    assert found == ["10", "5", "3"]
