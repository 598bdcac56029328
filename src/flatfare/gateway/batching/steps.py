"""Which step of a batch's life a request is: its requests uploaded, it made, looked at, its answers fetched.

Only batches whose answers can be told apart line by line have steps; others are metered as a whole.
"""

from enum import StrEnum
from functools import cache

from flatfare.gateway.ownership import thing_in
from flatfare.gateway.routes import Place


class Step(StrEnum):
    """What a request does to a batch."""

    REQUESTS = "requests"  # uploads a file, perhaps of requests
    MAKE = "make"
    LOOK = "look"  # or cancel
    ANSWERS = "answers"


_BATCHES = ("batches", "messages.batches")
_IN_ONE_SUM = ("batches", "batches.results")


def step_of(method: str, place: Place) -> Step | None:
    """The step that a request is; None for any other request."""
    route = place.route
    if route is None or (route.free is None and route.lines is None):
        return None
    if route.lines is not None:
        return Step.ANSWERS
    if not _has_lines(place.upstream.dialect.provider):
        return None
    named, what = thing_in(place.plain_path)
    if place.endpoint == "files":
        is_upload = method == "POST" and not named and place.upstream.dialect.provider != "anthropic"
        return Step.REQUESTS if is_upload else None
    if place.endpoint not in _BATCHES:
        return None
    if not named:
        return Step.MAKE if method == "POST" else None
    return Step.LOOK if method == "GET" or what == "cancel" else None


def sum_of(method: str, place: Place) -> str | None:
    """The batch, or file, whose answers a request fetches that are read in one sum; None for any other."""
    if method != "GET" or place.endpoint not in _IN_ONE_SUM:
        return None
    route = place.route
    is_read = route is not None and route.lines is None and route.free is None
    return (thing_in(place.plain_path)[0] or None) if is_read else None


@cache
def _has_lines(dialect: str) -> bool:
    from flatfare.dialects.recognition import dialect_of

    return any(route.lines is not None for route in dialect_of(dialect).routes)
