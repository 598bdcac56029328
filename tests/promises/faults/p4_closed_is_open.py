"""Where budgets cannot be asked calls go through, though nobody chose that."""

from flatfare.gateway.reserving.worth import Worth

CAUGHT_BY = ("test_p4_no_overspend.py::test_while_the_book_is_away_what_is_leased_is_served_and_no_more",)

Worth.where_away = "open"
