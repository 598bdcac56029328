"""What one verified unit of work costs on average, and how many more an amount pays for.

An estimate, always said with how many verified units it is made of.
"""

from dataclasses import dataclass

from flatfare.core.money import decimal_text, dollar_text

ACTION = "action"
"""The scope of budgets on an action, and the label that names it on calls."""


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What a verified outcome of an action has cost on average."""

    nano: int
    n: int  # verified

    def left(self, action: str, left_nano: int) -> dict[str, object]:
        """How many are left, as command line and API show it.

        >>> UnitCost(12_000_000_000, 37).left("review", 5_000_000_000_000)["said"]
        'about 416 review left, at $12.00 each (an estimate, from 37 verified)'
        """
        units = max(0, left_nano) // self.nano
        each = dollar_text(self.nano)
        return {
            "units": units,
            "cost_each": decimal_text(self.nano),
            "n": self.n,
            "said": f"about {units:,} {action} left, at {each} each (an estimate, from {self.n:,} verified)",
        }
