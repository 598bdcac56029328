"""Labels: plain keys, text values, one canonical writing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core import labels
from flatfare.core.errors import BadInput

keys = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-/]{0,20}", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=50)


@given(st.dictionaries(keys, values, max_size=10))
def test_equal_labels_are_equal_text(given_labels: dict[str, str]) -> None:
    shuffled = dict(reversed(given_labels.items()))
    assert labels.canonical(given_labels) == labels.canonical(shuffled)
    assert labels.checked(given_labels) == given_labels


@pytest.mark.parametrize("text", ["team", "=x", "te am=x", "a" * 65 + "=x"])
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="Found"):
        labels.parse(text)


def test_a_record_has_room_for_so_many() -> None:
    with pytest.raises(BadInput, match="at most 64"):
        labels.checked({f"k{number}": "" for number in range(65)})


def test_control_characters_stay_out_of_values() -> None:
    with pytest.raises(BadInput, match="plain text"):
        labels.checked({"team": "a\nb"})
