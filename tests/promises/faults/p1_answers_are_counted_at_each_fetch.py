"""An answer that the provider keeps costs anew each time that it is fetched."""

from flatfare.gateway import booking, telling

CAUGHT_BY = (
    "../gateway/test_telling.py::test_an_answer_costs_what_its_beginning_did_not_know_however_often_it_is_fetched",
    "../gateway/test_telling.py::test_an_answer_that_was_not_begun_here_is_counted_when_it_is_fetched_first",
)

booking.shows = telling.shows = lambda endpoint, result: False
