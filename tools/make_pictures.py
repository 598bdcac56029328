"""Makes the pictures of the README from the data that the demo ships::

python tools/make_pictures.py
"""

import tempfile
import time
from pathlib import Path

from flatfare.config import Settings
from flatfare.service.demo import SUPPORT, load
from flatfare.service.importing.run import Stores
from flatfare.service.leaderboard.gathering import over_all_domains
from flatfare.service.leaderboard.reading import showings_in
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from flatfare.web.frames import DARK, LIGHT, svg
from flatfare.web.site.charts import WIDE, signature

TARGET = Path(__file__).parent.parent / "docs" / "pictures"


def main() -> None:
    """Draw the customer-support board, light and dark."""
    now_us = time.time_ns() // 1000
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database=f"{folder}/flatfare.db", lake=f"{folder}/lake")
        lake = Lake(settings.lake)
        with open_book(settings.database) as book:
            load(Stores(book, lake, settings), now_us)
            board = over_all_domains(showings_in(book, lake, now_us), SUPPORT)
    TARGET.mkdir(parents=True, exist_ok=True)
    for colours in (LIGHT, DARK):
        file = TARGET / f"customer-support-{colours.name}.svg"
        file.write_text(svg(signature(board, colours, WIDE)), encoding="utf-8")
        print(file)


if __name__ == "__main__":
    main()
