"""Ids: time-ordered for live records, derived from what they say for imported ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.identity import derived, time_ordered

moments = st.integers(0, 4 * 10**15)


@given(moments, moments, st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_ids_sort_by_their_moment(one: int, other: int, noise: bytes, other_noise: bytes) -> None:
    if one // 1000 < other // 1000:
        assert time_ordered(one, noise) < time_ordered(other, other_noise)


@given(moments, st.binary(min_size=10, max_size=10))
def test_ids_are_version_7(at_us: int, noise: bytes) -> None:
    made = time_ordered(at_us, noise)
    assert made.version == 7
    assert made.int >> 80 == at_us // 1000


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\x1f"), max_size=20), min_size=1, max_size=4
    )
)
def test_the_same_record_has_the_same_id(parts: list[str]) -> None:
    assert derived(*parts) == derived(*parts)
    assert derived(*parts) != derived(*parts, "more")


def test_a_separator_inside_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="unit separator"):
        derived("a\x1fb")
