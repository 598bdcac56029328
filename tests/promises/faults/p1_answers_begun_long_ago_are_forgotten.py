"""What began an answer is looked for in the book alone, which keeps calls for an hour."""

from flatfare.store import newest

CAUGHT_BY = (
    "../gateway/test_telling.py::test_an_answer_costs_what_its_beginning_did_not_know_however_often_it_is_fetched",
    "../gateway/test_telling.py::test_an_answer_whose_cost_was_known_when_it_was_made_stays_as_it_was",
)

newest.sealed_of = lambda *_: {}
