"""P4 whatever is asked and agreed: billed later, a budget of nothing, fifty at once, less than there was."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.core.budget import Budget, Scope, TopUp
from flatfare.service.budgets import budgeting
from flatfare.store import budgets
from flatfare.store.book import open_book
from tests.gateway.rig import Seen, ask, asking, whole
from tests.gateway.rig_load import settled_rows
from tests.gateway.rig_pair import Pair, pair, until
from tests.promises.test_p4_no_overspend import (
    BODY,
    LIFETIME,
    NOW_US,
    at_once,
    bound_nano,
    cost_nano,
    standing,
    statuses,
    under,
)
from tests.service.budgets.test_sound_lengths import KIND, form, wave

BACKGROUND = b'{"model": "gpt-4o", "input": "Hello", "background": true, "max_output_tokens": 1000}'
QUEUED = b'{"id": "resp_1", "object": "response", "status": "queued", "background": true, "output": []}'
DONE = (
    b'{"id": "resp_1", "object": "response", "status": "completed", "background": true, "output": [],'
    b' "model": "gpt-4o-2024-08-06", "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}}'
)
SEEN_WITHIN_S = 1.5
"""A change is seen within a second."""


def sent(both: Pair, method: str, target: str, body: bytes = b"") -> Seen:
    fields = [("authorization", f"Bearer {both.secret}"), ("content-type", "application/json")]
    return ask(both.gateway.port, asking(method, target, body, fields), 20)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/gemini/v1beta/models/gemini-2.5-flash:batchGenerateContent", b'{"batch": {}}'),
        ("/v1/realtime/client_secrets", b'{"session": {"type": "realtime", "model": "gpt-realtime"}}'),
    ],
)
def test_what_is_billed_where_nobody_holds_it_is_refused(shown: Pair, target: str, body: bytes) -> None:
    """A batch of which nobody here sees the requests, and a session that is had with the provider itself."""
    seen = sent(shown, "POST", target, body)
    assert seen.status == 429
    assert b"is not known before it has ended" in seen.body
    assert shown.provider.log == []


@pytest.mark.parametrize("target", ["/v1/batches/batch_1", "/anthropic/v1/messages/batches/msgbatch_1"])
def test_a_batch_that_was_made_can_be_looked_at_and_called_off(shown: Pair, target: str) -> None:
    for method, path in (("GET", target), ("POST", f"{target}/cancel")):
        assert b"budget" not in sent(shown, method, path).body


@pytest.fixture(scope="module")
def one_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    hosts = ("api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com")
    with pair(tmp_path_factory.mktemp("later"), *hosts, workers=1) as both:
        with open_book(str(both.gateway.book)) as book:
            wanted = Budget("", "held", Scope("organisation"), 10**12, LIFETIME)
            budgeting.create(book, wanted, at_us=NOW_US, by_whom="test")
        time.sleep(SEEN_WITHIN_S)
        yield both


@pytest.fixture
def shown(one_gateway: Pair) -> Pair:
    """A gateway of three providers under a budget that has enough of everything."""
    one_gateway.provider.forget()
    return one_gateway


def test_an_answer_in_the_background_is_held_when_begun_and_fetched_whatever_is_left(tmp_path: Path) -> None:
    """One bound fits. To fetch what was begun needs no room; what it cost takes the bound's place, once."""
    cost = 10 * 2500 + 5 * 10_000
    with under(tmp_path, bound_nano(BACKGROUND) + 10_000_000, queue_ms=0) as both:
        answers = [QUEUED, QUEUED, DONE, DONE]
        with both.provider.answers(lambda _: whole(answers.pop(0))):
            assert sent(both, "POST", "/v1/responses", BACKGROUND).status == 200
            until(lambda: standing(both)[0] > cost, 10, "it is charged what was held for it")
            assert sent(both, "POST", "/v1/responses", BACKGROUND).status == 429, "there is no room"
            for body in answers[:]:
                seen = sent(both, "GET", "/v1/responses/resp_1")
                assert (seen.status, seen.body) == (200, body)
        rows = settled_rows(both.gateway)
        until(lambda: standing(both)[0] == cost, 10, f"{standing(both)} is not what it cost")
        newest = {row["id"]: row for row in sorted(rows, key=lambda row: row["revision"])}
        assert sorted(row["cost_nano"] for row in newest.values()) == [0, 0, 0, 0, cost]


