"""Priority is held for a request that names no tier until an answer says at which such are served."""

import json
from pathlib import Path

from flatfare.dialects.reading import Asked
from flatfare.gateway.records import Figures, Result
from flatfare.gateway.reserving.tiers import HEARD_US, DefaultTiers
from flatfare.service.budgets.bounding import Bounds
from flatfare.service.budgets.terms import TIER_UNSAID
from flatfare.service.costing.metering import standard_book
from tests.gateway.rig import whole
from tests.promises.test_p4_no_overspend import BODY, NOW_US, at_once, cost_nano, statuses, under

UNSAID = ("openai", "gpt-4o")
ASKED = (
    b'{"model": "gpt-4o", "max_tokens": 1000, "messages": [{"role": "user", "content": "How many legs?"}]}'
)


def result(tier: str | None, at_us: int = 0, status: str = "ok", cost_nano: int | None = 5) -> Result:
    figures = Figures(cost_nano=cost_nano)
    return Result("00000000-0000-0000-0000-000000000001", at_us, figures, status, service_tier=tier)


def bound_nano(tier: str | None) -> int:
    asked = Asked("gpt-4o", output_limit=1000, service_tier=tier)
    found = Bounds(standard_book()).of("openai", "chat.completions", asked, ASKED, NOW_US).most_nano
    assert found is not None
    return found


def test_an_answer_at_standard_rates_is_believed_for_a_while() -> None:
    tiers = DefaultTiers()
    assert tiers.of(UNSAID, 0) is None
    for said in (None, "default", "standard"):
        tiers = DefaultTiers()
        tiers.hear(UNSAID, result(said))
        assert tiers.of(UNSAID, HEARD_US - 1) == "standard"
        assert tiers.of(UNSAID, HEARD_US) is None
        assert tiers.of(("openai", "gpt-5"), 1) is None


def test_an_answer_at_priority_is_believed_at_once() -> None:
    tiers = DefaultTiers()
    tiers.hear(UNSAID, result("default"))
    tiers.hear(UNSAID, result("priority", at_us=1))
    assert tiers.of(UNSAID, 2) is None


def test_what_failed_or_has_no_cost_says_nothing() -> None:
    tiers = DefaultTiers()
    tiers.hear(UNSAID, result(None, status="failed"))
    tiers.hear(UNSAID, result(None, cost_nano=None))
    assert tiers.of(UNSAID, 1) is None


def test_after_an_answer_calls_are_let_in_that_fit_at_standard_rates(tmp_path: Path) -> None:
    standard, priority = bound_nano("default"), bound_nano(None)
    assert priority > standard + cost_nano()
    answered = whole(BODY)
    with under(tmp_path, priority + cost_nano()) as both, both.provider.answers(lambda _: answered):
        both.gateway.forget_rows()
        for _ in range(3):  # with one answer's cost spent, and then two, priority would not fit any more
            assert statuses(at_once(both, 1, ASKED)) == {200: 1}
        said = ASKED[:-1] + b', "service_tier": "default"}'
        assert statuses(at_once(both, 1, said, openai_project="proj_1")) == {200: 1}
        rows = both.gateway.new_rows(4)
        assert [TIER_UNSAID in row["traits"] for row in rows] == [True] * 3 + [False]


def test_while_answers_come_at_priority_so_much_is_held(tmp_path: Path) -> None:
    served = json.dumps(json.loads(BODY) | {"service_tier": "priority"}).encode()
    with under(tmp_path, bound_nano(None)) as both, both.provider.answers(lambda _: whole(served)):
        assert statuses(at_once(both, 1, ASKED)) == {200: 1}
        assert statuses(at_once(both, 1, ASKED)) == {429: 1}


def test_of_a_project_that_a_request_names_nothing_is_heard(tmp_path: Path) -> None:
    answered = whole(BODY)
    with under(tmp_path, bound_nano(None)) as both, both.provider.answers(lambda _: answered):
        assert statuses(at_once(both, 1, ASKED, openai_project="proj_1")) == {200: 1}
        assert statuses(at_once(both, 1, ASKED, openai_project="proj_1")) == {429: 1}
