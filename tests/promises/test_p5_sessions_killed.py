"""P5, P4: what a session has used outlives kill -9 of any process, and is charged while it goes on."""

import os
import random
import signal
import socket
import struct
import time
from contextlib import closing
from pathlib import Path

import pytest

from flatfare.core.budget import Budget, Scope, Window
from flatfare.service.budgets import budgeting
from flatfare.store import budgets
from flatfare.store.book import open_book
from tests.gateway.rig import Pause, Stall, Until, ask
from tests.gateway.rig_load import the
from tests.gateway.rig_pair import Pair, pair, until
from tests.gateway.test_sessions_served import SWITCHED, TURN_NANO, UPGRADE, begun, said

NOW_US = 1_795_000_000_000_000
LIFETIME = Window.of("lifetime")


def spent(both: Pair) -> tuple[int, int]:
    """What the only budget has spent, and what is leased of it."""
    with open_book(str(both.gateway.book)) as book:
        (budget,) = budgets.all_of(book)
        found = budgets.standing(book, budget, "organisation", NOW_US)
    return found.spent_nano, found.leased_nano


def budgeted(both: Pair, amount_nano: int, **terms: object) -> None:
    budget = Budget("", "talk", Scope.of("organisation"), amount_nano, LIFETIME, **terms)  # type: ignore[arg-type]
    with open_book(str(both.gateway.book)) as book:
        budgeting.create(book, budget, at_us=NOW_US, by_whom="test")
    both.wait_until_noticed()


def after_first(turns: int) -> bytes:
    """The ends of so many answers."""
    return said(1 + turns)[len(said(1)) :]


@pytest.mark.parametrize("who", ["worker", "all at once"])
def test_what_a_session_had_used_is_booked_after_a_kill(who: str, tmp_path: Path) -> None:
    """What the client has heard the end of is never lost: it is a part, and says so."""
    with pair(tmp_path) as both, closing(begun(both, said(4))):
        if who == "worker":
            os.kill(the(both.gateway, "worker"), signal.SIGKILL)
        else:
            both.gateway.kill()
            both.gateway.start()
        (row,) = both.gateway.new_rows(1)
    assert (row["cost_nano"], row["cost_state"]) == (3 * TURN_NANO, "estimated")
    assert "costs at least that" in str(row["cost_reason"])
    assert (row["input"], row["output"], row["model"]) == (3000, 300, "gpt-realtime")
    assert (row["status"], row["delivery"], row["http_status"]) == ("failed", "proven", 101)


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=pytest.mark.soak)])
def test_sessions_killed_at_random_moments_lose_nothing_that_was_heard(kills: int, tmp_path: Path) -> None:
    """Bookkeeper and worker are killed while answers come: one row a session, never less than was heard."""
    dice = random.Random()
    one = after_first(1)
    with pair(tmp_path, prelude="import flatfare.gateway.supervisor as s; s.LIVED_S_MIN = 0.0") as both:
        for _ in range(kills):
            until(lambda: both.ready() == 200, 15)
            both.provider.next((SWITCHED + said(1), *[one, Pause(0.01)] * 30, Stall()))
            with closing(socket.create_connection(("127.0.0.1", both.gateway.port), 5)) as line:
                line.settimeout(0.005)
                line.sendall(UPGRADE.format(both.secret).encode())
                heard, until_s = b"", time.monotonic() + dice.uniform(0.1, 0.5)
                killed_too = dice.random() < 0.5
                while time.monotonic() < until_s:
                    try:
                        heard += line.recv(65536)
                    except TimeoutError:
                        continue
                if killed_too:
                    os.kill(the(both.gateway, "bookkeeper"), signal.SIGKILL)
                os.kill(the(both.gateway, "worker"), signal.SIGKILL)
                line.settimeout(5)
                try:
                    while piece := line.recv(65536):
                        heard += piece
                except ConnectionError:
                    pass
            turns = heard.count(one)
            (row,) = both.gateway.new_rows(1, 20)
            known = int(str(row["cost_nano"] or 0))
            assert turns * TURN_NANO <= known <= 30 * TURN_NANO
            assert known % TURN_NANO == 0


def test_a_session_is_charged_while_it_goes_on_and_once(tmp_path: Path) -> None:
    """A soft budget counts each answer as it ends, and the session's end adds nothing that was counted."""
    go_on = tmp_path / "go"
    with pair(tmp_path / "gateway") as both:
        budgeted(both, 10**9, is_hard=False)
        both.provider.forget()
        both.provider.next((SWITCHED + said(2), Until(go_on.exists), after_first(1), Stall()))
        with closing(socket.create_connection(("127.0.0.1", both.gateway.port), 5)) as line:
            line.sendall(UPGRADE.format(both.secret).encode())
            until(lambda: spent(both)[0] == TURN_NANO, 10)
            os.kill(the(both.gateway, "bookkeeper"), signal.SIGKILL)  # the next one goes on from there
            go_on.touch()
            until(lambda: spent(both)[0] == 2 * TURN_NANO, 15)
        (row,) = both.gateway.new_rows(1)
        assert row["cost_nano"] == 2 * TURN_NANO
        assert spent(both) == (2 * TURN_NANO, 0)


def heard_until_closed(line: socket.socket) -> bytes:
    received = b""
    while piece := line.recv(65536):
        received += piece
    return received


@pytest.mark.parametrize("answers", [1, 2])
def test_a_session_ends_when_its_hard_budget_is_spent(answers: int, tmp_path: Path) -> None:
    """The budget lets sessions through that nobody can bound: they end when nothing is left of it."""
    with pair(tmp_path) as both:
        budgeted(both, answers * TURN_NANO - (answers - 1), is_hard=True, unpriced="allow")
        both.provider.forget()
        both.provider.next((SWITCHED + said(1), *[after_first(1), Pause(0.3)] * 4, Stall()))
        with closing(socket.create_connection(("127.0.0.1", both.gateway.port), 5)) as line:
            line.sendall(UPGRADE.format(both.secret).encode())
            received = heard_until_closed(line)
        reason = b"The budget 'talk' is spent."
        end = bytes((0x88, 2 + len(reason))) + struct.pack("!H", 1008) + reason
        assert received.endswith(said(1 + answers) + end), received[-300:]
        (row,) = both.gateway.new_rows(1)
        assert (row["cost_nano"], row["status"]) == (answers * TURN_NANO, "cancelled")
        assert '"changed":"session_end"' in str(row["traits"])
        until(lambda: spent(both) == (answers * TURN_NANO, 0))
        refused = ask(both.gateway.port, UPGRADE.format(both.secret).encode())
        assert (refused.status, b"'talk' has $0.00 left" in refused.body) == (429, True), refused.body
        both.gateway.new_rows(1)


def test_a_killed_session_leaks_nothing_of_its_hard_budget(tmp_path: Path) -> None:
    """What it used is spent, once; what was leased for more goes back."""
    with pair(tmp_path) as both:
        budgeted(both, 10**10, is_hard=True, unpriced="allow")
        with closing(begun(both, said(4))):
            os.kill(the(both.gateway, "worker"), signal.SIGKILL)
            (row,) = both.gateway.new_rows(1)
        assert row["cost_nano"] == 3 * TURN_NANO
        until(lambda: spent(both)[0] == 3 * TURN_NANO, 5)
        until(lambda: spent(both) == (3 * TURN_NANO, 0), 30, "a lease is leaked")
