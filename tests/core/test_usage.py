"""Usage is leaves that do not overlap: none negative, none unknown, and they add up."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.errors import Contradiction
from flatfare.core.units import INPUT_TOKENS, OUTPUT_TOKENS, UNITS, lineage
from flatfare.core.usage import COUNT_MAX, Usage

counts = st.dictionaries(st.sampled_from(sorted(UNITS)), st.integers(0, 10**9))


@given(counts)
def test_zeros_are_left_out_and_the_rest_is_kept(given_counts: dict[str, int]) -> None:
    usage = Usage(given_counts)
    assert dict(usage) == {unit: count for unit, count in given_counts.items() if count}


@given(counts, counts)
def test_sums_of_usage_are_sums_of_leaves(one: dict[str, int], other: dict[str, int]) -> None:
    total = Usage(one) + Usage(other)
    assert total.input_tokens == Usage(one).input_tokens + Usage(other).input_tokens
    assert total.output_tokens == Usage(one).output_tokens + Usage(other).output_tokens
    assert total == Usage(other) + Usage(one)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (-1, "never negative"),
        (COUNT_MAX + 1, "no call uses that much"),
        (1.5, "whole number"),
        (True, "whole number"),
        (Decimal("NaN"), "finite"),
    ],
)
def test_impossible_counts_are_refused_with_a_sentence(count: object, said: str) -> None:
    with pytest.raises(Contradiction, match=said):
        Usage(input=count)  # type: ignore[arg-type]


def test_a_unit_nobody_bills_is_refused() -> None:
    with pytest.raises(Contradiction, match="no billable unit"):
        Usage(tokens=3)


def test_every_unit_has_a_lineage_that_ends() -> None:
    for name in UNITS:
        assert lineage(name)[0] == name
        assert UNITS[lineage(name)[-1]].parent is None


def test_token_units_are_prompt_or_answer_and_not_both() -> None:
    tokens = {name for name, unit in UNITS.items() if unit.quantum == "token"}
    assert tokens == INPUT_TOKENS | OUTPUT_TOKENS
    assert not INPUT_TOKENS & OUTPUT_TOKENS
    assert {"input", "cache_read", "cache_write_1h", "input_audio", "tool_use_input"} <= INPUT_TOKENS
    assert {"output", "reasoning", "output_audio"} <= OUTPUT_TOKENS
