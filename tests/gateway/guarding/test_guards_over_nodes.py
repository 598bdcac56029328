"""Guards over two nodes that share one book: each counts exactly, and knows of the other a moment later."""

import time
from contextlib import ExitStack
from pathlib import Path

from flatfare.service.budgets import guarding
from flatfare.store.book import open_book
from tests.gateway.rig import Provider, ask, asking, whole
from tests.gateway.rig_load import BODY
from tests.gateway.rig_pair import CHAT
from tests.promises.test_p5_nodes_killed import nodes_on
from tests.store.servers import Server

ASKED = b'{"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": "How many legs?"}]}'


def test_what_a_session_did_on_one_node_counts_on_the_other(tmp_path: Path, postgres: Server) -> None:
    database = postgres.new_database()
    with Provider() as provider, ExitStack() as stack:
        nodes = nodes_on(database, tmp_path, provider)
        secret = nodes[0].issue_shared()
        with open_book(database) as book:
            wanted = guarding.guard_of("calls", {"kind": "calls", "at_most": 10, "action": "stop"})
            made = guarding.create(book, wanted, at_us=1, by_whom="test")
        for node in nodes:
            stack.enter_context(node)
        request = asking(
            "POST", CHAT, ASKED, [("authorization", f"Bearer {secret}"), ("flatfare-session", "s")]
        )
        with provider.answers(lambda _: whole(BODY)):
            statuses = []
            for node in (0, 0, 0, 1, 1, 0, 1):
                statuses += [ask(nodes[node].port, request, 30).status for _ in range(2)]
                time.sleep(2.5)
        assert statuses == [200] * 10 + [429] * 4
        with open_book(database) as book:
            document = guarding.document_of(book, made)
            alerts = book.value("SELECT COUNT(*) FROM alerts WHERE kind = 'guard.crossed'")
        assert (document["hits"], document["subjects_hit"], alerts) == (4, 1, 1), "told once, by whichever"
