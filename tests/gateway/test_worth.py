"""What a refused caller is told: the budget, what is left, what was needed, and what command adds more."""

from flatfare.core.budget import Budget, Scope, Window
from flatfare.gateway.reserving.claims import Claim
from flatfare.gateway.reserving.messages import Refused
from flatfare.gateway.reserving.worth import Worth, why_refused
from flatfare.service.budgets.bounding import Bound

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


def test_where_somebody_is_to_be_asked_it_is_they_who_are_named() -> None:
    assert told("team=search", "search", contact="ann@example.org").endswith("Ask ann@example.org.")
