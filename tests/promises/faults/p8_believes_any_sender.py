"""A message is believed whoever signed it."""

from flatfare.core import webhook


CAUGHT_BY = (
    "../service/test_signalling.py::"
    "test_nobody_is_believed_without_the_secret_and_no_reason_tells_sources_apart[sqlite]",
)

webhook.check = lambda headers, body, secrets, *, now_s: headers.get(webhook.ID, "msg")
