"""The purse of a run: pictures count in what a call can cost."""

from types import MappingProxyType

import pytest

from flatfare.config import Provider
from flatfare.core.action import Model, Rung
from flatfare.runner.inputs import File
from flatfare.runner.models import Prompt
from flatfare.runner.purse import Purse
from flatfare.service.budgets.bounding import Bounds
from flatfare.service.costing.metering import standard_book
from tests.service.budgets.test_picture_sizes import png

NOW_US = 1_795_000_000_000_000
PROVIDERS = {
    "openai": Provider("openai", "https://api.openai.com/v1", "openai", default_tier="standard"),
    "anthropic": Provider("anthropic", "https://api.anthropic.com", "anthropic"),
}


@pytest.mark.parametrize(
    ("provider", "model", "nano"),
    [("openai", "gpt-4o", 765 * 2500), ("anthropic", "claude-sonnet-4-6", 1399 * 3000)],
)
def test_each_picture_of_a_prompt_is_held_at_its_size(provider: str, model: str, nano: int) -> None:
    def held(count: int) -> int:
        images = {f"p{number}": File("p.png", png(1024, 1024)) for number in range(count)}
        purse = Purse(10**12, Bounds(standard_book()), PROVIDERS)
        prompt = Prompt("What is it?", images=MappingProxyType(images))
        return purse.hold(Rung("only", Model(model, provider)), prompt, NOW_US)

    assert 2 * nano <= held(3) - held(1) < 2 * nano + 2 * 200 * 3000


def test_what_a_provider_s_project_is_set_to_is_held() -> None:
    """GPT-4o: 1.7 times the standard rates at priority."""

    def held(tier: str | None) -> int:
        own = Provider("openai", "https://api.openai.com/v1", "openai", default_tier=tier)
        purse = Purse(10**12, Bounds(standard_book()), {"openai": own})
        return purse.hold(Rung("only", Model("gpt-4o", "openai")), Prompt("What is it?"), NOW_US)

    assert held("priority") == held("standard") * 17 // 10
    assert held(None) == held("standard")  # what a run asks of OpenAI names the tier
