"""Ranks are ranges, unknown is never first, and one run under two names counts once."""

from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.statistics import CostSums, are_tied
from flatfare.service.leaderboard.ranking import Place, board_of, duplicates
from flatfare.service.leaderboard.showing import Showing, pooled

DOLLAR = 1_000_000_000


def showing(path: str, n: int, successes: int, cost_nano: int, **more: object) -> Showing:
    return Showing("bench", "domain", path, ("source",), n, successes, cost_nano, **more)  # type: ignore[arg-type]


def ranks(*showings: Showing) -> list[tuple[str, int | None, int | None]]:
    board = board_of("bench", "domain", showings)
    return [(standing.showing.path, standing.rank_from, standing.rank_to) for standing in board.standings]


def test_the_cheapest_per_verified_outcome_comes_first_whatever_its_attempts_cost() -> None:
    dear_but_sure = showing("sure", 100, 90, 9 * DOLLAR)
    cheap_but_failing = showing("failing", 100, 10, 3 * DOLLAR)
    assert ranks(cheap_but_failing, dear_but_sure) == [("sure", 1, 1), ("failing", 2, 2)]


def test_paths_that_the_tasks_cannot_tell_apart_share_a_range_of_ranks() -> None:
    near = [showing("a", 50, 30, 3 * DOLLAR), showing("b", 50, 29, 3 * DOLLAR)]
    far = showing("c", 50, 30, 300 * DOLLAR)
    assert ranks(*near, far) == [("a", 1, 2), ("b", 1, 2), ("c", 3, 3)]


def test_a_tie_need_not_carry_over_so_ranges_may_overlap() -> None:
    steps = [showing(str(at), 60, 30, cost * DOLLAR) for at, cost in enumerate((100, 130, 170))]
    assert ranks(*steps) == [("0", 1, 2), ("1", 1, 3), ("2", 2, 3)]


@given(
    st.lists(
        st.tuples(st.integers(5, 200), st.integers(0, 100), st.integers(1, 10**12)), min_size=1, max_size=12
    )
)
def test_a_range_counts_exactly_the_paths_surely_cheaper_and_surely_dearer(
    given_paths: list[tuple[int, int, int]],
) -> None:
    showings = [
        showing(str(at), successes + failures, successes, cost)
        for at, (successes, failures, cost) in enumerate(given_paths)
    ]
    board = board_of("bench", "domain", showings)
    for standing in board.ranked:
        others = [other for other in board.ranked if other is not standing]
        assert standing.ratio
        assert standing.rank_from
        assert standing.rank_to
        told_apart = [other for other in others if other.ratio and not are_tied(standing.ratio, other.ratio)]
        point = standing.ratio.point or 0
        cheaper = [other for other in told_apart if other.ratio and (other.ratio.point or 0) < point]
        assert standing.rank_from == 1 + len(cheaper)
        assert standing.rank_to == len(board.ranked) - (len(told_apart) - len(cheaper))
    if board.ranked:
        assert board.ranked[0].is_tied_for_first


def test_a_path_of_unknown_cost_is_below_the_ranked_even_when_what_is_known_is_least() -> None:
    board = board_of(
        "bench",
        "domain",
        [
            showing("partly", 100, 90, 1, unknown_n=99),
            showing("wholly", 100, 95, 0, unknown_n=100),
            showing("known", 100, 96, 500 * DOLLAR),
        ],
    )
    assert [(standing.showing.path, standing.place) for standing in board.standings] == [
        ("known", Place.RANKED),
        ("partly", Place.UNKNOWN_COST),
        ("wholly", Place.UNKNOWN_COST),
    ]
    assert board.ranked[0].is_on_frontier
    assert not any(standing.is_on_frontier or standing.ratio for standing in board.at(Place.UNKNOWN_COST))


def test_with_fewer_than_five_successes_there_is_a_spend_and_no_price() -> None:
    (standing,) = board_of("bench", "domain", [showing("few", 100, 4, DOLLAR)]).standings
    assert (standing.place, standing.cost_per_verified_nano, standing.spend_nano) == (
        Place.FEW_SUCCESSES,
        None,
        DOLLAR,
    )


def test_a_free_path_is_ranked_as_its_price_is_known_to_be_zero() -> None:
    assert ranks(showing("free", 100, 50, 0), showing("paid", 100, 50, DOLLAR))[0] == ("free", 1, 1)


def test_a_path_that_hardly_made_a_call_is_not_ranked() -> None:
    board = board_of("bench", "domain", [showing("broken", 250, 9, DOLLAR, calls_per_task=0.74)])
    assert board.standings[0].place is Place.HARDLY_RAN


