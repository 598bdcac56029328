"""What one run may still spend: a call is made only if the most it can cost is left.

The bound is never below the true cost, so a run's limit holds whatever its models answer.
"""

import base64
import json
from collections.abc import Mapping

from flatfare.config import Provider
from flatfare.core.action import Ending, Rung
from flatfare.core.checks.submission import canonical
from flatfare.core.money import dollar_text
from flatfare.dialects.reading import Asked
from flatfare.gateway.routes import upstream_of
from flatfare.runner.models import Made, Prompt, Unanswered, tier_named
from flatfare.service.budgets.bounding import Bounds, by_default

_FRAME_BYTES = 4096  # what a request's JSON adds to its texts: names of fields, instructions for tools


class Purse:
    """The money of one run; several of its calls may be under way."""

    def __init__(
        self,
        limit_nano: int | None,
        bounds: Bounds,
        providers: Mapping[str, Provider],
        tier: str | None = None,  # at which calls are billed
    ) -> None:
        self._tier = tier
        self._limit_nano = limit_nano
        self._bounds = bounds
        self._providers = providers
        self._spent_nano = 0
        self._held_nano = 0

    @property
    def left_nano(self) -> int | None:
        """What is neither spent nor held; None where there is no limit."""
        return None if self._limit_nano is None else self._limit_nano - self._spent_nano - self._held_nano

    def hold(self, rung: Rung, prompt: Prompt, at_us: int) -> int:
        """Hold the most that a call can cost; ``Unanswered`` where that is not left, or cannot be told."""
        if self._limit_nano is None:
            return 0
        most_nano, reason = self._most(rung, prompt, at_us)
        if most_nano is None:
            raise Unanswered(
                Ending.LIMITED,
                f"What {rung.name} can cost is not known ({reason}), and the run has a limit of "
                f"{dollar_text(self._limit_nano)}.",
            )
        left_nano = self._limit_nano - self._spent_nano - self._held_nano
        if most_nano > left_nano:
            raise Unanswered(
                Ending.LIMITED,
                f"A call to {rung.name} can cost {dollar_text(most_nano)}, and {dollar_text(left_nano)} of "
                f"{dollar_text(self._limit_nano)} is left.",
            )
        self._held_nano += most_nano
        return most_nano

    def book(self, held_nano: int, made: list[Made]) -> None:
        """Book what was held as what the calls cost; one whose cost is not told keeps all of it."""
        self._held_nano -= held_nano
        costs = [call.cost_nano for call in made]
        known_nano = sum(cost for cost in costs if cost is not None)
        self._spent_nano += max(known_nano, held_nano) if None in costs else known_nano

    def spend(self, cost_nano: int) -> None:
        """Book what something else cost."""
        if self._limit_nano is not None and cost_nano > (self.left_nano or 0):
            raise Unanswered(Ending.LIMITED, f"A step costs {dollar_text(cost_nano)}, and less is left.")
        self._spent_nano += cost_nano

    def _most(self, rung: Rung, prompt: Prompt, at_us: int) -> tuple[int | None, str | None]:
        provider = self._providers[str(rung.model.provider)]
        upstream = upstream_of(provider)
        body, endpoint = _as_sent(prompt), "chat.completions"
        tier = self._tier or tier_named(provider)
        asked = Asked(model=rung.model.model, output_limit=prompt.output_tokens, service_tier=tier)
        asked = by_default(asked, provider.default_tier)
        bound = self._bounds.of(upstream.priced_as, endpoint, asked, body, at_us)
        if bound.most_nano is None and self._tier is not None:  # no rate of that tier: none is dearer
            asked = Asked(model=rung.model.model, output_limit=prompt.output_tokens)
            bound = self._bounds.of(upstream.priced_as, endpoint, asked, body, at_us)
        return bound.most_nano, bound.reason


def _as_sent(prompt: Prompt) -> bytes:
    """What a model would read, as a chat has it; its provider's own format has no more in it."""
    schema = "" if prompt.schema is None else canonical(prompt.schema)
    told: list[object] = [{"type": "text", "text": text} for text in (prompt.system, prompt.text, schema)]
    for file in prompt.images.values():
        url = f"data:image/png;base64,{base64.b64encode(file.content).decode()}"
        told.append({"type": "image_url", "image_url": {"url": url}})
    sent = {"messages": [{"role": "user", "content": told}]}
    return json.dumps(sent, ensure_ascii=False).encode() + b" " * _FRAME_BYTES
