"""What guards take back of what a request asks for: only that, and named in the answer."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flatfare.core.budget import Budget, Scope, Threshold, Window
from flatfare.service.budgets import budgeting, guarding
from flatfare.store.book import open_book
from tests.gateway.guarding.guarded import Guarded
from tests.gateway.rig import ask, asking, whole
from tests.gateway.rig_pair import CHAT, Pair, pair, until
from tests.gateway.rig_recorded import own

BODY = own("openai-chat").body
GEMINI = "generativelanguage.googleapis.com"
ANTHROPIC = "api.anthropic.com"
ODD = (
    b'{ "messages":[{"role":"user","content":"\\u00e9 \\"model\\": x"}],  "model" : "gpt-4o", "n":1,"t":1.50}'
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with (
        pair(tmp_path_factory.mktemp("shaping"), "api.openai.com", ANTHROPIC, GEMINI) as opened,
        opened.provider.answers(lambda _: whole(BODY)),
    ):
        yield opened


class Shaping(Guarded):
    """A guard that takes back what a request asks for."""

    def sent(self, body: object, target: str = CHAT) -> tuple[Any, str | None]:
        """What the provider was sent, and what the client was told of it."""
        seen = self.ask(body, target)
        assert seen.status == 200, seen.body
        return self.both.provider.log[-1].json(), seen.header("flatfare-changed")


def budgeted(both: Pair, team: str, spent_percent: int, *thresholds: str) -> None:
    """A soft budget of a team, of which so much is spent."""
    with open_book(str(both.gateway.book)) as book:
        wanted = Budget(
            "", f"of {team}", Scope("team", team), 10**12, Window.of("lifetime"), is_hard=False,
            thresholds=tuple(Threshold.of(text) for text in thresholds),
        )  # fmt: skip
        made = budgeting.create(book, wanted, at_us=1, by_whom="test")
        with book.writing():
            book.execute(
                "INSERT INTO allowances (id, budget_id, subject, begins_us, ends_us, spent_nano) "
                "VALUES (?, ?, ?, 0, NULL, ?)",
                (f"{made.id} 0 {team}", made.id, team, 10**10 * spent_percent),
            )
    both.wait_until_noticed()


def test_a_downgrade_alters_the_model_alone_and_is_named(both: Pair) -> None:
    guarded = Shaping(both, kind="models", at_most=90, instead={"gpt-4o": "gpt-4o-mini"})
    seen = guarded.ask(ODD)
    assert (seen.status, seen.header("flatfare-changed")) == (200, None), "nothing is spent yet"
    assert both.provider.log[-1].body == ODD
    budgeted(both, guarded.name, 90)
    both.gateway.forget_rows()
    seen = guarded.ask(ODD)
    assert (seen.status, seen.header("flatfare-changed")) == (200, "downgrade")
    assert both.provider.log[-1].body == ODD.replace(b'"gpt-4o"', b'"gpt-4o-mini"')
    (row,) = both.gateway.new_rows(1)
    assert row["model_asked"] == "gpt-4o-mini"
    assert json.loads(row["traits"])["downgraded_from"] == "gpt-4o"
    other = ODD.replace(b"gpt-4o", b"o3")
    assert guarded.ask(other).header("flatfare-changed") is None
    assert both.provider.log[-1].body == other


def test_a_downgrade_of_gemini_alters_its_address_alone(both: Pair) -> None:
    guarded = Shaping(both, kind="models", at_most=50, instead={"gemini-2.5-pro": "gemini-2.5-flash-lite"})
    budgeted(both, guarded.name, 60)
    body = b'{"contents": [{"parts": [{"text": "How many legs?"}]}]}'
    seen = guarded.ask(body, "/gemini/v1beta/models/gemini-2.5-pro:generateContent")
    assert seen.header("flatfare-changed") == "downgrade"
    request = both.provider.log[-1]
    assert (request.path, request.body) == ("/v1beta/models/gemini-2.5-flash-lite:generateContent", body)


def test_a_key_is_never_given_a_model_that_it_may_not_use(both: Pair) -> None:
    guarded = Shaping(both, kind="models", at_most=90, instead={"gpt-4o": "gpt-4o-mini"})
    budgeted(both, guarded.name, 95)
    issued = both.gateway.issue("narrow", allowed_models=("gpt-4o",))
    both.gateway.wait_for_key(issued.secret)
    headers = [("authorization", f"Bearer {issued.secret}"), ("flatfare-labels", f"team={guarded.name}")]
    seen = ask(both.gateway.port, asking("POST", CHAT, ODD, headers), 10.0)
    assert (seen.status, seen.header("flatfare-changed")) == (200, None)


def test_models_beyond_those_allowed_are_refused_when_a_budget_is_nearly_spent(both: Pair) -> None:
    guarded = Shaping(both, kind="models", at_most=90, models=["*mini"])
    budgeted(both, guarded.name, 91)
    seen = guarded.ask(ODD)
    assert (seen.status, seen.header("flatfare-guard")) == (403, guarded.name)
    assert (
        "A budget is 91 % spent, and the request asks for the model 'gpt-4o'."
        in json.loads(seen.body)["error"]["message"]
    )
    assert guarded.ask(ODD.replace(b"gpt-4o", b"gpt-4o-mini")).status == 200


def test_effort_is_capped_in_the_words_of_each_provider(both: Pair) -> None:
    guarded = Shaping(both, kind="effort", at_most="low")
    chat = {"model": "o3", "reasoning_effort": "high", "messages": []}
    assert guarded.sent(chat) == ({**chat, "reasoning_effort": "low"}, "effort_cap")
    responses = {"model": "gpt-5.1", "reasoning": {"effort": "medium"}, "input": "x"}
    sent, changed = guarded.sent(responses, "/v1/responses")
    assert (sent["reasoning"], changed) == ({"effort": "low"}, "effort_cap")
    claude = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9000,
        "thinking": {"type": "enabled", "budget_tokens": 8000},
        "messages": [],
    }
    sent, changed = guarded.sent(claude, "/anthropic/v1/messages")
    assert (sent["thinking"]["budget_tokens"], changed) == (1024, "effort_cap")
    thinking = {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}, "contents": []}
    sent, changed = guarded.sent(thinking, "/gemini/v1beta/models/gemini-2.5-flash:generateContent")
    assert (sent["generationConfig"]["thinkingConfig"], changed) == ({"thinkingBudget": 1024}, "effort_cap")
    assert guarded.sent({"model": "gpt-4o", "messages": []})[1] is None


def test_an_answers_length_is_capped_whether_the_request_names_one_or_not(both: Pair) -> None:
    guarded = Shaping(both, kind="output", at_most=500)
    asked: dict[str, Any] = {"model": "gpt-4o", "messages": []}
    assert guarded.sent({**asked, "max_tokens": 4000}) == ({**asked, "max_tokens": 500}, "output_cap")
    assert guarded.sent({**asked, "max_tokens": 400})[1] is None
    assert guarded.sent(asked) == ({"max_completion_tokens": 500, **asked}, "output_cap")
    claude = {"model": "c", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 800}}
    sent, changed = guarded.sent(claude, "/anthropic/v1/messages")
    assert (sent["max_tokens"], sent["thinking"], changed) == (500, {"type": "disabled"}, "output_cap")
    sent, _ = guarded.sent({"contents": []}, "/gemini/v1beta/models/gemini-2.5-flash:generateContent")
    assert sent == {"generationConfig": {"maxOutputTokens": 500}, "contents": []}
    assert guarded.sent({"model": "text-embedding-3-small", "input": "x"}, "/v1/embeddings")[1] is None


@pytest.mark.parametrize(
    ("action", "status"), [("stop", 403), ("watch", 200), ("alert", 200), ("throttle", 200)]
)
def test_what_a_request_asks_for_may_be_stopped_or_watched_instead(
    both: Pair, action: str, status: int
) -> None:
    guarded = Shaping(both, kind="effort", at_most="low", action=action)
    body = {"model": "o3", "reasoning_effort": "high", "messages": []}
    seen = guarded.ask(body)
    assert (seen.status, seen.header("flatfare-changed")) == (status, None)
    if status == 403:
        assert "asks for the effort 'high'" in json.loads(seen.body)["error"]["message"]
    else:
        assert both.provider.log[-1].json() == body
    with open_book(str(both.gateway.book)) as book:
        until(lambda: guarding.document_of(book, guarded.guard)["hits"] == 1, 5)


def test_a_guard_that_looks_at_requests_is_not_passed_by_compressing_them(both: Pair) -> None:
    guarded = Shaping(both, kind="output", at_most=500)
    seen = guarded.ask(b"\x1f\x8b\x08", content_encoding="gzip")
    assert seen.status == 400
    assert "without a content-encoding" in json.loads(seen.body)["error"]["message"]


def test_a_budget_that_is_nearly_spent_is_spent_slowly(both: Pair) -> None:
    guarded = Shaping(both, kind="calls", at_most=10_000, action="watch")
    budgeted(both, guarded.name, 90, "90:throttle")
    began = time.monotonic()
    assert [guarded.ask(ODD).status for _ in range(2)] == [200, 200]
    assert 9.5 < time.monotonic() - began < 15
    began = time.monotonic()
    assert guarded.ask(ODD, team="another").status == 200
    assert time.monotonic() - began < 2


def test_without_guards_nothing_is_changed(both: Pair, tmp_path: Path) -> None:
    with pair(tmp_path) as plain:
        seen = plain.through(whole(BODY), ODD)
        assert (seen.status, seen.header("flatfare-changed")) == (200, None)
        assert plain.provider.log[-1].body == ODD
