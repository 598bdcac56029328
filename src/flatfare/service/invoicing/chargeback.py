"""Chargeback: who inside the company used which actions and tokens in a month, at which internal price.

What nobody's label claims is a row of its own, so that it is seen and driven down. The rows sum
to what was spent and sold.
"""

from dataclasses import dataclass

from flatfare.core.customer import Terms
from flatfare.core.money import decimal_text
from flatfare.core.sale import COST_CURRENCY
from flatfare.service.invoicing.composing import used
from flatfare.service.invoicing.issuing import Books
from flatfare.service.invoicing.periods import month
from flatfare.service.reporting.report import report
from flatfare.service.selling import customers


@dataclass(frozen=True, slots=True)
class Statement:
    """What one team used in a month."""

    team: str | None  # None: nobody's label claims it
    actions: tuple[tuple[str, int, int], ...]  # what was sold to it: text, how many, amount in nano units
    calls_nano: int  # what its calls cost, the known part
    calls: int
    unknown_calls: int
    currency: str = COST_CURRENCY  # of what was sold to it

    @property
    def sold_nano(self) -> int:
        """What its actions come to at internal prices."""
        return sum(amount for _, _, amount in self.actions)

    def as_json(self) -> dict[str, object]:
        """The statement as a document; money as decimal text."""
        return {
            "team": self.team,
            "actions": [
                {"action": text, "quantity": count, "amount": decimal_text(amount)}
                for text, count, amount in self.actions
            ],
            "actions_amount": decimal_text(self.sold_nano),
            "actions_currency": self.currency,
            "calls": self.calls,
            "calls_cost": decimal_text(self.calls_nano),
            "calls_cost_is_at_least": self.unknown_calls > 0,
        }


def statements(books: Books, month_name: str, *, now_us: int, label: str = "team") -> list[Statement]:
    """The month's statements, the dearest first, what is not attributed last."""
    period = month(month_name, books.time_zone)
    found = report(
        books.book,
        books.lake,
        now_us=now_us,
        by=(label,),
        since_us=period.from_us,
        until_us=period.until_us,
        time_zone=books.time_zone,
    )
    spent = {row.keys[0]: row.figures for row in found.rows if not row.is_published}
    sold: dict[str, list[tuple[str, int, int]]] = {}
    currencies: dict[str | None, str] = {}
    for customer in customers.listed(books.book):
        if customer.terms is not Terms.TEAM:
            continue
        currencies[customer.name] = customer.currency
        sold[customer.name] = [
            (charge.text, charge.quantity, charge.exact_nano)
            for charge in used(books.book, customer, period, time_zone=books.time_zone)
        ]
    teams = [*dict.fromkeys([*(team for team in spent if team is not None), *sold])]
    all_of = [
        Statement(
            team,
            tuple(sold.get(team or "", [])),
            spent[team].spend_nano if team in spent else 0,
            spent[team].calls + spent[team].outside_calls if team in spent else 0,
            (spent[team].unknown_cost_calls + spent[team].unknown_outside_calls) if team in spent else 0,
            currencies.get(team, COST_CURRENCY),
        )
        for team in (*teams, *([None] if None in spent else []))
    ]
    return sorted(all_of, key=_place)


def _place(one: Statement) -> tuple[bool, int, str]:
    """Amounts in another currency than that of calls cannot be added to them, and count for nothing here."""
    sold_nano = one.sold_nano if one.currency == COST_CURRENCY else 0
    return one.team is None, -(one.calls_nano + sold_nano), one.team or ""
