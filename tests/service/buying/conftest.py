"""What tests of bought outcomes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.importing.bringing import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty book and lake."""
    there = Place(tmp_path)
    yield there
    there.book.close()
