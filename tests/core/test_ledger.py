"""Entries balance or are none; what is drawn can be given back to the last nano unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.errors import Contradiction
from flatfare.core.grant import Category, Draw, Grant, draw, unwind
from flatfare.core.ledger import Account, Entry, Kind, NotEnoughCredit, Posting, check_standing, merged

WALLET, HOLD = Account(Kind.WALLET, "acme", "USD"), Account(Kind.HOLD, "t", "USD")
EUROS = Account(Kind.WALLET, "acme", "EUR")


def entry(*postings: Posting) -> Entry:
    return Entry("id", "hold", "acme", 1, postings)


@pytest.mark.parametrize(
    ("postings", "says"),
    [
        ((Posting(WALLET, 1),), "in USD sum to 1"),
        ((Posting(WALLET, -1), Posting(EUROS, 1)), "sum to zero"),
        ((Posting(WALLET, 0),), "a posting of zero"),
        ((Posting(WALLET, 1), Posting(WALLET, -1)), "twice in one entry"),
    ],
)
def test_what_does_not_balance_is_no_entry(postings: tuple[Posting, ...], says: str) -> None:
    with pytest.raises(Contradiction, match=says):
        entry(*postings)


def test_an_account_is_read_as_it_is_written() -> None:
    odd = Account(Kind.GRANT, "a:b@c", "USD")
    assert Account.of(odd.id) == odd


def test_nobody_spends_what_is_not_there() -> None:
    check_standing(WALLET, 0)
    check_standing(Account(Kind.CASH, "acme", "USD"), -1)
    for account, nano in ((WALLET, -1), (HOLD, -1), (Account(Kind.PENDING, "acme", "USD"), 1)):
        with pytest.raises(NotEnoughCredit):
            check_standing(account, nano)


def test_the_hash_covers_every_field() -> None:
    base = entry(Posting(WALLET, -5), Posting(HOLD, 5))
    others = [
        Entry("id2", "hold", "acme", 1, base.postings),
        Entry("id", "void", "acme", 1, base.postings),
        Entry("id", "hold", "bolt", 1, base.postings),
        Entry("id", "hold", "acme", 2, base.postings),
        Entry("id", "hold", "acme", 1, (Posting(WALLET, -6), Posting(HOLD, 6))),
        Entry("id", "hold", "acme", 1, base.postings, asked='{"a":1}'),
        Entry("id", "hold", "acme", 1, base.postings, decided='{"a":1}'),
        Entry("id", "hold", "acme", 1, base.postings, task_id="t"),
        Entry("id", "hold", "acme", 1, base.postings, reverses="r"),
        Entry("id", "hold", "acme", 1, base.postings, reason="r"),
        Entry("id", "hold", "acme", 1, base.postings, by_whom="w"),
        Entry("id", "hold", "acme", 1, base.postings, number=7),
    ]
    assert len({one.says for one in (base, *others)}) == len(others) + 1
    assert (
        base.says == entry(Posting(HOLD, 5), Posting(WALLET, -5)).says
    )  # the order of postings says nothing


moves = st.lists(st.tuples(st.sampled_from([WALLET, HOLD, EUROS]), st.integers(-(10**12), 10**12)))


@given(moves)
def test_merged_postings_are_one_an_account_and_sum_to_the_same(given_moves: list) -> None:
    postings = merged(given_moves)
    assert len({one.account for one in postings}) == len(postings)
    assert all(one.amount_nano for one in postings)
    for account in (WALLET, HOLD, EUROS):
        of_it = sum(one.amount_nano for one in postings if one.account == account)
        assert of_it == sum(nano for other, nano in given_moves if other == account)


def lot(number: int, left: int, priority: int, until: int | None) -> tuple[Grant, int]:
    grant = Grant(f"g{number}", "acme", "USD", left, Category.PAID, 0, until, priority)
    return grant, left


lots = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 3), st.sampled_from([None, 5, 20])), max_size=6
).map(lambda given_lots: [lot(number, *one) for number, one in enumerate(given_lots)])


@given(lots, st.integers(0, 100), st.integers(0, 300), st.integers(0, 30))
def test_what_is_drawn_is_what_was_wanted_and_comes_back_whole(
    given_lots: list, wallet: int, wanted: int, at_us: int
) -> None:
    draws, missing = draw(given_lots, [(WALLET, wallet)], "review", wanted, at_us)
    assert sum(one.amount_nano for one in draws) + missing == wanted
    usable = sum(left for grant, left in given_lots if grant.is_usable("review", at_us))
    assert missing == max(0, wanted - usable - wallet)
    assert all(one.amount_nano > 0 for one in draws)
    drawn = wanted - missing
    for nano in {0, drawn // 3, drawn}:
        back, kept = unwind(draws, nano)
        assert sum(one.amount_nano for one in back) == nano
        assert sum(one.amount_nano for one in kept) == drawn - nano
        whole: dict[Account, int] = {}
        for one in (*back, *kept):
            whole[one.account] = whole.get(one.account, 0) + one.amount_nano
        assert whole == {one.account: one.amount_nano for one in draws}


def test_a_unit_is_one_draw_and_pays_alone() -> None:
    pack = Grant("p", "acme", "USD", 20, Category.PAID, 0, unit_nano=2, actions=("blog",))
    draws, missing = draw([lot(0, 50, 1, None), (pack, 20)], [(WALLET, 9)], "blog", 7, 1)
    assert (draws, missing) == ((Draw(pack.account, 2, is_unit=True),), 0)
    draws, missing = draw([lot(0, 5, 1, None), (pack, 1)], [(WALLET, 9)], "blog", 7, 1)
    assert ([one.amount_nano for one in draws], missing) == ([5, 2], 0)
