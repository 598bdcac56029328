"""A request that is capped or downgraded is written anew, and means the same in other bytes."""

import json

from flatfare.gateway.guarding import editing, shaping

CAUGHT_BY = (
    "../gateway/guarding/test_editing.py::test_only_the_member_itself_is_meant",
    "../gateway/guarding/test_editing.py::test_what_stands_before_and_behind_the_value_stays_byte_for_byte",
    "../gateway/guarding/test_shaping_served.py::test_a_downgrade_alters_the_model_alone_and_is_named",
)


def _anew(body, path, value):
    whole = within = json.loads(body)
    for name in path[:-1]:
        within = within.setdefault(name, {})
    within[path[-1]] = json.loads(value)
    return json.dumps(whole).encode()


editing.with_value = shaping.with_value = _anew
