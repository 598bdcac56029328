"""A budget for each session by itself is one for all of them together."""

from flatfare.core.budget import EACH, Budget

CAUGHT_BY = (
    "test_p4_no_overspend.py::test_parallel_turns_of_one_session_do_not_pass_its_cap",
    "../core/test_budget.py::test_whose_a_call_is_says_which_budgets_it_falls_under",
)

_subject = Budget.subject


def _anybody(budget, whose):
    found = _subject(budget, whose)
    return EACH if found is not None and budget.scope.value == EACH else found


Budget.subject = _anybody
