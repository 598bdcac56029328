"""Names on a chart cover no point, no other name, and stay inside."""

from hypothesis import given
from hypothesis import strategies as st

from flatfare.web.site.labels import Placed, Spot, _around, _box, _overlap, place

WIDTH, HEIGHT = 400.0, 300.0
SPOTS = st.lists(
    st.builds(Spot, st.floats(0, WIDTH), st.floats(0, HEIGHT), st.text("abc ", max_size=30)), max_size=25
)


@given(SPOTS)
def test_no_name_covers_another_name_or_another_point_or_leaves_the_chart(spots: list[Spot]) -> None:
    placed = place(spots, WIDTH, HEIGHT)
    boxes = {at: _box(spots[at], side) for at, side in placed.items()}
    for at, box in boxes.items():
        assert box[0] >= 0
        assert box[2] <= WIDTH
        assert not any(_overlap(box, other) for to, other in boxes.items() if to != at)
        assert not any(_overlap(box, _around(spot)) for to, spot in enumerate(spots) if to != at)


def test_the_first_spot_chooses_first_and_one_without_room_has_no_name() -> None:
    spots = [Spot(20, 40, "first"), Spot(90, 40, "second, much too long to stand anywhere here")]
    assert place(spots, 100, 80) == {0: Placed(7, -11, "left")}


def test_a_name_keeps_clear_of_an_obstacle() -> None:
    alone = place([Spot(20, 40, "name")], 200, 80)
    blocked = place([Spot(20, 40, "name")], 200, 80, [(20, 20, 200, 35)])
    assert alone[0] == Placed(7, -11, "left")
    assert blocked[0] == Placed(7, 12, "left")
