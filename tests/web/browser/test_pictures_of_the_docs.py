"""The pictures that the documents show come from the pages as they are now."""

import runpy
import struct
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"


def test_each_picture_that_is_shown_can_be_made_anew(tmp_path: Path) -> None:
    pytest.importorskip("playwright.sync_api", reason="needs playwright")
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    tool = runpy.run_path(str(ROOT / "tools" / "write_pictures.py"))
    try:
        tool["write"](tmp_path)
    except SystemExit as missing:
        pytest.skip(str(missing))
    made = {file.name for file in tmp_path.iterdir()}
    assert made == {file.name for file in (DOCS / "pictures").glob("dashboard*.png")}
    for file in tmp_path.iterdir():
        assert struct.unpack(">II", file.read_bytes()[16:24]) == (1280, 860)