def test_a_recording_and_a_picture_are_held_and_then_cost_what_they_did(tmp_path: Path) -> None:
    """Ninety seconds to Whisper at $0.006 a minute, and a picture of 272 tokens at $40 a million."""
    picture = b'{"model": "gpt-image-1", "prompt": "a cat", "size": "1024x1024", "quality": "low"}'
    heard = b'{"text": "So it is.", "duration": 90.0, "task": "transcribe", "language": "english"}'
    drawn = b'{"created": 1795000000, "data": [{}], "usage": {"input_tokens": 3, "output_tokens": 272}}'
    recording = form(wave(90))
    with under(tmp_path, 30_000_000, queue_ms=0) as both:
        fields = [("authorization", f"Bearer {both.secret}"), ("content-type", KIND.decode())]
        asked = asking("POST", "/v1/audio/transcriptions", recording, fields)
        with both.provider.answers(lambda _: whole(heard)):
            assert ask(both.gateway.port, asked, 20).status == 200
        with both.provider.answers(lambda _: whole(drawn)):
            assert sent(both, "POST", "/v1/images/generations", picture).status == 200
            dear = picture.replace(b"low", b"high")
            assert sent(both, "POST", "/v1/images/generations", dear).status == 429, "$0.17 do not fit"
        cost = 90 * 100_000 + 3 * 5000 + 272 * 40_000
        until(lambda: standing(both) == (cost, 0), 10, f"{standing(both)} is not {cost}")


def test_of_a_budget_of_nothing_nothing_is_spent(tmp_path: Path) -> None:
    with under(tmp_path, 0, queue_ms=5000) as both:
        began = time.monotonic()
        (seen,) = at_once(both, 1)
        assert time.monotonic() - began < 3, "no waiting makes it fit"
        assert seen.status == 429
        assert b"has $0.00 left of $0.00 in all" in seen.body
        assert both.provider.log == []


def test_fifty_budgets_on_one_call_hold_as_one_does(tmp_path: Path) -> None:
    """The tightest of fifty decides, and each is charged the same to the nano-dollar."""
    with under(tmp_path, 3 * bound_nano(), queue_ms=0) as both:
        with open_book(str(both.gateway.book)) as book:
            for number in range(49):
                wanted = Budget("", f"b{number}", Scope("organisation"), 10**12, LIFETIME, queue_ms=0)
                budgeting.create(book, wanted, at_us=NOW_US, by_whom="test")
        time.sleep(SEEN_WITHIN_S)
        with both.provider.answers(lambda _: whole(BODY)):
            assert statuses(at_once(both, 1)) == {200: 1}
        settled_rows(both.gateway)

        def spent() -> set[int]:
            with open_book(str(both.gateway.book)) as book:
                found = budgets.all_of(book)
                assert len(found) == 50
                return {budgets.standing(book, one, "organisation", NOW_US).spent_nano for one in found}

        until(lambda: spent() == {cost_nano()}, 10)


def lowered(both: Pair, amount_nano: int) -> None:
    with open_book(str(both.gateway.book)) as book:
        budgeting.change(book, "held", {"amount_nano": amount_nano}, at_us=NOW_US, by_whom="test")


def test_a_budget_that_is_lowered_holds_within_a_second(tmp_path: Path) -> None:
    """What was leased ahead under the former amount is not served any more."""
    with (
        under(tmp_path, 2000 * bound_nano(), queue_ms=0) as both,
        both.provider.answers(lambda _: whole(BODY)),
    ):
        assert statuses(at_once(both, 1)) == {200: 1}
        lowered(both, cost_nano())
        time.sleep(SEEN_WITHIN_S)
        found = statuses([one for _ in range(5) for one in at_once(both, 1)])
        assert found == {429: 5}
        settled_rows(both.gateway)
        assert standing(both) == (cost_nano(), 0)


def test_what_a_top_up_added_is_not_spent_after_it_expired(tmp_path: Path) -> None:
    """Calls that were let in before it expired may end; none is let in by it afterwards."""
    with (
        under(tmp_path, cost_nano(), queue_ms=0) as both,
        both.provider.answers(lambda _: whole(BODY)),
    ):
        assert statuses(at_once(both, 1)) == {429: 1}
        now_us = time.time_ns() // 1000
        until_us = now_us + 3_000_000
        with open_book(str(both.gateway.book)) as book:
            more = TopUp(2000 * bound_nano(), now_us, until_us, "test")
            budgeting.top_up(book, "held", more, at_us=now_us)
        until(lambda: statuses(at_once(both, 1))[200] == 1, 2.5)
        while time.time_ns() // 1000 < until_us - 500_000:  # the last call is let in well before
            assert statuses(at_once(both, 1)) == {200: 1}
            time.sleep(0.02)
        time.sleep(max(0.0, until_us / 1e6 - time.time()))
        assert statuses([one for _ in range(5) for one in at_once(both, 1)]) == {429: 5}, (
            "from that moment on"
        )
