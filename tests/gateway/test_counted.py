"""Where a call does not fit by its bytes, its tokens are counted before it is refused."""

import json
from pathlib import Path

import pytest

from flatfare.dialects.reading import Asked
from flatfare.service.budgets.bounding import AT_ONCE, Bounds
from flatfare.service.costing import counting
from flatfare.service.costing.metering import standard_book
from tests.gateway.rig import Seen, whole
from tests.promises.test_p4_no_overspend import NOW_US, at_once, once_refused, standing, statuses, under

pytestmark = pytest.mark.skipif(not counting.is_installed(), reason="needs flatfare[tokens]")

TERMS = {"model": "gpt-4o", "service_tier": "default", "max_tokens": 10}
LONG = json.dumps({**TERMS, "messages": [{"role": "user", "content": "word " * 2000}]}).encode()
LESS = json.dumps({**TERMS, "messages": [{"role": "user", "content": "word " * 700}]}).encode()
ASKED = Asked("gpt-4o", output_limit=10, service_tier="default")
BOUNDS = Bounds(standard_book())


def counted_nano(body: bytes = LONG) -> int:
    found = BOUNDS.counted("openai", "chat.completions", ASKED, body, NOW_US)
    assert found is not None
    assert found.most_nano is not None
    return found.most_nano


def test_as_many_are_let_in_as_fit_by_their_tokens(tmp_path: Path) -> None:
    by_bytes = BOUNDS.of("openai", "chat.completions", ASKED, LONG, NOW_US).most_nano or 0
    assert by_bytes > 3 * counted_nano()
    decided: list[Seen] = []
    with (
        under(tmp_path, 5 * counted_nano() + counted_nano() // 2, workers=2, queue_ms=0) as both,
        both.provider.answers(once_refused(decided, 15)),
    ):
        assert statuses(at_once(both, 20, LONG, decided=decided)) == {200: 5, 429: 15}
        assert len(both.provider.log) == 5


def test_a_shorter_one_is_counted_where_it_does_not_fit_by_its_bytes(tmp_path: Path) -> None:
    assert len(LESS) < AT_ONCE[0] < len(LONG)
    with under(tmp_path, counted_nano(LESS), queue_ms=15_000) as both:
        assert statuses(at_once(both, 1, LESS)) == {200: 1}


def test_what_does_not_fit_by_its_tokens_is_told_what_it_needs(tmp_path: Path) -> None:
    needed = counted_nano(LESS)
    with under(tmp_path, needed - 1, queue_ms=0) as both:
        (seen,) = at_once(both, 1, LESS)
        assert seen.status == 429
        assert f"this call needs ${needed / 1e9:.4f}" in json.loads(seen.body)["error"]["message"]
        assert both.provider.log == []
        assert standing(both)[0] == 0


def test_it_waits_for_its_turn_like_any_other(tmp_path: Path) -> None:
    answer = {"usage": {"prompt_tokens": 708, "completion_tokens": 1}, "model": "gpt-4o-2024-08-06"}
    answered = whole(json.dumps({"object": "chat.completion", "choices": [], **answer}).encode())
    with (
        under(tmp_path, 4 * counted_nano(LESS), queue_ms=15_000) as both,
        both.provider.answers(lambda _: answered),
    ):
        found = [seen.status for _ in range(3) for seen in at_once(both, 1, LESS)]
        assert found == [200, 200, 200]
