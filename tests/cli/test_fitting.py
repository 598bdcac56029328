"""Tables on terminals of any width: every word can be read, and no line is longer than the terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from hypothesis import given
from hypothesis import strategies as st

from flatfare.cli.fitting import GAP, Wanted, fitted, lines, read_moment

SCRIPT = """
from flatfare.cli.output import Field, print_table
ends = "2026-12-01T00:00:00.5Z"
rows = [
    {"name": "support team", "scope": "team=support", "left": "$23.02", "at": ends, "why": None},
    {"name": "legal team", "scope": "team=legal", "left": "$0.00", "at": ends, "why": "late"},
]
print_table(rows, [
    Field("name", "name", "left", is_strong=True), Field("scope", "scope", "left"), Field("left", "left"),
    Field("at", "resets", "left"), Field("why", "why", "left", gives_way=1),
])
"""


def on_a_terminal(columns: int) -> list[str]:
    """What the script prints on a terminal so many columns wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    settings = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": str(columns)}
    subprocess.run([sys.executable, "-c", SCRIPT], stdout=theirs, env=settings, check=True, timeout=60)
    os.close(theirs)
    came = b""
    try:
        while part := os.read(ours, 65_536):
            came += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", came.decode())
    return [line.rstrip() for line in plain.splitlines()]


def test_a_wide_terminal_has_the_whole_table() -> None:
    assert on_a_terminal(80) == [
        "name          scope           left  resets             why",
        "support team  team=support  $23.02  2026-12-01 00:00Z  —",
        "legal team    team=legal     $0.00  2026-12-01 00:00Z  late",
    ]


def test_a_narrower_one_leaves_out_what_gives_way_then_breaks_between_words() -> None:
    assert on_a_terminal(55)[0] == "name          scope           left  resets"
    assert on_a_terminal(48) == [
        "name     scope           left  resets",
        "support  team=support  $23.02  2026-12-01 00:00Z",
        "team",
        "legal    team=legal     $0.00  2026-12-01 00:00Z",
        "team",
    ]


def test_one_too_narrow_for_a_table_has_lines() -> None:
    assert on_a_terminal(40) == [
        "support team",
        "  scope team=support  left $23.02",
        "  resets 2026-12-01 00:00Z",
        "legal team",
        "  scope team=legal  left $0.00",
        "  resets 2026-12-01 00:00Z  why late",
    ]


columns = st.lists(
    st.builds(Wanted, st.lists(st.text("ab ", max_size=30), min_size=1), st.booleans(), st.integers(0, 2)),
    min_size=1,
    max_size=6,
)


@given(columns, st.integers(20, 120))
def test_what_fits_is_never_wider_than_the_terminal_nor_narrower_than_can_be_read(
    found: list[Wanted], width: int
) -> None:
    widths = fitted(found, width)
    needed = [one.least for one in found if not one.gives_way]
    if widths is None:
        assert sum(needed) + GAP * (len(needed) - 1) > width
        return
    assert sum(widths.values()) + GAP * max(0, len(widths) - 1) <= width
    assert all(found[at].least <= size <= found[at].natural for at, size in widths.items())
    assert {at for at, one in enumerate(found) if not one.gives_way} <= widths.keys()


def test_pieces_stand_as_many_to_a_line_as_fit() -> None:
    assert list(lines(["12345", "123", "1234567890", "1"], 14)) == [["12345", "123"], ["1234567890"], ["1"]]


def test_what_is_no_moment_is_left_as_it_is() -> None:
    assert read_moment("2026-11-21T12:59Z") == "2026-11-21 12:59Z"
    assert read_moment("at 2026-11-21T12:59Z") == "at 2026-11-21T12:59Z"
