"""Every call is priced by the newest rate there is."""

from flatfare.prices.book import PriceBook

CAUGHT_BY = (
    "test_p3_past_keeps_its_price.py::test_a_cheaper_rate_from_tomorrow_leaves_yesterday_and_today",
    "test_p3_past_keeps_its_price.py::test_however_many_changes_follow_each_day_keeps_what_it_had",
)

_LAST_US = 2_000_000_000_000_000
_find, _find_plain = PriceBook.find, PriceBook.find_plain
PriceBook.find = lambda book, provider, model, at_us, *more: _find(book, provider, model, _LAST_US, *more)
PriceBook.find_plain = lambda book, provider, model, tier, region, at_us, counts: _find_plain(
    book, provider, model, tier, region, _LAST_US, counts
)
