"""A run that is asked for by the same key again is another run."""

import uuid

from flatfare.runner import running

CAUGHT_BY = ("test_p9_runs_killed.py::test_runs_killed_at_random_moments_are_each_sold_once",)

running.derived = lambda *_: uuid.uuid4()
