"""What clients call themselves and what they ask for may have any sign: none holds up the book."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from flatfare.core.budget import Allowance, Budget, Scope, Window
from flatfare.gateway.reserving.claims import reservation_of
from flatfare.service.budgets import budgeting
from flatfare.store import budgets
from flatfare.store.book import open_book
from tests.gateway.rig import Provider, ask, asking, whole
from tests.gateway.rig_load import BODY
from tests.gateway.rig_pair import CHAT, until
from tests.promises.test_p5_nodes_killed import all_rows, nodes_on
from tests.store.servers import Server

NOW_US = 1_795_000_000_000_000
ASKED = b'{"model": "gpt-4o", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}'
NAMED = ("a%0Ab", "a%0Abud_1 0 b", "a%00b", "a%E2%80%A8b", "%ED%A0%80", "a b 'c\"; --", "%C3%A9" * 300)
"""A line's end, an allowance behind it, NUL, another end of a line, half a sign, SQL, and too long."""


def test_no_name_of_a_session_label_or_model_holds_up_the_book(tmp_path: Path, postgres: Server) -> None:
    database = postgres.new_database()
    with Provider(lambda _: whole(BODY)) as provider, ExitStack() as stack:
        node = nodes_on(database, tmp_path, provider)[0]
        secret = node.issue_shared()
        with open_book(database) as book:
            for scope in ("session=*", "team=*"):
                wanted = Budget("", scope, Scope.of(scope), 10**10, Window.of("lifetime"), unpriced="allow")
                budgeting.create(book, wanted, at_us=NOW_US, by_whom="test")
        stack.enter_context(node)

        def call(body: bytes, baggage: str) -> int:
            fields = [("authorization", f"Bearer {secret}"), ("baggage", baggage)]
            return ask(node.port, asking("POST", CHAT, body, fields), 30).status

        for name in NAMED:
            assert call(ASKED, f"flatfare.session={name},flatfare.team={name},flatfare.task={name}") == 200
        assert call(ASKED.replace(b"gpt-4o", b"gpt\\u0000-4o"), "flatfare.session=last") == 200
        until(lambda: len(all_rows(database)) == len(NAMED) + 1, 20, "the book is held up")
        with open_book(database) as book:
            spent = [one.spent_nano for found in budgets.all_of(book) for one in _standings(book, found)]
        assert sum(spent) > 0
        assert len(spent) >= 6


def _standings(book: object, budget: Budget) -> list[budgets.Standing]:
    return list(budgets.standings(book, budget, NOW_US))  # type: ignore[arg-type]


@pytest.mark.parametrize("subject", ["search", "a b", "a\nb", "\n", "a\n\nbud_x y z"])
def test_what_a_reservation_says_is_read_back_whatever_its_subjects_are(subject: str) -> None:
    names = [Allowance("bud_1", subject, 0), Allowance("bud_2", "other", 17)]
    said = "\n".join(("e1", *(name.id for name in names)))
    assert reservation_of(said) == ("e1", tuple(names))
    assert reservation_of(said[2:]) == (None, tuple(names))
