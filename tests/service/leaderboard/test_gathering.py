"""Boards stand by benchmark and domain; domains are pooled only for who ran them all."""

import pytest

from flatfare.core.errors import NotFound
from flatfare.service.leaderboard.gathering import boards_of, over_all_domains
from flatfare.service.leaderboard.showing import Showing


def showing(benchmark: str, domain: str, path: str, successes: int = 30) -> Showing:
    return Showing(benchmark, domain, path, ("source",), 50, successes, 1_000 + successes)


SHOWINGS = [
    showing("tau", "retail", "a", 30),
    showing("tau", "retail", "b", 31),
    showing("tau", "retail", "easy only", 45),
    showing("tau", "telecom", "a", 20),
    showing("tau", "telecom", "b", 21),
    showing("Aider", "", "a", 22),
]


def test_one_board_a_benchmark_and_domain_in_the_order_of_their_names() -> None:
    boards = boards_of(SHOWINGS)
    assert [(board.benchmark, board.domain) for board in boards] == [
        ("Aider", ""),
        ("tau", "retail"),
        ("tau", "telecom"),
    ]


def test_together_stand_only_the_paths_that_ran_every_domain() -> None:
    board = over_all_domains(SHOWINGS, "tau")
    assert sorted(standing.showing.path for standing in board.standings) == ["a", "b"]
    assert {standing.showing.n for standing in board.standings} == {100}
    assert board.domains == ("retail", "telecom")


def test_a_pooled_board_comes_before_its_parts_and_only_where_it_ranks_two() -> None:
    assert [(board.benchmark, board.domain) for board in boards_of(SHOWINGS, pool=True)] == [
        ("Aider", ""),
        ("tau", ""),
        ("tau", "retail"),
        ("tau", "telecom"),
    ]
    alone = [showing("tau", "retail", "a"), showing("tau", "telecom", "a")]
    assert [board.domain for board in boards_of(alone, pool=True)] == ["retail", "telecom"]


def test_names_are_chosen_without_regard_to_case() -> None:
    (board,) = boards_of(SHOWINGS, benchmark="TAU", domain="Retail")
    assert (board.benchmark, board.domain) == ("tau", "retail")


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(NotFound, match="Did you mean 'retail'"):
        boards_of(SHOWINGS, domain="retial")
