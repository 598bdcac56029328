"""The names of journals and of what stands in the lake are left to chance: only contents are synced."""

import os
import stat

from flatfare.gateway import folders, log_writer
from flatfare.store import durable, heads, lake

CAUGHT_BY = (
    "test_p5_power_loss.py::test_each_record_that_is_said_to_be_kept",
    "test_p5_power_loss.py::test_a_file_of_the_lake_that_may_be_listed",
    "test_p5_power_loss.py::test_whose_a_lake_is",
    "test_p5_power_loss.py::test_signed_heads_and_the_key_that_signs_them",
    "test_p5_power_loss.py::test_the_key_to_what_is_sealed",
)

_sync = durable.sync


def _contents_alone(path):
    if not stat.S_ISDIR(os.stat(path).st_mode):
        _sync(path)


for module in (durable, folders, heads, lake, log_writer):
    module.sync = _contents_alone
