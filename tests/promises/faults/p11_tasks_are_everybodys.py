"""A task of one project can be named from another."""

from flatfare.core import identity

CAUGHT_BY = ("../gateway/test_security.py::test_one_keys_task_is_not_anothers",)

_task_id = identity.task_id
identity.task_id = lambda project, task: _task_id(None, task)
