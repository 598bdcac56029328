"""The log prints an exception with all that it held."""

import logging

from flatfare.gateway.logs import JsonLines

CAUGHT_BY = ("test_p11_private_by_default.py::test_a_failure_inside_does_not_print_what_it_held",)

_format = JsonLines.format


def _with_all(lines, record):
    more = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
    return f"{_format(lines, record)} {more}"


JsonLines.format = _with_all
