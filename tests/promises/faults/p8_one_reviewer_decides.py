"""Whoever judges first decides a review that two are asked for."""

from flatfare.core import agreement

CAUGHT_BY = (
    "../service/judging/test_reviewing.py::test_where_two_differ_a_third_decides_and_is_not_told_so[sqlite]",
    "../service/judging/test_reviewing.py::test_two_who_agree_make_one_verdict_of_a_person[sqlite]",
)

agreement.settled = lambda words, wanted: words[0] if words else None
