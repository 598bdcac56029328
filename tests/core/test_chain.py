"""A chain shows every edit, drop, swap and insertion, and where it stands."""

from hypothesis import given
from hypothesis import strategies as st

from flatfare.core.chain import GENESIS, first_break, link

contents = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=8, unique=True)
Record = tuple[str, str, tuple[str, ...]]


def chained(fields: list[tuple[str, str]]) -> list[Record]:
    records: list[Record] = []
    previous = GENESIS
    for said in fields:
        own = link(previous, *said)
        records.append((previous, own, said))
        previous = own
    return records


@given(contents)
def test_an_untouched_chain_holds(fields: list[tuple[str, str]]) -> None:
    assert first_break(chained(fields)) is None


@given(contents, st.data())
def test_an_edited_record_is_found_where_it_stands(
    fields: list[tuple[str, str]], data: st.DataObject
) -> None:
    records = chained(fields)
    position = data.draw(st.integers(0, len(records) - 1))
    previous, own, said = records[position]
    records[position] = (previous, own, (said[0] + "x", said[1]))
    assert first_break(records) == position


@given(contents.filter(lambda fields: len(fields) > 1), st.data())
def test_a_dropped_record_is_found(fields: list[tuple[str, str]], data: st.DataObject) -> None:
    records = chained(fields)
    position = data.draw(st.integers(0, len(records) - 2))
    del records[position]
    assert first_break(records) == position


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_different_fields_never_read_the_same(one: list[str], other: list[str]) -> None:
    assert (link(GENESIS, *one) == link(GENESIS, *other)) == (one == other)
