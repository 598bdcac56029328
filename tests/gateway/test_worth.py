"""What a refused caller is told: the budget, what is left, what was needed, and what command adds more."""

import json

import pytest

from flatfare.core.budget import Budget, Scope, Window
from flatfare.dialects.reading import Asked
from flatfare.gateway.reserving.claims import Claim
from flatfare.gateway.reserving.messages import Refused
from flatfare.gateway.reserving.worth import Worth, by_headers, why_refused
from flatfare.service.budgets.bounding import Bound, Bounds
from flatfare.service.costing.metering import standard_book

NOW_US = 1_795_000_000_000_000


def told(scope: str, subject: str, **terms: str) -> str:
    budget = Budget("bud_1", "my search", Scope.of(scope), 5 * 10**9, Window.of("lifetime"), **terms)  # type: ignore[arg-type]
    name = f"bud_1 0 {subject}"
    refused = Refused("c1", name, 5_000_000, 10_400_000, 5 * 10**9, is_away=False)
    return why_refused(Worth(Bound(1, 1), Claim(((budget, name),))), refused, NOW_US)[0]


def test_the_command_that_adds_more_can_be_pasted() -> None:
    assert told("team=search", "search") == (
        "The budget 'my search' has $0.0050 left of $5.00 in all; this call needs $0.0104. "
        "To raise it: flatfare budgets top-up 'my search' AMOUNT"
    )


def test_of_a_budget_for_each_it_is_the_own_one_that_is_raised() -> None:
    said = told("session=*", "chat 17")
    assert said.startswith("The budget 'my search' of session 'chat 17' has $0.0050 left")
    assert said.endswith("flatfare budgets top-up 'my search' AMOUNT --subject 'chat 17'")


def test_why_so_much_is_held_of_what_stands_elsewhere_is_said() -> None:
    def hint(model: str, part: object) -> str | None:
        body = json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode()
        asked = Asked(model, output_limit=10)
        return Bounds(standard_book()).of("openai", "chat.completions", asked, body, NOW_US).hint

    by_url = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    assert "with a detail of high, it costs less" in (hint("gpt-5.6", by_url) or "")
    assert "may be as much as the model can read" in (hint("gpt-5.6", {"type": "file", "file": {}}) or "")
    assert hint("gpt-4o", by_url) is None
    budget = Budget("bud_1", "search", Scope.of("organisation"), 10**9, Window.of("lifetime"))
    refused = Refused("c1", "bud_1 0 ", 10**9, 2 * 10**9, 10**9, is_away=False)
    worth = Worth(Bound(1, 1, hint="It is so."), Claim(((budget, "bud_1 0 "),)))
    assert "this call needs $2.00. It is so. To raise it" in why_refused(worth, refused, NOW_US)[0]


def test_where_somebody_is_to_be_asked_it_is_they_who_are_named() -> None:
    assert told("team=search", "search", contact="ann@example.org").endswith("Ask ann@example.org.")


@pytest.mark.parametrize(
    ("provider", "model", "field", "value", "times"),
    [
        ("bedrock", "us.amazon.nova-pro-v1:0", b"x-amzn-bedrock-service-tier", b"Priority", 1.75),
        ("bedrock", "us.amazon.nova-pro-v1:0", b"x-amzn-bedrock-service-tier", b"default, priority", 1.75),
        ("bedrock", "us.amazon.nova-pro-v1:0", b"x-amzn-bedrock-service-tier", b"flex", 1),
        ("vertex", "gemini-2.5-flash", b"x-vertex-ai-llm-shared-request-type", b"priority", 1.8),
        ("vertex", "gemini-2.5-flash", b"x-vertex-ai-llm-shared-request-type", b"flex", 1),
        ("openai", "gpt-4-turbo", b"x-amzn-bedrock-service-tier", b"priority", 1),
    ],
)
def test_a_dearer_tier_may_be_asked_for_in_a_header(
    provider: str, model: str, field: bytes, value: bytes, times: float
) -> None:
    def held(fields: dict[bytes, bytes]) -> int:
        asked = by_headers(Asked(model, output_limit=1000), provider, fields)
        found = Bounds(standard_book()).of(provider, "invoke", asked, b'{"messages": []}', NOW_US)
        return found.most_nano or 0

    assert held({field: value}) == round(held({}) * times) > 0


def test_less_latency_may_be_asked_for_in_a_header() -> None:
    asked = by_headers(Asked("m"), "bedrock", {b"x-amzn-bedrock-performanceconfig-latency": b"optimized"})
    assert asked.details == {"latency": "optimized"}
