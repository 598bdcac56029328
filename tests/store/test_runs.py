"""Runs stand in the book as they were left, and nothing is kept of them for good."""

from dataclasses import replace
from pathlib import Path

import pytest

from flatfare.store import book as books
from flatfare.store import runs
from flatfare.store.book import open_book
from flatfare.store.migrations import MIGRATIONS, _inputs_of_runs_given_up
from flatfare.store.runs import Run, State

RUN = Run("r1", "names", 1, "t1", State.DONE, "hash", 17, input="Ann Smith", ending="interrupted")


def test_inputs_that_an_earlier_step_kept_for_good_are_erased_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "flatfare.db")
    to_forget = replace(RUN, id="r2", task_id="t2", ending="verified", forget_at_us=99)
    under_way = replace(RUN, id="r3", task_id="t3", state=State.WORKING, ending=None)
    with monkeypatch.context() as patched:
        patched.setattr(books, "MIGRATIONS", MIGRATIONS[: MIGRATIONS.index(_inputs_of_runs_given_up)])
        with open_book(address) as book:
            for run in (RUN, to_forget, under_way):
                runs.insert(book, run)
    with open_book(address) as book:
        assert runs.one(book, RUN.id) == replace(RUN, input=None)
        assert runs.one(book, to_forget.id) == to_forget
        assert runs.one(book, under_way.id) == under_way
