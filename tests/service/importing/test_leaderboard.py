"""Published results become sums over their tasks, with the digits they were published in."""

import pytest

from flatfare.core.errors import BadInput
from tests.service.importing.bringing import Place


def board(place: Place) -> list[tuple[object, ...]]:
    return list(
        place.book.rows(
            "SELECT path, n, successes, rate_digits, cost_nano, cost_digits FROM aggregates ORDER BY path"
        )
    )


def test_percent_and_mean_cost(place: Place) -> None:
    place.text("leaderboard", "model,n,pass_rate,cost_per_task\na,225,60.4,0.0807\nb,225,0.9,0.001\n")
    assert board(place) == [
        ("a", 225, 136, "60.4", 18_157_500_000, "0.0807"),
        ("b", 225, 2, "0.9", 225_000_000, "0.001"),
    ]


def test_fractions_and_total_cost(place: Place) -> None:
    place.text("leaderboard", "agent,model,tasks,score,total_cost\nx,a,100,0.64,20.5\n")
    assert board(place) == [("x/a", 100, 64, "0.64", 20_500_000_000, "20.5")]


def test_successes_as_given(place: Place) -> None:
    place.text("leaderboard", "model,n,resolved,cost\na,10,7,3\n", fixed={"cost": "total"})
    assert board(place) == [("a", 10, 7, None, 3_000_000_000, "3")]


def test_a_cost_that_may_be_either_is_asked_about(place: Place) -> None:
    with pytest.raises(BadInput, match="--set cost=mean or --set cost=total"):
        place.text("leaderboard", "model,n,resolved,cost\na,10,7,3\n")


def test_a_number_of_tasks_is_needed(place: Place) -> None:
    with pytest.raises(BadInput, match="--set n=100"):
        place.text("leaderboard", "model,score\na,0.5\n")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a,10,130", "a success rate of 130"),
        ("a,10,-1", "a success rate of -1"),
        ("a,0,50", "above 0"),
        (",10,50", "no path"),
    ],
)
def test_what_cannot_be_is_refused(place: Place, row: str, why: str) -> None:
    result = place.text("leaderboard", f"model,n,pass_rate\n{row}\nb,10,50\n")
    assert (result.new, result.rejected) == (1, 1)
    assert why in place.rejects()


def test_more_successes_than_tasks_are_refused(place: Place) -> None:
    place.text("leaderboard", "model,n,resolved\na,10,11\n")
    assert "Found 11 successes among 10 tasks" in place.rejects()


def test_a_cost_of_zero_is_unknown(place: Place) -> None:
    place.text("leaderboard", "model,n,resolved,total_cost\na,10,5,0\n")
    assert board(place) == [("a", 10, 5, None, None, "0")]


def test_a_mean_too_small_for_a_nano_dollar_is_counted_by_its_digits(place: Place) -> None:
    place.text("leaderboard", "model,n,resolved,mean_cost\na,1000,5,0.0000000004\n")
    assert board(place) == [("a", 1000, 5, None, 400, "0.0000000004")]


def test_twice_is_once(place: Place) -> None:
    text = "model,n,resolved,total_cost\na,10,5,1\n"
    place.text("leaderboard", text)
    result = place.text("leaderboard", text + "b,10,6,1\n")
    assert (result.new, result.known) == (1, 1)
    changed = place.text("leaderboard", "model,n,resolved,total_cost\na,10,6,1\n")
    assert changed.rejected == 1
    assert place.text("leaderboard", "model,n,resolved,total_cost\na,10,6,1\n", update=True).updated == 1
    assert [row[2] for row in board(place)] == [6, 6]
