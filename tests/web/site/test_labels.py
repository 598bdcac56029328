"""Names on a chart cover no point, no other name, and stay inside."""

from hypothesis import given
from hypothesis import strategies as st

from flatfare.web.site.labels import Side, Spot, _around, _box, _overlap, place

WIDTH, HEIGHT = 400.0, 300.0
SPOTS = st.lists(
    st.builds(
        Spot,
        st.floats(0, WIDTH),
        st.floats(0, HEIGHT),
        st.lists(st.text("abc ", max_size=30), max_size=2).map(tuple),
    ),
    max_size=25,
)


@given(SPOTS)
def test_no_name_covers_another_name_or_another_point_or_leaves_the_chart(spots: list[Spot]) -> None:
    placed = place(spots, WIDTH, HEIGHT)
    boxes = {at: _box(spots[at], name.text, name.side) for at, name in placed.items()}
    for at, box in boxes.items():
        assert box[0] >= 0
        assert box[2] <= WIDTH
        assert not any(_overlap(box, other) for to, other in boxes.items() if to != at)
        assert not any(_overlap(box, _around(spot)) for to, spot in enumerate(spots) if to != at)


def test_the_first_spot_chooses_first_and_one_without_room_has_no_name() -> None:
    spots = [Spot(20, 40, ("first",)), Spot(90, 40, ("second, much too long to stand anywhere here",))]
    placed = place(spots, 100, 80)
    assert (list(placed), placed[0].side) == ([0], Side(7, -11, "left"))


def test_a_shorter_name_stands_where_the_full_one_has_no_room() -> None:
    (placed,) = place([Spot(20, 40, ("a name that is too long", "a name…"))], 100, 80).values()
    assert placed.text == "a name…"


def test_a_name_keeps_clear_of_an_obstacle() -> None:
    spots = [Spot(20, 40, ("name",))]
    assert place(spots, 200, 80)[0].side == Side(7, -11, "left")
    assert place(spots, 200, 80, [(20, 20, 200, 35)])[0].side == Side(7, 12, "left")


def test_a_main_point_is_rather_named_from_further_off_than_in_part() -> None:
    wall = (60.0, 40.0, 400.0, 88.0)  # takes the places close to the point
    spot = Spot(50, 60, ("the whole of its name", "the"), is_main=True)
    (placed,) = place([spot], 400, 200, [wall]).values()
    assert (placed.text, placed.side.dy) == ("the whole of its name", 41)
    (cut,) = place([Spot(50, 60, ("the whole of its name", "the"))], 400, 200, [wall]).values()
    assert cut.text == "the"


def test_a_name_stands_on_the_arm_of_its_own_interval_last_of_all() -> None:
    arrow = (58.0, 52.0, 84.0, 68.0)  # to the right of the point, which stands near the left edge
    (placed,) = place([Spot(50, 60, ("small first",))], 400, 200, [arrow]).values()
    assert placed.side.align != "center"