def test_fewer_calls_than_successes_are_a_gap_in_the_record_and_no_broken_path() -> None:
    unrecorded = showing("unrecorded", 50, 28, DOLLAR, calls_per_task=0.0)
    partly = showing("partly", 50, 28, 2 * DOLLAR, calls_per_task=0.1)
    board = board_of("bench", "domain", [unrecorded, partly])
    assert {standing.place for standing in board.standings} == {Place.RANKED}


def test_the_same_figures_to_the_last_digit_are_ranked_once_under_the_shorter_name() -> None:
    twice = [showing("tool_calling_with_shortlisting", 250, 181, 123), showing("tool_calling", 250, 181, 123)]
    board = board_of("bench", "domain", twice)
    assert [(standing.showing.path, standing.same_as) for standing in board.standings] == [
        ("tool_calling", None),
        ("tool_calling_with_shortlisting", "tool_calling"),
    ]


def test_a_nano_dollar_apart_is_no_duplicate_and_nor_are_two_unknown_costs() -> None:
    assert duplicates([showing("a", 9, 5, 123), showing("b", 9, 5, 124)]) == {}
    assert duplicates([showing("a", 9, 5, 0, unknown_n=9), showing("b", 9, 5, 0, unknown_n=9)]) == {}


def test_on_the_frontier_nothing_is_both_cheaper_and_verified_more_often() -> None:
    board = board_of(
        "bench",
        "domain",
        [
            showing("cheap", 100, 60, 6 * DOLLAR),
            showing("cheap try, fails", 100, 10, 2 * DOLLAR),
            showing("best", 100, 95, 95 * DOLLAR),
            showing("beaten", 100, 80, 200 * DOLLAR),
        ],
    )
    assert [standing.showing.path for standing in board.ranked if standing.is_on_frontier] == [
        "cheap",
        "best",
    ]


def test_a_path_that_one_of_partly_known_cost_may_beat_is_not_on_the_frontier() -> None:
    may_beat_it = showing("may beat it", 100, 80, DOLLAR, unknown_n=1)
    surely_dearer = showing("surely dearer", 100, 80, 900 * DOLLAR, unknown_n=1)
    known = showing("known", 100, 70, 50 * DOLLAR)
    assert not board_of("bench", "domain", [known, may_beat_it]).ranked[0].is_on_frontier
    assert board_of("bench", "domain", [known, surely_dearer]).ranked[0].is_on_frontier


def test_a_handoff_cost_can_change_which_path_is_cheapest() -> None:
    paths = [showing("cheap, fails", 100, 50, DOLLAR), showing("dear, sure", 100, 95, 40 * DOLLAR)]
    plain = board_of("bench", "domain", paths)
    by_hand = board_of("bench", "domain", paths, handoff_nano=5 * DOLLAR)
    assert plain.ranked[0].showing.path == "cheap, fails"
    assert by_hand.ranked[0].showing.path == "dear, sure"
    # 95 verified: $40 and five failures at $5 each
    assert by_hand.ranked[0].cost_per_verified_nano == round(65 * DOLLAR / 95)


def test_single_tasks_give_an_interval_from_the_spread_of_their_costs() -> None:
    sums = CostSums.of([(2 * DOLLAR, True)] * 30 + [(6 * DOLLAR, False)] * 10)
    of_tasks = showing("tasks", 40, 30, 120 * DOLLAR, sums=sums, failed_nano=60 * DOLLAR)
    (standing,) = board_of("bench", "domain", [of_tasks]).standings
    assert standing.ratio
    assert standing.ratio.method == "costs and counts"
    assert standing.failed_share == 0.5
    (published,) = board_of("bench", "domain", [showing("board", 40, 30, 120 * DOLLAR)]).standings
    assert published.ratio
    assert published.ratio.method == "counts only"
    assert published.failed_share is None


def test_pooling_adds_up_and_keeps_unknown_what_one_part_does_not_know() -> None:
    sums = CostSums.of([(1, True)])
    parts = [
        showing("p", 10, 6, 50, sums=sums, failed_nano=20, calls_per_task=2.0),
        showing("p", 30, 9, 70, sums=sums, failed_nano=30, calls_per_task=4.0),
    ]
    (whole,) = pooled(parts)
    assert (whole.n, whole.successes, whole.cost_nano, whole.failed_nano) == (40, 15, 120, 50)
    assert whole.calls_per_task == 3.5
    assert whole.sums == sums + sums
    (mixed,) = pooled([parts[0], showing("p", 30, 9, 70)])
    assert mixed.sums is None
    assert mixed.failed_nano is None
