"""How far the engine is in its work, told beside it while it works."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OnProgress = Callable[[float, float | None], None]

_EVERY_S = 0.25


def unwatched(done: float, total: float | None = None) -> None:
    """Tells nobody."""


@contextmanager
def watched(engine: "DuckDBPyConnection", on_progress: OnProgress) -> Iterator[None]:
    """Tell the share of the running query, a few times a second; nothing is asked where nobody listens."""
    if on_progress is unwatched:
        yield
        return
    engine.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(_EVERY_S):
            percent = engine.query_progress()
            if percent > 0:
                on_progress(percent, 100)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield
    finally:
        is_over.set()
        looking.join()
