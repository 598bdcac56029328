"""Alerts of a gateway that runs: told once a crossing, within seconds, whoever is deaf or killed."""

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

from flatfare.core.budget import Budget, Scope, Window
from flatfare.service.budgets import budgeting
from flatfare.store.book import open_book
from tests.gateway.rig import Answer, Pause, Provider, Request, whole
from tests.gateway.rig_load import children
from tests.gateway.rig_pair import CHAT, pair, until
from tests.promises.test_p4_no_overspend import BODY, cost_nano

WITHIN_S = 10.0
"""From the crossing of a line until its channel has heard of it."""


def test_each_crossing_is_told_within_seconds_though_its_teller_is_killed_and_another_channel_is_deaf(
    tmp_path: Path,
) -> None:
    slow_s, came = 3.0, []

    def hear(request: Request) -> Answer:
        if request.path == "/deaf":
            return (Pause(30), *whole(b"{}"))
        came.append((time.monotonic(), request))
        return (Pause(slow_s if len(came) == 1 else 0.0), *whole(b"{}"))

    with Provider(hear) as hooks:
        url = hooks.url("hooks.example")
        channels = {name: {"url": f"{url}/{name}", "allow_private": True} for name in ("deaf", "ops")}
        with pair(tmp_path, alerts=channels) as both:
            with open_book(str(both.gateway.book)) as book:
                terms = Budget("", "held", Scope("organisation"), 4 * cost_nano(), Window.of("lifetime"))
                budgeting.create(book, terms, at_us=1_795_000_000_000_000, by_whom="test")
                budgeting.change(book, "held", {"is_hard": False}, at_us=1_795_000_000_000_001, by_whom="t")
            both.wait_until_noticed()
            crossed = []
            for _ in range(4):
                both.through(whole(BODY), target=CHAT)
                crossed.append(time.monotonic())
            until(lambda: bool(came), WITHIN_S, "nobody was told")
            for process in children(both.gateway)["bookkeeper"]:
                os.kill(process, signal.SIGKILL)  # its message is under way, and not yet taken

            def percents() -> Counter[int]:
                return Counter(json.loads(one.body)["data"]["percent"] for _, one in came)

            until(lambda: set(percents()) == {50, 75, 90, 100}, WITHIN_S, f"told of {percents()}")
            until(lambda: sum(percents().values()) == 5, WITHIN_S, "what was not taken is told again")
            assert came[-1][0] - crossed[-1] < WITHIN_S
            time.sleep(2.5)
            assert sorted(percents().values()) == [1, 1, 1, 2], "and nothing else is told twice"
    ids = Counter(json.loads(one.body)["data"]["id"] for _, one in came)
    assert sorted(ids.values()) == [1, 1, 1, 2], "told again under the same id"
